//! What this process counts itself: a bounded table for each limiter.
//!
//! Keys are kept as seeded hashes of 128 bits, so that long ones take no more room than others. Each
//! key that is new makes room first: a hand goes round, a few places further each time, and removes
//! what has ended.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use super::quota::{Counted, Quota, State};
use crate::clock::Millis;

/// How many keys of one limiter this process counts itself: where there is no store, or it is away.
/// With those that have ended it is some 5 MB. What comes beyond is decided as
/// [`Unavailable`](super::Unavailable) says.
pub const MAX_COUNTED_KEYS: usize = 65_536;

const SHARDS: usize = 16;
/// In milliseconds: a store that is too slow now and then is no news each time.
const TELL_EVERY: Millis = 10_000;
/// How many places the hand looks at for each new key.
const STEPS: usize = 8;
/// Of so many limiters each has a table of its own; the others share one.
const MAX_LIMITERS: usize = 256;

/// The tables of a cache's limiters, by name.
#[derive(Debug, Default)]
pub(crate) struct Tables(RwLock<HashMap<String, Arc<Table>>>);

impl Tables {
    pub(super) fn of(&self, name: &str) -> Arc<Table> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(table) = known.get(name) {
            return Arc::clone(table);
        }
        drop(known);
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let name = if known.len() < MAX_LIMITERS { name } else { "" };
        Arc::clone(known.entry(name.to_owned()).or_default())
    }
}

/// What is counted of one limiter's keys.
#[derive(Debug)]
pub(super) struct Table {
    shards: Box<[Mutex<Shard>]>,
    /// Whether it was said that the store can't be asked.
    told: AtomicBool,
    /// When it last was.
    told_at: AtomicU64,
}

#[derive(Debug, Default)]
struct Shard {
    kept: HashMap<u128, Kept>,
    /// All keys, for the hand.
    ring: Vec<u128>,
    hand: usize,
}

#[derive(Debug, Clone, Copy)]
struct Kept {
    state: State,
    /// When it is as good as none.
    until: Millis,
}

impl Default for Table {
    fn default() -> Self {
        let shards = (0..SHARDS).map(|_| Mutex::default()).collect();
        Self { shards, told: AtomicBool::new(false), told_at: AtomicU64::new(0) }
    }
}

impl Table {
    /// Counts a use; `None` if the key is new and there is no place for it.
    pub(super) fn count(&self, key: u128, quota: &Quota, now: Millis) -> Option<Counted> {
        // The hash is spread evenly, so its lowest bits are as good as any.
        let shard = usize::try_from(key % SHARDS as u128).ok()?;
        let mut shard = self.shards.get(shard)?.lock().unwrap_or_else(PoisonError::into_inner);
        let found = shard.kept.get(&key).copied();
        let (counted, next) = quota.step(found.map(|kept| kept.state), now);
        if let Some(state) = next {
            if found.is_none() && !shard.make_room(key, now) {
                return None;
            }
            let until = now.saturating_add(quota.ends_in(&state, now));
            shard.kept.insert(key, Kept { state, until });
        }
        Some(counted)
    }

    /// How many keys it holds.
    #[cfg(test)]
    fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().unwrap().kept.len()).sum()
    }

    /// Whether this is the first to say so since it was well, and it was not just said.
    pub(super) fn tell_away(&self, now: Millis) -> bool {
        let said = self.told_at.load(Ordering::Relaxed);
        let first = now.abs_diff(said) >= TELL_EVERY && !self.told.swap(true, Ordering::Relaxed);
        if first {
            self.told_at.store(now, Ordering::Relaxed);
        }
        first
    }

    /// Whether this is the first to say so since it was away.
    pub(super) fn tell_back(&self) -> bool {
        self.told.load(Ordering::Relaxed) && self.told.swap(false, Ordering::Relaxed)
    }
}

impl Shard {
    /// A place for a new key; false if there is none.
    fn make_room(&mut self, key: u128, now: Millis) -> bool {
        for _ in 0..STEPS {
            let Some(old) = self.ring.get(self.hand) else {
                self.hand = 0;
                continue;
            };
            if self.kept.get(old).is_none_or(|kept| kept.until <= now) {
                self.kept.remove(old);
                self.ring.swap_remove(self.hand);
            } else {
                self.hand += 1;
            }
        }
        let room = self.ring.len() < MAX_COUNTED_KEYS / SHARDS;
        if room {
            self.ring.push(key);
        }
        room
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rate::quota::Algorithm;

    fn quota() -> Quota {
        Quota::new(Algorithm::FixedWindow, 1, 60_000, None, 1)
    }

    #[test]
    fn it_never_holds_more_than_it_may_and_those_it_holds_are_counted_on() {
        let table = Table::default();
        let counted = |key: usize, now| table.count(key as u128, &quota(), now);
        for key in 0..3 * MAX_COUNTED_KEYS {
            let counted = counted(key, 0);
            assert_eq!(counted.is_some(), key < MAX_COUNTED_KEYS, "{key}");
        }
        assert_eq!(table.len(), MAX_COUNTED_KEYS);
        assert!(!counted(0, 59_999).unwrap().allowed, "flooded away");
        // What has ended makes room.
        for key in MAX_COUNTED_KEYS..2 * MAX_COUNTED_KEYS {
            assert!(counted(key, 60_000).unwrap().allowed, "{key}");
        }
        assert_eq!(table.len(), MAX_COUNTED_KEYS);
    }

    #[test]
    fn who_only_looks_or_is_refused_takes_no_place() {
        let table = Table::default();
        let look = Quota { cost: 0, ..quota() };
        let refused = Quota { limit: 0, ..quota() };
        for key in 0..100 {
            assert!(table.count(key, &look, 0).unwrap().allowed);
            assert!(!table.count(key, &refused, 0).unwrap().allowed);
        }
        assert_eq!(table.len(), 0);
    }

    #[test]
    fn an_outage_is_told_once_and_not_too_often() {
        let (table, now) = (Table::default(), 1_700_000_000_000);
        assert!(!table.tell_back());
        assert!(table.tell_away(now) && !table.tell_away(now + 60_000));
        assert!(table.tell_back() && !table.tell_back());
        assert!(table.tell_away(now + 60_000) && table.tell_back());
        assert!(!table.tell_away(now + 61_000) && !table.tell_back(), "just said");
        assert!(table.tell_away(now + 70_000));
    }

    #[test]
    fn limiters_have_tables_of_their_own_up_to_a_number() {
        let tables = Tables::default();
        let same = |a: &str, b: &str| Arc::ptr_eq(&tables.of(a), &tables.of(b));
        assert!(same("a", "a") && !same("a", "b"));
        for n in 0..2 * MAX_LIMITERS {
            tables.of(&n.to_string());
        }
        assert!(same("beyond", "others") && same("a", "a") && !same("a", "beyond"));
    }
}
