//! What a worker does: it reads rows through the cache, and now and then it changes some.

use std::time::Duration;

use bytes::Bytes;
use cache_core::{
    Cache, Deadline, EntryKey, EntryTimes, Error, Fill, Format, Invalidated, Key, Lookup, NewEntry,
    Pattern, Shared, Tag, Values,
};
use cache_tests::clock::monotonic;
use std::sync::Arc;

use super::database::Database;
use super::log::Log;
use crate::history::{Answer, Event};
use crate::layout::{Kind, ROWS, Row, Scope};

/// So many operations of a thousand are changes.
const CHANGES: u16 = 6;
/// So many computations of a hundred are slow.
const SLOW: u8 = 5;
const SLOWEST_MS: u64 = 300;
/// A change is of up to so many rows of its scope.
const MOST_ROWS: usize = 3;

/// One task's hands.
#[derive(Debug)]
pub(super) struct Operator {
    cache: Cache,
    database: Database,
    log: Log,
    random: fastrand::Rng,
    globs: bool,
}

/// A version, and whether the cache had it.
type Seen = (u64, bool);

impl Operator {
    pub(super) fn new(cache: &Cache, database: &str, log: &Log, seed: u64) -> Self {
        let (cache, log) = (cache.clone(), log.clone());
        let random = fastrand::Rng::with_seed(seed);
        Self { cache, database: Database::open(database), log, random, globs: true }
    }

    /// Leaves out patterns that were not declared.
    pub(super) fn without_globs(self) -> Self {
        Self { globs: false, ..self }
    }

    pub(super) async fn step(&mut self) {
        let row = Row(self.random.u16(..ROWS));
        if self.random.u16(..1_000) < CHANGES {
            let scope = self.scope(row);
            self.change(scope, row).await;
        } else {
            self.read(row).await;
        }
    }

    async fn read(&mut self, row: Row) {
        let start = monotonic();
        let (version, hit) = match row.tag() {
            Some(tag) => self.read_tagged(row, tag).await,
            None => self.get_or_compute(row).await,
        };
        let end = monotonic();
        self.log.note(Event::Read { start, end, row, version, hit });
    }

    async fn get_or_compute(&mut self, row: Row) -> Seen {
        let values = self.cache.namespace(namespace(row.namespace()));
        let mut hit = true;
        let compute = async || {
            hit = false;
            Ok::<_, std::convert::Infallible>((row.0, self.compute(row).await))
        };
        let found: Result<(u16, u64), _> = values.get_or_compute(key(row), compute).await;
        let (of, version) = found.expect("the database answers");
        assert_eq!(of, row.0, "another row's value");
        (version, hit)
    }

    /// As middleware does it, which has tags of its own for each entry.
    async fn read_tagged(&mut self, row: Row, tag: u16) -> Seen {
        let values = self.cache.namespace(namespace(row.namespace()));
        let prepared = prepare(&values, row);
        if let Some(slot) = values.peek(prepared.hash(), prepared.identity()) {
            return (decode(row, slot.payload()), true);
        }
        let deadline = Deadline::after(self.cache.operation_budget());
        let no_value = |_: &Bytes| Some((Arc::new(()) as Shared, 0));
        let found = values.lookup_in_store(&[prepared], &no_value, deadline).await.pop();
        let mut fill = match found.expect("one answer for one key") {
            Lookup::Hit(slot) => return (decode(row, slot.payload()), true),
            Lookup::Miss(fill) => fill,
        };
        fill.begin(&[Tag::new(tag_name(tag))], deadline).await;
        let version = self.compute(row).await;
        self.commit(fill, row, version);
        (version, false)
    }

