//! How many requests met which decision, word for word. Hits are counted elsewhere: they take no
//! lock.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::report::status::{Decision, HttpStats};

/// What is told of a decision: the result, its words, its detail.
pub(super) type Told = (&'static str, String, &'static str);

#[derive(Debug, Default)]
pub(crate) struct Decisions(Mutex<HashMap<Decision, u64>>);

impl Decisions {
    pub(crate) fn count(&self, decision: Decision) {
        if decision == Decision::Hit {
            return;
        }
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry(decision).or_default() += 1;
    }

    /// All that have been met. `stats` has to be taken before.
    pub(super) fn snapshot(&self, stats: HttpStats) -> HashMap<Told, u64> {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let stale_hits = counts.get(&Decision::StaleHit).copied().unwrap_or_default();
        let hits = (Decision::Hit, stats.hits.saturating_sub(stale_hits));
        let mut told: HashMap<Told, u64> = HashMap::new();
        for (decision, count) in counts.into_iter().chain([hits]) {
            // Two decisions may be told by the same words.
            *told.entry(decision.told()).or_default() += count;
        }
        told
    }
}
