//! Removals that were asked for, and that the store has not confirmed.
//!
//! An invalidation whose removal was not answered in time may or may not have reached the store.
//! Until it certainly has, this process asks the store nothing: what is there may be what was
//! invalidated. The first question after that repeats the removal.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::clock::Deadline;
use crate::error::{Error, ErrorKind};
use crate::store::{Put, Store, WriteBatch};

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
    by_key: HashMap<Arc<str>, Removal>,
    count: u64,
}

#[derive(Debug)]
struct Removal {
    /// Tells later ones from earlier ones.
    count: u64,
    /// What has to take the place of an entry. Were it only removed, the tombstone of another
    /// deletion might go with it.
    tombstone: Option<Put>,
}

/// More keys than this widen to everything under the prefix.
const MOST: usize = 1024;

impl Unconfirmed {
    pub(crate) fn new(everything: Arc<str>) -> Self {
        let (keys, any) = (Mutex::default(), AtomicBool::new(false));
        Self { keys, any, removing: tokio::sync::Mutex::new(()), everything }
    }

    /// Remembers generations whose removal was not confirmed.
    pub(crate) fn add(&self, generations: &[&str]) {
        self.add_all(generations.iter().map(|generation| ((*generation).into(), None)));
    }

    /// Remembers entries whose tombstones may not have arrived.
    pub(crate) fn add_entries(&self, tombstones: Vec<Put>) {
        let entry = |tombstone: Put| (tombstone.key.as_str().into(), Some(tombstone));
        self.add_all(tombstones.into_iter().map(entry));
    }

    fn add_all(&self, keys: impl Iterator<Item = (Arc<str>, Option<Put>)>) {
        let mut pending = self.pending();
        for (key, tombstone) in keys {
            pending.count += 1;
            let count = pending.count;
            pending.by_key.insert(key, Removal { count, tombstone });
        }
        if pending.by_key.len() > MOST {
            let everything = Removal { count: pending.count, tombstone: None };
            pending.by_key = HashMap::from([(Arc::clone(&self.everything), everything)]);
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
        let (mut generations, mut tombstones) = (Vec::new(), Vec::new());
        let upto = {
            let pending = self.pending();
            for (key, removal) in &pending.by_key {
                match &removal.tombstone {
                    Some(tombstone) => tombstones.push(tombstone.clone()),
                    None => generations.push(Arc::clone(key)),
                }
            }
            pending.count
        };
        if self.repeat(store, &generations, &tombstones, deadline).await.is_err() {
            return false;
        }
        let mut pending = self.pending();
        // Those that were added meanwhile are not confirmed by this.
        pending.by_key.retain(|_, removal| removal.count > upto);
        self.any.store(!pending.by_key.is_empty(), Ordering::Release);
        pending.by_key.is_empty()
    }

    async fn repeat(
        &self,
        store: &dyn Store,
        generations: &[Arc<str>],
        tombstones: &[Put],
        deadline: Deadline,
    ) -> Result<(), Error> {
        let mut remove: Vec<&str> = generations.iter().map(|name| &**name).collect();
        if !tombstones.is_empty() {
            let batch = WriteBatch { puts: tombstones, ..WriteBatch::default() };
            match store.write(batch, deadline).await {
                Err(error) if error.kind() == ErrorKind::Full => {
                    // No room for tombstones: everything has to fence the fills in flight.
                    remove.push(&self.everything);
                    remove.extend(tombstones.iter().map(|tombstone| tombstone.key.as_str()));
                }
                written => drop(written?),
            }
        }
        if remove.is_empty() {
            return Ok(());
        }
        store.remove(&remove, deadline).await.map(drop)
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
        unconfirmed.add(&["p:gen:n:a"]);
        assert!(unconfirmed.settle(&store, deadline).await);
        assert_eq!(store.get("p:gen:n:a"), None);
    }

    #[tokio::test]
    async fn too_many_keys_widen_to_everything() {
        let store = MemoryStore::new(Clock::manual(0));
        let unconfirmed = Unconfirmed::new("p:gen:p".into());
        store.put("p:gen:p", "old");
        for n in 0..=MOST {
            unconfirmed.add(&[&format!("p:gen:w:{n}")]);
        }
        assert_eq!(unconfirmed.pending().by_key.len(), 1);
        assert!(unconfirmed.settle(&store, Deadline::after(seconds(1))).await);
        assert_eq!(store.get("p:gen:p"), None);
    }
}
