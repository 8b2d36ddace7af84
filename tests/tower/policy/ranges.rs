//! Requests with `Range` (RFC 9110 §14).

use cache_core::{Clock, seconds};
use cache_tests::RedisServer;
use cache_tower::HttpCache;

use super::origin::{
    App, HIT, Lines, MISS, Origin, START, START_DATE, field, in_redis, reply, request, told,
};

/// A second before the response is sent.
const MODIFIED: &str = "Tue, 14 Nov 2023 22:13:19 GMT";
const BODY: &str = "0123456789";
const LINES: Lines<'static> = &[
    ("cache-control", "max-age=60"),
    ("content-type", "text/plain"),
    ("etag", "\"one\""),
    ("last-modified", MODIFIED),
    ("date", START_DATE),
    ("x-kept", "1"),
];
const NEVER_ASKED: &str = "fwd=uri-miss; detail=range";

struct Case {
    lines: Lines<'static>,
    status: u16,
    body: &'static str,
    content_range: &'static str,
}

const fn case(
    lines: Lines<'static>,
    status: u16,
    body: &'static str,
    content_range: &'static str,
) -> Case {
    Case { lines, status, body, content_range }
}

const CASES: [Case; 20] = [
    case(&[("range", "bytes=0-1")], 206, "01", "bytes 0-1/10"),
    case(&[("range", "bytes=9-9")], 206, "9", "bytes 9-9/10"),
    case(&[("range", "bytes=7-")], 206, "789", "bytes 7-9/10"),
    case(&[("range", "bytes=8-99")], 206, "89", "bytes 8-9/10"),
    case(&[("range", "bytes=-4")], 206, "6789", "bytes 6-9/10"),
    case(&[("range", "bytes=-99")], 206, BODY, "bytes 0-9/10"),
    case(&[("range", "bytes=10-")], 416, "", "bytes */10"),
    case(&[("range", "bytes=-0")], 416, "", "bytes */10"),
    // Several, or none that could be read.
    case(&[("range", "bytes=0-1,3-4")], 200, BODY, "-"),
    case(&[("range", "bytes=4-2")], 200, BODY, "-"),
    case(&[("range", "lines=0-1")], 200, BODY, "-"),
    case(&[("range", "bytes=0-1"), ("range", "bytes=0-1")], 200, BODY, "-"),
    case(&[("range", "bytes=0-1"), ("if-range", "\"one\"")], 206, "01", "bytes 0-1/10"),
    case(&[("range", "bytes=0-1"), ("if-range", MODIFIED)], 206, "01", "bytes 0-1/10"),
    case(&[("range", "bytes=0-1"), ("if-range", "W/\"one\"")], 200, BODY, "-"),
    case(&[("range", "bytes=0-1"), ("if-range", START_DATE)], 200, BODY, "-"),
    // Other conditions come first (RFC 9110 §13.2.2).
    case(&[("range", "bytes=0-1"), ("if-none-match", "\"one\"")], 304, "", "-"),
    case(&[("range", "bytes=50-"), ("if-modified-since", MODIFIED)], 304, "", "-"),
    case(&[("range", "bytes=0-1"), ("if-none-match", "\"two\"")], 206, "01", "bytes 0-1/10"),
    case(&[("if-range", "\"one\"")], 200, BODY, "-"),
];

async fn the_store_answers(app: &App, origin: &Origin) {
    assert_eq!(app.told("/a", &[]).await, MISS);
    app.clock.advance(seconds(5));
    for Case { lines, status, body, content_range } in CASES {
        let response = app.get("/a", lines).await;
        assert_eq!(told(&response), HIT, "{lines:?}");
        let answer = (response.status().as_u16(), &response.body()[..]);
        assert_eq!(answer, (status, body.as_bytes()), "{lines:?}");
        assert_eq!(field(&response, "content-range"), content_range, "{lines:?}");
        assert_eq!(field(&response, "age"), "5", "{lines:?}");
        assert_eq!(field(&response, "etag"), "\"one\"", "{lines:?}");
        assert_eq!(field(&response, "x-kept"), "1", "{lines:?}");
        if status == 200 || status == 206 {
            assert_eq!(field(&response, "content-length"), body.len().to_string(), "{lines:?}");
            assert_eq!(field(&response, "content-type"), "text/plain", "{lines:?}");
            assert_eq!(field(&response, "cache-control"), "max-age=60", "{lines:?}");
        }
        if status == 416 {
            assert_eq!(field(&response, "cache-control"), "no-store", "{lines:?}");
        }
    }
    assert_eq!(origin.calls(), 1);
}

#[tokio::test]
async fn memory_answers_ranges() {
    let origin = Origin::fixed(200, LINES, BODY);
    the_store_answers(&App::new(&origin), &origin).await;
}

#[tokio::test]
async fn redis_answers_ranges() {
    let redis = RedisServer::start();
    let origin = Origin::fixed(200, LINES, BODY);
    let cache = in_redis(&redis, &Clock::manual(START));
    the_store_answers(&App::layered(&HttpCache::builder(cache).build(), &origin), &origin).await;
}

