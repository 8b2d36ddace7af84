//! What requests may ask of the cache.

use cache_core::{Clock, seconds};
use cache_tower::HttpCache;
use http_body_util::Full;

use super::origin::{App, HIT, Lines, MISS, Origin, START, field, memory, request, told};

const FRESH: Lines<'static> = &[("cache-control", "max-age=60")];

#[tokio::test]
async fn who_wants_it_newer_gets_it_from_the_origin_and_it_is_stored() {
    for lines in [
        &[("cache-control", "no-cache")][..],
        &[("cache-control", "max-age=0")],
        &[("cache-control", "max-age=5")],
        &[("cache-control", "min-fresh=55")],
        &[("pragma", "no-cache")],
    ] {
        let origin = Origin::fixed(200, FRESH, "body");
        let app = App::new(&origin);
        app.get("/a", &[]).await;
        app.clock.advance(seconds(10));
        assert_eq!(app.told("/a", lines).await, "fwd=request; stored", "{lines:?}");
        assert_eq!(origin.calls(), 2, "{lines:?}");
        let hit = app.get("/a", &[]).await;
        assert_eq!((told(&hit).as_str(), field(&hit, "age").as_str()), (HIT, "0"), "{lines:?}");
    }
}

#[tokio::test]
async fn who_is_content_with_it_gets_it_from_the_store() {
    let origin = Origin::fixed(200, FRESH, "body");
    let app = App::new(&origin);
    app.get("/a", &[]).await;
    app.clock.advance(seconds(10));
    for lines in [
        &[("cache-control", "max-age=20")][..],
        &[("cache-control", "min-fresh=40")],
        &[("cache-control", "max-stale")],
        &[("cache-control", "only-if-cached")],
        &[("cache-control", "x=\"no-cache\"")],
        &[("pragma", "x")],
    ] {
        assert_eq!(app.told("/a", lines).await, HIT, "{lines:?}");
    }
    assert_eq!(origin.calls(), 1);
}

#[tokio::test]
async fn what_clients_ask_of_caches_may_be_ignored() {
    let origin = Origin::fixed(200, FRESH, "body");
    let builder = HttpCache::builder(memory(&Clock::manual(START)));
    let app = App::layered(&builder.ignore_request_directives(true).build(), &origin);
    for (nth, lines) in [
        &[("cache-control", "no-store")][..],
        &[("cache-control", "no-cache")],
        &[("cache-control", "max-age=0")],
        &[("cache-control", "only-if-cached")],
        &[("cache-control", "min-fresh=100")],
        &[("pragma", "no-cache")],
    ]
    .into_iter()
    .enumerate()
    {
        let uri = format!("/{nth}");
        assert_eq!(app.told(&uri, lines).await, MISS, "{lines:?}");
        app.clock.advance(seconds(1));
        assert_eq!(app.told(&uri, lines).await, HIT, "{lines:?}");
        assert_eq!(origin.calls(), nth + 1, "{lines:?}");
        // The origin decides for itself what it makes of them.
        assert_eq!(origin.last().headers[lines[0].0], lines[0].1);
    }
}

#[tokio::test]
async fn only_if_cached_never_reaches_the_origin() {
    let origin = Origin::fixed(200, FRESH, "body");
    let app = App::new(&origin);
    let only = [("cache-control", "only-if-cached")];
    for method in ["GET", "HEAD"] {
        let response = app.send(request(method, "/a", &only)).await;
        assert_eq!(response.status(), 504);
        assert_eq!(told(&response), "detail=only-if-cached");
        assert!(response.body().is_empty());
    }
    assert_eq!(origin.calls(), 0);
    assert_eq!(app.told("/a", &[]).await, MISS);
    app.clock.advance(seconds(60));
    assert_eq!(app.get("/a", &only).await.status(), 504);
}

