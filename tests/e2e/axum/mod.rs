//! Routers with the layers of cache-axum, in this process.

mod ends;
mod invalidate;
mod keys;
mod queries;
mod routers;
mod snippet;
mod sockets;
mod tags;
mod wire;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use cache_core::{Cache, RedisOptions, seconds};
use cache_tower::{HttpCache, Workspace};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use tower::ServiceExt;

use crate::setup::unique_prefix;

/// In this process' memory; the workspace is in `X-Workspace-ID`.
fn in_memory() -> HttpCache {
    with_workspace(Workspace::header("x-workspace-id"))
}

fn with_workspace(workspace: Workspace) -> HttpCache {
    let cache = Cache::builder().prefix(unique_prefix()).memory().build().expect("valid");
    HttpCache::builder(cache).workspace(workspace).build()
}

/// On this Redis, with a generous budget: a busy machine is no fault.
fn on_redis(url: &str, prefix: &str) -> HttpCache {
    let cache = Cache::builder()
        .prefix(prefix)
        .redis(RedisOptions::url(url).expect("valid"))
        .operation_budget(seconds(10))
        .build()
        .expect("valid");
    HttpCache::builder(cache).workspace(Workspace::header("x-workspace-id")).build()
}

/// How often a handler was called.
#[derive(Clone, Debug, Default)]
struct Calls(Arc<AtomicUsize>);

impl Calls {
    /// The number of this call, from 1.
    fn next(&self) -> usize {
        self.0.fetch_add(1, Ordering::AcqRel) + 1
    }

    fn count(&self) -> usize {
        self.0.load(Ordering::Acquire)
    }
}

/// A response of a router, whole.
#[derive(Debug)]
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Answer {
    fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("text")
    }

    /// What the cache says; two members where two caches say something.
    fn cache_status(&self) -> String {
        let lines = self.headers.get_all("cache-status").iter();
        let lines: Vec<_> = lines.map(|line| line.to_str().expect("text")).collect();
        lines.join(", ")
    }

    fn is_hit(&self) -> bool {
        self.cache_status() == crate::setup::HIT
    }
}

fn request(method: &str, path: &str, headers: &[(&str, &str)]) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Body::empty()).expect("a valid request")
}

async fn call(app: &Router, request: Request<Body>) -> Answer {
    let Ok(response) = app.clone().oneshot(request).await;
    let (parts, body) = response.into_parts();
    let body = body.collect().await.expect("a whole body").to_bytes();
    Answer { status: parts.status, headers: parts.headers, body }
}

/// One GET of a workspace.
async fn get(app: &Router, workspace: &str, path: &str) -> Answer {
    call(app, request("GET", path, &[("x-workspace-id", workspace)])).await
}

/// One POST of a workspace, without a body.
async fn post(app: &Router, workspace: &str, path: &str) -> Answer {
    call(app, request("POST", path, &[("x-workspace-id", workspace)])).await
}
