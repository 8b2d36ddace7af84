//! Which requests share a response: those with equal content.

use cache_core::{Clock, minutes};
use cache_tests::body::full;
use cache_tower::{CacheLayer, HttpCache};
use http::{HeaderMap, Method};
use tower::{Layer, ServiceExt};

use super::*;

#[tokio::test]
async fn equal_content_is_a_hit_and_other_content_a_miss() {
    let app = App::new(FRESH);
    assert_eq!(app.told("one", &[]).await, MISS);
    let hit = app.send(query("/a", &[], full("one"))).await;
    assert_eq!((told(&hit).as_str(), hit.body().as_ref()), (HIT, &b"1one"[..]));
    let metadata: [Lines<'_>; 6] = [
        &[("content-type", "application/json")],
        &[("content-type", "application/sql")],
        &[("content-encoding", "application/json")],
        &[("content-language", "de")],
        &[("content-location", "/q")],
        &[("content-type", "application/json"), ("content-encoding", "gzip")],
    ];
    for content in ["two", "", "onetwo"] {
        assert_eq!(app.told(content, &[]).await, OTHER, "{content}");
    }
    for lines in metadata {
        assert_eq!(app.told("one", lines).await, OTHER, "{lines:?}");
    }
    for content in ["one", "two", "", "onetwo"] {
        assert_eq!(app.told(content, &[]).await, HIT, "{content}");
    }
    for lines in metadata {
        assert_eq!(app.told("one", lines).await, HIT, "{lines:?}");
    }
    // Neither another URI, nor another workspace.
    assert_eq!(told(&app.send(query("/b", &[], full("one"))).await), MISS);
    assert_eq!(app.told("one", &[("x-workspace-id", "w")]).await, MISS);
}

#[tokio::test]
async fn other_methods_have_nothing_of_it() {
    let app = App::new(FRESH);
    app.told("", &[]).await;
    let head = app.send(request("HEAD", "/a", &[], full(""))).await;
    assert_eq!(told(&head), "fwd=uri-miss; detail=method");
    for _ in 0..2 {
        let fat = app.send(request("GET", "/a", &[], full("one"))).await;
        assert_eq!(told(&fat), "fwd=bypass; detail=request-body");
    }
    assert_eq!(told(&app.send(request("GET", "/a", &[], full(""))).await), MISS);
    assert_eq!(told(&app.send(request("GET", "/a", &[], full(""))).await), HIT);
    assert_eq!(app.origin.last(|seen| seen.method.clone()), Method::GET);
    assert_eq!(app.told("", &[]).await, HIT);
    assert_eq!(app.told("one", &[]).await, OTHER);
}

#[tokio::test]
async fn only_what_may_be_stored_is() {
    for (lines, expected) in [
        (&[("cache-control", "max-age=60"), ("vary", "*")][..], "fwd=uri-miss; detail=vary-any"),
        (&[("cache-control", "private, max-age=60")], "fwd=uri-miss; detail=private"),
        (
            &[("set-cookie", "a=b"), ("cache-control", "max-age=60")],
            "fwd=uri-miss; detail=set-cookie",
        ),
        (
            &[("last-modified", "Tue, 14 Nov 2023 22:13:20 GMT")],
            "fwd=uri-miss; detail=no-freshness",
        ),
    ] {
        let app = App::new(lines);
        for _ in 0..2 {
            assert_eq!(app.told("one", &[]).await, expected);
        }
    }
    // Where the result would be found by itself is no place to store it at.
    let app = App::new(&[("cache-control", "max-age=60"), ("content-location", "/result")]);
    assert_eq!(app.told("one", &[]).await, MISS);
    assert_eq!(told(&app.send(query("/result", &[], full("one"))).await), MISS);
    assert_eq!(told(&app.send(request("GET", "/result", &[], full(""))).await), MISS);
    // Credentials and Vary count as for GET.
    let app = App::new(&[("cache-control", "max-age=60"), ("vary", "accept")]);
    assert_eq!(
        app.told("one", &[("authorization", "a")]).await,
        "fwd=uri-miss; detail=authorization"
    );
    for accept in ["a/b", "c/d"] {
        let lines = [("accept", accept)];
        assert_ne!(app.told("one", &lines).await, HIT);
        assert_eq!(app.told("one", &lines).await, HIT);
    }
    let bypass = "fwd=bypass; detail=credentials";
    assert_eq!(app.told("one", &[("accept", "a/b"), ("authorization", "a")]).await, bypass);
}

#[tokio::test]
async fn conditions_and_directives_of_requests_count() {
    let app = App::new(&[("cache-control", "max-age=60"), ("etag", "\"a\"")]);
    let only_if_cached: Lines<'_> = &[("cache-control", "only-if-cached")];
    let none = app.send(query("/a", only_if_cached, full("one"))).await;
    assert_eq!((none.status().as_u16(), app.origin.calls()), (504, 0));
    app.told("one", &[]).await;
    assert_eq!(app.told("one", only_if_cached).await, HIT);
    let known = app.send(query("/a", &[("if-none-match", "\"a\"")], full("one"))).await;
    assert_eq!((known.status().as_u16(), told(&known).as_str()), (304, HIT));
    let anew = app.told("one", &[("cache-control", "no-cache")]).await;
    assert_eq!(anew, "fwd=request; stored");
    assert_eq!(app.origin.last(|seen| field_of(&seen.headers, "if-none-match")), "\"a\"");
    assert_eq!(app.origin.last(|seen| seen.content.clone()), Ok("one".into()));
}

fn field_of(headers: &HeaderMap, name: &str) -> String {
    headers.get(name).map_or_else(String::new, |value| value.to_str().expect("text").to_owned())
}

#[tokio::test]
async fn an_inner_cache_wins() {
    let http = with_queries(HttpCache::builder(memory(&Clock::manual(START))));
    let inner = App::under(&http, &Origin::new(&[]), &CacheLayer::endpoint(&http, minutes(1)));
    let outer = CacheLayer::new(&http).layer(inner.service.clone());
    let send = async || {
        let Ok(response) = outer.clone().oneshot(query("/a", &[], full("one"))).await;
        field(&whole(&http, response).await, "cache-status")
    };
    assert_eq!(send().await, "cache-tower; fwd=uri-miss; stored");
    assert!(send().await.starts_with("cache-tower; hit"));
    assert_eq!(inner.origin.calls(), 1);
}
