//! Which keys hold large values, as far as is remembered: a few thousand, in a few bytes each.
//!
//! A key that is taken for another one goes the slower way once, and is known better then.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use xxhash_rust::xxh3::xxh3_64;

const PLACES: usize = 4096;

/// A hash of each, at the place that the hash says; the last one there is remembered.
#[derive(Debug)]
pub(super) struct LargeKeys {
    hashes: Box<[AtomicU64]>,
    /// Whether there was ever one: most applications have none, and pay for none.
    any: AtomicBool,
}

impl Default for LargeKeys {
    fn default() -> Self {
        let hashes = (0..PLACES).map(|_| AtomicU64::new(0)).collect();
        Self { hashes, any: AtomicBool::new(false) }
    }
}

impl LargeKeys {
    pub(super) fn is_empty(&self) -> bool {
        !self.any.load(Ordering::Relaxed)
    }

    pub(super) fn has(&self, key: &str) -> bool {
        let hash = xxh3_64(key.as_bytes());
        self.place(hash).is_some_and(|place| place.load(Ordering::Relaxed) == hash)
    }

    /// What a key holds now is large, or is not.
    pub(super) fn note(&self, key: &str, is_large: bool) {
        if !is_large && self.is_empty() {
            return;
        }
        let hash = xxh3_64(key.as_bytes());
        let Some(place) = self.place(hash) else { return };
        if is_large {
            place.store(hash, Ordering::Relaxed);
            self.any.store(true, Ordering::Relaxed);
        } else {
            let _ = place.compare_exchange(hash, 0, Ordering::Relaxed, Ordering::Relaxed);
        }
    }

    fn place(&self, hash: u64) -> Option<&AtomicU64> {
        let place = usize::try_from(hash % PLACES as u64).ok()?;
        self.hashes.get(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_large_is_remembered_until_it_is_not() {
        let keys = LargeKeys::default();
        keys.note("small", false);
        assert!(keys.is_empty() && !keys.has("small"));
        keys.note("large", true);
        keys.note("small", false);
        assert!(keys.has("large") && !keys.has("small") && !keys.is_empty());
        keys.note("large", false);
        assert!(!keys.has("large"));
    }

    #[test]
    fn any_number_of_keys_takes_no_more_room() {
        let keys = LargeKeys::default();
        for n in 0..3 * PLACES {
            keys.note(&n.to_string(), true);
        }
        let known = (0..3 * PLACES).filter(|n| keys.has(&n.to_string())).count();
        assert!((PLACES / 2..=PLACES).contains(&known), "{known}");
    }
}
