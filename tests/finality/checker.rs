//! The stale-read checker: what the guarantee demands of each read, and whether it got it. Pure.
//!
//! An invalidation that was answered `Complete` demands of every read that begins later, in the
//! same process, each version that was committed before the invalidation began; of reads in other
//! processes, once the stated bound has passed too. One that was `Queued` demands the same in its
//! process, and elsewhere once nothing has been broken for the time of a recovery, and the bound
//! has passed after that.

use std::collections::BTreeMap;

use crate::history::{Answer, Event, Nanos, Record};
use crate::layout::{ROWS, Row};

/// What is stated about reads in other processes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// How long an older version may still be seen elsewhere.
    pub(crate) elsewhere: Nanos,
    /// How long it takes a process to find that Redis is back, and to do what was queued.
    pub(crate) recovery: Nanos,
}

/// What the check came to.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    pub(crate) reads: u64,
    pub(crate) hits: u64,
    /// Hits that some invalidation demanded a version of.
    pub(crate) judged_hits: u64,
    pub(crate) commits: u64,
    pub(crate) invalidations: BTreeMap<Answer, u64>,
    pub(crate) stale: Vec<Stale>,
}

impl Verdict {
    /// What was checked.
    pub(crate) fn operations(&self) -> u64 {
        self.reads + self.invalidations.values().sum::<u64>()
    }
}

/// A read that showed an older version than it had to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stale {
    pub(crate) read: Record,
    /// The invalidation that demanded more.
    pub(crate) by: Record,
    pub(crate) demanded: u64,
    /// Since when.
    pub(crate) since: Nanos,
}

/// From some moment on, at least this version.
#[derive(Clone, Copy)]
struct Demand {
    since: Nanos,
    version: u64,
    by: Record,
}

/// Checks a history; its records may be in any order.
pub(crate) fn check(records: &[Record], bounds: Bounds) -> Verdict {
    let nodes = records.iter().map(|record| record.node + 1).max().unwrap_or(0);
    let (commits, faults) = (Commits::new(records), faults(records));
    let mut verdict = Verdict::default();
    let mut reads: Vec<Vec<Record>> = vec![Vec::new(); nodes * usize::from(ROWS)];
    let mut demands: Vec<Vec<Demand>> = vec![Vec::new(); nodes * usize::from(ROWS)];
    let place = |node: usize, row: Row| node * usize::from(ROWS) + usize::from(row.0);
    for record in records {
        match record.event {
            Event::Commit { .. } => verdict.commits += 1,
            Event::Fault { .. } => {}
            Event::Read { row, hit, .. } => {
                verdict.reads += 1;
                verdict.hits += u64::from(hit);
                reads[place(record.node, row)].push(*record);
            }
            Event::Invalidation { start, end, scope, answer } => {
                *verdict.invalidations.entry(answer).or_default() += 1;
                let Some(elsewhere) = elsewhere(answer, end, bounds, &faults) else { continue };
                for row in Row::all().filter(|row| scope.covers(*row)) {
                    let version = commits.before(row, start);
                    if version == 0 {
                        continue; // it has not been changed yet: nothing of it can be stale
                    }
                    for node in 0..nodes {
                        let since = if node == record.node { end } else { elsewhere };
                        demands[place(node, row)].push(Demand { since, version, by: *record });
                    }
                }
            }
        }
    }
    for (reads, demands) in reads.iter_mut().zip(&mut demands) {
        judge(reads, demands, &mut verdict);
    }
    verdict.stale.sort_by_key(|stale| stale.read.event.start());
    verdict
}

/// The reads of one row in one process.
fn judge(reads: &mut [Record], demands: &mut [Demand], verdict: &mut Verdict) {
    reads.sort_by_key(|read| read.event.start());
    demands.sort_by_key(|demand| demand.since);
    let mut coming = demands.iter().peekable();
    let mut highest: Option<Demand> = None;
    for read in reads {
        let Event::Read { start, version, hit, .. } = read.event else { continue };
        while let Some(demand) = coming.next_if(|demand| demand.since < start) {
            if highest.is_none_or(|highest| highest.version < demand.version) {
                highest = Some(*demand);
            }
        }
        let Some(demand) = highest else { continue };
        verdict.judged_hits += u64::from(hit);
        if version < demand.version {
            let Demand { since, version: demanded, by } = demand;
            verdict.stale.push(Stale { read: *read, by, demanded, since });
        }
    }
}

