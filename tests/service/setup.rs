//! What all tests of this binary use.
#![allow(dead_code, reason = "each module takes what it needs")]

use std::net::SocketAddr;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use cache_core::{Cache, RedisOptions, seconds};
use cache_tests::RedisServer;
use cache_tower::{HttpCache, Workspace};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// The server of all tests that do not harm it; each has a prefix of its own there.
pub(crate) fn shared_redis() -> &'static RedisServer {
    static SERVER: LazyLock<RedisServer> = LazyLock::new(RedisServer::start);
    &SERVER
}

/// A prefix that no other test has.
pub(crate) fn unique_prefix() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("s{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// In this process' memory.
pub(crate) fn memory_cache() -> Cache {
    Cache::builder().prefix(unique_prefix()).memory().build().expect("valid")
}

/// On the shared Redis, with a generous budget: a busy machine is no fault.
pub(crate) fn redis_cache() -> Cache {
    let options = RedisOptions::url(&shared_redis().url()).expect("valid");
    Cache::builder()
        .prefix(unique_prefix())
        .redis(options)
        .operation_budget(seconds(10))
        .build()
        .expect("valid")
}

/// A response cache; the workspace is in `X-Workspace-ID`.
pub(crate) fn http(cache: Cache) -> HttpCache {
    HttpCache::builder(cache).workspace(Workspace::header("x-workspace-id")).build()
}

/// A router on a free port, until it is dropped.
pub(crate) struct Served {
    pub(crate) addr: SocketAddr,
    task: JoinHandle<()>,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Serves a router on a free port of 127.0.0.1.
pub(crate) async fn serve(app: Router) -> Served {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let addr = listener.local_addr().expect("bound");
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    let task = tokio::spawn(async move { axum::serve(listener, app).await.expect("it serves") });
    Served { addr, task }
}
