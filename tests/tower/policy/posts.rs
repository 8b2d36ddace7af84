//! POST whose response says that it is what a GET would bring (RFC 9110 §9.3.3): stored, where the
//! application wants it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use cache_core::{Clock, minutes, seconds};
use cache_tests::RedisServer;
use cache_tower::{CacheTtl, HttpCache, HttpCacheBuilder, InvalidateLayer, NoStore};
use http::Request;
use tower::Layer;

use super::origin::{
    App, Body, HIT, Lines, MISS, Origin, START, field, in_redis, memory, reply, request, told,
};

const STORED: &str = "fwd=method; stored";
const FRESH: (&str, &str) = ("cache-control", "max-age=60");
const HERE: (&str, &str) = ("content-location", "/a?q=1");

fn http() -> HttpCacheBuilder {
    HttpCache::builder(memory(&Clock::manual(START))).store_posts(true)
}

/// POSTs get this; each other request another number.
fn answering(lines: Lines<'_>) -> Origin {
    let lines: Vec<_> = lines.iter().map(|(n, v)| (n.to_string(), v.to_string())).collect();
    let gets = AtomicUsize::new(0);
    Origin::new(move |request| {
        let lines: Vec<_> = lines.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        match request.method().as_str() {
            "POST" => reply(200, &lines, "posted"),
            _ => reply(200, &[FRESH], &gets.fetch_add(1, Ordering::SeqCst).to_string()),
        }
    })
}

fn post(lines: Lines<'_>) -> Request<Body> {
    let mut request = request("POST", "/a?q=1", lines);
    *request.body_mut() = Body::from("what to do");
    request
}

/// What a POST is told, and what a GET after it.
async fn told_of(app: &App, lines: Lines<'_>) -> (String, String) {
    let posted = told(&app.send(post(lines)).await);
    (posted, app.told("/a?q=1", lines).await)
}

fn both(post: &str, get: &str) -> (String, String) {
    (post.to_owned(), get.to_owned())
}

#[tokio::test]
async fn the_response_to_a_post_answers_later_gets() {
    let redis = RedisServer::start();
    let clock = Clock::manual(START);
    for cache in [memory(&clock), in_redis(&redis, &clock)] {
        let origin = answering(&[FRESH, HERE, ("x-kind", "posted")]);
        let app = App::layered(&HttpCache::builder(cache).store_posts(true).build(), &origin);
        // Over what a GET has stored.
        assert_eq!(app.told("/a?q=1", &[]).await, MISS);
        let posted = app.send(post(&[])).await;
        assert_eq!((told(&posted).as_str(), &posted.body()[..]), (STORED, &b"posted"[..]));
        app.clock.advance(seconds(5));
        for method in ["GET", "HEAD"] {
            let hit = app.send(request(method, "/a?q=1", &[])).await;
            assert_eq!((told(&hit).as_str(), field(&hit, "age").as_str()), (HIT, "5"));
            assert_eq!(field(&hit, "x-kind"), "posted");
            assert_eq!(&hit.body()[..], if method == "GET" { &b"posted"[..] } else { b"" });
        }
        assert_eq!(origin.calls(), 2);
        // RFC 9110 §9.3.3: a POST itself is never answered from the cache.
        for calls in 3..5 {
            assert_eq!(told(&app.send(post(&[])).await), STORED);
            assert_eq!((origin.calls(), origin.last().method.as_str()), (calls, "POST"));
        }
        assert_eq!(app.told("/a", &[]).await, MISS);
        assert_eq!(app.told("/a?q=1", &[("x-workspace-id", "theirs")]).await, MISS);
        app.clock.advance(seconds(60));
        let stale = app.get("/a?q=1", &[]).await;
        assert_eq!(told(&stale), "fwd=stale; stored");
        let stats = app.http.stats();
        assert_eq!((stats.hits, stats.misses, stats.bypasses), (2, 4, 3));
    }
}

#[tokio::test]
async fn it_has_to_be_asked_for() {
    let origin = answering(&[FRESH, HERE]);
    for http in [
        HttpCache::builder(memory(&Clock::manual(START))).build(),
        http().store_posts(false).build(),
    ] {
        let app = App::layered(&http, &origin);
        assert_eq!(told_of(&app, &[]).await, both("fwd=method", MISS));
    }
    for method in ["PUT", "PATCH", "DELETE", "post"] {
        let origin = Origin::fixed(200, &[FRESH, HERE], "body");
        let app = App::layered(&http().build(), &origin);
        assert_eq!(told(&app.send(request(method, "/a?q=1", &[])).await), "fwd=method");
        assert_eq!(app.told("/a?q=1", &[]).await, MISS, "{method}");
    }
}

