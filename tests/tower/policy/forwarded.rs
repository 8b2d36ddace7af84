//! Fields that handlers build links from: part of the key, trusted, or stripped from requests.

use cache_core::{Cache, Clock, seconds};
use cache_tests::RedisServer;
use cache_tower::{ForwardedFields, HttpCache, HttpCacheBuilder, QueryBody};
use http::HeaderName;

use super::origin::{
    App, Body, HIT, Lines, MISS, Origin, START, in_redis, memory, reply, request, told,
};

const FIELDS: [&str; 6] = [
    "forwarded",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-prefix",
    "x-forwarded-proto",
    "x-forwarded-scheme",
];

/// All of them, as somebody would who wants to be linked to.
const EVIL: Lines<'static> = &[
    ("forwarded", "host=evil.example"),
    ("x-forwarded-host", "evil.example"),
    ("x-forwarded-port", "666"),
    ("x-forwarded-prefix", "/evil"),
    ("x-forwarded-proto", "evil"),
    ("x-forwarded-scheme", "evil"),
];

fn builder(cache: Cache, fields: ForwardedFields) -> HttpCacheBuilder {
    HttpCache::builder(cache).forwarded_fields(fields)
}

/// Says what it sees of these fields.
fn mirror(lines: Lines<'static>) -> Origin {
    Origin::new(move |request| {
        let line = |name| request.headers().get(name).map_or("-", |line| line.to_str().expect(""));
        reply(200, lines, &FIELDS.map(line).join(" "))
    })
}

const ALL: &str = "host=evil.example evil.example 666 /evil evil evil";
const NONE: &str = "- - - - - -";
const FRESH: (&str, &str) = ("cache-control", "max-age=60");

async fn seen(app: &App, method: &str, uri: &str, lines: Lines<'_>) -> (String, String) {
    let response = app.send(request(method, uri, lines)).await;
    (String::from_utf8_lossy(response.body()).into_owned(), told(&response))
}

fn both(body: &str, told: &str) -> (String, String) {
    (body.to_owned(), told.to_owned())
}

#[tokio::test]
async fn by_default_each_of_them_is_part_of_the_key() {
    let app =
        App::layered(&HttpCache::builder(memory(&Clock::manual(START))).build(), &mirror(&[FRESH]));
    assert_eq!(seen(&app, "GET", "/", &[]).await, both(NONE, MISS));
    assert_eq!(seen(&app, "GET", "/", EVIL).await, both(ALL, MISS));
    for nth in 0..EVIL.len() {
        assert_eq!(app.told("/", &EVIL[nth..=nth]).await, MISS, "{:?}", EVIL[nth]);
        assert_eq!(app.told("/", &EVIL[nth..=nth]).await, HIT, "{:?}", EVIL[nth]);
    }
    assert_eq!(seen(&app, "GET", "/", &[]).await, both(NONE, HIT));
    // A write is about what it names itself.
    app.send(request("POST", "/", EVIL)).await;
    assert_eq!(app.told("/", EVIL).await, MISS);
    assert_eq!(app.told("/", &[]).await, HIT);
}

#[tokio::test]
async fn trusted_they_are_seen_and_make_no_difference() {
    let redis = RedisServer::start();
    let clock = Clock::manual(START);
    for cache in [memory(&clock), in_redis(&redis, &clock)] {
        let http = builder(cache, ForwardedFields::Trusted).build();
        let app = App::layered(&http, &mirror(&[FRESH]));
        for lines in [EVIL, &[], &EVIL[2..4]] {
            assert_eq!(seen(&app, "GET", "/", EVIL).await, both(ALL, MISS));
            for others in [&[][..], EVIL, &EVIL[..1], &EVIL[1..3]] {
                assert_eq!(seen(&app, "GET", "/", others).await, both(ALL, HIT), "{others:?}");
            }
            // A write is one to what all of them get.
            app.send(request("POST", "/", lines)).await;
        }
        // `Host` is what it is.
        assert_eq!(app.told("/", &[]).await, MISS);
        let other = "http://other.example/";
        assert_eq!(app.told(other, EVIL).await, MISS);
        assert_eq!(app.told("/", &[("host", "other.example")]).await, MISS);
    }
}

/// What one instance takes on trust must not be given to those who do not.
#[tokio::test]
async fn who_trusts_them_shares_nothing_with_those_who_do_not() {
    let redis = RedisServer::start();
    let cache = in_redis(&redis, &Clock::manual(START));
    let app = |fields| App::layered(&builder(cache.clone(), fields).build(), &mirror(&[FRESH]));
    let [keyed, stripping, trusting] =
        [ForwardedFields::Keyed, ForwardedFields::Stripped, ForwardedFields::Trusted].map(app);
    assert_eq!(seen(&trusting, "GET", "/", EVIL).await, both(ALL, MISS));
    assert_eq!(seen(&keyed, "GET", "/", &[]).await, both(NONE, MISS));
    // What came without is what they are stripped from.
    assert_eq!(seen(&stripping, "GET", "/", EVIL).await, both(NONE, HIT));
    assert_eq!(seen(&trusting, "GET", "/", &[]).await, both(ALL, HIT));
}

