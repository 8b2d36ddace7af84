//! Soft invalidation of responses: used where what is stale may be, while one request asks anew.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use cache_core::{Cache, Clock, Namespace, Pattern, Scope, Tag, Template, minutes, seconds};
use cache_tests::RedisServer;
use cache_tower::{CacheLayer, HttpCache};
use tower::Layer;

use super::origin::{App, HIT, Lines, MISS, Origin, START, in_redis, memory, reply, told};
use super::tags::tagged;
use cache_tower::CacheTags;

const STALE_HIT: &str = "hit; detail=stale-while-revalidate";
const WS: Lines<'static> = &[("x-workspace-id", "ws1")];

/// Each answer tells its number, and has a tag.
fn counting(directives: &'static str) -> Origin {
    let calls = AtomicUsize::new(0);
    Origin::new(move |_| {
        let number = calls.fetch_add(1, Ordering::SeqCst).to_string();
        tagged(reply(200, &[("cache-control", directives)], &number), CacheTags::new(["t"]))
    })
}

fn scopes() -> [Scope; 5] {
    [
        Tag::new("t").into(),
        Scope::workspace("ws1"),
        Scope::namespace("api_responses"),
        Scope::pattern("api_responses", Pattern::new("ws1:a:*")),
        Scope::everything(),
    ]
}

async fn soften(cache: &Cache, scope: Scope) {
    assert!(cache.invalidate(scope).soft().await.unwrap().is_complete());
}

fn declare(cache: &Cache) {
    let template = Template::parse("{workspace_id}:a:*").unwrap();
    cache.namespace(Namespace::named("api_responses")).declare(&template).unwrap();
}

#[tokio::test]
async fn it_is_given_at_once_while_one_request_refreshes_it() {
    let redis = RedisServer::start();
    let clock = Clock::manual(START);
    for cache in [memory(&clock), in_redis(&redis, &clock)] {
        declare(&cache);
        let http = HttpCache::builder(cache.clone()).build();
        let origin = counting("max-age=600, stale-while-revalidate=60");
        let app = App::layered(&http, &origin);
        for scope in scopes() {
            let before = origin.calls();
            app.get("/a/b", WS).await;
            assert_eq!(app.told("/a/b", WS).await, HIT, "{scope:?}");
            soften(&cache, scope.clone()).await;
            let stale = app.get("/a/b", WS).await;
            assert_eq!(told(&stale), STALE_HIT, "{scope:?}");
            assert_eq!(origin.calls(), before + 2, "{scope:?}");
            let fresh = app.get("/a/b", WS).await;
            assert_eq!(told(&fresh), HIT, "{scope:?}");
            assert_ne!(stale.body(), fresh.body());
            app.http.cache().invalidate(scope.clone()).await.unwrap();
            assert_eq!(app.told("/a/b", WS).await, MISS, "{scope:?}");
            app.http.cache().invalidate(scope).await.unwrap();
        }
    }
}

#[tokio::test]
async fn grace_counts_from_the_invalidation() {
    for (after, expected) in [(59, STALE_HIT), (60, "fwd=stale; stored")] {
        let clock = Clock::manual(START);
        let origin = counting("max-age=600, stale-while-revalidate=60");
        let http = HttpCache::builder(memory(&clock)).keep_stale(minutes(60)).build();
        let app = App::layered(&http, &origin);
        app.get("/a", WS).await;
        clock.advance(seconds(100));
        soften(http.cache(), Tag::new("t").into()).await;
        clock.advance(seconds(after));
        assert_eq!(app.told("/a", WS).await, expected, "{after}");
    }
}

/// What may never be used stale is validated, or fetched.
#[tokio::test]
async fn directives_that_forbid_it_are_heeded() {
    for directives in ["max-age=600, must-revalidate", "max-age=600"] {
        let origin = counting(directives);
        let app = App::new(&origin);
        app.get("/a", WS).await;
        soften(app.http.cache(), Tag::new("t").into()).await;
        let told = app.told("/a", WS).await;
        assert!(told.starts_with("fwd="), "{directives}: {told}");
        assert_eq!((app.told("/a", WS).await.as_str(), origin.calls()), (HIT, 2));
    }
}

#[tokio::test]
async fn it_is_validated_and_fresh_again() {
    let calls = Arc::new(AtomicUsize::new(0));
    let origin = Origin::new({
        let calls = Arc::clone(&calls);
        move |request| {
            calls.fetch_add(1, Ordering::SeqCst);
            let lines = [("cache-control", "max-age=600"), ("etag", "\"a\"")];
            let same = request.headers().get("if-none-match").is_some_and(|tag| tag == "\"a\"");
            tagged(reply(if same { 304 } else { 200 }, &lines, "body"), CacheTags::new(["t"]))
        }
    });
    let app = App::new(&origin);
    app.get("/a", WS).await;
    soften(app.http.cache(), Scope::workspace("ws1")).await;
    let validated = app.get("/a", WS).await;
    assert_eq!(told(&validated), "fwd=stale; fwd-status=304");
    assert_eq!(&validated.body()[..], b"body");
    assert_eq!(app.told("/a", WS).await, HIT);
    assert_eq!(calls.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn all_variants_are_stale_and_none_is_lost() {
    let redis = RedisServer::start();
    let clock = Clock::manual(START);
    for cache in [memory(&clock), in_redis(&redis, &clock)] {
        let origin = Origin::fixed(
            200,
            &[
                ("cache-control", "max-age=600, stale-while-revalidate=60"),
                ("vary", "accept-language"),
            ],
            "",
        );
        let app = App::layered(&HttpCache::builder(cache.clone()).build(), &origin);
        for language in ["de", "fr"] {
            app.get("/a", &[WS[0], ("accept-language", language)]).await;
        }
        soften(&cache, Scope::workspace("ws1")).await;
        for language in ["de", "fr"] {
            let lines = [WS[0], ("accept-language", language)];
            assert_eq!(app.told("/a", &lines).await, STALE_HIT, "{language}");
            assert_eq!(app.told("/a", &lines).await, HIT, "{language}");
        }
        assert_eq!(origin.calls(), 4);
    }
}

#[tokio::test]
async fn a_failing_origin_is_stood_in_for() {
    let fails = Arc::new(AtomicBool::new(false));
    let origin = Origin::new({
        let fails = Arc::clone(&fails);
        move |_| {
            if fails.load(Ordering::SeqCst) {
                return reply(503, &[], "bad");
            }
            reply(200, &[("cache-control", "max-age=600, stale-if-error=60")], "good")
        }
    });
    let clock = Clock::manual(START);
    let http = HttpCache::builder(memory(&clock)).build();
    let app = App::of(&http, CacheLayer::new(&http).layer(origin.clone()));
    app.get("/a", WS).await;
    fails.store(true, Ordering::SeqCst);
    soften(http.cache(), Scope::workspace("ws1")).await;
    clock.advance(seconds(59));
    assert_eq!(&app.get("/a", WS).await.body()[..], b"good");
    clock.advance(seconds(2));
    assert_eq!(&app.get("/a", WS).await.body()[..], b"bad");
}
