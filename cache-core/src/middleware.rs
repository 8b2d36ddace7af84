//! The lower level: entries as bytes, for middleware that encodes its own values and hands out
//! its own identities. A response cache is built on this; `get` and `set` are not.

use std::sync::Arc;

use crate::cache::Cache;
use crate::clock::Deadline;
use crate::error::Error;
use crate::key::Key;
use crate::l1::Slot;
use crate::lookup::{Decode, Lookup};
use crate::state::EntryKey;
use crate::values::Values;

impl Values {
    /// The hash of an identity: what L1 and other tables of this process are keyed by.
    pub fn hash(&self, identity: &[u8]) -> u128 {
        self.state.as_ref().map_or(0, |state| state.hash(identity))
    }

    /// The entry with this identity in this process' memory. Allocates nothing.
    pub fn peek(&self, hash: u128, identity: &[u8]) -> Option<Arc<Slot>> {
        let state = self.state.as_ref().ok()?;
        if !state.l1 {
            return None;
        }
        let now = self.cache.inner.clock.now();
        state.region.get(hash, state.number, identity, now)
    }

    /// Counts a hit that [`peek`](Self::peek) gave.
    pub fn count_hit(&self) {
        if let Ok(state) = &self.state {
            state.counters.l1_hits.one();
        }
    }

    /// Makes a key ready for lookups and fills. `identity` has to tell it from every other key
    /// of the namespace; `key` is how it is called in the store.
    pub fn prepare(&self, key: &Key, identity: &[u8]) -> Result<Arc<EntryKey>, Error> {
        Ok(Arc::new(self.cache.inner.entry_key(self.state()?, key, identity)))
    }

    /// Looks a prepared key up in L1, then in the store.
    pub async fn lookup(
        &self,
        key: &Arc<EntryKey>,
        decode: Decode<'_>,
        deadline: Deadline,
    ) -> Lookup {
        self.cache.inner.lookup(key, Some(decode), deadline).await
    }

    /// Deletes a prepared key.
    pub async fn delete_prepared(&self, key: &EntryKey, deadline: Deadline) -> Result<(), Error> {
        self.cache.inner.delete(key, deadline).await
    }

    /// The cache this namespace belongs to.
    pub fn cache(&self) -> &Cache {
        &self.cache
    }
}
