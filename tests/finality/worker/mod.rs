//! One of the processes that read and write: a cache of its own on the shared Redis, a connection
//! of its own to the shared database, and a log of what it saw.

mod clocks;
mod database;
mod log;
mod operations;
mod source;
mod values;
mod web;

use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use cache_core::{Cache, Namespace, RedisOptions, Template, minutes};
use cache_tests::twin::PROGRESS;
use serde::{Deserialize, Serialize};

pub(crate) use clocks::Skew;
pub(crate) use database::create as create_database;

use crate::layout::{NAMESPACES, TEMPLATE};
use log::Log;
use operations::Operator;
use source::Source;
use values::namespace;
use web::Sites;

/// The variable that carries the orders.
pub(crate) const VARIABLE: &str = "CACHE_TESTS_FINALITY_WORKER";
/// The path of the test that is the entry.
pub(crate) const ENTRY: &str = "worker::entry";

const PROGRESS_EVERY: Duration = Duration::from_millis(25);

/// What a worker is told.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[allow(clippy::struct_excessive_bools, reason = "settings, each for itself")]
pub(crate) struct Orders {
    pub(crate) node: usize,
    /// `None`: memory only.
    pub(crate) redis: Option<String>,
    pub(crate) l1: bool,
    pub(crate) l1_ttl_ms: u64,
    /// That operate at the same time, and what each rests in between.
    pub(crate) tasks: u64,
    pub(crate) pause_ms: u64,
    pub(crate) database: String,
    pub(crate) log: String,
    pub(crate) seed: u64,
    pub(crate) skew: Skew,
    /// Whether rows are read and changed by requests.
    pub(crate) http: bool,
    /// Whether patterns are invalidated that were not declared.
    pub(crate) globs: bool,
    /// The mutation: entries count as valid whatever was invalidated.
    pub(crate) ignore_generations: bool,
}

#[test]
#[ignore = "the entry of processes that other tests start; does nothing alone"]
fn entry() {
    let Ok(orders) = std::env::var(VARIABLE) else { return };
    let orders: Orders = serde_json::from_str(&orders).unwrap();
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(work(orders));
}

async fn work(orders: Orders) {
    if orders.ignore_generations {
        cache_core::test_hooks::ignore_generations();
    }
    let cache = cache(&orders);
    let log = Log::create(&orders.log);
    let pause = Duration::from_millis(orders.pause_ms);
    let sites = orders.http.then(|| Sites::new(&cache));
    let (stopped, count) = (stopped_with_input(), Arc::new(AtomicU64::new(0)));
    let tasks: Vec<_> = (0..orders.tasks)
        .map(|task| {
            let seed = orders.seed ^ (orders.node as u64 * orders.tasks + task + 1);
            let source = Source::new(&orders.database, &log, !seed);
            let operator = Operator::new(&cache, source, &log, seed);
            let operator = sites.iter().fold(operator, Operator::through);
            let operator = if orders.globs { operator } else { operator.without_globs() };
            tokio::spawn(operate(operator, pause, Arc::clone(&stopped), Arc::clone(&count)))
        })
        .collect();
    while !stopped.load(Ordering::Acquire) && tasks.iter().all(|task| !task.is_finished()) {
        say(count.load(Ordering::Relaxed));
        tokio::time::sleep(PROGRESS_EVERY).await;
    }
    for task in tasks {
        task.await.unwrap();
    }
    cache.shutdown().await;
    log.close();
    say(count.load(Ordering::Relaxed));
}

async fn operate(
    mut operator: Operator,
    pause: Duration,
    stopped: Arc<AtomicBool>,
    count: Arc<AtomicU64>,
) {
    while !stopped.load(Ordering::Acquire) {
        operator.step().await;
        count.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(pause).await;
    }
}

fn cache(orders: &Orders) -> Cache {
    let mut builder = Cache::builder()
        .prefix("finality")
        .default_ttl(minutes(10))
        .clock(clocks::skewed(orders.skew))
        .l1(orders.l1)
        .l1_ttl(Duration::from_millis(orders.l1_ttl_ms));
    for number in 0..NAMESPACES {
        builder = builder.namespace(Namespace::new(namespace(number)));
    }
    let cache = match &orders.redis {
        Some(url) => builder.redis(RedisOptions::url(url).unwrap()),
        None => builder.memory(),
    };
    let cache = cache.build().unwrap();
    let template = Template::parse(TEMPLATE).unwrap();
    for number in 0..NAMESPACES {
        assert!(cache.namespace(namespace(number)).declare(&template).unwrap());
    }
    cache
}

/// Becomes true when standard input ends.
fn stopped_with_input() -> Arc<AtomicBool> {
    let stopped = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&stopped);
    std::thread::spawn(move || {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        told.store(true, Ordering::Release);
    });
    stopped
}

fn say(count: u64) {
    let mut output = std::io::stdout().lock();
    // Whoever is no longer there to read it has closed the input, too.
    let _ = writeln!(output, "{PROGRESS}{count}").and_then(|()| output.flush());
}
