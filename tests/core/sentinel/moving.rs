//! The primary becomes another one: it dies, it hangs, it hands over.

use std::sync::Arc;

use cache_core::{
    Cache, Clock, CoherenceMode, Deadline, RedisOptions, RedisStore, Store, Tag, seconds,
};
use cache_tests::wait::eventually_some;
use cache_tests::{RedisServer, SentinelSet, eventually};

use super::fake::FakeSentinel;
use super::{behind, holds, sentinels};
use crate::coherence::in_mode;
use crate::recovery::healed;
use crate::setup::{PATIENCE, text};

async fn listening(cache: &Cache) {
    in_mode(cache, CoherenceMode::Tracking).await;
}

/// Reads until it is so.
async fn reads(cache: &Cache, key: &str, expected: Option<&str>) {
    eventually_some(PATIENCE, "it is read", async || {
        let found: Option<String> = cache.get("users", key).await.ok()?;
        (found.as_deref() == expected).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_primary_that_dies_is_followed_by_its_replica() {
    let set = SentinelSet::start();
    let first = set.primary();
    let cache = behind(sentinels(&set)).l1(false).build().unwrap();
    let other = behind(sentinels(&set)).build().unwrap();
    for cache in [&cache, &other] {
        healed(cache).await;
    }
    cache.namespace("users").set("1", "old").tag("t").await.unwrap();
    assert!(cache.invalidate(Tag::new("t")).await.unwrap().is_complete());
    set.kill(first);
    let second = set.failed_over(first);
    for cache in [&cache, &other] {
        healed(cache).await;
    }
    cache.set("users", "2", "new").await.unwrap();
    assert!(holds(&set, second, "2"));
    assert_eq!(text(&other, "users", "2").await.as_deref(), Some("new"));
    assert_eq!(text(&other, "users", "1").await, None, "what was invalidated stays so");
    assert!(cache.health().await.store_changes >= 1);

    // The former one comes back, and believes for a while that it is still the primary.
    set.restart(first);
    cache.set("users", "3", "v").await.unwrap();
    assert!(holds(&set, second, "3"));
    listening(&other).await;
}

/// Pinned: connections to a primary that hung long enough to be replaced, and then went on, led to it
/// until Sentinel had made it a replica: what was written in that time was lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_primary_that_hung_and_was_replaced_is_not_used_when_it_goes_on() {
    let set = SentinelSet::start();
    let first = set.primary();
    let options = RedisOptions::sentinel(sentinels(&set)).unwrap();
    let store = Arc::new(RedisStore::new(&options, Clock::system()).unwrap());
    store.ping(Deadline::after(seconds(10))).await.unwrap();
    assert_eq!(store.incarnation(), 0);
    let before = set.command(first, &["CONFIG", "RESETSTAT"]);
    assert!(!before.is_error());
    set.freeze(first);
    let second = set.failed_over(first);
    // Nobody has asked for anything, and no connection has failed.
    eventually(PATIENCE, "the store knows", || store.incarnation() > 0).await;
    set.resume(first);
    for n in 0..20 {
        let key = format!("k{n}");
        // An attempt to connect that hung with the former one may fail the first.
        eventually_some(PATIENCE, "it is written", async || {
            let deadline = Deadline::after(seconds(10));
            store.create(&[(&key, "v".to_owned())], 60_000, deadline).await.ok()
        })
        .await;
        let found = set.command(second, &["EXISTS", &key]);
        assert_eq!(found.int(), Some(1), "{key} went to the primary of the present");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_planned_failover_is_followed_and_memory_stays_true() {
    let set = SentinelSet::start();
    let (here, there) =
        (behind(sentinels(&set)).build().unwrap(), behind(sentinels(&set)).build().unwrap());
    for cache in [&here, &there] {
        healed(cache).await;
        listening(cache).await;
    }
    here.set("users", "1", "old").await.unwrap();
    reads(&there, "1", Some("old")).await;
    let second = set.fail_over();
    for cache in [&here, &there] {
        eventually_some(PATIENCE, "it knows of the other one", async || {
            healed(cache).await;
            (cache.health().await.store_changes > 0).then_some(())
        })
        .await;
    }
    here.set("users", "1", "new").await.unwrap();
    reads(&there, "1", Some("new")).await;
    assert!(holds(&set, second, "1"));
    for cache in [&here, &there] {
        healed(cache).await;
        listening(cache).await;
    }
    here.delete("users", "1").await.unwrap();
    reads(&there, "1", None).await;
}

/// Somebody makes a replica of it, and its connections live on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_primary_that_was_made_a_replica_is_left() {
    let (former, present) = (RedisServer::start(), RedisServer::start());
    let sentinel = FakeSentinel::start(former.port(), 1).await;
    let options = cache_core::SentinelOptions::new("mymaster", [sentinel.host()]).unwrap();
    let cache = behind(options).l1(false).build().unwrap();
    healed(&cache).await;
    former.command(&["REPLICAOF", "127.0.0.1", &present.port().to_string()]);
    eventually_some(PATIENCE, "writes are refused", async || {
        cache.set("users", "1", "v").await.err()
    })
    .await;
    sentinel.say(present.port(), 2);
    healed(&cache).await;
    cache.set("users", "1", "v").await.unwrap();
    assert!(present.get("coldcopy:users:v1:1").is_some());
}

/// While a command is on its way to the one, the other takes its place.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_former_primary_confirms_is_not_believed() {
    let (former, present) = (RedisServer::start(), RedisServer::start());
    let sentinel = FakeSentinel::start(former.port(), 1).await;
    let options = cache_core::SentinelOptions::new("mymaster", [sentinel.host()]).unwrap();
    let options = RedisOptions::sentinel(options).unwrap();
    let store = Arc::new(RedisStore::new(&options, Clock::system()).unwrap());
    store.ping(Deadline::after(seconds(10))).await.unwrap();
    former.command(&["CLIENT", "PAUSE", "60000", "WRITE"]);
    let asked = tokio::spawn({
        let store = Arc::clone(&store);
        async move { store.remove(&["k"], Deadline::after(seconds(10))).await }
    });
    sentinel.say(present.port(), 2);
    eventually(PATIENCE, "the store knows", || store.incarnation() > 0).await;
    former.command(&["CLIENT", "UNPAUSE"]);
    let error = asked.await.unwrap().unwrap_err();
    assert!(error.is_outage(), "{error}");
    // An attempt to connect may have begun at the former one.
    eventually_some(PATIENCE, "the present one is asked", async || {
        store.remove(&["k"], Deadline::after(seconds(10))).await.ok()
    })
    .await;
    assert!(present.calls("unlink") >= 1);
}
