//! What the page shows, and that it moves.

use cache_core::{Ability, Cache, RedisOptions, Tag};
use cache_tests::{RedisServer, http_client};

use super::board::{Board, OPERATOR};
use crate::setup::unique_prefix;

#[tokio::test]
async fn numbers_move_after_requests() {
    let board = Board::open().await;
    board.sign_in(OPERATOR).await;
    let browser = &board.browser;
    // Before anything happens each part says so.
    for (id, text) in [
        ("now-ratio-note", "no reads yet"),
        ("namespaces", "api_responses"),
        ("workspaces", "No key that was read names a workspace"),
        ("keys", "No hit has been sampled yet"),
        ("events-empty", "None since this page was opened"),
        ("chart-ratio", "once there are reads"),
        ("chart-latency", "Nothing was timed yet"),
        ("health", "in memory only"),
    ] {
        board.until_says(id, text).await;
    }

    board.ask("ws1", "1", 10).await; // a miss, nine hits
    board.until_says("now-reads-note", "10 in all").await;
    board.until_says("now-ratio", "90.0").await;
    board.until_says("namespaces", "api_responses").await;
    board.until_says("workspaces", "ws1").await;
    board.until_says("now-memory-note", "entr").await;
    browser.until("document.querySelectorAll('#chart-ratio path').length > 0").await;
    browser.until("document.querySelectorAll('#chart-reads path').length > 0").await;
    let label = "return document.querySelector('#chart-ratio svg').getAttribute('aria-label')";
    let label = browser.eval(label).await.to_string();
    assert!(label.contains("Hit ratio, now: hits "), "{label}");
    browser.until("document.title.includes('% · Cache')").await;

    board.ask("ws2", "1", 10).await;
    board.until_says("now-reads-note", "20 in all").await;
    board.until_says("workspaces", "ws2").await;
    browser.fill("#find-workspace", "2").await;
    browser.until("!document.getElementById('workspaces').innerText.includes('ws1')").await;
    browser.fill("#find-workspace", "nobody").await;
    board.until_says("workspaces", "No workspace has this in its name").await;
    board.is_clean().await;
}

#[tokio::test]
async fn keys_that_are_read_often_are_named() {
    let board = Board::signed_in().await;
    board.cache.set("users", "42", "Ada").await.unwrap();
    for _ in 0..20_000 {
        let _: Option<String> = board.cache.get("users", "42").await.unwrap();
    }
    board.until_says("keys", ":users:v1:42").await;
    board.is_clean().await;
}

/// A rule that matches nothing is a typo, most likely.
#[tokio::test]
async fn rules_that_never_matched_stand_out() {
    let board = Board::open().await;
    for _ in 0..3 {
        let list = http_client::get(board.addr(), "/lists/1", &[("x-workspace-id", "ws1")]).await;
        assert_eq!(list.status, 200);
    }
    board.sign_in(OPERATOR).await;
    board.until_says("routes", "/itmes/{id}").await;
    board.until_says("routes-note", "2 rules have never matched").await;
    let flagged = "return [...document.querySelectorAll('#routes tr')]
        .filter((row) => row.querySelector('.flag')).map((row) => row.cells[0].innerText)";
    let flagged = board.browser.eval(flagged).await;
    assert_eq!(flagged, serde_json::json!(["/itmes/{id}", "/billing/{*rest}"]));
    board.is_clean().await;
}

#[tokio::test]
async fn invalidations_are_told_as_they_happen() {
    let board = Board::signed_in().await;
    board.cache.invalidate(Tag::new("user:123")).await.unwrap();
    board.until_says("events", "user:123").await;
    assert!(!board.shows("events-empty").await);
    board.is_clean().await;
}

#[tokio::test]
async fn a_paused_page_stands_still() {
    let board = Board::signed_in().await;
    let browser = &board.browser;
    browser.click("#pause").await;
    board.until_says("state", "Paused").await;
    browser.until("document.getElementById('pause').getAttribute('aria-pressed') === 'true'").await;
    // One that was under way.
    browser.until("performance.now() > 1000 + (window.before ??= performance.now())").await;
    board.ask("ws1", "1", 10).await;
    // Time for two looks.
    browser.until("performance.now() > 5000 + (window.began ??= performance.now())").await;
    assert!(!browser.text("#now-reads-note").await.contains("10 in all"));
    browser.click("#pause").await;
    board.until_says("now-reads-note", "10 in all").await;
    board.is_clean().await;
}

#[tokio::test]
async fn the_store_its_pool_and_its_breaker_are_shown() {
    let redis = RedisServer::start();
    let options = RedisOptions::url(&redis.url()).unwrap();
    let cache = Cache::builder().prefix(unique_prefix()).redis(options).build().unwrap();
    let board = Board::of(cache).await;
    board.sign_in(OPERATOR).await;
    for (id, text) in [
        ("health", "redis, answers in"),
        ("health", "Closed"),
        ("health", "connection"),
        ("health", "All works"),
    ] {
        board.until_says(id, text).await;
    }
    for item in 0..20 {
        board.ask("ws1", &item.to_string(), 2).await;
    }
    board.until_says("latency-title", "edis reads").await;
    board.browser.until("document.querySelectorAll('#chart-latency path').length > 0").await;
    board.until_says("health", "Server 7").await;

    redis.kill();
    board.ask("ws1", "100", 1).await;
    board.until_says("health", "does not answer").await;
    board.until_says("health", "Open").await;
    board.until_says("events", "The store is away").await;
    redis.restart();
    board.until_says("health", "Closed").await;
    board.until_says("events", "The store is back").await;
    board.is_clean().await;
}

/// What Redis refuses its user, and what is done instead.
#[tokio::test]
async fn what_the_store_refuses_is_shown() {
    let redis = RedisServer::start();
    let user = ["ACL", "SETUSER", "least", "reset", "on", ">pw", "~*", "+@read", "+@write"];
    let reply = redis.command(&[&user[..], &["+@connection"]].concat());
    assert!(!reply.is_error(), "{}", reply.text());
    let options = RedisOptions::url(&redis.url()).unwrap();
    let options = options.credentials(Some("least"), Some("pw"));
    let cache = Cache::builder().prefix(unique_prefix()).redis(options).build().unwrap();
    let board = Board::of(cache).await;
    board.sign_in(OPERATOR).await;
    board.ask("ws1", "1", 1).await;
    let told = board.cache.health().await.missing_abilities;
    assert!(told.iter().any(|missing| missing.ability == Ability::Scripts), "{told:?}");
    for missing in told {
        board.until_says("health", &missing.ability.to_string()).await;
        board.until_says("health", missing.instead).await;
    }
    board.is_clean().await;
}

/// On a wall the figures would look true for ever.
#[tokio::test]
async fn a_service_that_goes_away_is_noticed() {
    let board = Board::signed_in().await;
    let Board { browser, served, .. } = board;
    drop(served);
    browser.until("document.getElementById('state').innerText === 'No answer'").await;
    let notice = browser.text("#notice").await;
    assert!(notice.contains("does not answer"), "{notice}");
}
