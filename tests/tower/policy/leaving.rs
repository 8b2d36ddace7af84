//! Unsafe requests whose client leaves: what they have changed is invalidated all the same.

use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Waker};

use cache_core::store::{BoxFuture, MemoryStore, ScanStep, Store, WriteBatch, Written};
use cache_core::{Builder, Cache, Clock, Deadline, Error, Millis, seconds};
use cache_tests::wait::eventually_some;
use cache_tower::{CacheLayer, HttpCache, InvalidateLayer};
use tower::{Layer, ServiceExt};

use super::origin::{App, HIT, Origin, PATIENCE, START, reply, request};

/// A store that gives the others a turn before and after each call.
#[derive(Debug)]
struct Yielding(MemoryStore);

async fn turns<T>(call: BoxFuture<'_, T>) -> T {
    tokio::task::yield_now().await;
    let answer = call.await;
    tokio::task::yield_now().await;
    answer
}

type Answer<'a, T> = BoxFuture<'a, Result<T, Error>>;

impl Store for Yielding {
    fn fetch<'a>(
        &'a self,
        keys: &'a [&'a str],
        by: Deadline,
    ) -> Answer<'a, Vec<Option<bytes::Bytes>>> {
        Box::pin(turns(Box::pin(async move { self.0.fetch(keys, by).await })))
    }

    fn write<'a>(&'a self, batch: WriteBatch<'a>, by: Deadline) -> Answer<'a, Written> {
        Box::pin(turns(Box::pin(async move { self.0.write(batch, by).await })))
    }

    fn create<'a>(
        &'a self,
        entries: &'a [(&'a str, String)],
        keep_for: Millis,
        by: Deadline,
    ) -> Answer<'a, Vec<Option<bytes::Bytes>>> {
        self.0.create(entries, keep_for, by)
    }

    fn remove<'a>(&'a self, keys: &'a [&'a str], by: Deadline) -> Answer<'a, u64> {
        Box::pin(turns(Box::pin(async move { self.0.remove(keys, by).await })))
    }

    fn scan<'a>(&'a self, glob: &'a str, cursor: u64, by: Deadline) -> Answer<'a, ScanStep> {
        self.0.scan(glob, cursor, by)
    }

    fn ping(&self, by: Deadline) -> Answer<'_, ()> {
        self.0.ping(by)
    }

    fn name(&self) -> &'static str {
        "yielding"
    }
}

/// Instances that share a store.
struct Fleet {
    store: Arc<Yielding>,
    clock: Clock,
}

impl Fleet {
    fn new() -> Self {
        let clock = Clock::manual(START);
        Self { store: Arc::new(Yielding(MemoryStore::new(clock.clone()))), clock }
    }

    fn node(&self, build: impl FnOnce(Builder) -> Builder) -> Cache {
        let builder = Cache::builder().store(self.store.clone()).clock(self.clock.clone());
        build(builder.operation_budget(seconds(10))).build().expect("valid")
    }

    /// `POST /a` changes `/b`, too. It is answered with this status, or a panic.
    fn app(cache: Cache, status: u16) -> App {
        let origin = Origin::new(move |request| match request.method().as_str() {
            "GET" => {
                reply(200, &[("cache-control", "max-age=60"), ("cache-groups", "\"g\"")], "body")
            }
            _ if status == PANIC => panic!("the handler panics here"),
            _ => reply(status, &[("cache-group-invalidation", "\"g\"")], ""),
        });
        let http = HttpCache::builder(cache).build();
        let inside = origin.then(async |answer| {
            tokio::task::yield_now().await;
            answer
        });
        let inside = InvalidateLayer::new(&http, "{workspace_id}:b:*").layer(inside);
        App::of(&http, CacheLayer::new(&http).layer(inside))
    }
}

/// Instead of a status.
const PANIC: u16 = 999;

const PATHS: [&str; 3] = ["/a", "/b/1", "/of-the-group"];

