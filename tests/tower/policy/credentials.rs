//! Who shares what, where the lifetime is ours.

use std::time::Duration;

use cache_core::{Clock, minutes};
use cache_tower::{CacheLayer, HttpCache, HttpCacheBuilder};
use tower::{Layer, ServiceExt};

use super::origin::{App, HIT, Lines, MISS, Origin, START, field, memory, reply, request, told};

const CREDENTIALS: [Lines<'static>; 3] = [
    &[("authorization", "Bearer a")],
    &[("cookie", "session=1")],
    &[("authorization", "Bearer a"), ("cookie", "session=1")],
];

/// Says to whom it speaks, and nothing of how long that lasts.
fn personal() -> Origin {
    Origin::new(|request| {
        let of = |name| request.headers().get(name).map(|value| value.to_str().expect("text"));
        let body = format!("{:?} {:?}", of("authorization"), of("cookie"));
        reply(200, &[("content-type", "text/plain")], &body)
    })
}

fn builder() -> HttpCacheBuilder {
    HttpCache::builder(memory(&Clock::manual(START)))
}

#[tokio::test]
async fn with_a_lifetime_of_ours_they_get_responses_of_their_own() {
    for credentials in CREDENTIALS {
        let origin = personal();
        let app = App::endpoint(&builder().build(), minutes(1), &origin);
        // First: nothing is stored for them.
        let theirs = app.get("/a", credentials).await;
        assert!(told(&theirs).starts_with("fwd=uri-miss; detail="), "{}", told(&theirs));
        // Then others store theirs, which they do not get.
        assert_eq!(app.told("/a", &[]).await, MISS);
        for method in ["GET", "HEAD"] {
            let before = origin.calls();
            let again = app.send(request(method, "/a", credentials)).await;
            assert_eq!(told(&again), "fwd=bypass; detail=credentials");
            assert_eq!(origin.calls(), before + 1);
            assert_eq!(again.body(), theirs.body());
        }
        // Nor have they changed it.
        let others = app.get("/a", &[]).await;
        assert_eq!((told(&others).as_str(), &others.body()[..]), (HIT, &b"None None"[..]));
    }
}

#[tokio::test]
async fn not_even_if_only_the_store_has_it() {
    let redis = cache_tests::RedisServer::start();
    let clock = Clock::manual(START);
    let http = HttpCache::builder(super::origin::in_redis(&redis, &clock)).build();
    let origin = personal();
    let app = App::endpoint(&http, minutes(1), &origin);
    app.get("/a", &[]).await;
    assert_eq!(app.told("/a", &[]).await, HIT);
    for credentials in CREDENTIALS {
        let response = app.get("/a", credentials).await;
        assert_eq!(told(&response), "fwd=bypass; detail=credentials");
        assert_ne!(&response.body()[..], b"None None");
    }
}

/// A cookie is no reason against what the origin gave a lifetime; `Authorization` is, unless the
/// origin has named it in one of the ways of RFC 9111 §3.5.
#[tokio::test]
async fn what_the_origin_gave_a_lifetime() {
    const OWN: &str = "fwd=bypass; detail=credentials";
    for (cache_control, authorized) in [
        ("max-age=60", OWN),
        ("public, max-age=60", HIT),
        ("s-maxage=60", HIT),
        ("max-age=60, must-revalidate", HIT),
    ] {
        let origin = Origin::fixed(200, &[("cache-control", cache_control)], "body");
        for app in [App::new(&origin), App::endpoint(&builder().build(), minutes(1), &origin)] {
            assert_eq!(app.told("/a", &[]).await, MISS);
            for (credentials, expected) in CREDENTIALS.iter().zip([authorized, HIT, authorized]) {
                let told = app.told("/a", credentials).await;
                assert_eq!(told, expected, "{cache_control} {credentials:?}");
            }
        }
    }
}

