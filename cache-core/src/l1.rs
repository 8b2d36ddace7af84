//! L1: entries in this process' memory, decoded, bounded by bytes.
//!
//! Looked up synchronously by a seeded 128-bit hash of the key; a hit compares the whole key, and
//! loads one number for each scope that the entry stands under. Not a [`Store`](crate::Store):
//! it holds no bytes for others, and with no Redis it is all there is.

use std::any::Any;
use std::cell::RefCell;
use std::hash::{BuildHasherDefault, Hasher};
use std::mem::size_of;
use std::sync::Arc;

use bytes::Bytes;
use quick_cache::OptionsBuilder;
use quick_cache::sync::Cache as QuickCache;

use crate::clock::Millis;
use crate::codec::Format;
use crate::coherence::Coherence;
use crate::coherence::versions::Mark;
use crate::entry::EntryTimes;
use crate::evictions::Evictions;
use crate::invalidate::generation::{GenerationRef, GenerationRefs, Standing};
use crate::stats::Counters;

/// A value made from an entry's payload once, shared by all hits.
pub type Shared = Arc<dyn Any + Send + Sync>;

/// An entry in memory.
#[derive(Clone)]
pub struct Slot {
    /// Number of the namespace within this cache.
    pub(crate) namespace: u32,
    pub(crate) identity: Bytes,
    /// The key in the store.
    pub(crate) rendered: Arc<str>,
    /// What is counted of the workspace that the key names.
    pub(crate) workspace: Option<Arc<Counters>>,
    pub(crate) id: u64,
    pub(crate) times: EntryTimes,
    /// From when L1 counts.
    pub(crate) since: Millis,
    /// Until when L1 answers without asking the store, and without a proof that nothing changed.
    pub(crate) young_until: Millis,
    /// Until when L1 answers at most.
    pub(crate) l1_until: Millis,
    /// What was known of changes before the entry was read or filled.
    pub(crate) mark: Mark,
    pub(crate) generations: GenerationRefs,
    pub(crate) format: Format,
    pub(crate) payload: Bytes,
    pub(crate) etag: Option<Box<str>>,
    pub(crate) decoded: Option<Shared>,
    pub(crate) weight: u64,
}

impl Slot {
    /// When the value was written, and until when it answers: as it stands at `now`, if it has been
    /// invalidated softly since.
    pub fn times_at(&self, now: Millis) -> EntryTimes {
        match Standing::of(&self.generations) {
            Standing::Current => self.times,
            Standing::Stale(at) => self.times.stale_since(at, now),
            Standing::Invalid => self.times.stale_since(0, now),
        }
    }

    /// Since when it is stale by the cache's own word: because it has been invalidated softly, or
    /// was never fresh.
    pub fn stale_since(&self) -> Option<Millis> {
        let by_itself = self.times.is_born_stale().then_some(self.times.fresh_until);
        match Standing::of(&self.generations) {
            Standing::Current => by_itself,
            Standing::Stale(at) => Some(by_itself.map_or(at, |since| since.min(at))),
            // Since it was looked up. Whether it was stale before, it does not tell any more.
            Standing::Invalid => Some(0),
        }
    }

    /// The key in the store.
    pub fn rendered_key(&self) -> &str {
        &self.rendered
    }

    /// The serialized value.
    pub fn payload(&self) -> &Bytes {
        &self.payload
    }

    /// The decoded value, if it was decoded to this type.
    pub fn decoded<T: Any>(&self) -> Option<&T> {
        self.decoded.as_ref()?.downcast_ref()
    }

    /// The decoded value, to be kept.
    pub fn shared<T: Any + Send + Sync>(&self) -> Option<Arc<T>> {
        Arc::clone(self.decoded.as_ref()?).downcast().ok()
    }

    /// Whether none of its scopes has been invalidated, other than softly, since the fill began.
    pub fn is_current(&self) -> bool {
        Standing::of(&self.generations) != Standing::Invalid
    }

