//! Rate limits: what is counted, where, by how many, and what is said when nobody can be asked.

mod acl;
mod counting;
mod faults;
mod gcra;
mod keys;
mod odd_values;
mod processes;
mod shared;
mod worker;

use std::time::Duration;

use cache_core::rate::{CountedBy, Verdict};
use cache_core::{Cache, Deadline, RateLimiter, minutes};
use cache_tests::RedisServer;

use crate::setup::{PATIENCE, Setup, shared_redis};

const WINDOW: Duration = minutes(10);

/// Longer than any test.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The keys that limiters have in the store.
fn stored(setup: &Setup) -> Vec<String> {
    shared_redis().keys(&format!("{}:rate:*", setup.prefix))
}

/// Of a key on this server, how long it is still kept.
fn kept_for(redis: &RedisServer, key: &str) -> Option<u64> {
    redis.command(&["PTTL", key]).int().and_then(|left| u64::try_from(left).ok())
}

/// Lets the windows of all keys end.
fn windows_end(setup: &Setup) {
    setup.clock.advance(WINDOW);
    if setup.is_on_redis() {
        for key in stored(setup) {
            shared_redis().command(&["PEXPIRE", &key, "0"]);
        }
    }
}

/// Which of so many checks in a row are allowed.
async fn allowed(limiter: &RateLimiter, key: &str, limit: u64, checks: usize) -> Vec<bool> {
    let mut allowed = Vec::new();
    for _ in 0..checks {
        allowed.push(limiter.check(key, limit, WINDOW).await.allowed);
    }
    allowed
}

/// One check that has all the time there is.
async fn check(limiter: &RateLimiter, key: &str, limit: u64, cost: u64) -> Verdict {
    let check = limiter.check(key, limit, WINDOW).cost(cost);
    check.deadline(Deadline::after(PATIENCE)).await
}

/// Waits until the store counts again.
async fn confirmed(cache: &Cache) {
    let limiter = cache.rate_limiter("healing");
    cache_tests::wait::eventually_some(PATIENCE, "the store counts", async || {
        limiter.check("1", 1_000_000, WINDOW).await.confirmed.then_some(())
    })
    .await;
}

#[track_caller]
fn assert_counted(verdict: Verdict, by: CountedBy, confirmed: bool) {
    assert_eq!((verdict.counted_by, verdict.confirmed), (by, confirmed), "{verdict:?}");
}
