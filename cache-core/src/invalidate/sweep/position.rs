//! How far a sweep has come. Pure.

use serde::{Deserialize, Serialize};

/// How far a sweep has come: small, and serializable, so that another process can
/// [resume](crate::DeletePattern::resume) it.
///
/// It is a place in the tables of one store: after a failover, or a restart without its data, begin
/// anew.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SweepPosition {
    cursor: u64,
    seen: u64,
    removed: u64,
}

impl SweepPosition {
    /// How many keys that match have been met so far. (One that is met twice, as Redis may tell it
    /// while it makes room, counts twice.)
    pub fn seen(self) -> u64 {
        self.seen
    }

    /// How many entries have been removed so far; by a dry run, how many would have been.
    pub fn removed(self) -> u64 {
        self.removed
    }

    pub(super) fn cursor(self) -> u64 {
        self.cursor
    }

    /// All at once.
    pub(super) fn count(&mut self, entries: u64) {
        self.step(0, entries, entries);
    }

    /// After a step.
    pub(super) fn step(&mut self, cursor: u64, seen: u64, removed: u64) {
        self.cursor = cursor;
        self.seen += seen;
        self.removed += removed;
    }
}

/// What a sweep is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum SweepState {
    /// It runs.
    Running,
    /// It has come to its end.
    Done,
    /// It was cancelled; it can be resumed.
    Cancelled,
    /// The store was away for too long, or the runtime has ended; it can be resumed.
    Failed,
}

/// How a sweep is getting on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SweepProgress {
    /// What it is doing.
    pub state: SweepState,
    /// How far it has come.
    pub position: SweepPosition,
}
