//! Errors that are remembered for a while, so that a source in trouble is left alone.

use std::sync::Arc;
use std::time::Duration;

use quick_cache::sync::Cache as QuickCache;

use crate::clock::{Deadline, Millis};
use crate::fill::{Fill, FillWatch};
use crate::l1::Shared;

/// The latest errors, by key; of this process only.
#[derive(Debug)]
pub(crate) struct Failures(QuickCache<u128, Arc<Failure>>);

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

impl Default for Failures {
    fn default() -> Self {
        Self(QuickCache::new(MOST))
    }
}

impl Failures {
    pub(super) fn remember(&self, key: u128, error: Shared, fill: FillWatch, for_ms: Millis) {
        let until = Deadline::after(Duration::from_millis(for_ms));
        // There are few; those whose time has passed must not stay until they are asked for.
        self.0.retain(|_, failure| !failure.until.has_passed());
        self.0.insert(key, Arc::new(Failure { error, until, fill }));
    }

    /// The error of the latest attempt, if that is not long ago.
    pub(super) fn get<E: Send + Sync + 'static>(&self, fill: &Fill) -> Option<Arc<E>> {
        let key = fill.key().hash();
        let failure = self.0.get(&key)?;
        if failure.until.has_passed() || !failure.fill.may_serve(fill) {
            self.0.remove(&key);
            return None;
        }
        Arc::clone(&failure.error).downcast().ok()
    }

    /// The function has succeeded.
    pub(super) fn forget(&self, key: u128) {
        if !self.0.is_empty() {
            self.0.remove(&key);
        }
    }
}
