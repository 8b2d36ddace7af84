//! `get_or_compute_many` where something is wrong: bytes in the store, the store, the function, or
//! what the keys have in common.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use cache_core::{
    BatchOutcome, Cache, ComputeError, Computed, Key, Namespace, Options, TypedNamespace, minutes,
    seconds,
};
use cache_tests::{Gate, RedisServer};

use crate::gated_store::{At, GatedStore};
use crate::setup::{
    Setup, delete, join, missed, on, on_every_setup, on_shared_setups, settled, text,
};

type Failure = std::io::Error;
type Outcome = BatchOutcome<String, Failure>;

const SOON: Duration = Duration::from_millis(20);

/// Each key's value is `new`.
async fn load<K>(keys: Vec<K>) -> Result<Vec<(K, String)>, Failure> {
    tokio::task::yield_now().await;
    Ok(keys.into_iter().map(|key| (key, "new".to_owned())).collect())
}

async fn fails<K>(_: Vec<K>) -> Result<Vec<(K, String)>, Failure> {
    tokio::task::yield_now().await;
    Err(Failure::other("no"))
}

fn values(outcomes: Vec<Outcome>) -> Vec<String> {
    outcomes.into_iter().map(|outcome| outcome.unwrap().unwrap()).collect()
}

async fn what_is_damaged_in_the_store_is_computed_and_hinders_no_other(setup: Setup) {
    let writer = setup.cache();
    writer.set_many("users", [("1", "Ada"), ("2", "Bob"), ("3", "Eve")]).await.unwrap();
    let good = ["1", "2", "3"].map(|key| setup.stored("users", key).unwrap());
    let flipped = |at: usize| {
        let mut bad = good[1].clone();
        bad[at] ^= 1;
        bad
    };
    let last = good[1].len() - 1;
    let damages = [flipped(0), flipped(last / 2), flipped(last), good[1][..last].to_vec()];
    let foreign = [Vec::new(), b"theirs".to_vec(), good[0].clone()];
    for bad in damages.into_iter().chain(foreign) {
        setup.put("users", "2", &bad);
        let reader = setup.cache();
        let found = reader.get_or_compute_many("users", ["1", "2", "3"], load).await;
        assert_eq!(values(found), ["Ada", "new", "Eve"]);
        settled(&reader).await;
        let stats = reader.stats().namespaces["users"];
        assert_eq!((stats.hits, stats.misses, stats.computes), (2, 1, 1), "{bad:?}");
        assert_eq!(text(&setup.cache(), "users", "2").await.as_deref(), Some("new"), "repaired");
    }
}

async fn what_another_schema_has_stored_is_computed(setup: Setup) {
    const USERS: Namespace = Namespace::new("users");
    const OLD: TypedNamespace<u64, u64> = TypedNamespace::new(USERS).schema(1);
    const NEW: TypedNamespace<u64, String> = TypedNamespace::new(USERS).schema(2);
    setup.cache().typed(&OLD).set_many([(&1, &7), (&2, &8)]).await.unwrap();
    let bytes = setup.stored("users", "1:%s1").expect("it is there");
    setup.put("users", "1:%s2", &bytes);
    let reader = setup.cache();
    let found = reader.typed(&NEW).get_or_compute_many([1, 2], load).await;
    assert_eq!(values(found), ["new", "new"]);
    settled(&reader).await;
    assert_eq!(setup.cache().typed(&OLD).get(&2).await.unwrap(), Some(8), "it has its own");
}

on_shared_setups!(
    what_is_damaged_in_the_store_is_computed_and_hinders_no_other,
    what_another_schema_has_stored_is_computed,
);

/// Pinned: where nothing is cached, the timeout was left out.
async fn a_timeout_needs_no_cache(setup: Setup) {
    let off = setup.builder().enabled(false).options(Options::new().timeout(SOON)).build().unwrap();
    let cache = setup.cache();
    let hangs = |_: Vec<&'static str>| {
        std::future::pending::<Result<Vec<(&'static str, String)>, Failure>>()
    };
    let found = off.get_or_compute_many("users", ["1", "2"], hangs).batch_size(1).await;
    assert!(found.iter().all(|one| matches!(one, Err(ComputeError::TimedOut))), "{found:?}");
    let found = cache.get_or_compute_many("", ["1"], hangs).timeout(SOON).await;
    assert!(matches!(found[0], Err(ComputeError::TimedOut)), "a name that can't be used");
}

