//! Parts of responses that are stored and put together (RFC 9111 §3.3, §3.4).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use cache_core::{Cache, Clock, seconds};
use cache_tests::RedisServer;
use cache_tower::HttpCache;
use http::{Request, Response};

use super::origin::{
    App, Body, HIT, Lines, MISS, Origin, START, field, in_redis, memory, reply, request, told,
};

const WHOLE: &str = "0123456789";
const MORE: &str = "fwd=partial; stored";

fn combining(cache: Cache, origin: &Origin) -> App {
    App::layered(&HttpCache::builder(cache).combine_partial(true).build(), origin)
}

fn in_memory(origin: &Origin) -> App {
    combining(memory(&Clock::manual(START)), origin)
}

/// The bounds of `bytes=a-b`.
fn bounds(request: &Request<Body>) -> Option<(usize, usize)> {
    let range = request.headers().get("range")?.to_str().expect("text");
    let (first, last) = range.strip_prefix("bytes=")?.split_once('-')?;
    Some((first.parse().expect("a number"), last.parse().expect("a number")))
}

/// What an origin of ranges answers, with these fields.
fn ranged(request: &Request<Body>, whole: &str, lines: Lines<'_>) -> Response<Body> {
    let lines = [&[("cache-control", "max-age=60"), ("content-digest", "x")], lines].concat();
    let Some((first, last)) = bounds(request) else { return reply(200, &lines, whole) };
    let place = format!("bytes {first}-{last}/{}", whole.len());
    reply(206, &[&lines[..], &[("content-range", &*place)]].concat(), &whole[first..=last])
}

fn of_ranges() -> Origin {
    Origin::new(|request| ranged(request, WHOLE, &[("etag", "\"one\"")]))
}

/// A range, and what comes of it.
async fn part(app: &App, range: &str, expected: (&str, &str)) {
    let response = app.get("/a", &[("range", &format!("bytes={range}"))]).await;
    let body = String::from_utf8_lossy(response.body()).into_owned();
    assert_eq!((body.as_str(), told(&response).as_str()), expected, "{range}");
    assert_eq!(response.status(), 206, "{range}");
    assert_eq!(field(&response, "content-range"), format!("bytes {range}/10"));
}

async fn parts_make_the_whole(app: App, origin: Origin) {
    part(&app, "2-4", ("234", MISS)).await;
    app.clock.advance(seconds(5));
    part(&app, "2-4", ("234", HIT)).await;
    part(&app, "3-3", ("3", HIT)).await;
    // What it holds is not enough for these.
    part(&app, "4-6", ("456", MORE)).await;
    part(&app, "2-6", ("23456", HIT)).await;
    part(&app, "0-1", ("01", MORE)).await;
    part(&app, "0-6", ("0123456", HIT)).await;
    assert_eq!(origin.calls(), 3);
    // Neither is the whole there.
    let only = [("cache-control", "only-if-cached")];
    assert_eq!(app.get("/a", &only).await.status(), 504);
    part(&app, "7-9", ("789", MORE)).await;
    let whole = app.get("/a", &only).await;
    assert_eq!((told(&whole).as_str(), &whole.body()[..]), (HIT, WHOLE.as_bytes()));
    assert_eq!(whole.status(), 200);
    assert_eq!(field(&whole, "content-length"), "10");
    // Of a part, none of which is the whole.
    for name in ["content-range", "content-digest"] {
        assert_eq!(field(&whole, name), "-");
    }
    let head = app.send(request("HEAD", "/a", &[])).await;
    assert_eq!((told(&head).as_str(), field(&head, "content-length").as_str()), (HIT, "10"));
    assert_eq!(origin.calls(), 4);
}

#[tokio::test]
async fn parts_make_the_whole_in_memory() {
    let origin = of_ranges();
    parts_make_the_whole(in_memory(&origin), origin).await;
}

#[tokio::test]
async fn parts_make_the_whole_in_redis() {
    let redis = RedisServer::start();
    let origin = of_ranges();
    let cache = in_redis(&redis, &Clock::manual(START));
    parts_make_the_whole(combining(cache, &origin), origin).await;
}

#[tokio::test]
async fn a_part_answers_for_the_whole_where_it_can() {
    let origin = of_ranges();
    let app = in_memory(&origin);
    part(&app, "2-4", ("234", MISS)).await;
    app.clock.advance(seconds(5));
    for (lines, status) in [
        (&[("range", "bytes=50-")][..], 416),
        (&[("range", "bytes=-8"), ("if-none-match", "\"one\"")], 304),
        (&[("range", "bytes=2-3"), ("if-range", "\"one\"")], 206),
    ] {
        let response = app.get("/a", lines).await;
        assert_eq!((response.status().as_u16(), told(&response).as_str()), (status, HIT));
        assert_eq!(field(&response, "age"), "5", "{lines:?}");
    }
    assert_eq!(origin.calls(), 1);
    // The condition fails, so that the whole is asked for; it takes the place of the part.
    let whole = app.get("/a", &[]).await;
    assert_eq!((told(&whole).as_str(), &whole.body()[..]), (MORE, WHOLE.as_bytes()));
    part(&app, "7-9", ("789", HIT)).await;
    assert_eq!(origin.calls(), 2);
}

