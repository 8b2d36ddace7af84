//! Fixed windows, wherever they are counted.

use std::time::Duration;

use cache_core::rate::{Algorithm, CountedBy, MAX_UNITS, Verdict};
use cache_core::{Scope, hours, seconds};

use super::{WINDOW, allowed, assert_counted, check, stored, windows_end};
use crate::setup::{Setup, on_every_setup};

on_every_setup!(
    a_limit_and_a_window,
    what_is_refused_takes_nothing,
    a_cost_of_zero_only_looks,
    nothing_and_everything,
    windows_of_any_length,
    windows_are_apart_and_limits_are_not,
    a_cache_that_is_off_counts,
    it_is_no_part_of_the_cache,
    of_many_at_once_exactly_the_limit_is_allowed,
);

fn facts(verdict: Verdict) -> (bool, u64, u64, u64) {
    (verdict.allowed, verdict.count, verdict.limit, verdict.remaining)
}

async fn a_limit_and_a_window(setup: Setup) {
    let limiter = setup.cache().rate_limiter("messages");
    let by = if setup.is_memory() { CountedBy::Process } else { CountedBy::Store };
    for count in 1..=3 {
        let verdict = check(&limiter, "whatsapp", 3, 1).await;
        assert_eq!(facts(verdict), (true, count, 3, 3 - count));
        assert_eq!(verdict.retry_after, None);
        assert_eq!(verdict.algorithm, Algorithm::FixedWindow);
        assert!(verdict.resets_in <= WINDOW && verdict.resets_in > WINDOW / 2, "{verdict:?}");
        assert_counted(verdict, by, true);
    }
    for _ in 0..3 {
        let refused = check(&limiter, "whatsapp", 3, 1).await;
        assert_eq!(facts(refused), (false, 3, 3, 0));
        assert_eq!(refused.retry_after, Some(refused.resets_in));
    }
    assert_eq!(allowed(&limiter, "sms", 3, 1).await, [true], "each key for itself");
    windows_end(&setup);
    assert_eq!(facts(check(&limiter, "whatsapp", 3, 1).await), (true, 1, 3, 2));
}

async fn what_is_refused_takes_nothing(setup: Setup) {
    let limiter = setup.cache().rate_limiter("messages");
    assert_eq!(facts(check(&limiter, "k", 10, 7).await), (true, 7, 10, 3));
    let refused = check(&limiter, "k", 10, 4).await;
    assert_eq!(facts(refused), (false, 7, 10, 3));
    assert!(refused.retry_after.is_some());
    assert_eq!(facts(check(&limiter, "k", 10, 3).await), (true, 10, 10, 0));
    let hopeless = check(&limiter, "k", 10, 11).await;
    assert_eq!((facts(hopeless), hopeless.retry_after), ((false, 10, 10, 0), None));
}

async fn a_cost_of_zero_only_looks(setup: Setup) {
    let limiter = setup.cache().rate_limiter("messages");
    assert_eq!(facts(check(&limiter, "k", 1, 0).await), (true, 0, 1, 1));
    if setup.is_on_redis() {
        assert_eq!(stored(&setup), [""; 0], "nothing is kept for it");
    }
    assert_eq!(facts(check(&limiter, "k", 1, 1).await), (true, 1, 1, 0));
    assert_eq!(facts(check(&limiter, "k", 1, 0).await), (false, 1, 1, 0));
}

async fn nothing_and_everything(setup: Setup) {
    let cache = setup.cache();
    for limiter in [cache.rate_limiter("a"), cache.rate_limiter("b").gcra()] {
        let none = check(&limiter, "none", 0, 1).await;
        assert_eq!((facts(none), none.retry_after), ((false, 0, 0, 0), None));
    }
    assert!(!check(&cache.rate_limiter("c").burst(u64::MAX), "none", 0, 1).await.allowed);
    if setup.is_on_redis() {
        assert_eq!(stored(&setup), [""; 0]);
    }
    let limiter = cache.rate_limiter("messages");
    for count in 1..3 {
        let verdict = check(&limiter, "all", u64::MAX, 1).await;
        assert_eq!(facts(verdict), (true, count, MAX_UNITS, MAX_UNITS - count));
    }
    assert!(!check(&limiter, "all", u64::MAX, u64::MAX).await.allowed);
    assert_eq!(check(&limiter, "all", u64::MAX, MAX_UNITS - 2).await.remaining, 0);
    assert!(!check(&limiter, "all", u64::MAX, 1).await.allowed);
    // Of so many, some become free at once.
    for limiter in [limiter.clone().gcra(), limiter.burst(u64::MAX)] {
        assert!(!check(&limiter, "all", u64::MAX, u64::MAX).await.allowed);
        let verdict = check(&limiter, "all", u64::MAX, MAX_UNITS / 2).await;
        assert!(verdict.allowed && verdict.limit == MAX_UNITS, "{verdict:?}");
    }
}

