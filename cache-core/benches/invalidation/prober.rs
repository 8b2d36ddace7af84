//! Another client: `GET` after `GET`, each timed.
//!
//! On a machine that does other things too, the longest ones are those in which the kernel let
//! Redis or this client wait for a core. It counts that; what is left without it is Redis' own.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use cache_core::Stopwatch;
use redis::{Commands, Connection};

const KEYS: usize = 1_000;

/// Runs until it is stopped.
pub(crate) struct Prober {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Vec<(Duration, Duration)>>,
}

/// How long its `GET`s took.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stalls {
    pub(crate) median: Duration,
    pub(crate) p999: Duration,
    pub(crate) worst: Duration,
    /// The worst without the time in which Redis, or this client, waited for a core: the longer of
    /// both waits is left out.
    pub(crate) worst_running: Duration,
}

impl Prober {
    /// Its keys are its own: nobody invalidates them.
    pub(crate) fn start(mut redis: Connection, server: u32) -> Self {
        let key = |n: usize| format!("elsewhere:{}", n % KEYS);
        for n in 0..KEYS {
            redis.set::<_, _, ()>(key(n), vec![b'x'; 1024]).expect("it is written");
        }
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut times = Vec::new();
            let mut own = Waits::of("/proc/thread-self/schedstat");
            let mut servers = Waits::of(&format!("/proc/{server}/task/{server}/schedstat"));
            while !stopped.load(Ordering::Relaxed) {
                let key = key(times.len());
                let asked = Stopwatch::start();
                let value: Vec<u8> = redis.get(key).expect("an answer");
                let took = asked.elapsed();
                let waited = own.since_last().max(servers.since_last());
                times.push((took, took.saturating_sub(waited)));
                assert_eq!(value.len(), 1024);
            }
            times
        });
        Self { stop, thread }
    }

    pub(crate) fn stop(self) -> Stalls {
        self.stop.store(true, Ordering::Relaxed);
        let times = self.thread.join().expect("no panic");
        let worst_running = times.iter().map(|(_, running)| *running).max().unwrap_or_default();
        let mut times: Vec<Duration> = times.into_iter().map(|(took, _)| took).collect();
        times.sort_unstable();
        let at = |share: f64| {
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a place")]
            let place = (times.len() as f64 * share) as usize;
            times.get(place.min(times.len().saturating_sub(1))).copied().unwrap_or_default()
        };
        Stalls { median: at(0.5), p999: at(0.999), worst: at(1.0), worst_running }
    }
}

/// How long a thread has waited for a core, as Linux counts it; nothing elsewhere.
struct Waits {
    file: Option<File>,
    last: Duration,
}

impl Waits {
    fn of(path: &str) -> Self {
        let mut waits = Self { file: File::open(path).ok(), last: Duration::ZERO };
        waits.since_last();
        waits
    }

    fn since_last(&mut self) -> Duration {
        let now = self.read().unwrap_or(self.last);
        let since = now.saturating_sub(self.last);
        self.last = now;
        since
    }

    /// The second number of the file.
    fn read(&mut self) -> Option<Duration> {
        let file = self.file.as_mut()?;
        file.seek(SeekFrom::Start(0)).ok()?;
        let mut text = [0; 128];
        let length = file.read(&mut text).ok()?;
        let text = std::str::from_utf8(text.get(..length)?).ok()?;
        Some(Duration::from_nanos(text.split_whitespace().nth(1)?.parse().ok()?))
    }
}
