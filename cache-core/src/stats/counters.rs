//! What is counted, of a namespace or of a workspace.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::NamespaceStats;
use super::histogram::{Histogram, HistogramCounters, micros};
use crate::middleware::Read;

#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) l1_hits: Counter,
    pub(crate) store_hits: Counter,
    pub(crate) misses: Counter,
    pub(crate) stale: Counter,
    computes: Counter,
    compute_failures: Counter,
    compute_us: Counter,
    compute_times: HistogramCounters,
    saved: Saved,
    pub(crate) refreshes: Counter,
    pub(crate) refresh_failures: Counter,
    pub(crate) sets: Counter,
    pub(crate) deletes: Counter,
    pub(crate) errors: Counter,
    pub(crate) unreadable: Counter,
    compressed: Counter,
    uncompressed_bytes: Counter,
    compressed_bytes: Counter,
    pub(crate) bytes_read: Counter,
    pub(crate) bytes_written: Counter,
}

impl Counters {
    /// Counts a read.
    pub(crate) fn count(&self, read: Read) {
        match read {
            Read::L1Hit => self.l1_hits.one(),
            Read::StoreHit => self.store_hits.one(),
            Read::Miss => self.misses.one(),
        }
    }

    /// Counts a computation.
    pub(crate) fn computed(&self, took: Duration, succeeded: bool) {
        self.computes.one();
        self.compute_us.add(micros(took));
        self.compute_times.one(took);
        if succeeded {
            self.saved.learn(took, || self.hits());
        } else {
            self.compute_failures.one();
        }
    }

    /// Counts a value that was compressed, with its length before and after.
    pub(crate) fn compressed(&self, before: usize, after: usize) {
        self.compressed.one();
        self.uncompressed_bytes.add(before as u64);
        self.compressed_bytes.add(after as u64);
    }

    fn hits(&self) -> u64 {
        self.l1_hits.get() + self.store_hits.get()
    }

    /// How often it was read, and how often of those it answered.
    pub(super) fn reads_and_hits(&self) -> (u64, u64) {
        let hits = self.hits();
        (hits + self.misses.get(), hits)
    }

    pub(crate) fn snapshot(&self) -> NamespaceStats {
        let (saved_us, saved_times) = self.saved.snapshot(|| self.hits());
        let l1_hits = self.l1_hits.get();
        NamespaceStats {
            hits: l1_hits + self.store_hits.get(),
            l1_hits,
            misses: self.misses.get(),
            stale: self.stale.get(),
            computes: self.computes.get(),
            compute_failures: self.compute_failures.get(),
            compute_us: self.compute_us.get(),
            compute_times: self.compute_times.snapshot(),
            saved_us,
            saved_times,
            refreshes: self.refreshes.get(),
            refresh_failures: self.refresh_failures.get(),
            sets: self.sets.get(),
            deletes: self.deletes.get(),
            errors: self.errors.get(),
            unreadable: self.unreadable.get(),
            compressed: self.compressed.get(),
            uncompressed_bytes: self.uncompressed_bytes.get(),
            compressed_bytes: self.compressed_bytes.get(),
            bytes_read: self.bytes_read.get(),
            bytes_written: self.bytes_written.get(),
        }
    }

    /// Takes over what others have counted that are to be forgotten.
    pub(super) fn take_over(&self, others: &Self) {
        let other = others.snapshot();
        // What they have saved is valued at what their computations took, not at what these did.
        self.saved.take_over(
            &others.saved,
            other.hits,
            || self.hits(),
            || {
                self.l1_hits.add(other.l1_hits);
                self.store_hits.add(other.hits - other.l1_hits);
            },
        );
        self.misses.add(other.misses);
        self.stale.add(other.stale);
        self.computes.add(other.computes);
        self.compute_failures.add(other.compute_failures);
        self.compute_us.add(other.compute_us);
        self.compute_times.merge(&other.compute_times);
        self.refreshes.add(other.refreshes);
        self.refresh_failures.add(other.refresh_failures);
        self.sets.add(other.sets);
        self.deletes.add(other.deletes);
        self.errors.add(other.errors);
        self.unreadable.add(other.unreadable);
        self.compressed.add(other.compressed);
        self.uncompressed_bytes.add(other.uncompressed_bytes);
        self.compressed_bytes.add(other.compressed_bytes);
        self.bytes_read.add(other.bytes_read);
        self.bytes_written.add(other.bytes_written);
    }
}

