//! The end of a removal: counted, told, and what is not confirmed queued.

use super::{Removals, UnderWay};
use crate::happenings::InvalidationOutcome;
use crate::invalidate::replay;
use crate::stats::{StoreOperation, micros};

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        let pending = self.pending();
        if !self.refused {
            for key in &self.removals.keys {
                key.note(|counts| counts.deletes.one());
            }
        }
        let counters = &self.inner.invalidations;
        if self.removals.is_empty() {
            return;
        }
        let outcome = if self.refused {
            counters.failed.one();
            InvalidationOutcome::Failed
        } else if pending.is_empty() {
            counters.complete.one();
            InvalidationOutcome::Complete
        } else {
            counters.queued.one();
            InvalidationOutcome::Queued
        };
        let replay = !pending.is_empty();
        self.inner.unconfirmed.add(pending, self.inner.clock.now());
        // A read that began before the removal, or before it was known not to be confirmed, may
        // have learnt the old id, or have put the old entry into L1, since.
        self.take_effect_here();
        for sweep in self.removals.sweeps.iter().filter(|sweep| !sweep.done) {
            sweep.namespace.cell.invalidate();
        }
        if replay {
            replay::ensure(self.inner);
        }
        let Removals { told, keys, softly, generations, sweeps, .. } = &mut self.removals;
        let took = self.began.elapsed();
        self.inner.operations.ended(StoreOperation::Invalidate, took, !self.refused);
        let scopes = generations.len() + sweeps.len();
        tracing::debug!(
            target: "cache_core",
            keys = keys.len(),
            scopes,
            outcome = outcome.as_str(),
            soft = softly,
            took_us = micros(took),
            "invalidated"
        );
        let keys = keys.iter().map(|key| &**key);
        self.inner.tell_invalidated(told, keys, outcome, *softly, took);
    }
}
