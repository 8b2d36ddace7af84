//! Replies that are not those to their questions: nobody is given another one's value, and it is
//! noticed.

use std::time::Duration;

use cache_core::Cache;
use cache_tests::wait::eventually_some;
use cache_tests::{FaultProxy, Mode, RedisServer};

use crate::setup::{PATIENCE, join, options, text};

const KEYS: usize = 40;

fn cache(url: &str) -> Cache {
    let one = options(url).max_connections(1);
    let cache = Cache::builder().prefix("coldcopy").redis(one).coherence(false).l1(false);
    cache.operation_budget(Duration::from_secs(1)).build().unwrap()
}

/// Reads all keys at once; how many had their value. Nobody has another one's.
async fn read_all(cache: &Cache) -> usize {
    let reads: Vec<_> = (0..KEYS)
        .map(|n| {
            let cache = cache.clone();
            // In their own time, so that they are several commands.
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_micros(50 * n as u64)).await;
                text(&cache, "users", &n.to_string()).await
            })
        })
        .collect();
    let mut found = 0;
    for (n, read) in reads.into_iter().enumerate() {
        let value = join(read).await;
        assert!(value.is_none() || value == Some(format!("value of {n}")), "{n}: {value:?}");
        found += usize::from(value.is_some());
    }
    found
}

async fn nobody_sees_it(mode: Mode) {
    let redis = RedisServer::start();
    let proxy = FaultProxy::start(redis.port()).await;
    let cache = cache(&redis.url_through(proxy.port()));
    for n in 0..KEYS {
        cache.set("users", n.to_string(), &format!("value of {n}")).await.unwrap();
    }
    eventually_some(PATIENCE, "all are read", async || {
        (read_all(&cache).await == KEYS).then_some(())
    })
    .await;
    let made = proxy.connections();
    proxy.set(mode).await;
    // It goes unnoticed while nothing is under way, and then does no harm.
    eventually_some(PATIENCE, "it is noticed", async || {
        read_all(&cache).await;
        (proxy.connections() > made).then_some(())
    })
    .await;
    proxy.set(Mode::Pass).await;
    eventually_some(PATIENCE, "it goes on", async || {
        cache.set("users", "1", "value of 1").await.ok()
    })
    .await;
    // What was confirmed meanwhile is repeated, as after a restart.
    let health = cache.health().await;
    assert!(health.reachable && health.store_changes > 0, "{health:?}");
}

#[tokio::test]
async fn replies_that_come_twice() {
    nobody_sees_it(Mode::RepeatReply(10)).await;
}

#[tokio::test]
async fn replies_that_are_lost() {
    nobody_sees_it(Mode::LoseReply(10)).await;
}
