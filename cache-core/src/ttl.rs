//! Time to live: how long an entry is fresh. Pure.
//!
//! ```
//! use cache_core::{Ttl, minutes};
//!
//! assert_eq!(Ttl::from(minutes(5)), Ttl::After(minutes(5)));
//! ```

use std::time::Duration;

use crate::clock::{Millis, as_millis};

/// How long an entry is fresh after it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ttl {
    /// Fresh for this long.
    After(Duration),
    /// Fresh until deleted, invalidated or evicted.
    Never,
}

/// Stands for "does not expire" in [`EntryTimes`](crate::entry::EntryTimes).
pub(crate) const NEVER: Millis = u64::MAX;

impl Ttl {
    /// The moment at which an entry written at `now` stops being fresh.
    pub(crate) fn until(self, now: Millis) -> Millis {
        match self {
            Self::After(ttl) => now.saturating_add(as_millis(ttl)),
            Self::Never => NEVER,
        }
    }
}

impl From<Duration> for Ttl {
    fn from(ttl: Duration) -> Self {
        Self::After(ttl)
    }
}

/// `n` seconds.
pub const fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// `n` minutes.
pub const fn minutes(n: u64) -> Duration {
    Duration::from_secs(n.saturating_mul(60))
}

/// `n` hours.
pub const fn hours(n: u64) -> Duration {
    Duration::from_secs(n.saturating_mul(60 * 60))
}

/// `n` days.
pub const fn days(n: u64) -> Duration {
    Duration::from_secs(n.saturating_mul(24 * 60 * 60))
}
