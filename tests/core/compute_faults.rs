//! `get_or_compute` beside invalidations, hung functions and a slow store.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use cache_core::{Cache, ComputeError, Computed, Options, Previous, Scope, Ttl, minutes, seconds};
use cache_tests::{Gate, eventually};
use serde::{Deserialize, Serialize, Serializer};

use crate::gated_store::{At, GatedStore};
use crate::setup::{
    PATIENCE, Setup, delete, join, missed, on_every_setup, on_shared_setups, settled, text,
};

type Failure = std::io::Error;

const SOON: Duration = Duration::from_millis(20);

/// Fresh for a second, of use for five minutes more.
async fn soon_stale(cache: &Cache) {
    let work =
        async |_: Previous<String>| Ok::<_, Failure>(Computed::new("old".to_owned()).etag("e"));
    let asked = cache.get_or_compute_with("users", "1", work).ttl(seconds(1)).grace(minutes(5));
    assert_eq!(asked.await.unwrap(), "old");
    settled(cache).await;
}

/// Answers that nothing has changed, if there is something.
async fn unchanged(cache: &Cache) -> Result<String, ComputeError<Failure>> {
    let work = async |former: Previous<String>| {
        former.unchanged().ok_or(Failure::other("there is nothing"))
    };
    let asked = cache.get_or_compute_with("users", "1", work);
    asked.ttl(seconds(1)).grace(minutes(5)).await
}

/// Pinned: a stale value that this process still had in memory, and that another had deleted or
/// invalidated, stood in for one that failed; answered as unchanged it was stored again, as fresh.
async fn what_another_has_deleted_does_not_come_back(setup: Setup) {
    let setup = setup.deaf();
    for scope in [Scope::namespace("users"), Scope::key("users", "1")] {
        let (here, there) = (setup.cache(), setup.cache());
        soon_stale(&here).await;
        setup.clock.advance(seconds(2));
        there.invalidate(scope).await.unwrap();
        assert!(unchanged(&here).await.is_err());
        settled(&here).await;
        assert_eq!(text(&here, "users", "1").await, None);
        assert_eq!(text(&there, "users", "1").await, None);
    }
    let (here, there) = (setup.cache(), setup.cache());
    soon_stale(&here).await;
    setup.clock.advance(seconds(2));
    assert_eq!(unchanged(&here).await.unwrap(), "old", "what was not deleted does");
    settled(&here).await;
    setup.clock.advance(seconds(2));
    delete(&there, "users", "1").await;
    assert!(unchanged(&here).await.is_err());
}

on_shared_setups!(what_another_has_deleted_does_not_come_back);

/// Pinned: the same, by this process, while the store was asked.
#[tokio::test]
async fn what_is_invalidated_while_the_store_is_asked_does_not_come_back() {
    for scope in [Scope::namespace("users"), Scope::key("users", "1")] {
        let setup = Setup::memory();
        let store = GatedStore::new(&setup);
        let cache = store.deaf_cache(&setup);
        soon_stale(&cache).await;
        setup.clock.advance(seconds(2));
        let gate = store.hold(At::Fetch);
        let asking = tokio::spawn({
            let cache = cache.clone();
            async move { unchanged(&cache).await }
        });
        gate.waiting(1).await;
        cache.invalidate(scope).await.unwrap();
        gate.open(1);
        assert!(join(asking).await.is_err());
        settled(&cache).await;
        assert_eq!(text(&cache, "users", "1").await, None);
    }
}

/// Pinned: each caller waited for a function that hung in the background as long as its own timeout
/// said, and none replaced it: the key had no value any more.
#[tokio::test(start_paused = true)]
async fn what_hangs_behind_is_replaced_however_short_the_timeouts() {
    let cache = Setup::memory().cache();
    let ask = async |hangs: bool| {
        let work = async move || {
            if hangs {
                std::future::pending::<()>().await;
            }
            Ok::<_, Failure>("new".to_owned())
        };
        cache.get_or_compute("users", "1", work).timeout(seconds(1)).in_background().await
    };
    assert!(matches!(ask(true).await, Err(ComputeError::TimedOut)));
    let mut timeouts = 1;
    while let Err(error) = ask(false).await {
        assert!(matches!(error, ComputeError::TimedOut));
        timeouts += 1;
        assert!(timeouts <= 10, "seconds");
    }
    assert_eq!(text(&cache, "users", "1").await.as_deref(), Some("new"));
    // Nor does it keep its place for ever.
    assert_eq!(cache.background().running(), 1);
    tokio::time::sleep(minutes(9)).await;
    eventually(PATIENCE, "it ends", || cache.background().running() == 0).await;
}

