//! What a check says.

use std::time::Duration;

use super::gcra::TOLERANCE;
use super::quota::{Algorithm, Counted, Quota, float, whole};
use crate::clock::Millis;

/// What a check says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verdict {
    /// Whether what was asked for may be done.
    pub allowed: bool,
    /// How many units are in use, those of this check among them if it was allowed. Of a window, how
    /// many were used in it.
    pub count: u64,
    /// How many may be: the limit, or the burst of [GCRA](Algorithm::Gcra).
    pub limit: u64,
    /// How many more may be used now.
    pub remaining: u64,
    /// In what time none will be in use any more: the window's end; with GCRA, when the whole burst
    /// can be had again, if nothing more is used.
    pub resets_in: Duration,
    /// For a refusal, after what time the same would be allowed if nobody else came; `None` if it was
    /// allowed, or never will be (it costs more than the limit).
    pub retry_after: Option<Duration>,
    /// Who has counted it.
    pub counted_by: CountedBy,
    /// Whether it is certain: false where the store should have counted it, and could not be asked.
    pub confirmed: bool,
    /// How it was counted. A store that takes no scripts knows the fixed window only.
    pub algorithm: Algorithm,
}

/// Who has counted a use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CountedBy {
    /// The store, for all processes.
    Store,
    /// This process, for itself.
    Process,
    /// Nobody: it was allowed or refused as was chosen for that case.
    Nobody,
}

impl Verdict {
    pub(super) fn new(
        quota: &Quota,
        counted: Counted,
        counted_by: CountedBy,
        confirmed: bool,
    ) -> Self {
        let gcra = counted.algorithm == Algorithm::Gcra;
        let limit = if gcra { quota.burst } else { quota.limit };
        let count = whole((counted.used - TOLERANCE).ceil());
        let hopeless = quota.needed() > limit;
        let retry_after = (!counted.allowed && !hopeless).then(|| {
            if gcra {
                let too_many = counted.used + float(quota.needed()) - float(quota.burst);
                super::gcra::drained_in(quota, too_many).max(1)
            } else {
                counted.resets_in.max(1)
            }
        });
        Self {
            allowed: counted.allowed,
            count,
            limit,
            remaining: limit.saturating_sub(count),
            resets_in: millis(counted.resets_in),
            retry_after: retry_after.map(millis),
            counted_by,
            confirmed,
            algorithm: counted.algorithm,
        }
    }

    /// By choice, since nobody could count it.
    pub(super) fn uncounted(quota: &Quota, allowed: bool) -> Self {
        Self {
            allowed: allowed && !quota.is_hopeless(),
            count: 0,
            limit: quota.burst,
            remaining: if allowed { quota.burst } else { 0 },
            resets_in: Duration::ZERO,
            retry_after: None,
            counted_by: CountedBy::Nobody,
            confirmed: false,
            algorithm: quota.algorithm,
        }
    }
}

fn millis(millis: Millis) -> Duration {
    Duration::from_millis(millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(quota: &Quota, allowed: bool, used: f64, resets_in: Millis) -> Verdict {
        let counted = Counted { allowed, used, resets_in, algorithm: quota.algorithm };
        Verdict::new(quota, counted, CountedBy::Store, true)
    }

    #[test]
    fn of_a_window() {
        let quota = Quota::new(Algorithm::FixedWindow, 10, 60_000, None, 4);
        let verdict = of(&quota, true, 4.0, 60_000);
        assert_eq!((verdict.count, verdict.limit, verdict.remaining), (4, 10, 6));
        assert_eq!((verdict.resets_in, verdict.retry_after), (millis(60_000), None));
        let verdict = of(&quota, false, 8.0, 500);
        assert_eq!((verdict.count, verdict.retry_after), (8, Some(millis(500))));
        let quota = Quota { cost: 11, ..quota };
        assert_eq!(of(&quota, false, 8.0, 500).retry_after, None, "it never will be");
    }

    #[test]
    fn of_what_becomes_free_little_by_little() {
        let quota = Quota::new(Algorithm::Gcra, 6, 60_000, Some(3), 1);
        let verdict = of(&quota, true, 1.25, 12_500);
        assert_eq!((verdict.count, verdict.limit, verdict.remaining), (2, 3, 1));
        let verdict = of(&quota, false, 2.25, 22_500);
        assert_eq!((verdict.count, verdict.remaining), (3, 0));
        assert_eq!(verdict.retry_after, Some(millis(2_500)));
        let verdict = of(&quota, true, 1.000_000_1, 10_001);
        assert_eq!((verdict.count, verdict.remaining), (1, 2), "what arithmetic leaves is nothing");
    }

    #[test]
    fn of_nobody() {
        let quota = Quota::new(Algorithm::FixedWindow, 10, 60_000, None, 1);
        let verdict = Verdict::uncounted(&quota, true);
        assert!(verdict.allowed && !verdict.confirmed && verdict.remaining == 10);
        assert!(!Verdict::uncounted(&quota, false).allowed);
        let none = Quota::new(Algorithm::FixedWindow, 0, 60_000, None, 1);
        assert!(!Verdict::uncounted(&none, true).allowed, "a limit of zero never allows");
        let large = Quota { cost: 11, ..quota };
        assert!(!Verdict::uncounted(&large, true).allowed, "nor does one that is too small");
    }
}