    fn commit(&self, fill: Fill, row: Row, version: u64) {
        let ttl = self.cache.namespace(namespace(row.namespace())).default_ttl();
        let times = EntryTimes::new(self.cache.clock().now(), ttl.expect("a namespace in use"));
        let payload = Bytes::from([u64::from(row.0).to_le_bytes(), version.to_le_bytes()].concat());
        let entry = NewEntry { payload, format: Format::Raw, schema: 0, times, decoded: None };
        if let Some(write) = fill.commit(entry).expect("a small value") {
            write.spawn();
        }
    }

    /// The version now; with some luck it is old news when it is stored.
    async fn compute(&mut self, row: Row) -> u64 {
        let version = tokio::task::block_in_place(|| self.database.version(row));
        if self.random.u8(..100) < SLOW {
            tokio::time::sleep(Duration::from_millis(self.random.u64(1..=SLOWEST_MS))).await;
        }
        version
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
        // Writers that lock rows in different orders are no matter here, there is one lock.
        let versions = tokio::task::block_in_place(|| self.database.bump(&rows));
        let at = monotonic();
        for (row, version) in rows.into_iter().zip(versions) {
            self.log.note(Event::Commit { at, row, version });
        }
        let start = monotonic();
        let answer = answer(invalidate(&self.cache, scope).await);
        let end = monotonic();
        self.log.note(Event::Invalidation { start, end, scope, answer });
    }
}

async fn invalidate(cache: &Cache, scope: Scope) -> Result<Invalidated, Error> {
    let complete = Ok(Invalidated::Complete);
    match scope {
        Scope::Key(row) => {
            let values = cache.namespace(namespace(row.namespace()));
            if row.tag().is_none() {
                return values.delete(key(row)).await;
            }
            let deadline = Deadline::after(cache.operation_budget());
            values.delete_prepared(&[prepare(&values, row)], deadline).await
        }
        Scope::Tag(tag) => cache.invalidate(Tag::new(tag_name(tag))).await,
        Scope::Workspace(number) => {
            cache.invalidate(cache_core::Scope::workspace(workspace(number))).await
        }
        Scope::Namespace(number) => {
            cache.invalidate(cache_core::Scope::namespace(namespace(number))).await
        }
        Scope::Pattern(number, of) => {
            let pattern = Pattern::new(format!("{}:{CAMPAIGNS}:*", workspace(of)));
            cache.invalidate(cache_core::Scope::pattern(namespace(number), pattern)).await
        }
        Scope::Glob(number, of) => {
            let pattern = Pattern::new(format!("{}:{REPORTS}:*", workspace(of)));
            cache.invalidate(cache_core::Scope::pattern(namespace(number), pattern)).await
        }
        Scope::Clear(number) => cache.clear(namespace(number)).await.and(complete),
    }
}

fn answer(result: Result<Invalidated, Error>) -> Answer {
    match result {
        Ok(Invalidated::Complete) => Answer::Complete,
        Ok(_) => Answer::Queued,
        Err(error) if error.is_outage() => Answer::Unreachable,
        Err(_) => Answer::Failed,
    }
}

const CAMPAIGNS: &str = "campaigns";
const REPORTS: &str = "reports";

pub(super) fn namespace(number: u16) -> &'static str {
    ["pages", "numbers"][usize::from(number)]
}

fn workspace(number: u16) -> String {
    format!("ws{number}")
}

fn tag_name(number: u16) -> String {
    format!("tag:{number}")
}

fn key(row: Row) -> Key {
    let kind = if row.is_campaign() { CAMPAIGNS } else { REPORTS };
    Key::workspace(workspace(row.workspace())).segment(kind).segment(row.id().to_string())
}

fn prepare(values: &Values, row: Row) -> Arc<EntryKey> {
    values.prepare(&key(row), &row.0.to_le_bytes()).expect("a namespace in use")
}

fn decode(row: Row, payload: &[u8]) -> u64 {
    let (of, version) = payload.split_at(8);
    assert_eq!(of, u64::from(row.0).to_le_bytes(), "another row's value");
    u64::from_le_bytes(version.try_into().expect("eight bytes"))
}
