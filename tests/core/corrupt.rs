//! What is found in Redis but is not what was written there: a miss, counted, never an error.

use cache_core::{Cache, ErrorKind, NamespaceStats};
use cache_tests::{FaultProxy, Mode, RedisServer};

use crate::setup::{at, fill, kind, on, settled, text};

const KEY: &str = "coldcopy:users:v1:1";

/// A server that holds "Ada" under [`KEY`], and a cache that has not seen it.
async fn with_ada(l1: bool) -> (RedisServer, Cache, Vec<u8>) {
    let redis = RedisServer::start();
    let cache = on(&redis).l1(l1).build().unwrap();
    on(&redis).build().unwrap().set("users", "1", "Ada").await.unwrap();
    let bytes = redis.get(KEY).unwrap();
    (redis, cache, bytes)
}

fn put(redis: &RedisServer, key: &str, bytes: &[u8]) {
    assert!(!redis.command_bytes(&[b"SET", key.as_bytes(), bytes]).is_error());
}

fn stats(cache: &Cache) -> NamespaceStats {
    cache.stats().namespaces["users"]
}

#[tokio::test]
async fn every_flipped_byte_and_every_cut_is_a_miss_and_counted() {
    let (redis, cache, good) = with_ada(false).await;
    let mut damages = 0;
    for position in 0..good.len() {
        let mut bad = good.clone();
        bad[position] ^= 1 << (position % 8);
        for bad in [&bad[..], &good[..position]] {
            put(&redis, KEY, bad);
            assert_eq!(text(&cache, "users", "1").await, None, "byte {position}");
            damages += 1;
            assert_eq!((stats(&cache).misses, stats(&cache).errors), (damages, damages));
        }
    }
    put(&redis, KEY, &[&good[..], b"x"].concat());
    assert_eq!(text(&cache, "users", "1").await, None);
    put(&redis, KEY, &good);
    assert_eq!(text(&cache, "users", "1").await.as_deref(), Some("Ada"));
}

#[tokio::test]
async fn a_fill_replaces_what_is_damaged() {
    let (redis, cache, good) = with_ada(true).await;
    let foreign = b"\xcc\x63\x68\x31 something else altogether";
    for (n, bad) in [&good[..good.len() - 1], &good[..12], &good[..3], b"", b"theirs", foreign]
        .into_iter()
        .enumerate()
    {
        cache.set("users", "2", "so that memory forgets nothing else").await.unwrap();
        put(&redis, KEY, bad);
        let value = format!("filled {n}");
        let reader = on(&redis).build().unwrap();
        assert_eq!(fill(&reader, "users", "1", &value).await, value);
        settled(&reader).await;
        let fresh = on(&redis).build().unwrap();
        assert_eq!(text(&fresh, "users", "1").await, Some(value), "{n}");
    }
}

#[tokio::test]
async fn bytes_under_another_key_are_a_miss() {
    let (redis, cache, ada) = with_ada(false).await;
    let writer = on(&redis).build().unwrap();
    for (namespace, key) in [("users", "2"), ("others", "1")] {
        // So that the scopes are known and only the key is another.
        writer.set(namespace, key, "theirs").await.unwrap();
        put(&redis, &format!("coldcopy:{namespace}:v1:{key}"), &ada);
        assert_eq!(text(&cache, namespace, key).await, None);
        let many: Vec<Option<String>> = cache.get_many(namespace, [key, key]).await.unwrap();
        assert_eq!(many, [None, None]);
        assert!(!cache.exists(namespace, key).await.unwrap());
        assert!(!cache.touch(namespace, key, cache_core::minutes(1)).await.unwrap());
        assert_eq!(fill(&cache, namespace, key, "own").await, "own");
        settled(&cache).await;
        assert_eq!(text(&cache, namespace, key).await.as_deref(), Some("own"));
    }
    assert_eq!(text(&cache, "users", "1").await.as_deref(), Some("Ada"));
}

#[tokio::test]
async fn a_key_of_another_type_is_a_miss_that_a_set_repairs() {
    for l1 in [false, true] {
        let (redis, cache, _) = with_ada(l1).await;
        redis.command(&["DEL", KEY]);
        redis.command(&["RPUSH", KEY, "a", "list"]);
        assert_eq!(text(&cache, "users", "1").await, None);
        assert!(!cache.exists("users", "1").await.unwrap());
        assert_eq!(fill(&cache, "users", "1", "computed").await, "computed");
        settled(&cache).await;
        assert!(cache.health().await.reachable, "it is no fault of the server");
        cache.set("users", "1", "repaired").await.unwrap();
        let fresh = on(&redis).build().unwrap();
        assert_eq!(text(&fresh, "users", "1").await.as_deref(), Some("repaired"));
        redis.command(&["DEL", KEY]);
        redis.command(&["RPUSH", KEY, "a", "list"]);
        cache.delete("users", "1").await.unwrap();
        assert_eq!(text(&cache, "users", "1").await, None);
        fill(&cache, "users", "1", "new").await;
        settled(&cache).await;
        let fresh = on(&redis).build().unwrap();
        assert_eq!(text(&fresh, "users", "1").await.as_deref(), Some("new"));
    }
}

#[tokio::test]
async fn a_generation_that_is_no_id_is_a_miss_until_it_is_invalidated() {
    let (redis, cache, _) = with_ada(false).await;
    redis.command(&["SET", "coldcopy:gen:n:users", "not an id"]);
    assert_eq!(text(&cache, "users", "1").await, None);
    assert_eq!(fill(&cache, "users", "1", "computed").await, "computed");
    settled(&cache).await;
    assert!(cache.set("users", "1", "v").await.is_err(), "and no success that is none");
    cache.invalidate(cache_core::Scope::namespace("users")).await.unwrap();
    cache.set("users", "1", "Ada").await.unwrap();
    assert_eq!(text(&cache, "users", "1").await.as_deref(), Some("Ada"));
}

/// The connection is out of step or the value damaged: no read may show anything but the value
/// that was written, and afterwards all is well again.
#[tokio::test]
async fn a_bit_that_flips_on_the_way_is_never_seen() {
    let redis = RedisServer::start();
    let proxy = FaultProxy::start(redis.port()).await;
    let cache = at(&redis.url_through(proxy.port())).l1(false).build().unwrap();
    cache.set("users", "1", "Ada").await.unwrap();
    for byte in 0..160 {
        proxy.set(Mode::FlipBit(byte)).await;
        for _ in 0..2 {
            let found: Option<String> = cache
                .namespace("users")
                .cache()
                .get("users", "1")
                .await
                .expect("a read is never an error");
            assert!(matches!(found.as_deref(), None | Some("Ada")), "byte {byte}: {found:?}");
        }
    }
    proxy.set(Mode::Pass).await;
    cache_tests::wait::eventually_some(crate::setup::PATIENCE, "it heals", async || {
        text(&cache, "users", "1").await
    })
    .await;
}

#[tokio::test]
async fn a_server_that_is_no_redis_is_an_error_of_its_kind() {
    let origin =
        cache_tests::Origin::start(|_| async { cache_tests::body::fixed(200, &[], "hello") }).await;
    let cache = at(&format!("redis://{}", origin.addr())).build().unwrap();
    assert_eq!(text(&cache, "users", "1").await, None);
    let kind = kind(cache.set("users", "1", "v").await);
    let expected = [ErrorKind::Protocol, ErrorKind::Timeout, ErrorKind::Unavailable];
    assert!(expected.contains(&kind), "{kind:?}");
}
