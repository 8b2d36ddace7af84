//! Rows read and invalidated through `cache-core`, as an application does it.

use std::sync::Arc;

use bytes::Bytes;
use cache_core::{
    Cache, Deadline, EntryKey, EntryTimes, Error, Fill, Format, Invalidated, Key, Lookup, NewEntry,
    Pattern, Scopes, Shared, Slot, Tag, Values,
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
    let fresh = |slot: &Slot| {
        let now = cache.clock().now();
        let is_fresh = slot.times_at(now).is_fresh(now);
        is_fresh.then(|| Seen { version: decode(row, slot.payload()), hit: true })
    };
    let in_memory = values.peek(prepared.hash(), prepared.identity());
    if let Some(seen) = in_memory.and_then(|slot| fresh(&slot)) {
        return seen;
    }
    let deadline = Deadline::after(cache.operation_budget());
    let no_value = |_: &Bytes| Some((Arc::new(()) as Shared, 0));
    let found = values.lookup_in_store(&[Arc::clone(&prepared)], &no_value, deadline).await.pop();
    let mut fill = match found.expect("one answer for one key") {
        Lookup::Hit(slot) => match (fresh(&slot), values.replace(&prepared, &slot)) {
            (Some(seen), _) => return seen,
            (None, Some(fill)) => fill,
            // It has gone from memory since.
            (None, None) => return Seen { version: source.version(row).await, hit: false },
        },
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
    // Of use when it is stale, as what was invalidated softly is.
    let times = EntryTimes { stale_until: times.stale_until.saturating_add(600_000), ..times };
    let payload = Bytes::from([u64::from(row.0).to_le_bytes(), version.to_le_bytes()].concat());
    let entry = NewEntry { payload, format: Format::Raw, schema: 0, times, decoded: None };
    if let Some(write) = fill.commit(entry).expect("a small value") {
        write.spawn();
    }
}

/// Invalidates a scope. A value that was invalidated softly is not to be read as fresh: what is
/// demanded is the same.
pub(super) async fn invalidate(cache: &Cache, scope: Scope, softly: bool) -> Answer {
    answer(invalidated(cache, scope, softly).await)
}

async fn invalidated(cache: &Cache, scope: Scope, softly: bool) -> Result<Invalidated, Error> {
    let complete = Ok(Invalidated::Complete);
    let scope = match scope {
        Scope::Key(row) if softly => {
            let values = cache.namespace(namespace(row.namespace()));
            if row.tag().is_some() {
                let nothing = cache.invalidate(Scopes::default());
                return nothing.entries([prepare(&values, row)]).soft().await;
            }
            cache_core::Scope::key(namespace(row.namespace()), key(row))
        }
        Scope::Key(row) => {
            let values = cache.namespace(namespace(row.namespace()));
            if row.tag().is_none() {
                return values.delete(key(row)).await;
            }
            let deadline = Deadline::after(cache.operation_budget());
            return values.delete_prepared(&[prepare(&values, row)], deadline).await;
        }
        Scope::Tag(tag) => Tag::new(tag_name(tag)).into(),
        Scope::Workspace(number) => cache_core::Scope::workspace(workspace(number)),
        Scope::Namespace(number) => cache_core::Scope::namespace(namespace(number)),
        Scope::Pattern(number, of) => {
            let pattern = Pattern::new(format!("{}:{CAMPAIGNS}:*", workspace(of)));
            cache_core::Scope::pattern(namespace(number), pattern)
        }
        Scope::Glob(number, of) => {
            let pattern = Pattern::new(format!("{}:{REPORTS}:*", workspace(of)));
            cache_core::Scope::pattern(namespace(number), pattern)
        }
        Scope::Clear(number) => return cache.clear(namespace(number)).await.and(complete),
    };
    let invalidation = cache.invalidate(scope);
    if softly { invalidation.soft().await } else { invalidation.await }
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
