//! It is reached by its own paths and methods, and by nothing that only looks like them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use cache_axum::admin::{Denied, Principal};
use cache_tests::http_client::Client;
use http::request::Parts;

use super::rig::{OPERATOR, bearer, json, rig};
use crate::setup::{http, memory_cache, serve};

/// Sends a request as it is, with credentials that are right; the status.
async fn raw(addr: std::net::SocketAddr, method: &str, target: &str, more: &str) -> u16 {
    let mut client = Client::connect(addr).await.unwrap();
    let auth = bearer(OPERATOR);
    let head = format!(
        "{method} {target} HTTP/1.1\r\nHost: {addr}\r\n{auth}\r\n\
         Content-Type: application/json\r\nContent-Length: 2\r\nConnection: close\r\n{more}\r\n{{}}"
    );
    client.send_raw(head.as_bytes()).await.unwrap();
    client.read_head().await.unwrap().status
}

#[tokio::test]
async fn what_only_looks_like_its_paths_is_not_there() {
    let rig = rig(memory_cache()).await;
    rig.cache.set("reports", "ws1:1", "value").await.unwrap();
    assert_eq!(raw(rig.addr(), "GET", "/api/cache/stats", "").await, 200, "it is there");
    for target in [
        "/api/cache//stats",
        "/api//cache/stats",
        "//api/cache/stats",
        "/api/cache/%73tats",
        "/api/cache/%2Fstats",
        "/api/cache%2Fstats",
        "/api%2Fcache/stats",
        "/%61pi/cache/stats",
        "/api/cache/stats/",
        "/api/cache/stats%00",
        "/api/cache/stats%20",
        "/api/cache/stats;x=1",
        "/api/cache/stats.json",
        "/api/cache/Stats",
        "/API/CACHE/stats",
        "/api/cache/./stats",
        "/api/cache/../cache/stats",
        "/api/cache/../stats",
        "/api/cache/x/../stats",
        "/api/cache/%2e%2e/stats",
        "/api/cache/..%2fstats",
        "/api/cache\\stats",
        "/campaigns/../api/cache/stats",
        "/stats",
        "/workspace/ws1/stats",
    ] {
        let status = raw(rig.addr(), "GET", target, "").await;
        assert!(matches!(status, 400 | 404), "GET {target}: {status}");
    }
    for target in [
        "/api/cache/%63lear?all=true",
        "/api/cache//clear?all=true",
        "/api/cache/clear/?all=true",
        "/api/cache/CLEAR?all=true",
        "/clear?all=true",
        "/api/cache?all=true&path=/clear",
    ] {
        let status = raw(rig.addr(), "POST", target, "").await;
        assert!(matches!(status, 400 | 404 | 405), "POST {target}: {status}");
    }
    assert_eq!(rig.cache.get::<String>("reports", "ws1:1").await.unwrap().unwrap(), "value");
    assert_eq!(raw(rig.addr(), "POST", "/api/cache/clear?all=true", "").await, 200);
    assert_eq!(rig.cache.get::<String>("reports", "ws1:1").await.unwrap(), None);
}

#[tokio::test]
async fn no_other_method_reaches_it_and_no_header_makes_one_of_another() {
    let rig = rig(memory_cache()).await;
    rig.cache.set("reports", "ws1:1", "value").await.unwrap();
    let routes = ["/api/cache/stats", "/api/cache/clear?all=true", "/api/cache"];
    for target in routes {
        for method in
            ["HEAD", "OPTIONS", "PUT", "PATCH", "DELETE", "TRACE", "QUERY", "CLEAR", "get"]
        {
            assert_eq!(raw(rig.addr(), method, target, "").await, 405, "{method} {target}");
        }
        // As a browser asks before it sends what is not simple: no word of CORS.
        let preflight = "Origin: https://evil.example\r\nAccess-Control-Request-Method: POST\r\n";
        assert_eq!(raw(rig.addr(), "OPTIONS", target, preflight).await, 405);
    }
    for (method, target) in [
        ("GET", "/api/cache/clear?all=true"),
        ("GET", "/api/cache/invalidate"),
        ("GET", "/api/cache/version/bump?namespace=reports"),
        ("POST", "/api/cache/stats"),
        ("POST", "/api/cache/openapi.json"),
    ] {
        assert_eq!(raw(rig.addr(), method, target, "").await, 405, "{method} {target}");
    }
    for field in [
        "X-HTTP-Method-Override: POST",
        "X-HTTP-Method: POST",
        "X-Method-Override: POST",
        "X-Original-URL: /api/cache/clear?all=true",
        "X-Rewrite-URL: /api/cache/clear?all=true",
        "X-Original-URI: /api/cache/clear?all=true",
    ] {
        let more = format!("{field}\r\n");
        for (method, target) in [
            ("GET", "/api/cache/clear?all=true"),
            ("GET", "/api/cache/stats"),
            ("POST", "/api/cache/invalidate"),
        ] {
            assert_eq!(raw(rig.addr(), method, target, &more).await, 400, "{field} {target}");
        }
        // And from elsewhere it leads nowhere.
        assert_eq!(raw(rig.addr(), "GET", "/campaigns/1", &more).await, 200);
        assert_eq!(raw(rig.addr(), "POST", "/elsewhere", &more).await, 404);
    }
    assert_eq!(raw(rig.addr(), "POST", "/api/cache/stats?_method=GET", "").await, 405);
    assert_eq!(rig.cache.get::<String>("reports", "ws1:1").await.unwrap().unwrap(), "value");
}

