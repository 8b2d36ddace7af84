//! A fill or read that began before a write to its key does not undo the write.

use cache_core::{Cache, minutes, seconds};
use cache_tests::Gate;
use tokio::task::JoinHandle;

use crate::gated_store::{At, GatedStore};
use crate::setup::{
    Setup, delete, fill, join, on_every_setup, on_restricted_setups, on_shared_setups, settled,
    text,
};

/// A fill that computes "old", and does so no further than to the gate.
pub(crate) fn slow_fill(cache: &Cache, namespace: &str, key: &str) -> (Gate, JoinHandle<String>) {
    let (gate, cache) = (Gate::new(), cache.clone());
    let (namespace, key) = (namespace.to_owned(), key.to_owned());
    let task = tokio::spawn({
        let gate = gate.clone();
        async move {
            let compute = async || {
                gate.pass().await;
                Ok::<_, std::io::Error>("old".to_owned())
            };
            cache.get_or_compute(namespace, key, compute).await.unwrap()
        }
    });
    (gate, task)
}

/// Starts a fill on `filler`, lets `act` happen, lets the fill end.
pub(crate) async fn overtaken(filler: &Cache, key: &str, act: impl Future<Output = ()>) {
    let (gate, task) = slow_fill(filler, "users", key);
    gate.waiting(1).await;
    act.await;
    gate.open(1);
    assert_eq!(join(task).await, "old", "its own caller has what it asked for");
    settled(filler).await;
}

async fn a_delete_overtakes_a_fill(setup: Setup) {
    let cache = setup.cache();
    overtaken(&cache, "1", async { delete(&cache, "users", "1").await }).await;
    assert_eq!(text(&cache, "users", "1").await, None);
}

async fn a_set_overtakes_a_fill(setup: Setup) {
    let cache = setup.cache();
    overtaken(&cache, "1", async { cache.set("users", "1", "new").await.unwrap() }).await;
    assert_eq!(text(&cache, "users", "1").await.as_deref(), Some("new"));
    let items = [("2", "new")];
    overtaken(&cache, "2", async { cache.set_many("users", items).await.unwrap() }).await;
    assert_eq!(text(&cache, "users", "2").await.as_deref(), Some("new"));
}

async fn a_delete_overtakes_the_refill_of_an_expired_entry(setup: Setup) {
    let cache = setup.cache();
    cache.set("users", "1", "older").ttl(minutes(1)).await.unwrap();
    setup.clock.advance(minutes(1));
    overtaken(&cache, "1", async { delete(&cache, "users", "1").await }).await;
    assert_eq!(text(&cache, "users", "1").await, None);
}

async fn two_deletes_are_as_final_as_one(setup: Setup) {
    let cache = setup.cache();
    delete(&cache, "users", "1").await;
    overtaken(&cache, "1", async { delete(&cache, "users", "1").await }).await;
    assert_eq!(text(&cache, "users", "1").await, None);
}

async fn who_asks_after_a_delete_does_not_wait_for_the_fill_before_it(setup: Setup) {
    let cache = setup.cache();
    let (gate, task) = slow_fill(&cache, "users", "1");
    gate.waiting(1).await;
    delete(&cache, "users", "1").await;
    assert_eq!(fill(&cache, "users", "1", "new").await, "new");
    gate.open(1);
    join(task).await;
    settled(&cache).await;
    assert_eq!(text(&cache, "users", "1").await.as_deref(), Some("new"));
}

async fn neighbours_of_a_deleted_key_are_filled(setup: Setup) {
    let cache = setup.cache();
    overtaken(&cache, "1", async { delete(&cache, "users", "2").await }).await;
    assert_eq!(text(&cache, "users", "1").await.as_deref(), Some("old"));
}

on_every_setup!(
    and on a cluster:
    a_delete_overtakes_a_fill,
    a_set_overtakes_a_fill,
    a_delete_overtakes_the_refill_of_an_expired_entry,
    two_deletes_are_as_final_as_one,
    who_asks_after_a_delete_does_not_wait_for_the_fill_before_it,
    neighbours_of_a_deleted_key_are_filled,
);