/// Pinned: with a timeout of more than 10 s, those who waited started another after 10.
#[tokio::test(start_paused = true)]
async fn who_has_more_time_waits_longer() {
    let (cache, calls) = (Setup::memory().cache(), Arc::new(AtomicUsize::new(0)));
    let caller = || {
        let (cache, calls) = (cache.clone(), Arc::clone(&calls));
        tokio::spawn(async move {
            let work = async || {
                calls.fetch_add(1, Ordering::SeqCst);
                tokio::time::sleep(seconds(30)).await;
                Ok::<_, Failure>("new".to_owned())
            };
            cache.get_or_compute("users", "1", work).timeout(minutes(1)).await
        })
    };
    let callers: Vec<_> = (0..20).map(|_| caller()).collect();
    for caller in callers {
        assert_eq!(caller.await.unwrap().unwrap(), "new");
    }
    assert_eq!(calls.load(Ordering::SeqCst), 1);
}

/// Can't be serialized.
#[derive(Debug, PartialEq, Deserialize)]
struct Closed;

impl Serialize for Closed {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("no"))
    }
}

/// Pinned: a value that can't be serialized, computed in the background, was `LeaderFailed` to the
/// one who had asked for it.
async fn who_computes_behind_is_given_any_value(setup: Setup) {
    let cache = setup.cache();
    let work = async || Ok::<_, Failure>(Closed);
    assert_eq!(cache.get_or_compute("users", "1", work).in_background().await.unwrap(), Closed);
    settled(&cache).await;
    assert_eq!(cache.health().await.in_flight, 0);
}

/// Pinned: without a read, nothing went on in the background.
async fn without_a_read_it_goes_on_behind_too(setup: Setup) {
    let cache = setup.cache();
    let gate = Gate::new();
    let held = gate.clone();
    let work = async move || {
        held.pass().await;
        Ok::<_, Failure>("new".to_owned())
    };
    let asked = cache.get_or_compute("users", "1", work).skip_read().timeout(SOON);
    assert!(matches!(asked.in_background().await, Err(ComputeError::TimedOut)));
    gate.open(1);
    settled(&cache).await;
    assert_eq!(text(&cache, "users", "1").await.as_deref(), Some("new"));
}

/// Pinned: who could not be given somebody else's value had no timeout any more.
async fn who_computes_alone_has_a_timeout(setup: Setup) {
    let cache = setup.cache();
    let gate = Gate::new();
    let leading = tokio::spawn({
        let (cache, gate) = (cache.clone(), gate.clone());
        let work = async move || {
            gate.pass().await;
            Ok::<_, Failure>(Closed)
        };
        async move { cache.get_or_compute("users", "1", work).await }
    });
    gate.waiting(1).await;
    let following = tokio::spawn({
        let cache = cache.clone();
        let work = std::future::pending::<Result<Closed, Failure>>;
        async move { cache.get_or_compute("users", "1", work).timeout(seconds(1)).await }
    });
    tokio::time::sleep(SOON).await;
    gate.open(1);
    assert_eq!(join(leading).await.unwrap(), Closed);
    assert!(matches!(join(following).await, Err(ComputeError::TimedOut)));
}

/// Pinned: an early refresh for which there was no place in the background kept its caller for as
/// long as the function took, whatever the timeout; one that failed counted as a stale hit.
async fn an_early_refresh_without_a_place_has_a_timeout(setup: Setup) {
    let cache = setup.builder().background_tasks(1).build().unwrap();
    cache.set("users", "1", "old").ttl(minutes(1)).await.unwrap();
    setup.clock.advance(seconds(50));
    let gate = Gate::new();
    let held = gate.clone();
    assert!(cache.background().try_spawn(async move { held.pass().await }));
    let work = std::future::pending::<Result<String, Failure>>;
    let asked = cache.get_or_compute("users", "1", work).early_refresh(80).timeout(SOON);
    assert_eq!(asked.in_background().await.unwrap(), "old");
    assert_eq!(cache.stats().namespaces["users"].stale, 0);
    gate.open(1);
    settled(&cache).await;
}

