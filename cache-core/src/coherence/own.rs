//! What this process has written lately: the echo of its own write is no news.
//!
//! Redis tells of several changes of a key by one push, so echoes can't be counted: each is looked
//! into (see `recheck`).

use std::collections::{HashMap, VecDeque};
use std::hash::BuildHasherDefault;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use crate::l1::{AlreadyHashed, Slot};

/// Writes beyond this many forget the oldest, whose echo then costs one read.
const MOST: usize = 4096;

/// The entries in memory that were written here, by the hash of their rendered key.
#[derive(Debug, Default)]
pub(crate) struct OwnWrites(Mutex<Recent>);

#[derive(Debug, Default)]
struct Recent {
    slots: HashMap<u64, Weak<Slot>, BuildHasherDefault<AlreadyHashed>>,
    oldest_first: VecDeque<u64>,
}

impl OwnWrites {
    pub(crate) fn remember(&self, hash: u64, slot: &Arc<Slot>) {
        let mut recent = self.recent();
        if recent.slots.insert(hash, Arc::downgrade(slot)).is_none() {
            recent.oldest_first.push_back(hash);
        }
        if recent.oldest_first.len() > MOST
            && let Some(oldest) = recent.oldest_first.pop_front()
        {
            recent.slots.remove(&oldest);
        }
    }

    /// What was last written here under a key, if it is still in memory.
    pub(crate) fn written(&self, hash: u64) -> Option<Arc<Slot>> {
        self.recent().slots.get(&hash)?.upgrade()
    }

    fn recent(&self) -> MutexGuard<'_, Recent> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::l1::tests::slot;

    #[test]
    fn the_last_write_of_a_key_is_remembered_as_long_as_it_is_in_memory() {
        let own = OwnWrites::default();
        let (first, second) = (slot(1), slot(2));
        own.remember(7, &first);
        own.remember(7, &second);
        assert!(own.written(7).is_some_and(|found| Arc::ptr_eq(&found, &second)));
        drop(second);
        assert!(own.written(7).is_none() && own.written(8).is_none());
    }

    #[test]
    fn memory_is_bounded() {
        let own = OwnWrites::default();
        let one = slot(1);
        for hash in 0..100_000 {
            own.remember(hash % 50_000, &one);
        }
        let recent = own.recent();
        assert_eq!((recent.slots.len(), recent.oldest_first.len()), (MOST, MOST));
        drop(recent);
        assert!(own.written(49_999).is_some() && own.written(0).is_none());
    }
}
