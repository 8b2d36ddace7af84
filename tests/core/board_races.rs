//! Declarations that cross reads, fills and other declarations, step by step.

use std::sync::Arc;

use cache_core::{Cache, Invalidated, Pattern, Scope};
use cache_tests::Gate;
use tokio::task::JoinHandle;

use crate::board::{KEY, declare, declaring, filled, get, invalidate, pattern};
use crate::gated_store::{At, GatedStore};
use crate::setup::{Setup, join, settled};

/// Where one that publishes can be held: about the board, then about the generation, then about the
/// board once more.
const STEPS: [At; 6] =
    [At::Fetch, At::FetchReply, At::Write, At::WriteReply, At::Remove, At::RemoveReply];

fn store() -> (Setup, Arc<GatedStore>) {
    let setup = Setup::shared();
    let store = GatedStore::new(&setup);
    (setup, store)
}

/// A fill whose value is there when the gate is opened.
fn slow_fill(cache: &Cache, value: &'static str) -> (Gate, JoinHandle<String>) {
    let gate = Gate::new();
    let task = tokio::spawn({
        let (cache, gate) = (cache.clone(), gate.clone());
        async move {
            let slow = async || {
                gate.pass().await;
                Ok::<_, std::io::Error>(value.to_owned())
            };
            cache.get_or_compute("api", KEY, slow).await.unwrap()
        }
    });
    (gate, task)
}

fn invalidating(cache: &Cache) -> JoinHandle<Invalidated> {
    let cache = cache.clone();
    tokio::spawn(async move { cache.invalidate(pattern()).await.unwrap() })
}

#[tokio::test]
async fn a_fill_that_began_before_is_not_found_after() {
    for knows_the_namespace in [false, true] {
        let (setup, store) = store();
        let (old, new) = (store.cache_without_l1(&setup), store.cache_without_l1(&setup));
        if knows_the_namespace {
            filled(&old, "0", &[&old]).await;
            old.delete("api", KEY).await.unwrap();
        }
        let (gate, filling) = slow_fill(&old, "old");
        gate.waiting(1).await;
        let new = declaring(new);
        invalidate(&new).await;
        gate.open(1);
        join(filling).await;
        settled(&old).await;
        for cache in [&old, &new, &store.cache_without_l1(&setup)] {
            assert_eq!(get(cache).await, None);
        }
    }
}

/// Whoever fills or reads while it is published, at any of its steps: once the invalidation that
/// published it has ended, nobody finds what was there before; and what was being filled at that
/// time, either nobody does, or the next invalidation ends it.
#[tokio::test]
async fn fills_and_reads_cross_each_step_of_it() {
    for at in STEPS {
        for first_meeting in [false, true] {
            let (setup, store) = store();
            let old = store.cache_without_l1(&setup);
            filled(&old, "old", &[&old]).await;
            let reader = if first_meeting { store.cache_without_l1(&setup) } else { old.clone() };
            let new = declaring(store.cache_without_l1(&setup));
            let step = store.hold(at);
            let publishing = invalidating(&new);
            step.waiting(1).await;
            // Reads, and has begun to fill if there was nothing.
            let seen = get(&reader).await;
            assert!(seen.is_none() || seen.as_deref() == Some("old"), "{at:?}");
            old.delete("api", KEY).await.unwrap();
            let (gate, filling) = slow_fill(&reader, "crossed");
            gate.waiting(1).await;
            step.open(1);
            assert_eq!(join(publishing).await, Invalidated::Complete, "{at:?}");
            gate.open(1);
            join(filling).await;
            settled(&reader).await;
            let fresh = store.cache_without_l1(&setup);
            for cache in [&old, &reader, &new, &fresh] {
                assert_ne!(get(cache).await.as_deref(), Some("old"), "{at:?}");
            }
            invalidate(&new).await;
            for cache in [&old, &reader, &new, &fresh] {
                assert_eq!(get(cache).await, None, "{at:?}, {first_meeting}");
            }
            filled(&reader, "new", &[&old, &reader, &new, &fresh]).await;
            invalidate(&new).await;
            assert_eq!(get(&reader).await, None, "{at:?}, {first_meeting}");
        }
    }
}

