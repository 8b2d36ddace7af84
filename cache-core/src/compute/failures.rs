//! Errors that are remembered for a while, so that a source in trouble is left alone.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use quick_cache::sync::Cache as QuickCache;

use crate::clock::{Deadline, Millis};
use crate::fill::{Fill, FillWatch};
use crate::l1::Shared;

/// The latest errors, by key; of this process only.
#[derive(Debug)]
pub(crate) struct Failures {
    latest: QuickCache<u128, Arc<Failure>>,
    /// When those whose time has passed are next looked for.
    tidy_at: Mutex<Deadline>,
}

#[derive(Debug)]
struct Failure {
    /// An `Arc<E>`.
    error: Shared,
    until: Deadline,
    /// What has been invalidated since is computed anew.
    fill: FillWatch,
}

/// So many are remembered.
const MOST: usize = 1024;
const TIDY_EVERY: Duration = Duration::from_secs(1);

impl Default for Failures {
    fn default() -> Self {
        let tidy_at = Mutex::new(Deadline::after(TIDY_EVERY));
        Self { latest: QuickCache::new(MOST), tidy_at }
    }
}

impl Failures {
    pub(super) fn remember(&self, key: u128, error: Shared, fill: FillWatch, for_ms: Millis) {
        let until = Deadline::after(Duration::from_millis(for_ms));
        let is_time = {
            let mut tidy_at = self.tidy_at.lock().unwrap_or_else(PoisonError::into_inner);
            let passed = tidy_at.has_passed();
            if passed {
                *tidy_at = Deadline::after(TIDY_EVERY);
            }
            passed
        };
        if is_time {
            self.tidy();
        }
        self.latest.insert(key, Arc::new(Failure { error, until, fill }));
    }

    /// Those whose time has passed must not stay until they are asked for: each holds on to its key.
    pub(crate) fn tidy(&self) {
        self.latest.retain(|_, failure| !failure.until.has_passed());
    }

    /// The error of the latest attempt, if that is not long ago.
    pub(super) fn get<E: Send + Sync + 'static>(&self, fill: &Fill) -> Option<Arc<E>> {
        let key = fill.key().hash();
        let failure = self.latest.get(&key)?;
        if failure.until.has_passed() || !failure.fill.may_serve(fill) {
            self.latest.remove(&key);
            return None;
        }
        Arc::clone(&failure.error).downcast().ok()
    }

    /// The function has succeeded.
    pub(super) fn forget(&self, key: u128) {
        if !self.latest.is_empty() {
            self.latest.remove(&key);
        }
    }
}
