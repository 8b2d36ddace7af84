//! A HEAD that goes to the origin speaks of the stored GET as well (RFC 9111 §4.3.5).

use cache_core::{Clock, seconds};
use cache_tests::RedisServer;
use cache_tower::{HttpCache, OriginUnreachable};

use super::origin::{
    App, Body, HIT, Lines, MISS, Origin, START, field, in_redis, memory, reply, request, told,
};

const STORED: Lines<'static> =
    &[("cache-control", "max-age=10"), ("etag", "\"one\""), ("x-version", "1"), ("x-kept", "yes")];
const PASSED: &str = "fwd=stale; detail=method";
const CONFIRMED: &str = "fwd=stale; fwd-status=304";

/// Answers HEAD by `head`, and GET with what is stored, or 304.
fn origin(head: impl Fn() -> http::Response<Body> + Send + Sync + 'static) -> Origin {
    Origin::new(move |request| match request.method().as_str() {
        "HEAD" => head(),
        _ if request.headers().contains_key("if-none-match") => reply(304, STORED, ""),
        _ => reply(200, STORED, "body"),
    })
}

/// What a GET meets after a HEAD has met something stale, and got this.
async fn after(head: impl Fn() -> http::Response<Body> + Send + Sync + 'static) -> String {
    let app = App::new(&origin(head));
    app.get("/a", &[]).await;
    app.clock.advance(seconds(11));
    let of_head = told(&app.send(request("HEAD", "/a", &[])).await);
    assert!([PASSED, "fwd=stale; detail=stale-if-error"].contains(&of_head.as_str()), "{of_head}");
    let told = app.told("/a", &[]).await;
    let stats = app.http.stats();
    assert_eq!(stats.hits + stats.misses, 3);
    assert_eq!(stats.hits, u64::from(told == HIT));
    told
}

#[tokio::test]
async fn a_200_with_its_validators_makes_it_fresh_and_updates_its_headers() {
    let redis = RedisServer::start();
    let clock = Clock::manual(START);
    for cache in [memory(&clock), in_redis(&redis, &clock)] {
        let head: Lines<'_> = &[
            ("cache-control", "max-age=20"),
            ("etag", "\"one\""),
            ("content-length", "4"),
            ("x-version", "2"),
            ("content-encoding", "br"),
            ("set-cookie", "a=b"),
            ("age", "3"),
        ];
        let origin = origin(move || reply(200, head, ""));
        let app = App::layered(&HttpCache::builder(cache).strip_set_cookie().build(), &origin);
        assert_eq!(app.told("/a", &[]).await, MISS);
        app.clock.advance(seconds(11));
        let passed = app.send(request("HEAD", "/a", &[])).await;
        // Its own client gets it as it is.
        assert_eq!((told(&passed), field(&passed, "set-cookie")), (PASSED.into(), "a=b".into()));
        assert_eq!((origin.last().method.as_str(), origin.calls()), ("HEAD", 2));
        app.clock.advance(seconds(16));
        for method in ["GET", "HEAD"] {
            let hit = app.send(request(method, "/a", &[])).await;
            assert_eq!((told(&hit).as_str(), field(&hit, "age").as_str()), (HIT, "19"));
            let body = if method == "GET" { &b"body"[..] } else { b"" };
            assert_eq!(&hit.body()[..], body);
            for (name, value) in [
                ("x-version", "2"),
                ("x-kept", "yes"),
                ("content-length", "4"),
                ("content-encoding", "-"),
                ("set-cookie", "-"),
            ] {
                assert_eq!(field(&hit, name), value, "{name}");
            }
        }
        app.clock.advance(seconds(1));
        assert_eq!(app.told("/a", &[]).await, CONFIRMED);
        app.clock.advance(seconds(1_000));
    }
}

#[tokio::test]
async fn one_that_differs_or_is_gone_makes_it_invalid() {
    let cases: &[(u16, Lines<'static>)] = &[
        (200, &[("etag", "\"two\"")]),
        (200, &[("etag", "\"one\""), ("content-length", "5")]),
        (200, &[("content-length", "5")]),
        (200, &[("last-modified", "Mon, 13 Nov 2023 22:13:20 GMT")]),
        (200, &[("etag", "\"one\""), ("vary", "accept")]),
        // The same, but not for this cache any more.
        (200, &[("etag", "\"one\""), ("cache-control", "private")]),
        (404, &[]),
        (410, &[("etag", "\"one\""), ("cache-control", "max-age=60")]),
    ];
    for (status, head) in cases {
        assert_eq!(after(|| reply(*status, head, "")).await, MISS, "{status} {head:?}");
    }
}

#[tokio::test]
async fn what_says_nothing_of_it_leaves_it() {
    let cases: &[(u16, Lines<'static>)] = &[
        (500, &[]),
        (503, &[("etag", "\"two\"")]),
        (405, &[]),
        (401, &[]),
        (304, &[("etag", "\"one\"")]),
        // No validator: the same length is not the same bytes.
        (200, &[("cache-control", "max-age=60"), ("content-length", "4")]),
        (200, &[("cache-control", "max-age=60")]),
    ];
    for (status, head) in cases {
        assert_eq!(after(|| reply(*status, head, "")).await, CONFIRMED, "{status} {head:?}");
    }
    // Nor do those who only stand for the origin; then what is stored stands for it.
    let unreachable = || {
        let mut response = reply(404, &[], "");
        response.extensions_mut().insert(OriginUnreachable);
        response
    };
    assert_eq!(after(unreachable).await, CONFIRMED);
    let told_not_to = || {
        let mut response = reply(200, STORED, "");
        response.extensions_mut().insert(cache_tower::NoStore);
        response
    };
    assert_eq!(after(told_not_to).await, CONFIRMED);
}

#[tokio::test]
async fn a_client_that_wants_it_fresh_has_it_updated_too() {
    let origin = origin(|| reply(200, &[("etag", "\"one\""), ("x-version", "2")], ""));
    let app = App::new(&origin);
    app.get("/a", &[]).await;
    app.clock.advance(seconds(5));
    let head = app.send(request("HEAD", "/a", &[("cache-control", "no-cache")])).await;
    assert_eq!(told(&head), "fwd=request; detail=method");
    app.clock.advance(seconds(9));
    let hit = app.get("/a", &[]).await;
    assert_eq!((told(&hit).as_str(), field(&hit, "age").as_str()), (HIT, "9"));
    assert_eq!(field(&hit, "x-version"), "2");
}

/// Whose response is stored, and for whom, a HEAD with credentials does not change.
#[tokio::test]
async fn a_head_with_credentials_changes_nothing() {
    let lines: Lines<'_> = &[("cache-control", "max-age=60"), ("etag", "\"one\"")];
    let app = App::new(&origin(move || reply(200, lines, "")));
    app.get("/a", &[]).await;
    app.clock.advance(seconds(11));
    let head = app.send(request("HEAD", "/a", &[("authorization", "Bearer x")])).await;
    assert_eq!(told(&head), "fwd=bypass; detail=credentials");
    assert_eq!(app.told("/a", &[]).await, CONFIRMED);
}
