//! Decisions as they are made: a sample for whoever listens, and of its own for each tenant.

use axum::Router;
use axum::routing::get;
use cache_axum::cache_endpoint;
use cache_core::{Cache, Clock, Event, Events, SAMPLED_PER_SECOND, minutes};
use cache_tests::http_client::get as fetch;

use super::{WS1, WS2, drained};
use crate::setup::{http, memory_cache, serve, unique_prefix};

/// What answered, with what words, whose it was.
async fn next(events: &mut Events) -> (String, String, Option<String>) {
    match events.next().await.expect("a cache") {
        Event::Decision { layer, decision, detail, workspace, namespace, .. } => {
            assert_eq!(namespace, "api_responses");
            let detail = detail.map(|detail| format!("; detail={detail}")).unwrap_or_default();
            (layer, decision + &detail, workspace)
        }
        other => panic!("{other:?}"),
    }
}

fn is(layer: &str, words: &str, workspace: Option<&str>) -> (String, String, Option<String>) {
    (layer.to_owned(), words.to_owned(), workspace.map(str::to_owned))
}

#[tokio::test]
async fn each_is_told_with_what_answered_and_whose_it_is() {
    for (cache, other) in [(memory_cache(), None), both_on_redis()] {
        let http = http(cache.clone());
        let handler = get(|| async { "body" }).layer(cache_endpoint(&http, minutes(5)));
        let served = serve(Router::new().route("/a", handler)).await;
        let mut events = cache.events();
        fetch(served.addr, "/a", &WS1).await;
        assert_eq!(next(&mut events).await, is("origin", "fwd=uri-miss; stored", Some("ws1")));
        fetch(served.addr, "/a", &WS1).await;
        assert_eq!(next(&mut events).await, is("l1", "hit", Some("ws1")));
        fetch(served.addr, "/a", &WS2).await;
        assert_eq!(next(&mut events).await, is("origin", "fwd=uri-miss; stored", Some("ws2")));
        fetch(served.addr, "/a", &[]).await;
        assert_eq!(next(&mut events).await, is("origin", "fwd=bypass; detail=workspace", None));
        let lines = [WS1[0], ("cache-control", "only-if-cached")];
        fetch(served.addr, "/a?none", &lines).await;
        assert_eq!(next(&mut events).await.0, "none");
        if let Some(other) = other {
            // Another instance, which has it in the store only.
            let http = crate::setup::http(other.clone());
            let handler = get(|| async { "body" }).layer(cache_endpoint(&http, minutes(5)));
            let elsewhere = serve(Router::new().route("/a", handler)).await;
            let mut events = other.events();
            drained(&cache).await;
            let host = served.addr.to_string();
            fetch(elsewhere.addr, "/a", &[WS1[0], ("host", &host)]).await;
            assert_eq!(next(&mut events).await, is("l2", "hit", Some("ws1")));
        }
    }
}

/// Two instances.
fn both_on_redis() -> (Cache, Option<Cache>) {
    let (prefix, options) = (unique_prefix(), || {
        cache_core::RedisOptions::url(&crate::setup::shared_redis().url()).expect("valid")
    });
    let cache = || {
        let builder = Cache::builder().prefix(&prefix).redis(options());
        builder.operation_budget(cache_core::seconds(10)).build().expect("valid")
    };
    (cache(), Some(cache()))
}

#[tokio::test]
async fn of_many_a_sample_is_told_and_how_many_were_not() {
    let clock = Clock::manual(1_700_000_000_000);
    let cache = Cache::builder().prefix(unique_prefix()).memory().clock(clock.clone()).build();
    let cache = cache.expect("valid");
    let http = http(cache.clone());
    let handler = get(|| async { "body" }).layer(cache_endpoint(&http, minutes(5)));
    let served = serve(Router::new().route("/a", handler)).await;
    // Nobody listens: nothing is told, nothing is left out.
    fetch(served.addr, "/a", &WS1).await;
    let mut events = cache.events();
    for _ in 0..SAMPLED_PER_SECOND + 7 {
        fetch(served.addr, "/a", &WS1).await;
    }
    clock.advance(cache_core::seconds(1));
    fetch(served.addr, "/a", &WS1).await;
    let mut left_out = Vec::new();
    for _ in 0..=SAMPLED_PER_SECOND {
        let Some(Event::Decision { left_out: count, .. }) = events.next().await else { panic!() };
        left_out.push(count);
    }
    let last = left_out.pop();
    assert!(left_out.iter().all(|count| *count == 0));
    assert_eq!(last, Some(7));
}
