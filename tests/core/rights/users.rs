//! The users that `examples/ops/redis/users.acl` gives.

use cache_core::Ability::{Identity, Scripts, ServerTime, Transactions};
use cache_core::{Ability, Builder};
use cache_tests::RedisServer;

use super::{missing, work};
use crate::setup::{on, options};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/ops/redis/users.acl");

fn server() -> RedisServer {
    let file = RedisServer::builder().arg("--aclfile").arg(FILE);
    file.login("admin", "CHANGE-ME-admin").start()
}

fn build_as(redis: &RedisServer, user: &str) -> Builder {
    let password = format!("CHANGE-ME-{user}");
    on(redis).redis(options(&redis.url()).credentials(Some(user), Some(&password)))
}

#[tokio::test]
async fn those_of_the_application_do_everything() {
    let redis = server();
    let least: &[Ability] = &[Scripts, Transactions, ServerTime, Identity];
    for (user, expected) in [("cache", &[][..]), ("cache-least", least), ("cache-cluster", least)] {
        work::everything(|| build_as(&redis, user)).await;
        let cache = build_as(&redis, user).build().unwrap();
        assert_eq!(missing(&cache).await, expected, "{user}");
        redis.flushall();
    }
}

/// Runs a command as a user; its answer.
fn run(redis: &RedisServer, user: &str, command: &[&str]) -> String {
    let mut connection = redis.connect().unwrap();
    let password = format!("CHANGE-ME-{user}");
    let reply = connection.command(&[b"AUTH", user.as_bytes(), password.as_bytes()]).unwrap();
    assert_eq!(reply.text(), "OK", "{user}");
    let command: Vec<&[u8]> = command.iter().map(|word| word.as_bytes()).collect();
    connection.command(&command).unwrap().text()
}

#[tokio::test]
async fn who_monitors_sees_figures_and_no_values() {
    let redis = server();
    redis.command(&["SET", "coldcopy:users:v1:1", "secret"]);
    assert!(run(&redis, "monitor", &["INFO"]).contains("used_memory"));
    for command in [&["PING"][..], &["DBSIZE"], &["SLOWLOG", "LEN"], &["LATENCY", "LATEST"]] {
        assert!(!run(&redis, "monitor", command).starts_with("NOPERM"), "{command:?}");
    }
    for command in [
        &["GET", "coldcopy:users:v1:1"][..],
        &["SCAN", "0"],
        &["SET", "k", "v"],
        &["UNLINK", "coldcopy:users:v1:1"],
        &["FLUSHALL"],
        &["CONFIG", "GET", "requirepass"],
        &["SLOWLOG", "GET"],
        &["MONITOR"],
        &["EVAL", "return 1", "0"],
        &["ACL", "LIST"],
        &["SHUTDOWN"],
    ] {
        let answer = run(&redis, "monitor", command);
        assert!(answer.starts_with("NOPERM"), "{command:?}: {answer}");
    }
}

#[tokio::test]
async fn the_application_has_no_say_over_the_server_and_the_keys_of_others() {
    let redis = server();
    redis.command(&["SET", "other", "v"]);
    for user in ["cache", "cache-least"] {
        for command in [
            &["GET", "other"][..],
            &["SET", "other", "x"],
            &["UNLINK", "other"],
            &["KEYS", "*"],
            &["FLUSHALL"],
            &["FLUSHDB"],
            &["CONFIG", "GET", "*"],
            &["ACL", "LIST"],
            &["DEBUG", "SLEEP", "0"],
            &["PUBLISH", "elsewhere", ""],
        ] {
            let answer = run(&redis, user, command);
            assert!(answer.starts_with("NOPERM"), "{user} {command:?}: {answer}");
        }
    }
    assert_eq!(redis.get("other").as_deref(), Some(&b"v"[..]));
}

#[tokio::test]
async fn nobody_is_let_in_without_a_password() {
    let redis = server();
    let cache = on(&redis).build().unwrap();
    let fault = cache.health().await.fault.unwrap();
    assert!(!fault.is_empty() && !fault.contains("CHANGE-ME"), "{fault}");
}
