//! Conditional requests and HEAD.

use cache_core::seconds;

use super::origin::{App, HIT, Lines, MISS, Origin, field, request, told};

const MODIFIED: &str = "Mon, 13 Nov 2023 22:13:20 GMT";
const LATER: &str = "Tue, 14 Nov 2023 00:00:00 GMT";
const EARLIER: &str = "Sun, 12 Nov 2023 00:00:00 GMT";

const LINES: Lines<'static> = &[
    ("cache-control", "max-age=60"),
    ("etag", "\"one\""),
    ("last-modified", MODIFIED),
    ("content-type", "text/plain"),
    ("vary", "accept-encoding"),
];

/// Conditions, and whether they mean that the client has what is there.
const CONDITIONS: [(Lines<'static>, bool); 11] = [
    (&[("if-none-match", "\"one\"")], true),
    (&[("if-none-match", "W/\"one\"")], true),
    (&[("if-none-match", "\"two\", \"one\"")], true),
    (&[("if-none-match", "*")], true),
    (&[("if-none-match", "\"two\"")], false),
    (&[("if-none-match", "one")], false),
    (&[("if-modified-since", MODIFIED)], true),
    (&[("if-modified-since", LATER)], true),
    (&[("if-modified-since", EARLIER)], false),
    (&[("if-modified-since", "yesterday")], false),
    // The tag decides where there are both (RFC 9110 §13.1.3).
    (&[("if-none-match", "\"two\""), ("if-modified-since", LATER)], false),
];

#[tokio::test]
async fn the_store_answers_conditions() {
    let origin = Origin::fixed(200, LINES, "body");
    let app = App::new(&origin);
    app.get("/a", &[]).await;
    app.clock.advance(seconds(5));
    for (conditions, has_it) in CONDITIONS {
        let response = app.get("/a", conditions).await;
        assert_eq!(told(&response), HIT, "{conditions:?}");
        let expected = if has_it { (304, &b""[..]) } else { (200, &b"body"[..]) };
        let answer = (response.status().as_u16(), &response.body()[..]);
        assert_eq!(answer, expected, "{conditions:?}");
        assert_eq!(field(&response, "etag"), "\"one\"");
        assert_eq!(field(&response, "cache-control"), "max-age=60");
        assert_eq!(field(&response, "vary"), "accept-encoding");
        assert_eq!(field(&response, "age"), "5");
    }
    assert_eq!(origin.calls(), 1);
}

#[tokio::test]
async fn a_conditional_miss_fills_the_cache_and_gets_its_answer() {
    for (conditions, has_it) in CONDITIONS {
        let origin = Origin::fixed(200, LINES, "body");
        let app = App::new(&origin);
        let response = app.get("/a", conditions).await;
        let expected = if has_it { (304, &b""[..]) } else { (200, &b"body"[..]) };
        let answer = (response.status().as_u16(), &response.body()[..]);
        assert_eq!(answer, expected, "{conditions:?}");
        let told_304 = "fwd=uri-miss; fwd-status=200; stored";
        let expected = if has_it { told_304 } else { MISS };
        assert_eq!(told(&response), expected, "{conditions:?}");
        let seen = origin.last().headers;
        assert!(!seen.contains_key("if-none-match"), "{seen:?}");
        assert!(!seen.contains_key("if-modified-since"), "{seen:?}");
        let whole = app.get("/a", &[]).await;
        assert_eq!((told(&whole).as_str(), &whole.body()[..]), (HIT, &b"body"[..]));
    }
}

#[tokio::test]
async fn conditions_reach_the_origin_of_a_request_that_fills_nothing() {
    let origin = Origin::fixed(304, &[("etag", "\"one\"")], "");
    let app = App::new(&origin);
    let conditions = [("if-none-match", "\"one\""), ("cache-control", "no-store")];
    let response = app.get("/a", &conditions).await;
    assert_eq!(
        (response.status().as_u16(), told(&response).as_str()),
        (304, "fwd=bypass; detail=no-store")
    );
    assert_eq!(field(&response, "etag"), "\"one\"");
    assert_eq!(origin.last().headers["if-none-match"], "\"one\"");
}

#[tokio::test]
async fn errors_are_not_turned_into_304() {
    let lines = [("cache-control", "max-age=60"), ("etag", "\"one\"")];
    let app = App::new(&Origin::fixed(404, &lines, "none"));
    for expected in [MISS, HIT] {
        let response = app.get("/a", &[("if-none-match", "\"one\"")]).await;
        assert_eq!((response.status().as_u16(), told(&response).as_str()), (404, expected));
    }
}

#[tokio::test]
async fn head_is_answered_from_a_stored_get() {
    let origin = Origin::fixed(200, LINES, "body");
    let app = App::new(&origin);
    app.get("/a", &[]).await;
    let get = app.get("/a", &[]).await;
    let head = app.send(request("HEAD", "/a", &[])).await;
    assert_eq!((told(&head).as_str(), head.body().len()), (HIT, 0));
    assert_eq!((head.status(), head.headers()), (get.status(), get.headers()));
    assert_eq!(field(&head, "content-length"), "4");
    let head = app.send(request("HEAD", "/a", &[("if-none-match", "\"one\"")])).await;
    assert_eq!((head.status().as_u16(), told(&head).as_str()), (304, HIT));
    assert_eq!(origin.calls(), 1);
}

#[tokio::test]
async fn head_stores_nothing() {
    let origin = Origin::fixed(200, LINES, "");
    let app = App::new(&origin);
    for _ in 0..2 {
        let head = app.send(request("HEAD", "/a", &[])).await;
        assert_eq!(told(&head), "fwd=uri-miss; detail=method");
        assert_eq!(field(&head, "etag"), "\"one\"");
    }
    assert_eq!(origin.calls(), 2);
    assert_eq!(origin.last().method, "HEAD");
    assert_eq!(app.told("/a", &[]).await, MISS);
}
