//! Redis comes back, and the cache with it, without anybody's doing.

use std::time::Duration;

use cache_core::{Cache, Invalidated, seconds};
use cache_tests::wait::eventually_some;
use cache_tests::{FaultProxy, Mode, RedisServer};

use crate::setup::{PATIENCE, at, fill, join, on, options, settled, text};

/// Waits until a write goes through, and is read.
pub(crate) async fn healed(cache: &Cache) {
    eventually_some(PATIENCE, "the cache heals", async || {
        cache.set("healing", "1", "v").await.ok()?;
        cache.get::<String>("healing", "1").await.ok()?
    })
    .await;
}

/// Operations until the breaker is open.
pub(crate) async fn broken(cache: &Cache) {
    eventually_some(PATIENCE, "the breaker opens", async || {
        let error = cache.set("healing", "1", "v").await.err()?;
        error.to_string().contains("breaker").then_some(())
    })
    .await;
}

fn hurried(url: &str) -> Cache {
    Cache::builder().prefix("coldcopy").redis(options(url)).build().unwrap()
}

#[tokio::test]
async fn a_server_that_is_restarted() {
    let redis = RedisServer::start();
    for l1 in [false, true] {
        let cache = Cache::builder().redis(options(&redis.url())).l1(l1).build().unwrap();
        healed(&cache).await;
        for _ in 0..2 {
            redis.kill();
            broken(&cache).await;
            redis.restart();
            healed(&cache).await;
        }
    }
}

/// The breaker has not had the time to open: the connections are dead, the server is well.
#[tokio::test]
async fn connections_that_died_are_replaced() {
    let redis = RedisServer::start();
    let proxy = FaultProxy::start(redis.port()).await;
    let cache = at(&redis.url_through(proxy.port())).l1(false).build().unwrap();
    for round in 0..5 {
        healed(&cache).await;
        proxy.cut_all().await;
        let mut failures = 0;
        while cache.set("users", "1", "v").await.is_err() {
            failures += 1;
            assert!(failures <= 20, "round {round}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

#[tokio::test]
async fn a_service_that_starts_before_its_server() {
    let port = cache_tests::ports::free_port();
    let cache = hurried(&format!("redis://127.0.0.1:{port}"));
    broken(&cache).await;
    let redis = RedisServer::start();
    drop(cache);
    let proxy = FaultProxy::start(redis.port()).await;
    proxy.set(Mode::Refuse).await;
    let cache = hurried(&redis.url_through(proxy.port()));
    broken(&cache).await;
    proxy.set(Mode::Pass).await;
    healed(&cache).await;
    assert!(cache.health().await.reachable);
}

#[tokio::test]
async fn a_server_that_hung_for_a_while() {
    let redis = RedisServer::start();
    let cache = hurried(&redis.url());
    healed(&cache).await;
    redis.stop();
    broken(&cache).await;
    redis.resume();
    healed(&cache).await;
}

/// Pinned: attempts to connect that hung held all places of the pool for as long as a connection
/// may take, after the network was well again.
#[tokio::test]
async fn a_network_that_was_a_black_hole() {
    let redis = RedisServer::start();
    let proxy = FaultProxy::start(redis.port()).await;
    let url = redis.url_through(proxy.port());
    let patient = options(&url).connection_timeout(seconds(3600)).max_connections(2);
    let cache = Cache::builder().redis(patient).build().unwrap();
    proxy.set(Mode::Blackhole).await;
    let tasks: Vec<_> = (0..20)
        .map(|n| {
            let cache = cache.clone();
            tokio::spawn(async move { text(&cache, "users", &n.to_string()).await })
        })
        .collect();
    for task in tasks {
        join(task).await;
    }
    broken(&cache).await;
    proxy.set(Mode::Pass).await;
    healed(&cache).await;
}

/// Pinned: one connection of several that led nowhere stayed in the pool, because the others'
/// answers kept the breaker closed: every second operation timed out, for good.
#[tokio::test]
async fn one_dead_connection_among_good_ones() {
    let redis = RedisServer::start();
    let proxy = FaultProxy::start(redis.port()).await;
    let url = redis.url_through(proxy.port());
    let two = options(&url).max_connections(2).min_connections(2);
    let cache = Cache::builder().redis(two).l1(false).build().unwrap();
    healed(&cache).await;
    cache_tests::eventually(PATIENCE, "two connections", || proxy.open() == 2).await;
    healed(&cache).await;
    // One operation on one connection, which has a hole in it from then on.
    proxy.set(Mode::Blackhole).await;
    let _ = cache.delete("users", "1").await;
    proxy.set(Mode::Pass).await;
    let mut in_a_row = 0;
    let mut failures = 0;
    while in_a_row < 20 {
        if cache.delete("users", "1").await.is_ok_and(Invalidated::is_complete) {
            in_a_row += 1;
        } else {
            (in_a_row, failures) = (0, failures + 1);
        }
        assert!(failures < 500, "it never gets well");
        if failures > 3 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

#[tokio::test]
async fn fills_reach_the_store_again() {
    let redis = RedisServer::start();
    let cache = hurried(&redis.url());
    healed(&cache).await;
    redis.kill();
    broken(&cache).await;
    assert_eq!(fill(&cache, "users", "1", "during").await, "during");
    redis.restart();
    healed(&cache).await;
    eventually_some(PATIENCE, "a fill arrives", async || {
        cache.delete("users", "2").await.ok()?.is_complete().then_some(())?;
        fill(&cache, "users", "2", "after").await;
        settled(&cache).await;
        text(&on(&redis).build().unwrap(), "users", "2").await
    })
    .await;
}

#[tokio::test]
async fn scripts_that_were_forgotten_are_loaded_again() {
    let redis = RedisServer::start();
    let cache = on(&redis).build().unwrap();
    for key in ["1", "2", "3"] {
        redis.command(&["SCRIPT", "FLUSH"]);
        fill(&cache, "users", key, "v").await;
        settled(&cache).await;
        let fresh = on(&redis).build().unwrap();
        assert_eq!(text(&fresh, "users", key).await.as_deref(), Some("v"));
    }
    assert_eq!(cache.stats().namespaces["users"].errors, 0);
}
