//! Polling what can't be awaited, always with a deadline.

use std::time::Duration;

use crate::clock::Deadline;

const PAUSE: Duration = Duration::from_millis(5);

/// Polls `probe` until it is true; panics with `what` after `limit` of real time.
///
/// ```
/// # use std::{cell::Cell, time::Duration};
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// let polls = Cell::new(0);
/// cache_tests::eventually(Duration::from_secs(5), "three polls", || {
///     polls.set(polls.get() + 1);
///     polls.get() == 3
/// })
/// .await;
/// # });
/// ```
#[track_caller]
pub fn eventually(
    limit: Duration,
    what: &str,
    mut probe: impl FnMut() -> bool,
) -> impl Future<Output = ()> {
    eventually_some(limit, what, async move || probe().then_some(()))
}

/// Polls the asynchronous `probe` until it gives a value; panics with `what` after `limit`.
///
/// `limit` also bounds one poll that never ends.
#[track_caller]
pub fn eventually_some<T>(
    limit: Duration,
    what: &str,
    mut probe: impl AsyncFnMut() -> Option<T>,
) -> impl Future<Output = T> {
    let caller = std::panic::Location::caller();
    async move {
        let deadline = Deadline::after(limit);
        loop {
            if let Ok(Some(found)) = tokio::time::timeout(deadline.left(), probe()).await {
                return found;
            }
            assert!(!deadline.passed(), "{caller}: not within {limit:?}: {what}");
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// [`eventually_some`] for code that isn't asynchronous: `None` when `limit` has passed.
pub fn poll_blocking<T>(limit: Duration, mut probe: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Deadline::after(limit);
    loop {
        if let Some(found) = probe() {
            return Some(found);
        }
        if deadline.passed() {
            return None;
        }
        std::thread::sleep(PAUSE);
    }
}
