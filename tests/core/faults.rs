//! Redis dead, hung, slow, full, read-only, denied: what each operation says, and that none waits
//! longer than its budget.

use std::time::Duration;

use cache_core::{Cache, ErrorKind, Invalidated, InvalidationStats, Scope, minutes};
use cache_tests::clock::Stopwatch;
use cache_tests::{FaultProxy, Mode, RedisServer};

use crate::setup::{fill, kind, on, options, settled, text};

/// With the default budget of 50 ms.
fn hurried(url: &str) -> Cache {
    Cache::builder().prefix("coldcopy").redis(options(url)).build().unwrap()
}

/// Far above the budget, and far below everything that would wait without one.
const SOON: Duration = Duration::from_secs(1);

async fn within_budget<T>(what: &str, operation: impl Future<Output = T>) -> T {
    let watch = Stopwatch::start();
    let result = operation.await;
    assert!(watch.elapsed() < SOON, "{what} took {:?}", watch.elapsed());
    result
}

/// Every operation, on a server that gives no answers.
async fn everything_ends_soon(cache: &Cache) {
    let outage = |kind| matches!(kind, ErrorKind::Unavailable | ErrorKind::Timeout);
    assert_eq!(within_budget("get", text(cache, "users", "1")).await, None);
    let set = within_budget("set", async { cache.set("users", "1", "v").await }).await;
    assert!(outage(kind(set)));
    let delete = within_budget("delete", cache.delete("users", "1")).await;
    assert_eq!(delete.unwrap(), Invalidated::Queued);
    let touch = within_budget("touch", cache.touch("users", "1", minutes(1))).await;
    assert!(outage(kind(touch)), "pinned: it said that there was no such key");
    assert!(!within_budget("exists", cache.exists("users", "1")).await.unwrap());
    assert_eq!(within_budget("ttl", cache.ttl("users", "1")).await.unwrap(), None);
    let many = within_budget("get_many", cache.get_many::<u8, _>("users", ["1", "2"])).await;
    assert_eq!(many.unwrap(), [None, None]);
    let set = within_budget("set_many", cache.set_many("users", [("1", 1), ("2", 2)])).await;
    assert!(outage(kind(set)));
    let pattern =
        within_budget("delete_pattern", cache.delete_pattern("users", "*").into_future()).await;
    assert!(outage(kind(pattern)));
    assert!(outage(kind(within_budget("clear", cache.clear("users")).await)));
    let scope = Scope::namespace("users");
    let invalidated = within_budget("invalidate", cache.invalidate(scope).into_future()).await;
    assert_eq!(invalidated.unwrap(), Invalidated::Queued);
    let computed = within_budget("get_or_compute", fill(cache, "users", "3", "v")).await;
    assert_eq!(computed, "v");
    let health = within_budget("health", cache.health()).await;
    assert!(!health.reachable && health.latency_us.is_none(), "{health:?}");
    assert!(health.fault.is_some_and(|fault| fault.len() > 10));
}

#[tokio::test]
async fn a_server_that_is_not_there() {
    let port = cache_tests::ports::free_port();
    let cache = hurried(&format!("redis://127.0.0.1:{port}"));
    everything_ends_soon(&cache).await;
    // What memory holds is served all the same.
    assert_eq!(fill(&cache, "users", "9", "v").await, "v");
    assert_eq!(text(&cache, "users", "9").await.as_deref(), Some("v"));
}

#[tokio::test]
async fn a_server_that_died() {
    let redis = RedisServer::start();
    let cache = hurried(&redis.url());
    cache.set("users", "1", "v").await.unwrap();
    redis.kill();
    assert_eq!(text(&cache, "users", "1").await.as_deref(), Some("v"), "from memory");
    assert_eq!(cache.delete("users", "1").await.unwrap(), Invalidated::Queued);
    assert_eq!(text(&cache, "users", "1").await, None, "deleted in this process all the same");
    everything_ends_soon(&cache).await;
}

