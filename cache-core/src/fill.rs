//! Filling: from the moment a miss is known to the moment the new value is in the cache.
//!
//! A [`Fill`] remembers the state it began in: the generations of its scopes, the key's state in
//! the store, and a fence around the key in L1. It commits only if none of them has changed.

mod begin;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;

use crate::audit::{Accesses, Operation, Outcome};
use crate::clock::{Millis, Stopwatch};
use crate::codec::{Format, WriteId};
use crate::coherence::Coherence;
use crate::entry::EntryTimes;
use crate::error::{Error, ErrorKind};
use crate::flight::UNCONFIRMED_FLIGHT;
use crate::invalidate::fence::Fence;
use crate::invalidate::generation::{GenerationRef, GenerationRefs};
use crate::l1::{Shared, Slot};
use crate::pending::{PendingWrite, new_slot};
use crate::state::{EntryKey, Inner};

pub(crate) use self::begin::create_generations;

/// A fill in progress.
#[derive(Debug)]
pub struct Fill {
    pub(crate) inner: Arc<Inner>,
    pub(crate) key: Arc<EntryKey>,
    pub(crate) generations: GenerationRefs,
    pub(crate) tags: Vec<Box<str>>,
    /// The state of the families whose tags the value may name.
    pub(crate) families: Vec<GenerationRef>,
    /// The state of the namespace's sweeps.
    swept: GenerationRef,
    pub(crate) fence: Fence,
    /// The key's state in the store when the fill began; `None`: unknown, so nothing is written.
    pub(crate) expect: Option<WriteId>,
    /// Whether nothing can have happened to the key between what the fill is based on and the
    /// raising of its fence. If it can, only the store knows, and L1 has to wait for its word.
    fenced: bool,
    /// What the application says of the value, for when it has to be made again.
    pub(crate) etag: Option<Box<str>>,
    /// The key was deleted in its name ([`claim`](Self::claim)).
    pub(crate) claimed: bool,
    began: Stopwatch,
    /// When the cache was asked for what is to be filled: L1 counts from then.
    asked_at: Millis,
    /// Shared with those who watch.
    vouching: OnceLock<Arc<Vouching>>,
}

/// What there is to show that a fill was not overtaken elsewhere.
#[derive(Debug)]
struct Vouching {
    /// The store has told the ids of all its scopes before the value was computed: then an
    /// invalidation elsewhere shows to whoever asks the store.
    confirmed: AtomicBool,
    /// The value has named its tags, which those who ask for the key do not ask for.
    tagged: AtomicBool,
}

/// Knows whether a fill that somebody else leads is still worth waiting for.
#[derive(Debug)]
pub(crate) struct FillWatch {
    fence: Fence,
    /// Its families' among them: nobody knows yet which of their tags the value will have.
    generations: GenerationRefs,
    broken: bool,
    began: Stopwatch,
    /// The key's state in the store when the fill began.
    expect: Option<WriteId>,
    vouching: Arc<Vouching>,
    /// There is no store: nobody else invalidates anything.
    alone: bool,
    coherence: Option<Arc<Coherence>>,
}

impl FillWatch {
    /// When the fill began.
    pub(crate) fn began(&self) -> Stopwatch {
        self.began
    }

    /// Whether one who asks now may be given the outcome. Where nothing can tell that the fill was
    /// overtaken elsewhere, only for a short time from its beginning.
    pub(crate) fn may_serve(&self, asker: &Fill) -> bool {
        let Vouching { confirmed, tagged } = &*self.vouching;
        let provable = asker.has_word()
            && confirmed.load(Ordering::Acquire)
            && (!tagged.load(Ordering::Acquire) || self.is_told());
        // Who finds the key in another state has asked after a delete or a write elsewhere.
        let same = match (&self.expect, &asker.expect) {
            (Some(then), Some(now)) => then == now,
            _ => true,
        };
        same && self.is_current() && (provable || self.began.elapsed() < UNCONFIRMED_FLIGHT)
    }

    /// Whether an invalidation elsewhere would have been heard of, and nothing of the kind is being
    /// looked into. What was missed before is: see `GenerationTable::doubt_all`.
    fn is_told(&self) -> bool {
        let proven = |coherence: &Arc<Coherence>| coherence.truth.is_proven();
        let settled = || self.generations.iter().all(|scope| scope.cell.is_settled());
        self.alone || (self.coherence.as_ref().is_some_and(proven) && settled())
    }

    fn is_current(&self) -> bool {
        !self.broken
            && self.fence.stands()
            // The fill itself gives an id to scopes that have none.
            && self.generations.iter().all(GenerationRef::is_uninterrupted)
    }
}

/// A value to put into the cache.
#[derive(Clone)]
pub struct NewEntry {
    /// The serialized value.
    pub payload: Bytes,
    /// How it is serialized.
    pub format: Format,
    /// Version of its shape.
    pub schema: u32,
    /// When it was made and how long it answers.
    pub times: EntryTimes,
    /// The value decoded, with what it weighs in memory.
    pub decoded: Option<(Shared, usize)>,
}