/// Pinned: a computation of a batch was counted of no workspace.
async fn a_computation_is_counted_of_the_workspaces_of_its_keys(setup: Setup) {
    let cache = setup.cache();
    let key = |workspace: &str, n: u64| Key::workspace(workspace).segment(n.to_string());
    let keys = [key("ws1", 1), key("ws1", 2), key("ws2", 1)];
    values(cache.get_or_compute_many("users", keys, load).await);
    let stats = cache.stats();
    let computes = |of: &str| stats.workspaces[of].computes;
    assert_eq!((stats.namespaces["users"].computes, computes("ws1"), computes("ws2")), (1, 1, 1));
    settled(&cache).await;
    let failing = cache.get_or_compute_many("users", [key("ws1", 3)], fails).await;
    assert!(failing[0].is_err());
    assert_eq!(cache.workspace_stats("ws1").unwrap().compute_failures, 1);
    assert_eq!(cache.workspace_stats("ws2").unwrap().compute_failures, 0);
}

/// Pinned: a value of another type was no error to a batch, as it is to all others.
async fn what_is_another_type_is_counted_as_that(setup: Setup) {
    let cache = setup.cache();
    cache.set("users", "1", &7).await.unwrap();
    values(cache.get_or_compute_many("users", ["1"], load).await);
    settled(&cache).await;
    assert_eq!(cache.stats().namespaces["users"].errors, 1);
}

/// Pinned: each caller of a value that was due called a function that failed, one after the other.
async fn an_early_refresh_that_fails_is_given_a_rest(setup: Setup) {
    let cache = setup.cache();
    cache.set("users", "1", "old").ttl(minutes(1)).await.unwrap();
    setup.clock.advance(seconds(50));
    let calls = AtomicUsize::new(0);
    let ask = async || {
        let failing = |keys| {
            calls.fetch_add(1, Ordering::SeqCst);
            fails::<&'static str>(keys)
        };
        let early = Options::new().early_refresh(80);
        values(cache.get_or_compute_many("users", ["1"], failing).options(early).await)
    };
    for _ in 0..5 {
        assert_eq!(ask().await, ["old"]);
    }
    assert_eq!(calls.load(Ordering::SeqCst), 1);
    setup.clock.advance(seconds(1));
    assert_eq!(ask().await, ["old"]);
    assert_eq!(calls.load(Ordering::SeqCst), 2);
    // Who stores nothing has no reason to.
    setup.clock.advance(seconds(1));
    let asked = cache.get_or_compute_many("users", ["1"], load).skip_write();
    assert_eq!(values(asked.options(Options::new().early_refresh(80)).await), ["old"]);
}

/// Pinned: what had been deleted while the function ran stood in for its failure.
async fn what_is_deleted_meanwhile_stands_in_for_nothing(setup: Setup) {
    let cache = setup.cache();
    let options = Options::new().ttl(minutes(1)).grace(minutes(5));
    values(cache.get_or_compute_many("users", ["1", "2"], load).options(options).await);
    settled(&cache).await;
    setup.clock.advance(minutes(2));
    let gate = Gate::new();
    let ask = || {
        let (cache, gate) = (cache.clone(), gate.clone());
        tokio::spawn(async move {
            let failing = |keys: Vec<&'static str>| {
                let gate = gate.clone();
                async move {
                    gate.pass().await;
                    fails(keys).await
                }
            };
            cache.get_or_compute_many("users", ["1", "2"], failing).await
        })
    };
    // The second waits for the first.
    let leading = ask();
    gate.waiting(1).await;
    let following = ask();
    missed(&cache, "users", 6).await;
    delete(&cache, "users", "1").await;
    gate.open_for_good();
    for asked in [leading, following] {
        let found = join(asked).await;
        assert!(matches!(found[0], Err(ComputeError::Compute(_))), "{found:?}");
        assert_eq!(found[1].as_ref().unwrap().as_deref(), Some("new"));
    }
}

