//! What the store says of itself, asked for every few seconds at most.

use std::sync::PoisonError;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::Serialize;

use crate::cache::Cache;
use crate::clock::{Millis, Stopwatch};
use crate::state::Inner;

/// The figures of a store's server, of all its users. What it does not tell is `None`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ServerStats {
    /// When it was asked, in unix milliseconds.
    pub at: Millis,
    /// Its version.
    pub version: Option<String>,
    /// Bytes in use.
    pub used_memory: Option<u64>,
    /// Bytes it may use; `None` also if there is no limit.
    pub max_memory: Option<u64>,
    /// What goes first when there is no more room.
    pub eviction_policy: Option<String>,
    /// Keys that made room for others.
    pub evicted_keys: Option<u64>,
    /// Keys whose time was over.
    pub expired_keys: Option<u64>,
    /// Keys in the database.
    pub keys: Option<u64>,
    /// Reads that found a key.
    pub keyspace_hits: Option<u64>,
    /// Reads that found none.
    pub keyspace_misses: Option<u64>,
    /// Clients connected to it.
    pub connected_clients: Option<u64>,
    /// Commands it carries out per second.
    pub operations_per_second: Option<u64>,
    /// How long it has been up, in seconds.
    pub uptime_seconds: Option<u64>,
}

#[cfg(feature = "redis")]
impl ServerStats {
    /// Of two servers of one store: sums, and the time that both have been up.
    pub(crate) fn and(self, other: Self) -> Self {
        fn sum(one: Option<u64>, other: Option<u64>) -> Option<u64> {
            Some(one?.saturating_add(other?))
        }
        Self {
            at: self.at.max(other.at),
            version: self.version.min(other.version),
            used_memory: sum(self.used_memory, other.used_memory),
            max_memory: sum(self.max_memory, other.max_memory),
            eviction_policy: self
                .eviction_policy
                .filter(|one| Some(one) == other.eviction_policy.as_ref()),
            evicted_keys: sum(self.evicted_keys, other.evicted_keys),
            expired_keys: sum(self.expired_keys, other.expired_keys),
            keys: sum(self.keys, other.keys),
            keyspace_hits: sum(self.keyspace_hits, other.keyspace_hits),
            keyspace_misses: sum(self.keyspace_misses, other.keyspace_misses),
            connected_clients: sum(self.connected_clients, other.connected_clients),
            operations_per_second: sum(self.operations_per_second, other.operations_per_second),
            uptime_seconds: self.uptime_seconds.min(other.uptime_seconds),
        }
    }
}

/// What it said last, and when it was asked.
#[derive(Debug, Default)]
pub(crate) struct LatestServerStats(Mutex<Option<(Stopwatch, Option<ServerStats>)>>);

/// So long what it said last is good enough, also that it said nothing.
const KEEP: Duration = Duration::from_secs(3);

impl Cache {
    /// The name of the store (`redis`); `None` if there is none.
    pub fn store_name(&self) -> Option<&'static str> {
        self.inner.store.as_ref().map(|store| store.name())
    }

    /// What the store's server says of itself: its memory, evictions, keys. A few seconds old at
    /// most; waits for no longer than the operation budget. `None` without a store, where it is
    /// away, and where it refuses (`INFO` may be forbidden).
    pub async fn server_stats(&self) -> Option<ServerStats> {
        self.inner.server_stats().await
    }
}

impl Inner {
    async fn server_stats(&self) -> Option<ServerStats> {
        let store = self.store.as_ref()?;
        {
            let mut latest =
                self.latest_server_stats.0.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some((asked, stats)) = &*latest
                && asked.elapsed() < KEEP
            {
                return stats.clone();
            }
            // Others have what there was meanwhile.
            let before = latest.take().and_then(|(_, stats)| stats);
            *latest = Some((Stopwatch::start(), before));
        }
        if !store.is_available() {
            return self.note_server_stats(None);
        }
        let told = Arc::clone(store).server_stats(self.deadline()).await.ok().flatten();
        self.note_server_stats(told.map(|stats| ServerStats { at: self.clock.now(), ..stats }))
    }

    fn note_server_stats(&self, stats: Option<ServerStats>) -> Option<ServerStats> {
        let mut latest = self.latest_server_stats.0.lock().unwrap_or_else(PoisonError::into_inner);
        *latest = Some((Stopwatch::start(), stats.clone()));
        stats
    }
}

/// Reads what Redis answers to `INFO`.
#[cfg(any(feature = "redis", test))]
pub(crate) fn parse(info: &str, keys: Option<u64>) -> ServerStats {
    let field = |name: &str| {
        info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
    };
    let number = |name: &str| field(name).and_then(|value| value.parse().ok());
    // From a server, which may say anything.
    let text = |name: &str| {
        let short = |text: &&str| text.len() <= 64 && text.chars().all(|c| c.is_ascii_graphic());
        field(name).filter(short).map(str::to_owned)
    };
    ServerStats {
        at: 0,
        version: text("redis_version"),
        used_memory: number("used_memory"),
        max_memory: number("maxmemory").filter(|bytes| *bytes > 0),
        eviction_policy: text("maxmemory_policy"),
        evicted_keys: number("evicted_keys"),
        expired_keys: number("expired_keys"),
        keys,
        keyspace_hits: number("keyspace_hits"),
        keyspace_misses: number("keyspace_misses"),
        connected_clients: number("connected_clients"),
        operations_per_second: number("instantaneous_ops_per_sec"),
        uptime_seconds: number("uptime_in_seconds"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_is_read_and_what_is_not_is_none() {
        let info = "# Server\r\nredis_version:7.0.15\r\nuptime_in_seconds:9\r\n# Memory\r\n\
            used_memory:1024\r\nused_memory_human:1K\r\nmaxmemory:0\r\nmaxmemory_policy:noeviction\r\n";
        let stats = parse(info, Some(7));
        assert_eq!((stats.version.as_deref(), stats.uptime_seconds), (Some("7.0.15"), Some(9)));
        assert_eq!((stats.used_memory, stats.max_memory), (Some(1024), None));
        assert_eq!((stats.keys, stats.evicted_keys), (Some(7), None));
        let hostile = parse("redis_version:<b>\u{7}\r\nused_memory:-1\r\nevicted_keys:x", None);
        assert_eq!(hostile, ServerStats::default());
    }
}
