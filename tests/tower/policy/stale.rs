//! What is stale and is used all the same: while it is refreshed, and when the origin fails.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use cache_core::{Clock, seconds};
use cache_tests::RedisServer;
use cache_tower::{CacheLayer, HttpCache, OriginUnreachable};
use http::{Request, Response};
use tower::{Layer, Service, ServiceExt, service_fn};

use super::origin::{
    App, Body, HIT, Lines, MISS, Origin, START, field, in_redis, memory, reply, request, told,
};

const STALE_HIT: &str = "hit; detail=stale-while-revalidate";
const ON_ERROR: &str = "fwd=stale; detail=stale-if-error";
const WINDOW: Lines<'static> = &[("cache-control", "max-age=10, stale-while-revalidate=20")];

/// Each answer tells its number.
fn counting(lines: Lines<'static>) -> Origin {
    let calls = AtomicUsize::new(0);
    Origin::new(move |_| reply(200, lines, &calls.fetch_add(1, Ordering::SeqCst).to_string()))
}

fn on_redis(redis: &RedisServer) -> HttpCache {
    HttpCache::builder(in_redis(redis, &Clock::manual(START))).build()
}

#[tokio::test]
async fn a_stale_response_is_given_at_once_and_refreshed_behind_it() {
    let redis = RedisServer::start();
    for in_memory in [true, false] {
        let origin = counting(WINDOW);
        let app =
            if in_memory { App::new(&origin) } else { App::layered(&on_redis(&redis), &origin) };
        for method in ["GET", "HEAD"] {
            app.get("/a", &[]).await;
            app.clock.advance(seconds(11));
            let before = origin.calls();
            let stale = app.send(request(method, "/a", &[])).await;
            assert_eq!((told(&stale).as_str(), field(&stale, "age").as_str()), (STALE_HIT, "11"));
            assert_eq!(origin.calls(), before + 1, "{method}");
            assert_eq!(origin.last().method, "GET");
            let fresh = app.get("/a", &[]).await;
            assert_eq!(told(&fresh), HIT, "{method}");
            assert_eq!(fresh.body(), before.to_string().as_bytes());
            app.clock.advance(seconds(31));
        }
        assert_eq!(app.told("/a", &[]).await, MISS, "beyond the window");
        let stats = app.http.stats();
        assert_eq!((stats.stale, stats.hits, stats.misses), (2, 4, 3));
    }
}

/// A refresh that failed was begun again with the next request, and the next.
#[tokio::test]
async fn an_origin_in_trouble_is_not_asked_all_the_time() {
    let (fails, origin) = failing("503");
    let app = App::new(&origin);
    let uri = "/a?stale-while-revalidate=60";
    app.get(uri, &[]).await;
    fails.store(true, Ordering::SeqCst);
    app.clock.advance(seconds(11));
    for _ in 0..50 {
        assert_eq!(app.told(uri, &[]).await, STALE_HIT);
    }
    assert_eq!(origin.calls(), 2);
    app.clock.advance(seconds(1));
    fails.store(false, Ordering::SeqCst);
    assert_eq!(app.told(uri, &[]).await, STALE_HIT);
    assert_eq!((app.told(uri, &[]).await.as_str(), origin.calls()), (HIT, 3));
}

#[tokio::test]
async fn grace_is_for_those_who_say_nothing_themselves() {
    for (directives, ends) in [
        (Some("max-age=10"), 40),
        (None, 40),
        (Some("max-age=10, stale-while-revalidate=5"), 15),
        (Some("max-age=10, must-revalidate"), 10),
    ] {
        let lines: Vec<_> = directives.map(|value| ("cache-control", value)).into_iter().collect();
        let origin = Origin::new(move |_| reply(200, &lines, ""));
        let clock = Clock::manual(START);
        let http = HttpCache::builder(memory(&clock)).build();
        let layer = CacheLayer::endpoint(&http, seconds(10)).grace(seconds(30));
        let app = App::of(&http, layer.layer(origin.clone()));
        app.get("/a", &[]).await;
        app.get("/b", &[]).await;
        app.clock.advance(seconds(ends - 1));
        let last = if ends == 10 { HIT } else { STALE_HIT };
        assert_eq!(app.told("/a", &[]).await, last, "{directives:?}");
        app.clock.advance(seconds(1));
        assert!(app.told("/b", &[]).await.starts_with("fwd="), "{directives:?}");
    }
    // What is stale at once stays so, whatever the cache as a whole grants.
    for (directives, told) in [("max-age=10", STALE_HIT), ("max-age=0", "fwd=stale; stored")] {
        let lines = [("cache-control", directives), ("etag", "\"a\"")];
        let origin = Origin::new(move |_| reply(200, &lines, ""));
        let cache = memory(&Clock::manual(START));
        let app = App::layered(&HttpCache::builder(cache).grace(seconds(30)).build(), &origin);
        app.get("/a", &[]).await;
        app.clock.advance(seconds(11));
        assert_eq!(app.told("/a", &[]).await, told, "{directives}");
    }
}

