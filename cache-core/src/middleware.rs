//! The lower level: entries as bytes, for middleware that encodes its own values and hands out
//! its own identities. A response cache is built on this; `get` and `set` are not.

use std::sync::Arc;

use crate::audit::{Operation, Outcome};
use crate::cache::Cache;
use crate::clock::{Deadline, Millis};
use crate::error::Error;
use crate::fill::Fill;
use crate::invalidate::{Invalidated, Scopes};
use crate::key::Key;
use crate::l1::Slot;
use crate::lookup::{Decode, Lookup};
use crate::state::EntryKey;
use crate::values::Values;

/// What a read came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Read {
    /// Answered from this process' memory.
    L1Hit,
    /// Answered from the store.
    StoreHit,
    /// Not answered.
    Miss,
}

impl Values {
    /// The hash of an identity: what L1 and other tables of this process are keyed by.
    pub fn hash(&self, identity: &[u8]) -> u128 {
        self.state.as_ref().map_or(0, |state| state.hash(identity))
    }

    /// The entry with this identity in this process' memory. Allocates nothing.
    pub fn peek(&self, hash: u128, identity: &[u8]) -> Option<Arc<Slot>> {
        self.peek_at(hash, identity, self.cache.inner.clock.now())
    }

    /// As [`peek`](Self::peek), for those who have read the clock already.
    pub fn peek_at(&self, hash: u128, identity: &[u8], now: Millis) -> Option<Arc<Slot>> {
        let state = self.state.as_ref().ok()?;
        let slot = state.peek(hash, identity, now)?;
        state.audit(Operation::Get, Outcome::Read(Read::L1Hit), identity);
        Some(slot)
    }

    /// Counts a read of a key that names no workspace; those of this level count none of their own.
    pub fn count(&self, read: Read) {
        if let Ok(state) = &self.state {
            state.count(read, None);
        }
    }

    /// As [`count`](Self::count), of the key of this entry, and of the workspace that it names.
    pub fn count_hit(&self, read: Read, found: &Slot) {
        if let Ok(state) = &self.state {
            state.count(read, found.workspace.as_deref());
            state.sampler.hit(state, found);
        }
    }

    /// As [`count`](Self::count), of this key, and of the workspace that it names.
    pub fn count_of(&self, read: Read, key: &EntryKey) {
        if self.state.is_ok() {
            key.count_untold(read);
        }
    }

    /// Makes a key ready for lookups and fills. `identity` has to tell it from every other key
    /// of the namespace; `key` is how it is called in the store.
    pub fn prepare(&self, key: &Key, identity: &[u8]) -> Result<Arc<EntryKey>, Error> {
        Ok(Arc::new(self.cache.inner.entry_key(self.state()?, key, identity)))
    }

    /// Looks prepared keys up in the store, past this process' memory, in one round trip. Each
    /// answer is a hit, or a fill that is fenced against what happens from now on.
    pub async fn lookup_in_store(
        &self,
        keys: &[Arc<EntryKey>],
        decode: Decode<'_>,
        deadline: Deadline,
    ) -> Vec<Lookup> {
        let found = self.cache.inner.lookup_in_store(keys, decode, deadline).await;
        for (key, lookup) in keys.iter().zip(&found) {
            let hit = matches!(lookup, Lookup::Hit(_));
            let read = if hit { Read::StoreHit } else { Read::Miss };
            key.namespace.audit(Operation::Get, Outcome::Read(read), &key.identity);
        }
        found
    }

    /// A fill that replaces an entry that was found; `None` if the entry has gone since.
    pub fn replace(&self, key: &Arc<EntryKey>, found: &Slot) -> Option<Fill> {
        Fill::replacing(&self.cache.inner, key, found)
    }

    /// A fill of a key, whatever it holds: for a write whose answer is the new value, before that
    /// is asked for. See [`Fill::claim`].
    pub async fn fill_anew(&self, key: &Arc<EntryKey>, deadline: Deadline) -> Fill {
        self.cache.inner.fill_anew(key, deadline).await
    }

    /// Deletes prepared keys, in one round trip; answers and fails as
    /// [`Cache::invalidate`](crate::Cache::invalidate).
    pub async fn delete_prepared(
        &self,
        keys: &[Arc<EntryKey>],
        deadline: Deadline,
    ) -> Result<Invalidated, Error> {
        if !self.cache.inner.enabled || keys.is_empty() {
            return Ok(Invalidated::Complete);
        }
        let deletion = self.cache.invalidate(Scopes::default()).entries(keys.iter().cloned());
        deletion.deadline(deadline).await
    }

    /// The name of this namespace; `None` if it can't be used.
    pub fn name(&self) -> Option<&str> {
        self.state.as_ref().ok().map(|state| state.name.as_str())
    }

    /// The cache this namespace belongs to.
    pub fn cache(&self) -> &Cache {
        &self.cache
    }
}
