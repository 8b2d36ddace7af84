//! Stores: bytes in, bytes out, shared by several processes.
//!
//! A store knows nothing of namespaces, freshness or generations: only of keys, bytes, how long
//! to keep them, and of one condition under which to write. Every store passes one suite
//! (`tests/store`).
//!
//! ```
//! # tokio_test(async {
//! use cache_core::store::{MemoryStore, Store};
//! use cache_core::{Clock, Deadline, seconds};
//!
//! let store = MemoryStore::new(Clock::system());
//! let found = store.fetch(&["some:key"], Deadline::after(seconds(1))).await?;
//! assert_eq!(found, [None]);
//! # Ok::<(), cache_core::Error>(()) }).unwrap();
//! # fn tokio_test<F: Future>(f: F) -> F::Output {
//! #     tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(f)
//! # }
//! ```

mod abilities;
mod memory;
#[cfg(feature = "redis")]
pub(crate) mod redis;
mod sink;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::admin::ServerStats;
use crate::clock::{Deadline, Millis};
use crate::error::Error;
use crate::happenings::{BreakerState, EventBus};
use crate::rate::{Counted, Quota};

pub use crate::codec::is_tombstone;
pub use abilities::{Ability, MissingAbility};
pub use memory::{MemoryStore, Snapshot};
#[cfg(feature = "tls")]
pub use redis::TlsOptions;
#[cfg(feature = "redis")]
pub use redis::{ClusterStore, RedisOptions, RedisStore, SentinelOptions};
pub use sink::ChangeSink;

/// A boxed future, so that stores can be trait objects.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What is under one key; or why that is not known.
pub type Fetched = Result<Option<Bytes>, Error>;

/// Where the bytes are kept. All methods answer by their deadline, whatever happens.
pub trait Store: fmt::Debug + Send + Sync + 'static {
    /// The bytes under each key, in order, in one round trip.
    fn fetch<'a>(
        &'a self,
        keys: &'a [&'a str],
        deadline: Deadline,
    ) -> BoxFuture<'a, Result<Vec<Option<Bytes>>, Error>>;

    /// As [`fetch`](Self::fetch), but where a part of the store is away, what lies elsewhere is told:
    /// an outcome for each key, in order.
    fn fetch_each<'a>(
        &'a self,
        keys: &'a [&'a str],
        deadline: Deadline,
    ) -> BoxFuture<'a, Result<Vec<Fetched>, Error>> {
        Box::pin(async move { Ok(self.fetch(keys, deadline).await?.into_iter().map(Ok).collect()) })
    }

    /// Writes, in one round trip.
    fn write<'a>(
        &'a self,
        batch: WriteBatch<'a>,
        deadline: Deadline,
    ) -> BoxFuture<'a, Result<Written, Error>>;

    /// Gives each key the value beside it unless it has one; the values the keys have then, each as of
    /// no earlier than those before it. (`None` also if it is not known.)
    fn create<'a>(
        &'a self,
        entries: &'a [(&'a str, String)],
        keep_for: Millis,
        deadline: Deadline,
    ) -> BoxFuture<'a, Result<Vec<Option<Bytes>>, Error>>;

    /// Removes keys; how many there were. Of any two the one behind is there no longer than the one
    /// before it. Works when the store takes no writes for want of memory.
    fn remove<'a>(
        &'a self,
        keys: &'a [&'a str],
        deadline: Deadline,
    ) -> BoxFuture<'a, Result<u64, Error>>;

    /// As [`remove`](Self::remove), but leaves tombstones where they are: what a deletion left to
    /// keep fills from committing (values that begin as [`is_tombstone`] says) goes on doing so.
    fn remove_values<'a>(
        &'a self,
        keys: &'a [&'a str],
        deadline: Deadline,
    ) -> BoxFuture<'a, Result<u64, Error>> {
        self.remove(keys, deadline)
    }

    /// How many of these keys [`remove_values`](Self::remove_values) would remove.
    fn count_values<'a>(
        &'a self,
        keys: &'a [&'a str],
        deadline: Deadline,
    ) -> BoxFuture<'a, Result<u64, Error>> {
        Box::pin(async move {
            let found = self.fetch(keys, deadline).await?;
            Ok(found.iter().flatten().filter(|value| !is_tombstone(value)).count() as u64)
        })
    }

    /// One step of walking over the keys that match a glob: some keys, and where to go on. Keys
    /// that exist from the first step to the last are met at least once.
    fn scan<'a>(
        &'a self,
        glob: &'a str,
        cursor: u64,
        deadline: Deadline,
    ) -> BoxFuture<'a, Result<ScanStep, Error>>;

    /// Bytes 8 to 15 of what is under each key, in one round trip: which write it is.
    fn write_ids<'a>(
        &'a self,
        keys: &'a [&'a str],
        deadline: Deadline,
    ) -> BoxFuture<'a, Result<Vec<Option<Bytes>>, Error>> {
        Box::pin(async move {
            let id = |value: Bytes| value.slice(8.min(value.len())..16.min(value.len()));
            let found = self.fetch(keys, deadline).await?;
            Ok(found.into_iter().map(|value| value.map(id)).collect())
        })
    }

    /// Tells the sink what changes under `{prefix}:`, whoever changes it, for as long as the
    /// future is polled. Reconnects by itself, and keeps nothing alive but itself. `None`: this
    /// store can't be watched.
    fn watch(&self, prefix: &str, sink: Arc<dyn ChangeSink>) -> Option<BoxFuture<'static, ()>> {
        let _ = (prefix, sink);
        None
    }

    /// Counts a use of what this key limits, in one step and one round trip; see [`Quota::count`].
    /// `None`: this store can't, and each process counts for itself.
    fn count<'a>(
        &'a self,
        key: &'a str,
        quota: &'a Quota,
        deadline: Deadline,
    ) -> Option<BoxFuture<'a, Result<Counted, Error>>> {
        let _ = (key, quota, deadline);
        None
    }

    /// Asks the store for a sign of life.
    fn ping(&self, deadline: Deadline) -> BoxFuture<'_, Result<(), Error>>;

    /// How long after a [`Guard`] has changed a put may still arrive that has seen it unchanged. Zero
    /// where check and put are one step.
    fn guard_lag(&self) -> Duration {
        Duration::ZERO
    }

    /// Counts how often the store turned out to be another than before, or might be: restarted
    /// from a snapshot, or replaced by a replica. It may have forgotten what it had confirmed, and
    /// has to be told again. To be counted before anything is answered by the other one; and
    /// answers of the one before are none from then on.
    fn incarnation(&self) -> u64 {
        0
    }

    /// Who the store is, where it says so: two that are not one and the same have never the same name.
    /// What is told belongs to the present [incarnation](Self::incarnation).
    fn server_name(&self) -> Option<String> {
        None
    }

    /// Whether the store is worth asking right now. Costs nothing.
    fn is_available(&self) -> bool {
        true
    }

    /// What it refuses, as far as is known, and what the cache does without it. Costs little.
    fn missing_abilities(&self) -> Vec<MissingAbility> {
        Vec::new()
    }

    /// What the server says of itself; `None` if it does not, or may not be asked.
    fn server_stats(
        &self,
        deadline: Deadline,
    ) -> BoxFuture<'_, Result<Option<ServerStats>, Error>> {
        let _ = deadline;
        Box::pin(std::future::ready(Ok(None)))
    }

    /// Where to tell of what happens to the store; a cache calls it once, when it is built.
    fn report_to(&self, bus: EventBus) {
        let _ = bus;
    }

    /// Whether operations go out, or fail at once because the store is away; `None`: there is no
    /// such thing here. Costs nothing.
    fn breaker(&self) -> Option<BreakerState> {
        None
    }

    /// How connections to the store stand; `None`: it has none, or does not tell. Costs little.
    fn pool(&self) -> Option<PoolState> {
        None
    }

    /// A name for logs and health: `redis`, `memory`.
    fn name(&self) -> &'static str;

    /// Lets go of connections and tasks.
    fn close(&self) {}
}