#[tokio::test]
async fn directives_that_forbid_it() {
    for directives in [
        "max-age=10, stale-while-revalidate=20, must-revalidate",
        "max-age=10, stale-while-revalidate=20, proxy-revalidate",
        "s-maxage=10, stale-while-revalidate=20, stale-if-error=20",
    ] {
        let lines = [("cache-control", directives)];
        let failing = Arc::new(AtomicBool::new(false));
        let origin = {
            let failing = Arc::clone(&failing);
            Origin::new(move |_| {
                let status = if failing.load(Ordering::SeqCst) { 503 } else { 200 };
                reply(status, &lines, "")
            })
        };
        let app = App::new(&origin);
        app.get("/a", &[]).await;
        app.clock.advance(seconds(11));
        failing.store(true, Ordering::SeqCst);
        let response = app.get("/a", &[]).await;
        assert_eq!(response.status(), 503, "{directives}");
    }
    // And requests that take nothing stale.
    let origin = counting(WINDOW);
    let app = App::new(&origin);
    app.get("/a", &[]).await;
    app.clock.advance(seconds(11));
    let strict = [("cache-control", "max-age=60")];
    assert_eq!(app.told("/a", &strict).await, "fwd=stale; stored");
}

#[tokio::test]
async fn a_client_may_take_it_stale() {
    let origin = counting(&[("cache-control", "max-age=10"), ("etag", "\"a\"")]);
    let app = App::new(&origin);
    app.get("/a", &[]).await;
    app.clock.advance(seconds(15));
    assert_eq!(app.told("/a", &[("cache-control", "max-stale=5")]).await, HIT);
    assert_eq!(app.told("/a", &[("cache-control", "max-stale, only-if-cached")]).await, HIT);
    assert_eq!(origin.calls(), 1);
    assert_eq!(app.told("/a", &[("cache-control", "max-stale=4")]).await, "fwd=stale; stored");
}

/// An origin that works, then fails in one of its ways, then works again.
fn failing(how: &'static str) -> (Arc<AtomicBool>, Origin) {
    let fails = Arc::new(AtomicBool::new(false));
    let origin = Origin::new({
        let fails = Arc::clone(&fails);
        move |request| {
            if !fails.load(Ordering::SeqCst) {
                let stale_if_error = request.uri().query().unwrap_or("stale-if-error=60");
                let directives = format!("max-age=10, {stale_if_error}");
                return reply(200, &[("cache-control", &directives)], "good");
            }
            let mut response = reply(how.parse().unwrap_or(502), &[], "bad");
            if how == "unreachable" {
                response.extensions_mut().insert(OriginUnreachable);
            }
            response
        }
    });
    (fails, origin)
}

