//! Writing single keys: set, touch (and forgetting them). Each breaks the fences of what began
//! before it.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::audit::{Accesses, Operation, Outcome};
use crate::clock::{Deadline, Millis, Stopwatch, as_millis};
use crate::codec::tombstone;
use crate::entry::{Entry, EntryTimes};
use crate::error::{Error, ErrorKind};
use crate::fill::{GENERATION_LIFETIME, NewEntry, TOMBSTONE, create_generations, too_large};
use crate::invalidate::Tag;
use crate::invalidate::fence::Fence;
use crate::invalidate::generation::{GenerationRef, GenerationRefs};
use crate::invalidate::queue::Pending;
use crate::invalidate::wanted::WantedScopes;
use crate::l1::Slot;
use crate::pending::{new_entry, new_slot};
use crate::state::{EntryKey, Inner, NamespaceState};
use crate::stats::StoreOperation;
use crate::store::{Put, Store, WriteBatch};
use crate::ttl::Ttl;

/// What was heard of a key while it was written, within this time, is most likely the echo.
const ECHO: Duration = Duration::from_secs(1);
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
        let items = last_of_each_key(items);
        let mut access = Accesses::begin(Operation::Set, items.iter().map(|(key, _)| key));
        let (began, asked_at) = (Stopwatch::start(), self.clock.now());
        let mut fences: Vec<Fence> = Vec::with_capacity(items.len());
        for (key, _) in &items {
            let mut fence = self.fences.raise(key.hash, &key.rendered);
            fence.break_others(|| key.namespace.region.remove(key.hash));
            fences.push(fence);
        }
        let mut writes: Vec<Write> =
            items.into_iter().map(|(k, v)| self.prepare(k, v, tags)).collect();
        let mut valid = true;
        if let Some(store) = &self.store {
            let keys = writes.iter().map(|write| Arc::clone(&write.key)).collect();
            let mut unless_stored = self.forget_in_the_end(keys);
            self.note_replaced(&writes);
            let stored = self.put_in_store(&**store, &mut writes, deadline).await;
            if stored.is_err() {
                access.outcome = Outcome::Failed;
                for write in &writes {
                    write.key.note(|counts| counts.errors.one());
                }
            }
            valid = stored?;
            unless_stored.keys.clear();
        }
        for (write, mut fence) in writes.into_iter().zip(fences) {
            let Write { key, value, generations, id, .. } = write;
            key.note(|counts| counts.sets.one());
            let region = &key.namespace.region;
            let inserted = key.namespace.l1 && valid && key.is_up_to_date() && {
                let mark = fence.noted().covered();
                // What others do while it is written may not be known here. And a clock may have
                // been put back meanwhile.
                let since = asked_at.min(self.clock.now());
                let slot = new_slot(&key, id, value, (generations, None), since, mark);
                let insert = || region.insert(key.hash, Arc::clone(&slot));
                let inserted = fence.pass_and_break_others(insert).is_some();
                if inserted {
                    self.note_written(&slot, began.elapsed() < ECHO);
                }
                inserted
            };
            if !inserted {
                // Another write to the key ran beside this one: which of them the store has taken
                // last is not known here, so neither stays in L1. Or a scope was invalidated, or
                // swept: then the value came before that.
                self.fences.break_with(key.hash, || region.remove(key.hash));
            }
        }
        access.end(Outcome::Done);
        Ok(())
    }

    /// A store that forgets a set must not answer with what was there before.
    fn note_replaced(&self, writes: &[Write]) {
        if self.shared_store().is_none() {
            return;
        }
        let now = self.clock.now();
        self.note_removals(writes.iter().map(|write| {
            let tombstone = tombstone_of(&write.key, write.id, now);
            Pending::entry(&write.key.rendered, &write.key.namespace.cell.name, tombstone)
        }));
    }

    fn prepare(&self, key: Arc<EntryKey>, value: NewEntry, tags: &[Tag]) -> Write {
        let tags: Vec<Box<str>> = tags.iter().map(Tag::rendered).collect();
        let tag_cells = tags.iter().map(|tag| self.generations.cell(&self.names.tag(tag)));
        let generations =
            key.cells.iter().cloned().chain(tag_cells).map(|cell| cell.snapshot()).collect();
        Write { key, value, generations, id: fastrand::u64(1..), tags }
    }

    /// Forgets keys when it is dropped, as the future of a write may be at any time: what it wrote
    /// may have arrived.
    pub(crate) fn forget_in_the_end(&self, keys: Vec<Arc<EntryKey>>) -> Forget<'_> {
        Forget { inner: self, keys }
    }

    /// Drops keys from L1, and keeps those who read them now from putting them back.
    pub(crate) fn forget<'k>(&self, keys: impl Iterator<Item = &'k Arc<EntryKey>>) {
        for key in keys {
            self.fences.break_with(key.hash, || key.namespace.region.remove(key.hash));
        }
    }

    /// One round trip when the generations are known here; their truth is checked in the same.
    /// False if a scope was invalidated while this ran: what was written is void.
    async fn put_in_store(
        &self,
        store: &dyn Store,
        writes: &mut [Write],
        deadline: Deadline,
    ) -> Result<bool, Error> {
        let mut crossed = false;
        for _ in 0..ATTEMPTS {
            // Each time: what could not be invalidated meanwhile must not be learnt again.
            if !self.unconfirmed.settle(store, deadline).await {
                let what = "an invalidation is not confirmed yet";
                return Err(Error::new(ErrorKind::Unavailable, what));
            }
            // All are of one namespace.
            let Some(namespace) = writes.first().map(|write| Arc::clone(&write.key.namespace))
            else {
                return Ok(true);
            };
            let generations = writes.iter_mut().flat_map(|write| &mut write.generations);
            if create_generations(store, &namespace, generations, deadline).await?
                && self.meet_of_writes(store, &namespace, writes, deadline).await?
                && self.try_put(store, writes, deadline).await?
            {
                return Ok(true);
            }
            // Perhaps a scope was invalidated elsewhere since its generation was seen here. Again,
            // under the new generations.
            crossed = false;
            for generation in writes.iter_mut().flat_map(|write| &mut write.generations) {
                crossed |= !generation.is_current();
                *generation = generation.cell.snapshot();
            }
        }
        if crossed {
            return Ok(false);
        }
        Err(Error::new(ErrorKind::Protocol, "what is stored as a generation is not one"))
    }

    async fn meet_of_writes(
        &self,
        store: &dyn Store,
        namespace: &NamespaceState,
        writes: &[Write],
        deadline: Deadline,
    ) -> Result<bool, Error> {
        let id = writes.first().and_then(|write| namespace.generation(&write.generations));
        self.meet(store, namespace, id, deadline).await
    }

    /// Writes under the generations that are known here. False if one of them is no more.
    async fn try_put(
        &self,
        store: &dyn Store,
        writes: &[Write],
        deadline: Deadline,
    ) -> Result<bool, Error> {
        let entries = writes.iter().map(Write::entry).collect::<Result<Vec<_>, _>>()?;
        let bytes = self.pack_all(entries, Some(deadline)).await?;
        let now = self.clock.now();
        let puts = writes.iter().zip(bytes).map(|(write, bytes)| write.put(bytes, now));
        let puts: Vec<Put> = puts.collect();
        let longest = puts.iter().map(|put| put.keep_for.unwrap_or(FOREVER)).max();
        let generations = || writes.iter().flat_map(|write| &write.generations);
        let mut wanted = WantedScopes::new(generations().map(|generation| &generation.cell));
        let extend = extensions(generations(), longest, now);
        let extend: Vec<(&str, Millis)> = extend.iter().map(|(key, ms)| (&**key, *ms)).collect();
        let read: Vec<&str> = wanted.names().collect();
        let batch =
            WriteBatch { puts: &puts, extend: &extend, read: &read, ..WriteBatch::default() };
        let asked: GenerationRefs = generations().map(GenerationRef::asked_now).collect();
        let began = Stopwatch::start();
        let written = store.write(batch, deadline).await;
        self.operations.ended(StoreOperation::Write, began.elapsed(), written.is_ok());
        let written = written.inspect_err(|_| forget_extensions(generations()))?;
        for (write, put) in writes.iter().zip(&puts) {
            write.key.note(|counts| counts.bytes_written.add(put.value.len() as u64));
        }
        wanted.answer(&written.read);
        let mut valid = true;
        for mut generation in asked {
            let found = wanted.found(&generation.cell);
            let unchanged = generation.is_of(found.as_ref());
            valid &= generation.observe(found) && unchanged;
        }
        Ok(valid)
    }

    /// Gives an entry a new lifetime from now: the one with this id only, if one is given. False if
    /// there is none.
    pub(crate) async fn touch(
        self: &Arc<Self>,
        key: &Arc<EntryKey>,
        only: Option<u64>,
        times: EntryTimes,
        deadline: Deadline,
    ) -> Result<bool, Error> {
        let Some(store) = &self.store else {
            return Ok(self.touch_in_memory(key, only, times));
        };
        let Some(stored) = self.stored_entry(key, deadline).await? else { return Ok(false) };
        let now = self.clock.now();
        if !stored.times(now).is_fresh(now) || only.is_some_and(|id| id != stored.entry.id) {
            return Ok(false);
        }
        let expect = stored.entry.id.to_le_bytes().to_vec().into();
        let mut entry = stored.entry;
        entry.id = fastrand::u64(1..);
        entry.times = EntryTimes { created: entry.times.created, ..times };
        let value = self.pack_one(key, entry, Some(deadline)).await?;
        let bytes = value.len() as u64;
        let now = self.clock.now();
        let keep_for = times.keep_for(now);
        let expect = Some(expect);
        let put = Put { key: key.rendered.to_string(), value, keep_for, expect, guard: None };
        let extend = extensions(&stored.generations, keep_for, now);
        let extend: Vec<(&str, Millis)> = extend.iter().map(|(key, ms)| (&**key, *ms)).collect();
        let batch = WriteBatch { puts: &[put], extend: &extend, ..WriteBatch::default() };
        let began = Stopwatch::start();
        let written = store.write(batch, deadline).await;
        self.operations.ended(StoreOperation::Write, began.elapsed(), written.is_ok());
        // The next read brings the new times; those that have read the old ones lose.
        self.forget(std::iter::once(key));
        let written = written.inspect_err(|_| {
            forget_extensions(&stored.generations);
            key.note(|counts| counts.errors.one());
        })?;
        let touched = written.stored.first() == Some(&true);
        if touched {
            key.note(|counts| counts.bytes_written.add(bytes));
        }
        Ok(touched)
    }

    pub(crate) fn touch_in_memory(
        &self,
        key: &EntryKey,
        only: Option<u64>,
        times: EntryTimes,
    ) -> bool {
        let fence = self.fences.raise(key.hash, &key.rendered);
        let Some(slot) = self.peek(key) else { return false };
        let now = self.clock.now();
        if !slot.is_fresh(now) || only.is_some_and(|id| id != slot.id) {
            return false;
        }
        let touched = Arc::new(Slot {
            times: EntryTimes { created: slot.times.created, ..times },
            ..Slot::clone(&slot)
        });
        fence.pass(|| key.namespace.region.insert(key.hash, touched)).is_some()
    }
}

