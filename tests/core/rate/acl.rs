//! What is sent to Redis: one round trip for each check; and what is done where scripts are refused.

use std::collections::BTreeMap;

use cache_core::rate::{Algorithm, CountedBy};
use cache_core::{Cache, RateLimiter};
use cache_tests::RedisServer;

use super::{WINDOW, allowed, assert_counted, check, kept_for};
use crate::setup::{on, options};

const CHECKS: u64 = 20;

/// What was called, but for what a connection begins with.
fn calls(redis: &RedisServer, names: &[&str]) -> BTreeMap<String, u64> {
    let calls = names.iter().map(|name| ((*name).to_owned(), redis.calls(name)));
    calls.filter(|(_, calls)| *calls > 0).collect()
}

/// How many commands clients have sent, whatever they are.
fn commands(redis: &RedisServer) -> u64 {
    redis.info("stats", "total_commands_processed").unwrap().parse().unwrap()
}

fn user(redis: &RedisServer, name: &str, rights: &[&str]) -> Cache {
    let set = ["ACL", "SETUSER", name, "on", ">pw", "~coldcopy:*", "+@all"];
    assert!(!redis.command(&[&set[..], rights].concat()).is_error());
    // Each connection asks what is allowed.
    let options = options(&redis.url()).credentials(Some(name), Some("pw")).max_connections(1);
    on(redis).redis(options).l1(false).build().unwrap()
}

#[tokio::test]
async fn one_script_for_each_check_allowed_or_refused() {
    let redis = RedisServer::start();
    let cache = on(&redis).l1(false).build().unwrap();
    for limiter in [cache.rate_limiter("a"), cache.rate_limiter("a").gcra()] {
        check(&limiter, "k", 5, 1).await;
        redis.reset_stats();
        for _ in 0..CHECKS {
            check(&limiter, "k", 5, 1).await;
        }
        let sent = calls(&redis, &["evalsha", "eval", "script|load", "multi", "exec"]);
        assert_eq!(sent, BTreeMap::from([("evalsha".to_owned(), CHECKS)]));
        // The server has forgotten it.
        redis.command(&["SCRIPT", "FLUSH"]);
        assert_counted(check(&limiter, "k", 5, 1).await, CountedBy::Store, true);
        assert_eq!(redis.calls("eval"), 1);
        check(&limiter, "k", 5, 1).await;
        assert_eq!(redis.calls("eval"), 1, "it knows it again");
    }
}

/// In a transaction: a counter that ends, in one round trip.
async fn counts_in_fixed_windows(redis: &RedisServer, limiter: &RateLimiter) {
    for count in 1..=3 {
        let verdict = check(limiter, "k", 3, 1).await;
        assert_counted(verdict, CountedBy::Store, true);
        assert_eq!((verdict.allowed, verdict.count, verdict.remaining), (true, count, 3 - count));
        assert_eq!(verdict.algorithm, Algorithm::FixedWindow);
    }
    let refused = check(limiter, "k", 3, 1).await;
    assert_eq!((refused.allowed, refused.count, refused.remaining), (false, 3, 0));
    assert!(refused.retry_after.is_some_and(|wait| wait <= WINDOW));
    assert!(!check(limiter, "k", 3, 0).await.allowed, "looks");
    assert!(check(limiter, "other", 3, 0).await.allowed, "looks");
    let hopeless = check(limiter, "other", 3, 4).await;
    assert_eq!((hopeless.allowed, hopeless.count, hopeless.retry_after), (false, 0, None));
    assert_eq!(check(limiter, "other", 3, 3).await.remaining, 0, "the hopeless took nothing");
    let keys = redis.keys("coldcopy:rate:*");
    assert_eq!(keys.len(), 2, "{keys:?}");
    for key in keys {
        assert!(kept_for(redis, &key).is_some_and(|left| u128::from(left) <= WINDOW.as_millis()));
        redis.command(&["DEL", &key]);
    }
}

#[tokio::test]
async fn where_scripts_are_refused() {
    let redis = RedisServer::start();
    let cache = user(&redis, "scriptless", &["-@scripting"]);
    let limiter = cache.rate_limiter("a");
    counts_in_fixed_windows(&redis, &limiter).await;
    counts_in_fixed_windows(&redis, &limiter.clone().gcra()).await;
    redis.reset_stats();
    for _ in 0..CHECKS {
        check(&limiter, "k", 5, 1).await;
    }
    let each = ["multi", "set", "incrby", "pttl", "exec"];
    let expected = each.map(|name| (name.to_owned(), CHECKS));
    assert_eq!(calls(&redis, &[&each[..], &["evalsha", "eval"]].concat()), expected.into());
    assert_eq!(redis.info("errorstats", "errorstat_NOPERM"), None, "it does not ask each time");
}

#[tokio::test]
async fn where_scripts_and_transactions_are_refused() {
    let redis = RedisServer::start();
    let cache = user(&redis, "plain", &["-@scripting", "-@transaction"]);
    counts_in_fixed_windows(&redis, &cache.rate_limiter("a")).await;
    // What somebody has taken its end from does not count for ever.
    let limiter = cache.rate_limiter("a");
    check(&limiter, "k", 5, 1).await;
    let key = redis.keys("coldcopy:rate:*").pop().unwrap();
    redis.command(&["PERSIST", &key]);
    check(&limiter, "k", 5, 1).await;
    assert!(kept_for(&redis, &key).is_some());
}

#[tokio::test]
async fn scripts_that_are_allowed_later_are_used() {
    let redis = RedisServer::start();
    let cache = user(&redis, "late", &["-@scripting"]);
    let limiter = cache.rate_limiter("a").gcra();
    assert_eq!(check(&limiter, "k", 9_999, 1).await.algorithm, Algorithm::FixedWindow);
    redis.command(&["ACL", "SETUSER", "late", "+@scripting"]);
    let mut checks = 1;
    while check(&limiter, "k", 9_999, 1).await.algorithm == Algorithm::FixedWindow {
        checks += 1;
        assert!(checks < 2_000, "it never tries again");
    }
    assert!(checks > 1_000, "it tries too often: {checks}");
}

#[tokio::test]
async fn who_may_not_count_at_all() {
    let redis = RedisServer::start();
    for (name, rights) in [("reader", &["-@write"][..]), ("elsewhere", &["resetkeys", "~other:*"])]
    {
        let cache = user(&redis, name, rights);
        for limiter in [cache.rate_limiter("a"), cache.rate_limiter("a").gcra()] {
            assert_counted(check(&limiter, "k", 1, 1).await, CountedBy::Process, false);
            assert_eq!(allowed(&limiter, "k", 1, 1).await, [false]);
        }
        assert!(cache.health().await.reachable, "it is refused, not away");
    }
    assert_eq!(redis.keys("coldcopy:rate:*"), [""; 0]);
}

/// Whatever it consists of: what one check has sent is there with one reading of the socket.
#[tokio::test]
async fn a_check_is_one_request() {
    let redis = RedisServer::start();
    let reads =
        || -> u64 { redis.info("stats", "total_reads_processed").unwrap().parse().unwrap() };
    for rights in [&[][..], &["-@scripting"]] {
        let cache = user(&redis, "counted", rights);
        let limiter = cache.rate_limiter("a");
        check(&limiter, "k", 5, 1).await;
        let (before, sent) = (reads(), commands(&redis));
        for _ in 0..CHECKS {
            check(&limiter, "k", 5, 1).await;
        }
        assert!(commands(&redis) > sent);
        // With the connections of these questions, and of the cache's own sign of life.
        assert!(reads() - before < CHECKS + 10, "{}", reads() - before);
        redis.flushall();
    }
}
