//! Durations in fixed buckets. Pure.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The upper bounds of the buckets, in microseconds; the last bucket has none.
const BOUNDS_US: [u64; BUCKETS - 1] = [
    100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000,
    1_000_000, 2_500_000, 5_000_000, 10_000_000, 30_000_000, 60_000_000,
];
const BUCKETS: usize = 19;

/// How many things took how long, in buckets that are the same everywhere: from 100 µs to 60 s, and
/// what took longer. Those of several instances can be [added](Self::merge).
///
/// As JSON it is the buckets that are not empty, each with its bound in microseconds:
/// `[{"up_to_us":1000,"count":7}]`. One of another version, with other bounds, is read as well as
/// these allow.
///
/// ```
/// use std::time::Duration;
/// use cache_core::Histogram;
///
/// let mut times = Histogram::default();
/// times.add(Duration::from_millis(7), 3);
/// assert_eq!(times.count(), 3);
/// let of_them = |(bound, count)| (bound == Some(Duration::from_millis(10))).then_some(count);
/// assert_eq!(times.buckets().find_map(of_them), Some(3));
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<Bucket>", into = "Vec<Bucket>")]
pub struct Histogram {
    counts: [u64; BUCKETS],
}

#[derive(Serialize, Deserialize)]
struct Bucket {
    #[serde(default)]
    up_to_us: Option<u64>,
    count: u64,
}

impl Histogram {
    /// Counts `count` things that took so long each.
    pub fn add(&mut self, took: Duration, count: u64) {
        self.add_to(bucket(micros(took)), count);
    }

    /// Adds what another has counted.
    pub fn merge(&mut self, other: &Self) {
        for (number, count) in other.counts.iter().enumerate() {
            self.add_to(number, *count);
        }
    }

    /// How many things were counted.
    pub fn count(&self) -> u64 {
        self.counts.iter().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// Each bucket: the longest time in it (`None`: there is none), and how many took that or less,
    /// but more than the bucket before says.
    pub fn buckets(&self) -> impl Iterator<Item = (Option<Duration>, u64)> {
        let bounds = BOUNDS_US.iter().map(|us| Some(Duration::from_micros(*us)));
        bounds.chain([None]).zip(self.counts)
    }

    fn add_to(&mut self, number: usize, count: u64) {
        if let Some(bucket) = self.counts.get_mut(number) {
            *bucket = bucket.saturating_add(count);
        }
    }
}

impl From<Vec<Bucket>> for Histogram {
    fn from(buckets: Vec<Bucket>) -> Self {
        let mut histogram = Self::default();
        for Bucket { up_to_us, count } in buckets {
            histogram.add_to(up_to_us.map_or(BUCKETS - 1, bucket), count);
        }
        histogram
    }
}

impl From<Histogram> for Vec<Bucket> {
    fn from(histogram: Histogram) -> Self {
        let bounds = BOUNDS_US.iter().copied().map(Some).chain([None]);
        let buckets = bounds.zip(histogram.counts).filter(|(_, count)| *count > 0);
        buckets.map(|(up_to_us, count)| Bucket { up_to_us, count }).collect()
    }
}

fn bucket(us: u64) -> usize {
    BOUNDS_US.partition_point(|bound| *bound < us)
}

/// A duration in whole microseconds, saturating.
pub(crate) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// A histogram that many count in.
#[derive(Debug, Default)]
pub(super) struct HistogramCounters([AtomicU64; BUCKETS]);

impl HistogramCounters {
    pub(super) fn one(&self, took: Duration) {
        if let Some(bucket) = self.0.get(bucket(micros(took))) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn snapshot(&self) -> Histogram {
        let mut histogram = Histogram::default();
        for (number, count) in self.0.iter().enumerate() {
            histogram.add_to(number, count.load(Ordering::Relaxed));
        }
        histogram
    }

    /// Counts what was counted elsewhere.
    pub(super) fn merge(&self, other: &Histogram) {
        for (mine, count) in self.0.iter().zip(other.counts) {
            mine.fetch_add(count, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_duration_is_in_the_first_bucket_that_holds_it() {
        assert!(BOUNDS_US.is_sorted());
        let counters = HistogramCounters::default();
        for us in [0, 100, 101, 60_000_000, 60_000_001, u64::MAX] {
            counters.one(Duration::from_micros(us));
        }
        let found = counters.snapshot();
        let counts: Vec<u64> = found.buckets().map(|(_, count)| count).collect();
        assert_eq!((counts[0], counts[1], counts[BUCKETS - 2], counts[BUCKETS - 1]), (2, 1, 1, 2));
        assert_eq!(found.count(), 6);
    }

    #[test]
    fn those_of_two_add_up_and_overflow_nowhere() {
        let (mut a, mut b) = (Histogram::default(), Histogram::default());
        a.add(Duration::from_secs(1), u64::MAX);
        b.add(Duration::from_secs(1), 1);
        b.add(Duration::ZERO, 2);
        a.merge(&b);
        let found: Vec<u64> = a.buckets().map(|(_, count)| count).filter(|n| *n > 0).collect();
        assert_eq!(found, [2, u64::MAX]);
        assert_eq!(a.count(), u64::MAX);
    }

    #[test]
    fn other_bounds_are_read_as_well_as_these_allow() {
        let mut histogram = Histogram::default();
        histogram.add(Duration::from_micros(900), 7);
        histogram.add(Duration::MAX, 1);
        let json = serde_json::to_string(&histogram).unwrap();
        assert_eq!(json, r#"[{"up_to_us":1000,"count":7},{"up_to_us":null,"count":1}]"#);
        assert_eq!(serde_json::from_str::<Histogram>(&json).unwrap(), histogram);
        let others = r#"[{"up_to_us":900,"count":7,"new":0},{"count":1}]"#;
        assert_eq!(serde_json::from_str::<Histogram>(others).unwrap(), histogram);
    }
}
