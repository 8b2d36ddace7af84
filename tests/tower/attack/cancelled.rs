//! Requests of many tenants that are given up while Redis is asked, over one connection: no answer that
//! comes late is taken for the answer to another request. (A well-known chat service showed its users
//! each other's titles and bills, for hours, when its Redis client did that.)

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;

use bytes::Bytes;
use cache_core::{Cache, RedisOptions, minutes};
use cache_tests::{RedisServer, eventually};
use cache_tower::{CacheLayer, HttpCache, Workspace};
use http::{Request, Response};
use http_body_util::{BodyExt, Empty, Full};
use tower::{Layer, ServiceExt, service_fn};

use crate::setup::{Ask, LIMIT};

const CANCELLED: usize = 20_000;
const TENANTS: usize = 200;
const PATHS: usize = 4;
const TASKS: usize = 40;

fn request(tenant: usize, path: usize) -> Ask {
    Request::get(format!("/pages/{path}"))
        .header("host", "shop.example")
        .header("x-workspace-id", format!("tenant-{tenant}"))
        .body(Empty::new())
        .expect("valid")
}

fn secret(tenant: usize, path: usize) -> String {
    format!("the secrets of tenant-{tenant} on /pages/{path}")
}

async fn origin(request: Ask) -> Result<Response<Full<Bytes>>, Infallible> {
    let tenant = request.headers()["x-workspace-id"].to_str().expect("text");
    let body = format!("the secrets of {tenant} on {}", request.uri().path());
    let response = Response::builder().header("cache-control", "max-age=600");
    Ok(response.body(Full::from(body)).expect("valid"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_given_what_another_tenant_did_not_wait_for() {
    let redis = RedisServer::start();
    let options = RedisOptions::url(&redis.url()).expect("valid").max_connections(1);
    // Without memory, so that each request asks Redis; and what is tested is not patience.
    let cache = Cache::builder().redis(options).l1(false).operation_budget(minutes(1));
    let cache = cache.build().expect("valid");
    let http = HttpCache::builder(cache.clone());
    let http = http.workspace(Workspace::header("x-workspace-id")).build();
    let app = CacheLayer::new(&http).layer(service_fn(origin));
    let cancelled = Arc::<AtomicUsize>::default();
    let tasks: Vec<_> = (0..TASKS as u64)
        .map(|task| {
            let (app, cancelled) = (app.clone(), Arc::clone(&cancelled));
            let mut random = fastrand::Rng::with_seed(task);
            tokio::spawn(async move {
                let (mut hits, mut read) = (0, 0);
                while cancelled.load(Ordering::Relaxed) < CANCELLED {
                    let (tenant, path) = (random.usize(..TENANTS), random.usize(..PATHS));
                    {
                        let mut given_up = pin!(app.clone().oneshot(request(tenant, path)));
                        let mut is_ready = false;
                        for _ in 0..random.usize(1..8) {
                            let poll =
                                poll_fn(|cx| Poll::Ready(given_up.as_mut().poll(cx).is_ready()));
                            is_ready = poll.await;
                            if is_ready {
                                break;
                            }
                            tokio::task::yield_now().await;
                        }
                        cancelled.fetch_add(usize::from(!is_ready), Ordering::Relaxed);
                    }
                    if random.u8(..4) == 0 {
                        let (tenant, path) = (random.usize(..TENANTS), random.usize(..PATHS));
                        let response = app.clone().oneshot(request(tenant, path)).await;
                        let response = response.expect("infallible");
                        let status = &response.headers()["cache-status"];
                        hits += usize::from(status.as_bytes().ends_with(b"; hit"));
                        read += 1;
                        let body = response.into_body().collect().await.expect("whole");
                        assert_eq!(body.to_bytes(), secret(tenant, path));
                    }
                }
                (hits, read)
            })
        })
        .collect();
    let (mut hits, mut read) = (0, 0);
    for task in tasks {
        let (some_hits, some) = task.await.expect("no panic");
        (hits, read) = (hits + some_hits, read + some);
    }
    assert!(read > CANCELLED / 20 && hits > read / 2, "{hits} hits of {read}");
    eventually(LIMIT, "the last writes end", || http.flights() == 0).await;
    let pool = cache.gauges().pool.expect("Redis");
    assert_eq!((pool.connections, pool.operations, pool.waiting), (1, 0, 0));
    // Afterwards, too.
    for tenant in 0..TENANTS {
        let response = app.clone().oneshot(request(tenant, 0)).await.expect("infallible");
        let body = response.into_body().collect().await.expect("whole");
        assert_eq!(body.to_bytes(), secret(tenant, 0));
    }
}
