//! What is said of one route in the line of `cache_endpoint`.

use std::sync::Arc;

use axum::extract::{OriginalUri, Path, Request};
use axum::http::header::{CACHE_CONTROL, EXPIRES};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{Next, from_fn};
use axum::response::IntoResponse;
use axum::routing::{MethodRouter, get};
use axum::{Extension, Router};
use cache_axum::{NoStore, RoutePolicy, cache_endpoint};
use cache_core::{Namespace, minutes};
use cache_tower::{CacheLayer, HttpCacheBuilder};

use cache_tests::{eventually, http_client};
use tokio::sync::Notify;

use super::{App, Calls, HIT, Lines, MISS, NO_FRESHNESS, PATIENCE, everywhere, in_memory};

/// Counts, and says nothing of how long it may be kept.
pub(super) fn counted(calls: &Calls) -> MethodRouter {
    let calls = calls.clone();
    get(async move || calls.next().to_string())
}

#[derive(Clone)]
struct Plan(String);

/// An extension as authentication would set it.
async fn authenticate(mut request: Request, next: Next) -> impl IntoResponse {
    let plan = request.headers().get("x-token").and_then(|token| token.to_str().ok());
    if let Some(plan) = plan.map(|token| Plan(format!("plan of {token}"))) {
        request.extensions_mut().insert(plan);
    }
    next.run(request).await
}

type Say = fn(RoutePolicy) -> RoutePolicy;

/// Each part that is chosen tells requests apart; others make no difference.
#[tokio::test]
async fn requests_are_told_apart_by_what_the_route_says() {
    let header = |policy: RoutePolicy| policy.key_by_header("x-country".parse().unwrap());
    let cookie = |policy: RoutePolicy| policy.key_by_cookie("theme");
    let extension =
        |policy: RoutePolicy| policy.key_by_extension("plan", |plan: &Plan| plan.0.as_str());
    let function = |policy: RoutePolicy| {
        policy.key_by("agent", |request| {
            Some(request.headers().get("user-agent")?.to_str().ok()?.to_owned())
        })
    };
    let query = |policy: RoutePolicy| policy.key_query_only(["page"]);
    let all_but = |policy: RoutePolicy| policy.ignore_query(["utm"]);
    let apart: [(Say, &str, Lines<'_>, &str, Lines<'_>, bool); 12] = [
        (header, "/a", &[("x-country", "at")], "/a", &[("x-country", "de")], true),
        (header, "/a", &[("x-country", "at")], "/a", &[], true),
        (header, "/a", &[("x-city", "Graz")], "/a", &[("x-city", "Ulm")], false),
        (cookie, "/a", &[("cookie", "theme=a; s=1")], "/a", &[("cookie", "theme=b; s=1")], true),
        (cookie, "/a", &[("cookie", "theme=a; s=1")], "/a", &[("cookie", "theme=a; s=2")], false),
        (extension, "/a", &[("x-token", "1")], "/a", &[("x-token", "2")], true),
        (extension, "/a", &[("x-token", "1")], "/a", &[], true),
        (extension, "/a", &[], "/a", &[("x-country", "at")], false),
        (function, "/a", &[("user-agent", "x")], "/a", &[("user-agent", "y")], true),
        (query, "/a?page=1&x=1", &[], "/a?page=1&x=2", &[], false),
        (query, "/a?page=1", &[], "/a?page=2", &[], true),
        (all_but, "/a?page=1&utm=1", &[], "/a?utm=2&page=1", &[], false),
    ];
    for (n, (say, path, lines, other_path, other_lines, are_apart)) in apart.into_iter().enumerate()
    {
        let http = in_memory(HttpCacheBuilder::share_within_workspace);
        let calls = Calls::default();
        let layer = cache_endpoint(&http, say(RoutePolicy::new(minutes(5))));
        let router = Router::new().route("/a", counted(&calls).layer(layer));
        let app = App::start(&http, router.layer(from_fn(authenticate))).await;
        let ours = [&[("x-workspace-id", "ws1")], lines].concat();
        let theirs = [&[("x-workspace-id", "ws1")], other_lines].concat();
        assert_eq!(app.told(path, &ours).await, MISS, "{n}");
        assert_eq!(app.seen(path, &ours).await, ("1".into(), HIT.into()), "{n}");
        let text = if are_apart { "2" } else { "1" };
        assert_eq!(app.get(other_path, &theirs).await.text(), text, "{n}");
    }
}

