//! How the layers live with the rest of a router: each other, fallbacks, methods, state.

use axum::extract::{Query, State};
use axum::routing::{MethodRouter, get, post};
use axum::{Json, Router};
use cache_axum::{cache_endpoint, invalidate_cache};
use cache_core::minutes;
use cache_tower::{CacheLayer, HttpCache};
use http::header::{CACHE_CONTROL, SET_COOKIE};
use http::{HeaderValue, StatusCode};
use serde::Deserialize;
use tower::{ServiceBuilder, ServiceExt};

use super::{Answer, Calls, call, in_memory, request};
use crate::setup::{FORWARDED, HIT, MISS_STORED};

/// A handler that counts, and says nothing about how long it may be kept.
fn counted(calls: &Calls) -> MethodRouter {
    let calls = calls.clone();
    get(async move || calls.next().to_string())
}

async fn ws1(app: &Router, path: &str) -> Answer {
    super::get(app, "ws1", path).await
}

/// The inner layer answers, the outer one stores nothing and says nothing.
#[tokio::test]
async fn an_endpoint_under_a_layer_wins() {
    let (http, calls) = (in_memory(), Calls::default());
    let app = Router::new()
        .route("/mine", counted(&calls).layer(cache_endpoint(&http, minutes(5))))
        .route("/theirs", get(async || ([(CACHE_CONTROL, "max-age=60")], "x")))
        .route("/nobodys", counted(&Calls::default()))
        .layer(CacheLayer::new(&http));
    for status in [MISS_STORED, HIT, HIT] {
        let answer = ws1(&app, "/mine").await;
        assert_eq!((answer.text(), answer.cache_status().as_str()), ("1", status));
        assert_eq!(ws1(&app, "/theirs").await.cache_status(), status);
    }
    for _ in 0..2 {
        let answer = ws1(&app, "/nobodys").await;
        assert_eq!(answer.cache_status(), "cache-tower; fwd=uri-miss; detail=no-freshness");
    }
    assert_eq!(calls.count(), 1);
}

/// The same, for many at once that meet on a cold URL: one call, and nobody waits for ever.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_herd_before_nested_layers_makes_one_call() {
    let (http, calls) = (in_memory(), Calls::default());
    let app = Router::new()
        .route("/{n}", counted(&calls).layer(cache_endpoint(&http, minutes(5))))
        .layer(CacheLayer::new(&http));
    for round in 1..=5 {
        let mut herd = tokio::task::JoinSet::new();
        for _ in 0..100 {
            let app = app.clone();
            herd.spawn(async move { ws1(&app, &format!("/{round}")).await.text().to_owned() });
        }
        for text in herd.join_all().await {
            assert_eq!(text, round.to_string());
        }
    }
    assert_eq!((calls.count(), http.flights()), (5, 0));
}

/// hits + misses + bypasses = requests, with two layers around each other, too.
#[tokio::test]
async fn every_request_is_counted_once() {
    let (http, calls) = (in_memory(), Calls::default());
    let update = post(async || "x").layer(invalidate_cache(&http, "{workspace_id}:mine:*"));
    let app = Router::new()
        .route("/mine", counted(&calls).layer(cache_endpoint(&http, minutes(5))).merge(update))
        .route("/theirs", get(async || ([(CACHE_CONTROL, "max-age=60")], "x")))
        .layer(CacheLayer::new(&http));
    let mut requests = 0;
    for _ in 0..3 {
        for path in ["/mine", "/theirs", "/none"] {
            ws1(&app, path).await;
            call(&app, request("GET", path, &[])).await;
            call(&app, request("HEAD", path, &[("x-workspace-id", "ws1")])).await;
            requests += 3;
        }
        super::post(&app, "ws1", "/mine").await;
        requests += 1;
    }
    let stats = http.stats();
    assert_eq!(stats.hits + stats.misses + stats.bypasses, requests, "{stats:?}");
    assert!(stats.hits > 0 && stats.misses > 0 && stats.bypasses > 0, "{stats:?}");
}

