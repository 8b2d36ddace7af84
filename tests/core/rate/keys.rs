//! What keys are called in Redis, and that none of them can be another.

use std::collections::BTreeSet;
use std::time::Duration;

use cache_core::Key;

use super::{WINDOW, allowed, check, kept_for, stored};
use crate::setup::{Setup, on_every_setup, shared_redis};

on_every_setup!(whatever_is_typed_in_is_a_key_of_its_own, names_are_apart);

const HOSTILE: [&str; 16] = [
    "",
    ":",
    "::",
    "*",
    "?",
    "[a]",
    "{a}",
    "\\",
    "%",
    "%3A",
    "a b",
    "a\r\nFLUSHALL\r\n",
    "\0",
    "\u{e9}",
    "-",
    "~",
];

async fn whatever_is_typed_in_is_a_key_of_its_own(setup: Setup) {
    let limiter = setup.cache().rate_limiter("a");
    let long = "x".repeat(100_000);
    let keys = HOSTILE.into_iter().map(Key::from).chain([
        Key::from_segments([":"]),
        Key::workspace("-"),
        Key::from_segments::<&str>([]),
        Key::from(&format!("{long}1")),
        Key::from(&format!("{long}2")),
    ]);
    let mut asked = 0;
    for key in keys {
        // `-` and the shared partition are one key, if one likes; nothing else is.
        assert!(limiter.check(&key, 1, WINDOW).await.allowed, "{key:?}");
        assert!(!limiter.check(&key, 1, WINDOW).await.allowed, "{key:?}");
        asked += 1;
    }
    if setup.is_on_redis() {
        let stored = stored(&setup);
        assert_eq!(stored.len(), asked);
        for key in stored {
            assert!(key.len() <= 512 && key.bytes().all(|byte| (0x20..0x7f).contains(&byte)));
            assert!(!key.contains(['*', '?', '[', ']', '{', '}', '\\']), "{key}");
            let left = Duration::from_millis(kept_for(shared_redis(), &key).unwrap());
            assert!(left <= WINDOW && left > WINDOW / 2, "{key}: {left:?}");
        }
    }
}

async fn names_are_apart(setup: Setup) {
    let cache = setup.cache();
    for name in HOSTILE {
        assert_eq!(allowed(&cache.rate_limiter(name), "k", 1, 2).await, [true, false], "{name:?}");
    }
    // A colon in a name is no colon between a name and a key.
    assert!(check(&cache.rate_limiter("a"), "b:c", 1, 1).await.allowed);
    assert!(check(&cache.rate_limiter("a:b"), "c", 1, 1).await.allowed);
}

#[tokio::test]
async fn as_they_are_called_in_redis() {
    let setup = Setup::redis();
    let cache = setup.cache();
    check(&cache.rate_limiter("api"), "ws1:42", 9, 1).await;
    check(&cache.rate_limiter("api").gcra(), "ws1:42", 9, 1).await;
    let key = Key::workspace("ws:1");
    cache.rate_limiter("a:b").check(key, 9, Duration::from_secs(1)).await;
    let prefix = &setup.prefix;
    let expected = [
        format!("{prefix}:rate:g600000:api:ws1:42"),
        format!("{prefix}:rate:w1000:a%3Ab:ws%3A1"),
        format!("{prefix}:rate:w600000:api:ws1:42"),
    ];
    assert_eq!(BTreeSet::from_iter(stored(&setup)), BTreeSet::from(expected.clone()));
    assert_eq!(shared_redis().get(&expected[2]).unwrap(), b"1");
}
