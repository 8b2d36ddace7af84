//! Lines in the log that don't come with every request.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::clock::{Millis, as_millis, system_millis};

/// Lets one line of a kind into the log in ten seconds, and counts those that it has left out: for
/// what goes wrong once may go wrong with every request.
///
/// ```
/// use cache_core::LogLimit;
///
/// static LIMIT: LogLimit = LogLimit::new();
/// if let Some(left_out) = LIMIT.take() {
///     tracing::warn!(left_out, "no place in the background");
/// }
/// # assert_eq!(LIMIT.take(), None);
/// ```
#[derive(Debug, Default)]
pub struct LogLimit {
    /// When the last was let in; zero: none was.
    last: AtomicU64,
    left_out: AtomicU64,
}

const EVERY: Duration = Duration::from_secs(10);

impl LogLimit {
    /// One that has let nothing in yet.
    pub const fn new() -> Self {
        Self { last: AtomicU64::new(0), left_out: AtomicU64::new(0) }
    }

    /// How many lines were left out since the last one; `None`: this one is too.
    pub fn take(&self) -> Option<u64> {
        self.take_at(system_millis())
    }

    fn take_at(&self, now: Millis) -> Option<u64> {
        let last = self.last.load(Ordering::Relaxed);
        // If the clock was put back it can't be told.
        let is_recent = last != 0 && last <= now && now - last < as_millis(EVERY);
        let taken = !is_recent
            && self.last.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        if taken {
            return Some(self.left_out.swap(0, Ordering::Relaxed));
        }
        self.left_out.fetch_add(1, Ordering::Relaxed);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_in_ten_seconds_and_the_others_are_counted() {
        let limit = LogLimit::new();
        let found: Vec<_> = [5, 6, 10_004, 10_005, 10_006].map(|now| limit.take_at(now)).into();
        assert_eq!(found, [Some(0), None, None, Some(2), None]);
        assert_eq!(limit.take_at(7), Some(1), "the clock was put back");
    }
}
