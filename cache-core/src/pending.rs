//! What a fill leaves when it ends: the entry as the store and L1 hold it, and the write to the
//! store, which nobody waits for.

use std::sync::Arc;

use bytes::Bytes;

use crate::clock::{Millis, Stopwatch};
use crate::codec::WriteId;
use crate::coherence::versions::Mark;
use crate::entry::{Entry, Recorded};
use crate::error::Error;
use crate::fill::NewEntry;
use crate::invalidate::fence::Fence;
use crate::invalidate::generation::{GenerationRef, GenerationRefs, render_id};
use crate::l1::Slot;
use crate::log_limit::LogLimit;
use crate::state::{EntryKey, Inner};
use crate::stats::StoreOperation;
use crate::store::{Guard, Put, WriteBatch};
use crate::write::{extensions, forget_extensions};

static NO_PLACE: LogLimit = LogLimit::new();

/// The rest of a commit: the write to the store.
#[derive(Debug)]
pub struct PendingWrite {
    pub(crate) inner: Arc<Inner>,
    pub(crate) key: Arc<EntryKey>,
    pub(crate) generations: GenerationRefs,
    pub(crate) swept: GenerationRef,
    pub(crate) tags: Vec<Box<str>>,
    pub(crate) etag: Option<Box<str>>,
    pub(crate) value: NewEntry,
    pub(crate) expect: WriteId,
    pub(crate) id: u64,
    /// That of the fill.
    pub(crate) fence: Fence,
    /// In this process' memory.
    pub(crate) slot: Option<Arc<Slot>>,
}

impl PendingWrite {
    /// Writes to the store, if the key is still in the state in which the fill found it.
    pub async fn run(self) {
        Self::run_all(vec![self]).await;
    }

    /// As [`run`](Self::run), for several of one cache, in one round trip. Whether the store now holds
    /// all of them, or what has overtaken them.
    async fn run_all(writes: Vec<Self>) -> bool {
        let Some(inner) = writes.first().map(|write| Arc::clone(&write.inner)) else { return true };
        let Some(store) = inner.available_store() else { return false };
        let (mut all, mut packed) = (true, Vec::with_capacity(writes.len()));
        for write in writes {
            match write.bytes().await {
                Some(bytes) => packed.push((write, bytes)),
                None => all = false,
            }
        }
        // A sweep that begins now waits for this write; one that has begun keeps it from passing.
        let _commit = inner.commits.read().await;
        let now = inner.clock.now();
        let (mut writes, mut puts) = (Vec::new(), Vec::new());
        for (write, bytes) in packed {
            if write.fence.pass(|| ()).is_none() {
                continue;
            }
            match write.put(bytes, now) {
                Some(put) => {
                    writes.push(write);
                    puts.push(put);
                }
                None => all = false,
            }
        }
        if puts.is_empty() {
            return all;
        }
        let extend = writes.iter().zip(&puts);
        let extend: Vec<(Arc<str>, Millis)> = extend
            .flat_map(|(write, put)| extensions(&write.generations, put.keep_for, now))
            .collect();
        let extend: Vec<(&str, Millis)> = extend.iter().map(|(key, ms)| (&**key, *ms)).collect();
        let batch = WriteBatch { puts: &puts, extend: &extend, ..WriteBatch::default() };
        for slot in writes.iter().filter_map(|write| write.slot.as_ref()) {
            // Before its echo can come.
            inner.note_written(slot, false);
        }
        let began = Stopwatch::start();
        let written = store.write(batch, inner.deadline()).await;
        inner.operations.ended(StoreOperation::Write, began.elapsed(), written.is_ok());
        match written {
            Ok(written) => {
                let stored = written.stored.into_iter().chain(std::iter::repeat(false));
                for ((write, put), stored) in writes.iter().zip(&puts).zip(stored) {
                    write.end(stored, put.value.len());
                }
                all
            }
            Err(error) => {
                for write in &writes {
                    write.fail(&error);
                }
                false
            }
        }
    }

    fn end(&self, stored: bool, bytes: usize) {
        if !stored {
            // Somebody wrote the key or swept the namespace while the value was computed: what we
            // hold may be older.
            self.key.namespace.region.remove_write(self.key.hash, self.id);
            return;
        }
        self.key.note(|counts| counts.bytes_written.add(bytes as u64));
        self.fence.note_fill();
        if let Some(slot) = &self.slot {
            // The entry has an id for each of its scopes, or it could not be written.
            slot.mark.cover(self.fence.noted());
        }
    }

    fn fail(&self, error: &Error) {
        forget_extensions(&self.generations);
        self.key.note(|counts| counts.errors.one());
        tracing::debug!(%error, key = %self.key.shown(), "write failed");
    }

