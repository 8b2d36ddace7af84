//! Soft invalidation: what it is about becomes stale, not invalid.
//!
//! - It is noted behind the id of a scope's generation (see `generation`): one step, and a scope
//!   that has none needs none. Entries that were filled before lack it, and are stale since the
//!   first of those that they lack.
//! - A single entry is put again, stale from now on, if it is still the one that was read.
//!
//! A fill that began before is not stored, as if the invalidation were hard. And hard is what it
//! becomes wherever soft can't be had: an entry that is not there, or was written meanwhile; a
//! store that has no room, or allows neither scripts nor transactions; what the store has to be told
//! later, or again.

use std::sync::Arc;

use crate::clock::{Deadline, Millis};
use crate::error::Error;
use crate::invalidate::generation::Soft;
use crate::l1::Slot;
use crate::lookup::StoredEntry;
use crate::state::{EntryKey, Inner};
use crate::store::{Put, Store, WriteBatch};

/// What is to be told to the store.
pub(super) struct Softly<'a> {
    pub(super) soft: Soft,
    pub(super) keys: &'a [Arc<EntryKey>],
    /// What takes the place of a key that can't become stale.
    pub(super) tombstones: &'a [Put],
    /// The keys of generations.
    pub(super) names: &'a [&'a str],
}

impl Inner {
    /// Tells the store: scopes in one round trip, entries in one more to read them.
    pub(super) async fn soften_in_store(
        &self,
        store: &dyn Store,
        Softly { soft, keys, tombstones, names }: Softly<'_>,
        deadline: Deadline,
    ) -> Result<(), Error> {
        let puts = self.stale_puts(keys, tombstones, deadline).await?;
        let tail = soft.render();
        let tails: Vec<(&str, &str)> = names.iter().map(|name| (*name, &*tail)).collect();
        let batch = WriteBatch { puts: &puts, tails: &tails, ..WriteBatch::default() };
        let written = store.write(batch, deadline).await?;
        let lost: Vec<Put> = tombstones
            .iter()
            .zip(written.stored)
            .filter(|(_, stored)| !stored)
            .map(|(tombstone, _)| tombstone.clone())
            .collect();
        if !lost.is_empty() {
            // Whether what was written meanwhile is newer is not known.
            let batch = WriteBatch { puts: &lost, ..WriteBatch::default() };
            store.write(batch, deadline).await?;
        }
        Ok(())
    }

    /// For each key, what it is to hold from now on.
    async fn stale_puts(
        &self,
        keys: &[Arc<EntryKey>],
        tombstones: &[Put],
        deadline: Deadline,
    ) -> Result<Vec<Put>, Error> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let found = self.stored_entries(keys, deadline).await?;
        let now = self.clock.now();
        let mut puts = Vec::with_capacity(keys.len());
        for ((key, found), tombstone) in keys.iter().zip(found).zip(tombstones) {
            let put = match found {
                Some(stored) => self.stale_put(key, stored, now, deadline).await,
                None => None,
            };
            puts.push(put.unwrap_or_else(|| tombstone.clone()));
        }
        Ok(puts)
    }

    /// The same entry, stale; `None` if it is of no use then.
    async fn stale_put(
        &self,
        key: &Arc<EntryKey>,
        StoredEntry { mut entry, .. }: StoredEntry,
        now: Millis,
        deadline: Deadline,
    ) -> Option<Put> {
        let expect = Some(entry.id.to_le_bytes().to_vec().into());
        entry.id = fastrand::u64(1..);
        entry.times = entry.times.stale_from(now);
        if !entry.times.is_alive(now) {
            return None;
        }
        let keep_for = entry.times.keep_for(now);
        let value = self.pack_one(key, entry, Some(deadline)).await.ok()?;
        Some(Put { key: key.rendered.to_string(), value, keep_for, expect, guard: None })
    }

    /// Where there is no store: entries in memory become stale. Fills of these keys that are under
    /// way are not kept.
    pub(super) fn soften_in_memory(&self, keys: &[Arc<EntryKey>]) {
        let now = self.clock.now();
        for key in keys {
            let region = &key.namespace.region;
            self.fences.break_with(key.hash, || {
                let Some(found) = self.peek(key) else { return region.remove(key.hash) };
                let times = found.times_at(now).stale_from(now);
                region.insert(key.hash, Arc::new(Slot { times, ..Slot::clone(&found) }));
            });
        }
    }
}
