//! Coherence: what is in this process' memory is true to the store, though others write to it.
//!
//! A store that can be [watched](crate::Store::watch) pushes the name of every key that changes.
//! A pushed key raises the **version** of its cell in a table of fixed size; an entry in memory
//! remembers the version from before it was read, and answers only while that is the version
//! still. So a push costs O(1) and no index of keys, and a read that crosses a push loses.
//!
//! Silence proves nothing: the connection may be dead. So the watcher asks for a sign of life each
//! second; the answer comes behind all earlier pushes, and proves that nothing was missed before
//! the question. For [`COHERENCE_BOUND`] from then on entries answer for as long as they live.
//! Without such a proof they answer for the short L1 TTL, counted from when they were read.
//!
//! ```
//! use cache_core::{COHERENCE_BOUND, Cache, CoherenceMode, seconds};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! let health = Cache::builder().memory().build()?.health().await;
//! assert_eq!(health.coherence.mode, CoherenceMode::Memory);
//! assert_eq!(COHERENCE_BOUND, seconds(5));
//! # Ok::<(), cache_core::Error>(()) }).unwrap();
//! ```
//!
//! # Modes
//!
//! | [mode](CoherenceMode) | when | an entry in memory answers |
//! |---|---|---|
//! | `memory` | no store | for as long as it lives |
//! | `tracking` | Redis allows `HELLO 3` and `CLIENT TRACKING` | as long as it lives, or its `l1_ttl` if one is set, and nothing changes |
//! | `pubsub` | it refuses that, but allows `SUBSCRIBE` and `PUBLISH` on `{prefix}:changes` | for `l1_ttl` (5 s), and nothing is published |
//! | `ttl` | it refuses both; or the store can't be watched | for `l1_ttl` (5 s) |
//!
//! [`Health`](crate::Health) says which it is, since when nothing was missed, and why it is no
//! better; a line is logged when the mode changes. A user with the rights of `pubsub` publishes
//! what it changes; one who may track does not, which is why `pubsub` proves nothing.
//!
//! # Bound
//!
//! Connected, a change made elsewhere is usually known within [`COHERENCE_TYPICAL`]. When a
//! connection dies, noticed or not, memory answers with the older value for [`COHERENCE_BOUND`] at
//! most, and so it does after a reconnect with what it had read before. (Time in which the whole
//! machine sleeps does not count. Where an `l1_ttl` above 5 s is set and nothing can be proven, that
//! is the bound.) What is written or invalidated on a node, that node sees at once.
//!
//! That is about memory. A computation in progress is not shared with those who ask after an
//! invalidation elsewhere, since they ask the store, which knows of it; where it is away or full, and
//! so does not, only for [`UNCONFIRMED_FLIGHT`](crate::UNCONFIRMED_FLIGHT).
//!
//! # What it costs
//!
//! - Redis: one connection for each cache, a `PING` on it each second, and for each key under the
//!   prefix that is written, removed or expires, its name to every instance; those of one round of
//!   its event loop in one message. A thousand writes a second with names of 60 bytes are some 70 kB
//!   a second for each instance.
//! - An instance: a megabyte for the table; a hash and an addition for each name, and no more
//!   memory however many come. Its own writes are told to it, too: it asks which write is there
//!   (`GETRANGE` of 8 bytes, many in one round trip) and keeps the entry.
//! - A hit in the store of an entry whose tags are known: while it is proven that nothing is
//!   missed, one round trip less.
//! - A hit in memory: a load of the version; past the short TTL, also of the proof, and a look at the
//!   monotonic clock.
//!
//! [`coherence(false)`](crate::Builder::coherence) turns it off.
//!
//! # Map
//!
//! - `versions`: the table of versions, and what an entry remembers of it;
//! - `truth`: until when it is proven that nothing was missed;
//! - `own`: what this process has written lately, whose echo is no news;
//! - `recheck`: looks again at what was written here, and at generations that changed;
//! - `wakes`: those who wait until a value is made;
//! - `watch`: the one task that listens;
//! - `leases`: listens to the ends of leases, where nothing is kept in memory.

pub(crate) mod leases;
pub(crate) mod own;
pub(crate) mod recheck;
pub(crate) mod truth;
pub(crate) mod versions;
mod wakes;
pub(crate) mod watch;

use std::sync::Arc;
use std::time::Duration;

use xxhash_rust::xxh3::xxh3_64;

use self::own::OwnWrites;
use self::recheck::Rechecks;
use self::truth::Truth;
use self::versions::{Mark, Noted, Versions};
use self::wakes::{Waiter, Wakes};
use crate::l1::Slot;

pub use truth::{CoherenceHealth, CoherenceMode};

/// While the watcher is connected, a change made elsewhere is usually known here within this time.
pub const COHERENCE_TYPICAL: Duration = Duration::from_millis(50);

/// However connections die, memory answers with what was changed elsewhere for at most this long
/// (or for a longer `l1_ttl`, where one is set and nothing can be proven).
pub const COHERENCE_BOUND: Duration = Duration::from_secs(5);

/// What this process knows of changes made elsewhere.
#[derive(Debug, Default)]
pub(crate) struct Coherence {
    pub(crate) versions: Versions,
    pub(crate) truth: Truth,
    pub(crate) own: OwnWrites,
    pub(crate) rechecks: Rechecks,
    wakes: Wakes,
}

impl Coherence {
    /// The state of a key before it is read or filled.
    pub(crate) fn note(&self, rendered: &str) -> Noted {
        // The era first: what begins before a new session is not covered by it.
        let era = self.truth.era();
        self.versions.note(hash(rendered.as_bytes()), era)
    }

    /// Whether an entry may answer: nothing is known to have changed, and it is young enough to
    /// need no proof, or there is one.
    pub(crate) fn vouches_for(&self, mark: &Mark, is_young: bool) -> bool {
        self.versions.is_current(mark) && (is_young || self.truth.covers(mark.era()))
    }

    /// What was written here is in the store: its echo is no news. With `trusted` the entry goes
    /// on answering while an echo that has come already is looked into. True if there is something
    /// to look into.
    pub(crate) fn written(&self, slot: &Arc<Slot>, trusted: bool) -> bool {
        self.own.remember(hash(slot.rendered.as_bytes()), slot);
        let Some(now) = self.versions.moved_on(&slot.mark) else { return false };
        if trusted {
            slot.mark.set_version(now);
        }
        self.rechecks.add_slot(self, Arc::clone(slot))
    }

    /// Any key may have changed.
    pub(crate) fn all_changed(&self) {
        self.versions.raise_all();
        self.wakes.wake_all();
    }

    /// For one who waits until an entry or its lease changes; `None` if too many wait.
    pub(crate) fn wait_for(&self, entry: &str, lease: &str) -> Option<Waiter<'_>> {
        self.wakes.wait_for(hash(entry.as_bytes()), hash(lease.as_bytes()))
    }

    /// A key has changed. True if there is something to look into.
    pub(crate) fn changed(&self, key: &[u8]) -> bool {
        let hash = hash(key);
        let before = self.versions.raise(hash);
        self.wakes.wake(hash);
        let Some(slot) = self.own.written(hash) else { return false };
        // Of what was true until now, it is most likely the echo.
        slot.mark.advance(before);
        self.rechecks.add_slot(self, slot)
    }
}

/// Stands for a key in the tables of this module.
fn hash(key: &[u8]) -> u64 {
    xxh3_64(key)
}
