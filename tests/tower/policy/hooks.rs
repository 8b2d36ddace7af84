//! What an application decides itself.

use cache_core::{Clock, minutes, seconds};
use cache_tower::{CacheLayer, CacheTtl, HttpCache, HttpCacheBuilder, NoStore};
use tower::Layer;

use super::origin::{App, HIT, Lines, MISS, Origin, START, field, memory, reply, request, told};

const FRESH: Lines<'static> = &[("cache-control", "max-age=60")];

fn builder() -> HttpCacheBuilder {
    HttpCache::builder(memory(&Clock::manual(START)))
}

#[tokio::test]
async fn a_handler_says_that_a_response_is_not_stored() {
    let origin = Origin::new(|request| {
        let mut response = reply(200, FRESH, "body");
        if request.uri().path() == "/half" {
            response.extensions_mut().insert(NoStore);
        }
        response
    });
    let app = App::new(&origin);
    for _ in 0..2 {
        assert_eq!(app.told("/half", &[]).await, "fwd=uri-miss; detail=handler");
    }
    assert_eq!(app.told("/whole", &[]).await, MISS);
}

#[tokio::test]
async fn a_handler_says_for_how_long() {
    let origin = Origin::new(|request| {
        let lines: &[_] = match request.uri().path() {
            "/private" => &[("cache-control", "private")],
            _ => FRESH,
        };
        let mut response = reply(200, lines, "body");
        response.extensions_mut().insert(CacheTtl(minutes(5)));
        response
    });
    for app in [App::new(&origin), App::endpoint(&builder().build(), seconds(1), &origin)] {
        assert_eq!(app.told("/a", &[]).await, MISS);
        app.clock.advance(seconds(299));
        let hit = app.get("/a", &[]).await;
        // Clients are told what the headers say.
        assert_eq!(
            (told(&hit).as_str(), field(&hit, "cache-control").as_str()),
            (HIT, "max-age=60")
        );
        app.clock.advance(seconds(1));
        assert_ne!(app.told("/a", &[]).await, HIT);
        assert_eq!(app.told("/private", &[]).await, "fwd=uri-miss; detail=private");
    }
}

#[tokio::test]
async fn the_application_refuses_what_could_be_stored() {
    let origin = Origin::new(|request| {
        let part = request.uri().query().unwrap_or("none").to_owned();
        reply(200, &[FRESH, &[("x-part", part.as_str())]].concat(), "body")
    });
    let http = builder().should_store(|response| response.headers["x-part"] != "1").build();
    let layer = CacheLayer::new(&http).should_store(|response| response.headers["x-part"] != "2");
    let app = App::of(&http, layer.layer(origin.clone()));
    for (uri, expected) in [
        ("/a?1", "fwd=uri-miss; detail=should-store"),
        ("/a?2", "fwd=uri-miss; detail=should-store"),
        ("/a?3", MISS),
        ("/a?1", "fwd=uri-miss; detail=should-store"),
        ("/a?3", HIT),
    ] {
        assert_eq!(app.told(uri, &[]).await, expected, "{uri}");
    }
    // It is asked only where nothing else forbids to store.
    let origin = Origin::fixed(200, &[("cache-control", "no-store")], "body");
    let app = App::layered(&builder().should_store(|_| true).build(), &origin);
    assert_eq!(app.told("/a", &[]).await, "fwd=uri-miss; detail=no-store");
}

#[tokio::test]
async fn the_application_sends_requests_past_the_cache() {
    let origin = Origin::fixed(200, FRESH, "body");
    let http = builder().skip_cache(|request| request.headers().contains_key("x-preview")).build();
    let layer = CacheLayer::new(&http).skip_cache(|request| request.uri().path() == "/live");
    let app = App::of(&http, layer.layer(origin.clone()));
    let preview: Lines<'_> = &[("x-preview", "1")];
    let skipped = "fwd=bypass; detail=skip-cache";
    assert_eq!(app.told("/a", preview).await, skipped);
    assert_eq!(app.told("/a", &[]).await, MISS);
    assert_eq!(app.told("/a", preview).await, skipped);
    assert_eq!(told(&app.send(request("HEAD", "/a", preview)).await), skipped);
    for _ in 0..2 {
        assert_eq!(app.told("/live", &[]).await, skipped);
    }
    // What changes something invalidates, preview or not.
    assert_eq!(app.told("/a", &[]).await, HIT);
    app.send(request("POST", "/a", preview)).await;
    assert_eq!(app.told("/a", &[]).await, MISS);
}
