//! A server that comes back empty: nothing old can be in it, and all instances know that.

use cache_core::Cache;
use cache_tests::RedisServer;
use cache_tests::wait::eventually_some;

use crate::recovery::healed;
use crate::setup::{PATIENCE, on, text};

fn build(redis: &RedisServer) -> Cache {
    on(redis).l1(false).build().unwrap()
}

/// Pinned: the first instance to come found the server empty and read it at once; the others found
/// what that one had filled, and read nothing for a while.
#[tokio::test]
async fn all_instances_read_it_at_once() {
    let redis = RedisServer::start();
    let (first, second, third) = (build(&redis), build(&redis), build(&redis));
    for cache in [&first, &second, &third] {
        healed(cache).await;
        cache.delete("users", "1").await.unwrap();
    }
    redis.restart();
    healed(&first).await;
    first.set("users", "2", "new").await.unwrap();
    for cache in [&second, &third] {
        eventually_some(PATIENCE, "it is read", async || {
            let found: Option<String> = cache.get("users", "2").await.ok()?;
            assert!(!cache.health().await.reads_held, "it is known to have been empty");
            found
        })
        .await;
        assert_eq!(cache.health().await.store_changes, 1);
    }
}

/// Word of a server that was empty is no word of one that has its snapshot.
#[tokio::test]
async fn a_snapshot_of_a_server_that_was_empty_is_old_all_the_same() {
    let redis = RedisServer::start();
    let (first, second) = (build(&redis), build(&redis));
    healed(&first).await;
    healed(&second).await;
    redis.restart();
    healed(&first).await;
    healed(&second).await;
    first.set("users", "1", "old").await.unwrap();
    assert!(!redis.keys("coldcopy:gen:*:empty").is_empty());
    redis.command(&["SAVE"]);
    assert!(first.delete("users", "1").await.unwrap().is_complete());
    redis.restart();
    eventually_some(PATIENCE, "reads are held", async || {
        assert_eq!(text(&second, "users", "1").await, None);
        second.health().await.reads_held.then_some(())
    })
    .await;
    healed(&second).await;
    assert_eq!(text(&second, "users", "1").await, None);
    assert_eq!(second.health().await.store_changes, 2);
}
