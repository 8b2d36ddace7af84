//! The breaker: after a few failures in a row nobody waits for Redis any more, until a probe in
//! the background has had an answer. No request is ever the probe.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use bb8_redis::redis::cmd;

use super::Inner;

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
    probing: AtomicBool,
    ended: AtomicBool,
}

impl Breaker {
    pub(super) fn is_closed(&self) -> bool {
        !self.open.load(Ordering::Relaxed)
    }

    pub(super) fn succeeded(&self) {
        if self.failures.load(Ordering::Relaxed) != 0 {
            self.failures.store(0, Ordering::Relaxed);
        }
    }

    /// Stays open, and probes no more.
    pub(super) fn close_for_good(&self) {
        self.ended.store(true, Ordering::Relaxed);
        self.open.store(true, Ordering::Relaxed);
    }
}

/// Takes note that Redis was away for one operation; opens the breaker after a few.
pub(super) fn count_failure(inner: &Arc<Inner>) {
    let failures = inner.breaker.failures.fetch_add(1, Ordering::Relaxed).saturating_add(1);
    if failures >= THRESHOLD && !inner.breaker.open.swap(true, Ordering::Relaxed) {
        tracing::warn!(failures, "Redis is away; going on without it");
        inner.connections.discard_all();
        ensure_probe(inner);
    }
}

/// Starts the one probe, unless it runs. (It ends with the runtime it was started on; another
/// operation then starts it anew.)
pub(super) fn ensure_probe(inner: &Arc<Inner>) {
    let breaker = &inner.breaker;
    if breaker.ended.load(Ordering::Relaxed) || breaker.probing.swap(true, Ordering::AcqRel) {
        return;
    }
    match tokio::runtime::Handle::try_current() {
        Ok(runtime) => {
            let running = Probe(Arc::downgrade(inner));
            runtime.spawn(running.run());
        }
        Err(_) => breaker.probing.store(false, Ordering::Release),
    }
}

/// Clears the mark however the task ends.
struct Probe(Weak<Inner>);

impl Probe {
    async fn run(self) {
        let mut wait = FIRST_PROBE_AFTER;
        loop {
            // Spread out, so that many instances do not knock at the same moment.
            tokio::time::sleep(wait.mul_f64(0.75 + fastrand::f64() / 2.0)).await;
            let Some(inner) = self.0.upgrade() else { return };
            if inner.breaker.ended.load(Ordering::Relaxed) {
                return;
            }
            if is_alive(&inner).await {
                inner.breaker.failures.store(0, Ordering::Relaxed);
                inner.breaker.open.store(false, Ordering::Relaxed);
                tracing::info!("Redis is back");
                return;
            }
            wait = (wait * 2).min(LAST_PROBE_AFTER);
        }
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        if let Some(inner) = self.0.upgrade() {
            inner.breaker.probing.store(false, Ordering::Release);
        }
    }
}

/// Over a connection of its own: those of before may lead nowhere.
async fn is_alive(inner: &Inner) -> bool {
    let asked = async {
        let mut connection = inner.connections.connect_anew().await.ok()?;
        cmd("PING").query_async::<()>(&mut connection).await.ok()
    };
    matches!(tokio::time::timeout(PROBE_BUDGET, asked).await, Ok(Some(())))
}
