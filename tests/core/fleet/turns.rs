//! Who computes, and who waits.

use std::time::Duration;

use cache_core::{
    Cache, ComputeError, Computed, Namespace, Options, Previous, Scope, Tag, UNCONFIRMED_FLIGHT,
    minutes, seconds,
};
use cache_tests::eventually;

use super::{Work, failure, for_a_while, leases_on_redis, missed, value};
use crate::gated_store::{At, GatedStore};
use crate::setup::{PATIENCE, Setup, join, on_shared_setups, settled, text};

async fn one_computes_for_all(setup: Setup) {
    let caches: Vec<_> = (0..4).map(|_| setup.cache()).collect();
    let work = Work::default();
    let ask = |cache| (0..25).map(|_| work.ask(cache, value("value"))).collect::<Vec<_>>();
    let callers: Vec<_> = caches.iter().flat_map(ask).collect();
    for cache in &caches {
        missed(cache, 25).await;
    }
    work.have_begun(1).await;
    if setup.is_on_redis() {
        assert_eq!(leases_on_redis(&setup).len(), 1, "no entry: it is among the generations");
        assert!(setup.stored("reports", "1").is_none());
    }
    work.gate.open_for_good();
    for caller in callers {
        assert_eq!(join(caller).await.unwrap(), "value");
    }
    assert_eq!(work.begun(), 1);
    for cache in &caches {
        settled(cache).await;
        let stats = &cache.stats().namespaces["reports"];
        assert_eq!((stats.misses, stats.hits), (25, 0), "each was asked once, and found nothing");
        assert_eq!(cache.health().await.in_flight, 0);
    }
    if setup.is_on_redis() {
        eventually(PATIENCE, "it is released", || leases_on_redis(&setup).is_empty()).await;
    }
}

/// Who looked before the value was written, and has the lease after it was released.
async fn not_even_when_it_is_quick(setup: Setup) {
    let caches: Vec<_> = (0..4).map(|_| setup.cache()).collect();
    for round in 0..20 {
        let work = Work::default();
        work.gate.open_for_good();
        let ask = |cache| work.ask_for(round.to_string(), cache, value("value"));
        let callers: Vec<_> = caches.iter().map(ask).collect();
        for caller in callers {
            assert_eq!(join(caller).await.unwrap(), "value");
        }
        assert_eq!(work.begun(), 1, "round {round}");
        for cache in &caches {
            settled(cache).await;
        }
    }
}

async fn errors_are_each_ones_own_and_come_one_after_the_other(setup: Setup) {
    let caches: Vec<_> = (0..3).map(|_| setup.cache()).collect();
    let work = Work::default();
    let callers: Vec<_> = caches.iter().map(|cache| work.ask(cache, failure)).collect();
    for cache in &caches {
        missed(cache, 1).await;
    }
    for count in 1..=3 {
        work.gate.waiting(1).await;
        assert_eq!(work.begun(), count, "one at a time");
        work.gate.open(1);
        if count < 3 {
            work.have_begun(count + 1).await;
        }
    }
    for caller in callers {
        assert!(join(caller).await.is_err());
    }
    assert_eq!(work.begun(), 3);
}

