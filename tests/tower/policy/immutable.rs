//! Responses that do not change while they are fresh (RFC 8246).

use cache_core::seconds;

use super::origin::{App, HIT, Lines, Origin, told};

const LINES: Lines<'static> = &[
    ("cache-control", "max-age=60, immutable"),
    ("etag", "\"one\""),
    ("last-modified", "Mon, 13 Nov 2023 22:13:20 GMT"),
];

#[tokio::test]
async fn it_ends_with_freshness() {
    let origin = Origin::fixed(200, LINES, "body");
    let app = App::new(&origin);
    app.get("/a", &[]).await;
    app.clock.advance(seconds(59));
    assert_eq!(app.told("/a", &[]).await, HIT);
    assert_eq!(origin.calls(), 1);
    app.clock.advance(seconds(1));
    let stale = app.told("/a", &[]).await;
    assert!(stale.starts_with("fwd="), "{stale}");
    assert_eq!(origin.calls(), 2);
}

#[tokio::test]
async fn the_client_s_own_directives_still_count() {
    let origin = Origin::fixed(200, LINES, "body");
    let app = App::new(&origin);
    app.get("/a", &[]).await;
    for (status, condition) in
        [(304, ("if-none-match", "\"one\"")), (200, ("if-none-match", "\"two\""))]
    {
        let response = app.get("/a", &[condition]).await;
        assert_eq!((response.status().as_u16(), told(&response).as_str()), (status, HIT));
    }
    assert_eq!(origin.calls(), 1);
    for (calls, directive) in [(2, "no-cache"), (3, "max-age=0"), (4, "min-fresh=61")] {
        app.get("/a", &[("cache-control", directive)]).await;
        assert_eq!(origin.calls(), calls, "{directive}");
    }
}
