//! How long a call waits: for the cache, and for its function.

use std::time::Duration;

use tokio::time::timeout_at;

use super::ComputeError;
use crate::clock::{Deadline, Stopwatch};

/// How long a call may still wait for the cache, over all its operations. What its function takes
/// does not count, nor does waiting for somebody else's.
#[derive(Debug, Clone, Copy)]
pub(super) struct Allowance {
    left: Duration,
    since: Stopwatch,
}

impl Allowance {
    pub(super) fn new(left: Duration) -> Self {
        Self { left, since: Stopwatch::start() }
    }

    /// Before an operation: until when it may take.
    pub(super) fn begin(&mut self) -> Deadline {
        self.since = Stopwatch::start();
        Deadline::after(self.left)
    }

    /// After it.
    pub(super) fn end(&mut self) {
        self.left = self.left.saturating_sub(self.since.elapsed());
    }
}

/// What a function comes to, if it does not take longer.
pub(super) async fn within<V, E>(
    until: Option<Deadline>,
    computed: impl Future<Output = Result<V, ComputeError<E>>>,
) -> Result<V, ComputeError<E>> {
    match until {
        Some(until) => {
            let computed = timeout_at(until.instant(), computed).await;
            computed.unwrap_or(Err(ComputeError::TimedOut))
        }
        None => computed.await,
    }
}
