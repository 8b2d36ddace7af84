//! A change that is told while a read of it is under way: what was read is not kept.

use cache_core::{Cache, Key, Scope, seconds};
use cache_tests::wait::eventually_some;

use super::proven;
use crate::gated_store::{At, GatedStore};
use crate::setup::{PATIENCE, Setup, fill, join, settled, text};

/// What is held next is the read of the test.
async fn nobody_else_asks(caches: [&Cache; 2]) {
    for cache in caches {
        settled(cache).await;
    }
}

#[tokio::test]
async fn a_push_that_crosses_a_read() {
    let setup = Setup::shared();
    let store = GatedStore::watched(&setup);
    let (here, there) = (store.cache(&setup), store.cache(&setup));
    for cache in [&here, &there] {
        proven(cache).await;
    }
    for round in 0..3 {
        let (old, new) = (format!("old {round}"), format!("new {round}"));
        for at in [At::Fetch, At::FetchReply] {
            here.set("users", "1", &old).await.unwrap();
            nobody_else_asks([&here, &there]).await;
            let gate = store.hold(at);
            let reader = tokio::spawn({
                let there = there.clone();
                async move { text(&there, "users", "1").await }
            });
            gate.waiting(1).await;
            here.set("users", "1", &new).await.unwrap();
            gate.open(1);
            let read = join(reader).await;
            assert!(read == Some(old.clone()) || read == Some(new.clone()), "{read:?}");
            assert_eq!(text(&there, "users", "1").await.as_deref(), Some(&*new), "{round}");
        }
    }
}

#[tokio::test]
async fn an_invalidation_that_crosses_the_learning_of_a_scope() {
    let setup = Setup::shared();
    let store = GatedStore::watched(&setup);
    let (here, there) = (store.cache(&setup), store.cache(&setup));
    for cache in [&here, &there] {
        proven(cache).await;
    }
    for workspace in ["ws1", "ws2", "ws3"] {
        let key = move || Key::workspace(workspace).segment("1");
        here.set("users", key(), "old").await.unwrap();
        nobody_else_asks([&here, &there]).await;
        // The first that `there` hears of the workspace.
        let gate = store.hold(At::FetchReply);
        let reader = tokio::spawn({
            let there = there.clone();
            async move { there.get::<String>("users", key()).await.unwrap() }
        });
        gate.waiting(1).await;
        here.invalidate(Scope::workspace(workspace)).await.unwrap();
        nobody_else_asks([&here, &there]).await;
        gate.open(1);
        join(reader).await;
        eventually_some(PATIENCE, "it is heard of all the same", async || {
            there.get::<String>("users", key()).await.unwrap().is_none().then_some(())
        })
        .await;
    }
}

/// Pinned: a caller that had looked after a fill had ended, but before its value was in the store,
/// computed the value again if the entry in memory was of no use: because its time there was over,
/// or because a reader had put one in its place that the push of the write had overtaken.
#[tokio::test]
async fn a_caller_that_looked_before_the_value_was_in_the_store_looks_again() {
    let setup = Setup::shared();
    let store = GatedStore::watched(&setup);
    let cache = store.cache(&setup);
    proven(&cache).await;
    let (write, written) = (store.hold(At::Write), store.hold(At::WriteReply));
    assert_eq!(fill(&cache, "users", "1", "first").await, "first");
    write.waiting(1).await;
    setup.clock.advance(seconds(6));
    let looked = store.hold(At::FetchReply);
    let caller = tokio::spawn({
        let cache = cache.clone();
        async move { fill(&cache, "users", "1", "second").await }
    });
    looked.waiting(1).await;
    write.open(1);
    written.waiting(1).await;
    looked.open(1);
    assert_eq!(join(caller).await, "first");
    written.open(1);
    settled(&cache).await;
}