/// Pinned: where nothing is cached, the timeout was left out.
async fn a_timeout_needs_no_cache(setup: Setup) {
    let off = setup.builder().enabled(false).options(Options::new().timeout(SOON)).build().unwrap();
    let cache = setup.cache();
    let work = std::future::pending::<Result<String, Failure>>;
    let asked = off.get_or_compute("users", "1", work).await;
    assert!(matches!(asked, Err(ComputeError::TimedOut)));
    let asked = cache.get_or_compute("", "1", work).timeout(SOON).await;
    assert!(matches!(asked, Err(ComputeError::TimedOut)), "a name that can't be used");
}

/// Pinned: of a value of another type, which can't be left unchanged, the function was told the
/// `ETag`, and asked its source in vain.
async fn a_value_of_another_type_has_no_etag(setup: Setup) {
    let cache = setup.cache();
    soon_stale(&cache).await;
    setup.clock.advance(seconds(2));
    let work = async |former: Previous<u64>| {
        assert_eq!(former.etag(), None);
        Ok::<_, Failure>(Computed::new(7))
    };
    assert_eq!(cache.get_or_compute_with("users", "1", work).await.unwrap(), 7);
    settled(&cache).await;
}

/// Pinned: each caller of a value that was due called a function that failed, or hung, one after the
/// other.
async fn an_early_refresh_that_comes_to_nothing_is_given_a_rest(setup: Setup) {
    let cache = setup.cache();
    for (key, hangs) in [("1", false), ("2", true)] {
        cache.set("users", key, "old").ttl(minutes(1)).await.unwrap();
        setup.clock.advance(seconds(50));
        let calls = AtomicUsize::new(0);
        let ask = async || {
            let work = async || {
                calls.fetch_add(1, Ordering::SeqCst);
                if hangs {
                    std::future::pending::<()>().await;
                }
                Err::<String, _>(Failure::other("no"))
            };
            cache.get_or_compute("users", key, work).early_refresh(80).timeout(SOON).await
        };
        for _ in 0..5 {
            assert_eq!(ask().await.unwrap(), "old");
        }
        assert_eq!(calls.load(Ordering::SeqCst), 1);
        setup.clock.advance(seconds(1));
        assert_eq!(ask().await.unwrap(), "old");
        assert_eq!(calls.load(Ordering::SeqCst), 2);
        // One that succeeds needs none.
        setup.clock.advance(seconds(1));
        let works = async || Ok::<_, Failure>("new".to_owned());
        let asked = cache.get_or_compute("users", key, works).early_refresh(80).ttl(seconds(10));
        assert_eq!(asked.await.unwrap(), "new");
        settled(&cache).await;
        setup.clock.advance(seconds(9));
        let works = async || Ok::<_, Failure>("newer".to_owned());
        let asked = cache.get_or_compute("users", key, works).early_refresh(80);
        assert_eq!(asked.await.unwrap(), "newer");
        settled(&cache).await;
    }
}

/// Pinned: who stored nothing computed anew what was still fresh, for himself, whenever he asked.
async fn who_stores_nothing_refreshes_nothing(setup: Setup) {
    let cache = setup.cache();
    cache.set("users", "1", "old").ttl(minutes(1)).await.unwrap();
    setup.clock.advance(seconds(50));
    let work = async || Ok::<_, Failure>("new".to_owned());
    let asked = cache.get_or_compute("users", "1", work).early_refresh(80).skip_write();
    assert_eq!(asked.await.unwrap(), "old");
}

