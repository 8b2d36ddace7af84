//! Keys of ours that hold something else than a string: somebody else put it there. It is a miss, and
//! the next write makes room for what belongs there.

use cache_core::{Cache, Clock, Deadline, RedisStore, Scope, Store, Tag};
use cache_tests::{Answer, FakeRedis, RedisServer, Reply};

use crate::setup::{PATIENCE, fill, on, options, settled, text};

const KEY: &str = "coldcopy:users:v1:1";

fn spoil(redis: &RedisServer, key: &str) {
    redis.command(&["DEL", key]);
    assert!(!redis.command(&["RPUSH", key, "a", "list"]).is_error());
}

async fn holds(redis: &RedisServer, value: &str) {
    let fresh = on(redis).build().unwrap();
    assert_eq!(text(&fresh, "users", "1").await.as_deref(), Some(value));
}

fn caches(redis: &RedisServer) -> [Cache; 2] {
    [true, false].map(|l1| on(redis).l1(l1).build().unwrap())
}

/// Pinned: the write of a fill failed, each time, for as long as the key lived.
#[tokio::test]
async fn an_entry_is_replaced_by_the_next_fill() {
    let redis = RedisServer::start();
    for cache in caches(&redis) {
        cache.set("users", "1", "Ada").await.unwrap();
        // In memory there is no more of it than in Redis.
        cache.delete("users", "1").await.unwrap();
        spoil(&redis, KEY);
        assert_eq!(text(&cache, "users", "1").await, None);
        assert_eq!(fill(&cache, "users", "1", "computed").await, "computed");
        settled(&cache).await;
        holds(&redis, "computed").await;
        assert_eq!(cache.stats().namespaces["users"].errors, 0);
    }
}

#[tokio::test]
async fn an_entry_is_replaced_by_a_set_and_removed_by_a_delete_and_a_sweep() {
    let redis = RedisServer::start();
    for cache in caches(&redis) {
        spoil(&redis, KEY);
        cache.set("users", "1", "set").await.unwrap();
        holds(&redis, "set").await;
        spoil(&redis, KEY);
        assert!(cache.delete("users", "1").await.unwrap().is_complete());
        assert_eq!(redis.command(&["TYPE", KEY]).text(), "string", "a tombstone");
        spoil(&redis, KEY);
        assert_eq!(cache.delete_pattern("users", "*").await.unwrap(), 1);
        assert_eq!(redis.get(KEY), None);
    }
}

/// Pinned: nothing could be stored under a scope whose generation was spoilt, until somebody
/// invalidated it.
#[tokio::test]
async fn a_generation_is_made_anew() {
    let redis = RedisServer::start();
    for cache in caches(&redis) {
        for generation in ["coldcopy:gen:n:users", "coldcopy:gen:t:t"] {
            cache.set("users", "1", "before").tag("t").await.unwrap();
            spoil(&redis, generation);
            let other = on(&redis).build().unwrap();
            assert_eq!(text(&other, "users", "1").await, None, "its generation is lost");
            other.set("users", "1", "after").tag("t").await.unwrap();
            holds(&redis, "after").await;
            other.invalidate(Tag::new("t")).await.unwrap();
            assert_eq!(text(&other, "users", "1").await, None);
        }
    }
}

#[tokio::test]
async fn a_soft_invalidation_makes_room_for_a_generation() {
    let redis = RedisServer::start();
    let cache = on(&redis).build().unwrap();
    cache.set("users", "1", "before").tag("t").await.unwrap();
    spoil(&redis, "coldcopy:gen:t:t");
    cache.invalidate(Tag::new("t")).soft().await.unwrap();
    assert_eq!(redis.command(&["TYPE", "coldcopy:gen:t:t"]).text(), "none");
    let other = on(&redis).build().unwrap();
    assert_eq!(text(&other, "users", "1").await, None);
    cache.invalidate(Scope::everything()).await.unwrap();
    cache.set("users", "1", "after").tag("t").await.unwrap();
    holds(&redis, "after").await;
}

/// What belongs to others stays, whatever it is.
#[tokio::test]
async fn what_is_not_ours_stays() {
    let redis = RedisServer::start();
    for key in ["users:v1:1", "other:users:v1:1", "coldcopy2:gen:n:users"] {
        spoil(&redis, key);
    }
    for cache in caches(&redis) {
        fill(&cache, "users", "1", "computed").await;
        settled(&cache).await;
        cache.invalidate(Scope::everything()).await.unwrap();
        cache.clear("users").await.unwrap();
    }
    for key in ["users:v1:1", "other:users:v1:1", "coldcopy2:gen:n:users"] {
        assert_eq!(redis.command(&["TYPE", key]).text(), "list", "{key}");
    }
}

/// Pinned: where a lease ended between the attempt to take it and the look at it, it was taken for a key
/// of another type, and so was the next holder's.
#[tokio::test]
async fn what_has_gone_meanwhile_was_in_nobody_s_way() {
    let redis = RedisServer::start();
    let fake = FakeRedis::before(&redis, |call| match call.name() {
        "SET" => Answer::Reply(Reply::Bulk(None)),
        _ => Answer::Pass,
    })
    .await;
    let store = RedisStore::new(&options(&fake.url()), Clock::system()).unwrap();
    let lease = [("lease", "mine".to_owned())];
    let found = store.create(&lease, 1000, Deadline::after(PATIENCE)).await.unwrap();
    assert_eq!((found, fake.calls("UNLINK"), fake.calls("SET")), (vec![None], 0, 1));
    spoil(&redis, "lease");
    fake.script(|_| Answer::Pass);
    let found = store.create(&lease, 1000, Deadline::after(PATIENCE)).await.unwrap();
    assert_eq!(found, [Some("mine".into())]);
}
