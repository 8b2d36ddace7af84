//! One process of a real fleet: a cache of its own, a thousand callers of one cold key, and a log.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use cache_core::{Cache, RedisOptions, Values, minutes};
use cache_tests::clock::monotonic;
use cache_tests::twin::PROGRESS;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

/// The variable that carries the orders.
pub(super) const VARIABLE: &str = "CACHE_TESTS_FLEET_WORKER";
/// The path of the test that is the entry.
pub(super) const ENTRY: &str = "fleet::worker::entry";

/// How far a worker is.
pub(super) const READY: u64 = 1;
pub(super) const COMPUTING: u64 = 2;
pub(super) const DONE: u64 = 3;

/// Between two looks at whether the others are ready, too.
const POLL: Duration = Duration::from_millis(2);

/// What a worker is told.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Orders {
    pub(super) redis: String,
    pub(super) l1: bool,
    /// Threads that run callers.
    pub(super) threads: usize,
    pub(super) callers: usize,
    pub(super) computation_ms: u64,
    /// A file that appears when all are to begin.
    pub(super) begin: String,
    pub(super) log: String,
}

/// What a worker has seen.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Computations that began.
    pub(super) computations: usize,
    /// For each caller, how long after the end of the computation that made its value it was given
    /// it, in nanoseconds; with the end.
    pub(super) waits: Vec<u64>,
    pub(super) ends: Vec<u64>,
}

impl Seen {
    pub(super) fn read(log: &Path) -> Self {
        let mut seen = Self::default();
        for line in std::fs::read_to_string(log).expect("the worker's log").lines() {
            match line.split_once(' ') {
                Some((wait, end)) => {
                    seen.waits.push(wait.parse().expect("nanoseconds"));
                    seen.ends.push(end.parse().expect("nanoseconds"));
                }
                None => seen.computations += 1,
            }
        }
        seen
    }
}

#[test]
#[ignore = "the entry of processes that other tests start; does nothing alone"]
fn entry() {
    let Ok(orders) = std::env::var(VARIABLE) else { return };
    let orders: Orders = serde_json::from_str(&orders).unwrap();
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.worker_threads(orders.threads).enable_all().build().unwrap().block_on(work(orders));
}

async fn work(orders: Orders) {
    let cache = Cache::builder()
        .prefix("fleet")
        .default_ttl(minutes(10))
        .l1(orders.l1)
        .operation_budget(Duration::from_secs(10))
        .redis(RedisOptions::url(&orders.redis).unwrap());
    let reports = cache.build().unwrap().namespace("reports");
    // Connections and generations are there, and what it hears of.
    let warm = reports.get_or_compute("warm", async || Ok::<_, std::io::Error>(0u64)).await;
    warm.unwrap();
    say(READY);
    while !Path::new(&orders.begin).exists() {
        tokio::time::sleep(POLL).await;
    }
    let mut log = std::fs::File::create(&orders.log).unwrap();
    // What the callers themselves do is kept small: it takes place in the time that is measured.
    let none = || [const { AtomicU64::new(0) }; 2];
    let crowd = Arc::new(Crowd {
        reports,
        seen: (0..orders.callers).map(|_| none()).collect(),
        left: AtomicUsize::new(orders.callers),
        done: Notify::new(),
        orders,
    });
    for caller in 0..crowd.orders.callers {
        let crowd = Arc::clone(&crowd);
        tokio::spawn(async move {
            let compute = async || crowd.compute().await;
            let computed = crowd.reports.get_or_compute("1", compute).once_per_fleet();
            crowd.note(caller, computed.await.unwrap());
        });
    }
    crowd.done.notified().await;
    say(DONE);
    // What follows would hold up those of other processes that still wait.
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
    let mut lines = String::new();
    for [wait, end] in &*crowd.seen {
        let (wait, end) = (wait.load(Ordering::Relaxed), end.load(Ordering::Relaxed));
        let _ = writeln!(lines, "{wait} {end}");
    }
    std::io::Seek::seek(&mut log, std::io::SeekFrom::End(0)).unwrap();
    log.write_all(lines.as_bytes()).unwrap();
}

/// What the callers have in common.
struct Crowd {
    reports: Values,
    /// For each, how long it waited, and the end of the computation.
    seen: Box<[[AtomicU64; 2]]>,
    left: AtomicUsize,
    done: Notify,
    orders: Orders,
}

impl Crowd {
    async fn compute(&self) -> std::io::Result<u64> {
        // A line for each, written before anything may happen to this process.
        let mut log = std::fs::OpenOptions::new().append(true).open(&self.orders.log)?;
        log.write_all(b"computes\n")?;
        say(COMPUTING);
        tokio::time::sleep(Duration::from_millis(self.orders.computation_ms)).await;
        Ok(monotonic())
    }

    fn note(&self, caller: usize, end: u64) {
        self.seen[caller][0].store(monotonic().saturating_sub(end), Ordering::Relaxed);
        self.seen[caller][1].store(end, Ordering::Relaxed);
        if self.left.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.done.notify_one();
        }
    }
}

fn say(progress: u64) {
    let mut output = std::io::stdout().lock();
    // Whoever is no longer there to read it has closed the input, too.
    let _ = writeln!(output, "{PROGRESS}{progress}").and_then(|()| output.flush());
}
