//! Fences: a read or fill of one key that began before a write to it must not undo the write.
//!
//! Whoever is about to put something into L1 registers the key first. A write to the key breaks
//! the fences that stand then, under the same lock under which an insertion happens, so that an
//! insertion comes either before the write (which removes it) or not at all.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The keys that reads and fills in flight are about to put into L1.
#[derive(Debug)]
pub(crate) struct Fences {
    shards: Box<[Mutex<Shard>]>,
}

type Shard = HashMap<u128, InFlight>;

#[derive(Debug)]
struct InFlight {
    /// Counts the writes since the first of those now in flight began.
    writes: u64,
    holders: usize,
    rendered: Arc<str>,
}

/// Held by a read or fill in flight.
#[derive(Debug)]
pub(crate) struct Fence {
    fences: Arc<Fences>,
    hash: u128,
    writes: u64,
}

const SHARDS: u32 = 64;

impl Default for Fences {
    fn default() -> Self {
        Self { shards: (0..SHARDS).map(|_| Mutex::default()).collect() }
    }
}

impl Fences {
    fn shard(&self, hash: u128) -> Option<MutexGuard<'_, Shard>> {
        let index = usize::try_from(hash % u128::from(SHARDS)).ok()?;
        self.shards.get(index).map(lock)
    }

    /// Registers a key that is about to be read or filled.
    pub(crate) fn raise(self: &Arc<Self>, hash: u128, rendered: &Arc<str>) -> Fence {
        let mut writes = 0;
        if let Some(mut shard) = self.shard(hash) {
            let key = shard.entry(hash).or_insert_with(|| InFlight {
                writes: 0,
                holders: 0,
                rendered: Arc::clone(rendered),
            });
            key.holders += 1;
            writes = key.writes;
        }
        Fence { fences: Arc::clone(self), hash, writes }
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

    /// How many keys are being read or filled.
    pub(crate) fn len(&self) -> usize {
        self.shards.iter().map(|shard| lock(shard).len()).sum()
    }
}

impl Fence {
    /// Runs `insert` if no write to the key has come since the fence was raised.
    pub(crate) fn pass<T>(&self, insert: impl FnOnce() -> T) -> Option<T> {
        let shard = self.fences.shard(self.hash)?;
        (shard.get(&self.hash)?.writes == self.writes).then(insert)
    }

    /// Whether no write to the key has come since the fence was raised.
    pub(crate) fn stands(&self) -> bool {
        self.pass(|| ()).is_some()
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
    fn a_sweep_stops_what_matches() {
        let fences = Arc::new(Fences::default());
        let (a, b) = (fences.raise(1, &"a:1".into()), fences.raise(2, &"b:1".into()));
        fences.break_matching(|key| key.starts_with("a:"));
        assert!(!a.stands() && b.stands());
    }

    #[test]
    fn nothing_is_left_when_nothing_is_in_flight() {
        let fences = Arc::new(Fences::default());
        let held: Vec<_> = (0..100).map(|n| fences.raise(n / 2, &"k".into())).collect();
        assert_eq!(fences.len(), 50);
        drop(held);
        assert_eq!(fences.len(), 0);
    }
}
