//! Groups of responses, invalidated together (RFC 9875).

use cache_core::{Clock, minutes};
use cache_tests::RedisServer;
use cache_tests::body::{full, respond};
use cache_tower::HttpCache;
use http::{Request, Response};

use super::origin::{
    App, Body, HIT, Lines, MISS, Origin, START, field, in_redis, memory, reply, request, told,
};
use crate::setup;

/// GETs answer with the groups in their query, commas between them; other methods with
/// the `status` and these lines.
fn grouping(status: u16, lines: Lines<'static>) -> Origin {
    Origin::new(move |request: &Request<Body>| -> Response<Body> {
        if request.method() != "GET" && request.method() != "HEAD" {
            return reply(status, lines, "");
        }
        let query = request.uri().query().unwrap_or_default();
        let groups: Vec<_> = query.split(',').map(|group| format!("\"{group}\"")).collect();
        let groups = groups.join(", ");
        reply(200, &[("cache-control", "max-age=60"), ("cache-groups", &groups)], "body")
    })
}

async fn stored(app: &App, uri: &str, lines: Lines<'_>) {
    assert_eq!(app.told(uri, lines).await, MISS, "{uri}");
    assert_eq!(app.told(uri, lines).await, HIT, "{uri}");
}

const NEWS: Lines<'static> = &[("cache-group-invalidation", "\"news\", \"none\";a=1")];

#[tokio::test]
async fn an_unsafe_request_invalidates_groups() {
    let redis = RedisServer::start();
    let clock = Clock::manual(START);
    for cache in [memory(&clock), in_redis(&redis, &clock)] {
        let http = HttpCache::builder(cache).build();
        let app = App::layered(&http, &grouping(200, NEWS));
        let endpoint = App::endpoint(&http, minutes(1), &grouping(200, NEWS));
        for _ in 0..2 {
            for uri in ["/a?news", "/b?x,news", "/c?sport", "/d?NEWS"] {
                app.get(uri, &[]).await;
                assert_eq!(app.told(uri, &[]).await, HIT, "{uri}");
            }
            stored(&endpoint, "/a?news", &[]).await;
            let response = app.send(request("POST", "/write", &[])).await;
            assert_eq!(told(&response), "fwd=method");
            assert_eq!(field(&response, "cache-group-invalidation"), "\"news\", \"none\";a=1");
            assert_eq!(app.told("/a?news", &[]).await, MISS);
            assert_eq!(app.told("/b?x,news", &[]).await, MISS);
            assert_eq!(app.told("/c?sport", &[]).await, HIT);
            assert_eq!(app.told("/d?NEWS", &[]).await, HIT);
            assert_eq!(endpoint.told("/a?news", &[]).await, MISS);
            app.send(request("POST", "/write", &[])).await;
        }
    }
}

