//! Shutting down: what is under way is finished, then the store is let go of.

use std::time::Duration;

use cache_core::ErrorKind;
use cache_tests::{Gate, RedisServer, eventually};

use crate::gated_store::{At, GatedStore};
use crate::setup::{PATIENCE, Setup, fill, kind, on, text};

#[tokio::test]
async fn writes_under_way_are_finished() {
    let redis = RedisServer::start();
    let cache = on(&redis).build().unwrap();
    for n in 0..200 {
        fill(&cache, "users", &n.to_string(), "v").await;
    }
    assert!(cache.shutdown().await);
    assert_eq!(redis.keys("coldcopy:users:v1:*").len(), 200);
}

#[tokio::test]
async fn it_waits_for_a_write_and_takes_no_more() {
    let setup = Setup::shared();
    let store = GatedStore::new(&setup);
    let cache = store.cache(&setup);
    let write = store.hold(At::Write);
    fill(&cache, "users", "1", "v").await;
    write.waiting(1).await;
    let closing = tokio::spawn({
        let cache = cache.clone();
        async move { cache.shutdown().await }
    });
    eventually(PATIENCE, "no more tasks are taken", || !cache.background().try_spawn(async {}))
        .await;
    assert!(!closing.is_finished());
    write.open(1);
    assert!(crate::setup::join(closing).await);
    assert_eq!(text(&store.cache(&setup), "users", "1").await.as_deref(), Some("v"));
}

#[tokio::test(start_paused = true)]
async fn it_does_not_wait_for_ever() {
    let cache = Setup::memory().cache();
    let gate = Gate::new();
    assert!(cache.background().try_spawn({
        let gate = gate.clone();
        async move { gate.pass().await }
    }));
    let finished = tokio::time::timeout(Duration::from_secs(60), cache.shutdown()).await;
    assert_eq!(finished, Ok(false));
    gate.open(1);
}

/// Pinned: idle connections stayed open, and operations reported an outage.
#[tokio::test]
async fn connections_are_closed_and_operations_say_so() {
    let redis = RedisServer::start();
    let cache = on(&redis).build().unwrap();
    cache.set("users", "1", "v").await.unwrap();
    let connected = || redis.info("clients", "connected_clients").unwrap() != "1";
    assert!(connected());
    assert!(cache.shutdown().await);
    eventually(PATIENCE, "connections are closed", || !connected()).await;
    assert_eq!(kind(cache.set("users", "1", "v").await), ErrorKind::Closed);
    assert_eq!(kind(cache.delete("users", "1").await), ErrorKind::Closed);
    assert_eq!(text(&cache, "users", "2").await, None);
    assert_eq!(fill(&cache, "users", "3", "computed").await, "computed");
    let health = cache.health().await;
    assert!(!health.reachable, "{health:?}");
    assert!(cache.shutdown().await, "a second time is nothing new");
    assert!(!connected());
}
