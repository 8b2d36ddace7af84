//! What `Cache-Status` says beside the decision (RFC 9211).

use std::time::Duration;

use cache_core::{Clock, hours, seconds};
use cache_tests::RedisServer;
use cache_tower::{HttpCache, HttpCacheBuilder, OriginUnreachable};

use super::origin::{
    App, HIT, Lines, MISS, Origin, START, field, in_redis, memory, reply, request, told,
};

const TAGGED: Lines<'static> =
    &[("cache-control", "max-age=10, stale-while-revalidate=5"), ("etag", "\"one\"")];

/// Answers with what is tagged, and conditions with 304.
fn origin() -> Origin {
    Origin::new(|request| {
        let asked = request.headers().contains_key("if-none-match");
        if asked { reply(304, TAGGED, "") } else { reply(200, TAGGED, "body") }
    })
}

fn builder() -> HttpCacheBuilder {
    HttpCache::builder(memory(&Clock::manual(START)))
}

#[tokio::test]
async fn seconds_of_freshness_are_told_if_asked_for() {
    let redis = RedisServer::start();
    let clock = Clock::manual(START);
    for cache in [memory(&clock), in_redis(&redis, &clock)] {
        let http = HttpCache::builder(cache).cache_status_ttl().build();
        let app = App::layered(&http, &origin());
        assert_eq!(app.told("/a", &[]).await, "fwd=uri-miss; ttl=10; stored");
        clock.advance(seconds(3));
        assert_eq!(app.told("/a", &[]).await, "hit; ttl=7");
        let head = app.send(request("HEAD", "/a", &[("if-none-match", "\"one\"")])).await;
        assert_eq!((head.status().as_u16(), told(&head).as_str()), (304, "hit; ttl=7"));
        clock.advance(seconds(8));
        assert_eq!(app.told("/a", &[("cache-control", "max-stale=1")]).await, "hit; ttl=-1");
        let refreshed = app.told("/a", &[]).await;
        assert_eq!(refreshed, "hit; ttl=-1; detail=stale-while-revalidate");
        assert_eq!(app.told("/a", &[]).await, "hit; ttl=10");
        clock.advance(seconds(16));
        assert_eq!(app.told("/a", &[]).await, "fwd=stale; fwd-status=304; ttl=10");
        clock.advance(hours(9));
    }
    // What is not stored has no freshness here.
    let private = Origin::fixed(200, &[("cache-control", "private, max-age=60")], "");
    let app = App::layered(&builder().cache_status_ttl().build(), &private);
    assert_eq!(app.told("/a", &[]).await, "fwd=uri-miss; detail=private");
}

#[tokio::test]
async fn heuristic_freshness_counts_as_well() {
    let modified = ("last-modified", "Tue, 14 Nov 2023 21:56:40 GMT");
    let http = builder().heuristic_freshness(hours(1)).cache_status_ttl().build();
    let app = App::layered(&http, &Origin::fixed(200, &[modified], ""));
    assert_eq!(app.told("/a", &[]).await, "fwd=uri-miss; ttl=100; stored");
    app.clock.advance(Duration::from_millis(500));
    assert_eq!(app.told("/a", &[]).await, "hit; ttl=99");
}

#[tokio::test]
async fn the_key_is_told_if_asked_for() {
    let redis = RedisServer::start();
    let clock = Clock::manual(START);
    let http = HttpCache::builder(in_redis(&redis, &clock)).cache_status_key().build();
    let app = App::layered(&http, &origin());
    let lines = [("x-workspace-id", "ws1")];
    let stored = app.told("/a%22/b", &lines).await;
    let hit = app.told("/a%22/b", &lines).await;
    let key = hit.strip_prefix("hit; key=").expect("a key");
    assert_eq!(stored, format!("fwd=uri-miss; stored; key={key}"));
    assert!(key.starts_with("\"p:api_responses:v1:ws1:a"), "{key}");
    assert!(key.ends_with('"') && key.contains(":b:~"), "{key}");
    let plain = key[1..key.len() - 1].replace("\\\"", "\"").replace("\\\\", "\\");
    assert!(redis.get(&plain).is_some(), "{plain}");
    // It is hidden otherwise.
    assert_eq!(App::new(&origin()).told("/a", &lines).await, MISS);
}

#[tokio::test]
async fn variants_have_keys_of_their_own() {
    let lines = [("cache-control", "max-age=60"), ("vary", "accept")];
    let http = builder().cache_status_key().build();
    let app = App::layered(&http, &Origin::fixed(200, &lines, ""));
    let mut keys = Vec::new();
    for accept in ["a/b", "c/d"] {
        let stored = app.told("/a", &[("accept", accept)]).await;
        let hit = app.told("/a", &[("accept", accept)]).await;
        let key = hit.strip_prefix("hit; key=").expect("a key").to_owned();
        assert!(stored.ends_with(&format!("; stored; key={key}")), "{stored} {hit}");
        keys.push(key);
    }
    assert_ne!(keys[0], keys[1]);
}

/// A 304 of ours looked as if the origin had given it.
#[tokio::test]
async fn the_origin_s_status_is_told_where_the_client_gets_another() {
    let app = App::new(&origin());
    let own = app.get("/a", &[("if-none-match", "\"one\"")]).await;
    let expected = "fwd=uri-miss; fwd-status=200; stored";
    assert_eq!((own.status().as_u16(), told(&own).as_str()), (304, expected));
    assert_eq!(app.told("/b", &[]).await, MISS);
    let hit = app.get("/a", &[("if-none-match", "\"one\"")]).await;
    assert_eq!((hit.status().as_u16(), told(&hit).as_str()), (304, HIT));
}

#[tokio::test]
async fn so_is_that_of_one_that_fails_if_it_gave_one() {
    for (reached, expected) in [
        (true, "fwd=stale; fwd-status=503; ttl=-5; detail=stale-if-error"),
        (false, "fwd=stale; ttl=-5; detail=stale-if-error"),
    ] {
        let calls = std::sync::atomic::AtomicUsize::new(0);
        let origin = Origin::new(move |_| {
            if calls.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 0 {
                return reply(200, &[("cache-control", "max-age=10, stale-if-error=60")], "good");
            }
            let mut response = reply(503, &[], "bad");
            if !reached {
                response.extensions_mut().insert(OriginUnreachable);
            }
            response
        });
        let app = App::layered(&builder().cache_status_ttl().build(), &origin);
        app.get("/a", &[]).await;
        app.clock.advance(seconds(15));
        assert_eq!(app.told("/a", &[]).await, expected);
    }
}

#[tokio::test]
async fn what_caches_before_have_said_stays_in_front() {
    let lines = [("cache-control", "max-age=10"), ("cache-status", "upstream; hit; ttl=99")];
    let http = builder().name("edge one").cache_status_ttl().build();
    let app = App::layered(&http, &Origin::fixed(200, &lines, ""));
    for own in ["fwd=uri-miss; ttl=10; stored", "hit; ttl=10"] {
        let response = app.get("/a", &[]).await;
        let expected = format!("upstream; hit; ttl=99, \"edge one\"; {own}");
        assert_eq!(field(&response, "cache-status"), expected);
    }
}
