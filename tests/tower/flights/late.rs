//! Those who come when the response has arrived, but the store has not taken it in.

use std::sync::Arc;

use bytes::Bytes;
use cache_core::store::{BoxFuture, MemoryStore, ScanStep, WriteBatch, Written};
use cache_core::{Cache, Clock, Deadline, Error, Millis, Store, minutes};
use cache_tests::{Gate, body};
use cache_tower::HttpCache;

use crate::setup::{app, at_rest, cache_status, get, head, send, settle, whole};

/// A store whose writes wait at a gate.
#[derive(Debug)]
struct SlowWrites {
    store: MemoryStore,
    gate: Gate,
}

impl Store for SlowWrites {
    fn fetch<'a>(
        &'a self,
        keys: &'a [&'a str],
        deadline: Deadline,
    ) -> BoxFuture<'a, Result<Vec<Option<Bytes>>, Error>> {
        self.store.fetch(keys, deadline)
    }

    fn write<'a>(
        &'a self,
        batch: WriteBatch<'a>,
        deadline: Deadline,
    ) -> BoxFuture<'a, Result<Written, Error>> {
        Box::pin(async move {
            self.gate.pass().await;
            self.store.write(batch, deadline).await
        })
    }

    fn create<'a>(
        &'a self,
        entries: &'a [(&'a str, String)],
        keep_for: Millis,
        deadline: Deadline,
    ) -> BoxFuture<'a, Result<Vec<Option<Bytes>>, Error>> {
        self.store.create(entries, keep_for, deadline)
    }

    fn remove<'a>(
        &'a self,
        keys: &'a [&'a str],
        deadline: Deadline,
    ) -> BoxFuture<'a, Result<u64, Error>> {
        self.store.remove(keys, deadline)
    }

    fn remove_values<'a>(
        &'a self,
        keys: &'a [&'a str],
        deadline: Deadline,
    ) -> BoxFuture<'a, Result<u64, Error>> {
        self.store.remove_values(keys, deadline)
    }

    fn scan<'a>(
        &'a self,
        glob: &'a str,
        cursor: u64,
        deadline: Deadline,
    ) -> BoxFuture<'a, Result<ScanStep, Error>> {
        self.store.scan(glob, cursor, deadline)
    }

    fn ping(&self, deadline: Deadline) -> BoxFuture<'_, Result<(), Error>> {
        self.store.ping(deadline)
    }

    fn name(&self) -> &'static str {
        "slow"
    }
}

/// Without L1 they used to find neither the entry nor the body that had been read to its end,
/// looked again until they had no attempts left, and fetched alone.
#[tokio::test]
async fn a_whole_response_serves_until_the_store_has_it() {
    let clock = Clock::manual(1_800_000_000_000);
    let gate = Gate::new();
    let store = SlowWrites { store: MemoryStore::new(clock.clone()), gate: gate.clone() };
    let cache = Cache::builder().store(Arc::new(store)).l1(false).clock(clock);
    let cache = cache.operation_budget(minutes(1)).build().expect("valid");
    let http = HttpCache::builder(cache).build();
    let (app, mut calls) = app(&http);

    let first = send(&app, get("/a"));
    let fresh = body::respond(200, &[("cache-control", "max-age=60")], body::full("hello"));
    calls.next().await.answer(fresh);
    assert_eq!(whole(head(first).await).await.expect("whole"), "hello");
    settle().await;
    for _ in 0..3 {
        let late = head(send(&app, get("/a"))).await;
        assert_eq!(cache_status(&late), "hit");
        assert_eq!(whole(late).await.expect("whole"), "hello");
    }
    gate.open_for_good();
    at_rest(&http).await;
    let stored = head(send(&app, get("/a"))).await;
    assert_eq!(cache_status(&stored), "hit");
    assert_eq!(calls.count(), 1);
    let stats = http.stats();
    assert_eq!((stats.hits, stats.misses), (4, 1));
}
