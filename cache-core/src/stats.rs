//! Counters per namespace, and snapshots of them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::middleware::Read;

/// What happened in one namespace, in this process, since it started.
///
/// `hits + misses` is the number of reads; `l1_hits` of the hits came from this process' memory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NamespaceStats {
    /// Reads that were answered.
    pub hits: u64,
    /// Hits that did not ask the store.
    pub l1_hits: u64,
    /// Reads that were not answered.
    pub misses: u64,
    /// Of the misses, those that were answered with a value within its grace.
    #[serde(default)]
    pub stale: u64,
    /// How often a function computed a value.
    #[serde(default)]
    pub computes: u64,
    /// How often it failed.
    #[serde(default)]
    pub compute_failures: u64,
    /// How long it took, over all, in microseconds.
    #[serde(default)]
    pub compute_us: u64,
    /// Values written, by `set` and by fills.
    pub sets: u64,
    /// Keys deleted, one by one or by pattern.
    pub deletes: u64,
    /// Store operations that failed, and stored bytes that were damaged.
    pub errors: u64,
    /// Stored values, sound as they were, that could not be opened here: compressed in a way or
    /// encrypted with a key that this instance does not have, not authentic, not encrypted in a
    /// namespace that is, or larger than its limit. Each was a miss.
    pub unreadable: u64,
    /// Values that were compressed to be stored. (Those that it did not pay for are not.)
    pub compressed: u64,
    /// Bytes of those values before.
    pub uncompressed_bytes: u64,
    /// Bytes of those values after.
    pub compressed_bytes: u64,
}

/// A snapshot of the counters of all namespaces.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stats {
    /// By namespace.
    pub namespaces: BTreeMap<String, NamespaceStats>,
    /// Of the whole cache.
    pub invalidations: InvalidationStats,
}

/// Invalidations (and deletions of single keys) by their outcome. Those whose caller left before
/// the store had answered are among the queued.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvalidationStats {
    /// Done everywhere when they ended.
    pub complete: u64,
    /// Done in this process when they ended, elsewhere later.
    pub queued: u64,
    /// Refused by the store.
    pub failed: u64,
}

impl Stats {
    /// The sums over all namespaces.
    pub fn total(&self) -> NamespaceStats {
        self.namespaces.values().fold(NamespaceStats::default(), |sum, one| NamespaceStats {
            hits: sum.hits + one.hits,
            l1_hits: sum.l1_hits + one.l1_hits,
            misses: sum.misses + one.misses,
            stale: sum.stale + one.stale,
            computes: sum.computes + one.computes,
            compute_failures: sum.compute_failures + one.compute_failures,
            compute_us: sum.compute_us + one.compute_us,
            sets: sum.sets + one.sets,
            deletes: sum.deletes + one.deletes,
            errors: sum.errors + one.errors,
            unreadable: sum.unreadable + one.unreadable,
            compressed: sum.compressed + one.compressed,
            uncompressed_bytes: sum.uncompressed_bytes + one.uncompressed_bytes,
            compressed_bytes: sum.compressed_bytes + one.compressed_bytes,
        })
    }
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) l1_hits: Counter,
    pub(crate) store_hits: Counter,
    pub(crate) misses: Counter,
    pub(crate) stale: Counter,
    pub(crate) computes: Counter,
    pub(crate) compute_failures: Counter,
    pub(crate) compute_us: Counter,
    pub(crate) sets: Counter,
    pub(crate) deletes: Counter,
    pub(crate) errors: Counter,
    pub(crate) unreadable: Counter,
    compressed: Counter,
    uncompressed_bytes: Counter,
    compressed_bytes: Counter,
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
        self.compute_us.add(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
        if !succeeded {
            self.compute_failures.one();
        }
    }

    /// Counts a value that was compressed, with its length before and after.
    pub(crate) fn compressed(&self, before: usize, after: usize) {
        self.compressed.one();
        self.uncompressed_bytes.add(before as u64);
        self.compressed_bytes.add(after as u64);
    }

    pub(crate) fn snapshot(&self) -> NamespaceStats {
        let l1_hits = self.l1_hits.get();
        NamespaceStats {
            hits: l1_hits + self.store_hits.get(),
            l1_hits,
            misses: self.misses.get(),
            stale: self.stale.get(),
            computes: self.computes.get(),
            compute_failures: self.compute_failures.get(),
            compute_us: self.compute_us.get(),
            sets: self.sets.get(),
            deletes: self.deletes.get(),
            errors: self.errors.get(),
            unreadable: self.unreadable.get(),
            compressed: self.compressed.get(),
            uncompressed_bytes: self.uncompressed_bytes.get(),
            compressed_bytes: self.compressed_bytes.get(),
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct InvalidationCounters {
    pub(crate) complete: Counter,
    pub(crate) queued: Counter,
    pub(crate) failed: Counter,
}

impl InvalidationCounters {
    pub(crate) fn snapshot(&self) -> InvalidationStats {
        let (complete, queued, failed) = (&self.complete, &self.queued, &self.failed);
        InvalidationStats { complete: complete.get(), queued: queued.get(), failed: failed.get() }
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

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
