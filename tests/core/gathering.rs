//! Reads that come at the same moment go out as one command, and are nobody else's trouble.

use cache_core::{Cache, minutes};
use cache_tests::RedisServer;

use crate::setup::{join, on, options, settled, text};

async fn with_entries(redis: &RedisServer) -> Cache {
    let cache = on(redis).l1(false).build().unwrap();
    cache.set_many("users", (0..500).map(|n| (n.to_string(), n))).await.unwrap();
    cache
}

fn readers(cache: &Cache) -> Vec<tokio::task::JoinHandle<Option<u32>>> {
    let get = |n: u32| {
        let cache = cache.clone();
        tokio::spawn(async move { cache.get("users", n.to_string()).await.unwrap() })
    };
    (0..500).map(get).collect()
}

#[tokio::test]
async fn each_of_many_readers_is_given_its_own() {
    let redis = RedisServer::start();
    let cache = with_entries(&redis).await;
    redis.reset_stats();
    for (n, reader) in (0..).zip(readers(&cache)) {
        assert_eq!(join(reader).await, Some(n));
    }
    let commands = redis.calls("mget");
    assert!(commands <= 50, "{commands} commands for 500 reads at once");
    let stats = cache.stats().namespaces["users"];
    assert_eq!((stats.hits, stats.misses, stats.errors), (500, 0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn on_several_threads_too() {
    let redis = RedisServer::start();
    let cache = with_entries(&redis).await;
    for _ in 0..10 {
        for (n, reader) in (0..).zip(readers(&cache)) {
            assert_eq!(join(reader).await, Some(n));
        }
    }
}

#[tokio::test]
async fn readers_who_leave_are_missed_by_nobody() {
    let redis = RedisServer::start();
    let cache = with_entries(&redis).await;
    for step in [2, 3, 7] {
        let readers = readers(&cache);
        tokio::task::yield_now().await;
        readers.iter().step_by(step).for_each(tokio::task::JoinHandle::abort);
        for (n, reader) in (0..).zip(readers) {
            if !(n as usize).is_multiple_of(step) {
                assert_eq!(join(reader).await, Some(n));
            }
        }
    }
    assert_eq!(cache.stats().namespaces["users"].misses, 0);
}

/// A reader that has begun, and is then left unpolled, holds nobody up.
#[tokio::test]
async fn readers_who_dawdle_hold_nobody_up() {
    let redis = RedisServer::start();
    let cache = with_entries(&redis).await;
    let mut dawdlers: Vec<_> =
        (0..4).map(|n: u32| Box::pin(cache.get::<u32>("users", n.to_string()))).collect();
    for dawdler in &mut dawdlers {
        let polled = std::future::poll_fn(|cx| std::task::Poll::Ready(dawdler.as_mut().poll(cx)));
        assert!(polled.await.is_pending());
    }
    for (n, reader) in (0..).zip(readers(&cache)) {
        assert_eq!(join(reader).await, Some(n));
    }
    for (n, dawdler) in (0..).zip(dawdlers) {
        assert_eq!(dawdler.await.unwrap(), Some(n));
    }
}

#[tokio::test]
async fn what_one_may_not_read_is_no_reason_to_refuse_the_others() {
    let redis = RedisServer::start();
    let writer = with_entries(&redis).await;
    writer.set("secret", "1", "v").await.unwrap();
    let user = ["ACL", "SETUSER", "reader", "on", ">pw", "~coldcopy:gen:*", "~coldcopy:users:*"];
    redis.command(&[&user[..], &["+@read", "+ping"]].concat());
    let options = options(&redis.url()).credentials(Some("reader"), Some("pw"));
    let cache = on(&redis).redis(options).l1(false).build().unwrap();
    let refused: Vec<_> = (0..50)
        .map(|_| {
            let cache = cache.clone();
            tokio::spawn(async move { text(&cache, "secret", "1").await })
        })
        .collect();
    for (n, reader) in (0..).zip(readers(&cache)) {
        assert_eq!(join(reader).await, Some(n));
    }
    for reader in refused {
        assert_eq!(join(reader).await, None);
    }
    assert_eq!(cache.stats().namespaces["users"].errors, 0);
}

#[tokio::test]
async fn large_values_come_in_small_batches() {
    let redis = RedisServer::start();
    let cache = on(&redis).l1(false).build().unwrap();
    let value = "x".repeat(512 * 1024);
    for n in 0..20 {
        cache.set("large", n.to_string(), &value).ttl(minutes(1)).await.unwrap();
    }
    let get_all = async || {
        let get = |n: u32| {
            let cache = cache.clone();
            tokio::spawn(async move { text(&cache, "large", &n.to_string()).await })
        };
        let readers: Vec<_> = (0..20).map(get).collect();
        for reader in readers {
            assert_eq!(join(reader).await.map(|found| found.len()), Some(value.len()));
        }
    };
    get_all().await;
    redis.reset_stats();
    get_all().await;
    settled(&cache).await;
    assert!(redis.calls("mget") >= 5, "{}", redis.calls("mget"));
}
