//! Writing single keys: set, delete, touch. Each breaks the fences of what began before it.

use std::sync::Arc;

use smallvec::SmallVec;

use crate::clock::{Deadline, Millis, as_millis};
use crate::codec::{encode, tombstone};
use crate::entry::EntryTimes;
use crate::error::{Error, ErrorKind};
use crate::fill::{
    GENERATION_LIFETIME, NewEntry, TOMBSTONE, create_generations, new_entry, new_slot, too_large,
};
use crate::invalidate::Tag;
use crate::invalidate::fence::Fence;
use crate::invalidate::generation::{GenerationRefs, parse_id};
use crate::l1::Slot;
use crate::state::{EntryKey, Inner};
use crate::store::{Put, Store, WriteBatch};
use crate::ttl::Ttl;

/// A set whose generations changed under it is repeated this often.
const ATTEMPTS: usize = 3;
/// Entries that never expire need generations that outlive everything else.
const FOREVER: Millis = 10 * 365 * 24 * 60 * 60 * 1000;

impl Inner {
    /// Writes values unconditionally; whoever began to read or fill these keys before loses.
    pub(crate) async fn put_many(
        self: &Arc<Self>,
        items: Vec<(Arc<EntryKey>, NewEntry)>,
        tags: &[Tag],
        deadline: Deadline,
    ) -> Result<(), Error> {
        for (key, value) in &items {
            let limit = key.namespace.max_value_size;
            if value.payload.len() > limit {
                return Err(too_large(value.payload.len(), limit));
            }
        }
        let mut fences: Vec<Fence> = Vec::with_capacity(items.len());
        for (key, _) in &items {
            let mut fence = self.fences.raise(key.hash, &key.rendered);
            fence.break_others(|| key.namespace.region.remove(key.hash));
            fences.push(fence);
        }
        let mut writes: Vec<Write> =
            items.into_iter().map(|(k, v)| self.prepare(k, v, tags)).collect();
        if let Some(store) = &self.store {
            let stored = self.put_in_store(&**store, &mut writes, deadline).await;
            if stored.is_err() {
                for write in &writes {
                    write.key.namespace.counters.errors.one();
                }
                // It may have arrived all the same.
                self.forget(writes.iter().map(|write| &write.key));
            }
            stored?;
        }
        for (write, fence) in writes.into_iter().zip(fences) {
            let Write { key, value, generations, id, .. } = write;
            key.namespace.counters.sets.one();
            let region = &key.namespace.region;
            let inserted = key.namespace.l1 && {
                let slot = new_slot(self, &key, id, value, generations);
                fence.pass(|| region.insert(key.hash, slot)).is_some()
            };
            if !inserted {
                // Another write to the key ran beside this one. Which of them the store has taken
                // last is not known here, so neither stays in L1.
                self.fences.break_with(key.hash, || region.remove(key.hash));
            }
        }
        Ok(())
    }

    fn prepare(&self, key: Arc<EntryKey>, value: NewEntry, tags: &[Tag]) -> Write {
        let tag_cells = tags.iter().map(|tag| self.generations.cell(&self.names.tag(tag.as_str())));
        let generations =
            key.cells.iter().cloned().chain(tag_cells).map(|cell| cell.snapshot()).collect();
        let tags = tags.iter().map(|tag| tag.as_str().into()).collect();
        Write { key, value, generations, id: fastrand::u64(1..), tags }
    }