/// How connections to a store stand.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct PoolState {
    /// Open ones.
    pub connections: u32,
    /// Of these, those that nobody holds.
    pub idle: u32,
    /// The most there may be.
    pub max: u32,
    /// Operations that wait for one.
    pub waiting: u32,
    /// Operations that the store has been asked for and has not answered yet.
    pub operations: u32,
    /// The most there may be.
    pub max_operations: u32,
}

#[cfg(feature = "redis")]
impl PoolState {
    /// Both together.
    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            connections: self.connections + other.connections,
            idle: self.idle + other.idle,
            max: self.max + other.max,
            waiting: self.waiting + other.waiting,
            operations: self.operations + other.operations,
            max_operations: self.max_operations + other.max_operations,
        }
    }
}

/// What to write in one round trip.
#[derive(Debug, Clone, Copy, Default)]
pub struct WriteBatch<'a> {
    /// Values to put.
    pub puts: &'a [Put],
    /// Texts to put in behind the first 16 bytes of what is under a key: of what is there already,
    /// 224 bytes stay behind them. A key with less than 16 bytes under it stays as it is, and the
    /// others keep their times.
    pub tails: &'a [(&'a str, &'a str)],
    /// Keys to remove. Works also when the puts find no memory.
    pub remove: &'a [&'a str],
    /// Keys to keep for at least this long from now.
    pub extend: &'a [(&'a str, Millis)],
    /// Keys to read, after all that.
    pub read: &'a [&'a str],
}

/// One value to put. Written only if both conditions hold, which is one step with the write, unless
/// the store [says otherwise](Store::missing_abilities) (and see [`Store::guard_lag`]).
#[derive(Clone, Default)]
pub struct Put {
    /// Under which key.
    pub key: String,
    /// The bytes.
    pub value: Bytes,
    /// For how long, in milliseconds; `None`: until removed.
    pub keep_for: Option<Millis>,
    /// Write only if bytes 8 to 15 of what is there are these; empty stands for "nothing there".
    pub expect: Option<Bytes>,
    /// Write only if something else is as it was, too.
    pub guard: Option<Guard>,
}

/// A condition of a [`Put`]: under this key are exactly these bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guard {
    /// Another key.
    pub key: String,
    /// What is to be there; "nothing" can't be asked for.
    pub value: Bytes,
}

impl fmt::Debug for Put {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The value is the application's business.
        f.debug_struct("Put")
            .field("key", &self.key)
            .field("bytes", &self.value.len())
            .field("keep_for", &self.keep_for)
            .field("expect", &self.expect)
            .field("guard", &self.guard)
            .finish()
    }
}

/// What became of a [`WriteBatch`].
#[derive(Debug, Clone, Default)]
pub struct Written {
    /// For each put, whether it was written: false if a condition did not hold.
    pub stored: Vec<bool>,
    /// What was read.
    pub read: Vec<Option<Bytes>>,
}

/// One step of [`Store::scan`].
#[derive(Debug, Clone, Default)]
pub struct ScanStep {
    /// Where to go on; zero: done.
    pub cursor: u64,
    /// The keys met.
    pub keys: Vec<String>,
}
