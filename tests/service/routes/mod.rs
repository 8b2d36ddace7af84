//! Routes: what `cache_endpoint`, `invalidate_cache` and the table of routes do, and where layers stand.

mod clients;
mod grpc;
mod hostile;
mod hyper_service;
mod invalidates;
mod isolation;
mod layers;
mod options;
mod refused;
mod routers;
mod streams;
mod table;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use cache_core::Cache;
use cache_tests::message::Response;
use cache_tests::{eventually, http_client};
use cache_tower::{HttpCache, HttpCacheBuilder};

use crate::setup::{Served, memory_cache, redis_cache, serve};

/// For what takes milliseconds, on a machine that does other things too.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

pub(super) const MISS: &str = "cache-tower; fwd=uri-miss; stored";
pub(super) const HIT: &str = "cache-tower; hit";
pub(super) const NEVER: &str = "cache-tower; fwd=bypass; detail=never";
pub(super) const NO_FRESHNESS: &str = "cache-tower; fwd=uri-miss; detail=no-freshness";

pub(super) type Lines<'l> = &'l [(&'l str, &'l str)];

/// In memory, and on a Redis.
pub(super) fn everywhere(options: impl Fn(HttpCacheBuilder) -> HttpCacheBuilder) -> [HttpCache; 2] {
    let http = |cache: Cache| options(HttpCache::builder(cache)).build();
    [http(memory_cache()), http(redis_cache())]
}

/// In memory.
pub(super) fn in_memory(options: impl Fn(HttpCacheBuilder) -> HttpCacheBuilder) -> HttpCache {
    options(HttpCache::builder(memory_cache())).build()
}

/// How often a handler was called.
#[derive(Clone, Debug, Default)]
pub(super) struct Calls(Arc<AtomicUsize>);

impl Calls {
    /// The number of this call, from 1.
    pub(super) fn next(&self) -> usize {
        self.0.fetch_add(1, Ordering::AcqRel) + 1
    }

    pub(super) fn count(&self) -> usize {
        self.0.load(Ordering::Acquire)
    }
}

/// A service on a socket, and its cache.
pub(super) struct App {
    pub(super) served: Served,
    http: HttpCache,
}

impl App {
    pub(super) async fn start(http: &HttpCache, router: Router) -> Self {
        Self { served: serve(router).await, http: http.clone() }
    }

    /// The whole response, when all that it causes has been written.
    pub(super) async fn send(&self, method: &str, path: &str, lines: Lines<'_>) -> Response {
        let response = http_client::request(self.served.addr, method, path, lines, b"").await;
        let response = response.unwrap_or_else(|error| panic!("{method} {path}: {error}"));
        at_rest(&self.http).await;
        response
    }

    pub(super) async fn get(&self, path: &str, lines: Lines<'_>) -> Response {
        self.send("GET", path, lines).await
    }

    /// What the cache says of a GET.
    pub(super) async fn told(&self, path: &str, lines: Lines<'_>) -> String {
        self.get(path, lines).await.cache_status()
    }

    /// Its text, and what the cache says.
    pub(super) async fn seen(&self, path: &str, lines: Lines<'_>) -> (String, String) {
        let response = self.get(path, lines).await;
        (response.text(), response.cache_status())
    }
}

/// Waits until all that was stored has been written.
pub(super) async fn at_rest(http: &HttpCache) {
    let (http, background) = (http.clone(), http.cache().background().clone());
    let idle = move || http.flights() == 0 && background.running() == 0;
    eventually(PATIENCE, "writes end", idle).await;
}
