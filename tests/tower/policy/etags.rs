//! Entity tags for stored responses whose origin gave them none.

use cache_core::{Clock, minutes};
use cache_tower::{HttpCache, HttpCacheBuilder};

use super::origin::{App, HIT, Lines, MISS, Origin, START, field, memory, told};

const FRESH: (&str, &str) = ("cache-control", "max-age=60");

fn builder() -> HttpCacheBuilder {
    HttpCache::builder(memory(&Clock::manual(START)))
}

#[tokio::test]
async fn clients_that_have_the_bytes_are_told_so() {
    let origin = Origin::fixed(200, &[FRESH, ("content-type", "text/plain")], "body");
    let app = App::layered(&builder().generate_etags().build(), &origin);
    let miss = app.get("/a", &[]).await;
    assert_eq!((told(&miss).as_str(), field(&miss, "etag").as_str()), (MISS, "-"));
    let hit = app.get("/a", &[]).await;
    let tag = field(&hit, "etag");
    assert_eq!((told(&hit).as_str(), tag.len()), (HIT, 34), "{tag}");
    let again = app.get("/a", &[("if-none-match", tag.as_str())]).await;
    assert_eq!((again.status().as_u16(), field(&again, "etag")), (304, tag.clone()));
    assert!(again.body().is_empty());
    let other = app.get("/a", &[("if-none-match", "\"other\"")]).await;
    assert_eq!((other.status().as_u16(), &other.body()[..]), (200, &b"body"[..]));
    // The same bytes, stored anew, have the same tag.
    app.clock.advance(minutes(2));
    app.get("/a", &[]).await;
    assert_eq!(field(&app.get("/a", &[]).await, "etag"), tag);
}

#[tokio::test]
async fn nobody_gets_a_tag_who_has_a_validator_or_did_not_ask() {
    let none = builder().build();
    let all = builder().generate_etags().build();
    let cases: [(&HttpCache, u16, Lines<'static>, &str); 4] = [
        (&none, 200, &[FRESH], "-"),
        (&all, 200, &[FRESH, ("etag", "W/\"a\"")], "W/\"a\""),
        (&all, 200, &[FRESH, ("last-modified", "Mon, 13 Nov 2023 22:13:20 GMT")], "-"),
        (&all, 404, &[FRESH], "-"),
    ];
    for (nth, (http, status, lines, expected)) in cases.into_iter().enumerate() {
        let app = App::layered(http, &Origin::fixed(status, lines, "body"));
        let uri = format!("/{nth}");
        app.get(&uri, &[]).await;
        let hit = app.get(&uri, &[]).await;
        assert_eq!(
            (told(&hit).as_str(), field(&hit, "etag").as_str()),
            (HIT, expected),
            "{lines:?}"
        );
    }
}