    /// Encoding copies the value, so it is done here, where nobody waits.
    async fn bytes(&self) -> Option<Bytes> {
        let tags = self.tags.clone();
        let entry = new_entry(self.id, &self.key, &self.value, &self.generations, tags)?;
        let entry = Entry { etag: self.etag.clone(), ..entry };
        let bytes = self.inner.pack_one(&self.key, entry, None).await;
        bytes
            .inspect_err(|error| {
                self.key.note(|counts| counts.errors.one());
                tracing::debug!(%error, key = %self.key.shown(), "not written");
            })
            .ok()
    }

    fn put(&self, bytes: Bytes, now: Millis) -> Option<Put> {
        Some(Put {
            key: self.key.rendered.to_string(),
            value: bytes,
            keep_for: self.value.times.keep_for(now),
            expect: Some(Bytes::copy_from_slice(&self.expect)),
            guard: Some(self.guard()?),
        })
    }

    /// A sweep elsewhere passes by what comes after it: what began before must not come any more.
    fn guard(&self) -> Option<Guard> {
        let key = self.swept.cell.name.to_string();
        Some(Guard { key, value: render_id(self.swept.id()?).into() })
    }

    /// Runs in the background. Dropped, and counted as an error, if too many such writes are under way.
    pub fn spawn(self) {
        self.spawn_with(());
    }

    /// As [`spawn`](Self::spawn), and lets go of something when the write is done.
    pub(crate) fn spawn_with<T: Send + 'static>(self, held: T) {
        Self::spawn_all(vec![self], held);
    }

    /// As [`spawn_with`](Self::spawn_with), for several of one cache, in one round trip.
    pub(crate) fn spawn_all<T: Send + 'static>(writes: Vec<Self>, held: T) {
        Self::spawn_all_then(writes, async move |_| drop(held));
    }

    /// As [`spawn`](Self::spawn), then does something, which is told whether the store now holds the
    /// value, or what has overtaken it.
    pub(crate) fn spawn_then<F>(self, then: impl FnOnce(bool) -> F + Send + 'static)
    where
        F: Future<Output = ()> + Send,
    {
        Self::spawn_all_then(vec![self], then);
    }

    fn spawn_all_then<F>(writes: Vec<Self>, then: impl FnOnce(bool) -> F + Send + 'static)
    where
        F: Future<Output = ()> + Send,
    {
        let Some(inner) = writes.first().map(|write| Arc::clone(&write.inner)) else { return };
        let Some(place) = inner.background.place_of_upkeep() else {
            for write in &writes {
                write.key.note(|counts| counts.errors.one());
            }
            if let Some(left_out) = NO_PLACE.take() {
                tracing::warn!(target: "cache_core", left_out, "not stored: too many writes wait");
            }
            return;
        };
        place.spawn(async move {
            let are_there = Self::run_all(writes).await;
            then(are_there).await;
        });
    }
}

/// `None` if a generation is not known: such an entry would never be valid.
pub(crate) fn new_entry(
    id: u64,
    key: &EntryKey,
    value: &NewEntry,
    generations: &GenerationRefs,
    tags: Vec<Box<str>>,
) -> Option<Entry> {
    Some(Entry {
        id,
        times: value.times,
        schema: value.schema,
        format: value.format,
        generations: generations
            .iter()
            .map(|generation| {
                let (scope, soft) = (generation.cell.fingerprint, generation.soft_id());
                Some(Recorded { scope, id: generation.id()?, soft })
            })
            .collect::<Option<_>>()?,
        tags,
        etag: None,
        identity: key.bound.clone(),
        payload: value.payload.clone(),
    })
}

pub(crate) fn new_slot(
    key: &EntryKey,
    id: u64,
    value: NewEntry,
    (generations, etag): (GenerationRefs, Option<Box<str>>),
    now: Millis,
    mark: Mark,
) -> Arc<Slot> {
    let (decoded, weight) = match value.decoded {
        Some((decoded, weight)) => (Some(decoded), weight),
        None => (None, 0),
    };
    let mut slot = Slot {
        namespace: key.namespace.number,
        identity: key.identity.clone(),
        rendered: Arc::clone(&key.rendered),
        workspace: key.workspace.clone(),
        id,
        times: value.times,
        since: now,
        young_until: now.saturating_add(key.namespace.l1_ttl),
        l1_until: now.saturating_add(key.namespace.l1_at_most),
        mark,
        generations,
        format: value.format,
        payload: value.payload,
        etag,
        decoded,
        weight: 0,
    };
    slot.weigh(weight);
    Arc::new(slot)
}
