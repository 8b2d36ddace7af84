//! What an application adds to the key, and what it leaves out.

use std::sync::Arc;

use cache_core::Clock;
use cache_tests::RedisServer;
use cache_tower::{HttpCache, HttpCacheBuilder};
use http::HeaderName;

use super::origin::{
    App, HIT, Lines, MISS, Origin, START, field, in_redis, memory, reply, request, told,
};

const VARY_MISS: &str = "fwd=vary-miss; stored";

fn builder() -> HttpCacheBuilder {
    HttpCache::builder(memory(&Clock::manual(START)))
}

/// Says what it sees of a request.
fn mirror() -> Origin {
    Origin::new(|request| {
        let line = |name: &str| request.headers().get(name).and_then(|line| line.to_str().ok());
        let said = [line("x-country"), line("cookie"), Some(request.uri().to_string().as_str())]
            .map(|part| part.unwrap_or("-").to_owned());
        reply(200, &[("cache-control", "max-age=60")], &said.join(" "))
    })
}

fn by_all(builder: HttpCacheBuilder) -> HttpCache {
    builder
        .key_by_header(HeaderName::from_static("x-country"))
        .key_by_cookie("theme")
        .key_by(|request| Some(request.extensions().get::<Arc<str>>()?.to_string()))
        .build()
}

/// Requests that differ in what is chosen, each by one thing from the one before.
const CHOSEN: [Lines<'static>; 4] = [
    &[],
    &[("x-country", "at")],
    &[("x-country", "at"), ("cookie", "a=b; theme=dark")],
    &[("x-country", "de"), ("cookie", "theme=dark; c=d")],
];

async fn are_kept_apart(app: &App) {
    for (nth, lines) in CHOSEN.iter().enumerate() {
        let first = app.get("/a", lines).await;
        assert_eq!(told(&first), if nth == 0 { MISS } else { VARY_MISS }, "{lines:?}");
    }
    for lines in CHOSEN {
        let hit = app.get("/a", lines).await;
        let country = lines.iter().find(|line| line.0 == "x-country").map_or("-", |line| line.1);
        assert_eq!(told(&hit), HIT, "{lines:?}");
        assert!(hit.body().starts_with(country.as_bytes()), "{lines:?}: {:?}", hit.body());
    }
    // What is not chosen makes no difference.
    let more: Lines<'_> = &[("x-country", "at"), ("cookie", "theme=dark; id=7"), ("x-other", "1")];
    assert_eq!(app.told("/a", more).await, HIT);
    // A write is about all of them, whatever it has itself.
    app.send(request("POST", "/a", CHOSEN[1])).await;
    assert_eq!(app.told("/a", CHOSEN[0]).await, MISS);
    for lines in &CHOSEN[1..] {
        assert_eq!(app.told("/a", lines).await, VARY_MISS, "{lines:?}");
    }
}

#[tokio::test]
async fn requests_are_told_apart_by_headers_and_cookies() {
    are_kept_apart(&App::layered(&by_all(builder()), &mirror())).await;
}

#[tokio::test]
async fn in_redis_too() {
    let redis = RedisServer::start();
    let cache = in_redis(&redis, &Clock::manual(START));
    are_kept_apart(&App::layered(&by_all(HttpCache::builder(cache.clone())), &mirror())).await;
    // An instance with other rules has entries of its own.
    let plain = App::layered(&HttpCache::builder(cache).build(), &mirror());
    assert_eq!(plain.told("/a", &[]).await, MISS);
    assert_eq!(plain.told("/a", CHOSEN[1]).await, HIT);
}

#[tokio::test]
async fn requests_are_told_apart_by_a_function() {
    let app = App::layered(&by_all(builder()), &mirror());
    let of = |tier: &str| {
        let mut request = request("GET", "/a", &[]);
        request.extensions_mut().insert::<Arc<str>>(tier.into());
        request
    };
    assert_eq!(told(&app.send(of("gold")).await), MISS);
    assert_eq!(told(&app.send(of("free")).await), VARY_MISS);
    assert_eq!(told(&app.send(of("gold")).await), HIT);
    assert_eq!(app.told("/a", &[]).await, VARY_MISS);
}

/// What a handler's parser reads as the cookie was no part of the key, and what it selects was
/// stored for all who have none.
#[tokio::test]
async fn a_cookie_written_in_another_way_is_not_overlooked() {
    let http = builder().key_by_cookie("theme").build();
    let app = App::layered(&http, &mirror());
    assert_eq!(app.told("/a", &[]).await, MISS);
    for cookie in ["theme =evil", "a=b; th%65me=evil", "theme\t=evil", "theme"] {
        let theirs = app.get("/a", &[("cookie", cookie)]).await;
        assert_eq!(told(&theirs), VARY_MISS, "{cookie}");
    }
    assert_eq!(&app.get("/a", &[("cookie", "other=1")]).await.body()[..], b"- - /a");
}

#[tokio::test]
async fn what_does_not_count_of_a_query_is_not_seen_by_the_origin() {
    for (http, uri) in [
        (builder().ignore_query(["utm", "ref"]).build(), "/a?page=2"),
        (builder().key_query_only(["page"]).build(), "/a?page=2"),
    ] {
        let app = App::layered(&http, &mirror());
        // A client that would have its own content stored for others.
        let first = app.get("/a?utm=%3Cscript%3E&page=2", &[]).await;
        assert_eq!((told(&first).as_str(), &first.body()[..]), (MISS, &b"- - /a?page=2"[..]));
        for uri in [uri, "/a?page=2&ref=x", "/a?ref&page=2&utm=1"] {
            assert_eq!(app.told(uri, &[]).await, HIT, "{uri}");
        }
        for uri in ["/a?page=3", "/a", "/b?page=2&utm"] {
            assert_eq!(app.told(uri, &[]).await, MISS, "{uri}");
        }
        assert_eq!(app.told("/a?utm=1", &[]).await, HIT);
        // A write to any of them is one to all.
        app.send(request("POST", "/a?page=2&utm=3", &[])).await;
        assert_eq!(app.told("/a?page=2&utm=4", &[]).await, MISS);
        assert_eq!(app.told("/a?page=3", &[]).await, HIT);
    }
}

#[tokio::test]
async fn or_it_is_seen_and_nothing_is_stored() {
    let http = builder().ignore_query(["utm"]).bypass_unkeyed_query().build();
    let app = App::layered(&http, &mirror());
    assert_eq!(app.told("/a?page=2", &[]).await, MISS);
    for _ in 0..2 {
        let past = app.get("/a?page=2&utm=1", &[]).await;
        assert_eq!(told(&past), "fwd=bypass; detail=unkeyed-query");
        assert_eq!(&past.body()[..], b"- - /a?page=2&utm=1");
        assert_eq!(field(&past, "age"), "-");
    }
    assert_eq!(app.told("/a?page=2", &[]).await, HIT);
}
