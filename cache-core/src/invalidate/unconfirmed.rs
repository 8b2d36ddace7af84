//! Removals that were asked for, and that the store has not confirmed.
//!
//! An invalidation whose removal was not answered in time may or may not have reached the store.
//! Until it certainly has, this process asks the store nothing: what is there may be what was
//! invalidated. The first question after that repeats the removal.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::clock::Deadline;
use crate::store::Store;

/// The keys (of generations and of entries) that are still to be removed.
#[derive(Debug)]
pub(crate) struct Unconfirmed {
    keys: Mutex<Pending>,
    any: AtomicBool,
    /// One removal at a time; those who wait for it find nothing left to do.
    removing: tokio::sync::Mutex<()>,
    /// The generation of everything: what is removed when there are too many keys.
    everything: Arc<str>,
}

#[derive(Debug, Default)]
struct Pending {
    by_key: HashMap<Arc<str>, u64>,
    count: u64,
}

/// More keys than this widen to everything under the prefix.
const MOST: usize = 1024;

impl Unconfirmed {
    pub(crate) fn new(everything: Arc<str>) -> Self {
        let (keys, any) = (Mutex::default(), AtomicBool::new(false));
        Self { keys, any, removing: tokio::sync::Mutex::new(()), everything }
    }

    /// Remembers keys whose removal was not confirmed.
    pub(crate) fn add<'k>(&self, keys: impl Iterator<Item = &'k str>) {
        let mut pending = self.pending();
        for key in keys {
            pending.count += 1;
            let count = pending.count;
            pending.by_key.insert(key.into(), count);
        }
        if pending.by_key.len() > MOST {
            let count = pending.count;
            pending.by_key = HashMap::from([(Arc::clone(&self.everything), count)]);
        }
        self.any.store(!pending.by_key.is_empty(), Ordering::Release);
    }

    /// Repeats what is not confirmed. True if nothing is left: then the store may be asked.
    pub(crate) async fn settle(&self, store: &dyn Store, deadline: Deadline) -> bool {
        if !self.any.load(Ordering::Acquire) {
            return true;
        }
        let waiting = tokio::time::timeout_at(deadline.instant(), self.removing.lock());
        let Ok(_removing) = waiting.await else { return false };
        let (names, upto) = {
            let pending = self.pending();
            (pending.by_key.keys().cloned().collect::<Vec<_>>(), pending.count)
        };
        let keys: Vec<&str> = names.iter().map(|name| &**name).collect();
        if keys.is_empty() {
            return true;
        }
        if store.remove(&keys, deadline).await.is_err() {
            return false;
        }
        let mut pending = self.pending();
        // Those that were added meanwhile are not confirmed by this.
        pending.by_key.retain(|_, count| *count > upto);
        self.any.store(!pending.by_key.is_empty(), Ordering::Release);
        pending.by_key.is_empty()
    }

    fn pending(&self) -> MutexGuard<'_, Pending> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::store::MemoryStore;
    use crate::ttl::seconds;

    #[tokio::test]
    async fn what_is_pending_is_removed_before_the_store_is_asked() {
        let store = MemoryStore::new(Clock::manual(0));
        let unconfirmed = Unconfirmed::new("p:gen:p".into());
        let deadline = Deadline::after(seconds(1));
        assert!(unconfirmed.settle(&store, deadline).await);
        store.put("p:gen:n:a", "old");
        unconfirmed.add(["p:gen:n:a"].into_iter());
        assert!(unconfirmed.settle(&store, deadline).await);
        assert_eq!(store.get("p:gen:n:a"), None);
    }

    #[tokio::test]
    async fn too_many_keys_widen_to_everything() {
        let store = MemoryStore::new(Clock::manual(0));
        let unconfirmed = Unconfirmed::new("p:gen:p".into());
        store.put("p:gen:p", "old");
        let keys: Vec<String> = (0..=MOST).map(|n| format!("p:gen:w:{n}")).collect();
        unconfirmed.add(keys.iter().map(String::as_str));
        assert_eq!(unconfirmed.pending().by_key.len(), 1);
        assert!(unconfirmed.settle(&store, Deadline::after(seconds(1))).await);
        assert_eq!(store.get("p:gen:p"), None);
    }
}
