//! Every request is counted once, however it ends.

use bytes::Bytes;
use cache_core::minutes;
use cache_tests::body;
use cache_tower::{CacheLayer, CacheService, HttpCache};
use http::Request;
use http_body_util::Empty;
use tower::{Layer, ServiceExt};

use crate::setup::{App, Ask, Calls, Origin, app, at_rest, fresh, get, head, http, memory, origin};
use crate::setup::{send, settle};

fn request(method: &str, fields: &[(&str, &str)]) -> Ask {
    let mut request = Request::builder().method(method).uri("/a").header("host", "shop.example");
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    request.body(Empty::new()).expect("valid")
}

fn counted(http: &HttpCache) -> (u64, u64, u64) {
    let stats = http.stats();
    (stats.hits, stats.misses, stats.bypasses)
}

/// How a request ends.
#[derive(Clone, Copy, Debug)]
enum End {
    Error,
    Panic,
    Leaves,
}

async fn ends(app: &App, calls: &mut Calls, request: Ask, end: End) {
    let going = send(app, request);
    let call = calls.next().await;
    match end {
        End::Error => call.fail(),
        End::Panic => call.panic(),
        End::Leaves => {
            going.abort();
            settle().await;
            call.fail();
        }
    }
    settle().await;
    assert!(going.is_finished());
}

/// Requests whose service failed, or whose client left, were not counted at all.
#[tokio::test]
async fn also_without_a_response() {
    let cases = [
        (request("GET", &[]), (0, 1, 0)),
        (request("HEAD", &[]), (0, 1, 0)),
        (request("GET", &[("range", "bytes=0-1")]), (0, 1, 0)),
        (request("GET", &[("if-match", "*")]), (0, 0, 1)),
        (request("OPTIONS", &[]), (0, 0, 1)),
        (request("POST", &[]), (0, 0, 1)),
    ];
    for (request, expected) in cases {
        for end in [End::Error, End::Panic, End::Leaves] {
            let http = http(&memory());
            let (app, mut calls) = app(&http);
            ends(&app, &mut calls, request.clone(), end).await;
            at_rest(&http).await;
            assert_eq!(counted(&http), expected, "{request:?} {end:?}");
        }
    }
}

/// A request is counted though it is dropped before anything has happened.
#[tokio::test]
async fn also_when_it_is_never_polled() {
    let http = http(&memory());
    let (app, calls) = app(&http);
    for method in ["GET", "POST", "OPTIONS"] {
        let mut app = app.clone();
        drop(tower::Service::call(&mut app, request(method, &[])));
    }
    at_rest(&http).await;
    assert_eq!(counted(&http), (0, 1, 2));
    // And it does not set out by itself, an unsafe one least of all.
    assert_eq!(calls.count(), 0);
}

type Nested = CacheService<CacheService<Origin>>;

fn nested(http: &HttpCache) -> (Nested, Calls) {
    let (origin, calls) = origin();
    let inner = CacheLayer::endpoint(http, minutes(5)).layer(origin);
    (CacheLayer::new(http).layer(inner), calls)
}

/// Under two caches too, by the inner one.
#[tokio::test]
async fn once_under_two_caches() {
    for (n, end) in [End::Error, End::Panic, End::Leaves].into_iter().enumerate() {
        let http = http(&memory());
        let (app, mut calls) = nested(&http);
        for _ in 0..3 {
            let going = tokio::spawn(app.clone().oneshot(get("/a")));
            let call = calls.next().await;
            match end {
                End::Error => call.fail(),
                End::Panic => call.panic(),
                End::Leaves => {
                    going.abort();
                    settle().await;
                    call.fail();
                }
            }
            settle().await;
        }
        at_rest(&http).await;
        assert_eq!(counted(&http), (0, 3, 0), "{n}");
        let posted = tokio::spawn(app.clone().oneshot(request("POST", &[])));
        calls.next().await.fail();
        assert!(posted.await.expect("no panic").is_err());
        assert_eq!(counted(&http), (0, 3, 1), "{n}");
    }
}

/// Followers that leave while they wait are counted as well, and nobody twice.
#[tokio::test]
async fn once_in_a_herd_of_which_half_leave() {
    let http = http(&memory());
    let (app, mut calls) = app(&http);
    let herd: Vec<_> = (0..100).map(|_| send(&app, get("/a"))).collect();
    let call = calls.next().await;
    settle().await;
    for going in herd.iter().skip(1).step_by(2) {
        going.abort();
    }
    settle().await;
    call.answer(fresh(body::full(Bytes::from("hello"))));
    for going in herd.into_iter().step_by(2) {
        head(going).await;
    }
    at_rest(&http).await;
    assert_eq!(counted(&http), (0, 100, 0));
}
