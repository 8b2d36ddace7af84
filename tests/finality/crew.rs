//! The worker processes of one run, each with its own way to Redis.

use std::path::{Path, PathBuf};
use std::time::Duration;

use cache_tests::clock::Deadline;
use cache_tests::{FaultProxy, Mode, RedisServer, Twin};

use crate::history::{Event, Record};
use crate::place::Place;
use crate::worker::{self, Orders, Skew};

const FAREWELL: Duration = Duration::from_secs(60);
/// A run that makes no progress for so long has failed.
const STALLED: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(5);

/// The workers, and the proxies between them and Redis.
#[derive(Debug)]
pub(crate) struct Crew {
    workers: Vec<Twin>,
    proxies: Vec<FaultProxy>,
    logs: Vec<PathBuf>,
}

/// How busy a process is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    /// So many operate at the same time.
    pub(crate) tasks: u64,
    /// What one of them rests between two operations, so that the faults have a history to fall
    /// into.
    pub(crate) pause: Duration,
}

/// What all workers of a crew are told.
#[derive(Debug, Clone)]
pub(crate) struct Common {
    pub(crate) place: Place,
    pub(crate) seed: u64,
    pub(crate) l1_ttl: Duration,
    pub(crate) pace: Pace,
    /// The clock of each worker in turn.
    pub(crate) clocks: [Skew; 3],
    /// Whether Redis can be reached from the beginning.
    pub(crate) connected: bool,
    pub(crate) globs: bool,
    pub(crate) ignore_generations: bool,
}

impl Crew {
    pub(crate) async fn start(folder: &Path, redis: &RedisServer, common: &Common) -> Self {
        let database = folder.join("truth.sqlite");
        worker::create_database(&database).expect("a new database");
        let (mut workers, mut proxies, mut logs) = (Vec::new(), Vec::new(), Vec::new());
        let clocks = common.clocks.into_iter().take(common.place.processes());
        for (node, skew) in clocks.enumerate() {
            let proxy = FaultProxy::start(redis.port()).await;
            if !common.connected {
                proxy.set(Mode::Refuse).await;
            }
            let log = folder.join(format!("worker-{node}.log"));
            let orders = Orders {
                node,
                redis: common.place.has_redis().then(|| redis.url_through(proxy.port())),
                l1: common.place.has_l1(),
                l1_ttl_ms: millis(common.l1_ttl),
                tasks: common.pace.tasks,
                pause_ms: millis(common.pace.pause),
                database: text(&database),
                log: text(&log),
                seed: common.seed,
                skew,
                http: common.place == Place::Http,
                globs: common.globs,
                ignore_generations: common.ignore_generations,
            };
            let orders = serde_json::to_string(&orders).expect("plain data");
            workers.push(Twin::start(worker::ENTRY, &[(worker::VARIABLE, &orders)]));
            proxies.push(proxy);
            logs.push(log);
        }
        Self { workers, proxies, logs }
    }

    pub(crate) fn workers(&self) -> &[Twin] {
        &self.workers
    }

    pub(crate) fn proxies(&self) -> &[FaultProxy] {
        &self.proxies
    }

    /// How many operations there have been.
    pub(crate) fn operations(&self) -> u64 {
        self.workers.iter().map(Twin::progress).sum()
    }

    /// Waits until there have been so many more operations.
    pub(crate) async fn operate(&self, operations: u64) {
        let goal = self.operations() + operations;
        let (mut seen, mut patience) = (self.operations(), Deadline::after(STALLED));
        while seen < goal {
            tokio::time::sleep(POLL).await;
            let now = self.operations();
            if now > seen {
                (seen, patience) = (now, Deadline::after(STALLED));
            }
            let stopped = self.workers.iter().position(|worker| !worker.runs());
            if stopped.is_some() || patience.passed() {
                return; // `finish` says why
            }
        }
    }

    /// Ends the workers, and reads what they wrote.
    pub(crate) fn finish(self) -> Vec<Record> {
        let mut records = Vec::new();
        for (node, (worker, log)) in self.workers.into_iter().zip(self.logs).enumerate() {
            worker.finish(FAREWELL);
            let lines = std::fs::read_to_string(&log).expect("the worker's log");
            let event = |line: &str| line.parse::<Event>().expect("a whole line");
            records.extend(lines.lines().map(|line| Record { node, event: event(line) }));
        }
        records
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).expect("a short time")
}

fn text(path: &Path) -> String {
    path.to_str().expect("a temporary folder with a plain name").to_owned()
}
