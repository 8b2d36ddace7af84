//! Users who may do less: what takes the place of what is refused, what is said of it, and that the
//! keys of others are left alone.

mod foreign;
mod least;
mod old;
mod races;
mod renamed;
mod steps;
mod users;
mod work;

use std::sync::LazyLock;

use cache_core::{Ability, Cache, CoherenceMode, RedisOptions};
use cache_tests::RedisServer;

use crate::setup::{PATIENCE, options, shared_redis};

/// Those that the shared server knows.
pub(crate) const UNSCRIPTED: &str = "unscripted";
pub(crate) const LEAST: &str = "least";

/// To use the shared server as one of them.
pub(crate) fn shared_as(user: &'static str) -> RedisOptions {
    static USERS: LazyLock<()> = LazyLock::new(|| {
        let redis = shared_redis();
        add_user(redis, UNSCRIPTED, &["&*", "+@all", "-@scripting"]);
        add_user(redis, LEAST, LEAST_RIGHTS);
    });
    LazyLock::force(&USERS);
    as_user(shared_redis(), user)
}

const LEAST_RIGHTS: &[&str] = &["-@all", "+@read", "+@write", "+@connection"];

/// On all keys.
fn add_user(redis: &RedisServer, name: &str, rights: &[&str]) {
    let user = ["ACL", "SETUSER", name, "reset", "on", ">pw", "~*"];
    let reply = redis.command(&[&user, rights].concat());
    assert!(!reply.is_error(), "{}", reply.text());
}

fn as_user(redis: &RedisServer, name: &str) -> RedisOptions {
    options(&redis.url()).credentials(Some(name), Some("pw"))
}

/// What health says is missing.
async fn missing(cache: &Cache) -> Vec<Ability> {
    cache.health().await.missing_abilities.iter().map(|missing| missing.ability).collect()
}

/// Waits until a cache hears of changes this way.
async fn in_mode(cache: &Cache, mode: CoherenceMode) {
    crate::setup::text(cache, "users", "1").await;
    cache_tests::wait::eventually_some(PATIENCE, "the mode", async || {
        (cache.health().await.coherence.mode == mode).then_some(())
    })
    .await;
}

/// Waits until a cache says that these are missing.
async fn lacks(cache: &Cache, abilities: &[Ability]) {
    cache_tests::wait::eventually_some(PATIENCE, "it is known what is missing", async || {
        (missing(cache).await == abilities).then_some(())
    })
    .await;
}

/// How often the server has refused something.
fn refusals(redis: &RedisServer) -> u64 {
    let line = redis.info("errorstats", "errorstat_NOPERM").unwrap_or_default();
    line.strip_prefix("count=").and_then(|count| count.parse().ok()).unwrap_or(0)
}
