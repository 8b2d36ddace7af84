//! Places in the background: what runs there, what it leaves to be written, and what is kept warm.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use cache_core::{hours, minutes, seconds};
use cache_tests::Gate;
use cache_tests::wait::eventually_some;

use crate::gated_store::{At, GatedStore};
use crate::setup::{PATIENCE, Setup, fill, join, on_every_setup, settled, text};

type Failure = std::io::Error;

/// Pinned: the write needed a second place, found none, and was dropped without a word.
async fn what_is_computed_in_the_last_place_is_stored(setup: Setup) {
    let cache = setup.builder().background_tasks(1).build().unwrap();
    let compute = async || Ok::<_, Failure>("v".to_owned());
    let asked = cache.get_or_compute("users", "1", compute).in_background();
    assert_eq!(asked.await.unwrap(), "v");
    settled(&cache).await;
    assert_eq!(text(&cache, "users", "1").await.as_deref(), Some("v"));
    assert!(setup.is_memory() || setup.stored("users", "1").is_some());
    let compute = || async { Ok::<_, Failure>("kept".to_owned()) };
    let _warm = cache.namespace("users").refresh("2", compute).every(hours(1)).start().unwrap();
    eventually_some(PATIENCE, "it is warm", async || text(&cache, "users", "2").await).await;
    settled(&cache).await;
    assert!(setup.is_memory() || setup.stored("users", "2").is_some());
}

/// Pinned: at the end of the cache what was still being computed was not written.
async fn what_is_being_computed_at_the_end_is_written(setup: Setup) {
    let cache = setup.cache();
    let gate = Gate::new();
    let held = gate.clone();
    let compute = async move || {
        held.pass().await;
        Ok::<_, Failure>("v".to_owned())
    };
    let asked = cache.get_or_compute("users", "1", compute).in_background().into_future();
    let asking = tokio::spawn(asked);
    gate.waiting(1).await;
    let ending = tokio::spawn({
        let cache = cache.clone();
        async move { cache.shutdown().await }
    });
    tokio::task::yield_now().await;
    gate.open(1);
    assert!(join(ending).await, "all was written in time");
    assert_eq!(join(asking).await.unwrap(), "v");
    assert!(setup.is_memory() || setup.stored("users", "1").is_some());
}

/// Pinned: a value of another type was left as it was until its time ended.
async fn what_is_kept_warm_is_of_its_type(setup: Setup) {
    let cache = setup.cache();
    cache.set("rates", "usd", &7_u64).ttl(hours(2)).await.unwrap();
    let compute = || async { Ok::<_, Failure>("1.08".to_owned()) };
    let _warm = cache.namespace("rates").refresh("usd", compute).every(hours(1)).start().unwrap();
    let usd = async || text(&cache, "rates", "usd").await;
    assert_eq!(eventually_some(PATIENCE, "it is replaced", usd).await, "1.08");
}

on_every_setup!(
    what_is_computed_in_the_last_place_is_stored,
    what_is_being_computed_at_the_end_is_written,
    what_is_kept_warm_is_of_its_type,
);

/// Pinned: without a timeout it was waited for until the end of the cache.
#[tokio::test(start_paused = true)]
async fn a_function_that_hangs_is_called_again() {
    let cache = Setup::memory().cache();
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let compute = move || {
        let first = counted.fetch_add(1, Ordering::SeqCst) == 0;
        async move { if first { pending().await } else { Ok::<_, Failure>("v".to_owned()) } }
    };
    let _warm = cache.namespace("rates").refresh("usd", compute).every(hours(1)).start().unwrap();
    tokio::time::sleep(minutes(20)).await;
    assert_eq!(calls.load(Ordering::SeqCst), 2);
    assert_eq!(text(&cache, "rates", "usd").await.as_deref(), Some("v"));
    assert_eq!(cache.stats().namespaces["rates"].refresh_failures, 1);
}

/// The value is given all the same.
#[tokio::test]
async fn what_finds_no_place_to_be_written_counts_as_an_error() {
    let setup = Setup::shared();
    let store = GatedStore::new(&setup);
    let cache = store.builder(&setup).background_tasks(1).build().unwrap();
    let writing = store.hold(At::Write);
    assert_eq!(fill(&cache, "users", "1", "a").await, "a");
    writing.waiting(1).await;
    let errors = || cache.stats().namespaces["users"].errors;
    assert_eq!((fill(&cache, "users", "2", "b").await.as_str(), errors()), ("b", 1));
    assert_eq!(text(&cache, "users", "2").await.as_deref(), Some("b"), "in memory it is");
    writing.open(1);
    settled(&cache).await;
    assert_eq!(fill(&cache, "users", "3", "c").await, "c");
    tokio::time::timeout(seconds(20), settled(&cache)).await.unwrap();
    let fresh = store.cache(&setup);
    let found = [text(&fresh, "users", "1").await, text(&fresh, "users", "2").await];
    assert_eq!(found, [Some("a".to_owned()), None]);
    assert_eq!((text(&fresh, "users", "3").await.as_deref(), errors()), (Some("c"), 1));
    assert!(fresh.shutdown().await, "{:?}", Duration::ZERO);
}
