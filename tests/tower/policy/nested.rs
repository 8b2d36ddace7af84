//! A cache around a cache: the inner one wins.

use std::convert::Infallible;
use std::time::Duration;

use cache_core::{Clock, minutes};
use cache_tower::{CacheLayer, HttpCache};
use http::{Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use tower::{Layer, ServiceExt, service_fn};

use super::origin::{
    AnyBody, App, Body, HIT, Lines, MISS, Origin, PATIENCE, START, field, memory, request, told,
};

const PASS: (&str, &str) = ("x-pass", "yes");

fn http() -> HttpCache {
    HttpCache::builder(memory(&Clock::manual(START))).build()
}

/// A cache, around a guard who wants to see a pass, around this.
fn guarded(inner: &App) -> App {
    let endpoint = inner.clone();
    let guard = service_fn(move |request: Request<Body>| {
        let endpoint = endpoint.clone();
        async move {
            if request.headers().contains_key(PASS.0) {
                return Ok(endpoint.call(request).await);
            }
            let body = UnsyncBoxBody::new(Full::from("who are you?").map_err(Into::into));
            let mut refusal = Response::new(body);
            *refusal.status_mut() = StatusCode::UNAUTHORIZED;
            Ok::<Response<AnyBody>, Infallible>(refusal)
        }
    });
    App::of(&inner.http, CacheLayer::new(&inner.http).layer(guard))
}

/// Both caches over this origin.
fn nested(origin: &Origin) -> App {
    guarded(&App::endpoint(&http(), minutes(1), origin))
}

fn requests(app: &App) -> u64 {
    let stats = app.http.stats();
    stats.hits + stats.misses + stats.bypasses
}

#[tokio::test]
async fn the_inner_one_stores_and_answers() {
    for lines in [&[][..], &[("cache-control", "max-age=60")]] {
        let origin = Origin::fixed(200, lines, "body");
        let app = nested(&origin);
        for (count, expected) in [(1, MISS), (2, HIT), (3, HIT)] {
            let response = app.get("/a", &[PASS]).await;
            assert_eq!(field(&response, "cache-status"), format!("cache-tower; {expected}"));
            assert_eq!(requests(&app), count);
        }
        assert_eq!(origin.calls(), 1);
        let stats = app.http.stats();
        assert_eq!((stats.hits, stats.misses, stats.bypasses), (2, 1, 0));
    }
}

#[tokio::test]
async fn one_cache_speaks_whatever_the_request() {
    let app = nested(&Origin::fixed(200, &[], "body"));
    let cases: [(&str, Lines<'_>, &str); 8] = [
        ("GET", &[PASS], MISS),
        ("HEAD", &[PASS], HIT),
        ("GET", &[PASS, ("range", "bytes=0-1")], HIT),
        ("GET", &[PASS, ("authorization", "a")], "fwd=bypass; detail=credentials"),
        ("GET", &[PASS, ("x-workspace-id", "")], "fwd=bypass; detail=workspace"),
        ("OPTIONS", &[PASS], "fwd=method"),
        ("POST", &[PASS], "fwd=method"),
        ("HEAD", &[PASS], "fwd=uri-miss; detail=method"),
    ];
    for (count, (method, lines, expected)) in (1..).zip(cases) {
        let response = app.send(request(method, "/a", lines)).await;
        assert_eq!(field(&response, "cache-status"), format!("cache-tower; {expected}"));
        assert_eq!(requests(&app), count, "{method} {lines:?}");
    }
}

#[tokio::test]
async fn nobody_gets_past_what_stands_between_them() {
    let origin = Origin::fixed(200, &[("cache-control", "public, max-age=60")], "body");
    let app = nested(&origin);
    for round in 0..3 {
        let response = app.get("/a", &[PASS]).await;
        assert_eq!(told(&response), if round == 0 { MISS } else { HIT });
        for method in ["GET", "HEAD"] {
            for lines in [&[][..], &[("if-none-match", "*")], &[("accept", "text/plain")]] {
                let response = app.send(request(method, "/a", lines)).await;
                assert_eq!(response.status(), 401, "{method} {lines:?}");
                assert_ne!(&response.body()[..], b"body");
            }
        }
    }
    assert_eq!(origin.calls(), 1);
    assert_eq!(requests(&app), 3 * 7);
}

#[tokio::test]
async fn nor_when_they_are_refused_first() {
    let app = nested(&Origin::fixed(200, &[], "body"));
    assert_eq!(app.get("/a", &[]).await.status(), 401);
    assert_eq!(app.told("/a", &[PASS]).await, MISS);
    assert_eq!(app.told("/a", &[PASS]).await, HIT);
    assert_eq!(app.get("/a", &[]).await.status(), 401);
}

#[tokio::test]
async fn a_post_through_both_forgets_what_the_inner_one_has() {
    let origin = Origin::fixed(200, &[], "body");
    let app = nested(&origin);
    for count in [1, 3] {
        assert_eq!(app.told("/a", &[PASS]).await, MISS);
        assert_eq!(app.told("/a", &[PASS]).await, HIT);
        assert_eq!(origin.calls(), count);
        let response = app.send(request("POST", "/a", &[PASS])).await;
        assert_eq!(field(&response, "cache-status"), "cache-tower; fwd=method");
    }
}

#[tokio::test]
async fn two_caches_of_different_names_and_stores() {
    let origin = Origin::fixed(200, &[("cache-control", "max-age=60")], "body");
    let inner = HttpCache::builder(memory(&Clock::manual(START))).name("inner").build();
    let inner = App::layered(&inner, &origin);
    let through = inner.clone();
    let service = service_fn(move |request: Request<Body>| {
        let through = through.clone();
        async move { Ok::<_, Infallible>(through.call(request).await) }
    });
    let outer = http();
    let app = App::of(&outer, CacheLayer::new(&outer).layer(service));
    for expected in [MISS, HIT, HIT] {
        let response = app.get("/a", &[]).await;
        assert_eq!(field(&response, "cache-status"), format!("inner; {expected}"));
    }
    assert_eq!((requests(&inner), requests(&app)), (3, 0));
}

/// Both caches over an origin that takes its time.
fn slow(origin: &Origin) -> App {
    let http = http();
    let origin = origin.clone();
    let service = service_fn(move |request: Request<Body>| {
        let origin = origin.clone();
        async move {
            tokio::time::sleep(Duration::from_millis(20)).await;
            origin.oneshot(request).await
        }
    });
    let layer = CacheLayer::endpoint(&http, minutes(1));
    guarded(&App::of(&http, layer.layer(service)))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_at_once_finish() {
    for uris in [1_usize, 7] {
        let origin = Origin::fixed(200, &[], "body");
        let app = slow(&origin);
        let mut tasks = tokio::task::JoinSet::new();
        for nth in 0..100 {
            let app = app.clone();
            let request = request("GET", &format!("/{}", nth % uris), &[PASS]);
            tasks.spawn(async move { app.send(request).await });
        }
        let all = async {
            while let Some(response) = tasks.join_next().await {
                let response = response.expect("no panic");
                assert_eq!(&response.body()[..], b"body");
                let members = field(&response, "cache-status");
                assert!(!members.contains(','), "{members}");
            }
        };
        tokio::time::timeout(PATIENCE, all).await.expect("they finish");
        assert_eq!(origin.calls(), uris);
        assert_eq!(requests(&app), 100);
        assert_eq!(app.http.flights(), 0);
    }
}
