//! The keys of other applications in the same database.

use std::collections::BTreeMap;

use cache_core::{Pattern, Scope};
use cache_tests::RedisServer;
use cache_tests::resp::Reply;

use super::{LEAST_RIGHTS, add_user, as_user, work};
use crate::setup::on;

/// Of each kind, under names that are nearly ours, and that are globs of ours.
const FOREIGN: [&[&str]; 12] = [
    &["SET", "coldcopy", "v"],
    &["SET", "coldcopyx:users:v1:1", "v"],
    &["SET", "coldcop:users:v1:1", "v"],
    &["SET", "xcoldcopy:users:v1:1", "v"],
    &["SET", "other:coldcopy:users:v1:1", "v", "PXAT", "4000000000000"],
    &["SET", "gen:n:users", "v"],
    &["SET", "coldcopy*", "v"],
    &["RPUSH", "coldcopy-2:gen:p", "a", "b"],
    &["SADD", "users", "a", "b"],
    &["HSET", "coldcopy.users", "a", "b"],
    &["ZADD", "*", "1", "a"],
    &["XADD", "clock", "1-1", "a", "b"],
];

/// Every key that is not under the prefix, with its bytes and when it ends.
fn foreign(redis: &RedisServer) -> BTreeMap<String, (Reply, Reply)> {
    let keys = redis.keys("*").into_iter().filter(|key| !key.starts_with("coldcopy:"));
    let dump = |key: &String| (redis.command(&["DUMP", key]), redis.command(&["PEXPIRETIME", key]));
    keys.map(|key| {
        let dumped = dump(&key);
        (key, dumped)
    })
    .collect()
}

#[tokio::test]
async fn survive_everything_that_the_cache_does() {
    let redis = RedisServer::start();
    for command in FOREIGN {
        assert!(!redis.command(command).is_error(), "{command:?}");
    }
    let before = foreign(&redis);
    assert_eq!(before.len(), FOREIGN.len());
    add_user(&redis, "unscripted", &["&*", "+@all", "-@scripting"]);
    add_user(&redis, "least", LEAST_RIGHTS);
    for user in [None, Some("unscripted"), Some("least")] {
        let build = || match user {
            Some(user) => on(&redis).redis(as_user(&redis, user)),
            None => on(&redis),
        };
        work::everything(build).await;
        let cache = build().build().unwrap();
        for pattern in ["*", "**", "?*", "*:*"] {
            cache.set("users", "1", "v").await.unwrap();
            cache.delete_pattern("users", pattern).await.unwrap();
            cache.invalidate(Scope::pattern("users", Pattern::new(pattern))).await.unwrap();
        }
        cache.invalidate(Scope::everything()).await.unwrap();
        cache.clear_all().await.unwrap();
        assert_eq!(foreign(&redis), before, "{user:?}");
    }
}
