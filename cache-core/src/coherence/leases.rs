//! Listening to the ends of leases, where nothing is kept in this process' memory and so nobody
//! listens to all keys: those who wait for another process' computation wake as soon as it ends.
//!
//! The task is started by the first who waits. Until it listens, and where it may not, those who wait
//! only ask from time to time, as they do anyway.

use std::sync::{Arc, Weak};

use super::CoherenceMode;
use super::wakes::{Waiter, Wakes};
use super::watch::Watching;
use crate::clock::Stopwatch;
use crate::state::Inner;
use crate::store::ChangeSink;

/// Those who wait for leases, and the task that tells them.
#[derive(Debug, Default)]
pub(crate) struct LeaseWatch {
    wakes: Arc<Wakes>,
    pub(crate) watching: Watching,
}

impl Inner {
    /// For one who waits until an entry or its lease changes; `None` if too many wait.
    pub(crate) fn wait_for_change(&self, entry: &str, lease: &str) -> Option<Waiter<'_>> {
        if let Some(coherence) = &self.coherence {
            return coherence.wait_for(entry, lease);
        }
        let leases = &self.leases;
        let prefix = self.names.leases();
        leases.watching.keep(
            self,
            &prefix,
            |inner| &inner.leases.watching,
            || Arc::new(Sink(Arc::downgrade(&leases.wakes))),
        );
        leases.wakes.wait_for(super::hash(entry.as_bytes()), super::hash(lease.as_bytes()))
    }
}

/// Wakes those who wait. Apart from the cache, so that a push does not keep a dropped one alive.
#[derive(Debug)]
struct Sink(Weak<Wakes>);

impl Sink {
    fn wake_all(&self) {
        if let Some(wakes) = self.0.upgrade() {
            wakes.wake_all();
        }
    }
}

impl ChangeSink for Sink {
    fn began(&self, _: CoherenceMode, _: Option<String>) {
        // What ended before was not told.
        self.wake_all();
    }

    fn changed(&self, key: &[u8]) {
        if let Some(wakes) = self.0.upgrade() {
            wakes.wake(super::hash(key));
        }
    }

    fn all_changed(&self) {
        self.wake_all();
    }

    fn heard_all_before(&self, _: Stopwatch) {}

    fn lost(&self, _: String) {}
}