#[tokio::test]
async fn a_range_is_cut_out_of_its_variant() {
    let origin = Origin::new(|request| {
        let (coding, body) = match request.headers().get("accept-encoding") {
            Some(_) => ("gzip", "packed"),
            None => ("identity", BODY),
        };
        let lines = [
            ("cache-control", "max-age=60"),
            ("vary", "accept-encoding"),
            ("content-encoding", coding),
        ];
        reply(200, &lines, body)
    });
    let app = App::new(&origin);
    app.get("/a", &[]).await;
    app.get("/a", &[("accept-encoding", "gzip")]).await;
    for (lines, coding, expected) in [
        (&[("range", "bytes=0-2")][..], "identity", &b"012"[..]),
        (&[("range", "bytes=0-2"), ("accept-encoding", "gzip")], "gzip", b"pac"),
    ] {
        let part = app.get("/a", lines).await;
        assert_eq!((part.status().as_u16(), &part.body()[..]), (206, expected));
        assert_eq!(
            (told(&part).as_str(), field(&part, "content-encoding").as_str()),
            (HIT, coding)
        );
    }
    assert_eq!(origin.calls(), 2);
}

#[tokio::test]
async fn only_a_200_has_ranges_and_only_for_get() {
    let app = App::new(&Origin::fixed(404, LINES, BODY));
    app.get("/a", &[]).await;
    let response = app.get("/a", &[("range", "bytes=0-1")]).await;
    assert_eq!((response.status().as_u16(), told(&response).as_str()), (404, HIT));
    assert_eq!(&response.body()[..], BODY.as_bytes());

    let app = App::new(&Origin::fixed(200, LINES, BODY));
    app.get("/a", &[]).await;
    for range in ["bytes=0-1", "bytes=50-"] {
        let head = app.send(request("HEAD", "/a", &[("range", range)])).await;
        assert_eq!((head.status().as_u16(), told(&head).as_str()), (200, HIT));
        assert_eq!(field(&head, "content-length"), "10");
        assert_eq!(field(&head, "content-range"), "-");
    }
}

#[tokio::test]
async fn an_empty_response_is_whole() {
    let app = App::new(&Origin::fixed(200, LINES, ""));
    app.get("/a", &[]).await;
    let response = app.get("/a", &[("range", "bytes=0-")]).await;
    assert_eq!((response.status().as_u16(), told(&response).as_str()), (200, HIT));
}

/// An origin of ranges that stores everything, the parts too, if it is let.
fn of_ranges() -> Origin {
    Origin::new(|request| match request.headers().get("range") {
        None => reply(200, LINES, BODY),
        Some(range) if range == "bytes=50-" => {
            reply(416, &[LINES, &[("content-range", "bytes */10")]].concat(), "")
        }
        Some(_) if request.headers().contains_key("if-none-match") => reply(304, LINES, ""),
        Some(_) => reply(206, &[LINES, &[("content-range", "bytes 0-1/10")]].concat(), "01"),
    })
}

/// Parts went past the cache even where it had the whole. What it has not it does not ask for: the
/// origin sees the request as it is, and no part of the answer stays.
#[tokio::test]
async fn what_is_not_stored_comes_from_the_origin_as_it_is() {
    let conditions = [("if-none-match", "\"one\""), ("if-modified-since", MODIFIED)];
    for (lines, status, body) in [
        (&[("range", "bytes=0-1")][..], 206, &b"01"[..]),
        (&[("range", "bytes=0-1"), ("if-range", "\"one\"")], 206, b"01"),
        (&[("range", "bytes=50-")], 416, b""),
        (&[&[("range", "bytes=0-1")], &conditions[..]].concat(), 304, b""),
    ] {
        let origin = of_ranges();
        let app = App::new(&origin);
        for calls in 1..3 {
            let response = app.get("/a", lines).await;
            let answer = (response.status().as_u16(), &response.body()[..]);
            assert_eq!(answer, (status, body), "{lines:?}");
            assert_eq!(told(&response), NEVER_ASKED, "{lines:?}");
            assert_eq!(field(&response, "age"), "-", "{lines:?}");
            assert_eq!(origin.calls(), calls, "{lines:?}");
            let seen = origin.last().headers;
            for (name, value) in lines {
                assert_eq!(seen[*name], *value);
            }
        }
        let only = app.get("/a", &[("cache-control", "only-if-cached")]).await;
        assert_eq!(only.status(), 504, "{lines:?}");
        let whole = app.get("/a", &[]).await;
        assert_eq!((told(&whole).as_str(), &whole.body()[..]), (MISS, BODY.as_bytes()));
        assert_eq!(app.told("/a", lines).await, HIT, "{lines:?}");
    }
}