#[tokio::test]
async fn trusted_they_still_tell_variants_apart_where_vary_names_them() {
    let http = builder(memory(&Clock::manual(START)), ForwardedFields::Trusted).build();
    let app = App::layered(&http, &mirror(&[FRESH, ("vary", "x-forwarded-proto")]));
    assert_eq!(app.told("/", EVIL).await, MISS);
    assert_eq!(app.told("/", &[]).await, "fwd=vary-miss; stored");
    assert_eq!(app.told("/", &[("x-forwarded-proto", "evil")]).await, HIT);
}

/// Validates what it is asked to, and lets what is stale be used.
fn origin() -> Origin {
    Origin::new(|request| {
        let here = ("content-location", request.uri().path());
        let lines: Lines<'_> = match request.uri().path() {
            "/background" => &[("cache-control", "max-age=10, stale-while-revalidate=60")],
            "/posted" => &[FRESH, here],
            _ => &[("cache-control", "max-age=10"), ("etag", "\"a\"")],
        };
        let validates = request.headers().contains_key("if-none-match");
        reply(if validates { 304 } else { 200 }, lines, "")
    })
}

/// Method, URI, lines, seconds to wait before; what is told.
type Way = (&'static str, &'static str, Lines<'static>, u64, &'static str);

/// All ways to the origin.
const WAYS: [Way; 14] = [
    ("GET", "/a", &[], 0, MISS),
    ("GET", "/a", &[], 20, "fwd=stale; fwd-status=304"),
    ("GET", "/a", &[("cache-control", "no-cache")], 0, "fwd=request; fwd-status=304"),
    ("GET", "/a", &[("cache-control", "no-store")], 0, "fwd=bypass; detail=no-store"),
    ("GET", "/a", &[("x-workspace-id", "")], 0, "fwd=bypass; detail=workspace"),
    ("GET", "/a", &[("upgrade", "x")], 0, "fwd=bypass; detail=upgrade"),
    ("GET", "/b", &[("range", "bytes=0-")], 0, MISS),
    ("HEAD", "/c", &[], 0, "fwd=uri-miss; detail=method"),
    ("OPTIONS", "/a", &[], 0, "fwd=method"),
    ("DELETE", "/a", &[], 0, "fwd=method"),
    ("POST", "/posted", &[], 0, "fwd=method; stored"),
    ("QUERY", "/a", &[], 0, MISS),
    ("GET", "/background", &[], 0, MISS),
    // It is refreshed after that.
    ("GET", "/background", &[], 20, "hit; detail=stale-while-revalidate"),
];

#[tokio::test]
async fn stripped_they_reach_the_origin_on_no_way() {
    let http = builder(memory(&Clock::manual(START)), ForwardedFields::Stripped)
        .store_posts(true)
        .query_bodies_with(1024, |_: QueryBody<Body>| Body::default())
        .build();
    let origin = origin();
    let app = App::layered(&http, &origin);
    for (nth, (method, uri, lines, wait, expected)) in (1..).zip(WAYS) {
        app.clock.advance(seconds(wait));
        let response = app.send(request(method, uri, &[EVIL, lines].concat())).await;
        assert_eq!(told(&response), expected, "{method} {uri} {lines:?}");
        assert_eq!(origin.calls(), nth, "{method} {uri} {lines:?}");
        let seen = origin.last().headers;
        let there: Vec<_> = FIELDS.iter().filter(|name| seen.contains_key(**name)).collect();
        assert!(there.is_empty(), "{method} {uri} {lines:?}: {there:?}");
        assert_eq!(seen["host"], "shop.example");
    }
}

#[tokio::test]
async fn stripped_they_make_no_difference() {
    let http = builder(memory(&Clock::manual(START)), ForwardedFields::Stripped)
        .key_by_header(HeaderName::from_static("x-forwarded-host"))
        .skip_cache(|request| request.headers().contains_key("x-forwarded-proto"))
        .build();
    let app = App::layered(&http, &mirror(&[FRESH, ("vary", "x-forwarded-port")]));
    for lines in [&[][..], EVIL] {
        assert_eq!(seen(&app, "GET", "/", EVIL).await, both(NONE, MISS));
        for others in [&[][..], EVIL, &EVIL[1..3]] {
            assert_eq!(seen(&app, "GET", "/", others).await, both(NONE, HIT), "{others:?}");
        }
        app.send(request("POST", "/", lines)).await;
    }
    assert_eq!(app.told("/", EVIL).await, MISS);
}
