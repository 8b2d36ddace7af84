//! What is sent to Redis to invalidate a scope: the same few commands however many entries lie
//! under it.

use std::collections::BTreeMap;

use cache_core::{Cache, Invalidated, Key, Namespace, Pattern, Scope, Scopes, Tag, Template};
use cache_tests::RedisServer;
use cache_tests::wait::eventually_some;

use crate::setup::{PATIENCE, delete, on, settled};

const PAGES: Namespace = Namespace::new("pages").by_workspace();
const MANY: usize = 2_000;
const TAGGED: usize = 200;

/// How often each command ran, but for those that connections begin with or are kept alive by.
fn commands(redis: &RedisServer) -> BTreeMap<String, u64> {
    let stats = redis.command(&["INFO", "commandstats"]).text();
    let calls = stats.lines().filter_map(|line| {
        let (name, fields) = line.strip_prefix("cmdstat_")?.split_once(':')?;
        let calls = fields.strip_prefix("calls=")?.split(',').next()?.parse().ok()?;
        let own = ["info", "hello", "ping", "config|resetstat"].contains(&name);
        (!own && !name.starts_with("client")).then(|| (name.to_owned(), calls))
    });
    calls.collect()
}

fn key(n: usize) -> Key {
    Key::workspace("ws1").segment("campaigns").segment(n.to_string())
}

async fn filled(cache: &Cache) {
    let items = (0..MANY).map(|n| (key(n), n));
    cache.set_many(&PAGES, items).await.unwrap();
    for n in 0..TAGGED {
        cache.set(&PAGES, key(n), &n).tag("t").await.unwrap();
    }
}

/// Of the tagged ones, all of which are covered by each scope.
async fn found(cache: &Cache) -> usize {
    let found = cache.get_many::<usize, _>(&PAGES, (0..TAGGED).map(key)).await.unwrap();
    found.iter().flatten().count()
}

fn declare(cache: &Cache) {
    let template = Template::parse("{workspace_id}:campaigns:*").unwrap();
    assert!(cache.namespace(&PAGES).declare(&template).unwrap());
}

/// Each kind of scope that covers the tagged ones, and several at once.
fn scopes() -> [Scopes; 6] {
    let tag = || Scope::from(Tag::new("t"));
    let pattern = || Scope::pattern(&PAGES, Pattern::new("ws1:campaigns:*"));
    [
        tag().into(),
        Scope::workspace("ws1").into(),
        pattern().into(),
        Scope::namespace(&PAGES).into(),
        Scope::everything().into(),
        [tag(), Scope::workspace("ws1"), pattern(), Scope::everything()].into(),
    ]
}

#[tokio::test]
async fn one_command_for_each_kind_of_scope_and_for_several() {
    let redis = RedisServer::start();
    let cache = on(&redis).namespace(PAGES).l1(false).build().unwrap();
    declare(&cache);
    for scopes in scopes() {
        filled(&cache).await;
        assert_eq!(found(&cache).await, TAGGED);
        redis.reset_stats();
        let done = cache.invalidate(scopes.clone()).await.unwrap();
        assert_eq!(done, Invalidated::Complete);
        let sent = commands(&redis);
        assert_eq!(sent, BTreeMap::from([("unlink".to_owned(), 1)]), "{scopes:?}");
        assert_eq!(found(&cache).await, 0, "{scopes:?}");
    }
}

#[tokio::test]
async fn single_keys_take_a_command_each_in_one_round_trip() {
    let redis = RedisServer::start();
    let cache = on(&redis).namespace(PAGES).l1(false).build().unwrap();
    filled(&cache).await;
    redis.reset_stats();
    delete(&cache, PAGES.name(), key(1)).await;
    assert_eq!(commands(&redis), BTreeMap::from([("set".to_owned(), 1)]));
    redis.reset_stats();
    let scopes = [Scope::key(&PAGES, key(2)), Tag::new("t").into(), Scope::workspace("ws1")];
    assert_eq!(cache.invalidate(scopes).await.unwrap(), Invalidated::Complete);
    let sent = BTreeMap::from([("set".to_owned(), 1), ("unlink".to_owned(), 1)]);
    assert_eq!(commands(&redis), sent);
}

#[tokio::test]
async fn softly_a_script_for_each_generation_in_one_round_trip() {
    let redis = RedisServer::start();
    let cache = on(&redis).namespace(PAGES).l1(false).build().unwrap();
    declare(&cache);
    // Of a tag, also the generation of its family.
    for (scopes, generations) in scopes().into_iter().zip([2, 1, 1, 1, 1, 5]) {
        filled(&cache).await;
        // So that the script is known.
        cache.invalidate(scopes.clone()).soft().await.unwrap();
        redis.reset_stats();
        let done = cache.invalidate(scopes.clone()).soft().await.unwrap();
        assert_eq!(done, Invalidated::Complete);
        assert_eq!(commands(&redis).get("evalsha"), Some(&generations), "{scopes:?}");
        let inside = |name: &str| ["evalsha", "strlen", "getrange", "setrange"].contains(&name);
        assert!(commands(&redis).keys().all(|name| inside(name)), "{scopes:?}");
        assert_eq!(found(&cache).await, 0, "{scopes:?}");
    }
}

/// Instances that hold the entries in memory look into the scope, not into the entries.
#[tokio::test]
async fn those_who_listen_ask_about_the_scope_and_not_about_entries() {
    let redis = RedisServer::start();
    let build = || on(&redis).namespace(PAGES).build().unwrap();
    let (here, there) = (build(), build());
    for cache in [&here, &there] {
        crate::coherence::proven(cache).await;
        declare(cache);
    }
    for scopes in scopes() {
        filled(&here).await;
        assert_eq!(found(&there).await, TAGGED);
        for cache in [&here, &there] {
            settled(cache).await;
        }
        redis.reset_stats();
        assert_eq!(here.invalidate(scopes.clone()).await.unwrap(), Invalidated::Complete);
        eventually_some(PATIENCE, "the other one asks", async || {
            commands(&redis).contains_key("mget").then_some(())
        })
        .await;
        for cache in [&here, &there] {
            settled(cache).await;
        }
        let mut sent = commands(&redis);
        assert_eq!(sent.remove("unlink"), Some(1), "{scopes:?}: {sent:?}");
        let asked = sent.remove("mget").unwrap_or(0);
        // Each instance once or twice: what is pushed while it asks is asked about again.
        assert!(sent.is_empty() && asked <= 4, "{scopes:?}: {asked} MGET, {sent:?}");
        assert_eq!(found(&here).await, 0, "{scopes:?}");
    }
}

/// Who meets a generation of a namespace for the first time reads its board once, whether or not
/// there is one.
#[tokio::test]
async fn a_namespace_that_is_met_for_the_first_time_takes_one_read_more() {
    let redis = RedisServer::start();
    let build = || on(&redis).namespace(PAGES).l1(false).build().unwrap();
    for declares in [false, true] {
        let made = || {
            let cache = build();
            if declares {
                declare(&cache);
            }
            cache
        };
        filled(&made()).await;
        let restarted = made();
        for expected in [2, 1, 1] {
            redis.reset_stats();
            assert!(restarted.get::<usize>(&PAGES, key(TAGGED)).await.unwrap().is_some());
            let mut sent = commands(&redis);
            // A connection that is new asks what time it is, and whether scripts are allowed.
            sent.remove("time");
            sent.remove("evalsha");
            assert_eq!(sent, BTreeMap::from([("mget".to_owned(), expected)]));
        }
    }
}
