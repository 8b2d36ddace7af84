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

/// An origin that has what is asked for still, and tells the cache so, by its extensions.
fn confirming<T: Clone + Send + Sync + 'static>(lines: Lines<'static>, extension: T) -> Origin {
    Origin::new(move |request| {
        let asked = request.headers().contains_key("if-none-match");
        let lines = [&[("etag", "\"one\"")], lines].concat();
        let mut response = reply(if asked { 304 } else { 200 }, &lines, "body");
        response.extensions_mut().insert(extension.clone());
        response
    })
}

const CONFIRMED: &str = "fwd=stale; fwd-status=304";

/// The TTL that a handler gave with its 304 was not seen, and what it had confirmed was deleted.
#[tokio::test]
async fn a_handler_says_for_how_long_what_it_confirms_is_fresh() {
    for lines in [&[][..], FRESH] {
        let app = App::new(&confirming(lines, CacheTtl(minutes(5))));
        assert_eq!(app.told("/a", &[]).await, MISS);
        for _ in 0..2 {
            app.clock.advance(seconds(300));
            assert_eq!(app.told("/a", &[]).await, CONFIRMED, "{lines:?}");
            app.clock.advance(seconds(299));
            assert_eq!(app.told("/a", &[]).await, HIT, "{lines:?}");
            app.clock.advance(seconds(1));
            assert_eq!(app.told("/a", &[]).await, CONFIRMED, "{lines:?}");
        }
    }
}

/// What a handler or the application would not have stored was stored when it came as a 304.
#[tokio::test]
async fn what_is_confirmed_is_not_stored_against_the_application_s_word() {
    let origin = Origin::new(|request| {
        let asked = request.headers().contains_key("if-none-match");
        let part = if asked { "1" } else { "0" };
        let lines = [FRESH, &[("etag", "\"one\""), ("x-part", part)]].concat();
        let mut response = reply(if asked { 304 } else { 200 }, &lines, "body");
        if asked && request.uri().path() == "/handler" {
            response.extensions_mut().insert(NoStore);
        }
        response
    });
    let http = builder()
        .should_store(|response| {
            assert_eq!(response.status, 200);
            response.extensions.get::<NoStore>().is_some() || response.headers["x-part"] != "1"
        })
        .build();
    for uri in ["/handler", "/predicate"] {
        let app = App::layered(&http, &origin);
        assert_eq!(app.told(uri, &[]).await, MISS);
        app.clock.advance(seconds(61));
        let response = app.get(uri, &[]).await;
        assert_eq!((told(&response).as_str(), &response.body()[..]), (CONFIRMED, &b"body"[..]));
        assert_eq!(app.told(uri, &[]).await, MISS, "{uri}");
    }
}