#[tokio::test]
async fn only_in_its_own_workspace_and_origin() {
    let app = App::new(&grouping(200, NEWS));
    let places: [Lines<'_>; 3] =
        [&[], &[("x-workspace-id", "ours")], &[("x-workspace-id", "theirs")]];
    for lines in places {
        stored(&app, "/a?news", lines).await;
    }
    for uri in ["http://other.example/a?news", "https://shop.example/a?news"] {
        stored(&app, uri, &[]).await;
    }
    stored(&app, "http://SHOP.example:80/b?news", &[]).await;
    app.send(request("DELETE", "/x", places[1])).await;
    assert_eq!(app.told("/a?news", places[1]).await, MISS);
    for lines in [places[0], places[2]] {
        assert_eq!(app.told("/a?news", lines).await, HIT);
    }
    app.send(request("DELETE", "/x", &[])).await;
    assert_eq!(app.told("/a?news", &[]).await, MISS);
    assert_eq!(app.told("http://SHOP.example:80/b?news", &[]).await, MISS);
    assert_eq!(app.told("/a?news", places[2]).await, HIT);
    for uri in ["http://other.example/a?news", "https://shop.example/a?news"] {
        assert_eq!(app.told(uri, &[]).await, HIT, "{uri}");
    }
}

#[tokio::test]
async fn errors_malformed_lists_and_safe_methods_invalidate_nothing() {
    let cases: &[(&str, u16, Lines<'static>)] = &[
        ("POST", 404, NEWS),
        ("POST", 500, NEWS),
        ("POST", 200, &[("cache-group-invalidation", "news")]),
        ("POST", 200, &[("cache-group-invalidation", "\"news\", other")]),
        ("POST", 200, &[("cache-group-invalidation", "\"news\",")]),
        ("POST", 200, &[("cache-group-invalidation", "(\"news\")")]),
        ("POST", 200, &[("cache-groups", "\"news\"")]),
        ("OPTIONS", 200, NEWS),
    ];
    for (method, status, lines) in cases {
        let app = App::new(&grouping(*status, lines));
        stored(&app, "/a?news", &[]).await;
        app.send(request(method, "/x", &[])).await;
        assert_eq!(app.told("/a?news", &[]).await, HIT, "{method} {status} {lines:?}");
    }
    let origin = Origin::new(|request| {
        let cc = if request.uri().path() == "/a" { "max-age=60" } else { "no-store" };
        let lines = [("cache-control", cc), ("cache-groups", "\"news\""), NEWS[0]];
        reply(200, &lines, "")
    });
    let app = App::new(&origin);
    stored(&app, "/a", &[]).await;
    app.get("/b", &[]).await;
    assert_eq!(app.told("/a", &[]).await, HIT, "GET");
}

#[tokio::test]
async fn variants_go_with_their_own_groups() {
    let origin = Origin::new(|request| match request.method().as_str() {
        "GET" => {
            let language = request.headers().get("accept-language").cloned();
            let language = language.as_ref().map_or("", |value| value.to_str().expect("text"));
            let groups = format!("\"{language}\"");
            let lines = [
                ("cache-control", "max-age=60"),
                ("vary", "accept-language"),
                ("cache-groups", &groups),
            ];
            reply(200, &lines, language)
        }
        _ => reply(204, &[("cache-group-invalidation", "\"de\"")], ""),
    });
    let app = App::new(&origin);
    let (german, english): (Lines<'_>, Lines<'_>) =
        (&[("accept-language", "de")], &[("accept-language", "en")]);
    for lines in [german, english] {
        app.get("/a", lines).await;
        assert_eq!(app.told("/a", lines).await, HIT);
    }
    app.send(request("POST", "/x", &[])).await;
    assert_eq!(app.told("/a", english).await, HIT);
    assert_ne!(app.told("/a", german).await, HIT);
}

#[tokio::test]
async fn a_response_in_too_many_groups_is_not_stored() {
    let many = |count| (0..count).map(|n| format!("\"{n}\"")).collect::<Vec<_>>().join(", ");
    for (count, expected) in [(32, MISS), (1_000, "fwd=uri-miss; detail=groups")] {
        let lines = [("cache-control", "max-age=60"), ("cache-groups", &many(count))];
        assert_eq!(App::new(&Origin::fixed(200, &lines, "")).told("/a", &[]).await, expected);
    }
}

/// The groups of a response were noted when its head came, so that an invalidation while it was
/// made was lost.
#[tokio::test]
async fn an_invalidation_while_the_response_is_made_is_not_lost() {
    for groups in ["\"news\"", "\"sport\""] {
        let http = setup::http(&setup::memory());
        let (app, mut calls) = setup::app(&http);
        let first = setup::send(&app, setup::get("/a"));
        let making = calls.next().await;

        let mut post = setup::get("/x");
        *post.method_mut() = http::Method::POST;
        let post = setup::send(&app, post);
        calls.next().await.answer(respond(200, NEWS, full("")));
        setup::head(post).await;

        // Who asks now does not wait for what may be older than the invalidation.
        let second = setup::send(&app, setup::get("/a"));
        let later = calls.next().await;
        let lines = [("cache-control", "max-age=60"), ("cache-groups", groups)];
        making.answer(respond(200, &lines, full("old")));
        later.answer(respond(200, &lines, full("new")));
        let first = setup::head(first).await;
        assert_eq!(setup::cache_status(&first), "fwd=uri-miss; detail=overtaken", "{groups}");
        assert_eq!(setup::whole(first).await.expect("whole"), "old");
        let second = setup::head(second).await;
        assert_eq!(setup::cache_status(&second), "fwd=uri-miss; stored", "{groups}");
        assert_eq!(setup::whole(second).await.expect("whole"), "new");
        setup::at_rest(&http).await;
        let third = setup::head(setup::send(&app, setup::get("/a"))).await;
        assert_eq!(setup::cache_status(&third), "hit", "{groups}");
    }
}

/// Nor is one that comes while its body arrives.
#[tokio::test]
async fn an_invalidation_while_the_body_arrives_is_not_lost() {
    let http = setup::http(&setup::memory());
    let (app, mut calls) = setup::app(&http);
    let first = setup::send(&app, setup::get("/a"));
    let (writer, body) = cache_tests::body::channel();
    let lines = [("cache-control", "max-age=60"), ("cache-groups", "\"news\"")];
    calls.next().await.answer(respond(200, &lines, body));
    let first = setup::head(first).await;
    assert_eq!(setup::cache_status(&first), "fwd=uri-miss; stored");

    let mut post = setup::get("/x");
    *post.method_mut() = http::Method::POST;
    let post = setup::send(&app, post);
    calls.next().await.answer(respond(200, NEWS, full("")));
    setup::head(post).await;

    writer.send("old").await;
    drop(writer);
    assert_eq!(setup::whole(first).await.expect("whole"), "old");
    setup::at_rest(&http).await;
    let second = setup::send(&app, setup::get("/a"));
    calls.next().await.answer(respond(200, &lines, full("new")));
    assert_eq!(setup::cache_status(&setup::head(second).await), "fwd=uri-miss; stored");
}

/// A response that was validated lost its groups, and outlived their invalidation.
#[tokio::test]
async fn a_validated_response_stays_in_its_groups() {
    let origin = Origin::new(|request| {
        if request.method() != "GET" {
            return reply(200, NEWS, "");
        }
        let lines =
            [("cache-control", "max-age=60"), ("etag", "\"1\""), ("cache-groups", "\"news\"")];
        let validated = request.headers().contains_key("if-none-match");
        // What a 304 does not say again still holds (RFC 9111 §3.2).
        if validated { reply(304, &lines[..2], "") } else { reply(200, &lines, "body") }
    });
    let app = App::new(&origin);
    stored(&app, "/a", &[]).await;
    for _ in 0..2 {
        app.clock.advance(minutes(2));
        assert!(app.told("/a", &[]).await.contains("fwd=stale"));
        assert_eq!(app.told("/a", &[]).await, HIT);
    }
    app.send(request("POST", "/x", &[])).await;
    assert_eq!(app.told("/a", &[]).await, MISS);
}
