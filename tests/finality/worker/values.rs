//! Rows read and invalidated through `cache-core`, as an application does it.

use std::sync::Arc;

use bytes::Bytes;
use cache_core::{
    Cache, Deadline, EntryKey, EntryTimes, Error, Fill, Format, Invalidated, Key, Lookup, NewEntry,
    Pattern, Shared, Tag, Values,
};

use super::operations::Seen;
use super::source::Source;
use crate::history::Answer;
use crate::layout::{Row, Scope};

/// What the row's version is, by the cache.
pub(super) async fn read(cache: &Cache, source: &Source, row: Row) -> Seen {
    match row.tag() {
        Some(tag) => read_tagged(cache, source, row, tag).await,
        None => get_or_compute(cache, source, row).await,
    }
}

async fn get_or_compute(cache: &Cache, source: &Source, row: Row) -> Seen {
    let values = cache.namespace(namespace(row.namespace()));
    let mut hit = true;
    let compute = async || {
        hit = false;
        Ok::<_, std::convert::Infallible>((row.0, source.version(row).await))
    };
    let found: Result<(u16, u64), _> = values.get_or_compute(key(row), compute).await;
    let (of, version) = found.expect("the database answers");
    assert_eq!(of, row.0, "another row's value");
    Seen { version, hit }
}

/// As middleware does it, which has tags of its own for each entry.
async fn read_tagged(cache: &Cache, source: &Source, row: Row, tag: u16) -> Seen {
    let values = cache.namespace(namespace(row.namespace()));
    let prepared = prepare(&values, row);
    if let Some(slot) = values.peek(prepared.hash(), prepared.identity()) {
        return Seen { version: decode(row, slot.payload()), hit: true };
    }
    let deadline = Deadline::after(cache.operation_budget());
    let no_value = |_: &Bytes| Some((Arc::new(()) as Shared, 0));
    let found = values.lookup_in_store(&[prepared], &no_value, deadline).await.pop();
    let mut fill = match found.expect("one answer for one key") {
        Lookup::Hit(slot) => return Seen { version: decode(row, slot.payload()), hit: true },
        Lookup::Miss(fill) => fill,
    };
    fill.begin(&[Tag::new(tag_name(tag))], deadline).await;
    let version = source.version(row).await;
    commit(cache, fill, row, version);
    Seen { version, hit: false }
}

fn commit(cache: &Cache, fill: Fill, row: Row, version: u64) {
    let ttl = cache.namespace(namespace(row.namespace())).default_ttl();
    let times = EntryTimes::new(cache.clock().now(), ttl.expect("a namespace in use"));
    let payload = Bytes::from([u64::from(row.0).to_le_bytes(), version.to_le_bytes()].concat());
    let entry = NewEntry { payload, format: Format::Raw, schema: 0, times, decoded: None };
    if let Some(write) = fill.commit(entry).expect("a small value") {
        write.spawn();
    }
}

/// Invalidates a scope.
pub(super) async fn invalidate(cache: &Cache, scope: Scope) -> Answer {
    answer(invalidated(cache, scope).await)
}

async fn invalidated(cache: &Cache, scope: Scope) -> Result<Invalidated, Error> {
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

pub(super) const CAMPAIGNS: &str = "campaigns";
pub(super) const REPORTS: &str = "reports";

pub(super) fn namespace(number: u16) -> &'static str {
    ["pages", "numbers"][usize::from(number)]
}

pub(super) fn workspace(number: u16) -> String {
    format!("ws{number}")
}

pub(super) fn tag_name(number: u16) -> String {
    format!("tag:{number}")
}

/// The second of the segments that name a row.
pub(super) fn kind(row: Row) -> &'static str {
    if row.is_campaign() { CAMPAIGNS } else { REPORTS }
}

fn key(row: Row) -> Key {
    Key::workspace(workspace(row.workspace())).segment(kind(row)).segment(row.id().to_string())
}

fn prepare(values: &Values, row: Row) -> Arc<EntryKey> {
    values.prepare(&key(row), &row.0.to_le_bytes()).expect("a namespace in use")
}

fn decode(row: Row, payload: &[u8]) -> u64 {
    let (of, version) = payload.split_at(8);
    assert_eq!(of, u64::from(row.0).to_le_bytes(), "another row's value");
    u64::from_le_bytes(version.try_into().expect("eight bytes"))
}