/// A read of one that has not met the namespace yet, held at each of its questions.
#[tokio::test]
async fn it_crosses_each_step_of_a_read() {
    for (at, nth) in [(At::Fetch, 0), (At::FetchReply, 0), (At::Fetch, 1), (At::FetchReply, 1)] {
        let (setup, store) = store();
        let old = store.cache_without_l1(&setup);
        filled(&old, "old", &[&old]).await;
        let new = declaring(store.cache_without_l1(&setup));
        let reader = store.cache_without_l1(&setup);
        let mut step = store.hold(at);
        let (gate, reading) = slow_fill(&reader, "crossed");
        step.waiting(1).await;
        if nth == 1 {
            // The entry has been read; this is the board.
            let next = store.hold(at);
            step.open(1);
            next.waiting(1).await;
            step = next;
        }
        invalidate(&new).await;
        step.open(1);
        gate.open(1);
        join(reading).await;
        settled(&reader).await;
        for cache in [&reader, &old, &new] {
            assert_ne!(get(cache).await.as_deref(), Some("old"), "{at:?} {nth}");
        }
        invalidate(&new).await;
        for cache in [&reader, &old, &new] {
            assert_eq!(get(cache).await, None, "{at:?} {nth}");
        }
    }
}

/// Both stay, and each covers what the other's instances fill.
#[tokio::test]
async fn two_are_published_at_the_same_time() {
    for at in STEPS {
        let (setup, store) = store();
        let old = store.cache_without_l1(&setup);
        filled(&old, "0", &[&old]).await;
        let (one, two) =
            (declaring(store.cache_without_l1(&setup)), store.cache_without_l1(&setup));
        declare(&two, "{workspace_id}:*:{id}");
        let other = || Scope::pattern("api", Pattern::new("ws1:*:1"));
        let step = store.hold(at);
        let publishing = invalidating(&one);
        step.waiting(1).await;
        assert_eq!(two.invalidate(other()).await.unwrap(), Invalidated::Complete);
        step.open(1);
        assert_eq!(join(publishing).await, Invalidated::Complete);
        for (by, scope) in [(&one, pattern()), (&two, other()), (&old, pattern()), (&old, other())]
        {
            for cache in [&old, &one, &two] {
                assert_eq!(get(cache).await, None, "{at:?}");
            }
            filled(&old, "v", &[&one, &two, &old]).await;
            assert_eq!(by.invalidate(scope).await.unwrap(), Invalidated::Complete);
        }
        assert_eq!(get(&old).await, None, "{at:?}");
    }
}

/// What one has begun, and does not live to finish, the next one does who reads the board.
#[tokio::test]
async fn one_that_ends_half_way_is_finished_by_others() {
    for at in [At::Write, At::WriteReply, At::Remove, At::RemoveReply] {
        for declares in [true, false] {
            let (setup, store) = store();
            let old = store.cache_without_l1(&setup);
            filled(&old, "old", &[&old]).await;
            let step = store.hold(at);
            let dying = declaring(store.cache_without_l1(&setup));
            // By a read: of an invalidation nothing is forgotten.
            let reading = tokio::spawn(async move { get(&dying).await });
            step.waiting(1).await;
            reading.abort();
            assert!(reading.await.unwrap_err().is_cancelled());
            let next = store.cache_without_l1(&setup);
            let next = if declares { declaring(next) } else { next };
            if declares {
                invalidate(&next).await;
                for cache in [&old, &next] {
                    assert_eq!(get(cache).await, None, "{at:?}");
                }
            }
            get(&next).await;
            old.delete("api", KEY).await.unwrap();
            filled(&old, "new", &[&old, &next]).await;
            invalidate(&next).await;
            for cache in [&old, &next] {
                assert_eq!(get(cache).await, None, "{at:?}, {declares}");
            }
        }
    }
}