    /// Whether it answers at `now`, as it stands then.
    #[inline]
    pub(crate) fn is_fresh(&self, now: Millis) -> bool {
        self.times_at(now).is_fresh(now)
    }

    /// Whether it is of any use at `now`.
    #[inline]
    pub(crate) fn is_alive(&self, now: Millis) -> bool {
        match Standing::of(&self.generations) {
            Standing::Current => self.times.is_alive(now),
            Standing::Stale(at) => self.times.stale_since(at, now).is_alive(now),
            Standing::Invalid => false,
        }
    }

    /// Whether one write has made both.
    pub fn is_of_the_same_write(&self, other: &Self) -> bool {
        self.id == other.id
    }

    /// What the slot costs: key, value, decoded value and bookkeeping.
    pub(crate) fn weigh(&mut self, decoded: usize) {
        let spilled = if self.generations.spilled() {
            self.generations.capacity() * size_of::<GenerationRef>()
        } else {
            0
        };
        // The first two scopes, everything and the namespace, are there anyway.
        let scopes: usize = self
            .generations
            .iter()
            .skip(2)
            .map(|scope| SCOPE_OVERHEAD + scope.cell.name.len())
            .sum();
        let bytes = size_of::<Self>()
            + TABLE_OVERHEAD
            // Once in the key, and once in the stored bytes that the payload is a slice of.
            + 2 * self.identity.len()
            + self.rendered.len()
            + self.payload.len()
            + self.etag.as_ref().map_or(0, |etag| etag.len())
            + spilled
            + scopes
            + decoded;
        self.weight = bytes as u64;
    }
}

// The key is not told: it may be one of a sensitive namespace.
impl std::fmt::Debug for Slot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Slot")
            .field("id", &self.id)
            .field("times", &self.times)
            .field("bytes", &self.payload.len())
            .finish_non_exhaustive()
    }
}

/// What an entry costs in the table itself: hash, links, counters, allocator slack.
const TABLE_OVERHEAD: usize = 128;
/// What a scope costs that is known because entries stand under it.
const SCOPE_OVERHEAD: usize = 192;

/// An entry may be from after `now`, which its reader has taken a moment ago. From later than that,
/// the clock has been put back, and who knows how old it is.
const BEHIND: Millis = 100;

/// A share of the memory, with a bound of its own.
#[derive(Debug)]
pub(crate) struct Region {
    slots: QuickCache<u128, Arc<Slot>, Weigher, BuildHasherDefault<AlreadyHashed>, Evictions>,
    evictions: Evictions,
    /// `None`: nobody else changes anything.
    coherence: Option<Arc<Coherence>>,
}

#[derive(Debug, Clone)]
struct Weigher {
    /// So that no more entries fit than `max_entries` says.
    least: u64,
}

impl quick_cache::Weighter<u128, Arc<Slot>> for Weigher {
    fn weight(&self, _: &u128, slot: &Arc<Slot>) -> u64 {
        slot.weight.max(self.least)
    }
}

impl Region {
    /// At most `bytes`, and at most `max_entries` if given; entries of up to `largest` bytes fit.
    pub(crate) fn new(bytes: u64, max_entries: Option<usize>, largest: u64) -> Self {
        let (least, bytes) = match max_entries {
            // Each entry weighs so much that `max` of them fit, with room to spare for their
            // turnover, and one more does not.
            Some(max) => {
                let max = max.max(1) as u64;
                let least = (bytes / max.saturating_add(1)).max(1);
                (least, least.saturating_mul(max).saturating_add(least - 1).min(bytes))
            }
            None => (1, bytes),
        };
        // An entry has to fit the hot part of one shard, beside others.
        let shards = match max_entries {
            Some(_) => 1,
            None => (bytes / largest.max(1).saturating_mul(4)).clamp(1, MAX_SHARDS),
        };
        let options = OptionsBuilder::new()
            .shards(usize::try_from(shards).unwrap_or(1))
            .estimated_items_capacity(
                usize::try_from(bytes / least.max(TYPICAL_ENTRY)).unwrap_or(usize::MAX).max(1),
            )
            .weight_capacity(bytes)
            .build();
        let weigher = Weigher { least };
        let (hasher, evictions) = (BuildHasherDefault::default(), Evictions::default());
        let slots = match options {
            Ok(options) => QuickCache::with_options(options, weigher, hasher, evictions.clone()),
            // Only missing options are refused, and both are given.
            Err(_) => QuickCache::with(1, bytes, weigher, hasher, evictions.clone()),
        };
        Self { slots, evictions, coherence: None }
    }

