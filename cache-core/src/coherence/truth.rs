//! Truth in time: until when it is proven that nothing was missed, and why it is not.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Serialize;

use super::versions::NO_ERA;
use super::{COHERENCE_BOUND, COHERENCE_TYPICAL};
use crate::clock::{Millis, Steady, Stopwatch, as_millis};

/// How this process learns of what others change.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum CoherenceMode {
    /// There are no others: entries are kept in this process' memory only.
    Memory,
    /// The store pushes every change, and proves each second that none was missed.
    Tracking,
    /// Those who change something publish it. Not all may do so, so the short L1 TTL holds.
    PubSub,
    /// It does not: the short L1 TTL is all there is.
    #[default]
    Ttl,
}

/// How true this process' memory is to the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CoherenceHealth {
    /// How changes are learnt of. `ttl` also until the store is used for the first time.
    pub mode: CoherenceMode,
    /// Whether it is proven that no change was missed: entries in memory answer without asking.
    pub proven: bool,
    /// Since when without a gap, in unix milliseconds.
    pub since: Option<Millis>,
    /// Why nothing is proven, or why there is no better mode.
    pub fault: Option<String>,
    /// Within how many milliseconds a change is usually known: [`COHERENCE_TYPICAL`].
    pub typical_ms: u64,
    /// For how many milliseconds a change may at most stay unnoticed: [`COHERENCE_BOUND`].
    pub bound_ms: u64,
}

/// Whether entries in memory may answer without being young.
#[derive(Debug)]
pub(crate) struct Truth {
    steady: Steady,
    /// On the steady clock; zero: never.
    until: AtomicU64,
    /// Counts the sessions of the watcher. What was read before one began may have missed a push.
    era: AtomicU32,
    told: Mutex<Told>,
}

#[derive(Debug, Default)]
struct Told {
    mode: CoherenceMode,
    since: Option<Millis>,
    fault: Option<String>,
}

impl Default for Truth {
    fn default() -> Self {
        Self {
            steady: Steady::start(),
            until: AtomicU64::new(0),
            era: AtomicU32::new(NO_ERA + 1),
            told: Mutex::default(),
        }
    }
}

impl Truth {
    pub(crate) fn era(&self) -> u32 {
        self.era.load(Ordering::Acquire)
    }

    /// Whether nothing was missed that concerns what was read in this era.
    pub(crate) fn covers(&self, era: u32) -> bool {
        era == self.era() && self.is_proven()
    }

    pub(crate) fn is_proven(&self) -> bool {
        self.steady.now() < self.until.load(Ordering::Acquire)
    }

    /// A session of the watcher begins: from here on it hears everything. True if the mode is
    /// another than before.
    pub(crate) fn begin(&self, mode: CoherenceMode, fault: Option<String>) -> bool {
        // Before any proof of the new session can come.
        let before = self.era.fetch_add(1, Ordering::AcqRel);
        if before == u32::MAX {
            self.era.store(NO_ERA + 1, Ordering::Release);
        }
        let mut told = self.told();
        let changed = told.mode != mode;
        *told = Told { mode, since: None, fault };
        changed
    }

    /// The session has ended, or goes no further than this.
    pub(crate) fn lost(&self, fault: String) {
        let mut told = self.told();
        (told.since, told.fault) = (None, Some(fault));
    }

    /// Everything that happened before the question was asked has been heard of.
    pub(crate) fn proven(&self, asked: Stopwatch, now: Millis) {
        let until = self.steady.at(asked).saturating_add(as_millis(COHERENCE_BOUND));
        self.until.fetch_max(until, Ordering::AcqRel);
        let mut told = self.told();
        if told.since.is_none() {
            (told.since, told.fault) = (Some(now), None);
        }
    }

    pub(crate) fn health(&self) -> CoherenceHealth {
        let told = self.told();
        let proven = self.is_proven();
        CoherenceHealth {
            proven,
            since: told.since.filter(|_| proven),
            fault: told.fault.clone(),
            ..CoherenceHealth::of(told.mode)
        }
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CoherenceHealth {
    /// Nothing to say but the mode.
    pub(crate) fn of(mode: CoherenceMode) -> Self {
        Self {
            mode,
            proven: mode == CoherenceMode::Memory,
            since: None,
            fault: None,
            typical_ms: as_millis(COHERENCE_TYPICAL),
            bound_ms: as_millis(COHERENCE_BOUND),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::ttl::seconds;

    #[tokio::test(start_paused = true)]
    async fn a_proof_holds_for_the_bound_from_when_it_was_asked_for() {
        let truth = Truth::default();
        truth.begin(CoherenceMode::Tracking, None);
        let era = truth.era();
        assert!(!truth.covers(era));
        let asked = Stopwatch::start();
        tokio::time::advance(seconds(1)).await;
        truth.proven(asked, 7);
        assert!(truth.covers(era) && !truth.covers(era - 1) && !truth.covers(NO_ERA));
        tokio::time::advance(Duration::from_millis(3_999)).await;
        assert!(truth.covers(era));
        tokio::time::advance(Duration::from_millis(1)).await;
        assert!(!truth.covers(era));
    }

    #[tokio::test(start_paused = true)]
    async fn a_new_session_covers_nothing_from_before_it_and_a_late_proof_shortens_nothing() {
        let truth = Truth::default();
        let early = Stopwatch::start();
        tokio::time::advance(seconds(1)).await;
        truth.begin(CoherenceMode::Tracking, None);
        let first = truth.era();
        truth.proven(Stopwatch::start(), 7);
        truth.proven(early, 7);
        tokio::time::advance(seconds(4)).await;
        assert!(truth.covers(first));
        truth.begin(CoherenceMode::Tracking, None);
        assert!(!truth.covers(first));
    }

    #[tokio::test(start_paused = true)]
    async fn health_says_since_when_and_why_not() {
        let truth = Truth::default();
        assert!(truth.begin(CoherenceMode::Tracking, None));
        truth.proven(Stopwatch::start(), 7);
        truth.proven(Stopwatch::start(), 8);
        let health = truth.health();
        assert!(health.proven && health.since == Some(7) && health.fault.is_none());
        truth.lost("cut".to_owned());
        tokio::time::advance(seconds(6)).await;
        let health = truth.health();
        assert!(!health.proven && health.since.is_none());
        assert_eq!(health.fault.as_deref(), Some("cut"));
        assert!(!truth.begin(CoherenceMode::Tracking, None), "the mode is the same");
    }
}
