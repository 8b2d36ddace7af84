//! Invalidations while Redis is away or takes no writes: queued, and told to it by themselves.

use cache_core::{Cache, Invalidated, InvalidationStats, Scope, Tag};
use cache_tests::RedisServer;

use crate::recovery::{broken, healed};
use crate::setup::{on, options, text};
use crate::several_scopes::told;

/// With the default budget of 50 ms.
fn hurried(redis: &RedisServer) -> Cache {
    Cache::builder().prefix("coldcopy").redis(options(&redis.url())).build().unwrap()
}

/// What another process reads that has just started.
async fn elsewhere(redis: &RedisServer, key: &str) -> Option<String> {
    text(&on(redis).l1(false).build().unwrap(), "users", key).await
}

async fn goes_through_by_itself(begin: impl Fn(&RedisServer), end: impl Fn(&RedisServer)) {
    let redis = RedisServer::start();
    let cache = hurried(&redis);
    healed(&cache).await;
    let writer = on(&redis).build().unwrap();
    for key in ["1", "2", "3"] {
        writer.set("users", key, "old").tag(format!("of {key}")).await.unwrap();
    }
    // What it has set it would remove, should Redis turn out to be another.
    drop(writer);
    begin(&redis);
    let scopes = [Scope::from(Tag::new("of 1")), Scope::key("users", "2")];
    assert_eq!(cache.invalidate(scopes).await.unwrap(), Invalidated::Queued);
    let health = cache.health().await;
    // The tag, the family of all global tags, and the key.
    assert_eq!(health.queued_invalidations, 3);
    assert!(health.queued_since.is_some());
    for key in ["1", "2"] {
        assert_eq!(text(&cache, "users", key).await, None);
    }
    end(&redis);
    told(&cache).await;
    assert_eq!(cache.health().await.queued_since, None);
    for key in ["1", "2"] {
        assert_eq!(elsewhere(&redis, key).await, None);
    }
    assert_eq!(elsewhere(&redis, "3").await.as_deref(), Some("old"));
    healed(&cache).await;
    let counted = InvalidationStats { queued: 1, ..InvalidationStats::default() };
    assert_eq!(cache.stats().invalidations, counted);
}

#[tokio::test]
async fn while_redis_hangs() {
    goes_through_by_itself(RedisServer::stop, RedisServer::resume).await;
}

/// It comes back with what it had saved.
#[tokio::test]
async fn while_redis_is_restarted() {
    let kill = |redis: &RedisServer| {
        redis.command(&["SAVE"]);
        redis.kill();
    };
    goes_through_by_itself(kill, RedisServer::restart).await;
}

#[tokio::test]
async fn while_redis_is_a_replica() {
    let port = cache_tests::ports::free_port().to_string();
    let demote = |redis: &RedisServer| {
        redis.config_set("replica-serve-stale-data", "yes");
        redis.command(&["REPLICAOF", "127.0.0.1", &port]);
    };
    let promote = |redis: &RedisServer| drop(redis.command(&["REPLICAOF", "NO", "ONE"]));
    goes_through_by_itself(demote, promote).await;
}

#[tokio::test]
async fn while_redis_has_no_master() {
    let port = cache_tests::ports::free_port().to_string();
    let demote = |redis: &RedisServer| {
        redis.config_set("replica-serve-stale-data", "no");
        redis.command(&["REPLICAOF", "127.0.0.1", &port]);
    };
    let promote = |redis: &RedisServer| drop(redis.command(&["REPLICAOF", "NO", "ONE"]));
    goes_through_by_itself(demote, promote).await;
}

#[tokio::test]
async fn while_redis_has_too_few_replicas() {
    let refuse = |redis: &RedisServer| redis.config_set("min-replicas-to-write", "1");
    let accept = |redis: &RedisServer| redis.config_set("min-replicas-to-write", "0");
    goes_through_by_itself(refuse, accept).await;
}

/// The queue is bounded: what does not fit widens to its namespace, and to no other.
#[tokio::test]
async fn more_than_can_be_queued_widens_to_the_namespace() {
    let redis = RedisServer::start();
    let cache = hurried(&redis);
    healed(&cache).await;
    let writer = on(&redis).build().unwrap();
    for namespace in ["users", "teams"] {
        for key in ["1", "not deleted"] {
            writer.set(namespace, key, "old").await.unwrap();
        }
    }
    redis.stop();
    broken(&cache).await;
    for n in 0..1_100 {
        let deleted = cache.delete("users", n.to_string()).await.unwrap();
        assert_eq!(deleted, Invalidated::Queued);
    }
    assert_eq!(cache.health().await.queued_invalidations, 1);
    redis.resume();
    told(&cache).await;
    for key in ["1", "not deleted"] {
        assert_eq!(elsewhere(&redis, key).await, None);
        let other = on(&redis).l1(false).build().unwrap();
        assert_eq!(text(&other, "teams", key).await.as_deref(), Some("old"));
    }
}

/// Who may not write gets an error; here it is invalid all the same. Once allowed, it goes through.
#[tokio::test]
async fn what_redis_refuses_for_good_is_an_error() {
    let redis = RedisServer::start();
    on(&redis).build().unwrap().set("users", "1", "old").await.unwrap();
    redis.command(&["ACL", "SETUSER", "reader", "on", ">pw", "~*", "+@read", "+ping", "-@write"]);
    let options = options(&redis.url()).credentials(Some("reader"), Some("pw"));
    let cache = on(&redis).redis(options).l1(false).build().unwrap();
    assert_eq!(text(&cache, "users", "1").await.as_deref(), Some("old"));
    let refused = cache.invalidate(Scope::key("users", "1")).await.unwrap_err();
    assert!(!refused.is_passing(), "{refused}");
    assert_eq!(text(&cache, "users", "1").await, None);
    assert_eq!(elsewhere(&redis, "1").await.as_deref(), Some("old"));
    redis.command(&["ACL", "SETUSER", "reader", "+@all"]);
    told(&cache).await;
    assert_eq!(elsewhere(&redis, "1").await, None);
}