impl fmt::Debug for NewEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The value is the application's business.
        f.debug_struct("NewEntry")
            .field("bytes", &self.payload.len())
            .field("format", &self.format)
            .field("times", &self.times)
            .finish_non_exhaustive()
    }
}

/// Tombstones keep fills that began before a delete from committing; so no fill may take longer.
pub(crate) const TOMBSTONE: Duration = Duration::from_secs(10 * 60);
pub(crate) const LONGEST_FILL: Duration = Duration::from_secs(9 * 60);
/// How long a new generation lives at least; commits extend it.
pub(crate) const GENERATION_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

impl Fill {
    pub(crate) fn new(
        inner: &Arc<Inner>,
        key: &Arc<EntryKey>,
        generations: GenerationRefs,
        fence: Fence,
        expect: Option<WriteId>,
        asked_at: Millis,
    ) -> Self {
        Self {
            inner: Arc::clone(inner),
            key: Arc::clone(key),
            generations,
            tags: Vec::new(),
            families: Vec::new(),
            swept: key.namespace.swept.snapshot(),
            fence,
            expect,
            fenced: true,
            etag: None,
            claimed: false,
            began: Stopwatch::start(),
            asked_at,
            vouching: OnceLock::new(),
        }
    }

    /// Takes the place of another fill of the key: the tags that it was begun with, or expects, are
    /// to be this one's.
    pub(crate) fn take_after(&mut self, other: &Self) {
        for tag in &other.tags {
            let cell = self.inner.generations.cell(&self.inner.names.tag(tag));
            self.generations.push(cell.snapshot());
            self.tags.push(tag.clone());
        }
        self.families = other.families.iter().map(|family| family.cell.snapshot()).collect();
        // Those who wait for the other watch what becomes of this one.
        self.vouching = other.vouching.clone();
    }

    /// Stands for all that the value will be based on: who finds another basis asks after an
    /// invalidation, or a change of the key. `None` if the store has not told.
    pub(crate) fn basis(&self) -> Option<Vec<u8>> {
        let mut scopes = Vec::new();
        for scope in self.scopes() {
            scopes.push([scope.cell.fingerprint, scope.id()?, scope.soft_id()]);
        }
        // Each process has an order of its own.
        scopes.sort_unstable();
        let scopes = scopes.iter().flatten().flat_map(|number| number.to_le_bytes());
        Some(scopes.chain(self.expect.as_ref()?.iter().copied()).collect())
    }

    /// Whether there is no store, or it has answered what this fill is based on.
    fn has_word(&self) -> bool {
        self.inner.store.is_none() || self.expect.is_some()
    }

    /// Whether there is a store, and it has said in what state the key is.
    pub(crate) fn is_told_by_store(&self) -> bool {
        self.inner.store.is_some() && self.expect.is_some()
    }

    /// Whether the store, if there is one, has told the ids of all scopes.
    fn is_confirmed(&self) -> bool {
        let all_known = || self.scopes().all(|scope| scope.id().is_some());
        self.inner.store.is_none() || (self.expect.is_some() && all_known())
    }

    /// From now on an invalidation elsewhere may not show to whoever asks the store.
    pub(crate) fn note_tagged(&self) {
        if let Some(vouching) = self.vouching.get() {
            vouching.tagged.store(true, Ordering::Release);
        }
    }

    fn scopes(&self) -> impl Iterator<Item = &GenerationRef> {
        self.generations.iter().chain(&self.families).chain([&self.swept])
    }

    /// A fill that replaces an entry that was found. `None` if the entry has gone from this
    /// process' memory since, and there is nothing else to compare with.
    pub(crate) fn replacing(inner: &Arc<Inner>, key: &Arc<EntryKey>, slot: &Slot) -> Option<Self> {
        let fence = inner.fences.raise(key.hash, &key.rendered);
        let fenced = inner.peek(key).is_some_and(|found| found.id == slot.id);
        if inner.store.is_none() && !fenced {
            return None;
        }
        let expect = inner.store.as_ref().map(|_| WriteId::from_slice(&slot.id.to_le_bytes()));
        // The new value has tags of its own, or none.
        let is_of_key =
            |scope: &&GenerationRef| key.cells.iter().any(|cell| Arc::ptr_eq(cell, &scope.cell));
        let of_key = slot.generations.iter().filter(is_of_key);
        let generations = of_key.map(GenerationRef::renewed).collect();
        let fill = Self::new(inner, key, generations, fence, expect, inner.clock.now());
        Some(Self { fenced, ..fill })
    }

