//! Hands over what was counted.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use metrics::{Label, SharedString};

use super::label_value;
use super::names;
use super::workspaces::ByWorkspace;
use crate::cache::Cache;
use crate::gauges::MemoryGauges;
use crate::happenings::BreakerState;
use crate::state::Inner;
use crate::stats::{NamespaceStats, Stats};

/// Hands a cache's figures to the recorder of this process. See [the module](crate::metrics).
///
/// Counters are set to what the cache has counted, so it does not matter how often that is done, or
/// by how many exporters of one cache. Keeps no cache alive; cheap to clone.
#[derive(Debug, Clone)]
pub struct Exporter {
    cache: Weak<Inner>,
    labels: Vec<Label>,
    workspaces: Arc<Mutex<ByWorkspace>>,
}

impl Exporter {
    /// Of this cache.
    pub fn new(cache: &Cache) -> Self {
        let cache = Arc::downgrade(&cache.inner);
        Self { cache, labels: Vec::new(), workspaces: Arc::default() }
    }

    /// A label on all that this exporter hands over: what tells several caches of one process apart.
    ///
    /// ```
    /// # use cache_core::Cache;
    /// # use cache_core::metrics::Exporter;
    /// let sessions = Cache::builder().prefix("sessions").build()?;
    /// let exporter = Exporter::new(&sessions).label("prefix", "sessions");
    /// # Ok::<(), cache_core::Error>(())
    /// ```
    #[must_use]
    pub fn label(mut self, name: impl Into<SharedString>, value: impl Into<SharedString>) -> Self {
        self.labels.push(Label::new(name, value));
        self
    }

    /// Reads by workspace: of so many workspaces, those that are read most when they are first
    /// handed over. All others are together under `workspace="*"`. Default: none, since a label with
    /// thousands of values is what most collectors bear worst.
    #[must_use]
    pub fn workspaces(mut self, most: usize) -> Self {
        self.workspaces = Arc::new(Mutex::new(ByWorkspace::new(most)));
        self
    }

    /// Hands over what was counted until now. Takes some microseconds for each namespace; false if
    /// the cache is no more.
    #[allow(clippy::must_use_candidate, reason = "done for what it does")]
    pub fn publish(&self) -> bool {
        let Some(inner) = self.cache.upgrade() else { return false };
        let cache = Cache { inner };
        names::describe();
        self.publish_stats(&cache);
        self.publish_gauges(&cache);
        true
    }

