//! Flights of which nothing can tell whether they were overtaken elsewhere: shared for
//! `UNCONFIRMED_FLIGHT`, and no longer.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use cache_core::{Cache, Invalidated, Scope, Tag, UNCONFIRMED_FLIGHT, seconds};
use cache_tests::{FaultProxy, Gate, Mode, RedisServer};
use tokio::task::JoinHandle;

use crate::faults::full;
use crate::gated_store::{At, GatedStore};
use crate::setup::{PATIENCE, Setup, at, fill, join, on};

/// Callers of one key; each computation gives its own number, once the gate lets it.
#[derive(Clone, Default)]
struct Callers {
    gate: Gate,
    computed: Arc<AtomicUsize>,
}

impl Callers {
    /// One who has come as far as it can: it computes, or it waits for one who does.
    async fn another(&self, cache: &Cache) -> JoinHandle<usize> {
        let (callers, cache) = (self.clone(), cache.clone());
        let caller = tokio::spawn(async move {
            let compute = async || {
                let number = callers.computed.fetch_add(1, Ordering::SeqCst) + 1;
                callers.gate.pass().await;
                Ok::<_, std::io::Error>(number)
            };
            cache.get_or_compute("users", "1", compute).await.unwrap()
        });
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        caller
    }

    /// Waits until so many compute.
    async fn computing(&self, count: usize) {
        tokio::time::timeout(PATIENCE, self.gate.waiting(count)).await.expect("another computes");
    }

    /// What each is given in the end.
    async fn given(&self, callers: Vec<JoinHandle<usize>>) -> Vec<usize> {
        self.gate.open_for_good();
        let mut given = Vec::new();
        for caller in callers {
            given.push(join(caller).await);
        }
        given
    }
}

const BEFORE: Duration = UNCONFIRMED_FLIGHT.saturating_sub(Duration::from_millis(1));
const MOMENT: Duration = Duration::from_millis(1);

/// The next call of each of these fails, and then one call now, one just before the time is up,
/// one when it is, and one much later (less than it takes who waits to lose patience).
async fn calls(cache: &Cache, mut fail: impl FnMut()) -> Vec<usize> {
    let callers = Callers::default();
    let mut all = Vec::new();
    for passes in [Duration::ZERO, BEFORE, MOMENT, seconds(9)] {
        tokio::time::advance(passes).await;
        fail();
        all.push(callers.another(cache).await);
    }
    callers.given(all).await
}

/// Pinned: who asked long after an invalidation elsewhere was given what had begun before it.
#[tokio::test(start_paused = true)]
async fn where_no_generation_can_be_made_a_flight_is_joined_for_a_short_time() {
    let setup = Setup::shared();
    for l1 in [false, true] {
        let store = GatedStore::new(&setup);
        let cache = store.builder(&setup).l1(l1).build().unwrap();
        assert_eq!(calls(&cache, || store.fail(At::Create)).await, [1, 1, 2, 3]);
    }
}

#[tokio::test(start_paused = true)]
async fn where_the_store_can_not_be_asked_a_flight_is_joined_for_a_short_time() {
    let setup = Setup::shared();
    let store = GatedStore::new(&setup);
    let cache = store.cache_without_l1(&setup);
    assert_eq!(calls(&cache, || store.fail(At::Fetch)).await, [1, 1, 2, 3]);
}

/// The flight is known to be good, but not whether it still is.
#[tokio::test(start_paused = true)]
async fn who_can_not_ask_the_store_joins_a_flight_that_has_just_begun_only() {
    let setup = Setup::shared();
    let store = GatedStore::new(&setup);
    let cache = store.cache_without_l1(&setup);
    let mut first = true;
    let fail = || {
        if !std::mem::take(&mut first) {
            store.fail(At::Fetch);
        }
    };
    assert_eq!(calls(&cache, fail).await, [1, 1, 2, 3]);
}