/// What is left out of the key, the handler does not see either.
#[tokio::test]
async fn a_parameter_that_does_not_count_is_hidden_or_goes_past_the_cache() {
    let http = in_memory(|builder| builder);
    let echo = || get(async |OriginalUri(uri): OriginalUri| uri.to_string());
    let hidden = cache_endpoint(&http, minutes(5)).key_query_only(["page"]);
    let past = cache_endpoint(&http, minutes(5)).ignore_query(["utm"]).bypass_unkeyed_query();
    let router =
        Router::new().route("/hidden", echo().layer(hidden)).route("/past", echo().layer(past));
    let app = App::start(&http, router).await;
    let seen = app.seen("/hidden?page=1&secret=2", &[]).await;
    assert_eq!(seen, ("/hidden?page=1".into(), MISS.into()));
    let seen = app.seen("/past?page=1&utm=2", &[]).await;
    let unkeyed = "cache-tower; fwd=bypass; detail=unkeyed-query";
    assert_eq!(seen, ("/past?page=1&utm=2".into(), unkeyed.into()));
}

/// The client's `Cache-Control` is that of the route on hits, misses, parts, 304 and HEAD, and never
/// where nothing is stored.
#[tokio::test]
async fn clients_are_told_what_the_route_says_of_what_is_stored() {
    const TOLD: &str = "private, max-age=30";
    let fresh = async || ([(CACHE_CONTROL, "max-age=600"), (EXPIRES, "0")], "fresh");
    let plain = async || "plain";
    let failing = async || (StatusCode::INTERNAL_SERVER_ERROR, "down");
    let missing = async || (StatusCode::NOT_FOUND, "none");
    let private = async || ([(CACHE_CONTROL, "no-store")], "private");
    let refused = async || (Extension(NoStore), "refused");
    for http in everywhere(HttpCacheBuilder::generate_etags) {
        let router = Router::new()
            .route("/fresh", get(fresh))
            .route("/plain", get(plain))
            .route("/failing", get(failing))
            .route("/missing", get(missing))
            .route("/private", get(private))
            .route("/refused", get(refused))
            .layer(cache_endpoint(&http, minutes(5)).client_cache_control(TOLD));
        let app = App::start(&http, router).await;
        for path in ["/fresh", "/plain"] {
            let head = app.send("HEAD", path, &[]).await;
            assert_eq!(head.header_all("cache-control"), [TOLD], "HEAD {path}");
            for told in [MISS, HIT, HIT] {
                let response = app.get(path, &[]).await;
                assert_eq!(response.cache_status(), told);
                assert_eq!(response.header_all("cache-control"), [TOLD], "{path} {told}");
                // By these a client would count the time that the response has been here.
                assert_eq!((response.header("age"), response.header("expires")), (None, None));
                assert_eq!(response.header_all("date").len(), 1, "the server's own");
            }
            let head = app.send("HEAD", path, &[]).await;
            assert_eq!(head.header_all("cache-control"), [TOLD], "HEAD {path}");
            let etag = app.get(path, &[]).await.header("etag").expect("generated").to_owned();
            let same = app.get(path, &[("if-none-match", &etag)]).await;
            assert_eq!((same.status, same.header("cache-control")), (304, Some(TOLD)));
            let part = app.get(path, &[("range", "bytes=1-2")]).await;
            assert_eq!((part.status, part.header("cache-control")), (206, Some(TOLD)));
        }
        for (path, own) in [
            ("/failing", None),
            ("/missing", None),
            ("/private", Some("no-store")),
            ("/refused", None),
            ("/nowhere", None),
        ] {
            for _ in 0..2 {
                let response = app.get(path, &[]).await;
                assert!(!response.cache_status().contains("stored"), "{path}");
                assert_eq!(response.header("cache-control"), own, "{path}");
            }
        }
        let credentials = app.get("/plain", &[("authorization", "Bearer x")]).await;
        assert_eq!(credentials.header("cache-control"), None, "not what others have stored");
    }
}

