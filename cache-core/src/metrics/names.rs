//! How the metrics are called, and what they mean.

use metrics::Unit;

/// How long operations took: `cache_operation_duration_seconds`.
pub const OPERATION_SECONDS: &str = "cache_operation_duration_seconds";
/// How long computations took: `cache_compute_seconds`.
pub const COMPUTE_SECONDS: &str = "cache_compute_seconds";

/// Upper bounds, in seconds, that fit the histograms of a cache, as those of
/// [`Histogram`](crate::Histogram): for exporters that have to be told.
pub const BUCKETS_SECONDS: [f64; 18] = [
    0.0001, 0.000_25, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    5.0, 10.0, 30.0, 60.0,
];

pub(super) const REQUESTS: &str = "cache_requests_total";
pub(super) const STALE: &str = "cache_stale_total";
pub(super) const COMPUTES: &str = "cache_computes_total";
pub(super) const REFRESHES: &str = "cache_refreshes_total";
pub(super) const SAVED: &str = "cache_saved_seconds_total";
pub(super) const SETS: &str = "cache_sets_total";
pub(super) const DELETES: &str = "cache_deletes_total";
pub(super) const ERRORS: &str = "cache_errors_total";
pub(super) const UNREADABLE: &str = "cache_unreadable_total";
pub(super) const READ_BYTES: &str = "cache_read_bytes_total";
pub(super) const WRITTEN_BYTES: &str = "cache_written_bytes_total";
pub(super) const COMPRESSED: &str = "cache_compressed_total";
pub(super) const UNCOMPRESSED_BYTES: &str = "cache_uncompressed_bytes_total";
pub(super) const COMPRESSED_BYTES: &str = "cache_compressed_bytes_total";
pub(super) const WORKSPACE_REQUESTS: &str = "cache_workspace_requests_total";
pub(super) const INVALIDATIONS: &str = "cache_invalidations_total";
pub(super) const EVICTIONS: &str = "cache_evictions_total";
pub(super) const ENTRIES: &str = "cache_entries";
pub(super) const SIZE: &str = "cache_size_bytes";
pub(super) const CAPACITY: &str = "cache_capacity_bytes";
pub(super) const BREAKER: &str = "cache_breaker_state";
pub(super) const CONNECTIONS: &str = "cache_pool_connections";
pub(super) const IDLE: &str = "cache_pool_idle_connections";
pub(super) const MAX_CONNECTIONS: &str = "cache_pool_max_connections";
pub(super) const WAITING: &str = "cache_pool_waiting";
pub(super) const OPERATIONS: &str = "cache_pool_operations";
pub(super) const MAX_OPERATIONS: &str = "cache_pool_max_operations";
pub(super) const TASKS: &str = "cache_background_tasks";
pub(super) const QUEUED: &str = "cache_queued_invalidations";

#[derive(Clone, Copy)]
enum Kind {
    Counter,
    Gauge,
    Histogram,
}

use Kind::{Counter, Gauge, Histogram};

const DESCRIPTIONS: [(Kind, &str, Unit, &str); 31] = [
    (Counter, REQUESTS, Unit::Count, "Reads, by namespace, by what was asked last, by result"),
    (Counter, STALE, Unit::Count, "Misses that were answered with a stale value"),
    (Counter, COMPUTES, Unit::Count, "Computations of values"),
    (Counter, REFRESHES, Unit::Count, "Values computed anew to be kept warm"),
    (Counter, SAVED, Unit::Seconds, "What computing would have taken without the cache"),
    (Counter, SETS, Unit::Count, "Values written"),
    (Counter, DELETES, Unit::Count, "Keys deleted"),
    (Counter, ERRORS, Unit::Count, "Store operations that failed, stored bytes that were damaged"),
    (Counter, UNREADABLE, Unit::Count, "Stored values that could not be opened here"),
    (Counter, READ_BYTES, Unit::Bytes, "Bytes read from the store"),
    (Counter, WRITTEN_BYTES, Unit::Bytes, "Bytes given to the store"),
    (Counter, COMPRESSED, Unit::Count, "Values that were compressed"),
    (Counter, UNCOMPRESSED_BYTES, Unit::Bytes, "Bytes of compressed values before"),
    (Counter, COMPRESSED_BYTES, Unit::Bytes, "Bytes of compressed values after"),
    (Counter, WORKSPACE_REQUESTS, Unit::Count, "Reads, by workspace and by result"),
    (Counter, INVALIDATIONS, Unit::Count, "Invalidations, by outcome"),
    (Counter, EVICTIONS, Unit::Count, "Entries that made room for others in memory"),
    (Gauge, ENTRIES, Unit::Count, "Entries in memory"),
    (Gauge, SIZE, Unit::Bytes, "Bytes that entries take in memory"),
    (Gauge, CAPACITY, Unit::Bytes, "Bytes that entries may take in memory"),
    (Gauge, BREAKER, Unit::Count, "0: the store is asked; 1: it is away; 2: a probe asks for it"),
    (Gauge, CONNECTIONS, Unit::Count, "Open connections to the store"),
    (Gauge, IDLE, Unit::Count, "Open connections to the store that nobody holds"),
    (Gauge, MAX_CONNECTIONS, Unit::Count, "Connections to the store that there may be"),
    (Gauge, WAITING, Unit::Count, "Operations that wait for a connection to the store"),
    (Gauge, OPERATIONS, Unit::Count, "Operations that the store has been asked for"),
    (Gauge, MAX_OPERATIONS, Unit::Count, "Operations that the store may be asked for at once"),
    (Gauge, TASKS, Unit::Count, "Tasks in the background"),
    (Gauge, QUEUED, Unit::Count, "Invalidations that the store is still to be told of"),
    (Histogram, OPERATION_SECONDS, Unit::Seconds, "How long operations took"),
    (Histogram, COMPUTE_SECONDS, Unit::Seconds, "How long computations took"),
];

pub(super) fn describe() {
    for (kind, name, unit, text) in DESCRIPTIONS {
        match kind {
            Counter => metrics::describe_counter!(name, unit, text),
            Gauge => metrics::describe_gauge!(name, unit, text),
            Histogram => metrics::describe_histogram!(name, unit, text),
        }
    }
}