/// That another fill has learnt the generations since says nothing of this one.
#[tokio::test(start_paused = true)]
async fn a_generation_that_is_made_later_does_not_confirm_a_flight() {
    let setup = Setup::shared();
    let store = GatedStore::new(&setup);
    let cache = store.cache_without_l1(&setup);
    let callers = Callers::default();
    store.fail(At::Create);
    let mut all = vec![callers.another(&cache).await];
    assert_eq!(fill(&cache, "users", "2", "makes the generations").await, "makes the generations");
    for passes in [BEFORE, MOMENT, seconds(9)] {
        tokio::time::advance(passes).await;
        all.push(callers.another(&cache).await);
    }
    assert_eq!(callers.given(all).await, [1, 1, 2, 2], "the second flight is a good one");
}

#[tokio::test(start_paused = true)]
async fn in_memory_and_where_the_store_answers_a_flight_is_joined_as_long_as_it_lasts() {
    for setup in [Setup::memory(), Setup::shared()] {
        let cache = setup.cache();
        for _ in 0..2 {
            // The first time no generation is known, the second time all are.
            assert_eq!(calls(&cache, || ()).await, [1, 1, 1, 1]);
            cache.clear("users").await.unwrap();
            fill(&cache, "users", "2", "so that there is a generation").await;
        }
    }
}

/// As the one above, and no other process can have told of anything.
async fn passes(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

/// The value of a second caller, who asks after an invalidation elsewhere, while a first one that
/// had begun before it is still computing.
async fn after_an_invalidation_elsewhere(filler: &Cache, other: &Cache, scope: Scope) -> usize {
    let callers = Callers::default();
    let first = callers.another(filler).await;
    callers.computing(1).await;
    assert_eq!(other.invalidate(scope).await.unwrap(), Invalidated::Complete);
    passes(UNCONFIRMED_FLIGHT).await;
    let second = callers.another(filler).await;
    callers.computing(2).await;
    let given = callers.given(vec![first, second]).await;
    assert_eq!(given[0], 1);
    given[1]
}

/// Pinned: on a full Redis there was no generation, so that the removal of it removed nothing.
#[tokio::test]
async fn on_a_full_redis_who_asks_after_an_invalidation_elsewhere_computes() {
    for l1 in [false, true] {
        let redis = RedisServer::start();
        let cache = || on(&redis).l1(l1).build().unwrap();
        let (filler, other) = (cache(), cache());
        full(&redis);
        for scope in [Scope::namespace("users"), Scope::key("users", "1"), Tag::new("t").into()] {
            let second = after_an_invalidation_elsewhere(&filler, &other, scope).await;
            assert_eq!(second, 2, "l1: {l1}");
            filler.clear("users").await.unwrap();
        }
    }
}

#[tokio::test]
async fn who_finds_redis_away_computes_what_others_began_long_before() {
    let redis = RedisServer::start();
    let proxy = FaultProxy::start(redis.port()).await;
    let filler = at(&redis.url_through(proxy.port())).l1(false).build().unwrap();
    let other = on(&redis).l1(false).build().unwrap();
    proxy.set(Mode::Refuse).await;
    let scope = Scope::namespace("users");
    assert_eq!(after_an_invalidation_elsewhere(&filler, &other, scope).await, 2);
}

/// Pinned: a delete of one key leaves no other trace than the key's state in the store, at which
/// nobody looked before waiting for what had begun before it.
#[tokio::test]
async fn who_asks_after_a_delete_elsewhere_does_not_wait_for_what_began_before() {
    let setup = Setup::redis();
    let (filler, other) = (setup.cache(), setup.cache());
    let callers = Callers::default();
    let first = callers.another(&filler).await;
    callers.computing(1).await;
    assert_eq!(other.delete("users", "1").await.unwrap(), Invalidated::Complete);
    let second = callers.another(&filler).await;
    callers.computing(2).await;
    assert_eq!(callers.given(vec![first, second]).await, [1, 2]);
}
