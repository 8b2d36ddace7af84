//! What happens to a stale response while its origin is asked about it.

use cache_core::{Scope, seconds};
use cache_tests::body::{self, Body, fixed, full};
use cache_tower::HttpCache;
use http::{HeaderValue, Response};

use crate::setup::{
    App, Ask, Calls, app, at_rest, cache_status, fresh, get, head, http, memory, send, settle,
    whole,
};

const TAGGED: [(&str, &str); 3] = [
    ("cache-control", "max-age=10, stale-if-error=600"),
    ("etag", "\"old\""),
    ("cache-groups", "\"news\""),
];

fn stale_soon(lines: &[(&str, &str)]) -> Response<Body> {
    body::respond(200, lines, full("old"))
}

fn confirmed() -> Response<Body> {
    fixed(304, &TAGGED, "")
}

fn unavailable() -> Response<Body> {
    fixed(503, &[], "down")
}

fn varying() -> Vec<(&'static str, &'static str)> {
    [&TAGGED[..], &[("vary", "accept-language")]].concat()
}

fn with(mut request: Ask, name: &'static str, value: &'static str) -> Ask {
    request.headers_mut().insert(name, HeaderValue::from_static(value));
    request
}

fn post(path: &str) -> Ask {
    let mut request = get(path);
    *request.method_mut() = http::Method::POST;
    request
}

/// The ways in which a stored response can be invalidated.
#[derive(Clone, Copy, Debug)]
enum Way {
    Namespace,
    Unsafe,
    Group,
}

const WAYS: [Way; 3] = [Way::Namespace, Way::Unsafe, Way::Group];

async fn invalidate(
    way: Way,
    http: &HttpCache,
    app: &crate::setup::App,
    calls: &mut crate::setup::Calls,
) {
    let (path, lines) = match way {
        Way::Namespace => {
            http.cache().invalidate(Scope::namespace("api_responses")).await.expect("done");
            return;
        }
        Way::Unsafe => ("/a", &[][..]),
        Way::Group => ("/other", &[("cache-group-invalidation", "\"news\"")][..]),
    };
    let going = send(app, post(path));
    calls.next().await.answer(fixed(204, lines, ""));
    head(going).await;
}

/// An app in whose cache `/a` is stale.
async fn with_a_stale_one(lines: &[(&str, &str)]) -> (HttpCache, App, Calls) {
    let http = http(&memory());
    let (app, mut calls) = app(&http);
    let first = send(&app, get("/a"));
    calls.next().await.answer(stale_soon(lines));
    whole(head(first).await).await.expect("whole");
    at_rest(&http).await;
    http.cache().clock().advance(seconds(11));
    (http, app, calls)
}

/// The origin failed after an invalidation, and what had been invalidated stood in for it.
#[tokio::test]
async fn what_is_invalidated_while_the_origin_is_asked_does_not_stand_in_for_it() {
    for (way, lines) in WAYS.iter().flat_map(|way| [(*way, TAGGED.to_vec()), (*way, varying())]) {
        let (http, app, mut calls) = with_a_stale_one(&lines).await;
        let leading = send(&app, get("/a"));
        let asked = calls.next().await;
        let following = send(&app, get("/a"));
        settle().await;
        invalidate(way, &http, &app, &mut calls).await;
        asked.answer(unavailable());
        let led = head(leading).await;
        assert_eq!(led.status(), 503, "{way:?} {lines:?}: {}", cache_status(&led));
        calls.next().await.answer(unavailable());
        assert_eq!(head(following).await.status(), 503, "{way:?} {lines:?}");
        at_rest(&http).await;
        let after = send(&app, get("/a"));
        calls.next().await.answer(fresh(full("new")));
        assert_eq!(whole(head(after).await).await.expect("whole"), "new", "{way:?}");
    }
}

/// The same for a 304: its client gets the response that was confirmed, nobody else does.
#[tokio::test]
async fn what_is_invalidated_while_it_is_validated_is_gone() {
    for (way, lines) in WAYS.iter().flat_map(|way| [(*way, TAGGED.to_vec()), (*way, varying())]) {
        let (http, app, mut calls) = with_a_stale_one(&lines).await;
        let leading = send(&app, get("/a"));
        let asked = calls.next().await;
        invalidate(way, &http, &app, &mut calls).await;
        let later = send(&app, get("/a"));
        let new = calls.next().await;
        asked.answer(confirmed());
        assert_eq!(whole(head(leading).await).await.expect("whole"), "old");
        settle().await;
        let latest = send(&app, get("/a"));
        settle().await;
        new.answer(fresh(full("new")));
        assert_eq!(whole(head(later).await).await.expect("whole"), "new", "{way:?}");
        assert_eq!(whole(head(latest).await).await.expect("whole"), "new", "{way:?}");
        let hit = head(send(&app, get("/a"))).await;
        assert_eq!(cache_status(&hit), "hit");
        assert_eq!(whole(hit).await.expect("whole"), "new", "{way:?} {lines:?}");
        at_rest(&http).await;
    }
}

/// A 304 that came after another response had been stored put the old one back, as new.
#[tokio::test]
async fn a_late_304_does_not_bring_back_what_was_replaced() {
    let http = http(&memory());
    let (app, mut calls) = app(&http);
    let first = send(&app, get("/a"));
    calls.next().await.answer(stale_soon(&TAGGED));
    whole(head(first).await).await.expect("whole");
    http.cache().clock().advance(seconds(11));
    let validating = send(&app, get("/a"));
    let asked = calls.next().await;
    http.cache().clock().advance(seconds(1));
    // Does not wait for another's fetch.
    let ranged = send(&app, with(get("/a"), "range", "bytes=0-1"));
    calls.next().await.answer(fresh(full("new")));
    assert_eq!(whole(head(ranged).await).await.expect("whole"), "new");
    assert_eq!(whole(head(send(&app, get("/a"))).await).await.expect("whole"), "new");
    asked.answer(confirmed());
    assert_eq!(whole(head(validating).await).await.expect("whole"), "old");
    at_rest(&http).await;
    let hit = head(send(&app, get("/a"))).await;
    assert_eq!(cache_status(&hit), "hit");
    assert_eq!(whole(hit).await.expect("whole"), "new");
}

const REFRESHED: [(&str, &str); 1] = [("cache-control", "max-age=10, stale-while-revalidate=3600")];

/// A refresh that panics, fails, or whose client has gone.
#[tokio::test]
async fn a_refresh_that_ends_badly_makes_room_for_the_next() {
    let http = http(&memory());
    let (app, mut calls) = app(&http);
    let first = send(&app, get("/a"));
    calls.next().await.answer(stale_soon(&REFRESHED));
    whole(head(first).await).await.expect("whole");
    http.cache().clock().advance(seconds(11));
    for n in 0..3 {
        drop(head(send(&app, get("/a"))).await);
        let call = calls.next().await;
        match n {
            0 => call.panic(),
            1 => call.fail(),
            _ => call.answer(fixed(500, &[("set-cookie", "a=b")], "")),
        }
        at_rest(&http).await;
        // It rests for a while.
        http.cache().clock().advance(seconds(2));
    }
    let stats = http.stats();
    assert_eq!((stats.hits, stats.stale, stats.misses, stats.bypasses), (3, 3, 1, 0));
}
