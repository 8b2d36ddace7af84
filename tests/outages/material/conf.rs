//! The configuration files: a server starts with each, and a cache works on it.

use std::time::Duration;

use cache_core::{Cache, RedisOptions};
use cache_tests::wait::eventually_some;
use cache_tests::{RedisServer, Reply};

use super::{file, read};

const PATIENCE: Duration = Duration::from_secs(20);

/// A server that has read the file, on a port of its own.
fn started(name: &str) -> RedisServer {
    let conf = file(name);
    RedisServer::builder().arg("--include").arg(conf.to_str().expect("text")).start()
}

/// The value of a setting, as the server has it.
fn setting(redis: &RedisServer, name: &str) -> String {
    redis.command(&["CONFIG", "GET", name]).items().get(1).map(Reply::text).expect("a setting")
}

async fn works_on(redis: &RedisServer) {
    let options = RedisOptions::url(&redis.url()).expect("valid");
    let cache = Cache::builder().prefix("conf").l1(false).redis(options).build().expect("valid");
    eventually_some(PATIENCE, "a value is kept", async || {
        cache.set("users", "1", "Ada").await.ok()?;
        cache.get::<String>("users", "1").await.ok()?
    })
    .await;
    assert!(
        cache.invalidate(cache_core::Scope::everything()).await.expect("allowed").is_complete()
    );
    assert_eq!(cache.get::<String>("users", "1").await.expect("there"), None);
    assert!(cache.health().await.reachable);
}

#[tokio::test]
async fn production() {
    let redis = started("production.conf");
    works_on(&redis).await;
    for (name, value) in [
        ("maxmemory", "1073741824"),
        ("maxmemory-policy", "allkeys-lru"),
        ("save", ""),
        ("appendonly", "no"),
        ("stop-writes-on-bgsave-error", "no"),
        ("protected-mode", "yes"),
        ("timeout", "0"),
        ("lazyfree-lazy-eviction", "yes"),
    ] {
        assert_eq!(setting(&redis, name), value, "{name}");
    }
    let limits = setting(&redis, "client-output-buffer-limit");
    assert!(limits.starts_with("normal 268435456 67108864 60 "), "{limits}");
}

#[tokio::test]
async fn development() {
    let redis = started("development.conf");
    works_on(&redis).await;
    assert_eq!(setting(&redis, "maxmemory"), "134217728");
    assert_eq!(setting(&redis, "save"), "");
}

/// What one version knows and another does not keeps that one from starting.
#[test]
fn every_word_is_one_that_all_versions_know() {
    // Those of Redis 7 and later, and of builds with jemalloc or modules only.
    let not_everywhere = [
        "enable-",
        "maxmemory-clients",
        "activedefrag",
        "loadmodule",
        "shutdown-",
        "cluster-",
        "latency-tracking",
        "propagation-error-behavior",
        "acl-pubsub-default",
    ];
    for name in ["production.conf", "development.conf"] {
        for line in read(name).lines() {
            assert!(!not_everywhere.iter().any(|word| line.starts_with(word)), "{name}: {line}");
        }
    }
}
