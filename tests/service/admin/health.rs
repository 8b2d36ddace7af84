//! `/health`, `/health/live`, `/health/ready`: whatever the store does they answer, and soon.

use std::time::Duration;

use cache_core::{Cache, RedisOptions, Tag, minutes};
use cache_tests::RedisServer;
use cache_tests::wait::eventually_some;
use tokio::time::timeout;

use super::rig::{OPERATOR, Rig, WS1, json, rig};
use crate::setup::{memory_cache, redis_cache, unique_prefix};

/// The promise is 100 ms. What is measured here is that nothing waits for the store: it would never
/// answer, and the cache's own budget is a minute.
const SOON: Duration = Duration::from_secs(2);

#[tokio::test]
async fn all_is_well() {
    for cache in [memory_cache(), redis_cache()] {
        cache.set("users", "1", "Ada").await.unwrap();
        let rig = rig(cache).await;
        let live = rig.get("/health/live", OPERATOR).await;
        assert_eq!((live.status, live.text().as_str()), (200, r#"{"status":"live"}"#));
        let ready = rig.get("/health/ready", OPERATOR).await;
        assert_eq!((ready.status, ready.text().as_str()), (200, r#"{"status":"ready"}"#));
        let health = json(&rig.get("/health", OPERATOR).await);
        assert_eq!(
            (&health["ready"], &health["details"]["reachable"]),
            (&true.into(), &true.into())
        );
        assert_eq!(health["details"]["l1_entries"], 1);
        // How the servers are is not a tenant's business.
        let health = json(&rig.get("/health", WS1).await);
        assert_eq!(
            (&health["ready"], &health["details"]),
            (&true.into(), &serde_json::Value::Null)
        );
    }
}

async fn soon(rig: &Rig, path: &str) -> (u16, serde_json::Value) {
    let response = timeout(SOON, rig.get(path, OPERATOR)).await;
    let response = response.unwrap_or_else(|_| panic!("{path} waits for the store"));
    (response.status, json(&response))
}

async fn says_that_it_is_away(rig: &Rig) {
    // More often than the breaker needs to open.
    for _ in 0..6 {
        let (status, health) = soon(rig, "/health").await;
        assert_eq!(
            (status, &health["status"], &health["ready"]),
            (200, &"degraded".into(), &false.into())
        );
        let details = &health["details"];
        assert!(details.is_null() || details["reachable"] == false, "{details}");
        assert_eq!(soon(rig, "/health/ready").await.0, 503);
        let (status, live) = soon(rig, "/health/live").await;
        assert_eq!((status, live["status"].as_str()), (200, Some("live")));
    }
}

async fn is_ready_again(rig: &Rig) {
    let probe = async || (soon(rig, "/health/ready").await.0 == 200).then_some(());
    eventually_some(Duration::from_secs(20), "ready again", probe).await;
}

#[tokio::test]
async fn a_store_that_hangs_or_dies_is_told_soon_and_so_is_its_return() {
    let redis = RedisServer::start();
    let cache = Cache::builder()
        .prefix(unique_prefix())
        .redis(RedisOptions::url(&redis.url()).unwrap())
        .operation_budget(minutes(1))
        .build()
        .unwrap();
    let rig = rig(cache).await;
    assert_eq!(soon(&rig, "/health/ready").await.0, 200);
    redis.stop();
    says_that_it_is_away(&rig).await;
    redis.resume();
    is_ready_again(&rig).await;
    redis.kill();
    says_that_it_is_away(&rig).await;
}

#[tokio::test]
async fn it_is_not_ready_while_an_invalidation_waits() {
    let redis = RedisServer::start();
    let cache = Cache::builder()
        .prefix(unique_prefix())
        .redis(RedisOptions::url(&redis.url()).unwrap())
        .build()
        .unwrap();
    let rig = rig(cache).await;
    redis.kill();
    let queued = rig.cache.invalidate(Tag::new("t")).await.unwrap();
    assert!(!queued.is_complete());
    let (_, health) = soon(&rig, "/health").await;
    assert!(health["details"]["queued_invalidations"].as_u64() >= Some(1), "{health}");
    assert_eq!(health["ready"], false);
    redis.restart();
    is_ready_again(&rig).await;
}

#[tokio::test]
async fn switched_off_is_told() {
    // As `ENABLE_CACHING=false` does.
    let cache = Cache::builder().prefix(unique_prefix()).enabled(false).memory().build().unwrap();
    let rig = rig(cache).await;
    let (_, health) = soon(&rig, "/health").await;
    assert_eq!((&health["status"], &health["ready"]), (&"off".into(), &true.into()));
}
