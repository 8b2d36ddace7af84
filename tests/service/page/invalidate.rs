//! The form that invalidates.

use cache_core::{Key, Tag};
use cache_tests::browser::keys;
use cache_tests::http_client;

use super::board::{Board, OPERATOR};

const HIT: &str = "cache-tower; hit";

/// Whether the service answers from its cache.
async fn is_cached(board: &Board, workspace: &str, item: &str) -> bool {
    let headers = [("x-workspace-id", workspace)];
    let path = format!("/items/{item}");
    http_client::get(board.addr(), &path, &headers).await.cache_status() == HIT
}

async fn can_invalidate(board: &Board) -> bool {
    board.browser.eval("return !document.getElementById('really').disabled").await == true
}

#[tokio::test]
async fn a_dry_run_counts_and_the_button_removes() {
    let board = Board::signed_in().await;
    let browser = &board.browser;
    for item in ["1", "2", "3"] {
        board.ask("ws1", item, 2).await;
        board.ask("ws2", item, 2).await;
    }
    assert!(!can_invalidate(&board).await);
    browser.fill("#patterns", "ws1:items:*").await;
    browser.click("#dry-run").await;
    board.until_says("outcome", "Nothing was changed").await;
    let said = browser.text("#outcome").await;
    assert!(said.contains("ws1:items:*") && said.contains("entries"), "{said}");
    for (workspace, item) in [("ws1", "1"), ("ws1", "3"), ("ws2", "2")] {
        assert!(is_cached(&board, workspace, item).await, "{workspace} {item}");
    }

    // Another pattern needs another dry run.
    assert!(can_invalidate(&board).await);
    browser.type_into("#patterns", "x").await;
    assert!(!can_invalidate(&board).await);
    browser.fill("#patterns", "ws1:items:*").await;
    browser.click("#dry-run").await;
    board.until_says("really", "entr").await;
    browser.click("#really").await;
    board.until_says("outcome", "Invalidated").await;
    assert!(!can_invalidate(&board).await, "once is enough");
    board.until_says("events", "ws1:items:*").await;
    assert!(!is_cached(&board, "ws1", "1").await);
    assert!(is_cached(&board, "ws2", "2").await);
    board.is_clean().await;
}

#[tokio::test]
async fn keys_tags_workspace_and_namespace() {
    let board = Board::signed_in().await;
    let (browser, cache) = (&board.browser, &board.cache);
    let ours = Key::workspace("ws1").segment("kept");
    cache.set("users", "42", "Ada").await.unwrap();
    cache.set("users", "43", "Bob").tag("team:7").await.unwrap();
    cache.set("users", ours.clone(), "x").tag(Tag::in_workspace("ws1", "t")).await.unwrap();
    let exists = async |key: Key| cache.exists("users", key).await.unwrap();
    let _: Option<String> = cache.get("users", "42").await.unwrap();
    browser
        .until("[...document.getElementById('namespace').options].some((o) => o.value === 'users')")
        .await;

    browser.fill("#key-list", "42").await;
    browser.fill("#tags", "team:7").await;
    browser.eval("document.getElementById('namespace').value = 'users'").await;
    browser.click("#dry-run").await;
    board.until_says("outcome", "key 42 of users: 1 entry").await;
    board.until_says("outcome", "tag team:7").await;
    assert!(exists(Key::from("42")).await && exists(Key::from("43")).await);
    browser.click("#really").await;
    board.until_says("outcome", "Invalidated").await;
    assert!(!exists(Key::from("42")).await && !exists(Key::from("43")).await);
    assert!(exists(ours.clone()).await);

    browser.eval("document.getElementById('invalidate').reset()").await;
    browser.fill("#workspace", "ws1").await;
    browser.click("#soft").await;
    browser.click("#dry-run").await;
    board.until_says("outcome", "make stale").await;
    board.until_says("outcome", "workspace ws1").await;
    browser.click("#really").await;
    board.until_says("outcome", "Invalidated, softly").await;
    board.is_clean().await;
}

#[tokio::test]
async fn what_can_not_be_is_said() {
    let board = Board::signed_in().await;
    let browser = &board.browser;
    browser.click("#dry-run").await;
    board.until_says("outcome", "Nothing is named yet").await;
    assert!(!can_invalidate(&board).await);
    browser.fill("#key-list", &"x".repeat(3000)).await;
    browser.click("#dry-run").await;
    browser.until("document.querySelector('#outcome .error')?.innerText.length > 0").await;
    assert!(!can_invalidate(&board).await);
}

/// From signing in to what was removed, without a pointer.
#[tokio::test]
async fn by_keyboard_alone() {
    let board = Board::open().await;
    let browser = &board.browser;
    board.ask("ws1", "1", 2).await;
    browser.until("document.activeElement.id === 'token'").await;
    browser.press(&[OPERATOR, keys::ENTER].concat()).await;
    browser.until("document.activeElement.id === 'main'").await;
    let focused = "return document.activeElement.id";
    let mut steps = 0;
    while browser.eval(focused).await != "patterns" {
        browser.press(keys::TAB).await;
        steps += 1;
        assert!(steps < 20, "the form is not reached by Tab");
    }
    browser.press("ws1:items:*").await;
    steps = 0;
    while browser.eval(focused).await != "dry-run" {
        browser.press(keys::TAB).await;
        steps += 1;
        assert!(steps < 20, "the button is not reached by Tab");
    }
    browser.press(keys::ENTER).await;
    board.until_says("outcome", "Nothing was changed").await;
    browser.press(&[keys::TAB, keys::SPACE].concat()).await;
    board.until_says("outcome", "Invalidated").await;
    // The button that is off now has not taken the focus with it.
    assert_eq!(browser.eval(focused).await, "dry-run");
    assert!(!is_cached(&board, "ws1", "1").await);
    board.is_clean().await;
}