#[tokio::test]
async fn with_a_gap_between_them_the_new_one_stays() {
    let origin = of_ranges();
    let app = in_memory(&origin);
    part(&app, "0-1", ("01", MISS)).await;
    part(&app, "5-6", ("56", MORE)).await;
    part(&app, "5-6", ("56", HIT)).await;
    part(&app, "0-1", ("01", MORE)).await;
}

/// The bytes of two versions in one would be of none.
#[tokio::test]
async fn parts_of_different_responses_are_not_mixed() {
    let version = Arc::new(AtomicU64::new(0));
    let current = Arc::clone(&version);
    let origin = Origin::new(move |request| match current.load(Ordering::Relaxed) {
        0 => ranged(request, WHOLE, &[("etag", "\"one\"")]),
        _ => ranged(request, "abcdefghij", &[("etag", "\"two\"")]),
    });
    let app = in_memory(&origin);
    part(&app, "0-4", ("01234", MISS)).await;
    version.store(1, Ordering::Relaxed);
    part(&app, "5-9", ("fghij", MORE)).await;
    part(&app, "0-4", ("abcde", MORE)).await;
    let whole = app.get("/a", &[]).await;
    assert_eq!((told(&whole).as_str(), &whole.body()[..]), (HIT, &b"abcdefghij"[..]));
}

#[tokio::test]
async fn parts_of_different_variants_are_not_mixed() {
    let origin = Origin::new(|request| {
        let whole = match request.headers().get("accept-language") {
            Some(_) => "abcdefghij",
            None => WHOLE,
        };
        // A tag that its origin should not have used twice.
        ranged(request, whole, &[("etag", "\"one\""), ("vary", "accept-language")])
    });
    let app = in_memory(&origin);
    let german = |range: &'static str| [("range", range), ("accept-language", "de")];
    app.get("/a", &[("range", "bytes=0-4")]).await;
    app.get("/a", &german("bytes=5-9")).await;
    app.get("/a", &german("bytes=0-4")).await;
    app.get("/a", &[("range", "bytes=5-9")]).await;
    for (lines, expected) in [(&[][..], WHOLE), (&[("accept-language", "de")][..], "abcdefghij")] {
        let whole = app.get("/a", lines).await;
        assert_eq!((told(&whole).as_str(), &whole.body()[..]), (HIT, expected.as_bytes()));
    }
    assert_eq!(origin.calls(), 4);
}

/// Found by fewer fields than it turns out to vary by.
#[tokio::test]
async fn a_part_of_what_was_thought_the_same_variant_is_not_mixed() {
    let origin = Origin::new(|request| {
        let (whole, vary) = match request.headers().get("accept") {
            None => (WHOLE, "accept-language"),
            Some(_) => ("abcdefghij", "accept-language, accept"),
        };
        ranged(request, whole, &[("etag", "\"one\""), ("vary", vary)])
    });
    let app = in_memory(&origin);
    app.get("/a", &[("range", "bytes=0-4")]).await;
    let other = app.get("/a", &[("range", "bytes=5-9"), ("accept", "text/html")]).await;
    assert_eq!((told(&other).as_str(), &other.body()[..]), (MORE, &b"fghij"[..]));
    let whole = app.get("/a", &[("accept", "text/html")]).await;
    assert_eq!((told(&whole).as_str(), &whole.body()[..]), (MORE, &b"abcdefghij"[..]));
}

