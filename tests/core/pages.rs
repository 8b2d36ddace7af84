//! Fills by middleware, step by step: what a response cache does with one of its keys.

use std::sync::Arc;

use bytes::Bytes;
use cache_core::{
    Cache, Deadline, EntryTimes, Fill, Format, Key, Lookup, NewEntry, Shared, seconds,
};

pub(crate) fn deadline() -> Deadline {
    Deadline::after(seconds(10))
}

/// In memory, then in the store.
pub(crate) async fn look_up(cache: &Cache, key: &Key, identity: &str) -> Lookup {
    let values = cache.namespace("pages");
    let key = values.prepare(key, identity.as_bytes()).unwrap();
    if let Some(slot) = values.peek(key.hash(), key.identity()) {
        return Lookup::Hit(slot);
    }
    let decode = |_: &Bytes| Some((Arc::new(()) as Shared, 0));
    values.lookup_in_store(&[key], &decode, deadline()).await.remove(0)
}

/// Fresh for ten minutes, then stale for five.
pub(crate) fn entry(cache: &Cache) -> NewEntry {
    let now = cache.clock().now();
    let times = EntryTimes { created: now, fresh_until: now + 600_000, stale_until: now + 900_000 };
    let payload = Bytes::from_static(b"value");
    NewEntry { payload, format: Format::Raw, schema: 0, times, decoded: None }
}

/// In memory and in the store.
pub(crate) async fn commit(cache: &Cache, fill: Fill) {
    if let Some(write) = fill.commit(entry(cache)).unwrap() {
        write.run().await;
    }
}
