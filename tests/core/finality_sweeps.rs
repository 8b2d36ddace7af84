//! Sweeps: fills and writes in flight do not survive them.

use cache_core::{Cache, ErrorKind, Pattern, Scope, minutes};

use crate::finality_keys::{overtaken, slow_fill};
use crate::gated_store::{At, GatedStore};
use crate::setup::{
    Setup, fill, join, kind, on_every_setup, on_restricted_setups, on_shared_setups, settled, text,
};

async fn a_sweep_overtakes_a_fill(setup: Setup) {
    let cache = setup.cache();
    cache.set("users", "other", "v").await.unwrap();
    overtaken(&cache, "1", async {
        assert_eq!(cache.delete_pattern("users", "*").await.unwrap(), 1);
    })
    .await;
    assert_eq!(text(&cache, "users", "1").await, None);
    assert_eq!(text(&setup.cache(), "users", "1").await, None);
    overtaken(&cache, "2", async {
        cache.invalidate(Scope::pattern("users", Pattern::new("?"))).await.unwrap();
    })
    .await;
    assert_eq!(text(&cache, "users", "2").await, None);
}

async fn a_sweep_leaves_fills_elsewhere_alone(setup: Setup) {
    let cache = setup.cache();
    overtaken(&cache, "1", async {
        cache.delete_pattern("others", "*").await.unwrap();
    })
    .await;
    assert_eq!(text(&cache, "users", "1").await.as_deref(), Some("old"));
    // Of its own namespace, where others share the store: what began before it is not stored, and
    // what begins after it is.
    overtaken(&cache, "2", async {
        cache.delete_pattern("users", "3*").await.unwrap();
    })
    .await;
    let kept = text(&cache, "users", "2").await;
    assert_eq!(kept.as_deref(), setup.is_memory().then_some("old"));
    assert_eq!(text(&cache, "users", "1").await.as_deref(), Some("old"));
    cache.delete("users", "2").await.unwrap();
    fill(&cache, "users", "2", "new").await;
    settled(&cache).await;
    assert_eq!(text(&cache, "users", "2").await.as_deref(), Some("new"));
}

on_every_setup!(and on a cluster: a_sweep_overtakes_a_fill, a_sweep_leaves_fills_elsewhere_alone);

/// Pinned: a fill that had begun in another process before a sweep wrote the old value after it.
async fn a_sweep_overtakes_a_fill_on_another_node(setup: Setup) {
    let (filler, sweeper) = (setup.cache(), setup.cache());
    for (key, primed) in [("1", false), ("2", true)] {
        if primed {
            fill(&filler, "users", "other", "v").await;
            settled(&filler).await;
        }
        overtaken(&filler, key, async {
            sweeper.delete_pattern("users", "*").await.unwrap();
        })
        .await;
        settled(&filler).await;
        assert_eq!(text(&setup.cache(), "users", key).await, None, "{key}");
    }
    // The next is stored at once.
    let new = fill(&filler, "users", "3", "new").await;
    settled(&filler).await;
    assert_eq!(text(&setup.cache(), "users", "3").await, Some(new));
}

on_shared_setups!(and on a cluster: a_sweep_overtakes_a_fill_on_another_node);

/// Fills ask for what stops them together with what they ask for anyway.
#[tokio::test]
async fn that_sweeps_stop_fills_costs_no_round_trip() {
    let setup = Setup::shared();
    let store = GatedStore::new(&setup);
    let cache = store.cache(&setup);
    fill(&cache, "users", "1", "v").await;
    settled(&cache).await;
    let trips = || (store.calls(), store.creations());
    let (calls, creations) = trips();
    fill(&cache, "users", "2", "v").await;
    settled(&cache).await;
    assert_eq!(trips(), (calls + 2, creations), "a look, and a write");
}

fn spawn_sweep(cache: &Cache) -> tokio::task::JoinHandle<u64> {
    let cache = cache.clone();
    tokio::spawn(async move { cache.delete_pattern("users", "*").await.unwrap() })
}

/// Lets every task run that can.
async fn breathe() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

/// Pinned: the write of a fill to the store, under way in the background, arrived after the sweep
/// had looked at the key, and stayed.
#[tokio::test]
async fn a_write_on_its_way_to_the_store_does_not_survive_a_sweep() {
    let setup = Setup::shared();
    let store = GatedStore::new(&setup);
    let cache = store.cache(&setup);
    cache.set("users", "other", "v").await.unwrap();
    let write = store.hold(At::Write);
    fill(&cache, "users", "1", "old").await;
    write.waiting(1).await;
    let sweep = spawn_sweep(&cache);
    breathe().await;
    write.open(1);
    join(sweep).await;
    settled(&cache).await;
    assert_eq!(text(&cache, "users", "1").await, None);
    assert_eq!(text(&store.cache(&setup), "users", "1").await, None);
}

