//! Filling keys before anybody asks for them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use cache_core::{Options, minutes};
use cache_tests::Gate;

use crate::setup::{Setup, at, fill, join, on_every_setup, settled, text};

type Failure = std::io::Error;

async fn what_is_missing_is_filled_a_few_at_once(setup: Setup) {
    let cache = setup.cache();
    let users = cache.namespace("users");
    cache.set_many("users", [("0", "there"), ("1", "there")]).await.unwrap();
    let (gate, calls) = (Gate::new(), Arc::new(AtomicUsize::new(0)));
    let load = {
        let (gate, calls) = (gate.clone(), calls.clone());
        move |id: String| {
            let gate = gate.clone();
            calls.fetch_add(1, Ordering::SeqCst);
            async move {
                gate.pass().await;
                match &*id {
                    "2" => Err(Failure::other("no")),
                    "3" => panic!("on purpose"),
                    _ => Ok(format!("user {id}")),
                }
            }
        }
    };
    let keys = (0..20).map(|n: u32| n.to_string());
    let warm = users.warm(keys, load).at_once(3);
    let warming = tokio::spawn(async move { warm.await });
    gate.waiting(3).await;
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(calls.load(Ordering::SeqCst), 3, "no more than three at once");
    gate.open_for_good();
    let warmed = join(warming).await;
    assert_eq!((warmed.filled, warmed.present, warmed.failed), (16, 2, 2));
    settled(&cache).await;
    let counted = cache.stats().namespaces["users"];
    assert_eq!((counted.hits, counted.misses), (0, 0), "nobody has read");
    assert_eq!(text(&cache, "users", "7").await.as_deref(), Some("user 7"));
    assert_eq!(text(&cache, "users", "0").await.as_deref(), Some("there"));
    assert_eq!(text(&cache, "users", "2").await, None);
}

async fn dropped_it_ends(setup: Setup) {
    let cache = setup.cache();
    let gate = Gate::new();
    let load = {
        let gate = gate.clone();
        move |_: String| {
            let gate = gate.clone();
            async move {
                gate.pass().await;
                Ok::<_, Failure>(String::new())
            }
        }
    };
    let warm = cache.namespace("users").warm(["1", "2"].map(String::from), load);
    let warming = tokio::spawn(async move { warm.await });
    gate.waiting(2).await;
    warming.abort();
    assert!(warming.await.is_err());
    gate.open(1);
    // Nobody waits there any more who could take it.
    join(tokio::spawn(async move { gate.pass().await })).await;
}

/// Pinned: a key whose function failed counted as filled where its old value stood in.
async fn a_value_within_its_grace_is_not_a_new_one(setup: Setup) {
    let options = Options::new().ttl(minutes(1)).grace(minutes(5));
    let cache = setup.builder().options(options).build().unwrap();
    fill(&cache, "users", "1", "old").await;
    settled(&cache).await;
    setup.clock.advance(minutes(2));
    let failing = |_: String| async { Err::<String, _>(Failure::other("no")) };
    let warmed = cache.namespace("users").warm(["1".to_owned()], failing).await;
    assert_eq!((warmed.filled, warmed.present, warmed.failed), (0, 0, 1));
}

on_every_setup!(
    what_is_missing_is_filled_a_few_at_once,
    dropped_it_ends,
    a_value_within_its_grace_is_not_a_new_one,
);

#[tokio::test]
async fn without_redis_everything_is_computed() {
    let cache = at("redis://127.0.0.1:1").build().unwrap();
    let load = |id: String| async move { Ok::<_, Failure>(id) };
    let warmed = cache.namespace("users").warm(["1", "2"].map(String::from), load).await;
    assert_eq!((warmed.filled, warmed.present, warmed.failed), (2, 0, 0));
}
