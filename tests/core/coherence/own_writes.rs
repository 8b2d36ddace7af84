//! What an instance has just written stays in its memory, unless another has written since.

use cache_tests::wait::eventually_some;

use super::{Nodes, from_memory, remembered, sees};
use crate::setup::{PATIENCE, fill, join, settled, text};

#[tokio::test]
async fn what_was_written_here_is_not_read_again() {
    let nodes = Nodes::start();
    let cache = nodes.node().await;
    for n in 0..20 {
        let key = n.to_string();
        if n % 2 == 0 {
            cache.set("users", &*key, "v").await.unwrap();
            assert!(from_memory(&cache, &key).await, "at once");
        } else {
            fill(&cache, "users", &key, "v").await;
            assert!(from_memory(&cache, &key).await, "at once");
        }
    }
    // (Not `GET`: that is the script of the fills.)
    let asked = nodes.redis.calls("mget");
    // Each echo is looked into, and proves true.
    eventually_some(PATIENCE, "echoes are looked into", async || {
        (nodes.redis.calls("getrange") >= 20).then_some(())
    })
    .await;
    settled(&cache).await;
    nodes.age();
    let generations = nodes.redis.calls("mget") - asked;
    for n in 0..20 {
        assert!(from_memory(&cache, &n.to_string()).await, "{n}");
    }
    assert_eq!(nodes.redis.calls("mget") - asked, generations);
}

#[tokio::test]
async fn a_write_that_did_not_get_through_is_not_taken_for_true() {
    let nodes = Nodes::start();
    let (slow, quick) = (nodes.node().await, nodes.node().await);
    crate::finality_keys::overtaken(&slow, "1", async {
        quick.set("users", "1", "quick").await.unwrap();
    })
    .await;
    for cache in [&slow, &quick] {
        sees(cache, "1", Some("quick")).await;
        remembered(cache, "1").await;
    }
}

/// Redis tells of several writes by one push: that of one's own may hide another's.
#[tokio::test]
async fn of_two_writes_at_once_all_see_the_later() {
    let nodes = Nodes::start();
    let (here, there) = (nodes.node().await, nodes.node().await);
    let fresh = nodes.builder().l1(false).build().unwrap();
    for cache in [&here, &there, &fresh] {
        sees(cache, "1", None).await;
    }
    for round in 0..10 {
        nodes.redis.command(&["CLIENT", "PAUSE", "60000", "WRITE"]);
        let writes: Vec<_> = [&here, &there]
            .into_iter()
            .enumerate()
            .map(|(n, cache)| {
                let cache = cache.clone();
                tokio::spawn(async move {
                    cache.set("users", "1", &format!("{round} by {n}")).await.unwrap();
                })
            })
            .collect();
        eventually_some(PATIENCE, "both wait", async || {
            let waiting = nodes.redis.info("clients", "blocked_clients")?;
            (waiting.parse::<u32>().ok()? >= 2).then_some(())
        })
        .await;
        nodes.redis.command(&["CLIENT", "UNPAUSE"]);
        for write in writes {
            join(write).await;
        }
        let stored = text(&fresh, "users", "1").await;
        for cache in [&here, &there] {
            sees(cache, "1", stored.as_deref()).await;
            remembered(cache, "1").await;
            assert_eq!(text(cache, "users", "1").await, stored);
        }
    }
}
