//! How long operations take: those on the store, and invalidations. Always counted; a read that is
//! answered from this process' memory is none, and reads no clock for it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::counters::Counter;
use super::histogram::{Histogram, HistogramCounters, micros};

/// How often operations took how long, in this process, since it started.
///
/// ```
/// use cache_core::{Cache, Tag};
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let cache = Cache::builder().build()?;
/// cache.invalidate(Tag::new("user:123")).await?;
/// let operations = cache.stats().operations;
/// assert_eq!(operations.invalidate.count(), 1);
/// assert_eq!(operations.read.count(), 0, "there is no store");
/// # Ok::<(), cache_core::Error>(()) }).unwrap();
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct OperationStats {
    /// Lookups in the store: each is one round trip, for one key or several.
    pub read: Histogram,
    /// How long they took, over all, in microseconds.
    pub read_us: u64,
    /// Of these, how many failed.
    pub read_failures: u64,
    /// Writes of values to the store, by `set`, `touch` and fills: each is one round trip.
    pub write: Histogram,
    /// How long they took, over all, in microseconds.
    pub write_us: u64,
    /// Of these, how many failed.
    pub write_failures: u64,
    /// Invalidations and deletions, with the sweeps that they took; also those that are for this
    /// process' memory alone.
    pub invalidate: Histogram,
    /// How long they took, over all, in microseconds.
    pub invalidate_us: u64,
    /// Of these, how many were refused.
    pub invalidate_failures: u64,
}

/// What takes its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StoreOperation {
    Read,
    Write,
    Invalidate,
}

#[derive(Debug, Default)]
pub(crate) struct Operations {
    read: Timed,
    write: Timed,
    invalidate: Timed,
}

#[derive(Debug, Default)]
struct Timed {
    times: HistogramCounters,
    us: Counter,
    failures: Counter,
}

impl Operations {
    /// Counts one that has ended; one that is dropped is not counted.
    pub(crate) fn ended(&self, operation: StoreOperation, took: Duration, succeeded: bool) {
        let timed = match operation {
            StoreOperation::Read => &self.read,
            StoreOperation::Write => &self.write,
            StoreOperation::Invalidate => &self.invalidate,
        };
        timed.times.one(took);
        timed.us.add(micros(took));
        if !succeeded {
            timed.failures.one();
        }
        #[cfg(feature = "metrics")]
        crate::metrics::operation(operation, took, succeeded);
    }

    pub(crate) fn snapshot(&self) -> OperationStats {
        let Self { read, write, invalidate } = self;
        OperationStats {
            read: read.times.snapshot(),
            read_us: read.us.get(),
            read_failures: read.failures.get(),
            write: write.times.snapshot(),
            write_us: write.us.get(),
            write_failures: write.failures.get(),
            invalidate: invalidate.times.snapshot(),
            invalidate_us: invalidate.us.get(),
            invalidate_failures: invalidate.failures.get(),
        }
    }
}
