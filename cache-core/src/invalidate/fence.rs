//! Fences: a read or fill of one key that began before a write to it must not undo the write.
//!
//! Whoever is about to put something into L1 registers the key first. A write to the key breaks
//! the fences that stand then, under the same lock under which an insertion happens, so that an
//! insertion comes either before the write (which removes it) or not at all.
//!
//! While a sweep runs, a **ban** keeps every key that it is about from being put anywhere.

use std::collections::HashMap;
use std::fmt;
use std::hash::BuildHasherDefault;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::coherence::Coherence;
use crate::coherence::versions::Noted;
use crate::invalidate::Pattern;
use crate::l1::AlreadyHashed;

/// The keys that reads and fills in flight are about to put into L1.
pub(crate) struct Fences {
    shards: Box<[Mutex<Shard>]>,
    bans: Mutex<Vec<Pattern>>,
    /// How many bans there are, so that the usual case costs one load.
    banned: AtomicUsize,
    coherence: Option<Arc<Coherence>>,
}

type Shard = HashMap<u128, InFlight, BuildHasherDefault<AlreadyHashed>>;

struct InFlight {
    /// Counts the writes since the first of those now in flight began.
    writes: u64,
    /// Counts the fills that ended since then.
    fills: u64,
    holders: usize,
    rendered: Arc<str>,
}

/// Held by a read or fill in flight.
#[derive(Debug)]
pub(crate) struct Fence {
    fences: Arc<Fences>,
    hash: u128,
    writes: u64,
    fills: u64,
    noted: Noted,
}

/// Held while a sweep runs.
#[derive(Debug)]
pub(crate) struct Ban {
    fences: Arc<Fences>,
    pattern: Pattern,
}

const SHARDS: u32 = 64;
/// As many keys in a shard are nothing unusual.
const SMALL_SHARD: usize = 16;

impl Default for Fences {
    fn default() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            bans: Mutex::default(),
            banned: AtomicUsize::new(0),
            coherence: None,
        }
    }
}

// The keys are not told: they may be those of a sensitive namespace.
impl fmt::Debug for Fences {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fences").field("banned", &self.banned).finish_non_exhaustive()
    }
}

impl Fences {
    /// Fences that also take note of what is known of changes made elsewhere.
    pub(crate) fn beside_others(coherence: Option<&Arc<Coherence>>) -> Self {
        Self { coherence: coherence.cloned(), ..Self::default() }
    }

    fn shard(&self, hash: u128) -> Option<MutexGuard<'_, Shard>> {
        let index = usize::try_from(hash % u128::from(SHARDS)).ok()?;
        self.shards.get(index).map(lock)
    }

    /// Registers a key that is about to be read or filled.
    pub(crate) fn raise(self: &Arc<Self>, hash: u128, rendered: &Arc<str>) -> Fence {
        // Before anything is read: a change that comes later is not missed.
        let noted = self.coherence.as_ref().map(|coherence| coherence.note(rendered));
        let (mut writes, mut fills) = (0, 0);
        if let Some(mut shard) = self.shard(hash) {
            let key = shard.entry(hash).or_insert_with(|| InFlight {
                writes: 0,
                fills: 0,
                holders: 0,
                rendered: Arc::clone(rendered),
            });
            key.holders += 1;
            (writes, fills) = (key.writes, key.fills);
        }
        Fence { fences: Arc::clone(self), hash, writes, fills, noted: noted.unwrap_or_default() }
    }

    /// Breaks every fence on a key, then runs `write` before another may insert.
    pub(crate) fn break_with(&self, hash: u128, write: impl FnOnce()) {
        let Some(mut shard) = self.shard(hash) else { return };
        if let Some(key) = shard.get_mut(&hash) {
            key.writes += 1;
        }
        write();
    }

    /// Breaks the fences on all keys whose rendered name is chosen.
    pub(crate) fn break_matching(&self, chosen: impl Fn(&str) -> bool) {
        for shard in &self.shards {
            for key in lock(shard).values_mut().filter(|key| chosen(&key.rendered)) {
                key.writes += 1;
            }
        }
    }

    /// From now on, and until the ban is dropped, no key that matches passes its fence.
    pub(crate) fn ban(self: &Arc<Self>, pattern: &Pattern) -> Ban {
        let mut bans = self.bans();
        bans.push(pattern.clone());
        self.banned.store(bans.len(), Ordering::SeqCst);
        Ban { fences: Arc::clone(self), pattern: pattern.clone() }
    }

    fn is_banned(&self, rendered: &str) -> bool {
        self.banned.load(Ordering::SeqCst) > 0
            && self.bans().iter().any(|pattern| pattern.matches(rendered))
    }

    fn bans(&self) -> MutexGuard<'_, Vec<Pattern>> {
        self.bans.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps no more memory than what is in flight needs.
    pub(crate) fn give_back(&self) {
        for shard in &self.shards {
            let mut shard = lock(shard);
            let needed = shard.len().max(SMALL_SHARD) * 2;
            if shard.capacity() > needed * 2 {
                shard.shrink_to(needed);
            }
        }
    }

    /// How many keys are being read or filled.
    pub(crate) fn len(&self) -> usize {
        self.shards.iter().map(|shard| lock(shard).len()).sum()
    }
}

