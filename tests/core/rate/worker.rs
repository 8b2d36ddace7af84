//! One process of several that ask one limiter.

use std::io::{Read, Write};
use std::path::Path;
use std::time::Duration;

use cache_core::{Cache, RedisOptions, minutes};
use cache_tests::twin::PROGRESS;
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use super::DAY;

/// The variable that carries the orders.
pub(super) const VARIABLE: &str = "CACHE_TESTS_RATE_WORKER";
/// The path of the test that is the entry.
pub(super) const ENTRY: &str = "rate::worker::entry";

/// How far a worker is.
pub(super) const READY: u64 = 1;
pub(super) const DONE: u64 = 2;

/// Between two looks at whether the others are ready, too.
const POLL: Duration = Duration::from_millis(2);
/// How many of its checks are under way at once.
const TASKS: usize = 20;

/// What a worker is told.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Orders {
    pub(super) redis: String,
    pub(super) gcra: bool,
    pub(super) without_scripts: bool,
    pub(super) checks: usize,
    pub(super) limit: u64,
    /// A file that appears when all are to begin.
    pub(super) begin: String,
    /// Where to say how many were allowed.
    pub(super) log: String,
}

#[test]
#[ignore = "the entry of processes that other tests start; does nothing alone"]
fn entry() {
    let Ok(orders) = std::env::var(VARIABLE) else { return };
    let orders: Orders = serde_json::from_str(&orders).unwrap();
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.worker_threads(2).enable_all().build().unwrap().block_on(work(orders));
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
}

async fn work(orders: Orders) {
    let mut options = RedisOptions::url(&orders.redis).unwrap();
    if orders.without_scripts {
        let rights = ["ACL", "SETUSER", "plain", "on", ">pw", "~*", "+@all", "-@scripting"];
        let port = orders.redis.rsplit(':').next().unwrap().parse().unwrap();
        let address = std::net::SocketAddr::from(([127, 0, 0, 1], port));
        let mut connection = cache_tests::resp::Connection::open(address).unwrap();
        connection.command(&rights.map(str::as_bytes)).unwrap();
        options = options.credentials(Some("plain"), Some("pw"));
    }
    let cache = Cache::builder().prefix("fleet").operation_budget(minutes(1)).redis(options);
    let mut limiter = cache.build().unwrap().rate_limiter("api");
    if orders.gcra {
        limiter = limiter.gcra();
    }
    // A connection is there.
    assert!(limiter.check("warm", 100, DAY).await.confirmed);
    say(READY);
    while !Path::new(&orders.begin).exists() {
        tokio::time::sleep(POLL).await;
    }
    let mut tasks = JoinSet::new();
    for _ in 0..TASKS {
        let (limiter, checks, limit) = (limiter.clone(), orders.checks / TASKS, orders.limit);
        tasks.spawn(async move {
            let mut allowed = 0_u64;
            for _ in 0..checks {
                let verdict = limiter.check("k", limit, DAY).await;
                assert!(verdict.confirmed, "{verdict:?}");
                allowed += u64::from(verdict.allowed);
            }
            allowed
        });
    }
    let allowed: u64 = tasks.join_all().await.into_iter().sum();
    std::fs::write(&orders.log, allowed.to_string()).unwrap();
    say(DONE);
}

fn say(progress: u64) {
    let mut output = std::io::stdout().lock();
    // Whoever is no longer there to read it has closed the input, too.
    let _ = writeln!(output, "{PROGRESS}{progress}").and_then(|()| output.flush());
}