#[tokio::test]
async fn a_server_that_hangs() {
    let redis = RedisServer::start();
    let cache = hurried(&redis.url());
    assert!(cache.health().await.reachable);
    redis.stop();
    everything_ends_soon(&cache).await;
    // So does one that has never had an answer.
    everything_ends_soon(&hurried(&redis.url())).await;
    redis.resume();
}

#[tokio::test]
async fn a_network_that_swallows_delays_or_refuses() {
    let redis = RedisServer::start();
    let proxy = FaultProxy::start(redis.port()).await;
    let url = redis.url_through(proxy.port());
    for mode in [Mode::Blackhole, Mode::Delay(Duration::from_secs(2)), Mode::Refuse, Mode::Hold] {
        let cache = hurried(&url);
        assert!(on(&redis).build().unwrap().health().await.reachable);
        cache.health().await;
        proxy.set(mode).await;
        everything_ends_soon(&cache).await;
        everything_ends_soon(&hurried(&url)).await;
        proxy.set(Mode::Pass).await;
    }
}

#[tokio::test]
async fn a_connection_that_is_cut_in_the_middle_of_a_reply() {
    let redis = RedisServer::start();
    let proxy = FaultProxy::start(redis.port()).await;
    let cache = crate::setup::at(&redis.url_through(proxy.port())).l1(false).build().unwrap();
    cache.set("users", "1", "v").await.unwrap();
    for bytes in [0, 1, 5, 30, 100] {
        proxy.set(Mode::CutAfter(bytes)).await;
        let found = text(&cache, "users", "1").await;
        assert!(matches!(found.as_deref(), None | Some("v")), "{found:?}");
        proxy.set(Mode::Pass).await;
        crate::recovery::healed(&cache).await;
    }
    assert_eq!(text(&cache, "users", "1").await.as_deref(), Some("v"));
}

/// Nothing that takes room is written from now on.
pub(crate) fn full(redis: &RedisServer) {
    redis.config_set("maxmemory-policy", "noeviction");
    redis.config_set("maxmemory", "1");
}

#[tokio::test]
async fn a_server_that_is_full_says_so_and_still_deletes() {
    for l1 in [false, true] {
        let redis = RedisServer::start();
        let cache = on(&redis).l1(l1).build().unwrap();
        for key in ["1", "2", "3"] {
            cache.set("users", key, "v").await.unwrap();
        }
        fill(&cache, "users", "0", "so that the script is known").await;
        settled(&cache).await;
        full(&redis);
        assert_eq!(kind(cache.set("users", "1", "new").await), ErrorKind::Full);
        assert_eq!(kind(cache.set_many("users", [("1", "new")]).await), ErrorKind::Full);
        assert_eq!(kind(cache.set("new", "1", "v").await), ErrorKind::Full, "nor a generation");
        assert_eq!(text(&cache, "users", "2").await.as_deref(), Some("v"), "reads go on");
        assert_eq!(fill(&cache, "users", "9", "computed").await, "computed");
        settled(&cache).await;
        assert!(cache.health().await.reachable);
        // There is no room for a tombstone: the namespace is invalidated with the key.
        cache.delete("users", "2").await.unwrap();
        for cache in [&cache, &on(&redis).build().unwrap()] {
            assert_eq!(text(cache, "users", "2").await, None);
            assert_eq!(text(cache, "users", "3").await, None);
        }
        cache.invalidate(Scope::everything()).await.unwrap();
        assert!(cache.delete_pattern("users", "*").await.unwrap() > 0);
        redis.config_set("maxmemory", "0");
        cache.set("users", "1", "again").await.unwrap();
        assert_eq!(text(&cache, "users", "1").await.as_deref(), Some("again"));
    }
}