impl Fence {
    /// Runs `insert` if no write to the key has come since the fence was raised, and no sweep is
    /// about it.
    pub(crate) fn pass<T>(&self, insert: impl FnOnce() -> T) -> Option<T> {
        let shard = self.fences.shard(self.hash)?;
        let key = shard.get(&self.hash)?;
        (key.writes == self.writes && !self.fences.is_banned(&key.rendered)).then(insert)
    }

    /// As [`pass`](Self::pass), for a write that is done: breaks all other fences on the key, so
    /// that a read that began while the write was under way does not undo it.
    pub(crate) fn pass_and_break_others<T>(&mut self, insert: impl FnOnce() -> T) -> Option<T> {
        let mut shard = self.fences.shard(self.hash)?;
        let key = shard.get_mut(&self.hash)?;
        if key.writes != self.writes || self.fences.is_banned(&key.rendered) {
            return None;
        }
        key.writes += 1;
        self.writes = key.writes;
        Some(insert())
    }

    /// Another one, as if raised at the same moment.
    pub(crate) fn again(&self) -> Self {
        if let Some(mut shard) = self.fences.shard(self.hash)
            && let Some(key) = shard.get_mut(&self.hash)
        {
            key.holders += 1;
        }
        Self { fences: Arc::clone(&self.fences), ..*self }
    }

    /// What was known of changes made elsewhere when the fence was raised.
    pub(crate) fn noted(&self) -> Noted {
        self.noted
    }

    /// Whether a change of the key has been heard of since the fence was raised.
    pub(crate) fn heard_of_key(&self) -> bool {
        let coherence = self.fences.coherence.as_ref();
        coherence.is_some_and(|coherence| !coherence.versions.is_as_noted(self.noted))
    }

    /// Whether no write to the key has come since the fence was raised.
    pub(crate) fn stands(&self) -> bool {
        self.fences
            .shard(self.hash)
            .is_some_and(|shard| shard.get(&self.hash).is_some_and(|k| k.writes == self.writes))
    }

    /// Takes note that a fill of the key has ended, and others can find its value.
    pub(crate) fn note_fill(&self) {
        let Some(mut shard) = self.fences.shard(self.hash) else { return };
        if let Some(key) = shard.get_mut(&self.hash) {
            key.fills += 1;
        }
    }

    /// Whether a fill of the key has ended since the fence was raised.
    pub(crate) fn was_filled(&self) -> bool {
        self.fences
            .shard(self.hash)
            .is_some_and(|shard| shard.get(&self.hash).is_some_and(|k| k.fills != self.fills))
    }

    /// As [`break_others`](Self::break_others), for one that was raised long before: if it is
    /// broken already it stays so. Fills that ended up to now are not seen any more.
    pub(crate) fn break_others_if_standing(&mut self, write: impl FnOnce()) {
        let Some(mut shard) = self.fences.shard(self.hash) else { return };
        if let Some(key) = shard.get_mut(&self.hash) {
            if key.writes == self.writes {
                self.writes += 1;
            }
            key.writes += 1;
            self.fills = key.fills;
        }
        write();
    }

    /// Breaks all fences on the key but this one, running `write` before another may insert.
    pub(crate) fn break_others(&mut self, write: impl FnOnce()) {
        let Some(mut shard) = self.fences.shard(self.hash) else { return };
        if let Some(key) = shard.get_mut(&self.hash) {
            key.writes += 1;
            self.writes = key.writes;
        }
        write();
    }
}

impl Drop for Fence {
    fn drop(&mut self) {
        let Some(mut shard) = self.fences.shard(self.hash) else { return };
        if let Some(key) = shard.get_mut(&self.hash) {
            key.holders -= 1;
            if key.holders == 0 {
                shard.remove(&self.hash);
            }
        }
    }
}

impl Drop for Ban {
    fn drop(&mut self) {
        let mut bans = self.fences.bans();
        if let Some(index) = bans.iter().position(|pattern| *pattern == self.pattern) {
            bans.swap_remove(index);
        }
        self.fences.banned.store(bans.len(), Ordering::SeqCst);
    }
}

fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_stops_what_began_before_it_and_nothing_that_begins_after() {
        let fences = Arc::new(Fences::default());
        let before = fences.raise(1, &"k".into());
        let other = fences.raise(2, &"other".into());
        fences.break_with(1, || ());
        let after = fences.raise(1, &"k".into());
        assert!(!before.stands());
        assert!(after.stands());
        assert!(other.stands());
    }

    #[test]
    fn a_writer_keeps_its_own_fence_unless_another_writes_too() {
        let fences = Arc::new(Fences::default());
        let reader = fences.raise(1, &"k".into());
        let mut writer = fences.raise(1, &"k".into());
        writer.break_others(|| ());
        assert!(writer.stands() && !reader.stands());
        fences.break_with(1, || ());
        assert!(!writer.stands());
    }

    #[test]
    fn what_was_broken_by_another_is_not_mended_by_breaking_others() {
        let fences = Arc::new(Fences::default());
        let mut first = fences.raise(1, &"k".into());
        let mut second = fences.raise(1, &"k".into());
        first.note_fill();
        first.break_others_if_standing(|| ());
        first.break_others_if_standing(|| ());
        assert!(first.stands() && !first.was_filled() && !second.stands());
        second.break_others_if_standing(|| ());
        assert!(!second.stands() && !first.stands());
    }

    #[test]
    fn one_that_is_raised_again_is_broken_by_what_came_between() {
        let fences = Arc::new(Fences::default());
        let first = fences.raise(1, &"k".into());
        fences.break_with(1, || ());
        let again = first.again();
        drop(first);
        assert!(!again.stands() && fences.raise(1, &"k".into()).stands());
        drop(again);
        assert_eq!(fences.len(), 0);
    }

    #[test]
    fn a_sweep_stops_what_matches() {
        let fences = Arc::new(Fences::default());
        let (a, b) = (fences.raise(1, &"a:1".into()), fences.raise(2, &"b:1".into()));
        fences.break_matching(|key| key.starts_with("a:"));
        assert!(!a.stands() && b.stands());
    }

    #[test]
    fn a_write_that_is_done_stops_what_began_while_it_was_under_way() {
        let fences = Arc::new(Fences::default());
        let mut writer = fences.raise(1, &"k".into());
        writer.break_others(|| ());
        let reader = fences.raise(1, &"k".into());
        assert_eq!(writer.pass_and_break_others(|| "inserted"), Some("inserted"));
        assert!(writer.stands() && !reader.stands());
        fences.break_with(1, || ());
        assert_eq!(writer.pass_and_break_others(|| ()), None);
    }

    #[test]
    fn while_a_ban_holds_nothing_passes_and_all_may_wait_for_it() {
        let fences = Arc::new(Fences::default());
        let (ban, other) = (fences.ban(&Pattern::new("a:*")), fences.ban(&Pattern::new("a:*")));
        let (a, b) = (fences.raise(1, &"a:1".into()), fences.raise(2, &"b:1".into()));
        assert!(a.pass(|| ()).is_none() && a.stands());
        assert!(b.pass(|| ()).is_some());
        drop(ban);
        assert!(a.pass(|| ()).is_none());
        drop(other);
        assert!(a.pass(|| ()).is_some());
    }

    #[test]
    fn a_fill_that_ended_is_seen_by_those_who_began_before_it() {
        let fences = Arc::new(Fences::default());
        let (filler, before) = (fences.raise(1, &"k".into()), fences.raise(1, &"k".into()));
        filler.note_fill();
        let after = fences.raise(1, &"k".into());
        assert!(before.was_filled() && !after.was_filled());
        assert!(before.stands());
    }

    #[test]
    fn nothing_is_left_when_nothing_is_in_flight() {
        let fences = Arc::new(Fences::default());
        let held: Vec<_> = (0..100).map(|n| fences.raise(n / 2, &"k".into())).collect();
        assert_eq!(fences.len(), 50);
        drop(held);
        assert_eq!(fences.len(), 0);
    }

    #[test]
    fn what_was_needed_at_the_busiest_moment_is_given_back() {
        let fences = Arc::new(Fences::default());
        let held: Vec<_> = (0..100_000).map(|n| fences.raise(n, &"k".into())).collect();
        let capacity = || fences.shards.iter().map(|shard| lock(shard).capacity()).sum::<usize>();
        fences.give_back();
        assert!(capacity() >= 100_000);
        drop(held);
        fences.give_back();
        assert!(capacity() <= 64 * SMALL_SHARD * 4, "{}", capacity());
        assert!(fences.raise(1, &"k".into()).stands());
    }
}
