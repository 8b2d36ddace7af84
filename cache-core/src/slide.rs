//! Sliding expiration: an entry that is used lives on.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use crate::audit::{Accesses, Operation, Outcome};
use crate::clock::Millis;
use crate::compute::Options;
use crate::key::Key;
use crate::l1::Slot;
use crate::state::{EntryKey, Inner, NamespaceState};

/// The keys that are being given a new time: each once.
#[derive(Debug, Default)]
pub(crate) struct Sliding(Mutex<HashSet<u128>>);

impl Sliding {
    fn begin(&self, key: u128) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key)
    }

    fn end(&self, key: u128) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
    }
}

/// Ends it however the task does.
struct Under {
    inner: Arc<Inner>,
    key: u128,
}

impl Drop for Under {
    fn drop(&mut self) {
        self.inner.sliding.end(self.key);
    }
}

impl Inner {
    /// An entry has been used that was found in memory.
    pub(crate) fn slide(
        self: &Arc<Self>,
        namespace: &Arc<NamespaceState>,
        key: &Key,
        slot: &Slot,
        options: &Options,
        now: Millis,
    ) {
        if options.slid(&slot.times, options.ttl.unwrap_or(namespace.ttl), now).is_some() {
            self.slide_found(&self.plain_key(namespace, key), slot, options, now);
        }
    }

    /// An entry has been used. Its new time is written in the background, if there is a place.
    pub(crate) fn slide_found(
        self: &Arc<Self>,
        key: &Arc<EntryKey>,
        slot: &Slot,
        options: &Options,
        now: Millis,
    ) {
        let ttl = options.ttl.unwrap_or(key.namespace.ttl);
        let Some(times) = options.slid(&slot.times, ttl, now) else { return };
        if self.store.is_none() {
            let access = Accesses::begin(Operation::Touch, [key]);
            let touched = self.touch_in_memory(key, Some(slot.id), times);
            access.end(if touched { Outcome::Done } else { Outcome::NotDone });
            return;
        }
        let Some(place) = self.background.place() else { return };
        if !self.sliding.begin(key.hash) {
            return;
        }
        let under = Under { inner: Arc::clone(self), key: key.hash };
        // Another that has taken its place has a time of its own.
        let (key, id) = (Arc::clone(key), slot.id);
        place.spawn(async move {
            let access = Accesses::begin(Operation::Touch, [&key]);
            let deadline = under.inner.deadline();
            access.end(match under.inner.touch(&key, Some(id), times, deadline).await {
                Ok(true) => Outcome::Done,
                Ok(false) => Outcome::NotDone,
                Err(error) => {
                    tracing::debug!(%error, key = %key.shown(), "its time could not be prolonged");
                    Outcome::Failed
                }
            });
        });
    }
}
