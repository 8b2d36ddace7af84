//! What a stored response says of itself, and how long it is used.

use std::time::Duration;

use bytes::Bytes;
use cache_core::seconds;
use http::Response;
use http_body_util::Full;

use super::origin::{App, HIT, Lines, MISS, Origin, START_DATE, field, told};

/// How old the response is by its own account: exactly one `Age`.
fn age(response: &Response<Bytes>) -> u64 {
    assert_eq!(response.headers().get_all("age").iter().count(), 1);
    field(response, "age").parse().expect("a number")
}

#[tokio::test]
async fn age_counts_on_from_the_origin_s() {
    let lines = [("cache-control", "max-age=60"), ("age", "10"), ("date", START_DATE)];
    let app = App::new(&Origin::fixed(200, &lines, "body"));
    assert_eq!(age(&app.get("/a", &[]).await), 10);
    for (passed, expected) in [(0, 10), (1, 11), (30, 41)] {
        app.clock.advance(seconds(passed));
        let hit = app.get("/a", &[]).await;
        assert_eq!((told(&hit).as_str(), age(&hit)), (HIT, expected));
        assert_eq!(field(&hit, "date"), START_DATE);
        assert_eq!(field(&hit, "cache-control"), "max-age=60");
    }
}

/// The first member of a list counts (RFC 9111 §5.1); a later one was taken where it is no number.
#[tokio::test]
async fn of_a_list_of_ages_the_first_counts() {
    for (ages, expected) in [
        (&[("age", "10"), ("age", "20")][..], 10),
        (&[("age", "10, x")], 10),
        (&[("age", "x, 10")], 0),
        (&[("age", "-5")], 0),
    ] {
        let lines = [&[("cache-control", "max-age=60")], ages].concat();
        let app = App::new(&Origin::fixed(200, &lines, "body"));
        app.get("/a", &[]).await;
        assert_eq!(age(&app.get("/a", &[]).await), expected, "{ages:?}");
    }
}

#[tokio::test]
async fn without_age_a_hit_gets_one_and_a_miss_none() {
    let app = App::new(&Origin::fixed(200, &[("cache-control", "max-age=60")], "body"));
    assert_eq!(field(&app.get("/a", &[]).await, "age"), "-");
    assert_eq!(age(&app.get("/a", &[]).await), 0);
    app.clock.advance(Duration::from_millis(1_999));
    assert_eq!(age(&app.get("/a", &[]).await), 1);
}

/// Fresh for exactly so many seconds.
async fn lasts(lines: Lines<'_>, secs: u64) {
    let origin = Origin::fixed(200, lines, "body");
    let app = App::new(&origin);
    assert_eq!(app.told("/a", &[]).await, MISS, "{lines:?}");
    app.clock.advance(seconds(secs).checked_sub(Duration::from_millis(1)).expect("longer"));
    assert_eq!(app.told("/a", &[]).await, HIT, "{lines:?}");
    app.clock.advance(Duration::from_millis(1));
    let stale = app.told("/a", &[]).await;
    assert!(stale.starts_with("fwd="), "{lines:?}: {stale}");
    assert_eq!(origin.calls(), 2, "{lines:?}");
}

#[tokio::test]
async fn it_is_stale_when_its_time_is_over() {
    let in_a_minute = "Tue, 14 Nov 2023 22:14:20 GMT";
    lasts(&[("cache-control", "max-age=60")], 60).await;
    lasts(&[("cache-control", "max-age=60"), ("age", "10")], 50).await;
    lasts(&[("cache-control", "max-age=60, s-maxage=10")], 10).await;
    lasts(&[("cache-control", "max-age=10"), ("cache-control", "s-maxage=60")], 60).await;
    lasts(&[("expires", in_a_minute), ("date", START_DATE)], 60).await;
    lasts(&[("expires", in_a_minute)], 60).await;
    lasts(&[("expires", &in_a_minute.to_lowercase())], 60).await;
    lasts(&[("expires", in_a_minute), ("cache-control", "max-age=5")], 5).await;
    // Ten seconds on the way, by the origin's clock.
    let date = "Tue, 14 Nov 2023 22:13:10 GMT";
    lasts(&[("cache-control", "max-age=60"), ("date", date)], 50).await;
}

