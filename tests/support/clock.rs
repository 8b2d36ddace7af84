//! The one place in the tests that reads a clock: real time, never tokio's paused one.

use std::time::{Duration, Instant};

/// A point in real time after which waiting is pointless.
#[derive(Debug, Clone, Copy)]
pub struct Deadline(Instant);

impl Deadline {
    /// The deadline that lies `limit` from now.
    pub fn after(limit: Duration) -> Self {
        Self(now() + limit)
    }

    /// Whether it has passed.
    pub fn passed(self) -> bool {
        now() >= self.0
    }

    /// What is left until then; zero once it has passed.
    pub fn left(self) -> Duration {
        self.0.saturating_duration_since(now())
    }
}

/// Measures real time, for upper bounds such as "within one operation budget".
#[derive(Debug, Clone, Copy)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts measuring.
    pub fn start() -> Self {
        Self(now())
    }

    /// The time since [`start`](Self::start).
    pub fn elapsed(self) -> Duration {
        now().saturating_duration_since(self.0)
    }
}

/// Nanoseconds on a clock that all processes of this machine share, and that never goes back.
pub fn monotonic() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let seconds = u64::try_from(now.tv_sec).unwrap_or_default();
    seconds * 1_000_000_000 + u64::try_from(now.tv_nsec).unwrap_or_default()
}

#[expect(clippy::disallowed_methods, reason = "this is the tests' clock.rs")]
fn now() -> Instant {
    Instant::now()
}
