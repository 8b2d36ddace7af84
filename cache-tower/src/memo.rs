//! Small bounded tables of what was learnt lately. Losing an entry costs time, never correctness.

use std::sync::Arc;

use cache_core::Millis;
use quick_cache::sync::Cache;

/// Remembers values by hash, each until a point in time; the least used go first.
#[derive(Debug)]
pub(crate) struct Memo<T> {
    known: Cache<u128, Arc<(T, Millis)>>,
}

impl<T: Clone> Memo<T> {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { known: Cache::new(capacity) }
    }

    /// What is remembered at `now`.
    pub(crate) fn get(&self, hash: u128, now: Millis) -> Option<T> {
        if self.known.is_empty() {
            return None;
        }
        let known = self.known.get(&hash)?;
        (now < known.1).then(|| known.0.clone())
    }

    pub(crate) fn remember(&self, hash: u128, value: T, until: Millis) {
        self.known.insert(hash, Arc::new((value, until)));
    }

    pub(crate) fn forget(&self, hash: u128) {
        self.known.remove(&hash);
    }
}