#[tokio::test]
async fn a_failing_origin_is_stood_in_for() {
    for (how, directive, stood_in) in [
        ("500", "stale-if-error=60", true),
        ("502", "stale-if-error=60", true),
        ("503", "stale-if-error=60", true),
        ("504", "stale-if-error=60", true),
        ("501", "stale-if-error=60", false),
        ("404", "stale-if-error=60", false),
        ("503", "public", false),
        ("unreachable", "public", true),
        ("unreachable", "stale-if-error=60", true),
        ("unreachable", "must-revalidate", false),
    ] {
        let (fails, origin) = failing(how);
        let app = App::new(&origin);
        let uri = format!("/a?{directive}");
        assert_eq!(app.told(&uri, &[]).await, MISS);
        app.clock.advance(seconds(15));
        fails.store(true, Ordering::SeqCst);
        let response = app.get(&uri, &[]).await;
        let answered =
            how.parse::<u16>().map_or(String::new(), |status| format!("fwd-status={status}; "));
        let on_error = format!("fwd=stale; {answered}detail=stale-if-error");
        let found = (&response.body()[..], told(&response) == on_error);
        let expected = if stood_in { (&b"good"[..], true) } else { (&b"bad"[..], false) };
        assert_eq!(found, expected, "{how} {directive}: {}", told(&response));
        if how != "404" {
            // HEAD was given the error where GET was not.
            let head = app.send(request("HEAD", &uri, &[])).await;
            assert_eq!(head.status(), response.status(), "{how}");
            assert!(!stood_in || head.body().is_empty(), "{how}");
            assert_eq!(told(&head) == on_error, stood_in, "{how} {directive}");
        }
        fails.store(false, Ordering::SeqCst);
        // A server error says nothing about what is stored.
        let again = app.told(&uri, &[]).await;
        let is_kept = how != "404" && directive != "must-revalidate";
        assert_eq!(again, if is_kept { "fwd=stale; stored" } else { MISS }, "{how}");
    }
}

#[tokio::test]
async fn a_service_that_gives_no_response_is_stood_in_for_too() {
    let clock = Clock::manual(START);
    let http = HttpCache::builder(memory(&clock)).build();
    let fails = Arc::new(AtomicBool::new(false));
    let origin = service_fn({
        let fails = Arc::clone(&fails);
        move |_: Request<Body>| {
            let fails = fails.load(Ordering::SeqCst);
            let lines = &[("cache-control", "max-age=10")];
            std::future::ready(if fails { Err("gone") } else { Ok(reply(200, lines, "good")) })
        }
    });
    let mut app = CacheLayer::new(&http).layer(origin);
    let mut ask = async |lines: Lines<'_>| {
        let response: Result<Response<_>, _> =
            app.ready().await.expect("ready").call(request("GET", "/a", lines)).await;
        let response = response?;
        let told = told(&response);
        let collected = http_body_util::BodyExt::collect(response.into_body());
        collected.await.expect("a body");
        Ok::<_, &str>(told)
    };
    assert_eq!(ask(&[]).await.expect("good"), MISS);
    fails.store(true, Ordering::SeqCst);
    clock.advance(seconds(19));
    assert_eq!(ask(&[("cache-control", "no-cache")]).await, Err("gone"));
    assert_eq!(ask(&[]).await, Ok(ON_ERROR.to_owned()));
    clock.advance(seconds(1));
    assert_eq!(ask(&[]).await, Err("gone"));
}

/// Not what is stored, nor an answer of the cache's own (RFC 9111 §5.2.2.2).
#[tokio::test]
async fn what_must_be_validated_is_an_error_when_there_is_no_response() {
    let clock = Clock::manual(START);
    let http = HttpCache::builder(memory(&clock)).build();
    let fails = Arc::new(AtomicBool::new(false));
    let origin = service_fn({
        let fails = Arc::clone(&fails);
        move |_: Request<Body>| {
            let lines = &[("cache-control", "max-age=10, must-revalidate"), ("etag", "\"a\"")];
            let fails = fails.load(Ordering::SeqCst);
            std::future::ready(if fails { Err("gone") } else { Ok(reply(200, lines, "good")) })
        }
    });
    let app = CacheLayer::new(&http).layer(origin);
    let ask = async || {
        let response = app.clone().oneshot(request("GET", "/a", &[])).await?;
        let told = told(&response);
        http_body_util::BodyExt::collect(response.into_body()).await.expect("a body");
        Ok::<_, &str>(told)
    };
    assert_eq!(ask().await, Ok(MISS.to_owned()));
    clock.advance(seconds(11));
    fails.store(true, Ordering::SeqCst);
    assert_eq!(ask().await, Err("gone"));
    fails.store(false, Ordering::SeqCst);
    assert_eq!(ask().await, Ok("fwd=stale; stored".to_owned()));
}
