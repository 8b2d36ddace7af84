//! What the cache's own operations cost.
//!
//!     cargo bench -p cache-core --bench cache
//!
//! `l2/…` starts a `redis-server` of its own and compares with a bare `GET` of the same bytes over
//! one multiplexed connection, in the same run; without the binary this part is left out.

use std::collections::HashMap;
use std::future::IntoFuture;
use std::hint::black_box;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, RwLock};

use cache_core::{Cache, Key, Namespace, RedisOptions, TypedNamespace, seconds};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use redis::AsyncCommands;
use redis::aio::MultiplexedConnection;
use serde::{Deserialize, Serialize};
use tokio::runtime::Runtime;

const TASKS: [usize; 2] = [1, 64];
/// So that starting tasks costs little beside what they do.
const GETS_PER_TASK: usize = 64;
const KEY: &str = "ws1:42";
const REPORTS: TypedNamespace<str, Report> = TypedNamespace::new(Namespace::new("reports"));

/// 1 KiB as MessagePack.
#[derive(Clone, Serialize, Deserialize)]
struct Report {
    id: u64,
    name: String,
    text: String,
}

fn report() -> Report {
    Report { id: 42, name: "quarterly".into(), text: "x".repeat(986) }
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime")
}

fn in_memory(c: &mut Criterion) {
    let rt = runtime();
    let cache = Cache::builder().memory().build().expect("a cache");
    let reports = cache.namespace("reports");
    rt.block_on(async { reports.set(KEY, &report()).await.expect("it is set") });

    let mut group = c.benchmark_group("l1");
    group.bench_function("get typed 1 KiB", |b| {
        b.to_async(&rt).iter(async || reports.get::<Report>(black_box(KEY)).await);
    });
    group.bench_function("get typed 1 KiB, by the cache", |b| {
        b.to_async(&rt).iter(async || cache.get::<Report>("reports", black_box(KEY)).await);
    });
    group.bench_function("get_or_compute hit", |b| {
        let compute = async || Ok::<_, std::io::Error>(report());
        b.to_async(&rt).iter(async || reports.get_or_compute(black_box(KEY), compute).await);
    });
    let typed = cache.typed(&REPORTS);
    rt.block_on(async { typed.set(KEY, &report()).await.expect("it is set") });
    group.bench_function("typed namespace, get 1 KiB", |b| {
        b.to_async(&rt).iter(async || typed.get(black_box(KEY)).await);
    });
    group.bench_function("typed namespace, get_shared 1 KiB", |b| {
        b.to_async(&rt).iter(async || typed.get_shared(black_box(KEY)).await);
    });
    // What these are compared with: a map, of values that are cloned and of values that are shared.
    let map = RwLock::new(HashMap::from([(KEY.to_owned(), Arc::new(report()))]));
    let found = |key: &str| map.read().expect("no panic").get(key).map(Arc::clone);
    group.bench_function("bare map, value cloned", |b| {
        b.iter(|| found(black_box(KEY)).map(|report| Report::clone(&report)));
    });
    group.bench_function("bare map, value shared", |b| b.iter(|| found(black_box(KEY))));
    // As middleware looks up: by an identity of its own, with nothing to decode.
    let identity = [&[0], KEY.as_bytes()].concat();
    group.bench_function("peek", |b| {
        b.iter(|| reports.peek(reports.hash(black_box(&identity)), &identity).is_some());
    });
    group.bench_function("get_many of 100", |b| {
        let keys = || std::iter::repeat_n(KEY, 100);
        b.to_async(&rt).iter(async || reports.get_many::<Report, _>(keys()).await);
    });
    group.bench_function("set", |b| {
        let report = report();
        b.to_async(&rt).iter(async || reports.set(black_box(KEY), &report).await);
    });
    group.finish();

    let mut group = c.benchmark_group("memory miss");
    group.bench_function("get", |b| {
        b.to_async(&rt).iter(async || reports.get::<Report>(black_box("none")).await);
    });
    group.bench_function("get_or_compute, computed and stored", |b| {
        let mut next = 0u64;
        b.to_async(&rt).iter(|| {
            next += 1;
            let key = Key::workspace("ws1").segment(next.to_string());
            reports.get_or_compute(key, async || Ok::<_, std::io::Error>(report())).into_future()
        });
    });
    group.finish();
}