/// What hits have saved: each as long as a computation took on average when it was made. Reckoned
/// when that average changes, and when somebody asks, so that a hit costs nothing more.
#[derive(Debug, Default)]
struct Saved(Mutex<Reckoned>);

#[derive(Debug, Default)]
struct Reckoned {
    /// Successful ones.
    computes: u64,
    computes_us: u64,
    /// So many hits are reckoned.
    hits: u64,
    saved_us: u64,
    saved_times: Histogram,
}

impl Saved {
    fn learn(&self, took: Duration, hits: impl FnOnce() -> u64) {
        let mut reckoned = self.lock();
        reckoned.reckon(hits());
        reckoned.computes += 1;
        reckoned.computes_us = reckoned.computes_us.saturating_add(micros(took));
    }

    fn snapshot(&self, hits: impl FnOnce() -> u64) -> (u64, Histogram) {
        let mut reckoned = self.lock();
        reckoned.reckon(hits());
        (reckoned.saved_us, reckoned.saved_times)
    }

    /// `count` counts the others' hits here.
    fn take_over(
        &self,
        others: &Self,
        their_hits: u64,
        hits: impl FnOnce() -> u64,
        count: impl FnOnce(),
    ) {
        let theirs = others.lock();
        let mut reckoned = self.lock();
        reckoned.reckon(hits());
        count();
        reckoned.hits += their_hits;
        reckoned.computes += theirs.computes;
        reckoned.computes_us = reckoned.computes_us.saturating_add(theirs.computes_us);
        reckoned.saved_us = reckoned.saved_us.saturating_add(theirs.saved_us);
        reckoned.saved_times.merge(&theirs.saved_times);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Reckoned> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reckoned {
    fn reckon(&mut self, hits: u64) {
        let new = hits.saturating_sub(self.hits);
        self.hits += new;
        if let Some(mean_us) = self.computes_us.checked_div(self.computes) {
            self.saved_us = self.saved_us.saturating_add(mean_us.saturating_mul(new));
            self.saved_times.add(Duration::from_micros(mean_us), new);
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    pub(crate) fn one(&self) {
        self.add(1);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hits(counters: &Counters, count: u64) {
        (0..count).for_each(|_| counters.count(Read::L1Hit));
    }

    #[test]
    fn a_hit_saves_what_a_computation_took_on_average_until_then() {
        let counters = Counters::default();
        hits(&counters, 5);
        assert_eq!(counters.snapshot().saved_us, 0, "nobody knows what it would have cost");
        counters.computed(Duration::from_millis(10), true);
        hits(&counters, 3);
        counters.computed(Duration::from_secs(50), false);
        counters.computed(Duration::from_millis(30), true);
        hits(&counters, 2);
        let saved = counters.snapshot();
        assert_eq!(saved.saved_us, 3 * 10_000 + 2 * 20_000);
        assert_eq!(saved.saved_times.count(), 5);
        assert_eq!(counters.snapshot(), saved, "to ask changes nothing");
    }

    #[test]
    fn what_is_taken_over_is_counted_once() {
        let (counters, others) = (Counters::default(), Counters::default());
        for counters in [&counters, &others] {
            counters.computed(Duration::from_millis(10), true);
            hits(counters, 3);
            counters.count(Read::Miss);
        }
        others.computed(Duration::from_millis(20), true);
        counters.take_over(&others);
        let taken = counters.snapshot();
        assert_eq!((taken.hits, taken.misses, taken.computes), (6, 2, 3));
        assert_eq!((taken.saved_us, taken.saved_times.count()), (60_000, 6));
        hits(&counters, 1);
        assert_eq!(counters.snapshot().saved_us, 60_000 + 40_000 / 3);
    }
}