/// From when on an invalidation holds in other processes; `None` if never.
fn elsewhere(
    answer: Answer,
    end: Nanos,
    bounds: Bounds,
    faults: &[(Nanos, Nanos)],
) -> Option<Nanos> {
    match answer {
        Answer::Complete => Some(end + bounds.elsewhere),
        Answer::Queued | Answer::Unreachable => {
            let mut well_since = end;
            for (start, end) in faults {
                if *end > well_since && *start < well_since + bounds.recovery {
                    well_since = *end;
                }
            }
            Some(well_since + bounds.recovery + bounds.elsewhere)
        }
        Answer::Failed => None,
    }
}

/// When something was broken, in order.
fn faults(records: &[Record]) -> Vec<(Nanos, Nanos)> {
    let mut faults: Vec<_> = records
        .iter()
        .filter_map(|record| match record.event {
            Event::Fault { start, end } => Some((start, end)),
            _ => None,
        })
        .collect();
    faults.sort_unstable();
    faults
}

/// The highest version of each row that was committed up to some moment.
struct Commits(Vec<Vec<(Nanos, u64)>>);

impl Commits {
    fn new(records: &[Record]) -> Self {
        let mut rows = vec![Vec::new(); usize::from(ROWS)];
        for record in records {
            if let Event::Commit { at, row, version } = record.event {
                rows[usize::from(row.0)].push((at, version));
            }
        }
        for commits in &mut rows {
            commits.sort_unstable();
            let mut highest = 0;
            for (_, version) in commits {
                highest = highest.max(*version);
                *version = highest;
            }
        }
        Self(rows)
    }

    fn before(&self, row: Row, moment: Nanos) -> u64 {
        let commits = &self.0[usize::from(row.0)];
        let count = commits.partition_point(|(at, _)| *at <= moment);
        count.checked_sub(1).map_or(0, |last| commits[last].1)
    }
}

impl Stale {
    /// The read, and what happened to its row from shortly before the invalidation on.
    pub(crate) fn explain(&self, records: &[Record]) -> String {
        const BEFORE: Nanos = 50_000_000;
        const MOST: usize = 60;
        let Event::Read { start, end, row, version, .. } = self.read.event else {
            return String::new();
        };
        let from = self.by.event.start().saturating_sub(BEFORE);
        let mut around: Vec<&Record> = records
            .iter()
            .filter(|record| record.event.concerns(row))
            .filter(|record| (from..=end).contains(&record.event.start()))
            .collect();
        around.sort_by_key(|record| record.event.start());
        let late = (start - self.since) / 1_000;
        let mut lines = vec![format!(
            "process {} read version {version} of row {row}, {late} µs after version {} was due:",
            self.read.node, self.demanded
        )];
        let left_out = around.len().saturating_sub(MOST);
        for (index, record) in around.into_iter().enumerate() {
            if index == MOST / 2 && left_out > 0 {
                lines.push(format!("        … {left_out} more …"));
            }
            if (MOST / 2..MOST / 2 + left_out).contains(&index) {
                continue;
            }
            let mark = match record {
                record if *record == self.read => "STALE",
                record if *record == self.by => "DUE  ",
                _ => "     ",
            };
            lines.push(format!("  {mark} process {}: {}", record.node, relative(record, from)));
        }
        lines.join("\n")
    }
}

/// The event with its times in microseconds since `from`.
fn relative(record: &Record, from: Nanos) -> String {
    let micros = |moment: Nanos| moment.saturating_sub(from) / 1_000;
    let mut event = record.event;
    match &mut event {
        Event::Commit { at, .. } => *at = micros(*at),
        Event::Read { start, end, .. }
        | Event::Invalidation { start, end, .. }
        | Event::Fault { start, end } => (*start, *end) = (micros(*start), micros(*end)),
    }
    event.to_string()
}
