//! The breaker: once it is open nobody waits and nothing is sent; it outlives runtimes.

use std::time::Duration;

use cache_core::store::Store;
use cache_core::{Cache, Clock, Deadline, ErrorKind, RedisStore};
use cache_tests::{FaultProxy, Mode, RedisServer, eventually};

use crate::recovery::{broken, healed};
use crate::setup::{PATIENCE, kind, options, text};

#[tokio::test]
async fn while_it_is_open_no_operation_touches_the_network() {
    let redis = RedisServer::start();
    let proxy = FaultProxy::start(redis.port()).await;
    let cache = Cache::builder().redis(options(&redis.url_through(proxy.port()))).build().unwrap();
    proxy.set(Mode::Blackhole).await;
    broken(&cache).await;
    let before = proxy.connections();
    for n in 0..10_000 {
        assert_eq!(text(&cache, "users", &n.to_string()).await, None);
    }
    for _ in 0..100 {
        let error = cache.set("users", "1", "v").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(!cache.delete("users", "1").await.unwrap().is_complete());
        assert!(cache.touch("users", "1", Duration::from_secs(1)).await.is_err());
        assert!(cache.get_many::<u8, _>("users", ["1"]).await.is_ok());
    }
    // Ten thousand operations; no more connections than a probe now and then.
    assert!(proxy.connections() - before < 100, "{}", proxy.connections() - before);
}

/// Pinned: an operation that had no time left when it began counted as a failure of Redis.
#[tokio::test]
async fn an_operation_with_no_time_left_says_nothing_about_redis() {
    let redis = RedisServer::start();
    let store = RedisStore::new(&options(&redis.url()), Clock::system()).unwrap();
    store.ping(Deadline::after(PATIENCE)).await.unwrap();
    let late = Deadline::after(Duration::ZERO);
    tokio::time::sleep(Duration::from_millis(1)).await;
    for _ in 0..20 {
        assert_eq!(kind(store.fetch(&["k"], late).await), ErrorKind::Timeout);
    }
    assert!(store.is_available());
    store.ping(Deadline::after(PATIENCE)).await.unwrap();
}

/// Pinned: a probe that had an answer closed the breaker for three more failures, again and again
/// at the shortest interval, on a server that is too slow for every operation.
#[tokio::test]
async fn a_server_that_answers_probes_and_nothing_else_is_asked_less_and_less() {
    let redis = RedisServer::start();
    let proxy = FaultProxy::start(redis.port()).await;
    let url = redis.url_through(proxy.port());
    let store = RedisStore::new(&options(&url), Clock::system()).unwrap();
    store.ping(Deadline::after(PATIENCE)).await.unwrap();
    proxy.set(Mode::Delay(Duration::from_millis(80))).await;
    let (mut waited, mut refused) = (0, 0);
    let watch = cache_tests::clock::Stopwatch::start();
    while watch.elapsed() < Duration::from_secs(3) {
        let error = store.fetch(&["k"], Deadline::after(Duration::from_millis(20))).await;
        match kind(error) {
            ErrorKind::Timeout => waited += 1,
            _ => refused += 1,
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert!(refused > 0);
    // Three open it; then one for each probe, of which there are ever fewer.
    assert!(waited <= 10, "{waited} operations waited in vain, {refused} did not");
}

#[tokio::test]
async fn operations_in_flight_when_it_opens_all_end() {
    let redis = RedisServer::start();
    let cache = Cache::builder().redis(options(&redis.url())).build().unwrap();
    healed(&cache).await;
    redis.stop();
    let tasks: Vec<_> = (0..500)
        .map(|n| {
            let cache = cache.clone();
            tokio::spawn(async move { text(&cache, "users", &n.to_string()).await })
        })
        .collect();
    for task in tasks {
        assert_eq!(crate::setup::join(task).await, None);
    }
    redis.resume();
    healed(&cache).await;
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

/// Pinned: places in the pool were lost with each runtime that ended while a connection was being
/// made, and after four of them there was never a connection again.
#[test]
fn a_cache_outlives_the_runtimes_it_is_used_on() {
    let redis = RedisServer::start();
    let proxy = {
        let keeper = runtime();
        let proxy = keeper.block_on(FaultProxy::start(redis.port()));
        (proxy, keeper)
    };
    let cache =
        Cache::builder().redis(options(&redis.url_through(proxy.0.port()))).build().unwrap();
    for round in 0..6 {
        proxy.1.block_on(proxy.0.set(Mode::Blackhole));
        let hurt = runtime();
        hurt.block_on(async {
            for _ in 0..3 {
                text(&cache, "users", "1").await;
            }
        });
        hurt.shutdown_background();
        proxy.1.block_on(proxy.0.set(Mode::Pass));
        let well = runtime();
        well.block_on(async {
            tokio::time::timeout(PATIENCE, healed(&cache)).await.expect("it heals");
            assert!(cache.health().await.reachable, "round {round}");
        });
    }
}

/// The probe ends with its runtime; the next operation, on another, starts it anew.
#[test]
fn a_probe_that_died_with_its_runtime_is_started_again() {
    let redis = RedisServer::start();
    let cache = Cache::builder().redis(options(&redis.url())).build().unwrap();
    redis.kill();
    for _ in 0..3 {
        runtime().block_on(broken(&cache));
    }
    redis.restart();
    runtime().block_on(healed(&cache));
}

/// Pinned: a probe on a runtime that lived on, but that nobody drove any more, was waited for by
/// all other runtimes: the breaker stayed open for good.
#[test]
fn a_probe_on_a_runtime_that_nobody_drives_is_not_waited_for() {
    let redis = RedisServer::start();
    let cache = Cache::builder().redis(options(&redis.url())).build().unwrap();
    redis.kill();
    let idle = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    idle.block_on(broken(&cache));
    redis.restart();
    runtime().block_on(healed(&cache));
    drop(idle);
}

#[test]
fn a_cache_is_built_outside_of_a_runtime() {
    let cache = Cache::builder()
        .redis(options("redis://127.0.0.1:1"))
        .build()
        .expect("nothing is connected to");
    assert!(cache.is_enabled());
    let _ = cache.stats();
    drop(cache);
}

#[tokio::test]
async fn the_probe_ends_with_the_store() {
    let redis = RedisServer::start();
    let proxy = FaultProxy::start(redis.port()).await;
    let url = redis.url_through(proxy.port());
    let cache = Cache::builder().redis(options(&url)).build().unwrap();
    healed(&cache).await;
    proxy.set(Mode::Blackhole).await;
    broken(&cache).await;
    drop(cache);
    proxy.set(Mode::Pass).await;
    eventually(PATIENCE, "all connections are closed", || proxy.open() == 0).await;
    let made = proxy.connections();
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(proxy.connections() <= made + 1);
}