/// So is who was given what another was fetching, and who is given what is stale, also because the
/// handler fails.
#[tokio::test]
async fn clients_are_told_the_same_of_what_is_shared_and_of_what_is_stale() {
    const TOLD: &str = "private, max-age=30";
    let clock = cache_core::Clock::manual(1_800_000_000_000);
    let cache = cache_core::Cache::builder().memory().clock(clock.clone()).build().unwrap();
    let http = cache_tower::HttpCache::builder(cache).build();
    let (calls, go_on) = (Calls::default(), Arc::<Notify>::default());
    let handler = {
        let (calls, go_on) = (calls.clone(), Arc::clone(&go_on));
        async move || {
            if calls.next() > 1 {
                return (StatusCode::SERVICE_UNAVAILABLE, "down");
            }
            go_on.notified().await;
            (StatusCode::OK, "fine")
        }
    };
    let layer = cache_endpoint(&http, minutes(5)).client_cache_control(TOLD).grace(minutes(5));
    let app = App::start(&http, Router::new().route("/a", get(handler).layer(layer))).await;
    let addr = app.served.addr;
    let ask = || async move { http_client::get(addr, "/a", &[]).await };
    let asked: Vec<_> = (0..3).map(|_| tokio::spawn(ask())).collect();
    eventually(PATIENCE, "the handler is called", || calls.count() == 1).await;
    // Wherever the others are by now: they wait, or come when it is there.
    go_on.notify_one();
    for asked in asked {
        let response = asked.await.unwrap();
        assert_eq!((response.status, response.header_all("cache-control")), (200, vec![TOLD]));
        assert_eq!(response.header("age"), None, "{}", response.cache_status());
    }
    super::at_rest(&http).await;
    clock.advance(minutes(6));
    for _ in 0..2 {
        let stale = app.get("/a", &[]).await;
        assert_eq!(stale.cache_status(), "cache-tower; hit; detail=stale-while-revalidate");
        assert_eq!((stale.text().as_str(), stale.header("cache-control")), ("fine", Some(TOLD)));
    }
    let fetched = app.get("/a", &[("cache-control", "no-cache")]).await;
    assert_eq!(
        (fetched.status, fetched.header("cache-control")),
        (503, None),
        "not what is stored"
    );
}

/// Two layers on the same entries, of which one tells clients something: each says its own.
#[tokio::test]
async fn what_clients_are_told_is_not_stored() {
    let http = in_memory(|builder| builder);
    let calls = Calls::default();
    let told = Router::new()
        .route("/a", counted(&calls))
        .layer(cache_endpoint(&http, minutes(5)).client_cache_control("max-age=1"));
    let plain = Router::new().route("/a", counted(&calls)).layer(cache_endpoint(&http, minutes(5)));
    let router = super::isolation::doors(vec![told, plain]);
    let app = App::start(&http, router).await;
    let told = app.get("/a", &[("x-door", "0"), ("host", "h")]).await;
    assert_eq!((told.text().as_str(), told.header("cache-control")), ("1", Some("max-age=1")));
    let plain = app.get("/a", &[("x-door", "1"), ("host", "h")]).await;
    assert_eq!((plain.text().as_str(), plain.header("cache-control")), ("1", None));
    assert!(plain.header("age").is_some());
}

/// A namespace of a route has its own limits, and shows under its own name in Redis and statistics.
#[tokio::test]
async fn a_route_may_have_a_namespace_of_its_own() {
    const SMALL: Namespace = Namespace::new("small").max_value_size(32 * 1024);
    let cache = |redis: bool| {
        let builder = cache_core::Cache::builder().namespace(SMALL);
        let builder = builder.prefix(crate::setup::unique_prefix());
        if !redis {
            return builder.memory().build().unwrap();
        }
        let options = cache_core::RedisOptions::url(&crate::setup::shared_redis().url()).unwrap();
        builder.redis(options).operation_budget(cache_core::seconds(10)).build().unwrap()
    };
    for redis in [false, true] {
        let http = cache_tower::HttpCache::builder(cache(redis)).build();
        let large = || get(async || "x".repeat(40 * 1024));
        let router = Router::new()
            .route("/small", large().layer(cache_endpoint(&http, minutes(5)).namespace("small")))
            .route("/usual", large().layer(cache_endpoint(&http, minutes(5))))
            .route(
                "/fits",
                get(async || "x").layer(cache_endpoint(&http, minutes(5)).namespace("small")),
            );
        let app = App::start(&http, router).await;
        assert_eq!(app.told("/small", &[]).await, "cache-tower; fwd=uri-miss; detail=too-large");
        for path in ["/usual", "/fits"] {
            assert_eq!(app.told(path, &[]).await, MISS);
            assert_eq!(app.told(path, &[]).await, HIT);
        }
        let stats = http.cache().stats();
        let hits = |name: &str| stats.namespaces[name].hits;
        assert_eq!((hits("small"), hits("api_responses")), (1, 1));
        assert_eq!(http.stats().hits, 2);
    }
}

