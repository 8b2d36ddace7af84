//! Fields that take the place of `Cache-Control` (RFC 9213).

use std::time::Duration;

use cache_core::{Clock, minutes};
use cache_tower::{HttpCache, HttpCacheBuilder};

use super::origin::{App, HIT, Lines, MISS, Origin, START, field, memory};

fn targeting(targets: &[&str]) -> HttpCacheBuilder {
    HttpCache::builder(memory(&Clock::manual(START))).targets(targets)
}

fn app(targets: &[&str], response: Lines<'_>) -> App {
    App::layered(&targeting(targets).build(), &Origin::fixed(200, response, "body"))
}

const BOTH: &[&str] = &["shop-cache-control", "cdn-cache-control"];

#[tokio::test]
async fn the_first_valid_one_decides_alone() {
    let stored = MISS;
    let no_store = "fwd=uri-miss; detail=no-store";
    let no_freshness = "fwd=uri-miss; detail=no-freshness";
    let private = "fwd=uri-miss; detail=private";
    let cases: &[(Lines<'_>, &str)] = &[
        (&[("cache-control", "no-store"), ("cdn-cache-control", "max-age=60")], stored),
        (&[("cache-control", "private"), ("cdn-cache-control", "max-age=60")], stored),
        (&[("cache-control", "max-age=60"), ("cdn-cache-control", "no-store")], no_store),
        (&[("cache-control", "max-age=60"), ("cdn-cache-control", "private")], private),
        (&[("cache-control", "max-age=60"), ("cdn-cache-control", "max-age=0")], no_freshness),
        (&[("cache-control", "max-age=60"), ("cdn-cache-control", "none")], no_freshness),
        (&[("expires", "Fri, 01 Jan 2100 00:00:00 GMT"), ("cdn-cache-control", "a")], no_freshness),
        (&[("shop-cache-control", "no-store"), ("cdn-cache-control", "max-age=60")], no_store),
        // Neither the empty nor the malformed.
        (&[("cache-control", "no-store"), ("cdn-cache-control", "")], no_store),
        (&[("cache-control", "no-store"), ("cdn-cache-control", "max-age=60,")], no_store),
        (&[("cache-control", "max-age=60"), ("cdn-cache-control", "No-Store")], stored),
        (&[("shop-cache-control", "a b"), ("cdn-cache-control", "max-age=60")], stored),
        // Of the wrong type.
        (&[("cache-control", "max-age=60"), ("cdn-cache-control", "max-age=\"9\"")], no_freshness),
        // For somebody else.
        (&[("cache-control", "max-age=60"), ("other-cache-control", "no-store")], stored),
        (&[("cache-control", "no-store"), ("other-cache-control", "max-age=60")], no_store),
    ];
    for (response, expected) in cases {
        assert_eq!(app(BOTH, response).told("/a", &[]).await, *expected, "{response:?}");
    }
    // By default there are no targets.
    let response: Lines<'_> = &[("cache-control", "max-age=60"), ("cdn-cache-control", "no-store")];
    assert_eq!(App::new(&Origin::fixed(200, response, "")).told("/a", &[]).await, MISS);
}

#[tokio::test]
async fn it_says_for_how_long_and_reaches_the_client() {
    let response: Lines<'_> =
        &[("cache-control", "max-age=5"), ("cdn-cache-control", "max-age=60"), ("age", "10")];
    let app = app(BOTH, response);
    assert_eq!(app.told("/a", &[]).await, MISS);
    app.clock.advance(Duration::from_secs(49));
    let hit = app.get("/a", &[]).await;
    assert_eq!(field(&hit, "cache-status"), "cache-tower; hit");
    assert_eq!(
        (field(&hit, "cdn-cache-control"), field(&hit, "age")),
        ("max-age=60".into(), "59".into())
    );
    assert_eq!(field(&hit, "cache-control"), "max-age=5");
    app.clock.advance(Duration::from_secs(1));
    assert_ne!(app.told("/a", &[]).await, HIT);
}

#[tokio::test]
async fn it_says_who_may_share() {
    let authorized: Lines<'_> = &[("authorization", "Bearer x")];
    for (cdn, first, second) in [
        ("max-age=60", "fwd=uri-miss; detail=authorization", "fwd=uri-miss; detail=authorization"),
        ("max-age=60, public", MISS, HIT),
        (
            "max-age=60, public=1",
            "fwd=uri-miss; detail=authorization",
            "fwd=uri-miss; detail=authorization",
        ),
        ("s-maxage=60", MISS, HIT),
        ("max-age=60, must-revalidate", MISS, HIT),
    ] {
        // What Cache-Control says of it is not asked.
        let app =
            app(BOTH, &[("cache-control", "public, s-maxage=60"), ("cdn-cache-control", cdn)]);
        assert_eq!(app.told("/a", authorized).await, first, "{cdn}");
        assert_eq!(app.told("/a", authorized).await, second, "{cdn}");
    }
}

#[tokio::test]
async fn a_ttl_of_ours_is_for_what_it_leaves_open() {
    for (cdn, expected) in [("none", MISS), ("max-age=0", "fwd=uri-miss; detail=no-freshness")] {
        let response: Lines<'_> = &[("cache-control", "max-age=0"), ("cdn-cache-control", cdn)];
        let origin = Origin::fixed(200, response, "");
        let app = App::endpoint(&targeting(BOTH).build(), minutes(1), &origin);
        assert_eq!(app.told("/a", &[]).await, expected, "{cdn}");
    }
}

#[test]
#[should_panic(expected = "no name for a header")]
fn a_target_that_is_no_name_is_refused() {
    let _ = targeting(&["cdn cache control"]);
}
