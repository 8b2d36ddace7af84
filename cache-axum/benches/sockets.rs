//! Requests over sockets: 64 connections with keep-alive, 1 KiB, on loopback, client and server
//! in one process.
//!
//! ```text
//! cargo bench -p cache-axum --bench sockets
//! ```
//!
//! Compare within one run only.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::routing::get;
use cache_core::{Cache, Stopwatch};
use cache_tower::{CacheBody, CacheLayer, HttpCache};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tower::{Layer, ServiceExt};

const CONNECTIONS: u64 = 64;

async fn serve(app: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    address
}

/// The cache around the whole router: a hit is not even routed.
async fn serve_behind_cache(app: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let to_axum = |response: http::Response<CacheBody<Body>>| response.map(Body::new);
    let app = ServiceExt::<Request>::map_response(layer().layer(app), to_axum);
    let app = axum::ServiceExt::<Request>::into_make_service(app);
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    address
}

async fn page() -> ([(http::HeaderName, &'static str); 2], String) {
    ([(CONTENT_TYPE, "text/plain"), (CACHE_CONTROL, "max-age=3600")], "x".repeat(1024))
}

fn bare() -> Router {
    Router::new().route("/page/{n}", get(page))
}

fn layer() -> CacheLayer {
    let cache = Cache::builder().memory().build().unwrap();
    CacheLayer::new(&HttpCache::builder(cache).build())
}

fn cached() -> Router {
    bare().layer(layer())
}

/// One connection, its requests one after the other.
struct Connection {
    stream: TcpStream,
    read: Vec<u8>,
}

impl Connection {
    async fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, read: vec![0; 16 * 1024] }
    }

    async fn get(&mut self, path: &str) {
        let request = format!("GET {path} HTTP/1.1\r\nhost: bench.example\r\n\r\n");
        self.stream.write_all(request.as_bytes()).await.unwrap();
        let mut length = 0;
        loop {
            let n = self.stream.read(&mut self.read[length..]).await.unwrap();
            assert!(n > 0, "the server has closed");
            length += n;
            let head_ends = self.read[..length].windows(4).position(|w| w == b"\r\n\r\n");
            if head_ends.is_some_and(|at| length == at + 4 + 1024) {
                return;
            }
        }
    }
}

/// How long `requests` requests take over all connections; `path` is made from their number.
async fn load(address: SocketAddr, requests: u64, path: impl Fn(u64) -> String) -> Duration {
    let mut connections = Vec::new();
    for _ in 0..CONNECTIONS {
        connections.push(Connection::open(address).await);
    }
    let each = requests.div_ceil(CONNECTIONS);
    let paths = |connection: u64| (0..each).map(|n| path(connection * each + n)).collect();
    let work: Vec<(Connection, Vec<String>)> =
        connections.into_iter().enumerate().map(|(n, c)| (c, paths(n as u64))).collect();
    let watch = Stopwatch::start();
    let tasks: Vec<_> = work
        .into_iter()
        .map(|(mut connection, paths)| {
            tokio::spawn(async move {
                for path in paths {
                    connection.get(&path).await;
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    // Rounded up to a whole number of requests for each connection.
    let share = u32::try_from(each * CONNECTIONS).unwrap();
    watch.elapsed() / share * u32::try_from(requests).unwrap()
}

fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

fn throughput(criterion: &mut Criterion) {
    let runtime = runtime();
    let mut group = criterion.benchmark_group("64 connections");
    group.throughput(Throughput::Elements(1));
    let servers = [
        ("bare axum", runtime.block_on(serve(bare()))),
        ("hits, the layer on the router", runtime.block_on(serve(cached()))),
        ("hits, the layer around the router", runtime.block_on(serve_behind_cache(bare()))),
    ];
    for (name, address) in servers {
        group.bench_function(BenchmarkId::new("one page", name), |bencher| {
            bencher.iter_custom(|n| runtime.block_on(load(address, n, |_| "/page/1".to_owned())));
        });
    }
    for (name, app) in [("bare axum", bare()), ("misses", cached())] {
        let address = runtime.block_on(serve(app));
        group.bench_function(BenchmarkId::new("a new page each time", name), |bencher| {
            let run = fastrand::u32(..);
            bencher.iter_custom(|n| {
                let round = fastrand::u32(..);
                runtime.block_on(load(address, n, move |n| format!("/page/{run}{round}-{n}")))
            });
        });
    }
    group.finish();
}

criterion_group!(benches, throughput);
criterion_main!(benches);
