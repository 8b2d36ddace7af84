//! Which responses are stored, and what is said of those that are not.

use cache_core::{Clock, minutes, seconds};
use cache_tower::{CacheLayer, HttpCache};
use http::StatusCode;
use tower::Layer;

use super::origin::{App, HIT, Lines, MISS, Origin, START, field, memory, told};

struct Case {
    status: u16,
    request: Lines<'static>,
    response: Lines<'static>,
    /// Why it is not stored; empty if it is.
    refusal: &'static str,
}

const FRESH: (&str, &str) = ("cache-control", "max-age=60");

const fn ok(response: Lines<'static>, refusal: &'static str) -> Case {
    Case { status: 200, request: &[], response, refusal }
}

const fn status(status: u16, response: Lines<'static>, refusal: &'static str) -> Case {
    Case { status, request: &[], response, refusal }
}

const fn to(request: Lines<'static>, response: Lines<'static>, refusal: &'static str) -> Case {
    Case { status: 200, request, response, refusal }
}

const AUTHORIZED: Lines<'static> = &[("authorization", "Bearer a")];
const KNOWN: Lines<'static> = &[("cookie", "session=1")];

async fn each(cases: &[Case], app: impl Fn(&Origin) -> App) {
    for Case { status, request, response, refusal } in cases {
        let context = format!("{status} {response:?} to {request:?}");
        let origin = Origin::fixed(*status, response, "body");
        let app = app(&origin);
        let first = match *refusal {
            "" => MISS.to_owned(),
            reason => format!("fwd=uri-miss; detail={reason}"),
        };
        assert_eq!(app.told("/a", request).await, first, "{context}");
        let second = if refusal.is_empty() { HIT } else { &first };
        let again = app.get("/a", request).await;
        assert_eq!(super::origin::told(&again), second, "{context}");
        assert_eq!((again.status().as_u16(), &again.body()[..]), (*status, &b"body"[..]));
        assert_eq!(origin.calls(), if refusal.is_empty() { 1 } else { 2 }, "{context}");
    }
}

#[tokio::test]
async fn by_cache_control() {
    let cases = [
        ok(&[FRESH], ""),
        ok(&[("cache-control", "s-maxage=60")], ""),
        ok(&[("cache-control", "public, max-age=60")], ""),
        ok(&[("cache-control", "MAX-AGE=60")], ""),
        ok(&[("cache-control", "no-store")], "no-store"),
        ok(&[("cache-control", "max-age=60, No-Store")], "no-store"),
        ok(&[FRESH, ("cache-control", "no-store")], "no-store"),
        ok(&[("cache-control", "private, max-age=60")], "private"),
        ok(&[FRESH, ("cache-control", "private")], "private"),
        ok(&[("cache-control", "no-cache, max-age=60")], "no-freshness"),
        ok(&[("cache-control", "public")], "no-freshness"),
        ok(&[("cache-control", "max-age=0")], "no-freshness"),
        ok(&[("cache-control", "max-age=60, s-maxage=0")], "no-freshness"),
        ok(&[], "no-freshness"),
        ok(&[("last-modified", "Mon, 13 Nov 2023 22:13:20 GMT")], "no-freshness"),
    ];
    each(&cases, App::new).await;
}

#[tokio::test]
async fn what_is_quoted_is_no_directive() {
    let cases = [
        ok(&[("cache-control", "max-age=60, x=\"a, no-store, private\"")], ""),
        ok(&[("cache-control", "x=\"\\\", no-store\", max-age=60")], ""),
        ok(&[("cache-control", "max-age=\"60\"")], ""),
        ok(&[("cache-control", "private=\"x-user\", max-age=60")], ""),
        ok(&[("cache-control", "x=\"max-age=60\"")], "no-freshness"),
    ];
    each(&cases, App::new).await;
}

#[tokio::test]
async fn garbage_is_not_fresh() {
    let cases = [
        ok(&[("cache-control", "max-age=abc")], "no-freshness"),
        ok(&[("cache-control", "max-age=-60")], "no-freshness"),
        ok(&[("cache-control", "max-age=")], "no-freshness"),
        ok(&[("cache-control", "max-age")], "no-freshness"),
        ok(&[("cache-control", "max-age=1.5")], "no-freshness"),
        ok(&[("cache-control", "\u{ff}\u{fe}")], "no-freshness"),
        ok(&[("expires", "0")], "no-freshness"),
        ok(&[("expires", "tomorrow")], "no-freshness"),
        // More than fits in any integer is a long time (RFC 9111 §1.2.2).
        ok(&[("cache-control", "max-age=99999999999999999999999999")], ""),
    ];
    each(&cases, App::new).await;
}

#[tokio::test]
async fn by_other_fields_and_status() {
    let cases = [
        ok(&[FRESH, ("set-cookie", "a=b")], "set-cookie"),
        ok(&[FRESH, ("vary", "*")], "vary-any"),
        ok(&[FRESH, ("vary", "accept, *")], "vary-any"),
        ok(&[FRESH, ("vary", "accept"), ("vary", "*")], "vary-any"),
        ok(&[FRESH, ("content-range", "bytes 0-3/9")], ""),
        status(206, &[FRESH, ("content-range", "bytes 0-3/9")], "partial"),
        status(500, &[], "no-freshness"),
        status(500, &[FRESH], ""),
        status(404, &[], "no-freshness"),
        status(404, &[FRESH], ""),
        status(301, &[FRESH, ("location", "/b")], ""),
        status(599, &[("cache-control", "max-age=60, must-understand")], "unknown-status"),
    ];
    each(&cases, App::new).await;
}