async fn windows_of_any_length(setup: Setup) {
    for limiter in [setup.cache().rate_limiter("a"), setup.cache().rate_limiter("b").gcra()] {
        // As one of a millisecond.
        let short = limiter.check("k", 5, Duration::ZERO).await;
        assert!(short.allowed && short.resets_in <= Duration::from_millis(1), "{short:?}");
        for (n, window) in [Duration::MAX, hours(u64::MAX)].into_iter().enumerate() {
            let (key, count) = ("long", n as u64 + 1);
            let verdict = limiter.check(key, 5, window).await;
            assert!(verdict.allowed && verdict.confirmed && verdict.count == count, "{verdict:?}");
            assert!(verdict.resets_in > hours(24 * 365), "{verdict:?}");
        }
    }
}

async fn windows_are_apart_and_limits_are_not(setup: Setup) {
    let limiter = setup.cache().rate_limiter("messages");
    assert_eq!(allowed(&limiter, "k", 2, 3).await, [true, true, false]);
    assert!(limiter.check("k", 2, seconds(1)).await.allowed, "another window");
    assert!(limiter.clone().gcra().check("k", 2, WINDOW).await.allowed, "another way to count");
    assert_eq!(facts(check(&limiter, "k", 3, 1).await), (true, 3, 3, 0), "a limit that was raised");
    let lowered = check(&limiter, "k", 1, 1).await;
    assert_eq!((lowered.allowed, lowered.remaining), (false, 0));
}

/// It protects what the cache does not.
async fn a_cache_that_is_off_counts(setup: Setup) {
    let cache = setup.builder().enabled(false).build().unwrap();
    assert_eq!(allowed(&cache.rate_limiter("a"), "k", 1, 2).await, [true, false]);
    assert_eq!(allowed(&setup.cache().rate_limiter("a"), "k", 1, 1).await, [setup.is_memory()]);
}

async fn it_is_no_part_of_the_cache(setup: Setup) {
    let cache = setup.cache();
    cache.set("rate", "k", "v").await.unwrap();
    let limiter = cache.rate_limiter("v1");
    let before = cache.stats();
    assert_eq!(allowed(&limiter, "k", 1, 2).await, [true, false]);
    assert_eq!(cache.stats(), before);
    cache.invalidate(Scope::everything()).await.unwrap();
    cache.clear("rate").await.unwrap();
    cache.clear_all().await.unwrap();
    assert_eq!(allowed(&limiter, "k", 1, 1).await, [false]);
}

async fn of_many_at_once_exactly_the_limit_is_allowed(setup: Setup) {
    for limiter in [setup.cache().rate_limiter("a"), setup.cache().rate_limiter("b").gcra()] {
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..50 {
            let limiter = limiter.clone();
            tasks.spawn(async move {
                let mut allowed = 0;
                for _ in 0..10 {
                    let verdict = check(&limiter, "k", 123, 1).await;
                    assert!(verdict.confirmed, "{verdict:?}");
                    allowed += u64::from(verdict.allowed);
                }
                allowed
            });
        }
        let allowed: u64 = tasks.join_all().await.into_iter().sum();
        // Of ten minutes a few seconds may have passed.
        let refilled = if setup.is_on_redis() { 2 } else { 0 };
        assert!((123..=123 + refilled).contains(&allowed), "{allowed}");
    }
}

/// On threads, where the ones of a runtime might take turns.
#[test]
fn of_many_threads_exactly_the_limit_is_allowed() {
    let setup = Setup::memory();
    for limiter in [setup.cache().rate_limiter("a"), setup.cache().rate_limiter("b").gcra()] {
        let count = || {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let checks = async {
                let mut allowed = 0;
                for n in 0..2_000 {
                    let key = if n % 2 == 0 { "even" } else { "odd" };
                    allowed += u64::from(limiter.check(key, 1_234, WINDOW).await.allowed);
                }
                allowed
            };
            runtime.block_on(checks)
        };
        let allowed: u64 = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(count)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(allowed, 2 * 1_234);
    }
}
