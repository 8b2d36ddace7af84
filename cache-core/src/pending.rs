//! What a fill leaves when it ends: the entry as the store and L1 hold it, and the write to the
//! store, which nobody waits for.

use std::sync::Arc;

use bytes::Bytes;

use crate::clock::Millis;
use crate::codec::WriteId;
use crate::coherence::versions::Mark;
use crate::entry::{Entry, Recorded};
use crate::fill::NewEntry;
use crate::invalidate::fence::Fence;
use crate::invalidate::generation::{GenerationRef, GenerationRefs, render_id};
use crate::l1::Slot;
use crate::state::{EntryKey, Inner};
use crate::store::{Guard, Put, WriteBatch};
use crate::write::{extensions, forget_extensions};

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
        self.write().await;
    }

    /// Whether the store now holds this, or what has overtaken it.
    async fn write(self) -> bool {
        let Some(store) = self.inner.available_store() else { return false };
        let Some(bytes) = self.bytes().await else { return false };
        // A sweep that begins now waits for this write; one that has begun keeps it from passing.
        let _commit = self.inner.commits.read().await;
        if self.fence.pass(|| ()).is_none() {
            return true;
        }
        let now = self.inner.clock.now();
        let written = bytes.len() as u64;
        let Some(put) = self.put(bytes, now) else { return false };
        let extend = extensions(&self.generations, put.keep_for, now);
        let extend: Vec<(&str, u64)> = extend.iter().map(|(key, ms)| (&**key, *ms)).collect();
        let batch = WriteBatch { puts: &[put], extend: &extend, ..WriteBatch::default() };
        if let Some(slot) = &self.slot {
            // Before its echo can come.
            self.inner.note_written(slot, false);
        }
        match store.write(batch, self.inner.deadline()).await {
            Ok(answer) if answer.stored.first() == Some(&true) => {
                self.key.note(|counts| counts.bytes_written.add(written));
                self.fence.note_fill();
                if let Some(slot) = &self.slot {
                    // The entry has an id for each of its scopes, or it could not be written.
                    slot.mark.cover(self.fence.noted());
                }
                true
            }
            // Somebody wrote the key or swept the namespace while the value was computed: what we
            // hold may be older.
            Ok(_) => {
                self.key.namespace.region.remove_write(self.key.hash, self.id);
                true
            }
            Err(error) => {
                forget_extensions(&self.generations);
                self.key.note(|counts| counts.errors.one());
                tracing::debug!(%error, key = %self.key.shown(), "write failed");
                false
            }
        }
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

    /// Runs in the background. Dropped if too many such writes are under way.
    pub fn spawn(self) {
        self.spawn_with(());
    }

    /// As [`spawn`](Self::spawn), and lets go of something when the write is done.
    pub(crate) fn spawn_with<T: Send + 'static>(self, held: T) {
        self.spawn_then(async move |_| drop(held));
    }

    /// As [`spawn`](Self::spawn), then does something, which is told whether the store now holds the
    /// value, or what has overtaken it.
    pub(crate) fn spawn_then<F>(self, then: impl FnOnce(bool) -> F + Send + 'static)
    where
        F: Future<Output = ()> + Send,
    {
        let inner = Arc::clone(&self.inner);
        inner.background.try_spawn(async move {
            let is_there = self.write().await;
            then(is_there).await;
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
