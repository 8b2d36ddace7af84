//! Counters per namespace and per workspace, and snapshots of them.
//!
//! ```
//! use cache_core::{Cache, Key};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! let cache = Cache::builder().build()?;
//! let key = Key::workspace("ws1").segment("42");
//! let _: Option<String> = cache.get("reports", &key).await?;
//! cache.set("reports", &key, "text").await?;
//! let _: Option<String> = cache.get("reports", &key).await?;
//!
//! let stats = cache.stats();
//! let reports = &stats.namespaces["reports"];
//! assert_eq!((reports.hits, reports.misses, reports.hit_ratio()), (1, 1, Some(0.5)));
//! assert_eq!(stats.workspaces["ws1"].hits, 1);
//! # Ok::<(), cache_core::Error>(()) }).unwrap();
//! ```

mod computed;
mod counters;
mod histogram;
mod operations;
mod warn;
mod workspaces;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub(crate) use self::counters::{Counter, Counters};
pub use self::histogram::Histogram;
pub(crate) use self::histogram::micros;
pub use self::operations::OperationStats;
pub(crate) use self::operations::{Operations, StoreOperation};
pub(crate) use self::warn::{HitRatio, HitRatioWarning};
pub use self::workspaces::MAX_COUNTED_WORKSPACES;
pub(crate) use self::workspaces::Workspaces;

/// What happened in one namespace, or with the keys of one workspace, in this process, since it
/// started.
///
/// `hits + misses` is the number of reads; `l1_hits` of the hits came from this process' memory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct NamespaceStats {
    /// Reads that were answered.
    pub hits: u64,
    /// Hits that did not ask the store.
    pub l1_hits: u64,
    /// Reads that were not answered.
    pub misses: u64,
    /// Of the misses, those that were answered with a value within its grace.
    pub stale: u64,
    /// How often a function computed a value.
    pub computes: u64,
    /// How often it failed.
    pub compute_failures: u64,
    /// How long it took, over all, in microseconds.
    pub compute_us: u64,
    /// How often it took how long.
    pub compute_times: Histogram,
    /// How long computing would have taken, over all, had there been no cache, in microseconds.
    ///
    /// Each hit counts as much as a computation of this namespace (or workspace) that succeeded had
    /// taken on average until then, in this process; hits before the first count nothing. Not among
    /// it is what is saved where several wait for one computation.
    pub saved_us: u64,
    /// How many hits have saved how much.
    pub saved_times: Histogram,
    /// How often a value was computed anew [to be kept warm](crate::Values::refresh); these are
    /// among the computations, but are no reads.
    pub refreshes: u64,
    /// How often that failed, panicked, or took too long.
    pub refresh_failures: u64,
    /// Values written, by `set` and by fills.
    pub sets: u64,
    /// Keys deleted, one by one or by pattern. (By pattern: of the namespace only.)
    pub deletes: u64,
    /// Store operations that failed (or, in the background, found no place), stored bytes that were
    /// damaged, and values, in the store or in memory, that were of another type than was asked
    /// for. (One that says that there is nothing does not count, whatever is asked for.) What is
    /// damaged, or of another type, was a miss.
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
    /// Bytes that were found in the store under keys that were asked for, as they are stored.
    pub bytes_read: u64,
    /// Bytes of entries that the store has been given, as they are stored.
    pub bytes_written: u64,
}

/// A snapshot of the counters of all namespaces and workspaces.
///
/// What is counted of a namespace is also counted of the workspace that the key names
/// ([`Key::workspace`](crate::Key::workspace), or the first segment in a namespace
/// [`by_workspace`](crate::Namespace::by_workspace)). A function that was called for keys of several
/// workspaces is a computation of each of these, and one of the namespace.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Stats {
    /// By namespace.
    pub namespaces: BTreeMap<String, NamespaceStats>,
    /// By workspace, over all namespaces: [`MAX_COUNTED_WORKSPACES`] at most.
    pub workspaces: BTreeMap<String, NamespaceStats>,
    /// Of all other workspaces.
    pub other_workspaces: NamespaceStats,
    /// Of the whole cache.
    pub invalidations: InvalidationStats,
    /// How long operations took.
    pub operations: OperationStats,
    /// Entries that went from this process' memory to make room for others.
    pub evictions: u64,
}

/// Invalidations (and deletions of single keys) by their outcome. Those whose caller left before
/// the store had answered are among the queued.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct InvalidationStats {
    /// Done everywhere when they ended.
    pub complete: u64,
    /// Done in this process when they ended, elsewhere later.
    pub queued: u64,
    /// Refused by the store.
    pub failed: u64,
}

impl NamespaceStats {
    /// The share of reads that were answered; `None`: there were no reads.
    #[allow(clippy::cast_precision_loss, reason = "a share is no count")]
    pub fn hit_ratio(&self) -> Option<f64> {
        let reads = self.hits.saturating_add(self.misses);
        (reads > 0).then(|| self.hits as f64 / reads as f64)
    }

    /// Adds what another one, of another namespace or instance, has counted.
    pub fn merge(&mut self, other: &Self) {
        // It may have come from anywhere.
        let add = |sum: &mut u64, more: u64| *sum = sum.saturating_add(more);
        add(&mut self.hits, other.hits);
        add(&mut self.l1_hits, other.l1_hits);
        add(&mut self.misses, other.misses);
        add(&mut self.stale, other.stale);
        add(&mut self.computes, other.computes);
        add(&mut self.compute_failures, other.compute_failures);
        add(&mut self.compute_us, other.compute_us);
        self.compute_times.merge(&other.compute_times);
        add(&mut self.saved_us, other.saved_us);
        self.saved_times.merge(&other.saved_times);
        add(&mut self.refreshes, other.refreshes);
        add(&mut self.refresh_failures, other.refresh_failures);
        add(&mut self.sets, other.sets);
        add(&mut self.deletes, other.deletes);
        add(&mut self.errors, other.errors);
        add(&mut self.unreadable, other.unreadable);
        add(&mut self.compressed, other.compressed);
        add(&mut self.uncompressed_bytes, other.uncompressed_bytes);
        add(&mut self.compressed_bytes, other.compressed_bytes);
        add(&mut self.bytes_read, other.bytes_read);
        add(&mut self.bytes_written, other.bytes_written);
    }
}

impl Stats {
    /// The sums over all namespaces.
    pub fn total(&self) -> NamespaceStats {
        let mut total = NamespaceStats::default();
        self.namespaces.values().for_each(|one| total.merge(one));
        total
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
