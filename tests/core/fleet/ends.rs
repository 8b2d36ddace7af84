//! How a holder ends, and what becomes of those who wait.

use std::sync::Arc;

use cache_core::{Cache, Computed};

use super::{Answer, Work, missed, value};
use crate::setup::{Setup, join, on_shared_setups, settled, text};

async fn holder_and_two_others(setup: &Setup, work: &Work, end: fn() -> Answer) -> Ended {
    let caches = [setup.cache(), setup.cache(), setup.cache()];
    let holding = work.ask(&caches[0], end);
    work.have_begun(1).await;
    let waiting = caches[1..].iter().map(|cache| work.ask(cache, value("value"))).collect();
    for cache in &caches[1..] {
        missed(cache, 1).await;
    }
    Ended { caches, holding, waiting }
}

struct Ended {
    caches: [Cache; 3],
    holding: tokio::task::JoinHandle<super::Outcome>,
    waiting: Vec<tokio::task::JoinHandle<super::Outcome>>,
}

impl Ended {
    /// One of those who wait has taken its place, and the other waits for that one.
    async fn one_other_computes(self, work: &Work) {
        work.have_begun(2).await;
        work.gate.open_for_good();
        for caller in self.waiting {
            assert_eq!(join(caller).await.unwrap(), "value");
        }
        assert_eq!(work.begun(), 2);
        for cache in &self.caches {
            settled(cache).await;
            assert_eq!(text(cache, "reports", "1").await.unwrap(), "value");
        }
    }
}

async fn a_cancelled_holder_is_replaced_by_one_other(setup: Setup) {
    let work = Work::default();
    let mut ended =
        holder_and_two_others(&setup, &work, || Ok(Computed::new("never".into()))).await;
    ended.holding.abort();
    assert!((&mut ended.holding).await.unwrap_err().is_cancelled());
    ended.one_other_computes(&work).await;
}

async fn so_is_one_that_panics(setup: Setup) {
    let work = Work::default();
    let caches = [setup.cache(), setup.cache(), setup.cache()];
    let (first, reports) = (work.clone(), caches[0].namespace("reports"));
    let holding = tokio::spawn(async move {
        let compute = async |_| {
            let answer = first.run(value("never")()).await;
            assert!(answer.is_err(), "as it happens");
            answer
        };
        reports.get_or_compute_with("1", compute).once_per_fleet().await
    });
    work.have_begun(1).await;
    let waiting: Vec<_> = caches[1..].iter().map(|cache| work.ask(cache, value("value"))).collect();
    for cache in &caches[1..] {
        missed(cache, 1).await;
    }
    work.gate.open(1);
    work.have_begun(2).await;
    assert!(holding.await.unwrap_err().is_panic());
    let holding = tokio::spawn(async { Ok(String::new()) });
    Ended { caches, holding, waiting }.one_other_computes(&work).await;
}

async fn and_one_that_fails(setup: Setup) {
    let work = Work::default();
    let mut ended = holder_and_two_others(&setup, &work, super::failure).await;
    work.gate.open(1);
    assert!((&mut ended.holding).await.unwrap().is_err());
    ended.one_other_computes(&work).await;
}

/// They must not come one after the other, each to learn that nothing is stored.
async fn after_one_that_stores_nothing_each_computes_at_once(setup: Setup) {
    let nothing: [fn() -> Answer; 3] = [
        || Ok(Computed::new("value".to_owned()).do_not_store()),
        || Ok(Computed::new("value".repeat(1024 * 1024))),
        || Ok(Computed::new("value".to_owned()).ttl(cache_core::seconds(0))),
    ];
    for (round, end) in nothing.into_iter().enumerate() {
        let work = Work::default();
        let ended = holder_and_two_others(&setup, &work, end).await;
        work.gate.open(1);
        join(ended.holding).await.unwrap();
        work.gate.waiting(2).await;
        assert_eq!(work.begun(), 3, "round {round}");
        work.gate.open_for_good();
        for caller in ended.waiting {
            assert_eq!(join(caller).await.unwrap(), "value");
        }
        for cache in &ended.caches {
            settled(cache).await;
        }
        // A generation later nothing of this is in the way.
        ended.caches[0].clear("reports").await.unwrap();
    }
}

/// What others' callers are told is what the function has made.
async fn those_who_wait_in_each_process_share_what_is_found(setup: Setup) {
    let (holder, other) = (setup.cache(), setup.cache());
    let work = Work::default();
    let holding = work.ask(&holder, value("value"));
    work.have_begun(1).await;
    let waiting: Vec<_> = (0..100).map(|_| work.ask(&other, value("other"))).collect();
    missed(&other, 100).await;
    work.gate.open_for_good();
    for caller in waiting {
        assert_eq!(join(caller).await.unwrap(), "value");
    }
    join(holding).await.unwrap();
    assert_eq!(work.begun(), 1);
    assert_eq!(Arc::strong_count(&work.begun), 1, "nobody is left");
}

on_shared_setups!(
    a_cancelled_holder_is_replaced_by_one_other,
    so_is_one_that_panics,
    and_one_that_fails,
    after_one_that_stores_nothing_each_computes_at_once,
    those_who_wait_in_each_process_share_what_is_found,
);