/// An origin that gives a 204 a length was not cached at all: its body was never that long.
#[tokio::test]
async fn a_length_of_no_content_is_dropped() {
    for length in ["5", "0", "x"] {
        let origin = Origin::fixed(204, &[FRESH, ("content-length", length)], "");
        let app = App::new(&origin);
        assert_eq!(app.told("/a", &[]).await, MISS, "{length}");
        let hit = app.get("/a", &[]).await;
        assert_eq!((hit.status().as_u16(), told(&hit).as_str()), (204, HIT), "{length}");
        assert_eq!(field(&hit, "content-length"), "-", "{length}");
    }
}

#[tokio::test]
async fn by_credentials() {
    let cases = [
        to(AUTHORIZED, &[FRESH], "authorization"),
        to(AUTHORIZED, &[("cache-control", "public, max-age=60")], ""),
        to(AUTHORIZED, &[("cache-control", "s-maxage=60")], ""),
        to(AUTHORIZED, &[("cache-control", "must-revalidate, max-age=60")], ""),
        // The origin has said for how long, and a cookie is no reason against it.
        to(KNOWN, &[FRESH], ""),
    ];
    each(&cases, App::new).await;
}

#[tokio::test]
async fn with_an_assigned_lifetime() {
    let endpoint = |origin: &Origin| {
        let http = HttpCache::builder(memory(&Clock::manual(START))).build();
        App::endpoint(&http, minutes(1), origin)
    };
    let cases = [
        ok(&[], ""),
        ok(&[("cache-control", "public")], ""),
        ok(&[("cache-control", "no-store")], "no-store"),
        ok(&[("cache-control", "private")], "private"),
        ok(&[("cache-control", "max-age=0")], "no-freshness"),
        ok(&[("set-cookie", "a=b")], "set-cookie"),
        to(KNOWN, &[], "cookie"),
        to(KNOWN, &[FRESH], ""),
        to(AUTHORIZED, &[], "authorization"),
        to(AUTHORIZED, &[("cache-control", "s-maxage=60")], ""),
        status(500, &[], "no-freshness"),
        status(404, &[], "no-freshness"),
        status(302, &[], "no-freshness"),
        status(301, &[], ""),
    ];
    each(&cases, endpoint).await;
}

#[tokio::test]
async fn a_refusal_to_one_client_does_not_keep_others_from_storing() {
    let origin = Origin::fixed(200, &[FRESH], "body");
    let app = App::new(&origin);
    assert_eq!(app.told("/a", AUTHORIZED).await, "fwd=uri-miss; detail=authorization");
    assert_eq!(app.told("/a", &[]).await, MISS);
    assert_eq!(app.told("/a", &[]).await, HIT);
}

fn builder() -> cache_tower::HttpCacheBuilder {
    HttpCache::builder(memory(&Clock::manual(START)))
}

#[tokio::test]
async fn what_is_not_there_may_have_a_lifetime_of_its_own() {
    let layered =
        |origin: &Origin| App::layered(&builder().negative_ttl(seconds(10)).build(), origin);
    let cases = [
        status(404, &[], ""),
        status(410, &[], ""),
        status(404, &[("cache-control", "no-store")], "no-store"),
        status(404, &[("cache-control", "max-age=0")], "no-freshness"),
        status(200, &[], "no-freshness"),
        status(302, &[], "no-freshness"),
        status(400, &[], "no-freshness"),
        status(403, &[], "no-freshness"),
        status(500, &[], "no-freshness"),
        status(503, &[FRESH], ""),
    ];
    each(&cases, layered).await;
    // Of one layer, beside the TTL for what is there.
    let endpoint = |origin: &Origin| {
        let http = builder().negative_statuses([StatusCode::FOUND]).build();
        let layer = CacheLayer::endpoint(&http, minutes(1)).negative_ttl(seconds(10));
        App::of(&http, layer.layer(origin.clone()))
    };
    let cases = [status(200, &[], ""), status(302, &[], ""), status(404, &[], "no-freshness")];
    each(&cases, endpoint).await;
}

#[tokio::test]
async fn what_is_not_there_may_be_there_soon() {
    let origin = Origin::fixed(404, &[], "nothing");
    let app = App::layered(&builder().negative_ttl(seconds(10)).build(), &origin);
    app.get("/a", &[]).await;
    app.clock.advance(seconds(9));
    assert_eq!(app.told("/a", &[]).await, HIT);
    app.clock.advance(seconds(1));
    assert_ne!(app.told("/a", &[]).await, HIT);
}

#[tokio::test]
async fn a_layer_says_which_statuses_take_its_ttl() {
    let endpoint = |origin: &Origin| {
        let http = builder().build();
        let layer = CacheLayer::endpoint(&http, minutes(1)).statuses([StatusCode::FOUND]);
        App::of(&http, layer.layer(origin.clone()))
    };
    let cases = [
        status(302, &[], ""),
        status(200, &[], "no-freshness"),
        status(200, &[FRESH], ""),
        status(404, &[], "no-freshness"),
    ];
    each(&cases, endpoint).await;
}

#[tokio::test]
#[should_panic(expected = "403 Forbidden is stored only if the origin says for how long")]
async fn no_layer_stores_errors_that_clients_bring_about() {
    let _ = CacheLayer::endpoint(&builder().build(), minutes(1)).statuses([StatusCode::FORBIDDEN]);
}