/// Pinned: a stale value that had been deleted while the function ran stood in for its failure, and
/// one that had been replaced stood in before what had replaced it.
async fn what_is_deleted_or_replaced_meanwhile_stands_in_for_nothing(setup: Setup) {
    let cache = setup.cache();
    let begin = async || {
        soon_stale(&cache).await;
        setup.clock.advance(seconds(2));
        let gate = Gate::new();
        let ask = || {
            let (cache, gate) = (cache.clone(), gate.clone());
            tokio::spawn(async move {
                let work = async || {
                    gate.pass().await;
                    Err::<String, _>(Failure::other("no"))
                };
                cache.get_or_compute("users", "1", work).await
            })
        };
        let before = cache.stats().namespaces["users"].misses;
        let leading = ask();
        gate.waiting(1).await;
        let following = ask();
        missed(&cache, "users", before + 2).await;
        ([leading, following], gate)
    };
    let (asking, gate) = begin().await;
    delete(&cache, "users", "1").await;
    gate.open_for_good();
    for asked in asking {
        assert!(join(asked).await.is_err());
    }
    let (asking, gate) = begin().await;
    cache.set("users", "1", "newer").await.unwrap();
    gate.open_for_good();
    for asked in asking {
        let given = join(asked).await.ok();
        // Where memory has it.
        assert_eq!(given.as_deref(), setup.has_l1().then_some("newer"));
    }
    delete(&cache, "users", "1").await;
}

on_every_setup!(
    an_early_refresh_that_comes_to_nothing_is_given_a_rest,
    who_stores_nothing_refreshes_nothing,
    what_is_deleted_or_replaced_meanwhile_stands_in_for_nothing,
    who_computes_behind_is_given_any_value,
    without_a_read_it_goes_on_behind_too,
    who_computes_alone_has_a_timeout,
    an_early_refresh_without_a_place_has_a_timeout,
    a_timeout_needs_no_cache,
    a_value_of_another_type_has_no_etag,
);

/// Pinned: errors whose time had passed held on to their keys until somebody asked for those.
#[tokio::test(start_paused = true)]
async fn an_error_is_forgotten_when_its_time_has_passed() {
    let cache = Setup::memory().cache();
    let work = async || Err::<String, _>(Failure::other("no"));
    let asked = cache.get_or_compute("users", "1", work).error_ttl(seconds(1)).await;
    assert!(asked.is_err());
    tokio::time::sleep(seconds(2)).await;
    assert_eq!(cache.health().await.in_flight, 0);
}

/// Pinned: each step of a call had a whole budget: looking up, making generations, and meeting the
/// tags of the value.
#[tokio::test(start_paused = true)]
async fn a_call_waits_for_the_cache_no_longer_than_one_budget() {
    let setup = Setup::memory();
    let store = GatedStore::new(&setup);
    let cache = store.builder(&setup).operation_budget(Duration::from_millis(50)).build().unwrap();
    let (gate, computing) = (store.hold(At::FetchReply), Gate::new());
    let asking = tokio::spawn({
        let (cache, computing) = (cache.clone(), computing.clone());
        let work = async move |_: Previous<u64>| {
            computing.pass().await;
            Ok::<_, Failure>(Computed::new(7).tag("t"))
        };
        async move { cache.get_or_compute_with("users", "1", work).await }
    });
    gate.waiting(1).await;
    tokio::time::advance(Duration::from_millis(30)).await;
    gate.open(1);
    computing.waiting(1).await;
    // What the function takes does not count.
    tokio::time::advance(seconds(5)).await;
    computing.open(1);
    assert_eq!(join(asking).await.unwrap(), 7);
    settled(&cache).await;
    assert_eq!(cache.get::<u64>("users", "1").await.unwrap(), Some(7));
    let left = store.left_to_create();
    assert!(left.len() >= 2, "before the function and after it: {left:?}");
    assert!(left.iter().all(|left| *left <= Duration::from_millis(20)), "{left:?}");
}

/// Pinned: the use of a value that another had replaced gave its time to the new one.
#[tokio::test]
async fn what_has_taken_the_place_of_a_used_value_keeps_its_own_time() {
    let setup = Setup::memory();
    let store = GatedStore::new(&setup);
    let options = Options::new().ttl(seconds(80)).sliding(minutes(30));
    let build = || store.builder(&setup).l1_ttl(minutes(1)).options(options).build().unwrap();
    let (here, there, third) = (build(), build(), build());
    here.set("users", "1", "old").await.unwrap();
    setup.clock.advance(seconds(45));
    let gate = store.hold(At::Fetch);
    assert_eq!(text(&here, "users", "1").await.as_deref(), Some("old"));
    gate.waiting(1).await;
    there.set("users", "1", "new").ttl(seconds(5)).await.unwrap();
    gate.open(1);
    settled(&here).await;
    assert_eq!(third.ttl("users", "1").await.unwrap(), Some(Ttl::After(seconds(5))));
}
