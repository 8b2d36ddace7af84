//! Generations of entries that are read from memory only, and of tags that nobody uses.

use std::time::Duration;

use cache_core::{Cache, Scope, Tag, hours, minutes, seconds};
use cache_tests::wait::eventually_some;
use cache_tests::{RedisServer, eventually};

use crate::gated_store::GatedStore;
use crate::setup::{PATIENCE, Setup, on, text};

/// Two rounds.
const ROUNDS: Duration = Duration::from_secs(12);

/// Waits until a round has begun and ended from now on.
async fn round(cache: &Cache) {
    let before = cache.health().await.kept_alive_at;
    eventually_some(PATIENCE, "a round", async || {
        (cache.health().await.kept_alive_at > before).then_some(())
    })
    .await;
}

fn idle_seconds(redis: &RedisServer, key: &str) -> Option<u64> {
    redis.command(&["OBJECT", "IDLETIME", key]).text().parse().ok()
}

/// The value was read from memory ever after; its generations were idle for as long.
#[tokio::test]
async fn generations_of_what_is_read_from_memory_are_not_idle() {
    let redis = RedisServer::start();
    let cache = on(&redis).build().unwrap();
    cache.namespace("users").set("1", "v").tag("t").await.unwrap();
    round(&cache).await;
    // Nobody asks Redis for the entry any more, nor, but for the task, for its generations.
    eventually_some(PATIENCE, "the entry is idle, and its generations are not", async || {
        assert_eq!(text(&cache, "users", "1").await.as_deref(), Some("v"));
        let entry = idle_seconds(&redis, "coldcopy:users:v1:1")?;
        let generations = ["coldcopy:gen:p", "coldcopy:gen:n:users", "coldcopy:gen:t:t"];
        let idle = generations.map(|name| idle_seconds(&redis, name).expect(name));
        (entry >= 9 && idle.iter().all(|idle| *idle < entry)).then_some(())
    })
    .await;
    // Of everything, of two namespaces (that of responses is always there) and of what sweeps end
    // in them, and of the tag.
    assert_eq!(cache.health().await.kept_alive, 6);
}

/// Older than all that floods Redis, and not what goes.
#[tokio::test]
async fn hot_scopes_survive_evictions() {
    let redis = RedisServer::start();
    let cache = on(&redis).build().unwrap();
    cache.namespace("users").set("1", "v").tag("t").ttl(hours(1)).await.unwrap();
    round(&cache).await;
    round(&cache).await;
    let used: u64 = redis.info("memory", "used_memory").unwrap().parse().unwrap();
    redis.config_set("maxmemory-policy", "allkeys-lru");
    redis.config_set("maxmemory-samples", "64");
    for n in 0..1_000 {
        redis.command(&["SET", &format!("flood:{n}"), &"x".repeat(4096)]);
    }
    round(&cache).await;
    // Some 5 KiB each: a third of those that came before the round has to go, and no more.
    redis.config_set("maxmemory", &(used + 3_500 * 1024).to_string());
    for n in 1_000..1_050 {
        redis.command(&["SET", &format!("flood:{n}"), &"x".repeat(4096)]);
    }
    let evicted: u64 = redis.info("stats", "evicted_keys").unwrap().parse().unwrap();
    assert!(evicted > 100, "{evicted}");
    for generation in ["coldcopy:gen:p", "coldcopy:gen:n:users", "coldcopy:gen:t:t"] {
        assert!(redis.get(generation).is_some(), "{generation}");
    }
}

/// Nobody reads the entry from the store, and nobody tells.
#[tokio::test(start_paused = true)]
async fn what_was_invalidated_elsewhere_is_noticed() {
    let setup = Setup::shared();
    let store = GatedStore::new(&setup);
    let deaf = store.deaf_cache(&setup);
    let other = store.cache(&setup);
    for scope in [Scope::from(Tag::new("t")), Scope::namespace("users")] {
        deaf.namespace("users").set("1", "old").tag("t").await.unwrap();
        other.invalidate(scope).await.unwrap();
        tokio::time::sleep(ROUNDS).await;
        assert_eq!(text(&deaf, "users", "1").await, None);
    }
}

/// One task, whose end is that of the cache; and one that is shut down asks no more.
#[tokio::test(start_paused = true)]
async fn it_ends_with_the_cache() {
    let setup = Setup::shared();
    let store = GatedStore::new(&setup);
    let cache = store.cache_without_l1(&setup);
    cache.set("users", "1", "v").await.unwrap();
    text(&cache, "users", "1").await;
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    assert_eq!(tasks(), 1);
    tokio::time::sleep(ROUNDS).await;
    assert_eq!(tasks(), 1);
    drop(cache);
    tokio::time::sleep(ROUNDS).await;
    assert_eq!(tasks(), 0);
}

/// It is started anew where the cache is used next.
#[test]
fn it_survives_the_end_of_a_runtime() {
    let setup = Setup::shared();
    let store = GatedStore::new(&setup);
    let cache = store.cache_without_l1(&setup);
    let mut last = None;
    for _ in 0..2 {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let runtime = builder.enable_all().start_paused(true).build().unwrap();
        runtime.block_on(async {
            text(&cache, "users", "1").await;
            setup.clock.advance(seconds(1));
            tokio::time::sleep(ROUNDS).await;
            let kept_alive_at = cache.health().await.kept_alive_at;
            assert!(kept_alive_at > last, "{kept_alive_at:?}");
            last = kept_alive_at;
        });
    }
}

/// Tags die: what churns leaves nothing behind, in Redis or here.
#[tokio::test]
async fn after_a_hundred_thousand_tags_all_is_as_before() {
    const TAGS: usize = 100_000;
    let redis = RedisServer::start();
    let cache = on(&redis).clock(cache_core::Clock::manual(1)).build().unwrap();
    let baseline = |redis: &RedisServer| -> usize {
        redis.command(&["DBSIZE"]).text().trim_start_matches(':').parse().unwrap()
    };
    cache.set("users", "1", "v").await.unwrap();
    let (before, scopes) = (baseline(&redis), cache.health().await.scopes);
    let writers = (0..64).map(|writer| {
        let cache = cache.clone();
        tokio::spawn(async move {
            for n in (writer..TAGS).step_by(64) {
                let set = cache.namespace("users").set(format!("k{}", n % 1_000), "v");
                set.tag(n.to_string()).ttl(minutes(1)).await.unwrap();
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
    assert!(baseline(&redis) > TAGS);
    // Every one of them has an end; it is brought nearer here.
    for key in redis.keys("coldcopy:*") {
        if key.contains(":gen:t:") || key.contains(":k") {
            let left: i64 = redis.command(&["PTTL", &key]).text().parse().unwrap();
            assert!(left > 0, "{key}");
        }
    }
    let expire =
        "for _, k in ipairs(redis.call('KEYS', ARGV[1])) do redis.call('PEXPIRE', k, 1) end";
    for keys in ["coldcopy:gen:t:*", "coldcopy:users:v1:k*"] {
        redis.command(&["EVAL", expire, "0", keys]);
    }
    eventually(PATIENCE, "they expire", || {
        redis.keys("coldcopy:*");
        baseline(&redis) == before
    })
    .await;
    // And here.
    assert!(cache.health().await.scopes <= scopes + 2 * 1_024, "{}", cache.health().await.scopes);
}
