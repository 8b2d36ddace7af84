//! Redis dead, hung, slow, full or read-only: what is said then, and that it is over when it is over.

use std::time::Duration;

use cache_core::rate::{CountedBy, MAX_COUNTED_KEYS, RateLimiter};
use cache_core::{Cache, Deadline, Unavailable};
use cache_tests::clock::Stopwatch;
use cache_tests::{FaultProxy, Mode, RedisServer};

use super::{DAY, WINDOW, allowed, assert_counted, check, confirmed};
use crate::gated_store::GatedStore;
use crate::setup::{Setup, on, options};

/// With the default budget of 50 ms.
fn hurried(url: &str) -> Cache {
    Cache::builder().prefix("coldcopy").redis(options(url)).build().unwrap()
}

/// Far above the budget, and far below everything that would wait without one.
const SOON: Duration = Duration::from_secs(1);

/// What each choice says on a server that can't be asked.
async fn decided_by_choice(cache: &Cache) {
    let watch = Stopwatch::start();
    let limiter = |then| cache.rate_limiter("away").when_unavailable(then);
    for gcra in [false, true] {
        let kind = |limiter: RateLimiter| if gcra { limiter.gcra() } else { limiter };
        let locally = kind(cache.rate_limiter("away"));
        assert_eq!(allowed(&locally, "k", 2, 4).await, [true, true, false, false]);
        let verdict = locally.check("k", 2, WINDOW).await;
        assert_counted(verdict, CountedBy::Process, false);
        assert!(verdict.retry_after.is_some());
        let open = kind(limiter(Unavailable::Allow));
        assert_eq!(allowed(&open, "k", 2, 4).await, [true; 4]);
        assert_counted(open.check("k", 2, WINDOW).await, CountedBy::Nobody, false);
        assert!(!open.check("k", 0, WINDOW).await.allowed, "a limit of zero");
        assert!(!open.check("k", 2, WINDOW).cost(3).await.allowed, "more than the limit");
        let closed = kind(limiter(Unavailable::Deny));
        assert_eq!(allowed(&closed, "k", 2, 2).await, [false; 2]);
        let verdict = closed.check("k", 2, WINDOW).await;
        assert_counted(verdict, CountedBy::Nobody, false);
        assert_eq!((verdict.remaining, verdict.retry_after), (0, None));
    }
    // Thirty checks; a few have waited for a budget, then the breaker was open.
    assert!(watch.elapsed() < SOON, "{:?}", watch.elapsed());
}

#[tokio::test]
async fn a_server_that_is_not_there() {
    let port = cache_tests::ports::free_port();
    decided_by_choice(&hurried(&format!("redis://127.0.0.1:{port}"))).await;
}

#[tokio::test]
async fn a_server_that_is_killed_and_comes_back() {
    let redis = RedisServer::start();
    let cache = hurried(&redis.url());
    confirmed(&cache).await;
    redis.kill();
    decided_by_choice(&cache).await;
    redis.restart();
    confirmed(&cache).await;
    // What was counted here meanwhile is not what is counted there.
    assert_eq!(allowed(&cache.rate_limiter("away"), "k", 2, 3).await, [true, true, false]);
}

#[tokio::test]
async fn a_server_that_hangs() {
    let redis = RedisServer::start();
    let cache = hurried(&redis.url());
    confirmed(&cache).await;
    redis.stop();
    decided_by_choice(&cache).await;
    redis.resume();
    confirmed(&cache).await;
}

#[tokio::test]
async fn a_network_that_swallows_delays_or_refuses() {
    let redis = RedisServer::start();
    let proxy = FaultProxy::start(redis.port()).await;
    for mode in [Mode::Blackhole, Mode::Delay(Duration::from_secs(2)), Mode::Refuse, Mode::Hold] {
        let cache = hurried(&redis.url_through(proxy.port()));
        confirmed(&cache).await;
        proxy.set(mode).await;
        decided_by_choice(&cache).await;
        proxy.set(Mode::Pass).await;
        confirmed(&cache).await;
    }
}

#[tokio::test]
async fn while_the_breaker_is_open_nothing_is_sent() {
    let redis = RedisServer::start();
    let proxy = FaultProxy::start(redis.port()).await;
    let cache = hurried(&redis.url_through(proxy.port()));
    proxy.set(Mode::Blackhole).await;
    crate::recovery::broken(&cache).await;
    let (before, limiter) = (proxy.connections(), cache.rate_limiter("a"));
    for n in 0..10_000 {
        assert!(!limiter.check(n.to_string(), 1, WINDOW).await.confirmed);
    }
    // No more connections than a probe now and then.
    assert!(proxy.connections() - before < 100);
}

