//! The breaker: after a few failures in a row nobody waits for Redis any more, until a probe in
//! the background has had an answer. No request is ever the probe.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use bb8_redis::redis::cmd;

use super::Inner;
use crate::background::Sole;
use crate::clock::as_millis;
use crate::error::{Error, ErrorKind};
use crate::happenings::{BreakerState, EventBus};

/// Failures in a row after which the breaker opens.
const THRESHOLD: u32 = 3;
const FIRST_PROBE_AFTER: Duration = Duration::from_millis(100);
const LAST_PROBE_AFTER: Duration = Duration::from_secs(1);
/// A probe wants an answer in this time; a server that is slower than that is of no use.
const PROBE_BUDGET: Duration = Duration::from_millis(500);
/// Closed: operations pass. Open: they fail at once.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    failures: AtomicU32,
    open: AtomicBool,
    probing: Sole,
    ended: AtomicBool,
    /// How long to wait before the next probe, in milliseconds; zero: the shortest time.
    probe_after: AtomicU64,
    /// Why it is open.
    reason: Mutex<String>,
    /// The caches that are told.
    told: Mutex<Vec<EventBus>>,
}

impl Breaker {
    pub(super) fn is_closed(&self) -> bool {
        !self.open.load(Ordering::Relaxed)
    }

    pub(super) fn succeeded(&self) {
        if self.failures.load(Ordering::Relaxed) != 0 {
            self.failures.store(0, Ordering::Relaxed);
            self.probe_after.store(0, Ordering::Relaxed);
        }
    }

    /// A probe has had an answer. Whether operations have one in their time is another question:
    /// the first that does not opens the breaker again, for longer.
    fn close_on_probation(&self) {
        self.failures.store(THRESHOLD - 1, Ordering::Relaxed);
        self.open.store(false, Ordering::Relaxed);
        self.tell(BreakerState::Closed, None);
    }

    pub(super) fn report_to(&self, bus: EventBus) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.retain(EventBus::is_open);
        told.push(bus);
    }

    fn tell(&self, state: BreakerState, reason: Option<&Error>) {
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        for bus in &*told {
            bus.breaker(state, reason.map(Error::to_string));
        }
    }

    pub(super) fn state(&self) -> BreakerState {
        if self.is_closed() { BreakerState::Closed } else { BreakerState::Open }
    }

    /// The time to the next probe: twice as long each time, until an operation succeeds.
    fn next_wait(&self) -> Duration {
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

    fn set_reason(&self, error: &Error) {
        *self.reason.lock().unwrap_or_else(PoisonError::into_inner) = error.to_string();
    }

    /// Stays open, and probes no more.
    pub(super) fn close_for_good(&self) {
        self.ended.store(true, Ordering::Relaxed);
        self.open.store(true, Ordering::Relaxed);
    }
}

/// Takes note that Redis was away for one operation; opens the breaker after a few.
pub(super) fn count_failure(inner: &Arc<Inner>, error: &Error) {
    let breaker = &inner.breaker;
    let failures = breaker.failures.fetch_add(1, Ordering::Relaxed).saturating_add(1);
    if failures >= THRESHOLD && !breaker.open.swap(true, Ordering::Relaxed) {
        breaker.set_reason(error);
        breaker.tell(BreakerState::Open, Some(error));
        tracing::warn!(failures, %error, "Redis is away; going on without it");
        inner.connections.discard_all();
        ensure_probe(inner);
    }
}

/// Starts the one probe, unless it runs. (It ends with the runtime it was started on; another
/// operation then starts it anew; as it does if nobody drives that runtime any more.)
pub(super) fn ensure_probe(inner: &Arc<Inner>) {
    if inner.breaker.ended.load(Ordering::Relaxed) {
        return;
    }
    let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
    if let Some(number) = inner.breaker.probing.begin() {
        let running = Probe { inner: Arc::downgrade(inner), number };
        runtime.spawn(running.run());
    }
}

/// Clears the mark however the task ends.
struct Probe {
    inner: Weak<Inner>,
    number: u64,
}

impl Probe {
    async fn run(self) {
        loop {
            let Some(wait) = self.inner.upgrade().map(|inner| inner.breaker.next_wait()) else {
                return;
            };
            // Spread out, so that many instances do not knock at the same moment.
            tokio::time::sleep(wait.mul_f64(0.75 + fastrand::f64() / 2.0)).await;
            let Some(inner) = self.inner.upgrade() else { return };
            if inner.breaker.ended.load(Ordering::Relaxed)
                || !inner.breaker.probing.go_on(self.number)
            {
                return;
            }
            match probe(&inner).await {
                Ok(()) => {
                    inner.breaker.close_on_probation();
                    tracing::info!("Redis is back");
                    return;
                }
                Err(error) => inner.breaker.set_reason(&error),
            }
        }
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        if let Some(inner) = self.inner.upgrade() {
            inner.breaker.probing.end(self.number);
        }
    }
}

/// Over a connection of its own: those of before may lead nowhere.
async fn probe(inner: &Inner) -> Result<(), Error> {
    let asked = async {
        let mut connection = inner.connections.connect_anew().await?;
        cmd("PING").query_async::<()>(connection.commands()).await?;
        inner.connections.adopt(connection);
        Ok(())
    };
    let late = || Error::new(ErrorKind::Timeout, "Redis did not answer a probe");
    tokio::time::timeout(PROBE_BUDGET, asked).await.unwrap_or_else(|_| Err(late()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_probe_one_failure_is_enough_and_one_success_makes_all_well() {
        let breaker = Breaker::default();
        breaker.close_on_probation();
        assert_eq!(breaker.failures.load(Ordering::Relaxed) + 1, THRESHOLD);
        assert!(breaker.is_closed());
        breaker.succeeded();
        assert_eq!(breaker.failures.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn probes_become_rare_until_an_operation_succeeds() {
        let breaker = Breaker::default();
        let waits: Vec<_> = (0..6).map(|_| breaker.next_wait().as_millis()).collect();
        assert_eq!(waits, [100, 200, 400, 800, 1000, 1000]);
        breaker.close_on_probation();
        breaker.succeeded();
        assert_eq!(breaker.next_wait(), FIRST_PROBE_AFTER);
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
