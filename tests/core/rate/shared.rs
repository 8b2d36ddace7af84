//! Several caches on one store, as several processes on one Redis.

use cache_core::RateLimiter;

use super::{WINDOW, allowed, check};
use crate::setup::{Setup, on_every_setup, on_shared_setups};

on_shared_setups!(all_who_share_a_store_count_together);
on_every_setup!(handles_of_one_cache_count_together);

async fn all_who_share_a_store_count_together(setup: Setup) {
    for gcra in [false, true] {
        let limiter = |name: &str| {
            let limiter = setup.cache().rate_limiter(name);
            if gcra { limiter.gcra() } else { limiter }
        };
        let limiters = [limiter("a"), limiter("a"), limiter("a")];
        let mut seen = Vec::new();
        for limiter in limiters.iter().cycle().take(8) {
            seen.push(check(limiter, "k", 7, 1).await);
        }
        let allowed: Vec<bool> = seen.iter().map(|verdict| verdict.allowed).collect();
        assert_eq!(allowed, [true, true, true, true, true, true, true, false]);
        let counts: Vec<u64> = seen.iter().map(|verdict| verdict.count).collect();
        assert_eq!(counts, [1, 2, 3, 4, 5, 6, 7, 7]);
        assert!(seen.iter().all(|verdict| verdict.confirmed));
        let elsewhere = crate::setup::unique_prefix();
        let other = setup.builder().prefix(elsewhere).build().unwrap().rate_limiter("a");
        assert!(check(&other, "k", 7, 7).await.allowed, "under another prefix");
    }
}

async fn handles_of_one_cache_count_together(setup: Setup) {
    let cache = setup.cache();
    assert_eq!(allowed(&cache.rate_limiter("default"), "k", 1, 1).await, [true]);
    assert_eq!(allowed(&cache.clone().rate_limiter("default"), "k", 1, 1).await, [false]);
    let limiter = RateLimiter::new(&cache);
    assert!(!limiter.clone().check("k", 1, WINDOW).await.allowed);
}
