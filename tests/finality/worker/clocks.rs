//! The clock of a worker: the system's, or one that is wrong.

use std::time::Duration;

use cache_core::Clock;
use cache_tests::clock::monotonic;
use serde::{Deserialize, Serialize};

const TICK: Duration = Duration::from_millis(1);

/// How far a clock is from the system's, in seconds.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) enum Skew {
    /// Until Redis has said what the time is.
    Correctable(i64),
    /// Whatever Redis says.
    ForGood(i64),
}

/// A clock that is wrong by so much; to be called before any cache is built.
pub(super) fn skewed(skew: Skew) -> Clock {
    let skew = match skew {
        Skew::Correctable(seconds) => {
            cache_core::test_hooks::skew_clock(seconds * 1_000);
            return Clock::system();
        }
        Skew::ForGood(seconds) => seconds * 1_000,
    };
    let clock = Clock::manual(Clock::system().now().saturating_add_signed(skew));
    let (advancing, began) = (clock.clone(), monotonic());
    tokio::spawn(async move {
        let mut advanced = Duration::ZERO;
        loop {
            tokio::time::sleep(TICK).await;
            let elapsed = Duration::from_millis((monotonic() - began) / 1_000_000);
            advancing.advance(elapsed.saturating_sub(advanced));
            advanced = elapsed;
        }
    });
    clock
}
