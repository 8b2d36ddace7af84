//! What a response costs: hits from memory against what they stand for, hits from Redis, misses.
//!
//! ```text
//! cargo bench -p cache-tower --bench response
//! ```
//!
//! Compare within one run only. The Redis part needs `redis-server` in the path.

mod support;

use std::collections::HashMap;
use std::hint::black_box;
use std::sync::Mutex;

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use bytes::Bytes;
use cache_core::{Cache, RedisOptions};
use cache_tower::{CacheLayer, HttpCache};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, Full};
use tower::{Layer, Service, ServiceExt, service_fn};

use support::{
    Redis, headers, headers_off_the_wire, poll_now, request, request_for, respond, runtime,
};

/// The requests are made beforehand, few enough to stay in the processor's cache. What is done with
/// the responses, which is to drop them, counts.
const BATCH: BatchSize = BatchSize::NumIterations(64);

/// A hit in memory, against a map that a person would write by hand, and against the handler that
/// need not be called.
fn hit(criterion: &mut Criterion) {
    let runtime = runtime();
    let mut group = criterion.benchmark_group("hit");

    let http = HttpCache::builder(Cache::builder().memory().build().unwrap()).build();
    let mut cached = CacheLayer::new(&http).layer(service_fn(respond));
    runtime.block_on(async {
        // As in a service: this is not the only response in the cache.
        for item in 0..100 {
            let request = request_for(&format!("/items/{item}"));
            let response = cached.clone().oneshot(request).await.unwrap();
            response.into_body().collect().await.unwrap();
        }
    });
    group.bench_function("cache service", |bencher| {
        let hit = |request: Request<Body>| {
            let response = poll_now(cached.call(black_box(request))).unwrap();
            assert!(response.headers().contains_key("age"));
            drop(black_box(response));
        };
        bencher.iter_batched(request, hit, BATCH);
    });

    let map =
        Mutex::new(HashMap::from([("/items/42".to_owned(), (headers_off_the_wire(), body()))]));
    group.bench_function("hand-written map and header clone", |bencher| {
        let hit = |request: Request<Body>| {
            let request = black_box(request);
            let (headers, body) = map.lock().unwrap()[request.uri().path()].clone();
            let mut response = Response::new(Full::new(body));
            *response.headers_mut() = headers;
            drop(black_box(response));
        };
        bencher.iter_batched(request, hit, BATCH);
    });

    let mut bare: Router = Router::new().route("/items/{id}", get(handler));
    group.bench_function("bare axum handler", |bencher| {
        let call =
            |request: Request<Body>| drop(black_box(poll_now(bare.call(black_box(request)))));
        bencher.iter_batched(request, call, BATCH);
    });

    let mut router: Router = Router::new().route("/items/{id}", get(handler));
    router = router.layer(CacheLayer::new(&http));
    runtime.block_on(async {
        let response = router.clone().oneshot(request()).await.unwrap();
        response.into_body().collect().await.unwrap();
    });
    group.bench_function("axum router with the layer on it", |bencher| {
        let hit =
            |request: Request<Body>| drop(black_box(poll_now(router.call(black_box(request)))));
        bencher.iter_batched(request, hit, BATCH);
    });
    group.finish();
}

async fn handler() -> (HeaderMap, Bytes) {
    (headers(), body())
}

fn body() -> Bytes {
    Bytes::from(vec![b'x'; 1024])
}

/// A hit that asks Redis, and a miss that goes to a service which answers at once.
fn store_and_miss(criterion: &mut Criterion) {
    let runtime = runtime();
    let mut group = criterion.benchmark_group("beyond memory");
    group.throughput(Throughput::Elements(1));

    if let Some(redis) = Redis::start() {
        let options = RedisOptions::url(&redis.url()).unwrap();
        let cache = Cache::builder().redis(options).l1(false).build().unwrap();
        let http = HttpCache::builder(cache.clone()).build();
        let cached = CacheLayer::new(&http).layer(service_fn(respond));
        runtime.block_on(async {
            let response = cached.clone().oneshot(request()).await.unwrap();
            response.into_body().collect().await.unwrap();
            while cache.health().await.background_tasks > 0 {
                tokio::task::yield_now().await;
            }
        });
        group.bench_function("hit in Redis, one after the other", |bencher| {
            bencher.to_async(&runtime).iter(|| async {
                let response = cached.clone().oneshot(request()).await.unwrap();
                assert_eq!(response.headers()["cache-status"], "cache-tower; hit");
                response
            });
        });
    }

    let http = HttpCache::builder(Cache::builder().memory().build().unwrap()).build();
    let cached = CacheLayer::new(&http).layer(service_fn(respond));
    let mut n = 0_u64;
    group.bench_function("miss, stored in memory", |bencher| {
        bencher.to_async(&runtime).iter(|| {
            n += 1;
            let request = Request::get(format!("/items/{n}")).body(axum::body::Body::empty());
            let response = cached.clone().oneshot(request.unwrap());
            async { response.await.unwrap().into_body().collect().await.unwrap() }
        });
    });
    group.bench_function("no cache", |bencher| {
        bencher.to_async(&runtime).iter(|| async {
            let response = service_fn(respond).oneshot(request()).await.unwrap();
            response.into_body().collect().await.unwrap()
        });
    });
    group.finish();
}

criterion_group!(benches, hit, store_and_miss);
criterion_main!(benches);
