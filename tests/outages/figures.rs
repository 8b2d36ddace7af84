//! What is made of records: percentiles, and a histogram for each second.

use std::time::Duration;

use crate::app::{Answer, Kind};
use crate::load::Record;

/// Of some requests: how many, how many failed, and how long they took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Figures {
    pub(crate) count: usize,
    pub(crate) failures: usize,
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
    pub(crate) max: Duration,
}

impl Figures {
    /// From when they were due to when they were answered.
    pub(crate) fn of<'r>(records: impl Iterator<Item = &'r Record>) -> Self {
        Self::by(records, |record| record.ended - record.due)
    }

    /// From when they reached the service: for what takes microseconds, where being sent takes longer.
    pub(crate) fn within<'r>(records: impl Iterator<Item = &'r Record>) -> Self {
        Self::by(records, |record| record.ended - record.began)
    }

    fn by<'r>(records: impl Iterator<Item = &'r Record>, took: impl Fn(&Record) -> u64) -> Self {
        let (mut times, mut failures) = (Vec::new(), 0);
        for record in records {
            times.push(took(record));
            failures += usize::from(has_failed(record));
        }
        times.sort_unstable();
        let at = |share: usize| {
            let place = (times.len() * share).div_ceil(100).saturating_sub(1);
            Duration::from_nanos(times.get(place).copied().unwrap_or(0))
        };
        Self { count: times.len(), failures, p50: at(50), p99: at(99), max: at(100) }
    }
}

pub(crate) fn has_failed(record: &Record) -> bool {
    matches!(record.answer, Answer::Failed(_))
}

/// Answered from this process' memory.
#[allow(clippy::trivially_copy_pass_by_ref, reason = "as filters want it")]
pub(crate) fn is_from_memory(record: &&Record) -> bool {
    record.kind == Kind::Hot && record.answer == Answer::Hit
}

/// Answered by the origin, or not at all.
#[allow(clippy::trivially_copy_pass_by_ref, reason = "as filters want it")]
pub(crate) fn is_fetched(record: &&Record) -> bool {
    record.answer != Answer::Hit
}

/// The upper ends of the buckets of a histogram; one more is for all else.
pub(crate) const BUCKETS: [Duration; 8] = [
    Duration::from_millis(1),
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(20),
    Duration::from_millis(40),
    Duration::from_millis(60),
    Duration::from_millis(100),
    Duration::from_secs(1),
];

/// One second of a drill.
#[derive(Debug, Clone, Default)]
pub(crate) struct Second {
    pub(crate) figures: Figures,
    pub(crate) buckets: [usize; BUCKETS.len() + 1],
}

/// Records by the second in which they were due, from the first record on.
pub(crate) fn by_second(records: &[Record]) -> Vec<Second> {
    let Some(first) = records.first().map(|record| record.due) else { return Vec::new() };
    let second = |record: &Record| (record.due - first) / 1_000_000_000;
    let of_one = |records: &[Record]| {
        let mut buckets = [0; BUCKETS.len() + 1];
        for record in records {
            let took = Duration::from_nanos(record.ended - record.due);
            buckets[BUCKETS.partition_point(|end| *end <= took)] += 1;
        }
        Second { figures: Figures::of(records.iter()), buckets }
    };
    records.chunk_by(|a, b| second(a) == second(b)).map(of_one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(due: u64, took: u64, answer: Answer) -> Record {
        let millis = 1_000_000;
        let (due, ended) = (due * millis, (due + took) * millis);
        Record { kind: Kind::Hot, due, began: due, ended, answer }
    }

    #[test]
    fn percentiles_are_those_of_all_that_were_asked() {
        let records: Vec<_> = (1..=200).map(|n| record(n, n, Answer::Hit)).collect();
        let figures = Figures::of(records.iter());
        let millis = |figure: Duration| figure.as_millis();
        assert_eq!((figures.count, figures.failures), (200, 0));
        assert_eq!([figures.p50, figures.p99, figures.max].map(millis), [100, 198, 200]);
        assert_eq!(Figures::of([].iter()), Figures::default());
    }

    #[test]
    fn each_second_has_a_histogram_of_its_own() {
        let failed = Answer::Failed(crate::app::Failure::Hung);
        let records = [
            record(7, 0, Answer::Hit),
            record(900, 5, Answer::Fetched),
            record(1_007, 59, Answer::Hit),
            record(1_500, 60, Answer::Hit),
            record(1_900, 10_000, failed),
        ];
        let seconds = by_second(&records);
        assert_eq!(seconds.len(), 2);
        assert_eq!(seconds[0].buckets, [1, 0, 1, 0, 0, 0, 0, 0, 0]);
        assert_eq!(seconds[1].buckets, [0, 0, 0, 0, 0, 1, 1, 0, 1]);
        assert_eq!((seconds[0].figures.failures, seconds[1].figures.failures), (0, 1));
    }
}
