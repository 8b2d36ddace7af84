//! The examples as processes, and what all tests of this binary use.

use std::net::SocketAddr;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cache_tests::clock::Deadline;
use cache_tests::message::Response;
use cache_tests::{Example, Origin, RedisServer, body, http_client};
use tokio::task::LocalSet;

/// For what takes milliseconds, on a machine that does other things too.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) const MISS_STORED: &str = "cache-tower; fwd=uri-miss; stored";
pub(crate) const HIT: &str = "cache-tower; hit";
pub(crate) const FORWARDED: &str = "cache-tower; fwd=method";

/// The server of all tests that do not harm it; each has a prefix of its own there.
pub(crate) fn shared_redis() -> &'static RedisServer {
    static SERVER: LazyLock<RedisServer> = LazyLock::new(RedisServer::start);
    &SERVER
}

/// A prefix that no other test has.
pub(crate) fn unique_prefix() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("e{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// A reverse proxy in memory.
pub(crate) fn proxy(upstream: SocketAddr, flags: &[&str]) -> Example {
    let upstream = format!("http://{upstream}");
    Example::of("reverse_proxy")
        .args(["--listen", "127.0.0.1:0", "--upstream", &upstream])
        .args(flags)
        .start()
}

/// A reverse proxy on this Redis.
pub(crate) fn proxy_on(url: &str, prefix: &str, upstream: SocketAddr, flags: &[&str]) -> Example {
    proxy(upstream, &[&["--redis", url, "--prefix", prefix], flags].concat())
}

/// The quickstart on a free port, whatever the environment of the tests says.
pub(crate) fn quickstart() -> cache_tests::example::Builder {
    let ours = ["REDIS_", "CACHE_", "ENABLE_CACHING"];
    let foreign = std::env::vars_os()
        .filter_map(|(name, _)| name.into_string().ok())
        .filter(|name| ours.iter().any(|start| name.starts_with(start)) || name.ends_with("_TTL"));
    let quickstart = Example::of("quickstart").args(["--listen", "127.0.0.1:0"]);
    foreign.fold(quickstart, |quickstart, name| quickstart.env_remove(&name))
}

/// An origin that answers with `max-age` and the number of the request, from 1.
pub(crate) async fn counting_origin() -> Origin {
    let count = AtomicU64::new(0);
    Origin::start(move |_| {
        let number = count.fetch_add(1, Ordering::AcqRel) + 1;
        async move { body::fixed(200, &[("cache-control", "max-age=60")], number.to_string()) }
    })
    .await
}

/// One GET of which only the body and `Cache-Status` matter.
pub(crate) async fn get(
    addr: SocketAddr,
    path: &str,
    headers: &[(&str, &str)],
) -> (String, String) {
    let response = http_client::get(addr, path, headers).await;
    (response.text(), response.cache_status())
}

/// One request of any method, with a body.
pub(crate) async fn send(
    addr: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Response {
    let response = http_client::request(addr, method, path, headers, body).await;
    response.unwrap_or_else(|error| panic!("{method} {path}: {error}"))
}

/// Asks until Redis has what was answered; returns the number of that turn.
///
/// On a busy machine an operation may take longer than its budget: then that response is in the
/// proxy's memory only. So each turn has to ask for something else.
pub(crate) async fn until_kept(
    redis: &RedisServer,
    glob: impl Fn(usize) -> String,
    mut ask: impl AsyncFnMut(usize),
) -> usize {
    let deadline = Deadline::after(PATIENCE);
    for turn in 0.. {
        ask(turn).await;
        let written = Deadline::after(Duration::from_millis(500));
        while !written.passed() {
            if !redis.keys(&glob(turn)).is_empty() {
                return turn;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert!(!deadline.passed(), "nothing is kept in Redis under {}", glob(turn));
    }
    unreachable!("the deadline ends it")
}

/// Runs a test of a process on Redis, up to three times from the start.
///
/// An operation that takes longer than its budget (50 ms, and the examples have no flag for it) is
/// an outage: hits are lost then, and invalidations are not repeated. A machine that is busy for a
/// moment can make any one test see that; what is wrong fails each time. The tests within this
/// process have a generous budget instead, and one try.
pub(crate) async fn within_budget<F>(test: impl Fn() -> F)
where
    F: Future<Output = ()> + 'static,
{
    for _ in 0..2 {
        let tasks = LocalSet::new();
        if tasks.run_until(async { tasks.spawn_local(test()).await }).await.is_ok() {
            return;
        }
    }
    test().await;
}

/// Waits for a task, but not for ever.
pub(crate) async fn join<T>(task: tokio::task::JoinHandle<T>) -> T {
    tokio::time::timeout(PATIENCE, task).await.expect("the task ends").expect("no panic")
}