    /// Hands over every so often, until the cache is no more: to be spawned.
    pub async fn run(self, every: Duration) {
        let mut ticks = tokio::time::interval(every.max(LEAST));
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if !self.publish() {
                return;
            }
        }
    }

    fn publish_stats(&self, cache: &Cache) {
        let stats = cache.stats();
        for (namespace, figures) in &stats.namespaces {
            self.publish_namespace(namespace, figures, cache.inner.store.is_some());
        }
        for (outcome, count) in [
            ("complete", stats.invalidations.complete),
            ("queued", stats.invalidations.queued),
            ("failed", stats.invalidations.failed),
        ] {
            self.counter(names::INVALIDATIONS, [label("outcome", outcome)], count);
        }
        self.publish_workspaces(&stats);
    }

    fn publish_namespace(&self, namespace: &str, figures: &NamespaceStats, has_store: bool) {
        let of = || Label::new("cache", label_value(namespace));
        let reads = |layer, result, count| {
            let labels = [of(), label("layer", layer), label("result", result)];
            self.counter(names::REQUESTS, labels, count);
        };
        reads("l1", "hit", figures.l1_hits);
        reads("l2", "hit", figures.hits - figures.l1_hits);
        reads(if has_store { "l2" } else { "l1" }, "miss", figures.misses);
        for (name, count, failures) in [
            (names::COMPUTES, figures.computes, figures.compute_failures),
            (names::REFRESHES, figures.refreshes, figures.refresh_failures),
        ] {
            // Counted one after the other, while others count.
            let successes = count.saturating_sub(failures);
            self.counter(name, [of(), label("result", "success")], successes);
            self.counter(name, [of(), label("result", "failure")], failures);
        }
        for (name, count) in [
            (names::STALE, figures.stale),
            // Counters of the facade are whole numbers.
            (names::SAVED, figures.saved_us / 1_000_000),
            (names::SETS, figures.sets),
            (names::DELETES, figures.deletes),
            (names::ERRORS, figures.errors),
            (names::UNREADABLE, figures.unreadable),
            (names::READ_BYTES, figures.bytes_read),
            (names::WRITTEN_BYTES, figures.bytes_written),
            (names::COMPRESSED, figures.compressed),
            (names::UNCOMPRESSED_BYTES, figures.uncompressed_bytes),
            (names::COMPRESSED_BYTES, figures.compressed_bytes),
        ] {
            self.counter(name, [of()], count);
        }
    }

    fn publish_workspaces(&self, stats: &Stats) {
        let mut workspaces = self.workspaces.lock().unwrap_or_else(PoisonError::into_inner);
        for (name, reads) in workspaces.update(stats) {
            for (result, count) in [("hit", reads.hits), ("miss", reads.misses)] {
                let labels = [Label::new("workspace", name.clone()), label("result", result)];
                self.counter(names::WORKSPACE_REQUESTS, labels, count);
            }
        }
    }

    fn publish_gauges(&self, cache: &Cache) {
        let gauges = cache.gauges();
        self.publish_memory("*".to_owned(), &gauges.memory);
        for (namespace, memory) in &gauges.own_memory {
            self.publish_memory(label_value(namespace), memory);
        }
        if let Some(state) = gauges.breaker {
            let number = match state {
                BreakerState::Closed => 0,
                BreakerState::Open => 1,
                BreakerState::HalfOpen => 2,
            };
            self.gauge(names::BREAKER, [], number);
        }
        if let Some(pool) = gauges.pool {
            self.gauge(names::CONNECTIONS, [], pool.connections.into());
            self.gauge(names::IDLE, [], pool.idle.into());
            self.gauge(names::MAX_CONNECTIONS, [], pool.max.into());
            self.gauge(names::WAITING, [], pool.waiting.into());
            self.gauge(names::OPERATIONS, [], pool.operations.into());
            self.gauge(names::MAX_OPERATIONS, [], pool.max_operations.into());
        }
        self.gauge(names::TASKS, [], gauges.background_tasks);
        self.gauge(names::QUEUED, [], gauges.queued_invalidations);
    }

    fn publish_memory(&self, cache: String, memory: &MemoryGauges) {
        let of = Label::new("cache", cache);
        self.gauge(names::ENTRIES, [of.clone()], memory.entries);
        self.gauge(names::SIZE, [of.clone()], memory.bytes);
        self.gauge(names::CAPACITY, [of.clone()], memory.capacity_bytes);
        self.counter(names::EVICTIONS, [of], memory.evictions);
    }

    fn counter<const N: usize>(&self, name: &'static str, labels: [Label; N], count: u64) {
        metrics::counter!(name, self.labelled(labels)).absolute(count);
    }

    #[allow(clippy::cast_precision_loss, reason = "gauges are floats, and 2^53 is far away")]
    fn gauge<const N: usize>(&self, name: &'static str, labels: [Label; N], value: u64) {
        metrics::gauge!(name, self.labelled(labels)).set(value as f64);
    }

    fn labelled<const N: usize>(&self, labels: [Label; N]) -> Vec<Label> {
        labels.into_iter().chain(self.labels.iter().cloned()).collect()
    }
}

/// Whoever wants it all the time wants it ten times a second.
const LEAST: Duration = Duration::from_millis(100);

fn label(name: &'static str, value: &'static str) -> Label {
    Label::from_static_parts(name, value)
}
