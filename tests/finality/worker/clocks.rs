//! The clock of a worker: the system's, or one that is wrong.

use std::time::Duration;

use cache_core::Clock;
use cache_tests::clock::monotonic;

const TICK: Duration = Duration::from_millis(1);

/// A clock that is `skew` seconds ahead of the system's, or behind; for good, or until Redis has
/// said what the time is.
pub(super) fn skewed(skew: i64, correctable: bool) -> Clock {
    let skew = skew * 1_000;
    if correctable {
        cache_core::test_hooks::skew_clock(skew);
        return Clock::system();
    }
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