fn on_redis(c: &mut Criterion) {
    let Some(server) = Server::start() else { return };
    let rt = runtime();
    let (cache, raw) = rt.block_on(server.clients());
    let reports = cache.namespace("reports");
    let keys: Vec<String> = (0..64).map(|n| format!("ws1:{n}")).collect();
    rt.block_on(async {
        let items = keys.iter().map(|key| (key, report()));
        reports.set_many(items).await.expect("they are set");
    });
    let stored: Arc<[String]> = keys.iter().map(|key| format!("cache:reports:v1:{key}")).collect();
    let keys: Arc<[String]> = keys.into();

    let mut group = c.benchmark_group("l2");
    for tasks in TASKS {
        let gets = if tasks == 1 { 1 } else { GETS_PER_TASK };
        group.throughput(Throughput::Elements((tasks * gets) as u64));
        group.bench_function(format!("raw GET, {tasks} tasks"), |b| {
            b.iter(|| {
                rt.block_on(on_tasks(tasks, |task| {
                    let (mut raw, stored) = (raw.clone(), stored.clone());
                    async move {
                        for n in 0..gets {
                            let key = &stored[(task + n) % stored.len()];
                            let bytes: Vec<u8> = raw.get(key).await.expect("it is there");
                            black_box(bytes);
                        }
                    }
                }));
            });
        });
        group.bench_function(format!("hit, {tasks} tasks"), |b| {
            b.iter(|| {
                rt.block_on(on_tasks(tasks, |task| {
                    let (reports, keys) = (reports.clone(), keys.clone());
                    async move {
                        for n in 0..gets {
                            let key = &keys[(task + n) % keys.len()];
                            let found: Option<Report> = reports.get(key).await.expect("an answer");
                            assert!(found.is_some(), "a hit");
                        }
                    }
                }));
            });
        });
    }
    group.throughput(Throughput::Elements(1));
    group.bench_function("set", |b| {
        let report = report();
        b.to_async(&rt)
            .iter(async || reports.set(black_box("ws1:43"), &report).await.expect("set"));
    });
    group.bench_function("miss", |b| {
        b.to_async(&rt).iter(async || reports.get::<Report>(black_box("none")).await);
    });
    group.finish();
}

/// Runs `work` here for one task, or on so many tasks at once; each is told its number.
async fn on_tasks<F>(tasks: usize, work: impl Fn(usize) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    if tasks == 1 {
        return work(0).await;
    }
    let tasks: Vec<_> = (0..tasks).map(|task| tokio::spawn(work(task))).collect();
    for task in tasks {
        task.await.expect("no panic");
    }
}

/// A server that ends with the benches.
struct Server {
    process: Child,
    url: String,
}

impl Server {
    #[allow(clippy::print_stderr, reason = "who runs the benches wants to know")]
    fn start() -> Option<Self> {
        let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).ok()?.port();
        let process = Command::new("redis-server")
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
            .args(["--save", "", "--appendonly", "no"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        match process {
            Ok(process) => Some(Self { process, url: format!("redis://127.0.0.1:{port}") }),
            Err(error) => {
                eprintln!("redis-server can't be started ({error}): the benches `l2` are left out");
                None
            }
        }
    }

    /// A cache without L1, and a bare connection; once the server answers.
    async fn clients(&self) -> (Cache, MultiplexedConnection) {
        let options = RedisOptions::url(&self.url).expect("a URL");
        let cache = Cache::builder().redis(options).l1(false).operation_budget(seconds(5));
        let cache = cache.build().expect("a cache");
        while cache.set("reports", KEY, &report()).await.is_err() {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        let client = redis::Client::open(self.url.as_str()).expect("a URL");
        let raw = client.get_multiplexed_async_connection().await.expect("a connection");
        (cache, raw)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Ends at the latest with this process' last word.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

criterion_group!(benches, in_memory, on_redis);
criterion_main!(benches);
