//! The ways in which routers are put together, each with a layer around it and an endpoint within.

use axum::Router;
use axum::http::StatusCode;
use axum::http::header::CACHE_CONTROL;
use axum::middleware::from_fn;
use axum::response::IntoResponse;
use axum::routing::{MethodRouter, get};
use cache_axum::cache_endpoint;
use cache_core::minutes;
use cache_tower::{CacheLayer, HttpCacheBuilder};

use super::{App, Calls, HIT, MISS, NO_FRESHNESS, everywhere, in_memory};

/// Answers who it is and which call it is, for a minute.
fn named(name: &'static str, calls: &Calls) -> MethodRouter {
    let calls = calls.clone();
    get(async move || ([(CACHE_CONTROL, "max-age=60")], format!("{name} {}", calls.next())))
}

/// Equal paths of nested routers are different ones, at every depth.
#[tokio::test]
async fn nest() {
    for http in everywhere(|builder| builder) {
        let calls = Calls::default();
        let team = |name| Router::new().route("/stats", named(name, &calls));
        let router = Router::new()
            .nest("/a", team("a"))
            .nest("/b/{id}", team("b").layer(cache_endpoint(&http, minutes(5))))
            .nest("/c", Router::new().nest("/a", team("c")))
            .nest_service("/d", team("d").layer(CacheLayer::new(&http)))
            .layer(CacheLayer::new(&http));
        let app = App::start(&http, router).await;
        for told in [MISS, HIT] {
            for (text, path) in [
                ("a 1", "/a/stats"),
                ("b 2", "/b/1/stats"),
                ("b 3", "/b/2/stats"),
                ("c 4", "/c/a/stats"),
                ("d 5", "/d/stats"),
            ] {
                assert_eq!(app.seen(path, &[]).await, (text.into(), told.into()), "{path}");
            }
        }
    }
}

/// A layer covers what its router has, not what is merged with it.
#[tokio::test]
async fn merge() {
    let http = in_memory(|builder| builder);
    let calls = Calls::default();
    let cached = Router::new().route("/cached", named("a", &calls)).layer(CacheLayer::new(&http));
    let plain = Router::new().route("/plain", named("b", &calls));
    let app = App::start(&http, cached.merge(plain)).await;
    for told in [MISS, HIT] {
        assert_eq!(app.seen("/cached", &[]).await, ("a 1".into(), told.into()));
    }
    for text in ["b 2", "b 3"] {
        assert_eq!(app.seen("/plain", &[]).await, (text.into(), String::new()));
    }
}

/// `Router::layer` stands around the fallback, too; what it answers is kept if it says so.
#[tokio::test]
async fn fallback() {
    for http in everywhere(|builder| builder.negative_ttl(minutes(1))) {
        let calls = Calls::default();
        let router = Router::new().route("/known", named("known", &calls));
        let missing = {
            let calls = calls.clone();
            async move || (StatusCode::NOT_FOUND, format!("none {}", calls.next()))
        };
        let app = App::start(&http, router.fallback(missing).layer(CacheLayer::new(&http))).await;
        for told in [MISS, HIT] {
            assert_eq!(app.seen("/known", &[]).await, ("known 1".into(), told.into()));
            assert_eq!(app.seen("/unknown", &[]).await, ("none 2".into(), told.into()));
            assert_eq!(app.seen("/other", &[]).await, ("none 3".into(), told.into()));
        }
        // A method that the route does not take is no 404.
        let refused = app.send("POST", "/known", &[]).await;
        assert_eq!((refused.status, refused.header("allow")), (405, Some("GET,HEAD")));
        assert_eq!(app.told("/known", &[]).await, HIT);
    }
}

/// `Router::route_layer` stands around routes only: a fallback knows of no cache.
#[tokio::test]
async fn route_layer() {
    let http = in_memory(|builder| builder.negative_ttl(minutes(1)).never("/never"));
    let calls = Calls::default();
    let router = Router::new()
        .route("/known", named("known", &calls))
        .route("/never", named("never", &calls))
        .route_layer(CacheLayer::new(&http))
        .fallback(async || (StatusCode::NOT_FOUND, "none"));
    let app = App::start(&http, router).await;
    for told in [MISS, HIT] {
        assert_eq!(app.seen("/known", &[]).await, ("known 1".into(), told.into()));
        assert_eq!(app.told("/never", &[]).await, super::NEVER);
        assert_eq!(app.seen("/unknown", &[]).await, ("none".into(), String::new()));
    }
}

/// What decides who may see a response has to stand around the cache: a hit reaches nothing inside.
#[tokio::test]
async fn authorization_stands_outside() {
    let http = in_memory(HttpCacheBuilder::share_within_workspace);
    let calls = Calls::default();
    let authorize =
        async |request: axum::extract::Request, next: axum::middleware::Next| match request
            .headers()
            .get("authorization")
        {
            Some(token) if token == "Bearer good" => next.run(request).await,
            _ => StatusCode::UNAUTHORIZED.into_response(),
        };
    let router = Router::new()
        .route("/a", named("a", &calls).layer(cache_endpoint(&http, minutes(5))))
        .layer(from_fn(authorize));
    let app = App::start(&http, router).await;
    let good = [("x-workspace-id", "ws1"), ("authorization", "Bearer good")];
    let bad = [("x-workspace-id", "ws1"), ("authorization", "Bearer bad")];
    assert_eq!(app.told("/a", &good).await, MISS);
    assert_eq!(app.told("/a", &good).await, HIT);
    let refused = app.get("/a", &bad).await;
    assert_eq!((refused.status, refused.text().as_str()), (401, ""));
}

/// State is the router's, wherever layers stand.
#[tokio::test]
async fn state() {
    use axum::extract::State;
    #[derive(Clone)]
    struct Shop(Calls);
    let http = in_memory(|builder| builder);
    let count = async |State(Shop(calls)): State<Shop>| calls.next().to_string();
    let router = Router::new()
        .route("/a", get(count).layer(cache_endpoint(&http, minutes(5))))
        .route("/b", get(count))
        .layer(CacheLayer::new(&http))
        .with_state(Shop(Calls::default()));
    let app = App::start(&http, router).await;
    assert_eq!(app.seen("/a", &[]).await, ("1".into(), MISS.into()));
    assert_eq!(app.seen("/a", &[]).await, ("1".into(), HIT.into()));
    assert_eq!(app.seen("/b", &[]).await, ("2".into(), NO_FRESHNESS.into()));
}
