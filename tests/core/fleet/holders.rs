//! Holders that are dead, stopped, or slow; on paused time, and a store that a test can reach into.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use cache_core::store::Store;
use cache_core::{Cache, Deadline, FLEET_LEASE, seconds};

use super::{Outcome, Work, for_a_while, leases, value};
use crate::gated_store::{At, GatedStore};
use crate::setup::{Setup, fill, join, settled, text};

type Stopped = std::pin::Pin<Box<dyn Future<Output = Outcome> + Send>>;

/// A holder that runs until it computes, and not any further: as if its process were stopped.
async fn stopped_holder(cache: &Cache, work: &Work, text: &'static str) -> Stopped {
    let (work, reports) = (work.clone(), cache.namespace("reports"));
    let begun = Arc::clone(&work.begun);
    let mut holder: Stopped = Box::pin(async move {
        let compute = async |_| work.run(value(text)()).await;
        reports.get_or_compute_with("1", compute).once_per_fleet().await
    });
    poll_fn(|context| match holder.as_mut().poll(context) {
        Poll::Pending if begun.load(std::sync::atomic::Ordering::SeqCst) == 0 => Poll::Pending,
        Poll::Pending => Poll::Ready(()),
        Poll::Ready(_) => panic!("it ended"),
    })
    .await;
    holder
}

/// It can't release what it holds.
#[tokio::test(start_paused = true)]
async fn a_holder_that_is_dead_is_replaced_by_one_when_its_lease_has_expired() {
    let setup = Setup::shared();
    let store = GatedStore::watched(&setup);
    let (holder, others) = (store.cache(&setup), [store.cache(&setup), store.cache(&setup)]);
    let (dead, work) = (Work::default(), Work::default());
    std::mem::forget(stopped_holder(&holder, &dead, "never").await);
    let waiting: Vec<_> = others.iter().map(|cache| work.ask(cache, value("value"))).collect();
    setup.clock.advance(FLEET_LEASE * 9 / 10);
    tokio::time::sleep(seconds(2)).await;
    assert_eq!(work.begun(), 0);
    setup.clock.advance(FLEET_LEASE / 10);
    tokio::time::sleep(seconds(1)).await;
    assert_eq!(work.begun(), 1);
    work.gate.open_for_good();
    for caller in waiting {
        assert_eq!(join(caller).await.unwrap(), "value");
    }
    assert_eq!(work.begun(), 1);
}

/// Renewed at a third of its time.
#[tokio::test(start_paused = true)]
async fn a_holder_that_is_slow_keeps_its_lease() {
    let setup = Setup::shared();
    let store = GatedStore::watched(&setup);
    let (holder, other) = (store.cache(&setup), store.cache(&setup));
    let work = Work::default();
    let holding = work.ask(&holder, value("value"));
    work.have_begun(1).await;
    let waiting = work.ask(&other, value("value"));
    for _ in 0..10 {
        tokio::time::sleep(FLEET_LEASE / 3 + seconds(1) / 100).await;
        setup.clock.advance(FLEET_LEASE / 3 + seconds(1) / 100);
    }
    assert_eq!(work.begun(), 1);
    work.gate.open_for_good();
    assert_eq!(join(holding).await.unwrap(), "value");
    assert_eq!(join(waiting).await.unwrap(), "value");
}

/// The first of two wins, whoever has the lease.
#[tokio::test(start_paused = true)]
async fn a_holder_that_was_stopped_does_not_put_its_value_over_a_newer_one() {
    let setup = Setup::shared();
    let store = GatedStore::watched(&setup);
    let (holder, other) = (store.cache(&setup), store.cache(&setup));
    let (stopped, work) = (Work::default(), Work::default());
    let holding = stopped_holder(&holder, &stopped, "old").await;
    setup.clock.advance(FLEET_LEASE);
    work.gate.open_for_good();
    assert_eq!(join(work.ask(&other, value("new"))).await.unwrap(), "new");
    settled(&other).await;
    stopped.gate.open_for_good();
    assert_eq!(holding.await.unwrap(), "old", "its own caller's");
    settled(&holder).await;
    for cache in [&holder, &other] {
        assert_eq!(text(cache, "reports", "1").await.unwrap(), "new");
    }
}

/// It notices by the token.
#[tokio::test(start_paused = true)]
async fn who_has_lost_a_lease_neither_renews_nor_releases_that_of_another() {
    let setup = Setup::shared();
    let store = GatedStore::watched(&setup);
    let (holder, other) = (store.cache(&setup), store.cache(&setup));
    let (lost, work) = (Work::default(), Work::default());
    let holding = lost.ask(&holder, value("value"));
    lost.have_begun(1).await;
    let name = leases(store.behind(), &setup).pop().unwrap();
    let token = || store.behind().get(&name).unwrap();
    let first = token();
    let deadline = Deadline::after(seconds(10));
    store.behind().remove(&[&name], deadline).await.unwrap();
    let waiting = work.ask(&other, value("value"));
    work.have_begun(1).await;
    let second = token();
    assert_ne!(first, second);
    tokio::time::sleep(FLEET_LEASE).await;
    assert_eq!(token(), second, "not renewed in its place");
    holding.abort();
    for_a_while().await;
    assert_eq!(token(), second, "nor released");
    work.gate.open_for_good();
    assert_eq!(join(waiting).await.unwrap(), "value");
}

/// Whoever is cancelled while it asks for the lease may have got it.
#[tokio::test(start_paused = true)]
async fn a_lease_whose_answer_nobody_waits_for_is_released() {
    let setup = Setup::shared();
    let store = GatedStore::watched(&setup);
    let (holder, other) = (store.cache(&setup), store.cache(&setup));
    // So that there are generations.
    fill(&holder, "reports", "2", "value").await;
    settled(&holder).await;
    let work = Work::default();
    work.gate.open_for_good();
    let replied = store.hold(At::FetchReply);
    let replied_too = store.hold(At::FetchReply);
    let asking = work.ask(&holder, value("never"));
    replied.open(1);
    replied_too.waiting(1).await;
    assert_eq!(leases(store.behind(), &setup).len(), 1);
    asking.abort();
    assert!(asking.await.unwrap_err().is_cancelled());
    assert_eq!(join(work.ask(&other, value("value"))).await.unwrap(), "value");
    assert_eq!(work.begun(), 1);
}

#[tokio::test(start_paused = true)]
async fn who_is_not_told_whose_turn_it_is_computes() {
    let setup = Setup::shared();
    let store = GatedStore::watched(&setup);
    let (holder, other) = (store.cache(&setup), store.cache(&setup));
    for cache in [&holder, &other] {
        fill(cache, "reports", "2", "value").await;
        settled(cache).await;
    }
    let work = Work::default();
    let holding = work.ask(&holder, value("value"));
    work.have_begun(1).await;
    store.fail(At::Create);
    let asking = work.ask(&other, value("value"));
    work.have_begun(2).await;
    // And who is not told while it waits.
    let third = store.cache(&setup);
    let waiting = work.ask(&third, value("value"));
    for_a_while().await;
    assert_eq!(work.begun(), 2);
    store.fail(At::Fetch);
    work.have_begun(3).await;
    work.gate.open_for_good();
    for caller in [holding, asking, waiting] {
        assert_eq!(join(caller).await.unwrap(), "value");
    }
}
