//! A rest for early refreshes that come to nothing.

use std::sync::Arc;
use std::time::Duration;

use quick_cache::sync::Cache as QuickCache;

use crate::clock::{Millis, as_millis};
use crate::l1::Slot;
use crate::state::{EntryKey, Inner};

/// The keys whose values are due, and could not be computed anew a moment ago: by when it is tried
/// again. Those who come until then are given what is still fresh, and do not each try in turn.
#[derive(Debug)]
pub(crate) struct Resting(QuickCache<u128, Millis>);

/// Held while a value is computed anew before its end. Whoever fails, gives up or goes away leaves a
/// rest behind.
#[derive(Debug)]
pub(super) struct Attempt {
    inner: Arc<Inner>,
    key: Arc<EntryKey>,
    rest: Millis,
}

/// So many are remembered.
const MOST: usize = 1024;
/// No rest is longer.
const LONGEST: Duration = Duration::from_secs(1);

impl Default for Resting {
    fn default() -> Self {
        Self(QuickCache::new(MOST))
    }
}

impl Resting {
    pub(super) fn has(&self, key: u128, now: Millis) -> bool {
        let is_ahead = |until: Millis| until > now && until - now <= as_millis(LONGEST);
        !self.0.is_empty() && self.0.get(&key).is_some_and(is_ahead)
    }
}

impl Attempt {
    /// To compute anew what is in this slot.
    pub(super) fn new(inner: &Arc<Inner>, key: &Arc<EntryKey>, slot: Option<&Slot>) -> Self {
        let whole = |slot: &Slot| slot.times.fresh_until.saturating_sub(slot.times.created);
        let rest = slot.map_or(0, whole) / 8;
        let rest = rest.min(as_millis(LONGEST));
        Self { inner: Arc::clone(inner), key: Arc::clone(key), rest }
    }

    pub(super) fn succeeded(mut self) {
        self.rest = 0;
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        let (resting, key) = (&self.inner.resting.0, self.key.hash);
        if self.rest > 0 {
            resting.insert(key, self.inner.clock.now().saturating_add(self.rest));
        } else if !resting.is_empty() {
            resting.remove(&key);
        }
    }
}
