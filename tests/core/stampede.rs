//! Many callers of one cold key: one computes, whatever becomes of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use cache_core::{Cache, ComputeError};
use cache_tests::Gate;
use tokio::task::JoinHandle;

use crate::setup::{Setup, fill, join, on_every_setup, settled, text};

type Outcome = Result<String, ComputeError<std::io::Error>>;

#[derive(Clone, Default)]
struct Work {
    gate: Gate,
    computed: Arc<AtomicUsize>,
}

impl Work {
    fn computed(&self) -> usize {
        self.computed.load(Ordering::SeqCst)
    }

    /// A caller whose computation counts itself, waits at the gate, then ends like this.
    fn caller(
        &self,
        cache: &Cache,
        end: impl Fn() -> Result<String, std::io::Error> + Send + Sync + 'static,
    ) -> JoinHandle<Outcome> {
        let (work, cache) = (self.clone(), cache.clone());
        tokio::spawn(async move {
            let compute = async || {
                work.computed.fetch_add(1, Ordering::SeqCst);
                work.gate.pass().await;
                end()
            };
            cache.get_or_compute("users", "1", compute).await
        })
    }
}

#[allow(clippy::unnecessary_wraps, reason = "what a computation gives")]
fn value() -> Result<String, std::io::Error> {
    Ok("value".to_owned())
}

async fn a_thousand_callers_cause_one_computation(setup: Setup) {
    let cache = setup.cache();
    let work = Work::default();
    let callers: Vec<_> = (0..1_000).map(|_| work.caller(&cache, value)).collect();
    work.gate.waiting(1).await;
    work.gate.open_for_good();
    for caller in callers {
        assert_eq!(join(caller).await.unwrap(), "value");
    }
    assert_eq!(work.computed(), 1);
    settled(&cache).await;
    assert_eq!(cache.health().await.in_flight, 0);
}

/// The value is there at once: those who looked before it was must not compute it again.
async fn not_even_when_it_is_quick(setup: Setup) {
    for round in 0..20 {
        let cache = setup.cache();
        let work = Work::default();
        work.gate.open_for_good();
        let callers: Vec<_> = (0..200).map(|_| work.caller(&cache, value)).collect();
        for caller in callers {
            assert_eq!(join(caller).await.unwrap(), "value");
        }
        assert_eq!(work.computed(), 1, "round {round}");
        settled(&cache).await;
        cache.clear("users").await.unwrap();
    }
}

/// Pinned: with no generation yet, the leader's making one looked like an invalidation, and
/// whoever came afterwards computed for himself.
async fn a_caller_who_comes_later_waits_for_the_same_computation(setup: Setup) {
    let cache = setup.cache();
    let work = Work::default();
    let first = work.caller(&cache, value);
    work.gate.waiting(1).await;
    let later: Vec<_> = (0..20).map(|_| work.caller(&cache, value)).collect();
    // They are all asking, and those who have been answered wait.
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    assert_eq!(work.computed(), 1);
    work.gate.open_for_good();
    for caller in later.into_iter().chain([first]) {
        assert_eq!(join(caller).await.unwrap(), "value");
    }
    assert_eq!(work.computed(), 1);
}

async fn a_leader_who_is_cancelled_is_replaced_by_one(setup: Setup) {
    let cache = setup.cache();
    let work = Work::default();
    let leader = work.caller(&cache, value);
    work.gate.waiting(1).await;
    let waiters: Vec<_> = (0..100).map(|_| work.caller(&cache, value)).collect();
    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    leader.abort();
    assert!(leader.await.unwrap_err().is_cancelled());
    work.gate.waiting(1).await;
    work.gate.open_for_good();
    for waiter in waiters {
        assert_eq!(join(waiter).await.unwrap(), "value");
    }
    assert_eq!(work.computed(), 2, "the leader's, and exactly one more");
}

async fn a_leader_who_panics_is_replaced_by_one(setup: Setup) {
    let cache = setup.cache();
    let work = Work::default();
    let leader = work.caller(&cache, || panic!("as it should"));
    work.gate.waiting(1).await;
    let waiters: Vec<_> = (0..100).map(|_| work.caller(&cache, value)).collect();
    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    work.gate.open_for_good();
    assert!(leader.await.unwrap_err().is_panic());
    for waiter in waiters {
        assert_eq!(join(waiter).await.unwrap(), "value");
    }
    assert_eq!(work.computed(), 2);
    settled(&cache).await;
    assert_eq!(text(&cache, "users", "1").await.as_deref(), Some("value"));
}