async fn another_instance_overtakes_a_fill(setup: Setup) {
    let (filler, other) = (setup.cache(), setup.cache());
    filler.set("users", "stale", "older").ttl(minutes(1)).await.unwrap();
    setup.clock.advance(minutes(1));
    for key in ["absent", "stale"] {
        overtaken(&filler, key, async { delete(&other, "users", key).await }).await;
        for cache in [&filler, &other, &setup.cache()] {
            assert_eq!(text(cache, "users", key).await, None, "{key}");
        }
        overtaken(&filler, key, async { other.set("users", key, "new").await.unwrap() }).await;
        for cache in [&filler, &other, &setup.cache()] {
            assert_eq!(text(cache, "users", key).await.as_deref(), Some("new"), "{key}");
        }
        setup.clock.advance(minutes(60));
    }
}

async fn a_fill_elsewhere_that_was_quicker_wins(setup: Setup) {
    let (slow, quick) = (setup.cache(), setup.cache());
    overtaken(&slow, "1", async {
        assert_eq!(fill(&quick, "users", "1", "quick").await, "quick");
        settled(&quick).await;
    })
    .await;
    for cache in [&slow, &quick, &setup.cache()] {
        assert_eq!(text(cache, "users", "1").await.as_deref(), Some("quick"));
    }
}

on_shared_setups!(and on a cluster: another_instance_overtakes_a_fill, a_fill_elsewhere_that_was_quicker_wins);

/// A tombstone lives ten minutes; so no fill may take longer and still be stored.
#[tokio::test(start_paused = true)]
async fn a_fill_that_takes_longer_than_tombstones_live_is_not_stored() {
    let setup = Setup::shared();
    let (filler, other) = (setup.cache(), setup.cache());
    overtaken(&filler, "1", async {
        delete(&other, "users", "1").await;
        setup.clock.advance(minutes(10));
        tokio::time::advance(minutes(10)).await;
    })
    .await;
    assert_eq!(text(&filler, "users", "1").await, None);
    assert_eq!(text(&setup.cache(), "users", "1").await, None);
}

/// A cache over a store with gates that holds "old", which no memory has seen yet.
async fn with_old() -> (Setup, std::sync::Arc<GatedStore>, Cache) {
    let setup = Setup::shared();
    let store = GatedStore::new(&setup);
    store.cache(&setup).set("users", "1", "old").await.unwrap();
    let cache = store.cache(&setup);
    (setup, store, cache)
}

fn spawn_get(cache: &Cache) -> JoinHandle<Option<String>> {
    let cache = cache.clone();
    tokio::spawn(async move { text(&cache, "users", "1").await })
}

#[tokio::test]
async fn a_promotion_on_its_way_does_not_undo_a_delete_or_a_set() {
    for new in [None, Some("new")] {
        let (_setup, store, cache) = with_old().await;
        let reply = store.hold(At::FetchReply);
        let reader = spawn_get(&cache);
        reply.waiting(1).await;
        match new {
            Some(new) => cache.set("users", "1", new).await.unwrap(),
            None => delete(&cache, "users", "1").await,
        }
        reply.open(1);
        join(reader).await;
        assert_eq!(text(&cache, "users", "1").await.as_deref(), new);
    }
}

/// Pinned: a read that began while a set was under way, and had its answer before the set's
/// arrived in the store, put the old value over the new one when the set was done.
#[tokio::test]
async fn a_promotion_that_began_during_a_set_does_not_undo_it() {
    for new in [None, Some("new")] {
        let (_setup, store, cache) = with_old().await;
        let write = store.hold(At::Write);
        let writer = tokio::spawn({
            let cache = cache.clone();
            async move {
                match new {
                    Some(new) => cache.set("users", "1", new).await.unwrap(),
                    None => delete(&cache, "users", "1").await,
                }
            }
        });
        write.waiting(1).await;
        let reply = store.hold(At::FetchReply);
        let reader = spawn_get(&cache);
        reply.waiting(1).await;
        write.open(1);
        join(writer).await;
        reply.open(1);
        assert_eq!(join(reader).await.as_deref(), Some("old"), "it began before the set was done");
        assert_eq!(text(&cache, "users", "1").await.as_deref(), new);
    }
}

