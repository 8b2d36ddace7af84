//! What handlers say of their response, beside it: tags, a TTL, that it is not to be stored.

use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use cache_axum::{CacheTags, CacheTtl, NoStore, cache_endpoint};
use cache_core::{Cache, Clock, Tag, minutes, seconds};
use cache_tests::http_client::get as fetch;
use http::StatusCode;

use super::{WS1, WS2};
use crate::setup::{http, serve, unique_prefix};

async fn cache_status(addr: std::net::SocketAddr, path: &str, lines: &[(&str, &str)]) -> String {
    let response = fetch(addr, path, lines).await;
    assert_eq!(response.text(), "\"body\"");
    // They are for the cache only.
    assert!(response.headers.iter().all(|(name, _)| !name.contains("tag")), "{response:?}");
    response.cache_status().replace("cache-tower; ", "")
}

const STORED: &str = "fwd=uri-miss; stored";

#[tokio::test]
async fn they_stand_before_the_body_as_other_parts_do() {
    let clock = Clock::manual(1_700_000_000_000);
    let cache = Cache::builder().prefix(unique_prefix()).memory().clock(clock.clone()).build();
    let cache = cache.expect("valid");
    let http = http(cache.clone());
    let tagged = async || {
        let both = (CacheTags::new(["a"]), CacheTags::in_workspace(["b"]));
        (StatusCode::OK, both.0, both.1, Json("body"))
    };
    let draft = async || (NoStore, Json("body"));
    let long = async || (CacheTtl(minutes(60)), Json("body")).into_response();
    let app = Router::new()
        .route("/tagged", get(tagged).layer(cache_endpoint(&http, minutes(5))))
        .route("/draft", get(draft).layer(cache_endpoint(&http, minutes(5))))
        .route("/long", get(long).layer(cache_endpoint(&http, minutes(5))));
    let served = serve(app).await;
    let status = async |path, lines: &[(&str, &str)]| cache_status(served.addr, path, lines).await;
    for lines in [&WS1[..], &WS2[..]] {
        assert_eq!(status("/tagged", lines).await, STORED);
        assert_eq!(status("/tagged", lines).await, "hit");
    }
    // Both of them: the one, and the one that came after it.
    cache.invalidate(Tag::in_workspace("ws1", "b")).await.expect("done");
    assert_eq!(status("/tagged", &WS1).await, STORED);
    assert_eq!(status("/tagged", &WS2).await, "hit");
    cache.invalidate(Tag::new("a")).await.expect("done");
    assert_eq!(status("/tagged", &WS1).await, STORED);
    assert_eq!(status("/tagged", &WS2).await, STORED);
    for _ in 0..2 {
        assert_eq!(status("/draft", &WS1).await, "fwd=uri-miss; detail=handler");
    }
    assert_eq!(status("/long", &WS1).await, STORED);
    clock.advance(minutes(59));
    assert_eq!(status("/long", &WS1).await, "hit");
    clock.advance(minutes(1) + seconds(1));
    assert_ne!(status("/long", &WS1).await, "hit");
}