/// Polls `POST /a` so often, then drops it. True if that was before its end.
fn left_after(app: &App, polls: usize) -> bool {
    let mut posting = pin!(app.clone().call(request("POST", "/a", &[])));
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..polls {
        let poll =
            std::panic::catch_unwind(AssertUnwindSafe(|| posting.as_mut().poll(&mut context)));
        if poll.is_err() || poll.is_ok_and(|poll| poll.is_ready()) {
            return false;
        }
    }
    true
}

/// Leaves after each number of polls; tells what then becomes of what was stored. With a full
/// background nothing goes on without its client.
async fn leaves_at_each_poll(full: bool, status: u16, check: impl AsyncFn(&App, &App, usize)) {
    let mut polls = 1;
    loop {
        let fleet = Fleet::new();
        let other = Fleet::app(fleet.node(|builder| builder.l1(false)), status);
        let own = Fleet::app(fleet.node(|builder| builder.background_tasks(1)), status);
        for path in PATHS {
            other.get(path, &[]).await;
            for app in [&other, &own] {
                assert_eq!(app.told(path, &[]).await, HIT, "{path}");
            }
        }
        if full {
            assert!(own.http.cache().background().try_spawn(std::future::pending()));
        }
        let left = left_after(&own, polls);
        check(&own, &other, polls).await;
        if !left {
            break;
        }
        polls += 1;
    }
    assert!(polls > 1 || status == PANIC);
}

async fn hits(app: &App) -> usize {
    let mut hits = 0;
    for path in PATHS {
        // Without waiting for the background, and without storing it again.
        let asked = request("GET", path, &[("cache-control", "only-if-cached")]);
        hits += usize::from(app.clone().call(asked).await.status().is_success());
    }
    hits
}

/// Waits until all is told.
async fn rest(app: &App, full: bool) {
    eventually_some(PATIENCE, "all is told", async || {
        let health = app.http.cache().health().await;
        let rests = health.background_tasks == usize::from(full);
        (rests && health.queued_invalidations == 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn what_was_changed_is_invalidated_although_the_client_has_left() {
    for status in [200, 303] {
        leaves_at_each_poll(false, status, async |own, other, polls| {
            rest(own, false).await;
            assert_eq!(hits(own).await, 0, "{polls}");
            assert_eq!(hits(other).await, 0, "{polls}");
        })
        .await;
    }
}

/// With no place in the background nothing goes on without its client. What had begun is queued;
/// of a handler that was cut short nobody knows what it has changed.
#[tokio::test]
async fn nor_is_it_lost_where_the_background_has_no_place() {
    leaves_at_each_poll(true, 200, async |own, other, polls| {
        let group = async |app: &App| {
            let asked = request("GET", PATHS[2], &[("cache-control", "only-if-cached")]);
            app.clone().call(asked).await.status().is_success()
        };
        // The answer names the group; so that is known only once there is one.
        let here = hits(own).await;
        assert!(here == 0 || (here == 1 && group(own).await), "{polls}: {here}");
        rest(own, true).await;
        assert_eq!(hits(other).await, here, "{polls}");
    })
    .await;
}

#[tokio::test]
async fn after_an_error_or_a_panic_nothing_is() {
    for status in [400, 500, PANIC] {
        leaves_at_each_poll(false, status, async |own, other, polls| {
            rest(own, false).await;
            assert_eq!(hits(own).await, PATHS.len(), "{status} {polls}");
            assert_eq!(hits(other).await, PATHS.len(), "{status} {polls}");
        })
        .await;
    }
}

/// The next read sees the write: through another layer of this cache, and on another node.
#[tokio::test]
async fn the_answer_comes_after_the_invalidation() {
    let fleet = Fleet::new();
    let cache = fleet.node(|builder| builder);
    let (own, second) = (Fleet::app(cache.clone(), 200), Fleet::app(cache, 200));
    let other = Fleet::app(fleet.node(|builder| builder.l1(false)), 200);
    for path in PATHS {
        for app in [&own, &second, &other] {
            app.get(path, &[]).await;
            assert_eq!(app.told(path, &[]).await, HIT, "{path}");
        }
    }
    own.clone().call(request("POST", "/a", &[])).await;
    for app in [&own, &second, &other] {
        assert_eq!(hits(app).await, 0);
    }
}
