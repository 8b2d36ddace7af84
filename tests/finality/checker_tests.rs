//! The checker finds what it is there to find, and nothing else.

use crate::checker::{Bounds, Verdict, check};
use crate::history::{Answer, Event, Nanos, Record};
use crate::layout::{Kind, Row, Scope};

const BOUNDS: Bounds = Bounds { elsewhere: 100, recovery: 1_000 };
const ROW: Row = Row(0);

fn commit(at: Nanos, version: u64) -> Record {
    Record { node: 0, event: Event::Commit { at, row: ROW, version } }
}

fn read(node: usize, start: Nanos, version: u64) -> Record {
    let event = Event::Read { start, end: start + 5, row: ROW, version, hit: true };
    Record { node, event }
}

fn invalidation(start: Nanos, end: Nanos, answer: Answer) -> Record {
    let event = Event::Invalidation { start, end, scope: Scope::Key(ROW), answer };
    Record { node: 0, event }
}

fn fault(start: Nanos, end: Nanos) -> Record {
    Record { node: 9, event: Event::Fault { start, end } }
}

fn stale(records: &[Record]) -> usize {
    let mut reversed = records.to_vec();
    reversed.reverse();
    let found = check(records, BOUNDS).stale.len();
    assert_eq!(check(&reversed, BOUNDS).stale.len(), found, "the order of lines does not matter");
    found
}

/// Version 2 is committed at 10, invalidated from 20 to 30 in process 0; then one read.
fn after(answer: Answer, node: usize, start: Nanos, version: u64) -> usize {
    let invalidation = invalidation(20, 30, answer);
    stale(&[commit(0, 1), commit(10, 2), invalidation, read(node, start, version)])
}

#[test]
fn a_read_in_the_same_process_is_due_at_once() {
    for (answer, found) in
        [(Answer::Complete, 1), (Answer::Queued, 1), (Answer::Unreachable, 1), (Answer::Failed, 0)]
    {
        assert_eq!(after(answer, 0, 31, 1), found, "{answer:?}");
        assert_eq!(after(answer, 0, 31, 2), 0, "{answer:?}");
        assert_eq!(after(answer, 0, 31, 3), 0, "{answer:?}: newer than demanded");
        assert_eq!(after(answer, 0, 29, 1), 0, "{answer:?}: it had begun before");
        assert_eq!(after(answer, 0, 30, 1), 0, "{answer:?}: in the same moment");
    }
}

#[test]
fn a_read_elsewhere_is_due_after_the_bound() {
    assert_eq!(after(Answer::Complete, 1, 130, 1), 0);
    assert_eq!(after(Answer::Complete, 1, 131, 1), 1);
    assert_eq!(after(Answer::Complete, 1, 131, 2), 0);
    assert_eq!(after(Answer::Failed, 1, 100_000, 1), 0);
}

#[test]
fn what_was_queued_is_due_elsewhere_once_all_is_well_again() {
    for answer in [Answer::Queued, Answer::Unreachable] {
        assert_eq!(after(answer, 1, 1_130, 1), 0);
        assert_eq!(after(answer, 1, 1_131, 1), 1);
        let during = |faults: &[Record], start| {
            let mut records = vec![commit(10, 2), invalidation(20, 30, answer), read(1, start, 1)];
            records.extend_from_slice(faults);
            stale(&records)
        };
        // Well from 500 on.
        assert_eq!(during(&[fault(5, 500)], 1_600), 0);
        assert_eq!(during(&[fault(5, 500)], 1_601), 1);
        // Broken again before it had recovered.
        let twice = [fault(5, 500), fault(600, 900)];
        assert_eq!(during(&twice, 2_000), 0);
        assert_eq!(during(&twice, 2_001), 1);
        // A fault of before, and one after the recovery, change nothing.
        assert_eq!(during(&[fault(0, 15), fault(1_050, 9_000)], 1_131), 1);
    }
}