/// Pinned: a write that had not even begun was carried out after the sweep.
#[tokio::test]
async fn a_write_that_waits_to_begin_does_not_survive_a_sweep() {
    let setup = Setup::shared();
    let store = GatedStore::new(&setup);
    let cache = store.cache(&setup);
    let (gate, task) = slow_fill(&cache, "users", "1");
    gate.waiting(1).await;
    let scanned = store.hold(At::ScanReply);
    let sweep = spawn_sweep(&cache);
    scanned.waiting(1).await;
    gate.open(1);
    join(task).await;
    scanned.open(1);
    join(sweep).await;
    settled(&cache).await;
    assert_eq!(text(&cache, "users", "1").await, None);
    assert_eq!(text(&store.cache(&setup), "users", "1").await, None);
}

/// Pinned: a fill that began and ended while the sweep ran stayed if the sweep had passed by.
#[tokio::test]
async fn a_fill_that_runs_during_a_sweep_does_not_survive_it() {
    let setup = Setup::shared();
    let store = GatedStore::new(&setup);
    let cache = store.cache(&setup);
    let scanned = store.hold(At::ScanReply);
    let sweep = spawn_sweep(&cache);
    scanned.waiting(1).await;
    fill(&cache, "users", "1", "old").await;
    settled(&cache).await;
    scanned.open(1);
    join(sweep).await;
    assert_eq!(text(&cache, "users", "1").await, None);
    assert_eq!(text(&store.cache(&setup), "users", "1").await, None);
    assert_eq!(fill(&cache, "users", "1", "new").await, "new");
    settled(&cache).await;
    assert_eq!(
        text(&cache, "users", "1").await.as_deref(),
        Some("new"),
        "after it, all is as ever"
    );
}

#[tokio::test]
async fn a_promotion_on_its_way_does_not_survive_a_sweep() {
    let setup = Setup::shared();
    let store = GatedStore::new(&setup);
    store.cache(&setup).set("users", "1", "old").await.unwrap();
    let cache = store.cache(&setup);
    let reply = store.hold(At::FetchReply);
    let reader = tokio::spawn({
        let cache = cache.clone();
        async move { text(&cache, "users", "1").await }
    });
    reply.waiting(1).await;
    assert_eq!(cache.delete_pattern("users", "*").await.unwrap(), 1);
    reply.open(1);
    join(reader).await;
    assert_eq!(text(&cache, "users", "1").await, None);
}

/// Pinned: the sweep took the tombstone away, too, that kept a fill elsewhere from committing.
#[tokio::test]
async fn a_sweep_does_not_undo_a_delete() {
    for setup in [Setup::redis(), Setup::tiered(), Setup::shared()] {
        let (filler, other) = (setup.cache(), setup.cache());
        overtaken(&filler, "1", async {
            other.delete("users", "1").await.unwrap();
            other.delete_pattern("users", "*").await.unwrap();
        })
        .await;
        assert_eq!(text(&setup.cache(), "users", "1").await, None);
        assert_eq!(text(&filler, "users", "1").await, None);
    }
}

/// Pinned: a sweep waited for ever for the write of a fill on a runtime that nobody drove any more.
#[tokio::test(start_paused = true)]
async fn a_sweep_does_not_wait_for_ever_for_a_write() {
    let setup = Setup::shared();
    let store = GatedStore::new(&setup);
    let cache = store.cache(&setup);
    let write = store.hold(At::Write);
    let idle = std::thread::scope(|scope| {
        let begin = || {
            let idle = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            idle.block_on(async {
                fill(&cache, "users", "1", "old").await;
                write.waiting(1).await;
            });
            idle
        };
        scope.spawn(begin).join().unwrap()
    });
    let sweep = tokio::time::timeout(minutes(1), cache.delete_pattern("users", "*"));
    assert_eq!(kind(sweep.await.expect("an answer")), ErrorKind::Timeout);
    idle.shutdown_background();
    assert_eq!(cache.delete_pattern("users", "*").await.unwrap(), 0);
}

on_restricted_setups!(a_sweep_overtakes_a_fill, a_sweep_overtakes_a_fill_on_another_node,);