/// As above, with a fill under way.
#[tokio::test]
async fn a_delete_on_a_full_server_overtakes_a_fill() {
    let redis = RedisServer::start();
    let (filler, other) = (on(&redis).build().unwrap(), on(&redis).build().unwrap());
    filler.set("users", "0", "so that there is a generation").await.unwrap();
    crate::finality_keys::overtaken(&filler, "1", async {
        full(&redis);
        other.delete("users", "1").await.unwrap();
        redis.config_set("maxmemory", "0");
    })
    .await;
    assert_eq!(text(&other, "users", "1").await, None);
    assert_eq!(text(&on(&redis).build().unwrap(), "users", "1").await, None);
}

#[tokio::test]
async fn a_replica_takes_no_writes() {
    let redis = RedisServer::start();
    let cache = on(&redis).l1(false).build().unwrap();
    cache.set("users", "1", "v").await.unwrap();
    let port = cache_tests::ports::free_port().to_string();
    redis.config_set("replica-serve-stale-data", "yes");
    redis.command(&["REPLICAOF", "127.0.0.1", &port]);
    assert_eq!(text(&cache, "users", "1").await.as_deref(), Some("v"));
    assert_eq!(kind(cache.set("users", "1", "new").await), ErrorKind::ReadOnly);
    assert_eq!(cache.delete("users", "1").await.unwrap(), Invalidated::Queued);
    assert_eq!(text(&cache, "users", "1").await, None, "pinned: it came back from the replica");
    assert_eq!(fill(&cache, "users", "2", "computed").await, "computed");
    settled(&cache).await;
    assert!(cache.health().await.reachable);
    redis.command(&["REPLICAOF", "NO", "ONE"]);
    crate::recovery::healed(&cache).await;
    assert_eq!(text(&cache, "users", "1").await, None);
    cache.set("users", "1", "new").await.unwrap();
}

#[tokio::test]
async fn a_user_who_may_only_read() {
    let redis = RedisServer::start();
    on(&redis).build().unwrap().set("users", "1", "v").await.unwrap();
    redis.command(&["ACL", "SETUSER", "reader", "on", ">pw", "~coldcopy:*", "+@read", "+ping"]);
    let options = options(&redis.url()).credentials(Some("reader"), Some("pw"));
    let cache = on(&redis).redis(options).l1(false).build().unwrap();
    assert_eq!(text(&cache, "users", "1").await.as_deref(), Some("v"));
    assert_eq!(kind(cache.set("users", "1", "new").await), ErrorKind::Denied);
    assert_eq!(kind(cache.delete("users", "1").await), ErrorKind::Denied);
    assert_eq!(kind(cache.invalidate(Scope::everything()).await), ErrorKind::Denied);
    assert_eq!(fill(&cache, "users", "2", "computed").await, "computed");
    settled(&cache).await;
    assert!(cache.health().await.reachable, "it is refused, not away");
    assert_eq!(text(&cache, "users", "1").await, None, "pinned: it was read again from Redis");
    let stats = cache.stats();
    assert_eq!(stats.namespaces["users"].errors, 2);
    assert_eq!(stats.invalidations, InvalidationStats { failed: 2, ..Default::default() });
}

/// Pinned: health said no more than that there was no connection.
#[tokio::test]
async fn health_says_why() {
    let redis = RedisServer::builder().password("s3cret").start();
    let options = options(&redis.url()).credentials(None, Some("wr0ng"));
    let cache = on(&redis).redis(options).build().unwrap();
    for _ in 0..5 {
        let fault = cache.health().await.fault.unwrap();
        assert!(fault.contains("authentication failed"), "{fault}");
        assert!(!fault.contains("wr0ng") && !fault.contains("s3cret"), "{fault}");
    }
    let port = cache_tests::ports::free_port();
    let cache = hurried(&format!("redis://127.0.0.1:{port}"));
    for _ in 0..5 {
        let fault = cache.health().await.fault.unwrap();
        assert!(fault.contains("refused"), "{fault}");
    }
    let hung = RedisServer::start();
    let cache = hurried(&hung.url());
    cache.health().await;
    hung.stop();
    for _ in 0..5 {
        let fault = cache.health().await.fault.unwrap();
        assert!(fault.contains("did not answer"), "{fault}");
    }
}