#[tokio::test]
async fn only_where_the_response_says_so() {
    let modified = ("last-modified", "Mon, 13 Nov 2023 22:13:20 GMT");
    let not_fresh = "fwd=method; detail=no-freshness";
    let cases: &[(Lines<'_>, &str)] = &[
        (&[FRESH], "fwd=method"),
        (&[FRESH, ("content-location", "/a")], "fwd=method"),
        (&[FRESH, ("content-location", "http://other.example/a?q=1")], "fwd=method"),
        (&[FRESH, ("location", "/a?q=1")], "fwd=method"),
        // A TTL of ours and heuristics are not explicit.
        (&[HERE], not_fresh),
        (&[HERE, modified], not_fresh),
        (&[HERE, ("cache-control", "max-age=0"), ("etag", "\"1\"")], not_fresh),
        (&[HERE, ("cache-control", "max-age=60, private")], "fwd=method; detail=private"),
        (&[HERE, ("cache-control", "max-age=60, no-store")], "fwd=method; detail=no-store"),
        (&[HERE, FRESH, ("set-cookie", "a=b")], "fwd=method; detail=set-cookie"),
        (&[HERE, FRESH, ("vary", "*")], "fwd=method; detail=vary-any"),
    ];
    for (lines, expected) in cases {
        let origin = answering(lines);
        let http = http().heuristic_freshness(minutes(10)).build();
        for app in [App::layered(&http, &origin), App::endpoint(&http, minutes(10), &origin)] {
            assert_eq!(told_of(&app, &[]).await, both(expected, MISS), "{lines:?}");
        }
    }
    let status = Origin::fixed(201, &[FRESH, HERE, ("location", "/a?q=1")], "created");
    let app = App::layered(&http().build(), &status);
    assert_eq!(told_of(&app, &[]).await, both("fwd=method", MISS));
}

#[tokio::test]
async fn only_where_the_request_lets_it() {
    let passed: [Lines<'_>; 4] = [
        &[("x-http-method-override", "GET")],
        &[("if-match", "*")],
        &[("if-none-match", "\"1\"")],
        &[("if-modified-since", "Mon, 13 Nov 2023 22:13:20 GMT")],
    ];
    for lines in passed {
        let app = App::layered(&http().build(), &answering(&[FRESH, HERE, ("etag", "\"1\"")]));
        let posted = app.send(post(lines)).await;
        assert_eq!((posted.status().as_u16(), told(&posted).as_str()), (200, "fwd=method"));
        assert_eq!(app.told("/a?q=1", &[]).await, MISS, "{lines:?}");
    }
    for (lines, detail) in [
        (("cache-control", "no-store"), "request-no-store"),
        (("authorization", "Basic x"), "authorization"),
    ] {
        let app = App::layered(&http().build(), &answering(&[FRESH, HERE]));
        let posted = told(&app.send(post(&[lines])).await);
        assert_eq!(posted, format!("fwd=method; detail={detail}"));
        assert_eq!(app.told("/a?q=1", &[]).await, MISS, "{lines:?}");
    }
    // As for a GET: the TTL is the origin's.
    let app = App::layered(&http().build(), &answering(&[FRESH, HERE]));
    assert_eq!(told_of(&app, &[("cookie", "a=b")]).await, both(STORED, HIT));
    let public = answering(&[("cache-control", "public, max-age=60"), HERE]);
    let app = App::layered(&http().build(), &public);
    assert_eq!(told_of(&app, &[("authorization", "Basic x")]).await, both(STORED, HIT));
}

#[tokio::test]
async fn what_the_application_decides_counts() {
    let origin = answering(&[FRESH, HERE]);
    let skipping = http().skip_cache(|request| request.headers().contains_key("x-preview"));
    let app = App::layered(&skipping.build(), &origin);
    app.send(post(&[("x-preview", "1")])).await;
    assert_eq!(app.told("/a?q=1", &[]).await, MISS);
    let refusing = http().should_store(|response| !response.headers.contains_key(HERE.0));
    let app = App::layered(&refusing.build(), &origin);
    assert_eq!(told_of(&app, &[]).await, both("fwd=method; detail=should-store", MISS));
    // The handler has seen a parameter that the key has not.
    let app = App::layered(&http().ignore_query(["q"]).build(), &origin);
    assert_eq!(told_of(&app, &[]).await, both("fwd=method", MISS));
    let telling = |store: bool| {
        Origin::new(move |_| {
            let mut response = reply(200, &[FRESH, HERE], "body");
            if store {
                response.extensions_mut().insert(CacheTtl(seconds(5)));
            } else {
                response.extensions_mut().insert(NoStore);
            }
            response
        })
    };
    let app = App::layered(&http().build(), &telling(false));
    assert_eq!(told_of(&app, &[]).await.0, "fwd=method; detail=handler");
    let app = App::layered(&http().build(), &telling(true));
    assert_eq!(told_of(&app, &[]).await, both(STORED, HIT));
    app.clock.advance(seconds(5));
    assert_ne!(app.told("/a?q=1", &[]).await, HIT);
}

#[tokio::test]
async fn the_fields_of_the_post_choose_the_variant() {
    let redis = RedisServer::start();
    let clock = Clock::manual(START);
    for cache in [memory(&clock), in_redis(&redis, &clock)] {
        let origin = Origin::new(|request| {
            let language = request.headers()["accept-language"].to_str().expect("text");
            reply(200, &[FRESH, HERE, ("vary", "accept-language")], language)
        });
        let app = App::layered(&HttpCache::builder(cache).store_posts(true).build(), &origin);
        let (en, de) = ([("accept-language", "en")], [("accept-language", "de")]);
        assert_eq!(app.told("/a?q=1", &de).await, MISS);
        let posted = told(&app.send(post(&en)).await);
        assert_eq!(posted, STORED);
        let hit = app.get("/a?q=1", &en).await;
        assert_eq!((told(&hit).as_str(), &hit.body()[..]), (HIT, &b"en"[..]));
        // All variants from before the POST are gone.
        let miss = app.get("/a?q=1", &de).await;
        assert_eq!((told(&miss).as_str(), &miss.body()[..]), ("fwd=vary-miss; stored", &b"de"[..]));
        assert_eq!(app.told("/a?q=1", &en).await, HIT);
    }
}

#[tokio::test]
async fn groups_and_patterns_that_cover_it_void_it() {
    let group = ("cache-groups", "\"g\"");
    let ends = ("cache-group-invalidation", "\"g\"");
    let app = App::layered(&http().build(), &answering(&[FRESH, HERE, group]));
    assert_eq!(told_of(&app, &[]).await, both(STORED, HIT));
    let app = App::layered(&http().build(), &answering(&[FRESH, HERE, ends]));
    assert_eq!(told_of(&app, &[]).await, both(STORED, HIT));
    let app = App::layered(&http().build(), &answering(&[FRESH, HERE, group, ends]));
    assert_eq!(told_of(&app, &[]).await, both("fwd=method; detail=overtaken", MISS));

    let http = http().build();
    let origin = answering(&[FRESH, HERE]);
    for (pattern, expected) in [("-:a", "fwd=method; detail=overtaken"), ("-:other", STORED)] {
        let covered = InvalidateLayer::new(&http, pattern).layer(origin.clone());
        let inside = App::of(&http, cache_tower::CacheLayer::new(&http).layer(covered));
        assert_eq!(told(&inside.send(post(&[])).await), expected, "{pattern}");
        let layered = cache_tower::CacheLayer::new(&http).layer(origin.clone());
        let outside = App::of(&http, InvalidateLayer::new(&http, pattern).layer(layered));
        outside.send(post(&[])).await;
        let expected = if pattern == "-:a" { MISS } else { HIT };
        assert_eq!(outside.told("/a?q=1", &[]).await, expected, "{pattern}");
    }
}

#[tokio::test]
async fn other_instances_serve_it() {
    let redis = RedisServer::start();
    let clock = Clock::manual(START);
    let origin = Arc::new(answering(&[FRESH, HERE]));
    let node = || {
        let cache = in_redis(&redis, &clock);
        App::layered(&HttpCache::builder(cache).store_posts(true).build(), &origin)
    };
    let (one, two) = (node(), node());
    assert_eq!(two.told("/a?q=1", &[]).await, MISS);
    assert_eq!(told(&one.send(post(&[])).await), STORED);
    let hit = two.get("/a?q=1", &[]).await;
    assert_eq!((told(&hit).as_str(), &hit.body()[..]), (HIT, &b"posted"[..]));
    // And what one of them invalidates is gone everywhere.
    two.send(request("DELETE", "/a?q=1", &[])).await;
    assert_eq!(one.told("/a?q=1", &[]).await, MISS);
}

/// Bug: of two caches, one around the other, the inner one stored the response to a POST and said
/// so; then the outer one deleted it, as what the POST had changed.
#[tokio::test]
async fn of_two_caches_the_inner_one_stores_it() {
    for lines in [&[FRESH, HERE][..], &[("cache-control", "no-store"), HERE]] {
        let http = http().build();
        let origin = answering(lines);
        let inner = App::endpoint(&http, minutes(1), &origin);
        let around = {
            let service = tower::service_fn(move |request| {
                let inner = inner.clone();
                async move { Ok::<_, std::convert::Infallible>(inner.call(request).await) }
            });
            App::of(&http, cache_tower::CacheLayer::new(&http).layer(service))
        };
        assert_eq!(around.told("/a?q=1", &[]).await, MISS);
        assert_eq!(around.told("/a?q=1", &[]).await, HIT);
        let expected = if lines[0] == FRESH {
            both(STORED, HIT)
        } else {
            both("fwd=method; detail=no-freshness", MISS)
        };
        assert_eq!(told_of(&around, &[]).await, expected);
        let stats = http.stats();
        assert_eq!(stats.hits + stats.misses + stats.bypasses, 4);
    }
}