/// An origin that takes its time: all these are under way at once.
#[tokio::test]
async fn who_gets_no_stored_response_gets_none_that_others_are_fetching() {
    let origin = personal();
    let slow = tower::service_fn(move |request| {
        let origin = origin.clone();
        async move {
            tokio::time::sleep(Duration::from_millis(30)).await;
            origin.oneshot(request).await
        }
    });
    for first in [0, 1, 2, 3] {
        let http = builder().build();
        let layer = CacheLayer::endpoint(&http, minutes(1));
        let app = App::of(&http, layer.layer(slow.clone()));
        let clients: [Lines<'_>; 4] =
            [&[], &[("authorization", "a")], &[("authorization", "b")], &[("cookie", "c")]];
        let mut tasks = Vec::new();
        for nth in 0..40 {
            let who = (first + nth) % clients.len();
            let (app, request) = (app.clone(), request("GET", "/a", clients[who]));
            tasks.push((who, tokio::spawn(async move { app.send(request).await })));
        }
        let expected = ["None None", "Some(\"a\") None", "Some(\"b\") None", "None Some(\"c\")"];
        for (who, task) in tasks {
            let response = task.await.expect("no panic");
            assert_eq!(response.body(), expected[who], "{}", told(&response));
        }
    }
}

#[tokio::test]
async fn those_who_share_a_workspace_on_purpose_share_it() {
    for credentials in CREDENTIALS {
        let origin = personal();
        let http = builder().share_within_workspace().build();
        let app = App::endpoint(&http, minutes(1), &origin);
        let ours = [credentials, &[("x-workspace-id", "ours")]].concat();
        let first = app.get("/a", &ours).await;
        assert_eq!(told(&first), MISS);
        for lines in [&ours, &[("x-workspace-id", "ours")][..]] {
            let response = app.get("/a", lines).await;
            assert_eq!((told(&response).as_str(), response.body()), (HIT, first.body()));
        }
        let theirs = [credentials, &[("x-workspace-id", "theirs")]].concat();
        assert_eq!(app.told("/a", &theirs).await, MISS);
        assert_eq!(origin.calls(), 2);
    }
}

/// What was made for the credentials of one was stored for everybody who names no workspace.
#[tokio::test]
async fn without_a_workspace_nothing_is_shared() {
    for credentials in CREDENTIALS {
        let origin = personal();
        let http = builder().share_within_workspace().build();
        let app = App::endpoint(&http, minutes(1), &origin);
        let theirs = app.get("/a", credentials).await;
        assert!(told(&theirs).starts_with("fwd=uri-miss; detail="), "{}", told(&theirs));
        assert_eq!(&app.get("/a", &[]).await.body()[..], b"None None");
        let again = app.get("/a", credentials).await;
        assert_eq!(told(&again), "fwd=bypass; detail=credentials");
        assert_eq!(again.body(), theirs.body());
    }
}

#[tokio::test]
async fn sharing_does_not_override_private() {
    let origin = Origin::fixed(200, &[("cache-control", "private, max-age=60")], "body");
    let app = App::layered(&builder().share_within_workspace().build(), &origin);
    for _ in 0..2 {
        assert_eq!(app.told("/a", CREDENTIALS[0]).await, "fwd=uri-miss; detail=private");
    }
}

#[tokio::test]
async fn cookies_are_stripped_where_that_is_asked_for() {
    let lines = [
        ("cache-control", "max-age=60"),
        ("set-cookie", "session=1"),
        ("set-cookie", "theme=dark"),
        ("x-kept", "1"),
    ];
    let origin = Origin::fixed(200, &lines, "body");
    let app = App::layered(&builder().strip_set_cookie().build(), &origin);
    let first = app.get("/a", &[]).await;
    assert_eq!((told(&first).as_str(), field(&first, "x-kept").as_str()), (MISS, "1"));
    // They were made for the one who asked first.
    assert_eq!(field(&first, "set-cookie"), "session=1, theme=dark");
    for _ in 0..2 {
        let hit = app.get("/a", &[]).await;
        assert_eq!((told(&hit).as_str(), field(&hit, "x-kept").as_str()), (HIT, "1"));
        assert_eq!(field(&hit, "set-cookie"), "-");
    }
    assert_eq!(origin.calls(), 1);
}
