//! Replies that are not those to their questions: nobody is given another one's value, and it is
//! noticed.

use std::time::Duration;

use cache_core::Cache;
use cache_tests::wait::eventually_some;
use cache_tests::{FaultProxy, Mode, RedisServer};

use crate::setup::{PATIENCE, join, options};

const KEYS: usize = 40;
/// Too many to be asked for with others.
const EACH: usize = 9;

fn cache(url: &str) -> Cache {
    let one = options(url).max_connections(1);
    let cache = Cache::builder().prefix("coldcopy").redis(one).coherence(false).l1(false);
    cache.operation_budget(Duration::from_secs(1)).build().unwrap()
}

/// Asks for a few keys each, all at once, in commands of their own; how many values were found. Nobody
/// has another one's.
async fn read_all(cache: &Cache) -> usize {
    let reads: Vec<_> = (0..KEYS)
        .map(|first| {
            let cache = cache.clone();
            let keys: Vec<usize> = (first..first + EACH).map(|n| n % KEYS).collect();
            tokio::spawn(async move {
                let names = keys.iter().map(usize::to_string);
                let found: Vec<Option<String>> = cache.get_many("users", names).await.unwrap();
                for (n, value) in keys.iter().zip(&found) {
                    let own = format!("value of {n}");
                    assert!(value.as_ref().is_none_or(|value| *value == own), "{n}: {value:?}");
                }
                found.iter().flatten().count()
            })
        })
        .collect();
    let mut found = 0;
    for read in reads {
        found += join(read).await;
    }
    found
}

/// All values are there, and are read.
async fn with_all() -> (RedisServer, FaultProxy, Cache) {
    let redis = RedisServer::start();
    let proxy = FaultProxy::start(redis.port()).await;
    let cache = cache(&redis.url_through(proxy.port()));
    all_can_be_read(&cache).await;
    (redis, proxy, cache)
}

/// Written anew each time: where it was noticed, what had been written is removed, as after a restart.
async fn all_can_be_read(cache: &Cache) {
    eventually_some(PATIENCE, "all are read", async || {
        for n in 0..KEYS {
            cache.set("users", n.to_string(), &format!("value of {n}")).await.ok()?;
        }
        (read_all(cache).await == KEYS * EACH).then_some(())
    })
    .await;
}

/// Each later reply would be taken for that to another question. The question that has an answer of its
/// own tells it; and what was confirmed meanwhile is repeated, as after a restart.
#[tokio::test]
async fn replies_that_come_twice() {
    let (_redis, proxy, cache) = with_all().await;
    for _ in 0..20 {
        proxy.set(Mode::RepeatReply(10)).await;
        read_all(&cache).await;
    }
    // Each time it may be another command's reply: on a busy machine it takes some.
    eventually_some(PATIENCE * 3, "it is noticed", async || {
        proxy.set(Mode::Pass).await;
        read_all(&cache).await;
        // A connection is asked once a second: behind the first command of those that follow, whose
        // reply comes twice.
        tokio::time::sleep(Duration::from_millis(1_100)).await;
        proxy.set(Mode::RepeatReply(0)).await;
        read_all(&cache).await;
        (cache.health().await.store_changes > 0).then_some(())
    })
    .await;
    proxy.set(Mode::Pass).await;
    all_can_be_read(&cache).await;
    assert!(cache.health().await.reachable);
}

/// Somebody waits in vain for the last reply, and the next one has that of another type.
#[tokio::test]
async fn replies_that_are_lost() {
    let (_redis, proxy, cache) = with_all().await;
    proxy.set(Mode::LoseReply(10)).await;
    assert!(read_all(&cache).await < KEYS * EACH);
    proxy.set(Mode::Pass).await;
    all_can_be_read(&cache).await;
}
