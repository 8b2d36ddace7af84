//! What is under a limiter's key and is not the limiter's: from another program, or a server whose
//! clock was set.

use std::time::Duration;

use cache_core::rate::CountedBy;
use cache_core::{Cache, minutes};

use super::{WINDOW, assert_counted, check, kept_for};
use crate::setup::{Setup, shared_redis};

const KEY: &str = "rate:w600000:a:k";
const GCRA_KEY: &str = "rate:g600000:a:k";

fn set_up() -> (Cache, String, String) {
    let setup = Setup::redis();
    let key = |key| format!("{}:{key}", setup.prefix);
    (setup.cache(), key(KEY), key(GCRA_KEY))
}

fn left(key: &str) -> Duration {
    Duration::from_millis(kept_for(shared_redis(), key).expect("it ends"))
}

#[tokio::test]
async fn what_is_no_counter_is_counted_anew_and_ends() {
    let (cache, key, gcra_key) = set_up();
    let (limiter, gcra) = (cache.rate_limiter("a"), cache.rate_limiter("a").gcra());
    for junk in ["", "junk", "-5", "1.5", "nan", "inf", "1e300", "1 2 3", "\u{e9}", "- -", "nan 5"]
    {
        shared_redis().command(&["SET", &key, junk]);
        shared_redis().command(&["SET", &gcra_key, junk]);
        for (limiter, key) in [(&limiter, &key), (&gcra, &gcra_key)] {
            let verdict = check(limiter, "k", 3, 1).await;
            assert_counted(verdict, CountedBy::Store, true);
            assert_eq!((verdict.allowed, verdict.count), (true, 1), "{junk:?}");
            assert!(left(key) <= WINDOW);
        }
    }
}

/// Pinned: it was counted in this process, for as long as the key lived.
#[tokio::test]
async fn what_is_no_text_at_all_is_counted_anew_too() {
    let (cache, key, gcra_key) = set_up();
    for (limiter, key) in
        [(cache.rate_limiter("a"), key), (cache.rate_limiter("a").gcra(), gcra_key)]
    {
        shared_redis().command(&["LPUSH", &key, "x"]);
        let verdict = check(&limiter, "k", 3, 1).await;
        assert_counted(verdict, CountedBy::Store, true);
        assert_eq!((verdict.allowed, verdict.count), (true, 1));
        assert!(left(&key) <= WINDOW);
    }
    assert_counted(check(&cache.rate_limiter("b"), "k", 3, 1).await, CountedBy::Store, true);
}

/// A counter never stays behind without an end, nor with one that is further away than a window.
#[tokio::test]
async fn a_counter_ends_with_its_window_whatever_was_done_to_it() {
    let (cache, key, _) = set_up();
    let limiter = cache.rate_limiter("a");
    for spoil in [&["PERSIST"][..], &["PEXPIRE", "99999999999"]] {
        for limit in [5, 1] {
            check(&limiter, "k", 5, 1).await;
            let command = [&spoil[..1], &[&*key], &spoil[1..]].concat();
            shared_redis().command(&command);
            let verdict = check(&limiter, "k", limit, 1).await;
            assert_eq!(verdict.allowed, limit == 5, "it goes on counting");
            assert!(left(&key) <= WINDOW && left(&key) + minutes(1) > WINDOW);
            assert!(verdict.resets_in <= WINDOW, "{verdict:?}");
        }
        shared_redis().command(&["DEL", &key]);
    }
}