#[tokio::test]
async fn only_if_cached_goes_for_ranges_too() {
    let origin = of_ranges();
    let app = App::new(&origin);
    let lines = [("range", "bytes=0-1"), ("cache-control", "only-if-cached")];
    assert_eq!(app.get("/a", &lines).await.status(), 504);
    app.get("/a", &[]).await;
    assert_eq!(app.get("/a", &lines).await.status(), 206);
    assert_eq!(origin.calls(), 1);
}

#[tokio::test]
async fn a_stale_response_has_no_ranges() {
    let fresh = [("cache-control", "max-age=60")];
    let origin = Origin::new(move |request| match request.headers().get("range") {
        None => reply(200, &fresh, BODY),
        Some(_) => reply(206, &[fresh[0], ("content-range", "bytes 0-1/10")], "ab"),
    });
    let app = App::new(&origin);
    app.get("/a", &[]).await;
    app.clock.advance(seconds(60));
    let part = app.get("/a", &[("range", "bytes=0-1")]).await;
    assert_eq!((part.status().as_u16(), &part.body()[..]), (206, &b"ab"[..]));
    assert!(told(&part).ends_with("; detail=range"), "{}", told(&part));
    assert_eq!(origin.last().headers["range"], "bytes=0-1");
}

const STALE: Lines<'static> =
    &[("cache-control", "max-age=60, stale-while-revalidate=60"), ("etag", "\"one\"")];

/// An origin of ranges that knows conditions.
fn validating() -> Origin {
    Origin::new(|request| {
        let is = |name, value: &str| request.headers().get(name).is_some_and(|v| v == value);
        match request.headers().get("range") {
            _ if is("if-none-match", "\"one\"") => reply(304, STALE, ""),
            _ if is("if-none-match", "\"two\"") => reply(304, &[("etag", "\"two\"")], ""),
            None => reply(200, STALE, BODY),
            Some(_) => reply(206, &[STALE, &[("content-range", "bytes 0-1/10")]].concat(), "01"),
        }
    })
}

#[tokio::test]
async fn what_is_confirmed_has_ranges() {
    let origin = validating();
    let app = App::new(&origin);
    app.get("/a", &[]).await;
    app.clock.advance(seconds(200));
    let lines = [("range", "bytes=8-9")];
    let part = app.get("/a", &lines).await;
    assert_eq!((part.status().as_u16(), &part.body()[..]), (206, &b"89"[..]));
    assert_eq!(origin.last().headers["if-none-match"], "\"one\"");
    assert_eq!(app.told("/a", &lines).await, HIT);
    assert_eq!(origin.calls(), 2);
}

/// What holds by the client's condition is what the client has.
#[tokio::test]
async fn a_client_s_own_condition_beside_a_range_confirms_nothing() {
    let origin = validating();
    let app = App::new(&origin);
    app.get("/a", &[]).await;
    app.clock.advance(seconds(200));
    let lines = [("range", "bytes=8-9"), ("if-none-match", "\"two\"")];
    let response = app.get("/a", &lines).await;
    assert_eq!((response.status().as_u16(), field(&response, "etag").as_str()), (304, "\"two\""));
    assert_eq!(app.get("/a", &[("cache-control", "only-if-cached")]).await.status(), 504);
}

/// The refresh behind a stale part brings the whole.
#[tokio::test]
async fn a_stale_part_is_refreshed_as_a_whole() {
    let origin = validating();
    let app = App::new(&origin);
    app.get("/a", &[]).await;
    app.clock.advance(seconds(61));
    let lines = [("range", "bytes=8-9"), ("if-range", "\"one\"")];
    let part = app.get("/a", &lines).await;
    assert_eq!((part.status().as_u16(), &part.body()[..]), (206, &b"89"[..]));
    assert_eq!(origin.calls(), 2);
    let seen = origin.last().headers;
    assert!(!seen.contains_key("range") && !seen.contains_key("if-range"), "{seen:?}");
    assert_eq!(app.told("/a", &lines).await, HIT);
}

/// An origin that knows no ranges gives the whole, which is as good as any.
#[tokio::test]
async fn a_whole_response_to_a_range_is_stored() {
    let origin = Origin::fixed(200, LINES, BODY);
    let app = App::new(&origin);
    let whole = app.get("/a", &[("range", "bytes=0-1")]).await;
    assert_eq!((told(&whole).as_str(), &whole.body()[..]), (MISS, BODY.as_bytes()));
    let part = app.get("/a", &[("range", "bytes=0-1")]).await;
    assert_eq!((told(&part).as_str(), &part.body()[..]), (HIT, &b"01"[..]));
    assert_eq!(origin.calls(), 1);
}

/// A part that calls itself 200 was no danger while it was nobody's but its client's.
#[tokio::test]
async fn a_part_under_a_200_is_not_stored() {
    let lines = [LINES, &[("content-range", "bytes 0-1/10")]].concat();
    let app = App::new(&Origin::fixed(200, &lines, "01"));
    assert_eq!(app.told("/a", &[("range", "bytes=0-1")]).await, NEVER_ASKED);
    assert_eq!(app.get("/a", &[("cache-control", "only-if-cached")]).await.status(), 504);
}
