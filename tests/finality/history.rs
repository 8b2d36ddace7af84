//! What happened, as the processes wrote it down: one line for each event. Pure.
//!
//! Times are nanoseconds of the one monotonic clock of the machine.

use std::fmt;
use std::str::FromStr;

use crate::layout::{Row, Scope};

/// A moment, in nanoseconds.
pub(crate) type Nanos = u64;

/// How an invalidation was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Answer {
    /// Done.
    Complete,
    /// Done here; elsewhere once Redis is back.
    Queued,
    /// An error that says that Redis is away: promises what `Queued` does.
    Unreachable,
    /// Any other error: promises nothing.
    Failed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    /// This version was in the database at the latest then.
    Commit {
        at: Nanos,
        row: Row,
        version: u64,
    },
    /// The cache gave this version. `hit`: without asking the database.
    Read {
        start: Nanos,
        end: Nanos,
        row: Row,
        version: u64,
        hit: bool,
    },
    Invalidation {
        start: Nanos,
        end: Nanos,
        scope: Scope,
        answer: Answer,
    },
    /// Something was broken, by intent, and was whole again at the end.
    Fault {
        start: Nanos,
        end: Nanos,
    },
}

/// An event, and the process it happened in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) node: usize,
    pub(crate) event: Event,
}

impl Event {
    pub(crate) fn start(&self) -> Nanos {
        match *self {
            Self::Commit { at, .. } => at,
            Self::Read { start, .. }
            | Self::Invalidation { start, .. }
            | Self::Fault { start, .. } => start,
        }
    }

    /// Whether it has to do with a row.
    pub(crate) fn concerns(&self, of: Row) -> bool {
        match self {
            Self::Commit { row, .. } | Self::Read { row, .. } => *row == of,
            Self::Invalidation { scope, .. } => scope.covers(of),
            Self::Fault { .. } => true,
        }
    }
}

impl Answer {
    pub(crate) const ALL: [Self; 4] =
        [Self::Complete, Self::Queued, Self::Unreachable, Self::Failed];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Queued => "queued",
            Self::Unreachable => "unreachable",
            Self::Failed => "failed",
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Commit { at, row, version } => write!(f, "commit {at} {row} {version}"),
            Self::Read { start, end, row, version, hit } => {
                write!(
                    f,
                    "read {start} {end} {row} {version} {}",
                    if *hit { "hit" } else { "miss" }
                )
            }
            Self::Invalidation { start, end, scope, answer } => {
                write!(f, "invalidation {start} {end} {scope} {}", answer.name())
            }
            Self::Fault { start, end } => write!(f, "fault {start} {end}"),
        }
    }
}

/// A line that is none of ours.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NoEvent(pub(crate) String);

impl FromStr for Event {
    type Err = NoEvent;

    fn from_str(line: &str) -> Result<Self, NoEvent> {
        parse(line).ok_or_else(|| NoEvent(line.to_owned()))
    }
}

fn parse(line: &str) -> Option<Event> {
    let words: Vec<&str> = line.split(' ').collect();
    Some(match *words.as_slice() {
        ["commit", at, row, version] => Event::Commit {
            at: at.parse().ok()?,
            row: row.parse().ok()?,
            version: version.parse().ok()?,
        },
        ["read", start, end, row, version, how] => Event::Read {
            start: start.parse().ok()?,
            end: end.parse().ok()?,
            row: row.parse().ok()?,
            version: version.parse().ok()?,
            hit: match how {
                "hit" => true,
                "miss" => false,
                _ => return None,
            },
        },
        ["invalidation", start, end, scope, answer] => Event::Invalidation {
            start: start.parse().ok()?,
            end: end.parse().ok()?,
            scope: scope.parse().ok()?,
            answer: Answer::ALL.into_iter().find(|one| one.name() == answer)?,
        },
        ["fault", start, end] => {
            Event::Fault { start: start.parse().ok()?, end: end.parse().ok()? }
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let row = Row::new(1, 2, 5);
        for event in [
            Event::Commit { at: 1, row, version: 7 },
            Event::Read { start: 1, end: 2, row, version: 7, hit: true },
            Event::Read { start: 1, end: 2, row, version: 7, hit: false },
            Event::Invalidation {
                start: 1,
                end: 2,
                scope: Scope::Key(row),
                answer: Answer::Queued,
            },
            Event::Fault { start: 1, end: 2 },
        ] {
            assert_eq!(event.to_string().parse(), Ok(event));
        }
        for scope in Scope::ALL_KINDS.map(|kind| Scope::of(kind, row)) {
            for answer in Answer::ALL {
                let event = Event::Invalidation { start: 1, end: 2, scope, answer };
                assert_eq!(event.to_string().parse(), Ok(event));
            }
        }
    }

    #[test]
    fn a_line_that_was_cut_is_no_event() {
        let row = Row::new(0, 0, 0);
        let line = Event::Read { start: 1, end: 2, row, version: 7, hit: true }.to_string();
        for end in 0..line.len() {
            assert!(line[..end].parse::<Event>().is_err(), "{}", &line[..end]);
        }
    }
}