    /// A fill of another key, from the same state of the scopes. Only for a key of the same
    /// scopes that nobody else can have written: a part of its name is new and random.
    #[must_use]
    pub fn branch(&self, key: &Arc<EntryKey>) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
            key: Arc::clone(key),
            generations: self.generations.clone(),
            tags: self.tags.clone(),
            families: self.families.clone(),
            swept: self.swept.clone(),
            fence: self.inner.fences.raise(key.hash, &key.rendered),
            expect: self.expect.as_ref().map(|_| WriteId::new()),
            fenced: true,
            etag: None,
            claimed: false,
            began: self.began,
            asked_at: self.asked_at,
            vouching: self.vouching.clone(),
        }
    }

    /// Whether a value that this fill produces can still be stored.
    pub fn is_current(&self) -> bool {
        self.key.is_up_to_date()
            && self.key.namespace.vouches_for(&self.generations)
            && self.fence.stands()
            && self.generations.iter().all(GenerationRef::is_current)
            && self.swept.is_current()
    }

    /// As [`is_current`](Self::is_current), of one that has still to [begin](Self::begin): that the
    /// id of a scope is learnt before it does is no invalidation.
    fn is_uninterrupted(&self) -> bool {
        self.key.is_up_to_date()
            && self.key.namespace.vouches_for(&self.generations)
            && self.fence.stands()
            && self.scopes().all(GenerationRef::is_uninterrupted)
    }

    /// Whether another fill of the key has ended since this one's lookup began: then the value
    /// may be there by now.
    pub fn was_filled(&self) -> bool {
        self.fence.was_filled()
    }

    /// Whether the value may be there by now: another fill of the key has ended since this one's
    /// lookup began, or the store has told of a change of the key.
    pub fn is_overtaken(&self) -> bool {
        // Who began to look when a fill had ended, but was not in the store yet, learns of it by
        // the push: that fill's entry in memory may be of no use because of the same.
        self.was_filled() || self.fence.heard_of_key()
    }

    /// The key being filled.
    pub fn key(&self) -> &Arc<EntryKey> {
        &self.key
    }

    /// Tells whether this fill is still current, for those who would wait for its outcome.
    pub(crate) fn watch(&self) -> FillWatch {
        let vouching = || {
            let (confirmed, tagged) = (self.is_confirmed().into(), (!self.tags.is_empty()).into());
            Arc::new(Vouching { confirmed, tagged })
        };
        FillWatch {
            fence: self.inner.fences.raise(self.key.hash, &self.key.rendered),
            generations: self.scopes().cloned().collect(),
            broken: !self.is_uninterrupted(),
            began: self.began,
            expect: self.expect.clone(),
            vouching: Arc::clone(self.vouching.get_or_init(vouching)),
            alone: self.inner.store.is_none(),
            coherence: self.inner.coherence.clone(),
        }
    }

    /// Puts the value into L1 at once, and hands back what is left to do: the write to the
    /// store, which nobody has to wait for. Drops the value if it was invalidated meanwhile.
    pub fn commit(self, value: NewEntry) -> Result<Option<PendingWrite>, Error> {
        let namespace = &self.key.namespace;
        let mut access = Accesses::begin(Operation::Fill, [&self.key]);
        access.outcome = Outcome::NotDone;
        if value.payload.len() > namespace.max_value_size {
            return Err(too_large(value.payload.len(), namespace.max_value_size));
        }
        let banned = self.fence.pass(|| ()).is_none();
        if banned || !self.is_current() || self.began.elapsed() > LONGEST_FILL {
            return Ok(None);
        }
        // What others have filled since was asked for after the write that this came of.
        if self.claimed && self.was_filled() {
            return Ok(None);
        }
        let id = fastrand::u64(1..);
        let Self { fence, generations, swept, .. } = self;
        let slot = (namespace.l1 && self.fenced).then(|| {
            // A clock may have been put back meanwhile.
            let since = self.asked_at.min(self.inner.clock.now());
            let mark = fence.noted().uncovered();
            let etag = self.etag.clone();
            new_slot(&self.key, id, value.clone(), (generations.clone(), etag), since, mark)
        });
        let stored_here = slot.is_some();
        if let Some(slot) = &slot {
            fence.pass(|| namespace.region.insert(self.key.hash, Arc::clone(slot)));
            fence.note_fill();
        }
        if stored_here || self.expect.is_some() {
            self.key.note(|counts| counts.sets.one());
            access.end(Outcome::Done);
        }
        Ok(self.expect.map(|expect| PendingWrite {
            inner: Arc::clone(&self.inner),
            key: Arc::clone(&self.key),
            generations,
            swept,
            tags: self.tags,
            etag: self.etag,
            // The store needs the bytes only.
            value: NewEntry { decoded: None, ..value },
            expect,
            id,
            fence,
            slot,
        }))
    }
}

pub(crate) fn too_large(bytes: usize, limit: usize) -> Error {
    Error::new(ErrorKind::TooLarge, format!("a value of {bytes} bytes; the limit is {limit}"))
}
