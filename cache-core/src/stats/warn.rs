//! A word to the log when a namespace hardly ever answers.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::counters::Counters;
use crate::clock::{Clock, Millis, as_millis};

/// When a namespace is said to be of little use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HitRatioWarning {
    /// So many of a hundred reads should be hits.
    pub(crate) percent: u8,
    /// So many reads tell something.
    pub(crate) reads: u64,
}

/// Looks at one namespace, whenever it has missed.
#[derive(Debug)]
pub(crate) struct HitRatio {
    limit: HitRatioWarning,
    clock: Clock,
    /// The number of reads from which on the stretch that is looked at may have its end.
    look_at: AtomicU64,
    stretch: Mutex<Stretch>,
}

/// Reads one after the other.
#[derive(Debug)]
struct Stretch {
    since: Millis,
    reads: u64,
    hits: u64,
    warned_at: Option<Millis>,
}

/// A ratio has stayed low when it was, over so much time at least.
const STRETCH: Duration = Duration::from_secs(60);
/// One line for each namespace in this time.
const WARN_EVERY: Duration = Duration::from_secs(5 * 60);

impl HitRatio {
    pub(crate) fn new(limit: HitRatioWarning, clock: Clock) -> Self {
        let stretch = Stretch { since: clock.now(), reads: 0, hits: 0, warned_at: None };
        let look_at = AtomicU64::new(limit.reads.max(1));
        Self { limit, clock, look_at, stretch: Mutex::new(stretch) }
    }

    /// A read of the namespace was a miss, and is counted.
    pub(crate) fn missed(&self, namespace: &str, counters: &Counters) {
        let (reads, hits) = counters.reads_and_hits();
        if reads < self.look_at.load(Ordering::Relaxed) {
            return;
        }
        let now = self.clock.now();
        let mut stretch = self.stretch.lock().unwrap_or_else(PoisonError::into_inner);
        let of = reads.saturating_sub(stretch.reads);
        if of < self.limit.reads || now.saturating_sub(stretch.since) < as_millis(STRETCH) {
            return;
        }
        // What is counted meanwhile may be a hit more than there were reads.
        let hit_percent = hits.saturating_sub(stretch.hits).min(of) * 100 / of.max(1);
        let recently = |at: Millis| now.saturating_sub(at) < as_millis(WARN_EVERY);
        let low = hit_percent < u64::from(self.limit.percent);
        let warns = low && !stretch.warned_at.is_some_and(recently);
        let warned_at = if warns { Some(now) } else { stretch.warned_at };
        *stretch = Stretch { since: now, reads, hits, warned_at };
        self.look_at.store(reads.saturating_add(self.limit.reads), Ordering::Relaxed);
        drop(stretch);
        if warns {
            tracing::warn!(
                target: "cache_core",
                namespace,
                hit_percent,
                reads = of,
                expected_percent = self.limit.percent,
                "hardly any read is a hit"
            );
        }
    }
}
