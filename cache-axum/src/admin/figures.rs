//! Figures of cache-core and cache-tower, as the API tells them.

use std::time::Duration;

use cache_core::store::PoolState;
use cache_core::{
    CoherenceHealth, CoherenceMode, Gauges, Health, Histogram, InvalidationStats, MemoryGauges,
    NamespaceStats, OperationStats, ServerStats,
};
use cache_tower::{HttpStats, RouteRule, RouteUse};

use super::model::{
    BreakerState, Bucket, Coherence, Figures, HealthDetails, HttpFigures, InvalidationFigures,
    MemoryFigures, MissingAbility, OperationFigures, PoolFigures, RouteReport, ServerFigures,
    Timed,
};

/// In whole microseconds, as all durations are told.
pub(super) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

fn buckets(histogram: &Histogram) -> Vec<Bucket> {
    let there = histogram.buckets().filter(|(_, count)| *count > 0);
    there.map(|(bound, count)| Bucket { up_to_us: bound.map(micros), count }).collect()
}

impl From<&NamespaceStats> for Figures {
    fn from(stats: &NamespaceStats) -> Self {
        Self {
            hits: stats.hits,
            l1_hits: stats.l1_hits,
            misses: stats.misses,
            hit_ratio: stats.hit_ratio(),
            stale: stats.stale,
            computes: stats.computes,
            compute_failures: stats.compute_failures,
            compute_us: stats.compute_us,
            compute_times: buckets(&stats.compute_times),
            saved_us: stats.saved_us,
            refreshes: stats.refreshes,
            refresh_failures: stats.refresh_failures,
            sets: stats.sets,
            deletes: stats.deletes,
            errors: stats.errors,
            unreadable: stats.unreadable,
            bytes_read: stats.bytes_read,
            bytes_written: stats.bytes_written,
            compressed: stats.compressed,
            uncompressed_bytes: stats.uncompressed_bytes,
            compressed_bytes: stats.compressed_bytes,
        }
    }
}

impl From<HttpStats> for HttpFigures {
    #[allow(clippy::cast_precision_loss, reason = "a share is no count")]
    fn from(stats: HttpStats) -> Self {
        let looked_up = stats.hits + stats.misses;
        Self {
            hits: stats.hits,
            misses: stats.misses,
            hit_ratio: (looked_up > 0).then(|| stats.hits as f64 / looked_up as f64),
            collapsed: stats.collapsed,
            stale: stats.stale,
            validated: stats.validated,
            bypasses: stats.bypasses,
        }
    }
}

impl From<InvalidationStats> for InvalidationFigures {
    fn from(InvalidationStats { complete, queued, failed }: InvalidationStats) -> Self {
        Self { complete, queued, failed }
    }
}

impl From<OperationStats> for OperationFigures {
    fn from(stats: OperationStats) -> Self {
        let timed =
            |times, total_us, failures| Timed { times: buckets(&times), total_us, failures };
        Self {
            read: timed(stats.read, stats.read_us, stats.read_failures),
            write: timed(stats.write, stats.write_us, stats.write_failures),
            invalidate: timed(stats.invalidate, stats.invalidate_us, stats.invalidate_failures),
        }
    }
}

/// All of it: that which all share, and that of single namespaces.
impl From<&Gauges> for MemoryFigures {
    fn from(gauges: &Gauges) -> Self {
        let mut all = Self::default();
        for part in std::iter::once(&gauges.memory).chain(gauges.own_memory.values()) {
            let MemoryGauges { entries, bytes, capacity_bytes, evictions, .. } = *part;
            all.entries += entries;
            all.bytes += bytes;
            all.capacity_bytes += capacity_bytes;
            all.evictions += evictions;
        }
        all
    }
}

impl From<PoolState> for PoolFigures {
    fn from(pool: PoolState) -> Self {
        Self {
            connections: pool.connections.into(),
            idle: pool.idle.into(),
            max: pool.max.into(),
            waiting: pool.waiting.into(),
        }
    }
}

impl From<cache_core::BreakerState> for BreakerState {
    fn from(state: cache_core::BreakerState) -> Self {
        match state {
            cache_core::BreakerState::Closed => Self::Closed,
            cache_core::BreakerState::Open => Self::Open,
            cache_core::BreakerState::HalfOpen => Self::HalfOpen,
        }
    }
}

impl From<RouteUse> for RouteReport {
    fn from(used: RouteUse) -> Self {
        Self { route: used.path, never: used.rule == RouteRule::Never, matched: used.requests }
    }
}

impl From<ServerStats> for ServerFigures {
    fn from(stats: ServerStats) -> Self {
        Self {
            at: stats.at,
            version: stats.version,
            used_memory_bytes: stats.used_memory,
            max_memory_bytes: stats.max_memory,
            eviction_policy: stats.eviction_policy,
            evicted_keys: stats.evicted_keys,
            expired_keys: stats.expired_keys,
            keys: stats.keys,
            keyspace_hits: stats.keyspace_hits,
            keyspace_misses: stats.keyspace_misses,
            connected_clients: stats.connected_clients,
            operations_per_second: stats.operations_per_second,
            uptime_seconds: stats.uptime_seconds,
        }
    }
}

impl From<CoherenceHealth> for Coherence {
    fn from(health: CoherenceHealth) -> Self {
        let mode = match health.mode {
            CoherenceMode::Memory => "memory",
            CoherenceMode::Tracking => "tracking",
            CoherenceMode::PubSub => "pubsub",
            _ => "ttl",
        };
        Self {
            mode: mode.to_owned(),
            proven: health.proven,
            proven_at: health.since,
            fault: health.fault,
            typical_ms: health.typical_ms,
            bound_ms: health.bound_ms,
        }
    }
}

impl From<cache_core::MissingAbility> for MissingAbility {
    fn from(missing: cache_core::MissingAbility) -> Self {
        Self { ability: missing.ability.to_string(), instead: missing.instead.to_owned() }
    }
}

/// With what the breaker says, where there is a store.
pub(super) fn health_details(health: Health, breaker: Option<BreakerState>) -> HealthDetails {
    let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    HealthDetails {
        store: health.store.to_owned(),
        reachable: health.reachable,
        latency_us: health.latency_us,
        fault: health.fault,
        breaker,
        coherence: health.coherence.into(),
        missing_abilities: health.missing_abilities.into_iter().map(Into::into).collect(),
        l1_entries: count(health.l1_entries),
        l1_bytes: health.l1_bytes,
        background_tasks: count(health.background_tasks),
        in_flight: count(health.in_flight),
        scopes: count(health.scopes),
        queued_invalidations: count(health.queued_invalidations),
        queued_at: health.queued_since,
        journal: count(health.journal),
        journal_overflowed: health.journal_overflowed,
        store_changes: health.store_changes,
        store_changed_at: health.store_changed_at,
        reads_held: health.reads_held,
        enabled: health.enabled,
    }
}