/// Neither what was computed before it, nor does one wait for that; and there is one who computes
/// again, not one in each.
async fn who_asks_after_an_invalidation_waits_for_nobody_who_began_before(setup: Setup) {
    let tag = Tag::new("a");
    for (round, scope) in
        [Scope::namespace("reports"), Scope::everything(), Scope::key("reports", "1"), tag.into()]
            .into_iter()
            .enumerate()
    {
        let caches: Vec<_> = (0..3).map(|_| setup.cache()).collect();
        let (old, new) = (Work::default(), Work::default());
        let ask = |cache: &Cache, work: &Work, text: &'static str| {
            let (work, reports) = (work.clone(), cache.namespace("reports"));
            tokio::spawn(async move {
                let work = async |_| work.run(value(text)()).await;
                reports.get_or_compute_with("1", work).tag("a").once_per_fleet().await
            })
        };
        let before = ask(&caches[0], &old, "old");
        old.have_begun(1).await;
        caches[1].invalidate(scope).await.unwrap();
        let after: Vec<_> = caches[1..].iter().map(|cache| ask(cache, &new, "new")).collect();
        for cache in &caches[1..] {
            missed(cache, 1).await;
        }
        new.have_begun(1).await;
        new.gate.open_for_good();
        for caller in after {
            assert_eq!(join(caller).await.unwrap(), "new", "round {round}");
        }
        assert_eq!(new.begun(), 1, "round {round}");
        for cache in &caches {
            settled(cache).await;
        }
        old.gate.open_for_good();
        assert_eq!(join(before).await.unwrap(), "old", "it was asked before");
        settled(&caches[0]).await;
        assert_eq!(text(&caches[2], "reports", "1").await.unwrap(), "new", "round {round}");
        caches[2].clear("reports").await.unwrap();
        caches[2].delete("reports", "1").await.unwrap();
    }
}

