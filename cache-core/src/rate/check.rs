//! One check: the store is asked, or this process counts.

use std::future::IntoFuture;

use xxhash_rust::xxh3::xxh3_128_with_seed;

use super::limiter::{RateLimiter, Unavailable};
use super::quota::{MAX_UNITS, Quota};
use super::verdict::{CountedBy, Verdict};
use crate::clock::Deadline;
use crate::error::Error;
use crate::key::Key;
use crate::store::BoxFuture;

/// A check that is carried out when awaited; see [`RateLimiter::check`].
#[derive(Debug)]
#[must_use = "nothing is counted until this is awaited"]
pub struct Check {
    limiter: RateLimiter,
    key: Key,
    quota: Quota,
    deadline: Option<Deadline>,
}

impl Check {
    pub(super) fn new(limiter: RateLimiter, key: Key, quota: Quota) -> Self {
        Self { limiter, key, quota, deadline: None }
    }

    /// How many units it takes: all of them, or none if they are not free. Default: one. Zero takes
    /// none, and says whether one would be allowed.
    pub fn cost(mut self, units: u64) -> Self {
        self.quota.cost = units.min(MAX_UNITS + 1);
        self
    }

    /// Until when the store may be waited for. Default: the cache's operation budget.
    pub fn deadline(mut self, deadline: Deadline) -> Self {
        self.deadline = Some(deadline);
        self
    }

    async fn run(self) -> Verdict {
        let Self { limiter, key, quota, deadline } = &self;
        let inner = &limiter.inner;
        let name = limiter.rendered(key, quota);
        let Some(store) = &inner.store else { return limiter.count_here(&name, quota, true) };
        let deadline = deadline.unwrap_or_else(|| inner.deadline());
        let fault = match store.count(&name, quota, deadline) {
            Some(counting) => match counting.await {
                Ok(counted) => {
                    limiter.note_back();
                    return Verdict::new(quota, counted, CountedBy::Store, true);
                }
                Err(error) => Some(error),
            },
            None => None,
        };
        limiter.note_away(fault.as_ref());
        match limiter.when_unavailable {
            Unavailable::CountLocally => limiter.count_here(&name, quota, false),
            Unavailable::Allow => Verdict::uncounted(quota, true),
            Unavailable::Deny => Verdict::uncounted(quota, false),
        }
    }
}

impl IntoFuture for Check {
    type Output = Verdict;
    type IntoFuture = BoxFuture<'static, Verdict>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

impl RateLimiter {
    fn count_here(&self, name: &str, quota: &Quota, confirmed: bool) -> Verdict {
        // Seeded, so that nobody outside can choose collisions.
        let hash = xxh3_128_with_seed(name.as_bytes(), self.inner.seed);
        match self.table.count(hash, quota, self.inner.clock.now()) {
            Some(counted) => Verdict::new(quota, counted, CountedBy::Process, confirmed),
            None => Verdict::uncounted(quota, self.when_unavailable != Unavailable::Deny),
        }
    }

    /// One line for each outage, and not too many of them.
    fn note_away(&self, fault: Option<&Error>) {
        if !self.table.tell_away(self.inner.clock.now()) {
            return;
        }
        let (limiter, then) = (self.name(), self.when_unavailable);
        if let Some(error) = fault {
            tracing::warn!(limiter, ?then, %error, "limits are not counted in the store");
        } else {
            tracing::warn!(limiter, ?then, "the store can't count limits");
        }
    }

    fn note_back(&self) {
        if self.table.tell_back() {
            tracing::info!(limiter = self.name(), "limits are counted in the store again");
        }
    }
}