#[tokio::test]
async fn a_refused_method_is_told_which_are_not() {
    let rig = rig(memory_cache()).await;
    let auth = bearer(OPERATOR);
    let get = rig.ask("GET", "/clear?all=true", &[&auth], b"").await;
    assert_eq!((get.status, get.header_all("allow")), (405, vec!["POST"]));
    assert_eq!(json(&get)["status"], 405);
    let json_type = "Content-Type: application/json";
    let post = rig.ask("POST", "/stats", &[&auth, json_type], b"{}").await;
    assert_eq!((post.status, post.header_all("allow")), (405, vec!["GET"]));
    let options = rig.ask("OPTIONS", "/stats", &[&auth, "Origin: http://a.example"], b"").await;
    assert_eq!(options.header_all("allow"), ["GET, POST"]);
    let cors = options.headers.iter().filter(|(name, _)| name.starts_with("access-control-"));
    assert_eq!(cors.count(), 0);
}

#[tokio::test]
async fn at_the_root_of_a_service_it_works_as_well() {
    let http = http(memory_cache());
    let admin = cache_axum::admin(&http).authorize(super::rig::tokens()).build().unwrap();
    let served = serve(admin).await;
    assert_eq!(raw(served.addr, "GET", "/stats", "").await, 200);
    assert_eq!(raw(served.addr, "GET", "/", "").await, 200);
    for target in ["//stats", "/%73tats", "/stats/", "/../stats", "//"] {
        let status = raw(served.addr, "GET", target, "").await;
        assert!(matches!(status, 400 | 404), "{target}: {status}");
    }
}

/// Under a path with a parameter of its own, no workspace was found.
#[tokio::test]
async fn it_may_be_nested_under_a_path_with_parameters() {
    let http = http(memory_cache());
    let admin = cache_axum::admin(&http).authorize(super::rig::tokens()).build().unwrap();
    let served = serve(Router::new().nest("/regions/{region}/cache", admin)).await;
    assert_eq!(raw(served.addr, "GET", "/regions/eu/cache/workspace/ws1/stats", "").await, 200);
    assert_eq!(raw(served.addr, "GET", "/regions/eu/cache/workspace/%FF/stats", "").await, 404);
    assert_eq!(raw(served.addr, "GET", "/regions/eu/cache/stats", "").await, 200);
}

/// A cache layer around it stores nothing of it, and makes nobody wait for another: not even where
/// credentials share, and an application's own layer takes `no-store` away.
#[tokio::test]
async fn the_cache_around_it_leaves_it_alone() {
    static CALLS: AtomicUsize = AtomicUsize::new(0);
    async fn slowly(_: &Parts) -> Result<Principal, Denied> {
        CALLS.fetch_add(1, Ordering::SeqCst);
        ALL_THERE.wait().await;
        Ok(Principal::operator())
    }
    static ALL_THERE: std::sync::LazyLock<Arc<tokio::sync::Barrier>> =
        std::sync::LazyLock::new(|| Arc::new(tokio::sync::Barrier::new(5)));

    let cache = memory_cache();
    let http = cache_tower::HttpCache::builder(cache.clone()).share_within_workspace().build();
    let admin: Router = cache_axum::admin(&http).authorize_with(slowly).build().unwrap();
    let loosened = tower::ServiceBuilder::new()
        .layer(cache_tower::CacheLayer::endpoint(&http, cache_core::minutes(5)))
        .layer(axum::middleware::map_response(async |mut response: axum::response::Response| {
            let cacheable = http::HeaderValue::from_static("public, max-age=60");
            response.headers_mut().insert("cache-control", cacheable);
            response
        }));
    let served = serve(Router::new().nest("/api/cache", admin).layer(loosened)).await;
    // Each comes in only when all have: had one to wait for another, none would be answered.
    let asked = (0..5).map(|_| {
        tokio::spawn(async move { raw(served.addr, "GET", "/api/cache/stats", "").await })
    });
    for one in asked.collect::<Vec<_>>() {
        assert_eq!(one.await.unwrap(), 200);
    }
    assert_eq!(CALLS.load(Ordering::SeqCst), 5);
    assert_eq!(cache.gauges().memory.entries, 0, "nothing of it is stored");
}