async fn an_error_is_shared_by_all_who_waited(setup: Setup) {
    let cache = setup.cache();
    let work = Work::default();
    let fail = || Err(std::io::Error::other("no"));
    let leader = work.caller(&cache, fail);
    work.gate.waiting(1).await;
    let waiters: Vec<_> = (0..100).map(|_| work.caller(&cache, fail)).collect();
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    work.gate.open_for_good();
    let mut errors = Vec::new();
    for caller in waiters.into_iter().chain([leader]) {
        match join(caller).await {
            Err(ComputeError::Compute(error)) => errors.push(error),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(work.computed(), 1);
    assert!(errors.iter().all(|error| Arc::ptr_eq(error, &errors[0])));
    assert_eq!(fill(&cache, "users", "1", "v").await, "v", "an error is not kept");
}

async fn a_waiter_who_leaves_changes_nothing(setup: Setup) {
    let cache = setup.cache();
    let work = Work::default();
    let leader = work.caller(&cache, value);
    work.gate.waiting(1).await;
    let waiters: Vec<_> = (0..50).map(|_| work.caller(&cache, value)).collect();
    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    for waiter in waiters.iter().step_by(2) {
        waiter.abort();
    }
    work.gate.open_for_good();
    for waiter in waiters.into_iter().skip(1).step_by(2) {
        assert_eq!(join(waiter).await.unwrap(), "value");
    }
    assert_eq!(join(leader).await.unwrap(), "value");
    assert_eq!(work.computed(), 1);
}

/// Pinned: each of the waiters became the leader in turn, one after the other.
async fn what_can_not_be_serialized_is_computed_by_all_at_once(setup: Setup) {
    #[derive(Debug, serde::Deserialize)]
    struct Broken;
    impl serde::Serialize for Broken {
        fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(serde::ser::Error::custom("no"))
        }
    }
    let cache = setup.cache();
    let gate = Gate::new();
    let callers: Vec<_> = (0..20)
        .map(|_| {
            let (cache, gate) = (cache.clone(), gate.clone());
            tokio::spawn(async move {
                let compute = async || {
                    gate.pass().await;
                    Ok::<_, std::io::Error>(Broken)
                };
                cache.get_or_compute("users", "1", compute).await.map(drop)
            })
        })
        .collect();
    gate.waiting(1).await;
    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    gate.open(1);
    crate::setup::join(tokio::spawn({
        let gate = gate.clone();
        async move { gate.waiting(19).await }
    }))
    .await;
    gate.open_for_good();
    for caller in callers {
        join(caller).await.unwrap();
    }
}

async fn types_and_errors_of_other_callers_are_nobodys_trouble(setup: Setup) {
    let cache = setup.cache();
    let work = Work::default();
    let leader = work.caller(&cache, value);
    work.gate.waiting(1).await;
    let number = tokio::spawn({
        let cache = cache.clone();
        async move { cache.get_or_compute("users", "1", async || Ok::<u64, std::fmt::Error>(7)).await }
    });
    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    work.gate.open_for_good();
    assert_eq!(join(number).await.unwrap(), 7);
    assert_eq!(join(leader).await.unwrap(), "value");
}

on_every_setup!(
    a_thousand_callers_cause_one_computation,
    not_even_when_it_is_quick,
    a_caller_who_comes_later_waits_for_the_same_computation,
    a_leader_who_is_cancelled_is_replaced_by_one,
    a_leader_who_panics_is_replaced_by_one,
    an_error_is_shared_by_all_who_waited,
    a_waiter_who_leaves_changes_nothing,
    what_can_not_be_serialized_is_computed_by_all_at_once,
    types_and_errors_of_other_callers_are_nobodys_trouble,
);

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn on_several_threads_too() {
    for setup in [Setup::memory(), Setup::redis(), Setup::tiered(), Setup::shared()] {
        not_even_when_it_is_quick(setup.clone()).await;
        a_thousand_callers_cause_one_computation(setup).await;
    }
}

/// The store is away: the value is computed once for those who are there, and kept in memory.
#[tokio::test]
async fn without_the_store_too() {
    let port = cache_tests::ports::free_port();
    let cache = crate::setup::at(&format!("redis://127.0.0.1:{port}")).build().unwrap();
    crate::recovery::broken(&cache).await;
    let work = Work::default();
    let callers: Vec<_> = (0..1_000).map(|_| work.caller(&cache, value)).collect();
    work.gate.waiting(1).await;
    work.gate.open_for_good();
    for caller in callers {
        assert_eq!(join(caller).await.unwrap(), "value");
    }
    assert_eq!(work.computed(), 1);
}
