//! How things stand right now, in this process: nothing is asked, and nothing waits.
//!
//! ```
//! use cache_core::Cache;
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! let cache = Cache::builder().build()?;
//! cache.set("users", "42", "Ada").await?;
//! let gauges = cache.gauges();
//! assert_eq!(gauges.memory.entries, 1);
//! assert_eq!(gauges.breaker, None, "there is no store");
//! # Ok::<(), cache_core::Error>(()) }).unwrap();
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::cache::Cache;
use crate::happenings::BreakerState;
use crate::l1::Region;
use crate::store::PoolState;

/// How things stand right now, in this process. Unlike [`Health`](crate::Health) it asks nothing of
/// the store.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Gauges {
    /// Entries in this process' memory, of all namespaces that have none of their own.
    pub memory: MemoryGauges,
    /// Of those that have memory of their own ([`max_entries`](crate::Namespace::max_entries)).
    pub own_memory: BTreeMap<String, MemoryGauges>,
    /// Whether the store is asked; `None`: there is none, or it is asked whatever happens.
    pub breaker: Option<BreakerState>,
    /// Connections to the store; `None`: there is none, or it has no such thing.
    pub pool: Option<PoolState>,
    /// Tasks in the background, such as writes to the store.
    pub background_tasks: u64,
    /// Invalidations that the store is still to be told of.
    pub queued_invalidations: u64,
}

/// Entries in one part of this process' memory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct MemoryGauges {
    /// How many.
    pub entries: u64,
    /// What they weigh, in bytes.
    pub bytes: u64,
    /// What they may weigh, in bytes.
    pub capacity_bytes: u64,
    /// How many have gone to make room for others, since this process started.
    pub evictions: u64,
}

impl Cache {
    /// How things stand right now, in this process: memory, breaker, connections. Waits for nothing.
    pub fn gauges(&self) -> Gauges {
        let inner = &self.inner;
        let namespaces = inner.namespaces();
        let own = namespaces.iter().filter(|one| !Arc::ptr_eq(&one.region, &inner.region));
        Gauges {
            memory: memory(&inner.region),
            own_memory: own.map(|one| (one.name.clone(), memory(&one.region))).collect(),
            breaker: inner.store.as_ref().and_then(|store| store.breaker()),
            pool: inner.store.as_ref().and_then(|store| store.pool()),
            background_tasks: inner.background.running() as u64,
            queued_invalidations: inner.unconfirmed.waiting().0 as u64,
        }
    }
}

fn memory(region: &Region) -> MemoryGauges {
    MemoryGauges {
        entries: region.len() as u64,
        bytes: region.bytes(),
        capacity_bytes: region.capacity(),
        evictions: region.evictions(),
    }
}