#[tokio::test]
async fn what_may_not_be_combined_is_not_stored() {
    let fresh = ("cache-control", "max-age=60");
    let (tag, place) = (("etag", "\"one\""), ("content-range", "bytes 0-1/10"));
    let cases: [(Lines<'_>, &str); 9] = [
        (&[fresh, place], "range"),
        (&[fresh, place, ("etag", "W/\"one\"")], "range"),
        (&[fresh, tag], "range"),
        (&[fresh, tag, ("content-range", "bytes 0-1/*")], "range"),
        (&[fresh, tag, ("content-range", "bytes 0-11/10")], "range"),
        (&[tag, place], "no-freshness"),
        (&[fresh, tag, place, ("set-cookie", "a=b")], "set-cookie"),
        (&[fresh, tag, place, ("cache-control", "private")], "private"),
        (&[fresh, tag, place, ("content-length", "5")], ""),
    ];
    for (lines, refusal) in cases {
        let origin = Origin::fixed(206, lines, "01");
        let app = in_memory(&origin);
        for calls in 1..3 {
            let told = app.told("/a", &[("range", "bytes=0-1")]).await;
            if !refusal.is_empty() {
                assert_eq!(told, format!("fwd=uri-miss; detail={refusal}"), "{lines:?}");
            }
            assert_eq!(origin.calls(), calls, "{lines:?}");
        }
    }
}

/// It says that it is three bytes, and is two.
#[tokio::test]
async fn a_part_that_is_not_as_long_as_its_place_is_not_stored() {
    let lines =
        [("cache-control", "max-age=60"), ("etag", "\"one\""), ("content-range", "bytes 0-2/10")];
    let origin = Origin::fixed(206, &lines, "01");
    let app = in_memory(&origin);
    for (calls, range) in [(1, "bytes=0-2"), (2, "bytes=0-1")] {
        let told = app.told("/a", &[("range", range)]).await;
        assert!(told.starts_with("fwd=uri-miss"), "{range}: {told}");
        assert_eq!(origin.calls(), calls);
    }
}

#[tokio::test]
async fn a_part_does_not_take_the_place_of_the_whole() {
    let origin = of_ranges();
    let app = in_memory(&origin);
    app.get("/a", &[]).await;
    let lines = [("range", "bytes=0-1"), ("cache-control", "no-cache")];
    assert_eq!(app.told("/a", &lines).await, "fwd=request; detail=range");
    assert_eq!(app.told("/a", &[]).await, HIT);
}

#[tokio::test]
async fn what_becomes_too_large_is_not_put_together() {
    let origin = of_ranges();
    let http = HttpCache::builder(memory(&Clock::manual(START)));
    let app = App::layered(&http.combine_partial(true).max_body(4).build(), &origin);
    part(&app, "0-2", ("012", MISS)).await;
    part(&app, "3-5", ("345", MORE)).await;
    part(&app, "3-5", ("345", HIT)).await;
    part(&app, "0-2", ("012", MORE)).await;
}

#[tokio::test]
async fn parts_grow_old_and_are_invalidated_like_the_whole() {
    let origin = of_ranges();
    let app = in_memory(&origin);
    part(&app, "0-1", ("01", MISS)).await;
    app.send(request("POST", "/a", &[])).await;
    part(&app, "0-1", ("01", MISS)).await;
    part(&app, "0-1", ("01", HIT)).await;
    app.clock.advance(seconds(60));
    let calls = origin.calls();
    app.get("/a", &[("range", "bytes=0-1")]).await;
    assert_eq!(origin.calls(), calls + 1);
}

/// A 304 would say that the part holds, which is not what the client asked for.
#[tokio::test]
async fn a_part_is_not_validated() {
    let origin = of_ranges();
    let app = in_memory(&origin);
    part(&app, "2-4", ("234", MISS)).await;
    let asked = || origin.last().headers.contains_key("if-none-match");
    // Fresh, and less than what is asked for; then stale.
    part(&app, "4-6", ("456", MORE)).await;
    assert!(!asked());
    app.clock.advance(seconds(61));
    part(&app, "2-4", ("234", "fwd=stale; stored")).await;
    assert!(!asked());
    app.clock.advance(seconds(61));
    assert_eq!(app.told("/a", &[]).await, "fwd=stale; stored");
    assert!(!asked());
    assert_eq!(origin.calls(), 4);
}

/// A 206 may leave out what the client of an If-Range knows (RFC 9110 §15.3.7): what was put
/// together was then in no group, and outlived its invalidation.
#[tokio::test]
async fn what_is_put_together_is_in_the_groups_of_its_parts() {
    let redis = RedisServer::start();
    let clock = Clock::manual(START);
    for cache in [memory(&clock), in_redis(&redis, &clock)] {
        let origin = Origin::new(|request| match request.method().as_str() {
            "POST" => reply(204, &[("cache-group-invalidation", "\"news\"")], ""),
            _ if request.headers().contains_key("if-range") => {
                ranged(request, WHOLE, &[("etag", "\"one\"")])
            }
            _ => ranged(request, WHOLE, &[("etag", "\"one\""), ("cache-groups", "\"news\"")]),
        });
        let app = combining(cache, &origin);
        part(&app, "0-4", ("01234", MISS)).await;
        let rest = [("range", "bytes=5-9"), ("if-range", "\"one\"")];
        assert_eq!(app.told("/a", &rest).await, MORE);
        assert_eq!(app.told("/a", &[]).await, HIT);
        app.send(request("POST", "/b", &[])).await;
        assert_eq!(app.told("/a", &[]).await, MISS);
    }
}