/// Statuses, negative answers, and what the application decides, of one route only.
#[tokio::test]
async fn which_responses_are_kept_is_said_for_one_route() {
    for http in everywhere(|builder| builder) {
        let status = || {
            get(async |Path(status): Path<u16>| {
                let partial = if status == 203 { "1" } else { "0" };
                (StatusCode::from_u16(status).unwrap(), [("x-partial", partial)], "x")
            })
        };
        let layer = cache_endpoint(&http, minutes(5))
            .statuses([
                StatusCode::OK,
                StatusCode::NON_AUTHORITATIVE_INFORMATION,
                StatusCode::FOUND,
            ])
            .negative_ttl(minutes(1))
            .should_store(|response| response.headers["x-partial"] != "1")
            .skip_cache(|request| request.headers().contains_key("x-preview"));
        let router = Router::new()
            .route("/chosen/{status}", status().layer(layer))
            .route("/usual/{status}", status().layer(cache_endpoint(&http, minutes(5))));
        let app = App::start(&http, router).await;
        for (path, told) in [
            ("/chosen/200", HIT),
            ("/chosen/302", HIT),
            ("/chosen/404", HIT),
            ("/chosen/301", NO_FRESHNESS),
            ("/chosen/500", NO_FRESHNESS),
            ("/chosen/203", "cache-tower; fwd=uri-miss; detail=should-store"),
            ("/usual/200", HIT),
            ("/usual/203", HIT),
            ("/usual/301", HIT),
            ("/usual/302", NO_FRESHNESS),
            ("/usual/404", NO_FRESHNESS),
        ] {
            app.get(path, &[]).await;
            assert_eq!(app.told(path, &[]).await, told, "{path}");
        }
        let skipped = "cache-tower; fwd=bypass; detail=skip-cache";
        assert_eq!(app.told("/chosen/200", &[("x-preview", "1")]).await, skipped);
        assert_eq!(app.told("/usual/200", &[("x-preview", "1")]).await, HIT);
    }
}

/// One route has entity tags made for it, another does not.
#[tokio::test]
async fn entity_tags_may_be_made_for_one_route() {
    let http = in_memory(|builder| builder);
    let router = Router::new()
        .route("/with", get(async || "x").layer(cache_endpoint(&http, minutes(5)).generate_etags()))
        .route("/without", get(async || "x").layer(cache_endpoint(&http, minutes(5))));
    let app = App::start(&http, router).await;
    for (path, has) in [("/with", true), ("/without", false)] {
        app.get(path, &[]).await;
        assert_eq!(app.get(path, &[]).await.header("etag").is_some(), has, "{path}");
    }
}

/// The words are there on a layer around everything, too, and functions see what they should.
#[tokio::test]
async fn a_layer_around_everything_has_the_same_words() {
    let http = in_memory(|builder| builder);
    let calls = Calls::default();
    let answer = {
        let calls = calls.clone();
        async move |headers: HeaderMap| {
            let lines = [(CACHE_CONTROL, "max-age=60")];
            (lines, format!("{} {}", calls.next(), headers.contains_key("x-preview")))
        }
    };
    let layer = CacheLayer::new(&http)
        .key_by_header("x-country".parse().unwrap())
        .client_cache_control("no-cache")
        .skip_cache(|request| request.headers().contains_key("x-preview"))
        .should_store(|response| !response.headers.contains_key("x-partial"));
    let app = App::start(&http, Router::new().route("/a", get(answer)).layer(layer)).await;
    assert_eq!(app.seen("/a", &[("x-country", "at")]).await, ("1 false".into(), MISS.into()));
    assert_eq!(app.seen("/a", &[("x-country", "de")]).await.0, "2 false");
    let hit = app.get("/a", &[("x-country", "at")]).await;
    assert_eq!((hit.text().as_str(), hit.header("cache-control")), ("1 false", Some("no-cache")));
    let preview = app.get("/a", &[("x-preview", "1")]).await;
    assert_eq!(preview.text(), "3 true");
    assert_eq!(preview.header("cache-control"), Some("max-age=60"));
}

/// A 404 that was kept here for ten seconds told clients to keep it as long as what went well.
#[tokio::test]
async fn clients_are_not_told_to_keep_errors() {
    for http in everywhere(|builder| builder) {
        let missing = async || (StatusCode::NOT_FOUND, "none");
        let layer = cache_endpoint(&http, minutes(5))
            .negative_ttl(minutes(1))
            .client_cache_control("max-age=86400");
        let app = App::start(&http, Router::new().route("/a", get(missing).layer(layer))).await;
        for (method, told) in [("GET", MISS), ("GET", HIT), ("HEAD", HIT)] {
            let response = app.send(method, "/a", &[]).await;
            assert_eq!((response.status, response.cache_status()), (404, told.into()));
            assert_eq!(response.header("cache-control"), None, "{method} {told}");
        }
    }
}
