//! What a cache counts, for the [`metrics`](https://docs.rs/metrics) facade, and by it for
//! Prometheus and the like. (Feature `metrics`.)
//!
//! A cache counts for itself, exactly, and a hit in memory pays for nothing else: an [`Exporter`]
//! hands the figures over when they are collected. What takes its time anyway, asking the store and
//! computing, is recorded in histograms as it ends.
//!
//! ```
//! use cache_core::metrics::Exporter;
//! use cache_core::{Cache, seconds};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! let cache = Cache::builder().from_env()?.build()?;
//! let exporter = Exporter::new(&cache);
//!
//! // Where metrics are collected, just before they are: `/metrics` of Prometheus, say.
//! exporter.publish();
//!
//! // Or every few seconds, until the cache is no more.
//! tokio::spawn(exporter.run(seconds(5)));
//! # Ok::<(), cache_core::Error>(()) }).unwrap();
//! ```
//!
//! | metric | labels | |
//! |---|---|---|
//! | `cache_requests_total` | `cache`, `layer`, `result` | reads; of a namespace, `hit`s in `l1` (memory) and `l2` (the store), and `miss`es of the last that was there to be asked: their sum is the number of reads |
//! | `cache_stale_total` | `cache` | of the misses, those answered with a stale value |
//! | `cache_computes_total` | `cache`, `result` | computations: `success`, `failure` |
//! | `cache_compute_seconds` | `cache`, `result` | histogram of how long they took |
//! | `cache_refreshes_total` | `cache`, `result` | of these, those that keep values warm |
//! | `cache_saved_seconds_total` | `cache` | what computing would have taken without the cache, in whole seconds |
//! | `cache_sets_total`, `cache_deletes_total` | `cache` | values written; keys deleted |
//! | `cache_errors_total`, `cache_unreadable_total` | `cache` | store operations that failed, damaged bytes, values of another type; what could not be opened here |
//! | `cache_read_bytes_total`, `cache_written_bytes_total` | `cache` | bytes from and to the store |
//! | `cache_compressed_total`, `cache_uncompressed_bytes_total`, `cache_compressed_bytes_total` | `cache` | values compressed, and their bytes before and after |
//! | `cache_invalidations_total` | `outcome` | `complete`, `queued`, `failed` |
//! | `cache_operation_duration_seconds` | `operation`, `result` | histogram: `read` and `write` of the store, `invalidate` |
//! | `cache_entries`, `cache_size_bytes`, `cache_capacity_bytes`, `cache_evictions_total` | `cache` | memory: of namespaces with memory of their own, and of all others (`cache="*"`) |
//! | `cache_breaker_state` | | 0: closed; 1: open, the store is away; 2: half-open, a probe asks for it |
//! | `cache_pool_connections`, `cache_pool_idle_connections`, `cache_pool_max_connections`, `cache_pool_waiting` | | connections to the store, and who waits for one |
//! | `cache_pool_operations`, `cache_pool_max_operations` | | operations that the store has been asked for and has not answered yet, and how many there may be |
//! | `cache_background_tasks`, `cache_queued_invalidations` | | |
//! | `cache_workspace_requests_total` | `workspace`, `result` | reads, if [switched on](Exporter::workspaces) |
//!
//! Values of labels are few: namespaces (1,024 at most), and workspaces only where they are switched
//! on, with a limit. Never keys. They are escaped as in keys (`:` is `%3A`), so that `*` is none of
//! them.
//!
//! An exporter that draws histograms has to be told their bounds: [`BUCKETS_SECONDS`] are those that
//! fit. A process that runs several caches tells them apart by
//! [labels of the exporters](Exporter::label); the histograms are of all of them.

mod exporter;
mod names;
mod workspaces;

use std::time::Duration;

pub use self::exporter::Exporter;
pub use self::names::{BUCKETS_SECONDS, COMPUTE_SECONDS, OPERATION_SECONDS};
use crate::key::escape;
use crate::stats::StoreOperation;

/// Records an operation on the store, or an invalidation.
pub(crate) fn operation(operation: StoreOperation, took: Duration, succeeded: bool) {
    let operation = match operation {
        StoreOperation::Read => "read",
        StoreOperation::Write => "write",
        StoreOperation::Invalidate => "invalidate",
    };
    let labels = [("operation", operation), ("result", result(succeeded))];
    metrics::histogram!(OPERATION_SECONDS, &labels).record(took.as_secs_f64());
}

/// Records a computation.
pub(crate) fn computed(namespace: &str, took: Duration, succeeded: bool) {
    let result = result(succeeded);
    let cache = label_value(namespace);
    metrics::histogram!(COMPUTE_SECONDS, "cache" => cache, "result" => result)
        .record(took.as_secs_f64());
}

fn result(succeeded: bool) -> &'static str {
    if succeeded { "success" } else { "failure" }
}

/// As in keys, so that it holds nothing but printable ASCII, and is not `*`.
fn label_value(name: &str) -> String {
    let mut escaped = String::with_capacity(name.len());
    escape(name, &mut escaped);
    escaped
}
