//! What clients put into paths stays a literal, in tags, patterns and rules.

use axum::Router;
use axum::routing::post;
use cache_axum::{RoutePolicy, cache_endpoint, invalidate_cache, invalidate_tag};
use cache_core::{Tag, minutes};
use cache_tower::CacheLayer;

use super::options::counted;
use super::{App, Calls, HIT, MISS, NEVER, everywhere, in_memory};

/// Segments as they stand in a path, and what is read in them.
const SEGMENTS: [(&str, &str); 14] = [
    ("42", "42"),
    ("4", "4"),
    ("*", "*"),
    ("%2A", "*"),
    ("a:b", "a:b"),
    ("a%3Ab", "a:b"),
    ("a%2Fb", "a/b"),
    ("%7Bid%7D", "{id}"),
    ("%2e%2e", ".."),
    ("%25%32%41", "%2A"),
    ("%FF", "%FF"),
    ("%00", "\0"),
    ("%E2%80%AE", "\u{202e}"),
    ("-", "-"),
];

/// A tag invalidates the responses whose segment reads as it does, and no others.
#[tokio::test]
async fn a_tag_is_what_the_segment_reads_and_nothing_wider() {
    for http in everywhere(|builder| builder) {
        let calls = Calls::default();
        let layer = cache_endpoint(&http, minutes(5)).tag("item:{id}");
        let router = Router::new().route("/items/{id}", counted(&calls).layer(layer));
        let app = App::start(&http, router).await;
        for (_, text) in SEGMENTS {
            for (segment, _) in SEGMENTS {
                let path = format!("/items/{segment}");
                app.get(&path, &[]).await;
                assert_eq!(app.told(&path, &[]).await, HIT, "{path}");
            }
            http.cache().invalidate(Tag::new(format!("item:{text}"))).await.unwrap();
            for (segment, other) in SEGMENTS {
                let told = if text == other { MISS } else { HIT };
                let path = format!("/items/{segment}");
                assert_eq!(app.told(&path, &[]).await, told, "{path} after item:{text}");
            }
        }
    }
}

/// So do patterns and tags that an unsafe request fills.
#[tokio::test]
async fn an_unsafe_request_invalidates_what_its_own_segment_reads() {
    let http = in_memory(|builder| builder);
    let calls = Calls::default();
    let endpoint = || cache_endpoint(&http, minutes(5)).tag_in_workspace("item:{id}");
    let by_pattern = invalidate_cache(&http, "{workspace_id}:items:{id}");
    let by_tag = invalidate_tag(&http, "x").tag_in_workspace("item:{id}");
    let router = Router::new()
        .route("/items/{id}", counted(&calls).layer(endpoint()))
        .route("/by-pattern/{id}", post(async || ()).layer(by_pattern))
        .route("/by-tag/{id}", post(async || ()).layer(by_tag));
    let app = App::start(&http, router).await;
    let ours = [("x-workspace-id", "*")];
    for by in ["by-pattern", "by-tag"] {
        for (changed, text) in SEGMENTS {
            for (segment, _) in SEGMENTS {
                app.get(&format!("/items/{segment}"), &ours).await;
            }
            let response = app.send("POST", &format!("/{by}/{changed}"), &ours).await;
            assert_eq!(response.status, 200);
            for (segment, other) in SEGMENTS {
                let told = if text == other { MISS } else { HIT };
                let path = format!("/items/{segment}");
                assert_eq!(app.told(&path, &ours).await, told, "{path} after {by}/{changed}");
            }
        }
    }
}

/// A tag that is too long is not left out: the response is not stored.
#[tokio::test]
async fn a_value_that_is_too_long_is_not_stored() {
    let http = in_memory(|builder| builder);
    let calls = Calls::default();
    let layer = cache_endpoint(&http, minutes(5)).tag("item:{id}");
    let router = Router::new().route("/items/{id}", counted(&calls).layer(layer));
    let app = App::start(&http, router).await;
    let long = format!("/items/{}", "x".repeat(252));
    for _ in 0..2 {
        assert_eq!(app.told(&long, &[]).await, "cache-tower; fwd=uri-miss; detail=tags");
    }
}

/// Whatever a client writes for a path under a rule that says never: nothing of it is ever stored,
/// though what stands inside decodes paths.
#[tokio::test]
async fn no_spelling_gets_past_a_rule_that_says_never() {
    let policy = RoutePolicy::new(minutes(5)).statuses([axum::http::StatusCode::OK]);
    let http = in_memory(|builder| {
        builder
            .route("/{*rest}", policy.clone())
            .never("/billing/{*rest}")
            .never("/me/{id}/card")
            .never("/my%20files/{*rest}")
    });
    let calls = Calls::default();
    // It decodes and tidies up what it is asked, as a file server does.
    let router = Router::new().fallback_service(counted(&calls)).layer(CacheLayer::new(&http));
    let app = App::start(&http, router).await;
    for path in [
        "/billing",
        "/billing/",
        "/billing/42",
        "/billing/42?x=/public",
        "/%62illing/42",
        "/%62%69lling%2F42",
        "//billing/42",
        "/./billing/42",
        "/public/../billing/42",
        "/public/%2e%2e/billing/42",
        "/billing%5C42",
        "/me/1/card",
        "/me/%2F/card",
        "/me//card",
        "/me/1/card/",
        "/me/*/c%61rd",
        "/me/%2F/c%61rd",
        "/my%20files/7",
        "/m%79%20files/7",
    ] {
        for _ in 0..2 {
            assert_eq!(app.told(path, &[]).await, NEVER, "{path}");
        }
    }
    for path in ["/public", "/billings/42", "/me/1/cards", "/me/1/2/card", "/bill%2Fing"] {
        assert_eq!(app.told(path, &[]).await, MISS, "{path}");
        assert_eq!(app.told(path, &[]).await, HIT, "{path}");
    }
}