pub(crate) struct Forget<'i> {
    inner: &'i Inner,
    pub(crate) keys: Vec<Arc<EntryKey>>,
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        self.inner.forget(self.keys.iter());
    }
}

/// What a deletion leaves, whatever is there.
pub(crate) fn tombstone_of(key: &EntryKey, id: u64, now: Millis) -> Put {
    let times = EntryTimes::new(now, Ttl::After(TOMBSTONE));
    Put {
        key: key.rendered.to_string(),
        value: tombstone(id, &key.bound, times),
        keep_for: Some(as_millis(TOMBSTONE)),
        expect: None,
        guard: None,
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

impl Write {
    fn entry(&self) -> Result<(Arc<EntryKey>, Entry), Error> {
        let tags = self.tags.clone();
        let entry = new_entry(self.id, &self.key, &self.value, &self.generations, tags);
        let entry =
            entry.ok_or_else(|| Error::new(ErrorKind::Protocol, "a scope has no generation"))?;
        Ok((Arc::clone(&self.key), entry))
    }

    fn put(&self, bytes: Bytes, now: Millis) -> Put {
        Put {
            key: self.key.rendered.to_string(),
            value: bytes,
            keep_for: self.value.times.keep_for(now),
            expect: None,
            guard: None,
        }
    }
}

/// The generations that have to outlive an entry that is kept for so long, with how long they are
/// to live: longer than asked for, so that not every write has to say it again.
pub(crate) fn extensions<'g>(
    generations: impl IntoIterator<Item = &'g GenerationRef>,
    keep_for: Option<Millis>,
    now: Millis,
) -> Vec<(Arc<str>, Millis)> {
    let needed = keep_for.unwrap_or(FOREVER);
    let lifetime = needed.saturating_mul(2).clamp(as_millis(GENERATION_LIFETIME), FOREVER * 2);
    generations
        .into_iter()
        .filter(|generation| generation.cell.extend(now, needed, lifetime))
        .map(|generation| (Arc::clone(&generation.cell.name), lifetime))
        .collect()
}

/// The store could not be told what [`extensions`] said.
pub(crate) fn forget_extensions<'g>(generations: impl IntoIterator<Item = &'g GenerationRef>) {
    for generation in generations {
        generation.cell.forget_extension();
    }
}

/// Of several values for one key, the last.
fn last_of_each_key(mut items: Vec<(Arc<EntryKey>, NewEntry)>) -> Vec<(Arc<EntryKey>, NewEntry)> {
    if items.len() > 1 {
        let mut seen = HashSet::new();
        items.reverse();
        items.retain(|(key, _)| seen.insert(Arc::clone(&key.rendered)));
        items.reverse();
    }
    items
}