    /// Drops keys from L1, and keeps those who read them now from putting them back.
    fn forget<'k>(&self, keys: impl Iterator<Item = &'k Arc<EntryKey>>) {
        for key in keys {
            self.fences.break_with(key.hash, || key.namespace.region.remove(key.hash));
        }
    }

    /// One round trip when the generations are known here; their truth is checked in the same.
    async fn put_in_store(
        &self,
        store: &dyn Store,
        writes: &mut [Write],
        deadline: Deadline,
    ) -> Result<(), Error> {
        for _ in 0..ATTEMPTS {
            for write in writes.iter_mut() {
                create_generations(store, &mut write.generations, deadline).await?;
            }
            let now = self.clock.now();
            let put = |write: &Write| {
                let entry = new_entry(
                    write.id,
                    &write.key,
                    &write.value,
                    &write.generations,
                    write.tags.clone(),
                )?;
                Some(Put {
                    key: write.key.rendered.to_string(),
                    value: encode(&entry)?,
                    keep_for: write.value.times.keep_for(now),
                    expect: None,
                })
            };
            let puts: Option<Vec<Put>> = writes.iter().map(put).collect();
            let Some(puts) = puts else { continue };
            let mut generations: GenerationRefs = SmallVec::new();
            for generation in writes.iter().flat_map(|write| &write.generations) {
                if !generations.iter().any(|known| Arc::ptr_eq(&known.cell, &generation.cell)) {
                    generations.push(generation.clone());
                }
            }
            let longest = puts.iter().map(|put| put.keep_for.unwrap_or(FOREVER)).max();
            let extend = extensions(&generations, longest, now);
            let extend: Vec<(&str, Millis)> =
                extend.iter().map(|(key, ms)| (&**key, *ms)).collect();
            let names: Vec<&str> = generations.iter().map(|g| &*g.cell.name).collect();
            let batch = WriteBatch { puts: &puts, extend: &extend, read: &names };
            let written = store.write(batch, deadline).await?;
            let mut valid = true;
            for (generation, id) in generations.iter_mut().zip(written.read) {
                let used = generation.id;
                let id = id.as_deref().and_then(parse_id);
                valid &= generation.observe(id) && id == used;
            }
            if valid {
                return Ok(());
            }
            // A scope was invalidated elsewhere since its generation was seen here: what was
            // written is void already. Again, under the new generations.
            for generation in writes.iter_mut().flat_map(|write| &mut write.generations) {
                *generation = generation.cell.snapshot();
            }
        }
        Err(Error::new(
            ErrorKind::Unavailable,
            "the scopes of this key are invalidated all the time",
        ))
    }

    /// Deletes keys of one namespace, in one round trip. Tombstones keep fills from committing
    /// that began before, here or elsewhere.
    pub(crate) async fn delete(
        &self,
        keys: &[Arc<EntryKey>],
        deadline: Deadline,
    ) -> Result<(), Error> {
        let Some(first) = keys.first() else { return Ok(()) };
        self.forget(keys.iter());
        if let Some(store) = &self.store {
            let times = EntryTimes::new(self.clock.now(), Ttl::After(TOMBSTONE));
            let put = |key: &Arc<EntryKey>| Put {
                key: key.rendered.to_string(),
                value: tombstone(fastrand::u64(1..), &key.bound, times),
                keep_for: Some(as_millis(TOMBSTONE)),
                expect: None,
            };
            let puts: Vec<Put> = keys.iter().map(put).collect();
            let batch = WriteBatch { puts: &puts, ..WriteBatch::default() };
            let mut result = store.write(batch, deadline).await.map(drop);
            if matches!(&result, Err(error) if error.kind() == ErrorKind::Full) {
                // No room for a tombstone: the whole namespace has to fence the fills in flight.
                result = self.delete_without_tombstones(&**store, first, keys, deadline).await;
            }
            if let Err(error) = result {
                first.namespace.counters.errors.one();
                return Err(error);
            }
            // What was read from the store before the tombstone came may be in L1 by now.
            self.forget(keys.iter());
        }
        first.namespace.counters.deletes.add(keys.len() as u64);
        Ok(())
    }

    async fn delete_without_tombstones(
        &self,
        store: &dyn Store,
        first: &EntryKey,
        keys: &[Arc<EntryKey>],
        deadline: Deadline,
    ) -> Result<(), Error> {
        let cell = &first.namespace.cell;
        cell.invalidate();
        let names: Vec<&str> = keys.iter().map(|key| &*key.rendered).chain([&*cell.name]).collect();
        store.remove(&names, deadline).await?;
        cell.invalidate();
        Ok(())
    }

    /// Gives an entry a new lifetime from now. False if there is none.
    pub(crate) async fn touch(
        self: &Arc<Self>,
        key: &Arc<EntryKey>,
        ttl: Ttl,
        deadline: Deadline,
    ) -> Result<bool, Error> {
        let times = EntryTimes::new(self.clock.now(), ttl);
        let Some(store) = &self.store else {
            return Ok(self.touch_in_memory(key, times));
        };
        let fence = self.fences.raise(key.hash, &key.rendered);
        let Some(stored) = self.stored_entry(key, deadline).await? else { return Ok(false) };
        let expect = stored.entry.id.to_le_bytes().to_vec().into();
        let mut entry = stored.entry;
        entry.id = fastrand::u64(1..);
        entry.times = EntryTimes { created: entry.times.created, ..times };
        let Some(value) = encode(&entry) else { return Ok(false) };
        let now = self.clock.now();
        let keep_for = times.keep_for(now);
        let put = Put { key: key.rendered.to_string(), value, keep_for, expect: Some(expect) };
        let extend = extensions(&stored.generations, keep_for, now);
        let extend: Vec<(&str, Millis)> = extend.iter().map(|(key, ms)| (&**key, *ms)).collect();
        let batch = WriteBatch { puts: &[put], extend: &extend, read: &[] };
        let written = store.write(batch, deadline).await?;
        fence.pass(|| key.namespace.region.remove(key.hash));
        Ok(written.stored.first() == Some(&true))
    }

    fn touch_in_memory(&self, key: &EntryKey, times: EntryTimes) -> bool {
        let fence = self.fences.raise(key.hash, &key.rendered);
        let Some(slot) = self.peek(key) else { return false };
        let touched = Arc::new(Slot {
            times: EntryTimes { created: slot.times.created, ..times },
            ..Slot::clone(&slot)
        });
        fence.pass(|| key.namespace.region.insert(key.hash, touched)).is_some()
    }
}

/// One value on its way into the store.
struct Write {
    key: Arc<EntryKey>,
    value: NewEntry,
    generations: GenerationRefs,
    id: u64,
    tags: Vec<Box<str>>,
}

/// The generations that have to outlive an entry that is kept for so long, with how long they are
/// to live: longer than asked for, so that not every write has to say it again.
pub(crate) fn extensions(
    generations: &GenerationRefs,
    keep_for: Option<Millis>,
    now: Millis,
) -> Vec<(Arc<str>, Millis)> {
    let needed = keep_for.unwrap_or(FOREVER);
    let lifetime = needed.saturating_mul(2).clamp(as_millis(GENERATION_LIFETIME), FOREVER * 2);
    generations
        .iter()
        .filter(|generation| generation.cell.extend(now, needed, lifetime))
        .map(|generation| (Arc::clone(&generation.cell.name), lifetime))
        .collect()
}
