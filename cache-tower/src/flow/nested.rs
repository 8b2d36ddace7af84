//! Caches within caches: the inner one wins.
//!
//! An outer cache marks the requests it lets through. An inner one claims the mark before it looks
//! anything up: then the outer one stores nothing, lets those go who wait for its fetch, and
//! remembers the route.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cache_core::{EntryKey, Leader};
use http::Extensions;

use crate::flow::fill::Outcome;
use crate::report::tally::Tally;

/// Travels in the extensions of a request that a cache has let through.
#[derive(Clone, Debug)]
pub(crate) struct Mark(Arc<State>);

#[derive(Debug)]
struct State {
    claimed: Arc<AtomicBool>,
    leader: Mutex<Option<Leader<Outcome>>>,
    /// Where an inner cache stores the response to a POST, which has ended what was there.
    posted: Mutex<Option<Arc<EntryKey>>>,
}

impl Mark {
    /// Marks a request, which others may wait for.
    pub(crate) fn put(
        extensions: &mut Extensions,
        leader: Option<Leader<Outcome>>,
        tally: &Tally,
    ) -> Marked {
        let claimed = Arc::clone(tally.taken_over());
        let mark =
            Self(Arc::new(State { claimed, leader: Mutex::new(leader), posted: Mutex::default() }));
        extensions.insert(mark.clone());
        Marked(mark)
    }

    /// Whether there is a cache around this one.
    pub(crate) fn is_in(extensions: &Extensions) -> bool {
        extensions.get::<Self>().is_some()
    }

    /// Called by an inner cache: takes the request over from the outer one, if there is one.
    pub(crate) fn claim(extensions: &Extensions) {
        let Some(mark) = extensions.get::<Self>() else { return };
        mark.0.claimed.store(true, Ordering::Release);
        if let Some(leader) = mark.take_leader() {
            leader.land(Outcome::NotShared);
        }
    }

    /// Called by an inner cache that stores the response to a POST under this key.
    pub(crate) fn note_post(&self, key: &Arc<EntryKey>) {
        *self.posted() = Some(Arc::clone(key));
    }

    fn posted(&self) -> MutexGuard<'_, Option<Arc<EntryKey>>> {
        self.0.posted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take_leader(&self) -> Option<Leader<Outcome>> {
        self.0.leader.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// The outer cache's end of a mark. When it is dropped those who wait are let go, whoever else
/// still holds the request.
#[derive(Debug)]
pub(crate) struct Marked(Mark);

impl Marked {
    pub(crate) fn is_claimed(&self) -> bool {
        self.0.0.claimed.load(Ordering::Acquire)
    }

    /// Of the keys that a request has changed, leaves those that are still to be deleted.
    pub(crate) fn spare_posted(&self, keys: &mut Vec<Arc<EntryKey>>) {
        if let Some(posted) = &*self.0.posted() {
            keys.retain(|key| !key.is_same_as(posted));
        }
    }

    /// Takes the lead of the fetch back, unless the mark was claimed.
    pub(crate) fn take_leader(&self) -> Option<Leader<Outcome>> {
        self.0.take_leader()
    }
}

impl Drop for Marked {
    fn drop(&mut self) {
        self.0.take_leader();
    }
}