/// Clients that wanted a stored response or none reached the origin where theirs was a request that
/// goes past the cache.
#[tokio::test]
async fn nor_does_it_where_others_go_past_the_cache() {
    let origin = Origin::fixed(200, FRESH, "body");
    let builder = HttpCache::builder(memory(&Clock::manual(START)));
    let http = builder.skip_cache(|request| request.headers().contains_key("x-preview"));
    let app = App::layered(&http.ignore_query(["utm"]).bypass_unkeyed_query().build(), &origin);
    assert_eq!(app.told("/a", &[]).await, MISS);
    let only = ("cache-control", "only-if-cached");
    for (uri, line) in [
        ("/a", ("x-preview", "1")),
        ("/a?utm=1", ("x-other", "1")),
        ("/a", ("cache-control", "no-store")),
        ("/a", ("if-match", "*")),
        ("/a", ("content-length", "3")),
        ("/a", ("x-original-url", "/b")),
        ("/a", ("x-workspace-id", "")),
        ("/a", ("authorization", "Bearer a")),
    ] {
        for method in ["GET", "HEAD"] {
            let before = (origin.calls(), app.http.stats());
            let response = app.send(request(method, uri, &[only, line])).await;
            assert_eq!(response.status(), 504, "{line:?}");
            assert_eq!(told(&response), "detail=only-if-cached", "{line:?}");
            let after = app.http.stats();
            assert_eq!((origin.calls(), after.misses), (before.0, before.1.misses + 1));
            assert_eq!(after.bypasses, before.1.bypasses);
        }
    }
    // These are no questions to a cache.
    let others = [("OPTIONS", ("x-other", "1")), ("GET", ("upgrade", "websocket"))];
    for (method, line) in others {
        assert_eq!(app.send(request(method, "/a", &[only, line])).await.status(), 200);
    }
}

#[tokio::test]
async fn what_goes_past_the_cache_reaches_the_origin_as_it_is() {
    let cases: [(Lines<'static>, &str); 11] = [
        (&[("cache-control", "no-store")], "no-store"),
        (&[("if-match", "\"a\"")], "precondition"),
        (&[("if-unmodified-since", "Tue, 14 Nov 2023 22:13:20 GMT")], "precondition"),
        (&[("content-length", "3")], "request-body"),
        (&[("transfer-encoding", "chunked")], "request-body"),
        (&[("upgrade", "websocket"), ("connection", "upgrade")], "upgrade"),
        (&[("x-original-url", "/admin")], "override"),
        (&[("x-rewrite-url", "/admin")], "override"),
        (&[("x-http-method-override", "DELETE")], "override"),
        (&[("x-http-method", "DELETE")], "override"),
        (&[("x-method-override", "DELETE")], "override"),
    ];
    let origin = Origin::fixed(200, FRESH, "body");
    let app = App::new(&origin);
    app.get("/a", &[]).await;
    for (lines, reason) in cases {
        let before = origin.calls();
        let response = app.get("/a", lines).await;
        assert_eq!(told(&response), format!("fwd=bypass; detail={reason}"), "{lines:?}");
        assert_eq!(&response.body()[..], b"body");
        assert_eq!(origin.calls(), before + 1, "{lines:?}");
        let seen = origin.last().headers;
        for (name, value) in lines {
            assert_eq!(seen[*name], *value);
        }
        // Nor has it changed what is stored, nor stored anything elsewhere.
        assert_eq!(app.told("/a", &[]).await, HIT);
        app.get("/elsewhere", lines).await;
        let only = app.get("/elsewhere", &[("cache-control", "only-if-cached")]).await;
        assert_eq!(only.status(), 504, "{lines:?}");
    }
}

#[tokio::test]
async fn a_get_with_a_body_goes_past_the_cache() {
    let origin = Origin::fixed(200, FRESH, "body");
    let app = App::new(&origin);
    app.get("/a", &[]).await;
    let with_body = request("GET", "/a", &[]).map(|_| Full::from("filter"));
    assert_eq!(told(&app.send(with_body).await), "fwd=bypass; detail=request-body");
    assert_eq!(origin.calls(), 2);
}

#[tokio::test]
async fn safe_methods_other_than_get_and_head_change_nothing() {
    let origin = Origin::fixed(200, FRESH, "body");
    let app = App::new(&origin);
    app.get("/a", &[]).await;
    for method in ["OPTIONS", "TRACE", "PROPFIND", "QUERY", "REPORT", "SEARCH"] {
        assert_eq!(told(&app.send(request(method, "/a", &[])).await), "fwd=method");
        assert_eq!(origin.last().method, method);
        assert_eq!(app.told("/a", &[]).await, HIT);
    }
}