async fn one_computes_anew_what_is_still_fresh_and_nobody_waits(setup: Setup) {
    const REPORTS: Namespace = Namespace::new("reports")
        .ttl(minutes(10))
        .options(Options::new().early_refresh(50).once_per_fleet(true));
    let cache = || setup.builder().namespace(REPORTS).build().unwrap();
    let caches = [cache(), cache(), cache()];
    let (first, second) = (Work::default(), Work::default());
    first.gate.open_for_good();
    assert_eq!(join(first.ask(&caches[0], value("old"))).await.unwrap(), "old");
    settled(&caches[0]).await;
    setup.clock.advance(minutes(6));
    let refreshing = second.ask(&caches[0], value("new"));
    second.have_begun(1).await;
    for cache in &caches[1..] {
        for _ in 0..5 {
            assert_eq!(join(second.ask(cache, value("new"))).await.unwrap(), "old");
        }
    }
    let (work, reports) = (second.clone(), caches[1].namespace("reports"));
    let behind = reports.get_or_compute_with("1", move |_| {
        Box::pin(work.run(Ok(Computed::new("new".to_owned())))) as cache_core::BoxCompute<'_, _, _>
    });
    assert_eq!(behind.in_background().await.unwrap(), "old");
    settled(&caches[1]).await;
    assert_eq!(second.begun(), 1);
    second.gate.open_for_good();
    assert_eq!(join(refreshing).await.unwrap(), "new");
    settled(&caches[0]).await;
    let hears = async {
        while text(&caches[1], "reports", "1").await.unwrap() != "new" {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, hears).await.expect("it is pushed, or asked for");
    assert_eq!(join(second.ask(&caches[1], value("newer"))).await.unwrap(), "new");
    assert_eq!(second.begun(), 1);
    assert_eq!(caches[1].stats().namespaces["reports"].stale, 0);
}

async fn who_waits_has_something_or_no_more_time(setup: Setup) {
    const SOON: Duration = Duration::from_millis(20);
    let (holder, other) = (setup.cache(), setup.cache());
    let work = Work::default();
    work.gate.open(1);
    let (first, reports) = (work.clone(), holder.namespace("reports"));
    let first = async move |_| first.run(value("old")()).await;
    let options = Options::new().ttl(minutes(1)).grace(minutes(5));
    reports.get_or_compute_with("1", first).options(options).await.unwrap();
    settled(&holder).await;
    setup.clock.advance(minutes(2));
    let holding = work.ask(&holder, value("new"));
    work.have_begun(2).await;
    let never = async |_: Previous<String>| failure();
    let asked = other.namespace("reports").get_or_compute_with("1", never).once_per_fleet();
    assert_eq!(asked.soft_timeout(SOON).await.unwrap(), "old");
    let asked = other.namespace("reports").get_or_compute_with("1", never).once_per_fleet();
    assert_eq!(asked.soft_timeout(SOON).in_background().await.unwrap(), "old");
    let without = work.ask_for("2".to_owned(), &holder, value("other"));
    work.have_begun(3).await;
    let asked = other.namespace("reports").get_or_compute_with("2", never).once_per_fleet();
    assert!(matches!(asked.timeout(SOON).await, Err(ComputeError::TimedOut)));
    work.gate.open_for_good();
    assert_eq!(join(holding).await.unwrap(), "new");
    assert_eq!(join(without).await.unwrap(), "other");
    for cache in [&holder, &other] {
        settled(cache).await;
    }
    assert_eq!(work.begun(), 3);
}

on_shared_setups!(
    one_computes_for_all,
    not_even_when_it_is_quick,
    errors_are_each_ones_own_and_come_one_after_the_other,
    who_asks_after_an_invalidation_waits_for_nobody_who_began_before,
    one_computes_anew_what_is_still_fresh_and_nobody_waits,
    who_waits_has_something_or_no_more_time,
);

/// No push comes, so the store is asked from time to time: less and less often.
#[tokio::test(start_paused = true)]
async fn without_pushes_the_store_is_asked_from_time_to_time() {
    let setup = Setup::shared();
    let store = GatedStore::new(&setup);
    let (holder, other) = (store.cache(&setup), store.cache_without_l1(&setup));
    let work = Work::default();
    let holding = work.ask(&holder, value("value"));
    work.have_begun(1).await;
    let waiting = work.ask(&other, value("value"));
    for_a_while().await;
    let before = store.calls();
    tokio::time::sleep(seconds(5)).await;
    let asked = store.calls() - before;
    assert!((15..60).contains(&asked), "{asked}");
    work.gate.open_for_good();
    assert_eq!(join(holding).await.unwrap(), "value");
    assert_eq!(join(waiting).await.unwrap(), "value");
    assert_eq!(work.begun(), 1);
}

/// Pinned: where nothing is kept in memory nobody listened, and who waited found out when it asked
/// next, a quarter of a second later.
#[tokio::test(start_paused = true)]
async fn the_end_is_pushed_to_those_who_keep_nothing_in_memory() {
    let setup = Setup::shared();
    let store = GatedStore::watched(&setup);
    let (holder, other) = (store.cache(&setup), store.cache_without_l1(&setup));
    let work = Work::default();
    let holding = work.ask(&holder, value("value"));
    work.have_begun(1).await;
    let waiting = work.ask(&other, value("value"));
    tokio::time::sleep(seconds(5)).await;
    let ended = cache_core::Stopwatch::start();
    work.gate.open_for_good();
    assert_eq!(join(waiting).await.unwrap(), "value");
    assert_eq!(ended.elapsed(), Duration::ZERO, "by the paused clock: nobody had to sleep");
    assert_eq!(join(holding).await.unwrap(), "value");
    assert_eq!(work.begun(), 1);
}

/// Who hears that the value has changed asks for it, not whether it has.
#[tokio::test(start_paused = true)]
async fn who_is_told_of_the_value_asks_once() {
    let setup = Setup::shared();
    let store = GatedStore::watched(&setup);
    // Who keeps something in memory hears of all keys.
    let (holder, other) = (store.cache_without_l1(&setup), store.cache(&setup));
    // Both know the namespace.
    for cache in [&holder, &other] {
        let known = Work::default();
        known.gate.open_for_good();
        join(known.ask_for("known".into(), cache, value("value"))).await.unwrap();
    }
    let work = Work::default();
    let holding = work.ask(&holder, value("value"));
    work.have_begun(1).await;
    let waiting = work.ask(&other, value("value"));
    for_a_while().await;
    let before = store.calls();
    work.gate.open_for_good();
    assert_eq!(join(waiting).await.unwrap(), "value");
    assert_eq!(join(holding).await.unwrap(), "value");
    for_a_while().await;
    assert_eq!(store.calls() - before, 3, "written, found, and the lease released");
}

/// However long the holder's takes, each process has its own after a while.
#[tokio::test(start_paused = true)]
async fn nobody_waits_for_ever() {
    let setup = Setup::shared();
    let store = GatedStore::watched(&setup);
    let (holder, other) = (store.cache(&setup), store.cache(&setup));
    let work = Work::default();
    let holding = work.ask(&holder, value("value"));
    work.have_begun(1).await;
    let waiting = work.ask(&other, value("value"));
    tokio::time::sleep(seconds(9)).await;
    assert_eq!(work.begun(), 1);
    tokio::time::sleep(seconds(2)).await;
    assert_eq!(work.begun(), 2);
    work.gate.open_for_good();
    assert_eq!(join(holding).await.unwrap(), "value");
    assert_eq!(join(waiting).await.unwrap(), "value");
}

/// Pinned: the time that a process had waited for another counted as that of its own computation: its
/// other callers began one more as soon as it began.
#[tokio::test(start_paused = true)]
async fn one_computes_in_each_process_when_the_others_have_taken_too_long() {
    let setup = Setup::shared();
    let store = GatedStore::watched(&setup);
    let (holder, other) = (store.cache(&setup), store.cache(&setup));
    let work = Work::default();
    let holding = work.ask(&holder, value("value"));
    work.have_begun(1).await;
    let waiting: Vec<_> = (0..20).map(|_| work.ask(&other, value("value"))).collect();
    tokio::time::sleep(seconds(19)).await;
    assert_eq!(work.begun(), 2, "the holder's, and one here");
    work.gate.open_for_good();
    for caller in waiting.into_iter().chain([holding]) {
        assert_eq!(join(caller).await.unwrap(), "value");
    }
    assert_eq!(work.begun(), 2);
}

/// Pinned: of a value that came after a wait for another process, those who asked while it was being
/// stored were not told that it had tags, and so were given it after these had been invalidated.
#[tokio::test(start_paused = true)]
async fn what_names_its_tags_after_a_wait_is_not_given_to_those_who_ask_after_their_invalidation() {
    let setup = Setup::shared();
    let store = GatedStore::new(&setup);
    let [holder, other, third] = std::array::from_fn(|_| store.cache_without_l1(&setup));
    let work = Work::default();
    let failing = work.ask(&holder, failure);
    work.have_begun(1).await;
    let asking = work.ask(&other, || Ok(Computed::new("old".to_owned()).tag("t")));
    missed(&other, 1).await;
    for_a_while().await;
    work.gate.open(1);
    assert!(join(failing).await.is_err());
    work.have_begun(2).await;
    let write = store.hold(At::Write);
    work.gate.open(1);
    assert_eq!(join(asking).await.unwrap(), "old");
    write.waiting(1).await;
    third.invalidate(Tag::new("t")).await.unwrap();
    tokio::time::sleep(UNCONFIRMED_FLIGHT).await;
    work.gate.open_for_good();
    assert_eq!(join(work.ask(&other, value("new"))).await.unwrap(), "new");
    write.open_for_good();
    for cache in [&holder, &other, &third] {
        settled(cache).await;
    }
}

/// What is stored nowhere can be had from nobody else.
#[tokio::test]
async fn who_stores_nothing_takes_no_lease() {
    let setup = Setup::shared();
    let store = GatedStore::watched(&setup);
    let (holder, other) = (store.cache(&setup), store.cache(&setup));
    let work = Work::default();
    let ask = |cache: &Cache| {
        let (work, reports) = (work.clone(), cache.namespace("reports"));
        tokio::spawn(async move {
            let compute = async |_| work.run(value("value")()).await;
            reports.get_or_compute_with("1", compute).once_per_fleet().skip_write().await
        })
    };
    let asking = [ask(&holder), ask(&other)];
    work.have_begun(2).await;
    assert!(super::leases(store.behind(), &setup).is_empty());
    work.gate.open_for_good();
    for caller in asking {
        assert_eq!(join(caller).await.unwrap(), "value");
    }
}
