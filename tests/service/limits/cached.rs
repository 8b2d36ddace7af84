//! Limits and the cache: what is counted where the one stands within the other, and that nobody is
//! told what is left to another.

use axum::Router;
use axum::body::Body;
use axum::http::HeaderMap;
use axum::routing::get as route;
use cache_axum::{cache_endpoint, rate_limit};
use cache_core::{Cache, minutes, seconds};
use cache_tests::http_client::Client;
use cache_tests::{Gate, body};
use cache_tower::{CacheLayer, HttpCache, Workspace};

use super::{Calls, WS1, WS2, clocked, get, statuses};
use crate::setup::{http, redis_cache, serve, shared_redis};

/// One cache entry for all, and a limit for each client.
fn by_client(http: &HttpCache, limit: u64) -> cache_tower::RateLimitLayer {
    rate_limit(http, "api", limit, minutes(1))
        .by(|request| request.headers().get("x-client")?.to_str().ok().map(str::to_owned))
}

const A: [(&str, &str); 2] = [("x-workspace-id", "ws1"), ("x-client", "a")];
const B: [(&str, &str); 2] = [("x-workspace-id", "ws1"), ("x-client", "b")];

#[tokio::test]
async fn outside_all_requests_count_and_each_is_told_its_own() {
    let (http, calls) = (http(clocked().0), Calls::default());
    let layers = (by_client(&http, 2), cache_endpoint(&http, minutes(5)));
    let served = serve(Router::new().route("/", calls.route().layer(layers))).await;
    let first = get(served.addr, "/", &A).await;
    assert_eq!(first.header_all("ratelimit"), ["\"api\";r=1;t=60"]);
    let hit = get(served.addr, "/", &A).await;
    assert_eq!(hit.cache_status(), "cache-tower; hit");
    assert_eq!(hit.header_all("ratelimit"), ["\"api\";r=0;t=60"]);
    let refused = get(served.addr, "/", &A).await;
    assert_eq!((refused.status, refused.cache_status()), (429, String::new()));
    let other = get(served.addr, "/", &B).await;
    assert_eq!(other.cache_status(), "cache-tower; hit");
    assert_eq!(other.header_all("ratelimit"), ["\"api\";r=1;t=60"]);
    assert_eq!(calls.count(), 1);
}

#[tokio::test]
async fn within_only_what_the_cache_lets_through_counts_and_hits_say_nothing_of_others() {
    for (cache, layer) in [(clocked().0, false), (redis_cache(), true), (clocked().0, true)] {
        let prefix = cache.health().await.store;
        let (http, calls) = (http(cache), Calls::default());
        let limit = by_client(&http, 1);
        let handler = calls.clone();
        let fresh = route(async move || ([("cache-control", "max-age=300")], handler.next()));
        let app = if layer {
            Router::new().route("/", fresh.layer(limit)).layer(CacheLayer::new(&http))
        } else {
            let layers = (cache_endpoint(&http, minutes(5)), limit);
            Router::new().route("/", fresh.layer(layers))
        };
        let served = serve(app).await;
        let first = get(served.addr, "/", &A).await;
        assert_eq!(first.header_all("ratelimit"), ["\"api\";r=0;t=60"], "{prefix}");
        for headers in [A, B, A] {
            let hit = get(served.addr, "/", &headers).await;
            assert_eq!((hit.status, hit.text()), (200, "call 1".to_owned()));
            assert_eq!(hit.cache_status(), "cache-tower; hit");
            assert_eq!(hit.header_all("ratelimit"), [""; 0]);
            assert_eq!(hit.header_all("ratelimit-policy"), [""; 0]);
        }
        assert_eq!(calls.count(), 1);
    }
}

/// The limit of the one who asked first is no answer to anybody, not even to itself.
#[tokio::test]
async fn a_refusal_is_never_stored() {
    let (cache, clock) = clocked();
    for (name, stores_errors) in [("plain", false), ("errors", true)] {
        let (http, calls) = (http(cache.clone()), Calls::default());
        let mut endpoint = cache_endpoint(&http, minutes(5));
        if stores_errors {
            endpoint = endpoint.negative_ttl(minutes(5));
        }
        let limit = by_client(&http, 1);
        let path = format!("/{name}/{{id}}");
        let served =
            serve(Router::new().route(&path, calls.route().layer((endpoint, limit)))).await;
        let ask = async |id: u8, headers: &[(&str, &str)]| {
            get(served.addr, &format!("/{name}/{id}"), headers).await
        };
        assert_eq!(ask(1, &A).await.status, 200);
        let refused = ask(2, &A).await;
        assert_eq!(refused.status, 429);
        assert!(refused.cache_status().ends_with("detail=no-store"), "{}", refused.cache_status());
        let other = ask(2, &B).await;
        assert_eq!((other.status, other.text()), (200, "call 2".to_owned()));
        clock.advance(minutes(1));
        assert_eq!(ask(3, &A).await.text(), "call 3");
        clock.advance(minutes(1));
    }
}

