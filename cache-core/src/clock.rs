//! The only place that reads a clock.
//!
//! Entries carry wall-clock times in unix milliseconds, because several machines read them.
//! Beside Redis every node adds the offset it measured to the server's clock, so that nodes
//! with skewed clocks agree. Deadlines use tokio's monotonic clock, which tests can pause.
//!
//! ```
//! use cache_core::{Clock, minutes};
//!
//! let clock = Clock::manual(1_000);
//! clock.advance(minutes(1));
//! assert_eq!(clock.now(), 61_000);
//! ```
#![allow(clippy::disallowed_methods, reason = "this is the one file that may read clocks")]

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Unix time in milliseconds.
pub type Millis = u64;

/// A source of wall-clock time: the system's, or one that a test moves by hand.
#[derive(Debug, Clone)]
pub struct Clock(Arc<Source>);

#[derive(Debug)]
enum Source {
    System { offset: AtomicI64 },
    Manual(AtomicU64),
}

/// Offsets smaller than this are network noise, not skew.
const NOTICEABLE_SKEW_MS: u64 = 100;

impl Clock {
    /// The system's clock, plus the offset to the store's clock once one was measured.
    pub fn system() -> Self {
        Self(Arc::new(Source::System { offset: AtomicI64::new(0) }))
    }

    /// A clock that stands at `start` until [`advance`](Self::advance) moves it. For tests.
    pub fn manual(start: Millis) -> Self {
        Self(Arc::new(Source::Manual(AtomicU64::new(start))))
    }

    /// Now, in unix milliseconds. The system's clock is read as of its last tick (on Linux), a few
    /// milliseconds ago at most.
    #[inline]
    pub fn now(&self) -> Millis {
        match &*self.0 {
            Source::System { offset } => {
                coarse_millis().saturating_add_signed(offset.load(Ordering::Relaxed))
            }
            Source::Manual(now) => now.load(Ordering::SeqCst),
        }
    }

    /// Moves a manual clock forward; the system's clock is left alone.
    pub fn advance(&self, by: Duration) {
        if let Source::Manual(now) = &*self.0 {
            now.fetch_add(as_millis(by), Ordering::SeqCst);
        }
    }

    /// Takes over the time that the store reported, read halfway between `asked` and now.
    #[cfg_attr(not(feature = "redis"), allow(dead_code))]
    pub(crate) fn synchronize(&self, server: Millis, asked: Millis) {
        let Source::System { offset } = &*self.0 else { return };
        let here = asked.midpoint(system_millis());
        let measured = i64::try_from(i128::from(server) - i128::from(here)).unwrap_or(0);
        if measured.abs_diff(offset.load(Ordering::Relaxed)) > NOTICEABLE_SKEW_MS {
            offset.store(measured, Ordering::Relaxed);
        }
    }

    /// Goes by what another clock has measured.
    #[cfg_attr(not(feature = "redis"), allow(dead_code))]
    pub(crate) fn follow(&self, other: &Self) {
        if let (Source::System { offset }, Source::System { offset: measured }) =
            (&*self.0, &*other.0)
        {
            offset.store(measured.load(Ordering::Relaxed), Ordering::Relaxed);
        }
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::system()
    }
}

/// The system's time without any offset.
#[inline]
pub(crate) fn system_millis() -> Millis {
    skewed(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, as_millis))
}

/// The system's time as of its last tick. Every hit in memory reads it, and to read the exact one
/// would be a tenth of it.
#[cfg(target_os = "linux")]
#[inline]
fn coarse_millis() -> Millis {
    use rustix::time::{ClockId, clock_gettime};
    let now = clock_gettime(ClockId::RealtimeCoarse);
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    let nanos = u64::try_from(now.tv_nsec).unwrap_or(0);
    skewed(seconds.saturating_mul(1_000).saturating_add(nanos / 1_000_000))
}

#[cfg(not(target_os = "linux"))]
#[inline]
fn coarse_millis() -> Millis {
    system_millis()
}

#[inline]
fn skewed(now: Millis) -> Millis {
    #[cfg(feature = "test-hooks")]
    let now = now.saturating_add_signed(crate::test_hooks::skew());
    now
}

/// A duration in whole milliseconds, saturating.
#[inline]
pub(crate) fn as_millis(duration: Duration) -> Millis {
    duration.as_secs().saturating_mul(1_000).saturating_add(u64::from(duration.subsec_millis()))
}

/// A budget of more than this is none; an instant far enough away can't be told.
const FAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// So long, up to a quarter more or less: so that those who wait for the same thing do not all come at
/// the same moment.
pub(crate) fn spread(duration: Duration) -> Duration {
    duration.mul_f64(0.75 + fastrand::f64() / 2.0)
}

/// The moment until which one request may wait for the cache, over all its operations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(tokio::time::Instant);

impl Deadline {
    /// `budget` from now.
    pub fn after(budget: Duration) -> Self {
        Self(tokio::time::Instant::now() + budget.min(FAR))
    }

    /// Whether it has passed.
    pub fn has_passed(self) -> bool {
        self.0 <= tokio::time::Instant::now()
    }

    /// The deadline as an instant of tokio's clock.
    pub fn instant(self) -> tokio::time::Instant {
        self.0
    }
}

/// Milliseconds since some moment, on tokio's clock: no step of the wall clock moves them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Steady(tokio::time::Instant);

impl Steady {
    pub(crate) fn start() -> Self {
        Self(tokio::time::Instant::now())
    }

    pub(crate) fn now(self) -> Millis {
        as_millis(self.0.elapsed())
    }

    /// When a stopwatch was started.
    pub(crate) fn at(self, started: Stopwatch) -> Millis {
        as_millis(started.0.saturating_duration_since(self.0))
    }
}

/// Measures how long something took, on tokio's clock.
#[derive(Debug, Clone, Copy)]
pub struct Stopwatch(tokio::time::Instant);

impl Stopwatch {
    /// Starts measuring.
    pub fn start() -> Self {
        Self(tokio::time::Instant::now())
    }

    /// The time since the start.
    pub fn elapsed(self) -> Duration {
        self.0.elapsed()
    }

    /// When that will have been so long: the same moment whenever it is asked.
    pub(crate) fn until(self, lasts: Duration) -> Deadline {
        Deadline(self.0 + lasts.min(FAR))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_who_wait_for_the_same_thing_come_one_after_the_other() {
        let waits: Vec<_> = (0..100).map(|_| spread(Duration::from_secs(4)).as_millis()).collect();
        assert!(waits.iter().all(|wait| (3_000..=5_000).contains(wait)), "{waits:?}");
        let (first, last) = (waits.iter().min().unwrap(), waits.iter().max().unwrap());
        assert!(last - first > 1_000, "{waits:?}");
    }

    /// Pinned: the difference between two absurd answers to `TIME` overflowed.
    #[test]
    fn a_server_may_claim_any_time() {
        let clock = Clock::system();
        clock.synchronize(0, system_millis());
        for server in [i64::MAX as u64 + system_millis(), 0, u64::MAX] {
            clock.synchronize(server, system_millis());
            let _ = clock.now();
        }
        clock.synchronize(system_millis() + 60_000, system_millis());
        assert!(clock.now().abs_diff(system_millis() + 60_000) < 10_000);
    }
}