/// Pinned: a fill that began while a set was under way was served from memory until the store had
/// refused it, although the set was done.
#[tokio::test]
async fn a_fill_that_began_during_a_set_is_not_served_after_it() {
    let (_setup, store, cache) = with_old().await;
    delete(&cache, "users", "1").await;
    let write = store.hold(At::Write);
    let writer = tokio::spawn({
        let cache = cache.clone();
        async move { cache.set("users", "1", "new").await.unwrap() }
    });
    write.waiting(1).await;
    let (gate, filler) = slow_fill(&cache, "users", "1");
    gate.waiting(1).await;
    write.open(1);
    join(writer).await;
    let fill_write = store.hold(At::Write);
    gate.open(1);
    join(filler).await;
    assert_eq!(text(&cache, "users", "1").await.as_deref(), Some("new"));
    fill_write.open_for_good();
    settled(&cache).await;
    assert_eq!(text(&cache, "users", "1").await.as_deref(), Some("new"));
}

#[tokio::test]
async fn of_two_sets_at_once_memory_never_holds_the_one_that_the_store_lost() {
    for first_to_finish in [0, 1] {
        let (_setup, store, cache) = with_old().await;
        // Both are written, "a" then "b"; the replies come in either order.
        let replies = [store.hold(At::WriteReply), store.hold(At::WriteReply)];
        let mut writers = Vec::new();
        for (value, reply) in ["a", "b"].into_iter().zip(&replies) {
            let cache = cache.clone();
            writers.push(tokio::spawn(async move {
                cache.set("users", "1", value).await.unwrap();
            }));
            reply.waiting(1).await;
        }
        replies[first_to_finish].open(1);
        join(writers.remove(first_to_finish)).await;
        replies[1 - first_to_finish].open(1);
        join(writers.remove(0)).await;
        assert_eq!(text(&cache, "users", "1").await.as_deref(), Some("b"));
    }
}

/// Pinned: the reader's entry, with its old and longer time, outlived the touch in memory.
#[tokio::test]
async fn a_promotion_on_its_way_does_not_undo_a_touch() {
    let (setup, store, cache) = with_old().await;
    let write = store.hold(At::Write);
    let toucher = tokio::spawn({
        let cache = cache.clone();
        async move { cache.touch("users", "1", seconds(2)).await.unwrap() }
    });
    write.waiting(1).await;
    let reply = store.hold(At::FetchReply);
    let reader = spawn_get(&cache);
    reply.waiting(1).await;
    write.open(1);
    assert!(join(toucher).await);
    reply.open(1);
    join(reader).await;
    setup.clock.advance(seconds(2));
    assert_eq!(text(&cache, "users", "1").await, None);
}

#[tokio::test]
async fn a_touch_does_not_undo_a_set() {
    let (_setup, store, cache) = with_old().await;
    let write = store.hold(At::Write);
    let toucher = tokio::spawn({
        let cache = cache.clone();
        async move { cache.touch("users", "1", minutes(2)).await.unwrap() }
    });
    write.waiting(1).await;
    cache.set("users", "1", "new").await.unwrap();
    write.open(1);
    assert!(!join(toucher).await, "what it would have touched is no more");
    assert_eq!(text(&cache, "users", "1").await.as_deref(), Some("new"));
}

/// Pinned: a set or delete that was cancelled after the store had written left behind in memory
/// what others had read before: this process went on with a value that nobody else had any more.
#[tokio::test]
async fn a_write_that_is_cancelled_leaves_nothing_older_in_memory() {
    for new in [None, Some("new")] {
        let (_setup, store, cache) = with_old().await;
        let (write, written) = (store.hold(At::Write), store.hold(At::WriteReply));
        let writer = tokio::spawn({
            let cache = cache.clone();
            async move {
                match new {
                    Some(new) => cache.set("users", "1", new).await.unwrap(),
                    None => delete(&cache, "users", "1").await,
                }
            }
        });
        write.waiting(1).await;
        assert_eq!(text(&cache, "users", "1").await.as_deref(), Some("old"));
        write.open(1);
        written.waiting(1).await;
        writer.abort();
        assert!(writer.await.unwrap_err().is_cancelled());
        assert_eq!(text(&cache, "users", "1").await.as_deref(), new);
    }
}

on_restricted_setups!(
    a_delete_overtakes_a_fill,
    a_set_overtakes_a_fill,
    a_delete_overtakes_the_refill_of_an_expired_entry,
    two_deletes_are_as_final_as_one,
    who_asks_after_a_delete_does_not_wait_for_the_fill_before_it,
    neighbours_of_a_deleted_key_are_filled,
    another_instance_overtakes_a_fill,
    a_fill_elsewhere_that_was_quicker_wins,
);
