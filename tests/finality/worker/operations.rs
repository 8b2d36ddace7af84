//! What a worker does: it reads rows through its cache, and now and then it changes some.
//!
//! To add an operation: give it a variant and a weight in [`Operation`], do it in [`Operator::step`]
//! the way the others are done ([`values`](super::values) without HTTP, [`web`](super::web) with
//! it), and write it down; if the checker has to know of it by more than the events there are, it
//! is an `Event` of its own in `history.rs`, with a rule in `checker.rs`.

use std::sync::Arc;

use cache_core::Cache;
use cache_tests::clock::monotonic;

use super::log::Log;
use super::source::Source;
use super::values;
use super::web::{Sites, Web};
use crate::history::Event;
use crate::layout::{Kind, ROWS, Row, Scope};

/// A change is of up to so many rows of its scope.
const MOST_ROWS: usize = 3;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operation {
    /// What a row's version is, by the cache.
    Read,
    /// Some rows get a new version, and a scope that covers them is invalidated.
    Change,
}

impl Operation {
    /// So many of a thousand are this; the others are reads.
    const WEIGHTS: [(u16, Self); 1] = [(10, Self::Change)];

    fn any(random: &mut fastrand::Rng) -> Self {
        let mut left = random.u16(..1_000);
        for (weight, operation) in Self::WEIGHTS {
            if left < weight {
                return operation;
            }
            left -= weight;
        }
        Self::Read
    }
}

/// What a read was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) version: u64,
    /// Without asking the database.
    pub(super) hit: bool,
}

/// One task's hands.
#[derive(Debug)]
pub(super) struct Operator {
    cache: Cache,
    source: Arc<Source>,
    web: Option<Web>,
    log: Log,
    random: fastrand::Rng,
    globs: bool,
}

impl Operator {
    pub(super) fn new(cache: &Cache, source: Source, log: &Log, seed: u64) -> Self {
        let random = fastrand::Rng::with_seed(seed);
        let (cache, source) = (cache.clone(), Arc::new(source));
        Self { cache, source, web: None, log: log.clone(), random, globs: true }
    }

    /// Leaves out patterns that were not declared.
    pub(super) fn without_globs(self) -> Self {
        Self { globs: false, ..self }
    }

    /// Reads and changes by requests to an application that is cached here.
    pub(super) fn through(self, sites: &Sites) -> Self {
        Self { web: Some(Web::new(&self.cache, sites, &self.source)), ..self }
    }

    pub(super) async fn step(&mut self) {
        let row = Row(self.random.u16(..ROWS));
        match Operation::any(&mut self.random) {
            Operation::Read => self.read(row).await,
            Operation::Change => {
                let scope = self.scope(row);
                self.change(scope, row).await;
            }
        }
    }

    async fn read(&self, row: Row) {
        let start = monotonic();
        let Seen { version, hit } = match &self.web {
            Some(web) => web.read(row).await,
            None => values::read(&self.cache, &self.source, row).await,
        };
        let end = monotonic();
        self.log.note(Event::Read { start, end, row, version, hit });
    }

    /// Mostly small ones: a row has to stay long enough to be found stale.
    fn scope(&mut self, row: Row) -> Scope {
        let kind = match self.random.u8(..100) {
            0..30 if self.globs => Kind::Glob,
            0..50 => Kind::Key,
            50..65 => Kind::Tag,
            65..73 => Kind::Workspace,
            73..75 => Kind::Namespace,
            75..98 => Kind::Pattern,
            _ => Kind::Clear,
        };
        Scope::of(kind, row)
    }

    async fn change(&mut self, scope: Scope, row: Row) {
        let mut rows: Vec<Row> = Row::all().filter(|row| scope.covers(*row)).collect();
        self.random.shuffle(&mut rows);
        rows.truncate(self.random.usize(1..=MOST_ROWS));
        if !rows.contains(&row) {
            rows.push(row);
        }
        let (start, answer) = match &self.web {
            Some(web) if Web::changes_by_request(scope) => web.change(scope, &rows, row).await,
            _ => {
                self.source.change(&rows);
                let start = monotonic();
                (start, values::invalidate(&self.cache, scope, self.random.bool()).await)
            }
        };
        let end = monotonic();
        self.log.note(Event::Invalidation { start, end, scope, answer });
    }
}
