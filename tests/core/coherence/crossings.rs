//! A change that is told while a read of it is under way: what was read is not kept.

use cache_core::{Scope, Tag};

use super::{proven, sees};
use crate::gated_store::{At, GatedStore};
use crate::setup::{Setup, join, text};

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
        here.set("users", "1", &old).await.unwrap();
        // `there` asks anew.
        for at in [At::Fetch, At::FetchReply] {
            there.invalidate(Scope::namespace("other")).await.unwrap();
            here.set("users", "1", &old).await.unwrap();
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
    for scope in [Scope::namespace("users"), Scope::everything(), Tag::new("t").into()] {
        here.set("users", "1", "old").tag("t").await.unwrap();
        let gate = store.hold(At::FetchReply);
        let reader = tokio::spawn({
            let there = there.clone();
            async move { text(&there, "users", "1").await }
        });
        gate.waiting(1).await;
        here.invalidate(scope).await.unwrap();
        gate.open(1);
        join(reader).await;
        sees(&there, "1", None).await;
    }
}
