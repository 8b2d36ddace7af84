//! Space-Saving: the most frequent of a stream, in bounded memory. Pure.
//!
//! So many keys are counted. One that is not among them takes the place of the one that was counted
//! least, with its count: it may have come that often unseen. So a count is too high by no more than
//! its `error`, and what came more often than one in [`PLACES`] is always among them.
//!
//! Metwally, Agrawal, El Abbadi: Efficient Computation of Frequent and Top-k Elements in Data
//! Streams (2005).

use std::collections::HashMap;
use std::sync::Arc;

/// So many keys are counted.
pub(super) const PLACES: usize = 512;
/// After so many, all counts are halved: what counts is what is read of late.
const HALVED_AFTER: u64 = 1 << 17;

/// Counts of the most frequent keys, each with what is known of it.
#[derive(Debug)]
pub(super) struct Sketch<T> {
    places: HashMap<Arc<str>, usize>,
    counts: Vec<Count<T>>,
    /// The sum of what was counted, halved as the counts are.
    total: u64,
}

/// How often a key came.
#[derive(Debug, Clone)]
pub(super) struct Count<T> {
    pub(super) key: Arc<str>,
    pub(super) about: T,
    pub(super) hits: u64,
    /// By how much that may be too high.
    pub(super) error: u64,
}

impl<T> Default for Sketch<T> {
    fn default() -> Self {
        Self { places: HashMap::new(), counts: Vec::new(), total: 0 }
    }
}

impl<T> Sketch<T> {
    /// Counts a key; `about` is asked for what is known of it if it was not counted before.
    pub(super) fn count(&mut self, key: &Arc<str>, about: impl FnOnce() -> T) {
        self.total += 1;
        if let Some(count) = self.places.get(key).and_then(|place| self.counts.get_mut(*place)) {
            count.hits += 1;
        } else if self.counts.len() < PLACES {
            self.places.insert(Arc::clone(key), self.counts.len());
            self.counts.push(Count { key: Arc::clone(key), about: about(), hits: 1, error: 0 });
        } else {
            self.replace_least(key, about());
        }
        if self.total >= HALVED_AFTER {
            self.halve();
        }
    }

    fn replace_least(&mut self, key: &Arc<str>, about: T) {
        let places = self.counts.iter_mut().enumerate();
        let Some((place, least)) = places.min_by_key(|(_, count)| count.hits) else { return };
        self.places.remove(&least.key);
        let (hits, error) = (least.hits + 1, least.hits);
        *least = Count { key: Arc::clone(key), about, hits, error };
        self.places.insert(Arc::clone(key), place);
    }

    fn halve(&mut self) {
        self.total /= 2;
        for count in &mut self.counts {
            // Upwards, so that none that is counted looks as if it had never come.
            count.hits = count.hits.div_ceil(2);
            count.error = count.error.div_ceil(2).min(count.hits);
        }
    }

    /// The sum of what was counted.
    pub(super) fn total(&self) -> u64 {
        self.total
    }

    /// What is counted, in no order.
    pub(super) fn counts(&self) -> &[Count<T>] {
        &self.counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: usize) -> Arc<str> {
        n.to_string().into()
    }

    fn of<'s>(sketch: &'s Sketch<()>, key: &str) -> Option<&'s Count<()>> {
        sketch.counts().iter().find(|count| &*count.key == key)
    }

    #[test]
    fn what_comes_often_is_found_among_ever_new_keys_with_bounds_that_hold() {
        let mut sketch = Sketch::default();
        let often = key(1_000_000);
        for n in 0..20_000 {
            sketch.count(&key(n), || ());
            if n % 10 == 0 {
                sketch.count(&often, || ());
            }
        }
        assert_eq!((sketch.counts().len(), sketch.total()), (PLACES, 22_000));
        let found = of(&sketch, &often).unwrap();
        assert!(found.hits >= 2_000 && found.hits - found.error <= 2_000, "{found:?}");
        assert!(sketch.counts().iter().all(|count| count.error <= 22_000 / PLACES as u64));
        assert_eq!(sketch.places.len(), PLACES);
    }

    #[test]
    fn what_was_read_long_ago_makes_place() {
        let mut sketch = Sketch::default();
        for _ in 0..HALVED_AFTER - 1 {
            sketch.count(&key(1), || ());
        }
        for _ in 0..3 * HALVED_AFTER {
            sketch.count(&key(2), || ());
        }
        assert!(sketch.total() < HALVED_AFTER);
        assert!(of(&sketch, "1").unwrap().hits < HALVED_AFTER / 8);
        assert!(of(&sketch, "2").unwrap().hits > HALVED_AFTER / 4);
    }
}
