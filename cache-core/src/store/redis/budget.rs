//! The breaker: after a few failures in a row nobody waits for Redis any more, until a probe in
//! the background has had an answer. No request is ever the probe.
//!
//! Closed, operations go out. Open, they fail at once. Half-open, they still do, while the one probe
//! asks.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::Inner;
use super::probe::{ensure_probe, suspect};
use crate::background::Sole;
use crate::clock::{Deadline, as_millis, spread};
use crate::error::{Error, ErrorKind};
use crate::happenings::{BreakerState, EventBus};
use crate::log_limit::LogLimit;

/// Failures in a row after which the breaker opens.
const THRESHOLD: u32 = 3;
const FIRST_PROBE_AFTER: Duration = Duration::from_millis(100);
const LAST_PROBE_AFTER: Duration = Duration::from_millis(500);
/// It is asked once in this time, more or less, however many had no answer: what is slow may be the
/// process itself.
const SUSPICION_EVERY: Duration = Duration::from_secs(1);

const CLOSED: u8 = 0;
const OPEN: u8 = 1;
const HALF_OPEN: u8 = 2;

/// Closed: operations pass. Open: they fail at once. Half-open: so they do, and a probe is under way.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    failures: AtomicU32,
    state: AtomicU8,
    /// How often it has opened: an operation that began before says nothing about the time after.
    openings: AtomicU32,
    pub(super) probing: Sole,
    pub(super) suspecting: Sole,
    /// When the next suspicion may ask.
    suspect_from: Mutex<Option<Deadline>>,
    pub(super) ended: AtomicBool,
    /// How long to wait before the next probe, in milliseconds; zero: the shortest time.
    probe_after: AtomicU64,
    /// Why it is open.
    reason: Mutex<String>,
    /// The caches that are told.
    told: Mutex<Vec<EventBus>>,
    warnings: LogLimit,
    /// Whether the log says that Redis is away.
    warned: AtomicBool,
}

impl Breaker {
    pub(super) fn is_closed(&self) -> bool {
        self.state.load(Ordering::Relaxed) == CLOSED
    }

    /// How often it has opened.
    pub(super) fn openings(&self) -> u32 {
        self.openings.load(Ordering::Relaxed)
    }

    /// False if it was in another state.
    fn turn(&self, from: u8, to: u8) -> bool {
        self.state.compare_exchange(from, to, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    pub(super) fn succeeded(&self) {
        if self.failures.load(Ordering::Relaxed) != 0 {
            self.failures.store(0, Ordering::Relaxed);
            self.probe_after.store(0, Ordering::Relaxed);
        }
    }

    /// A probe has had an answer. Whether operations have one in their time is another question:
    /// the first that does not opens the breaker again, for longer.
    pub(super) fn close_on_probation(&self) {
        self.failures.store(THRESHOLD - 1, Ordering::Relaxed);
        if !self.turn(HALF_OPEN, CLOSED) {
            return;
        }
        self.tell(BreakerState::Closed, None);
        if self.warned.swap(false, Ordering::Relaxed) {
            tracing::info!(target: "cache_core", "Redis is back");
        }
    }

    pub(super) fn report_to(&self, bus: EventBus) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.retain(EventBus::is_open);
        told.push(bus);
    }

    /// Says once that Redis is away. One that comes and goes is not told each time; but one that
    /// stays away is.
    fn warn(&self, error: &Error) {
        if self.warned.load(Ordering::Relaxed) {
            return;
        }
        if let Some(left_out) = self.warnings.take() {
            self.warned.store(true, Ordering::Relaxed);
            tracing::warn!(
                target: "cache_core",
                %error,
                left_out,
                "Redis is away; going on without it"
            );
        }
    }

    fn tell(&self, state: BreakerState, reason: Option<&Error>) {
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        for bus in &*told {
            bus.breaker(state, reason.map(Error::to_string));
        }
    }

    pub(super) fn state(&self) -> BreakerState {
        match self.state.load(Ordering::Relaxed) {
            CLOSED => BreakerState::Closed,
            HALF_OPEN => BreakerState::HalfOpen,
            _ => BreakerState::Open,
        }
    }

    /// The time to the next probe: twice as long each time, until an operation succeeds.
    pub(super) fn next_wait(&self) -> Duration {
        let first = as_millis(FIRST_PROBE_AFTER);
        let wait = self.probe_after.load(Ordering::Relaxed).max(first);
        self.probe_after.store((wait * 2).min(as_millis(LAST_PROBE_AFTER)), Ordering::Relaxed);
        Duration::from_millis(wait)
    }

    /// What is said to those who come while it is open.
    pub(super) fn refusal(&self) -> Error {
        if self.ended.load(Ordering::Relaxed) {
            return Error::new(ErrorKind::Closed, "the cache has been shut down");
        }
        let reason = self.reason.lock().unwrap_or_else(PoisonError::into_inner);
        Error::new(ErrorKind::Unavailable, format!("Redis is away (breaker open): {reason}"))
    }

    /// Whether the store has been closed.
    pub(super) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }

    /// When a suspicion may ask; the one after it may some time later.
    pub(super) fn next_suspicion(&self) -> Option<Deadline> {
        let mut from = self.suspect_from.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(from) = from.filter(|from| !from.has_passed()) {
            return Some(from);
        }
        *from = Some(Deadline::after(spread(SUSPICION_EVERY)));
        None
    }

