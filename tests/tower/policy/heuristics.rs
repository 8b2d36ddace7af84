//! Lifetimes for responses that have none of their own.

use cache_core::{Clock, hours, minutes, seconds};
use cache_tower::HttpCache;

use super::origin::{App, HIT, Lines, MISS, Origin, START, START_DATE, field, memory, told};

/// 1,000 s before the start.
const MODIFIED: (&str, &str) = ("last-modified", "Tue, 14 Nov 2023 21:56:40 GMT");
const DATE: (&str, &str) = ("date", START_DATE);

fn app(origin: &Origin) -> App {
    let builder = HttpCache::builder(memory(&Clock::manual(START)));
    App::layered(&builder.heuristic_freshness(hours(24)).build(), origin)
}

#[tokio::test]
async fn a_tenth_of_the_time_since_the_last_change() {
    let origin = Origin::fixed(200, &[MODIFIED, DATE], "body");
    let app = app(&origin);
    assert_eq!(app.told("/a", &[]).await, MISS);
    app.clock.advance(seconds(99));
    let hit = app.get("/a", &[]).await;
    assert_eq!((told(&hit).as_str(), field(&hit, "age").as_str()), (HIT, "99"));
    app.clock.advance(seconds(1));
    assert_ne!(app.told("/a", &[]).await, HIT);
    assert_eq!(origin.calls(), 2);
}

#[tokio::test]
async fn no_longer_than_the_bound() {
    let origin = Origin::fixed(200, &[("last-modified", "Mon, 13 Nov 2000 22:13:20 GMT")], "body");
    let builder = HttpCache::builder(memory(&Clock::manual(START)));
    let app = App::layered(&builder.heuristic_freshness(minutes(1)).build(), &origin);
    app.get("/a", &[]).await;
    app.clock.advance(seconds(59));
    assert_eq!(app.told("/a", &[]).await, HIT);
    app.clock.advance(seconds(1));
    assert_ne!(app.told("/a", &[]).await, HIT);
}

#[tokio::test]
async fn not_for_errors_nor_for_whoever_has_credentials() {
    let cases: [(u16, Lines<'static>, Lines<'static>, &str); 8] = [
        (404, &[], &[], "stored"),
        (599, &[("cache-control", "public")], &[], "stored"),
        (403, &[], &[], "detail=no-freshness"),
        (405, &[], &[], "detail=no-freshness"),
        (501, &[], &[], "detail=no-freshness"),
        (302, &[], &[], "detail=no-freshness"),
        (200, &[], &[("cookie", "a=b")], "detail=cookie"),
        (200, &[("cache-control", "public")], &[("cookie", "a=b")], "detail=cookie"),
    ];
    for (status, more, request, expected) in cases {
        let lines = [&[MODIFIED, DATE][..], more].concat();
        let origin = Origin::fixed(status, &lines, "body");
        let told = app(&origin).told("/a", request).await;
        assert_eq!(told, format!("fwd=uri-miss; {expected}"), "{status} {more:?} {request:?}");
    }
}
