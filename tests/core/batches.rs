//! Several keys at once, and how many round trips that takes.

use cache_core::{Cache, Ttl, hours};
use cache_tests::RedisServer;

use crate::setup::{Setup, on, on_every_setup, text};

async fn many_are_written_and_read_in_order(setup: Setup) {
    let cache = setup.cache();
    cache.set_many("users", [("1", "Ada"), ("2", "Grace"), ("3", "Edsger")]).await.unwrap();
    let found: Vec<Option<String>> =
        cache.get_many("users", ["3", "none", "1", "3"]).await.unwrap();
    let expected = [Some("Edsger"), None, Some("Ada"), Some("Edsger")];
    assert_eq!(found, expected.map(|name| name.map(str::to_owned)));
    assert_eq!(cache.ttl("users", "2").await.unwrap(), Some(Ttl::After(hours(1))));
}

async fn the_last_of_two_values_for_one_key_stays(setup: Setup) {
    let cache = setup.cache();
    cache.set_many("users", [("1", "first"), ("2", "other"), ("1", "last")]).await.unwrap();
    assert_eq!(text(&cache, "users", "1").await.as_deref(), Some("last"));
    let again = setup.cache();
    if !setup.is_memory() {
        assert_eq!(text(&again, "users", "1").await.as_deref(), Some("last"));
    }
}

async fn nothing_is_written_and_nothing_read(setup: Setup) {
    let cache = setup.cache();
    cache.set_many("users", Vec::<(&str, u8)>::new()).await.unwrap();
    let found: Vec<Option<u8>> = cache.get_many("users", Vec::<&str>::new()).await.unwrap();
    assert!(found.is_empty());
}

async fn a_thousand_at_once(setup: Setup) {
    let cache = setup.cache();
    cache.set_many("users", (0..1_000).map(|n| (n.to_string(), n))).await.unwrap();
    let keys = (0..1_000).rev().map(|n| n.to_string());
    let found: Vec<Option<u32>> = cache.get_many("users", keys).await.unwrap();
    assert!(found.into_iter().eq((0..1_000).rev().map(Some)));
}

async fn one_that_is_too_large_stops_all(setup: Setup) {
    let cache = setup.builder().max_value_size(100).build().unwrap();
    let items = [("1", "x".repeat(10)), ("2", "x".repeat(200))];
    let error = cache.set_many("users", items).await.unwrap_err();
    assert_eq!(error.kind(), cache_core::ErrorKind::TooLarge);
    assert_eq!(text(&cache, "users", "1").await, None);
}

on_every_setup!(
    many_are_written_and_read_in_order,
    the_last_of_two_values_for_one_key_stays,
    nothing_is_written_and_nothing_read,
    a_thousand_at_once,
    one_that_is_too_large_stops_all,
);

/// What `work` sends to the server, as (commands by name, total of commands but those).
async fn counted(redis: &RedisServer, names: &[&str], work: impl Future<Output = ()>) -> Vec<u64> {
    redis.reset_stats();
    work.await;
    names.iter().map(|name| redis.calls(name)).collect()
}

async fn warm(redis: &RedisServer, l1: bool) -> Cache {
    let cache = on(redis).l1(l1).build().unwrap();
    cache.set("users", "warm", "up").await.unwrap();
    cache
}

const COMMANDS: [&str; 6] = ["mget", "set", "get", "evalsha", "pexpire", "exists"];

#[tokio::test]
async fn a_read_is_one_command() {
    let redis = RedisServer::start();
    let cache = warm(&redis, false).await;
    cache.set("users", "1", "Ada").await.unwrap();
    let calls = counted(&redis, &COMMANDS, async {
        assert!(text(&cache, "users", "1").await.is_some());
    });
    assert_eq!(calls.await, [1, 0, 0, 0, 0, 0]);
    let calls = counted(&redis, &COMMANDS, async {
        assert!(text(&cache, "users", "none").await.is_none());
    });
    assert_eq!(calls.await, [1, 0, 0, 0, 0, 0]);
    let calls = counted(&redis, &COMMANDS, async {
        let keys = (0..100).map(|n| n.to_string());
        cache.get_many::<String, _>("users", keys).await.unwrap();
    });
    assert_eq!(calls.await, [1, 0, 0, 0, 0, 0], "for many keys too");
}

#[tokio::test]
async fn a_hit_in_memory_asks_nothing() {
    let redis = RedisServer::start();
    let cache = warm(&redis, true).await;
    cache.set_many("users", [("1", "Ada"), ("2", "Grace")]).await.unwrap();
    let calls = counted(&redis, &COMMANDS, async {
        assert!(text(&cache, "users", "1").await.is_some());
        assert!(cache.exists("users", "1").await.unwrap());
        cache.get_many::<String, _>("users", ["1", "2"]).await.unwrap();
    });
    assert_eq!(calls.await, [0; 6]);
    let calls = counted(&redis, &COMMANDS, async {
        cache.get_many::<String, _>("users", ["1", "3", "4"]).await.unwrap();
    });
    assert_eq!(calls.await[0], 1, "one for those that are not in memory");
}

/// The commands that wait for a reply of their own: those that a pipeline ends with.
#[tokio::test]
async fn writes_are_one_pipeline_and_make_no_generation_twice() {
    let redis = RedisServer::start();
    let cache = warm(&redis, true).await;
    let calls = counted(&redis, &COMMANDS, async {
        cache.set("users", "1", "Ada").await.unwrap();
    });
    assert_eq!(calls.await, [1, 1, 0, 0, 0, 0]);
    let calls = counted(&redis, &COMMANDS, async {
        cache.set_many("users", (0..100).map(|n| (n.to_string(), n))).await.unwrap();
    });
    assert_eq!(calls.await, [1, 100, 0, 0, 0, 0]);
}

/// Pinned: each of the values made the generations of the namespace anew, one after the other:
/// as many round trips as values.
#[tokio::test]
async fn the_first_write_of_many_to_a_namespace_takes_three_round_trips() {
    let redis = RedisServer::start();
    let cache = on(&redis).build().unwrap();
    let calls = counted(&redis, &["mget", "set", "pexpire"], async {
        cache.set_many("users", (0..50).map(|n| (n.to_string(), n))).await.unwrap();
    });
    // Two MGET end two pipelines, and one reads the board of the namespace, whose generation is new;
    // two generations and the values are set, the former extended.
    assert_eq!(calls.await, [3, 52, 2]);
}

#[tokio::test]
async fn a_fill_writes_its_value_in_one_command() {
    let redis = RedisServer::start();
    let cache = warm(&redis, true).await;
    crate::setup::fill(&cache, "users", "0", "so that the script is known").await;
    crate::setup::settled(&cache).await;
    let calls = counted(&redis, &["mget", "evalsha", "exists", "eval"], async {
        crate::setup::fill(&cache, "users", "1", "value").await;
        crate::setup::settled(&cache).await;
    });
    assert_eq!(calls.await, [1, 1, 0, 0]);
}