#[tokio::test]
async fn a_response_replaces_the_stale_one() {
    let count = std::sync::atomic::AtomicU64::new(0);
    let origin = Origin::new(move |_| {
        let count = count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        super::origin::reply(200, &[("cache-control", "max-age=60")], &format!("body {count}"))
    });
    let app = App::new(&origin);
    for generation in 0..3 {
        for _ in 0..2 {
            let body = app.get("/a", &[]).await.into_body();
            assert_eq!(body, format!("body {generation}"));
        }
        app.clock.advance(seconds(60));
    }
}

#[tokio::test]
async fn content_length_is_right() {
    for (lines, body) in [
        (&[("cache-control", "max-age=60"), ("content-length", "4")][..], "body"),
        (&[("cache-control", "max-age=60")], "another body"),
        (&[("cache-control", "max-age=60")], ""),
    ] {
        let app = App::new(&Origin::fixed(200, lines, body));
        app.get("/a", &[]).await;
        let hit = app.get("/a", &[]).await;
        assert_eq!((told(&hit).as_str(), &hit.body()[..]), (HIT, body.as_bytes()));
        assert_eq!(field(&hit, "content-length"), body.len().to_string());
        assert_eq!(field(&hit, "transfer-encoding"), "-");
    }
}

#[tokio::test]
async fn cache_status_follows_what_those_before_have_said() {
    let lines = [("cache-control", "max-age=60"), ("cache-status", "Upstream; fwd=miss")];
    let app = App::new(&Origin::fixed(200, &lines, "body"));
    for expected in [MISS, HIT, HIT] {
        let response = app.get("/a", &[]).await;
        let whole = format!("Upstream; fwd=miss, cache-tower; {expected}");
        assert_eq!(field(&response, "cache-status"), whole);
    }
}

#[tokio::test]
async fn what_belongs_to_a_connection_is_not_stored() {
    let lines = [
        ("cache-control", "max-age=60"),
        ("connection", "x-hop, X-Other"),
        ("connection", "keep-alive"),
        ("keep-alive", "timeout=5"),
        ("proxy-connection", "keep-alive"),
        ("proxy-authenticate", "Basic"),
        ("proxy-authentication-info", "x"),
        ("te", "trailers"),
        ("upgrade", "h2c"),
        ("x-hop", "1"),
        ("x-other", "2"),
        ("x-kept", "3"),
    ];
    let app = App::new(&Origin::fixed(200, &lines, "body"));
    assert_eq!(app.told("/a", &[]).await, MISS);
    let hit = app.get("/a", &[]).await;
    assert_eq!(told(&hit), HIT);
    for (name, _) in &lines[1..11] {
        assert_eq!(field(&hit, name), "-", "{name}");
    }
    assert_eq!(field(&hit, "x-kept"), "3");
}

#[tokio::test]
async fn several_lines_of_a_field_stay_several() {
    let lines = [("cache-control", "max-age=60"), ("link", "</a>"), ("link", "</b>")];
    let app = App::new(&Origin::fixed(200, &lines, "body"));
    app.get("/a", &[]).await;
    let hit = app.get("/a", &[]).await;
    let kept: Vec<_> = hit.headers().get_all("link").iter().collect();
    assert_eq!(kept, ["</a>", "</b>"]);
}

#[tokio::test]
async fn bodies_of_any_bytes_come_back_whole() {
    let bytes: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    let body = Bytes::from(bytes);
    let given = body.clone();
    let origin = Origin::new(move |_| {
        let response = Response::builder().header("cache-control", "max-age=60");
        response.body(Full::from(given.clone())).expect("valid")
    });
    let app = App::new(&origin);
    for expected in [MISS, HIT] {
        let response = app.get("/a", &[]).await;
        assert_eq!((told(&response).as_str(), response.body()), (expected, &body));
    }
}