/// Those who read another's response as it arrives are not told what is left to that one; and what
/// the other has used up is not theirs.
#[tokio::test]
async fn those_who_share_a_fetch_share_no_limit() {
    let (http, gate) = (http(clocked().0), Gate::new());
    let held = gate.clone();
    let handler = route(async move || Body::new(body::gated(&held, ["one", "two"])));
    let layers = (cache_endpoint(&http, minutes(5)), by_client(&http, 1));
    let served = serve(Router::new().route("/{id}", handler.layer(layers))).await;
    let ask = async |headers: &[(&str, &str)]| {
        let mut client = Client::connect(served.addr).await.unwrap();
        client.send("GET", "/1", headers, b"").await.unwrap();
        (client.read_head().await.unwrap(), client)
    };
    let (leader, mut leading) = ask(&A).await;
    let (follower, mut following) = ask(&B).await;
    assert_eq!(leader.header("ratelimit"), Some("\"api\";r=0;t=60"));
    assert_eq!(follower.header("cache-status"), Some("cache-tower; fwd=uri-miss; collapsed"));
    assert_eq!((follower.header("ratelimit"), follower.header("ratelimit-policy")), (None, None));
    gate.open_for_good();
    for client in [&mut leading, &mut following] {
        assert_eq!(client.read_body().await.unwrap(), "onetwo");
    }
    assert_eq!(get(served.addr, "/2", &A).await.status, 429);
    assert_eq!(get(served.addr, "/2", &B).await.status, 200);
}

/// A 304 of the origin, too, says what is left to somebody.
#[tokio::test]
async fn a_validation_brings_nothing_into_the_cache() {
    let (cache, clock) = clocked();
    let http = HttpCache::builder(cache).workspace(Workspace::header("x-workspace-id")).build();
    let handler = route(async |headers: HeaderMap| {
        let fields = [("etag", "\"1\""), ("cache-control", "max-age=10")];
        let status = if headers.contains_key("if-none-match") { 304 } else { 200 };
        (axum::http::StatusCode::from_u16(status).unwrap(), fields)
    });
    let limited = Router::new().route("/", handler.layer(by_client(&http, 5)));
    let served = serve(limited.layer(CacheLayer::new(&http))).await;
    assert_eq!(get(served.addr, "/", &A).await.header_all("ratelimit").len(), 1);
    clock.advance(seconds(11));
    let validated = get(served.addr, "/", &A).await;
    assert!(validated.cache_status().contains("fwd-status=304"), "{}", validated.cache_status());
    let hit = get(served.addr, "/", &B).await;
    assert_eq!(hit.cache_status(), "cache-tower; hit");
    assert_eq!(hit.header_all("ratelimit"), [""; 0]);
}

/// An origin's own fields are somebody's, too.
#[tokio::test]
async fn fields_of_an_origin_are_passed_on_but_not_stored() {
    let http = http(clocked().0);
    let handler = route(async || ([("ratelimit", "\"up\";r=3;t=9"), ("x-other", "1")], "hi"));
    let route = handler.layer(cache_endpoint(&http, minutes(5)));
    let served = serve(Router::new().route("/", route)).await;
    assert_eq!(get(served.addr, "/", &WS1).await.header("ratelimit"), Some("\"up\";r=3;t=9"));
    let hit = get(served.addr, "/", &WS1).await;
    assert_eq!((hit.header("ratelimit"), hit.header("x-other")), (None, Some("1")));
}

/// What is counted is no entry: it is not found by what looks for entries, and nothing that clears
/// the cache gives anybody more.
#[tokio::test]
async fn counters_are_no_entries() {
    let cache: Cache = redis_cache();
    let http = http(cache.clone());
    let limit = rate_limit(&http, "api", 1, minutes(1));
    let served = serve(Router::new().route("/", Calls::default().route().layer(limit))).await;
    assert_eq!(statuses(served.addr, "/", &WS1, 2).await, [200, 429]);
    cache.clear_all().await.unwrap();
    cache.invalidate(cache_core::Scope::workspace("ws1")).await.unwrap();
    assert_eq!(statuses(served.addr, "/", &WS1, 1).await, [429]);
    assert_eq!(statuses(served.addr, "/", &WS2, 2).await, [200, 429]);
    let keys = shared_redis().keys("*:rate:w60000:api:ws2");
    assert_eq!(keys.len(), 1, "{keys:?}");
}