#[tokio::test]
async fn what_no_route_has_is_not_kept_unless_it_says_so() {
    let http = in_memory();
    let app =
        Router::new().route("/here", counted(&Calls::default())).layer(CacheLayer::new(&http));
    for _ in 0..2 {
        let absent = ws1(&app, "/absent").await;
        assert_eq!(absent.status, StatusCode::NOT_FOUND);
        assert_eq!(absent.cache_status(), "cache-tower; fwd=uri-miss; detail=no-freshness");
        let refused = super::post(&app, "ws1", "/here").await;
        assert_eq!(refused.status, StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(refused.headers["allow"], "GET,HEAD");
        assert_eq!(refused.cache_status(), FORWARDED);
    }
    let fallback = async || (StatusCode::NOT_FOUND, [(CACHE_CONTROL, "max-age=60")], "nothing");
    let app = Router::new().fallback(fallback).layer(CacheLayer::new(&http));
    for (path, status) in [("/a", MISS_STORED), ("/b", MISS_STORED), ("/a", HIT)] {
        let answer = ws1(&app, path).await;
        assert_eq!(
            (answer.status, answer.cache_status().as_str()),
            (StatusCode::NOT_FOUND, status)
        );
    }
}

/// An endpoint's TTL is for what succeeds; errors get none from us.
#[tokio::test]
async fn an_endpoint_keeps_no_errors() {
    let (http, calls) = (in_memory(), Calls::default());
    let fail = {
        let calls = calls.clone();
        async move || {
            calls.next();
            Err::<&str, _>(StatusCode::SERVICE_UNAVAILABLE)
        }
    };
    let cookie = async || ([(SET_COOKIE, "session=1")], "yours");
    let app = Router::new()
        .route("/fails", get(fail))
        .route("/cookie", get(cookie))
        .route_layer(cache_endpoint(&http, minutes(5)));
    for number in 1..=2 {
        assert_eq!(ws1(&app, "/fails").await.status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(calls.count(), number);
        let cookie = ws1(&app, "/cookie").await;
        assert_eq!(cookie.cache_status(), "cache-tower; fwd=uri-miss; detail=set-cookie");
        // `route_layer`: what no route has does not pass the layer
        let absent = ws1(&app, "/absent").await;
        assert_eq!((absent.status, absent.cache_status().as_str()), (StatusCode::NOT_FOUND, ""));
    }
}

/// axum answers HEAD by GET's handler; the cache keeps what GET brought.
#[tokio::test]
async fn head_is_answered_from_what_get_brought() {
    let (http, calls) = (in_memory(), Calls::default());
    let app = Router::new().route("/", counted(&calls).layer(cache_endpoint(&http, minutes(5))));
    let head = async || call(&app, request("HEAD", "/", &[("x-workspace-id", "ws1")])).await;
    assert_eq!(head().await.cache_status(), "cache-tower; fwd=uri-miss; detail=method");
    assert_eq!(ws1(&app, "/").await.text(), "2");
    let answer = head().await;
    assert_eq!((answer.text(), answer.cache_status().as_str()), ("", HIT));
    assert_eq!(answer.headers["content-length"], "1");
    assert_eq!(calls.count(), 2);
}

/// What middleware between the cache and the handler adds is kept; what is outside runs each time.
#[tokio::test]
async fn middleware_inside_is_kept_and_outside_runs_each_time() {
    let (http, outside, inside) = (in_memory(), Calls::default(), Calls::default());
    let tag = |name: &'static str, calls: &Calls| {
        let calls = calls.clone();
        axum::middleware::map_response(move |mut response: axum::response::Response| {
            let value = HeaderValue::from(calls.next());
            response.headers_mut().insert(name, value);
            async move { response }
        })
    };
    let app = Router::new()
        .route("/", counted(&Calls::default()))
        .layer(tag("x-inside", &inside))
        .layer(cache_endpoint(&http, minutes(5)))
        .layer(tag("x-outside", &outside));
    for number in ["1", "2", "3"] {
        let answer = ws1(&app, "/").await;
        assert_eq!((&answer.headers["x-inside"], answer.text()), (&HeaderValue::from(1), "1"));
        assert_eq!(answer.headers["x-outside"], number);
    }
}

/// Around the whole router as a Tower service: before routing, so also for what is not found.
#[tokio::test]
async fn a_layer_may_stand_around_the_whole_router() {
    let (http, calls) = (in_memory(), Calls::default());
    let inner = counted(&calls).layer(cache_endpoint(&http, minutes(5)));
    let router = Router::new()
        .route("/theirs", get(async || ([(CACHE_CONTROL, "max-age=60")], "x")))
        .nest("/api", Router::new().route("/mine", inner));
    let service = ServiceBuilder::new().layer(CacheLayer::new(&http)).service(router);
    for status in [MISS_STORED, HIT, HIT] {
        for path in ["/theirs", "/api/mine"] {
            let asked = request("GET", path, &[("x-workspace-id", "ws1")]);
            let response = service.clone().oneshot(asked).await.unwrap();
            let lines: Vec<_> = response.headers().get_all("cache-status").iter().collect();
            assert_eq!(lines, [status], "{path}");
            // kept once it has been read to its end
            http_body_util::BodyExt::collect(response.into_body()).await.unwrap();
        }
    }
    assert_eq!(calls.count(), 1);
}

/// State, extractors and results are the router's business.
#[tokio::test]
async fn layers_fit_routers_with_state() {
    #[derive(Clone)]
    struct App(Calls);
    #[derive(Deserialize)]
    struct Paging {
        page: u32,
    }
    async fn list(
        State(App(calls)): State<App>,
        Query(paging): Query<Paging>,
    ) -> Result<Json<(usize, u32)>, StatusCode> {
        if paging.page == 0 {
            return Err(StatusCode::BAD_REQUEST);
        }
        Ok(Json((calls.next(), paging.page)))
    }
    fn routes(http: &HttpCache) -> Router<App> {
        Router::new().route("/list", get(list).layer(cache_endpoint(http, minutes(5)))).route(
            "/list",
            post(async || ()).layer(invalidate_cache(http, "{workspace_id}:list:*")),
        )
    }
    let http = in_memory();
    let app = routes(&http).layer(CacheLayer::new(&http)).with_state(App(Calls::default()));
    for (path, text) in [
        ("/list?page=1", "[1,1]"),
        ("/list?page=2", "[2,2]"),
        ("/list?page=1", "[1,1]"),
        ("/list?page=2", "[2,2]"),
    ] {
        assert_eq!(ws1(&app, path).await.text(), text);
    }
    for path in ["/list?page=0", "/list?page=x", "/list"] {
        assert_eq!(ws1(&app, path).await.status, StatusCode::BAD_REQUEST, "{path}");
    }
    super::post(&app, "ws1", "/list").await;
    assert_eq!(ws1(&app, "/list?page=1").await.text(), "[3,1]");
}

/// Credentials: never one user's response to another, unless the workspace shares by request.
#[tokio::test]
async fn users_of_a_workspace_share_only_when_told_to() {
    let cache = || cache_core::Cache::builder().memory().build().unwrap();
    let workspace = || cache_tower::Workspace::header("x-workspace-id");
    let apart = HttpCache::builder(cache()).workspace(workspace()).build();
    let shared =
        HttpCache::builder(cache()).workspace(workspace()).share_within_workspace().build();
    for (http, texts) in [(apart, ["1", "2", "3", "4"]), (shared, ["1", "1", "1", "1"])] {
        let calls = Calls::default();
        let app =
            Router::new().route("/", counted(&calls).layer(cache_endpoint(&http, minutes(5))));
        let credentials = [
            ("authorization", "Bearer a"),
            ("authorization", "Bearer b"),
            ("cookie", "session=a"),
            ("cookie", "session=b"),
        ];
        for (credential, text) in credentials.into_iter().zip(texts) {
            let headers = [("x-workspace-id", "ws1"), credential];
            let answer = call(&app, request("GET", "/", &headers)).await;
            assert_eq!(answer.text(), text, "{credential:?}");
        }
    }
}
