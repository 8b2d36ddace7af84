//! GCRA, wherever it is counted.

use std::time::Duration;

use cache_core::RateLimiter;
use cache_core::rate::{Algorithm, Verdict};

use super::{WINDOW, check, stored};
use crate::setup::{Setup, on_every_setup, shared_redis};

on_every_setup!(a_burst_and_then_evenly, what_does_not_fit_takes_nothing, a_burst_of_ones_own,);

/// Lets time pass for what is counted: on Redis, by making it older.
fn pass(setup: &Setup, time: Duration) {
    setup.clock.advance(time);
    if setup.is_on_redis() {
        let time = i64::try_from(time.as_micros()).unwrap();
        for key in stored(setup) {
            move_back(&key, time);
        }
    }
}

fn move_back(key: &str, micros: i64) {
    let value = String::from_utf8(shared_redis().get(key).unwrap()).unwrap();
    let (used, noted) = value.split_once(' ').unwrap();
    let noted = noted.parse::<i64>().unwrap() - micros;
    shared_redis().command(&["SET", key, &format!("{used} {noted}"), "KEEPTTL"]);
}

/// One of ten in ten minutes: one a minute.
async fn ask(limiter: &RateLimiter) -> Verdict {
    check(limiter, "k", 10, 1).await
}

const MINUTE: Duration = Duration::from_secs(60);

/// On Redis, some time has passed since it was measured.
#[track_caller]
fn assert_about(time: Duration, expected: Duration) {
    assert!(time <= expected && time + MINUTE / 2 > expected, "{time:?}, not {expected:?}");
}

async fn a_burst_and_then_evenly(setup: Setup) {
    let limiter = setup.cache().rate_limiter("a").gcra();
    for count in 1..=10 {
        let verdict = ask(&limiter).await;
        assert_eq!((verdict.allowed, verdict.count, verdict.remaining), (true, count, 10 - count));
        assert_about(verdict.resets_in, MINUTE * u32::try_from(count).unwrap());
        assert_eq!((verdict.limit, verdict.algorithm), (10, Algorithm::Gcra));
    }
    let refused = ask(&limiter).await;
    assert_eq!((refused.allowed, refused.remaining), (false, 0));
    assert_about(refused.retry_after.unwrap(), MINUTE);
    assert_about(refused.resets_in, WINDOW);
    for _ in 0..3 {
        pass(&setup, MINUTE);
        assert!(ask(&limiter).await.allowed);
        assert!(!ask(&limiter).await.allowed);
    }
    pass(&setup, 3 * MINUTE);
    let mut allowed = 0;
    while ask(&limiter).await.allowed {
        allowed += 1;
    }
    assert_eq!(allowed, 3);
}

async fn what_does_not_fit_takes_nothing(setup: Setup) {
    let limiter = setup.cache().rate_limiter("a").gcra();
    assert_eq!(check(&limiter, "k", 10, 8).await.remaining, 2);
    let refused = check(&limiter, "k", 10, 5).await;
    assert_eq!((refused.allowed, refused.remaining), (false, 2));
    assert_about(refused.retry_after.unwrap(), 3 * MINUTE);
    assert!(check(&limiter, "k", 10, 2).await.allowed);
    let looked = check(&limiter, "k", 10, 0).await;
    assert_eq!((looked.allowed, looked.remaining), (false, 0));
    assert_eq!(check(&limiter, "k", 10, 11).await.retry_after, None, "it never fits");
}

async fn a_burst_of_ones_own(setup: Setup) {
    let limiter = setup.cache().rate_limiter("a").burst(2);
    let verdicts = [ask(&limiter).await, ask(&limiter).await, ask(&limiter).await];
    assert_eq!(
        verdicts.map(|verdict| (verdict.allowed, verdict.limit)),
        [(true, 2), (true, 2), (false, 2)]
    );
    let larger = setup.cache().rate_limiter("b").burst(20);
    assert_eq!(check(&larger, "k", 10, 20).await.remaining, 0);
    pass(&setup, MINUTE);
    assert!(ask(&larger).await.allowed);
    let least = setup.cache().rate_limiter("c").burst(0);
    assert_eq!([ask(&least).await.allowed, ask(&least).await.allowed], [true, false]);
}

/// It makes nobody wait for it. (A manual clock goes forward only: in memory the unit tests set it
/// back.)
#[tokio::test]
async fn a_server_whose_clock_is_set_back() {
    let setup = Setup::redis();
    let limiter = setup.cache().rate_limiter("a").gcra();
    assert_eq!(check(&limiter, "k", 10, 10).await.remaining, 0);
    // As if it had been counted a day from now.
    let key = stored(&setup).remove(0);
    move_back(&key, -24 * 60 * 60 * 1_000_000);
    let refused = ask(&limiter).await;
    assert!(!refused.allowed, "it gives nothing away");
    assert_about(refused.retry_after.unwrap(), MINUTE);
    pass(&setup, MINUTE);
    assert!(ask(&limiter).await.allowed);
}

#[tokio::test]
async fn idle_keys_end() {
    let setup = Setup::redis();
    let limiter = setup.cache().rate_limiter("a").gcra();
    check(&limiter, "k", 10, 3).await;
    let left = super::kept_for(shared_redis(), &stored(&setup)[0]).unwrap();
    assert_about(Duration::from_millis(left), 3 * MINUTE);
}
