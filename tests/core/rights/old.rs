//! Redis before version 7, and servers that speak RESP2 only, as a filter before ours plays them.

use cache_core::Ability::{Identity, Lengthening, Scripts, ServerTime, Tracking, Transactions};
use cache_core::store::{RedisStore, Store, WriteBatch};
use cache_core::{Cache, Clock, Deadline, days, hours, seconds};
use cache_tests::command_filter::Command;
use cache_tests::{CommandFilter, RedisServer};

use super::{LEAST_RIGHTS, add_user, missing, work};
use crate::setup::{at, options};

/// What Redis 6.2 answers to what it does not know, and over RESP2 only.
fn as_redis_6_2(command: &Command) -> Option<String> {
    if command.is("HELLO") {
        return Some("-ERR unknown command `HELLO`, with args beginning with: ".to_owned());
    }
    if command.is("INFO") && command.has("server") {
        let text = "redis_version:6.2.14\r\nrun_id:0123456789\r\n";
        return Some(format!("${}\r\n{text}", text.len()));
    }
    if (command.is("PEXPIRE") || command.is("EXPIRE")) && command.len() != 3 {
        return Some("-ERR wrong number of arguments for 'pexpire' command".to_owned());
    }
    let both = command.is("SET") && command.has("NX") && command.has("GET");
    both.then(|| "-ERR syntax error".to_owned())
}

fn url(filter: &CommandFilter) -> String {
    format!("redis://127.0.0.1:{}", filter.port())
}

#[tokio::test]
async fn redis_6_2_does_everything() {
    let redis = RedisServer::start();
    let old = CommandFilter::start(redis.port(), as_redis_6_2);
    work::everything(|| at(&url(&old))).await;
    let cache = at(&url(&old)).l1(false).build().unwrap();
    assert_eq!(missing(&cache).await, [Tracking, Lengthening]);
}

/// Pinned: generations died with the first of their entries, since nobody could lengthen their lives.
#[tokio::test]
async fn lives_are_lengthened_there_too() {
    let redis = RedisServer::start();
    let old = CommandFilter::start(redis.port(), as_redis_6_2);
    let cache = at(&url(&old)).l1(false).build().unwrap();
    cache.set("users", "1", "v").ttl(hours(1)).await.unwrap();
    let left = || redis.command(&["PTTL", "coldcopy:gen:n:users"]).int().unwrap();
    let thirty_days = i64::try_from(days(30).as_millis()).unwrap();
    assert!(left() < thirty_days);
    cache.set("users", "2", "v").ttl(days(30)).await.unwrap();
    assert!(left() >= thirty_days - 60_000, "{}", left());
    cache.set("users", "3", "v").ttl(hours(1)).await.unwrap();
    assert!(left() >= thirty_days - 60_000, "it is not shortened: {}", left());
    let refused = old.commands().into_iter().filter(|c| c.is("PEXPIRE") && c.len() != 3);
    assert_eq!(refused.count(), 0, "what is known to be refused is not asked for");
}

/// Pinned: what was left of a write that only lengthens lives was a pipeline without commands, which
/// failed as if Redis were away.
#[tokio::test]
async fn a_write_may_only_lengthen_lives_there_too() {
    let redis = RedisServer::start();
    let old = CommandFilter::start(redis.port(), as_redis_6_2);
    let store = RedisStore::new(&options(&url(&old)), Clock::system()).unwrap();
    redis.command(&["SET", "key", "v", "PX", "1000"]);
    for _ in 0..5 {
        let extend = [("key", 60_000), ("none", 60_000)];
        let batch = WriteBatch { extend: &extend, ..WriteBatch::default() };
        store.write(batch, Deadline::after(seconds(10))).await.unwrap();
    }
    assert!(redis.command(&["PTTL", "key"]).int().unwrap() > 50_000);
    assert_eq!(redis.keys("*"), ["key"]);
}

/// By the clock of this machine, which no server has set.
fn unix_now() -> u64 {
    Clock::system().now()
}

/// Of a user who may not ask for the time, by a server whose clock is an hour ahead.
async fn clock_beside(stream: Option<&'static str>) -> (Cache, Clock) {
    let redis = RedisServer::start();
    add_user(&redis, "least", LEAST_RIGHTS);
    let filter = CommandFilter::start(redis.port(), move |command| {
        if command.is("XADD") {
            return Some(stream.map_or_else(
                || {
                    let id = format!("{}-0", unix_now() + 3_600_000);
                    format!("${}\r\n{id}", id.len())
                },
                ToOwned::to_owned,
            ));
        }
        None
    });
    let clock = Clock::system();
    let options = options(&url(&filter)).credentials(Some("least"), Some("pw"));
    let builder = at(&url(&filter)).redis(options).clock(clock.clone());
    let cache = builder.l1(false).build().unwrap();
    let expected = [Scripts, Transactions, ServerTime, Identity];
    assert_eq!(missing(&cache).await, expected);
    assert_eq!(redis.keys("*"), [""; 0], "nothing is left of it");
    (cache, clock)
}

async fn instead_of_the_time(cache: &Cache) -> &'static str {
    let missing = cache.health().await.missing_abilities;
    missing.iter().find(|missing| missing.ability == ServerTime).unwrap().instead
}

#[tokio::test]
async fn where_time_is_refused_a_stream_entry_tells_it() {
    let (cache, clock) = clock_beside(None).await;
    assert!(instead_of_the_time(&cache).await.contains("stream"));
    let ahead = clock.now().abs_diff(unix_now());
    assert!(ahead.abs_diff(3_600_000) < 60_000, "{ahead}");
}

#[tokio::test]
async fn where_that_is_refused_too_this_machine_does() {
    let (cache, clock) =
        clock_beside(Some("-NOPERM no permissions to run the 'xadd' command")).await;
    assert!(instead_of_the_time(&cache).await.contains("this machine"));
    let ahead = clock.now().abs_diff(unix_now());
    assert!(ahead < 60_000, "{ahead}");
}