    /// Beside a store that others write to.
    pub(crate) fn beside_others(mut self, coherence: Option<&Arc<Coherence>>) -> Self {
        self.coherence = coherence.cloned();
        self
    }

    /// The slot of a key, if it is this key's, valid and fresh enough to be of use.
    pub(crate) fn get(
        &self,
        hash: u128,
        namespace: u32,
        identity: &[u8],
        now: Millis,
    ) -> Option<Arc<Slot>> {
        let slot = self.slots.get(&hash)?;
        if slot.namespace != namespace || slot.identity != identity {
            return None;
        }
        let in_its_time = slot.since <= now.saturating_add(BEHIND) && now < slot.l1_until;
        if in_its_time && slot.is_alive(now) {
            // What is suspect stays: it may turn out to be true.
            return self.vouch_for(&slot, now).then_some(slot);
        }
        self.remove_exactly(hash, &slot);
        None
    }

    fn vouch_for(&self, slot: &Slot, now: Millis) -> bool {
        let is_young = now < slot.young_until;
        match &self.coherence {
            Some(coherence) => coherence.vouches_for(&slot.mark, is_young),
            None => is_young,
        }
    }

    pub(crate) fn insert(&self, hash: u128, slot: Arc<Slot>) {
        self.slots.insert(hash, slot);
    }

    pub(crate) fn remove(&self, hash: u128) {
        self.slots.remove(&hash);
    }

    /// Removes this slot, but not one that has taken its place.
    fn remove_exactly(&self, hash: u128, slot: &Arc<Slot>) {
        self.slots.remove_if(&hash, |found| Arc::ptr_eq(found, slot));
    }

    /// Removes what one write put here, if it is still there.
    pub(crate) fn remove_write(&self, hash: u128, id: u64) {
        self.slots.remove_if(&hash, |found| found.id == id);
    }

    /// Removes the slots that are chosen.
    pub(crate) fn remove_where(&self, chosen: impl FnMut(&Slot) -> bool) {
        let chosen = RefCell::new(chosen);
        self.slots.retain(|_, slot| !chosen.borrow_mut()(slot));
    }

    /// The slot of a key by its name in the store, of use or not. Goes through all there are.
    pub(crate) fn find_rendered(&self, key: &str) -> Option<Arc<Slot>> {
        self.slots.iter().find(|(_, slot)| &*slot.rendered == key).map(|(_, slot)| slot)
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    /// How many went to make room for others.
    pub(crate) fn evictions(&self) -> u64 {
        self.evictions.count()
    }

    pub(crate) fn capacity(&self) -> u64 {
        self.slots.capacity()
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.slots.weight()
    }
}

const MAX_SHARDS: u64 = 32;
const TYPICAL_ENTRY: u64 = 1024;

/// Keys are good hashes already.
#[derive(Debug, Default)]
pub(crate) struct AlreadyHashed(u64);

impl Hasher for AlreadyHashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(byte);
        }
    }

    #[allow(clippy::cast_possible_truncation, reason = "half of a 128-bit hash is a 64-bit hash")]
    fn write_u128(&mut self, hash: u128) {
        self.0 = hash as u64;
    }
}

#[cfg(test)]
pub(crate) mod tests;
