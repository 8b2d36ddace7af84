//! Redis away: what is answered is a choice, and nobody waits for it.

use std::time::Duration;

use axum::Router;
use cache_axum::{cache_endpoint, rate_limit};
use cache_core::{Cache, RedisOptions, minutes};
use cache_tests::clock::Stopwatch;
use cache_tests::wait::eventually_some;
use cache_tests::{FaultProxy, Mode, RedisServer};
use cache_tower::{HttpCache, Workspace};

use super::{Calls, WS1, get, statuses};
use crate::setup::{Served, serve};

/// Far above a budget, and far below what would wait without one.
const SOON: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(20);

/// Three routes, each with another choice; with the default budget of 50 ms.
async fn service(url: &str) -> Served {
    let cache = Cache::builder().prefix("shop").redis(RedisOptions::url(url).unwrap());
    let http = HttpCache::builder(cache.build().unwrap())
        .workspace(Workspace::header("x-workspace-id"))
        .build();
    let limit = |name| rate_limit(&http, name, 2, minutes(10));
    let cached = (limit("locally"), cache_endpoint(&http, minutes(5)));
    let app = Router::new()
        .route("/locally", Calls::default().route().layer(cached))
        .route("/open", Calls::default().route().layer(limit("open").fail_open()))
        .route("/closed", Calls::default().route().layer(limit("closed").fail_closed()))
        .route("/probe", Calls::default().route().layer(limit("probe").cost(0).fail_closed()));
    serve(app).await
}

async fn counts(served: &Served) {
    eventually_some(PATIENCE, "Redis counts", async || {
        (get(served.addr, "/probe", &WS1).await.status == 200).then_some(())
    })
    .await;
}

async fn decides(served: &Served) {
    let watch = Stopwatch::start();
    let closed = get(served.addr, "/closed", &WS1).await;
    assert_eq!((closed.status, closed.header("retry-after")), (503, Some("1")));
    assert_eq!(closed.header("content-type"), Some("application/problem+json"));
    assert_eq!(closed.header("cache-control"), Some("no-store"));
    assert_eq!(closed.header_all("ratelimit"), [""; 0]);
    assert_eq!(statuses(served.addr, "/open", &WS1, 5).await, [200; 5]);
    let open = get(served.addr, "/open", &WS1).await;
    assert_eq!(open.header_all("ratelimit"), [""; 0], "nobody knows what is left");
    assert_eq!(open.header_all("ratelimit-policy"), ["\"open\";q=2;w=600"]);
    assert_eq!(statuses(served.addr, "/locally", &WS1, 3).await, [200, 200, 429]);
    assert!(watch.elapsed() < SOON, "{:?}", watch.elapsed());
}

#[tokio::test]
async fn a_server_that_is_killed_and_comes_back() {
    let redis = RedisServer::start();
    let served = service(&redis.url()).await;
    counts(&served).await;
    assert_eq!(statuses(served.addr, "/closed", &WS1, 3).await, [200, 200, 429]);
    redis.kill();
    decides(&served).await;
    redis.restart();
    counts(&served).await;
    assert_eq!(statuses(served.addr, "/closed", &WS1, 3).await, [200, 200, 429]);
}

/// A limiter and a cache on one request wait no longer than one of them.
#[tokio::test]
async fn a_server_that_answers_nothing() {
    let redis = RedisServer::start();
    let proxy = FaultProxy::start(redis.port()).await;
    let served = service(&redis.url_through(proxy.port())).await;
    counts(&served).await;
    proxy.set(Mode::Hold).await;
    decides(&served).await;
    proxy.set(Mode::Pass).await;
    counts(&served).await;
}