#[test]
fn only_what_was_committed_before_the_invalidation_began_is_demanded() {
    let records = [commit(0, 1), commit(25, 2), invalidation(20, 30, Answer::Complete)];
    assert_eq!(stale(&[&records[..], &[read(0, 31, 1)]].concat()), 0);
    assert_eq!(stale(&[&records[..], &[read(0, 31, 0)]].concat()), 1);
}

#[test]
fn an_older_demand_does_not_replace_a_newer_one() {
    // The invalidation of version 3 is answered before that of version 2.
    let records = [
        commit(10, 2),
        invalidation(20, 60, Answer::Complete),
        commit(25, 3),
        invalidation(30, 40, Answer::Complete),
        read(0, 70, 2),
    ];
    assert_eq!(stale(&records), 1);
}

#[test]
fn a_scope_demands_of_its_rows_only() {
    for kind in Scope::ALL_KINDS {
        for of in [Row::new(0, 0, 1), Row::new(0, 0, 23)] {
            let scope = Scope::of(kind, of);
            for row in Row::all() {
                let answer = Answer::Complete;
                let events = [
                    Event::Commit { at: 10, row, version: 2 },
                    Event::Invalidation { start: 20, end: 30, scope, answer },
                    Event::Read { start: 40, end: 41, row, version: 1, hit: false },
                ];
                let expected = usize::from(scope.covers(row));
                assert_eq!(stale(&events.map(|event| Record { node: 0, event })), expected);
            }
        }
    }
}

#[test]
fn what_was_read_and_invalidated_is_counted() {
    let records = [
        commit(10, 2),
        read(0, 5, 1),
        invalidation(20, 30, Answer::Complete),
        invalidation(20, 30, Answer::Unreachable),
        read(0, 40, 2),
    ];
    let Verdict { reads, hits, judged_hits, commits, invalidations, stale } =
        check(&records, BOUNDS);
    assert_eq!((reads, hits, judged_hits, commits), (2, 2, 1, 1));
    assert_eq!(invalidations.values().sum::<u64>(), 2);
    assert!(stale.is_empty());
}

/// A perfect cache on a random schedule: no demand is ever failed. Then one hit is made older.
#[test]
fn one_wrong_read_among_thousands_is_found() {
    for seed in 0..20 {
        let mut random = fastrand::Rng::with_seed(seed);
        let (mut records, mut versions) = (Vec::new(), vec![1; usize::from(crate::layout::ROWS)]);
        for moment in (0..30_000u64).step_by(10) {
            let row = Row(random.u16(..crate::layout::ROWS));
            let node = random.usize(..3);
            let version = &mut versions[usize::from(row.0)];
            if random.u8(..) < 40 {
                *version += 1;
                let scope = Scope::of(Kind::Key, row);
                let (start, end, answer) = (moment + 2, moment + 4, Answer::Complete);
                let commit = Event::Commit { at: moment + 1, row, version: *version };
                records.push(Record { node, event: commit });
                let event = Event::Invalidation { start, end, scope, answer };
                records.push(Record { node, event });
            } else {
                let (start, end, version) = (moment, moment + 5, *version);
                let event = Event::Read { start, end, row, version, hit: true };
                records.push(Record { node, event });
            }
        }
        assert_eq!(stale(&records), 0, "seed {seed}");

        // Any read that came long after the first change of its row will do.
        let changed: Vec<Row> = records
            .iter()
            .filter_map(|record| match record.event {
                Event::Commit { at, row, .. } if at < 20_000 => Some(row),
                _ => None,
            })
            .collect();
        let late = |record: &Record| {
            matches!(record.event, Event::Read { start, row, .. }
            if start > 20_200 && changed.contains(&row))
        };
        let candidates: Vec<usize> =
            (0..records.len()).filter(|index| late(&records[*index])).collect();
        let chosen = candidates[random.usize(..candidates.len())];
        let Event::Read { version, .. } = &mut records[chosen].event else { unreachable!() };
        *version = 1;
        assert_eq!(stale(&records), 1, "seed {seed}");
        let found = check(&records, BOUNDS).stale[0];
        assert_eq!(found.read, records[chosen]);
        let text = found.explain(&records);
        assert!(text.contains("STALE") && text.contains("DUE"), "{text}");
    }
}