    /// Whether nobody has had an answer since somebody had none, and it is not open yet.
    pub(super) fn is_in_doubt(&self) -> bool {
        self.is_closed() && self.failures.load(Ordering::Relaxed) > 0
    }

    fn set_reason(&self, error: &Error) {
        *self.reason.lock().unwrap_or_else(PoisonError::into_inner) = error.to_string();
    }

    /// Stays open, and probes no more.
    pub(super) fn close_for_good(&self) {
        self.ended.store(true, Ordering::Relaxed);
        self.state.store(OPEN, Ordering::Relaxed);
    }

    /// A probe begins.
    pub(super) fn try_it(&self) {
        if self.turn(OPEN, HALF_OPEN) {
            self.tell(BreakerState::HalfOpen, None);
        }
    }

    /// It had no answer, or did not come to its end.
    pub(super) fn give_up_trying(&self, error: Option<&Error>) {
        if let Some(error) = error {
            self.set_reason(error);
            self.warn(error);
        }
        if self.turn(HALF_OPEN, OPEN) {
            self.tell(BreakerState::Open, error);
        }
    }
}

/// Takes note that Redis was away for one operation, which began when the breaker had opened so often,
/// and waited so long; opens it after a few.
pub(super) fn count_failure(inner: &Arc<Inner>, error: &Error, openings: u32, waited: Duration) {
    let breaker = &inner.breaker;
    if openings != breaker.openings() {
        return;
    }
    let failures = breaker.failures.fetch_add(1, Ordering::Relaxed).saturating_add(1);
    if failures >= THRESHOLD {
        open(inner, error);
    } else if error.kind() == ErrorKind::Timeout {
        suspect(inner, waited);
    }
}

/// Takes note that a large value had no answer in its time: that may be its own fault.
pub(super) fn count_slow(inner: &Arc<Inner>, openings: u32, waited: Duration) {
    let failures = &inner.breaker.failures;
    if openings == inner.breaker.openings() {
        let _ = failures.compare_exchange(0, 1, Ordering::Relaxed, Ordering::Relaxed);
        suspect(inner, waited);
    }
}

/// Nobody waits for Redis any more.
pub(super) fn open(inner: &Arc<Inner>, error: &Error) {
    let breaker = &inner.breaker;
    if !breaker.turn(CLOSED, OPEN) {
        return;
    }
    breaker.openings.fetch_add(1, Ordering::Relaxed);
    breaker.set_reason(error);
    breaker.tell(BreakerState::Open, Some(error));
    breaker.warn(error);
    inner.discard_connections();
    ensure_probe(inner);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_probe_one_failure_is_enough_and_one_success_makes_all_well() {
        let breaker = Breaker::default();
        breaker.state.store(OPEN, Ordering::Relaxed);
        breaker.try_it();
        assert_eq!(breaker.state(), BreakerState::HalfOpen);
        assert!(!breaker.is_closed(), "nobody but the probe asks");
        breaker.close_on_probation();
        assert_eq!(breaker.failures.load(Ordering::Relaxed) + 1, THRESHOLD);
        assert!(breaker.is_closed());
        breaker.succeeded();
        assert_eq!(breaker.failures.load(Ordering::Relaxed), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_suspicion_asks_once_in_a_second_and_the_next_one_waits_for_its_turn() {
        let breaker = Breaker::default();
        assert_eq!(breaker.next_suspicion(), None, "the first one asks at once");
        let from = breaker.next_suspicion().unwrap();
        assert_eq!(breaker.next_suspicion(), Some(from));
        assert!(from > Deadline::after(SUSPICION_EVERY / 2));
        tokio::time::sleep_until(from.instant()).await;
        assert_eq!(breaker.next_suspicion(), None);
        assert!(breaker.next_suspicion().unwrap() > from);
    }

    #[test]
    fn probes_become_rare_until_an_operation_succeeds() {
        let breaker = Breaker::default();
        let waits: Vec<_> = (0..6).map(|_| breaker.next_wait().as_millis()).collect();
        assert_eq!(waits, [100, 200, 400, 500, 500, 500]);
        breaker.close_on_probation();
        breaker.succeeded();
        assert_eq!(breaker.next_wait(), FIRST_PROBE_AFTER);
    }

    #[test]
    fn a_probe_in_vain_opens_it_again_and_one_of_a_store_that_was_closed_closes_nothing() {
        let breaker = Breaker::default();
        breaker.state.store(OPEN, Ordering::Relaxed);
        breaker.try_it();
        breaker.give_up_trying(None);
        assert_eq!(breaker.state(), BreakerState::Open);
        breaker.try_it();
        breaker.close_for_good();
        breaker.close_on_probation();
        assert_eq!(breaker.state(), BreakerState::Open);
    }

    #[test]
    fn what_is_said_while_it_is_open() {
        let breaker = Breaker::default();
        breaker.set_reason(&Error::new(ErrorKind::Timeout, "why"));
        assert!(breaker.refusal().is_outage() && breaker.refusal().to_string().contains("why"));
        breaker.close_for_good();
        assert_eq!(breaker.refusal().kind(), ErrorKind::Closed);
    }
}