#[tokio::test]
async fn a_check_without_time_is_not_counted_and_says_nothing_about_redis() {
    let redis = RedisServer::start();
    let cache = on(&redis).build().unwrap();
    let limiter = cache.rate_limiter("a").when_unavailable(Unavailable::Deny);
    for _ in 0..20 {
        let late = Deadline::after(Duration::ZERO);
        let verdict = limiter.check("k", 5, WINDOW).deadline(late).await;
        assert_counted(verdict, CountedBy::Nobody, false);
    }
    let verdict = check(&limiter, "k", 5, 1).await;
    assert_eq!((verdict.count, verdict.confirmed), (1, true));
}

#[tokio::test]
async fn a_server_that_takes_no_writes() {
    let redis = RedisServer::start();
    let cache = on(&redis).l1(false).build().unwrap();
    for limiter in [cache.rate_limiter("a"), cache.rate_limiter("a").gcra()] {
        assert_counted(check(&limiter, "k", 5, 1).await, CountedBy::Store, true);
        crate::faults::full(&redis);
        assert_counted(check(&limiter, "k", 5, 1).await, CountedBy::Process, false);
        redis.config_set("maxmemory", "0");
        let port = cache_tests::ports::free_port().to_string();
        redis.command(&["REPLICAOF", "127.0.0.1", &port]);
        assert_counted(check(&limiter, "k", 5, 1).await, CountedBy::Process, false);
        redis.command(&["REPLICAOF", "NO", "ONE"]);
        confirmed(&cache).await;
        let verdict = check(&limiter, "k", 5, 1).await;
        assert_eq!((verdict.count, verdict.confirmed), (2, true));
    }
}

#[tokio::test]
async fn after_a_shutdown() {
    let redis = RedisServer::start();
    let cache = on(&redis).build().unwrap();
    let limiter = cache.rate_limiter("a");
    assert_counted(check(&limiter, "k", 5, 1).await, CountedBy::Store, true);
    assert!(cache.shutdown().await);
    assert_counted(check(&limiter, "k", 5, 1).await, CountedBy::Process, false);
}

/// One that somebody has written, and that knows nothing of limits.
#[tokio::test]
async fn a_store_that_cannot_count() {
    let setup = Setup::memory();
    let cache = GatedStore::new(&setup).cache(&setup);
    assert_eq!(allowed(&cache.rate_limiter("a"), "k", 1, 2).await, [true, false]);
    assert_counted(check(&cache.rate_limiter("a"), "k", 1, 1).await, CountedBy::Process, false);
    let closed = cache.rate_limiter("a").when_unavailable(Unavailable::Deny);
    assert!(!check(&closed, "other", 1, 1).await.allowed);
}

/// Keys that clients choose take no more room than there is, and nobody's counter is lost to them.
#[tokio::test]
async fn a_flood_of_keys() {
    let setup = Setup::memory();
    let limiter = setup.cache().rate_limiter("a");
    assert_eq!(allowed(&limiter, "somebody", 2, 2).await, [true, true]);
    let mut uncounted = 0;
    for n in 0..2 * MAX_COUNTED_KEYS {
        let verdict = limiter.check(n.to_string(), 2, DAY).await;
        assert!(verdict.allowed, "fail open");
        uncounted += usize::from(verdict.counted_by == CountedBy::Nobody);
    }
    assert!(uncounted >= MAX_COUNTED_KEYS, "{uncounted}");
    assert_eq!(allowed(&limiter, "somebody", 2, 1).await, [false]);
    let closed = limiter.clone().when_unavailable(Unavailable::Deny);
    let mut refused = 0;
    for n in 0..1_000 {
        refused += usize::from(!closed.check(format!("late {n}"), 2, DAY).await.allowed);
    }
    assert!(refused > 900, "fail closed: {refused}");
    let other = setup.cache().rate_limiter("b");
    assert_counted(check(&other, "k", 1, 1).await, CountedBy::Process, true);
    setup.clock.advance(DAY);
    assert_counted(check(&limiter, "late", 1, 1).await, CountedBy::Process, true);
}
