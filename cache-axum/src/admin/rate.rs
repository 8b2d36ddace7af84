//! How often somebody may ask: a bucket of tokens for each principal.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use cache_core::Stopwatch;

/// A bucket holds so many requests, and so many come back each second.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limit {
    pub(super) burst: f64,
    pub(super) per_second: f64,
}

/// The buckets of all who have asked of late.
#[derive(Debug)]
pub(super) struct Buckets {
    limit: Limit,
    since: Stopwatch,
    of: Mutex<HashMap<String, Bucket>>,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    left: f64,
    /// When that was, since the start.
    at: Duration,
}

/// So many are told apart; those for whom there is no place share one.
const MOST: usize = 1024;
/// Nobody is called so.
const OTHERS: &str = "";

impl Buckets {
    pub(super) fn new(limit: Limit) -> Self {
        Self { limit, since: Stopwatch::start(), of: Mutex::default() }
    }

    /// Takes one token of theirs; `Err`: there is none before so many seconds have passed.
    pub(super) fn take(&self, who: &str) -> Result<(), u64> {
        self.take_at(who, 1, self.since.elapsed())
    }

    /// Takes so many, or all that a full bucket holds if they are more than that.
    pub(super) fn take_many(&self, who: &str, many: u32) -> Result<(), u64> {
        self.take_at(who, many, self.since.elapsed())
    }

    fn take_at(&self, who: &str, many: u32, now: Duration) -> Result<(), u64> {
        let mut buckets = self.of.lock().unwrap_or_else(PoisonError::into_inner);
        let mut who = who;
        if buckets.len() >= MOST && !buckets.contains_key(who) {
            // One that is full again is as good as none.
            buckets.retain(|_, bucket| self.refilled(*bucket, now) < self.limit.burst);
            if buckets.len() >= MOST {
                who = OTHERS;
            }
        }
        let full = Bucket { left: self.limit.burst, at: now };
        let bucket = buckets.entry(who.to_owned()).or_insert(full);
        let left = self.refilled(*bucket, now);
        *bucket = Bucket { left, at: now.max(bucket.at) };
        let needed = f64::from(many).min(self.limit.burst);
        if left >= needed {
            bucket.left -= needed;
            return Ok(());
        }
        Err(Duration::from_secs_f64((needed - left) / self.limit.per_second).as_secs() + 1)
    }

    fn refilled(&self, bucket: Bucket, now: Duration) -> f64 {
        let passed = now.saturating_sub(bucket.at).as_secs_f64();
        (bucket.left + passed * self.limit.per_second).min(self.limit.burst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buckets() -> Buckets {
        Buckets::new(Limit { burst: 3.0, per_second: 0.5 })
    }

    #[test]
    fn each_has_a_bucket_of_their_own_that_fills_again() {
        let (buckets, at) = (buckets(), Duration::from_secs);
        for _ in 0..3 {
            assert_eq!(buckets.take_at("a", 1, at(10)), Ok(()));
        }
        assert_eq!(buckets.take_at("a", 1, at(10)), Err(3));
        assert_eq!(buckets.take_at("b", 1, at(10)), Ok(()));
        assert_eq!(buckets.take_at("a", 1, at(11)), Err(2));
        assert_eq!(buckets.take_at("a", 1, at(12)), Ok(()));
        assert_eq!(buckets.take_at("a", 1, at(5)), Err(3), "a clock that goes back gives nothing");
    }

    #[test]
    fn several_at_once_are_all_or_none_and_never_more_than_there_can_be() {
        let (buckets, at) = (buckets(), Duration::from_secs);
        assert_eq!(buckets.take_at("a", 2, at(0)), Ok(()));
        assert_eq!(buckets.take_at("a", 2, at(0)), Err(3));
        assert_eq!(buckets.take_at("a", 0, at(0)), Ok(()));
        assert_eq!(buckets.take_at("a", 1, at(0)), Ok(()), "what was refused took nothing");
        assert_eq!(buckets.take_at("b", 100, at(0)), Ok(()), "all that there is");
        assert_eq!(buckets.take_at("b", 100, at(5)), Err(2));
        assert_eq!(buckets.take_at("b", 100, at(6)), Ok(()));
    }

    #[test]
    fn there_are_never_more_than_so_many() {
        let buckets = buckets();
        for n in 0..3 * MOST {
            let _ = buckets.take_at(&n.to_string(), 1, Duration::ZERO);
        }
        let count = || buckets.of.lock().unwrap().len();
        assert!(count() <= MOST + 1);
        assert!(buckets.take_at("one more", 1, Duration::ZERO).is_err(), "the others share one");
        assert_eq!(buckets.take_at("one more", 1, Duration::from_secs(60)), Ok(()));
        assert!(count() < 3);
    }
}