on_every_setup!(
    a_timeout_needs_no_cache,
    a_computation_is_counted_of_the_workspaces_of_its_keys,
    what_is_another_type_is_counted_as_that,
    an_early_refresh_that_fails_is_given_a_rest,
    what_is_deleted_meanwhile_stands_in_for_nothing,
);

async fn tagged<K>(keys: Vec<K>) -> Result<Vec<(K, Result<Computed<String>, Failure>)>, Failure> {
    tokio::task::yield_now().await;
    let each = keys.into_iter().enumerate();
    let value = |n: usize| Computed::new("new".to_owned()).tag(n.to_string()).tag("all");
    Ok(each.map(|(n, key)| (key, Ok(value(n)))).collect())
}

/// Pinned: each value that named its tags asked for them in a round trip of its own.
#[tokio::test]
async fn the_tags_of_all_values_cost_one_round_trip() {
    let setup = Setup::memory();
    let store = GatedStore::new(&setup);
    let cache = store.cache(&setup);
    let users = cache.namespace("users");
    let names = |from: usize| (from..from + 200).map(|n| n.to_string());
    values(users.get_or_compute_many_with(names(0), tagged).await);
    settled(&cache).await;
    let before = store.creations();
    values(users.get_or_compute_many_with(names(200), tagged).await);
    assert_eq!(store.creations() - before, 1);
    settled(&cache).await;
    let fresh = store.cache_without_l1(&setup);
    assert_eq!(text(&fresh, "users", "399").await.as_deref(), Some("new"));
    cache.invalidate(cache_core::Tag::new("199")).await.unwrap();
    assert_eq!(text(&fresh, "users", "399").await, None);
    assert_eq!(text(&fresh, "users", "398").await.as_deref(), Some("new"));
}

/// Pinned: each step of a batch had a whole budget.
#[tokio::test(start_paused = true)]
async fn a_batch_waits_for_the_cache_no_longer_than_one_budget() {
    let setup = Setup::memory();
    let store = GatedStore::new(&setup);
    let cache = store.builder(&setup).operation_budget(Duration::from_millis(50)).build().unwrap();
    let gate = store.hold(At::FetchReply);
    let asking = tokio::spawn({
        let users = cache.namespace("users");
        async move { users.get_or_compute_many_with(["1", "2"], tagged).await }
    });
    gate.waiting(1).await;
    tokio::time::advance(Duration::from_millis(30)).await;
    gate.open(1);
    values(join(asking).await);
    let left = store.left_to_create();
    assert!(left.len() >= 2, "before the function and after it: {left:?}");
    assert!(left.iter().all(|left| *left <= SOON), "{left:?}");
}

#[tokio::test]
async fn what_is_in_memory_costs_no_round_trip() {
    let redis = RedisServer::start();
    let cache = on(&redis).build().unwrap();
    values(cache.get_or_compute_many("users", ["1", "2"], load).await);
    settled(&cache).await;
    redis.reset_stats();
    values(cache.get_or_compute_many("users", ["2", "1"], load).await);
    assert_eq!(["mget", "get", "evalsha"].map(|name| redis.calls(name)), [0; 3]);
}

/// Pinned: an early refresh that hung kept those that came later in batches from trying.
#[tokio::test(start_paused = true)]
async fn an_early_refresh_that_hangs_is_replaced() {
    let setup = Setup::memory();
    let cache: Cache = setup.cache();
    cache.set("users", "1", "old").ttl(minutes(1)).await.unwrap();
    setup.clock.advance(seconds(50));
    let hung = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&hung);
    let hangs = async move || {
        counted.fetch_add(1, Ordering::SeqCst);
        std::future::pending::<Result<String, Failure>>().await
    };
    let asked = cache.get_or_compute("users", "1", hangs).early_refresh(80).in_background();
    assert_eq!(asked.await.unwrap(), "old");
    let early = Options::new().early_refresh(80);
    let ask = || cache.get_or_compute_many("users", ["1"], load).options(early);
    assert_eq!(values(ask().await), ["old"]);
    tokio::time::sleep(seconds(11)).await;
    assert_eq!(values(ask().await), ["new"]);
    assert_eq!(hung.load(Ordering::SeqCst), 1);
}
