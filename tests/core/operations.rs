//! Every operation on every kind of setup.

use std::time::Duration;

use cache_core::{Ttl, hours, minutes, seconds};

use crate::setup::{Setup, fill, on_every_setup, on_restricted_setups, settled, text};

async fn what_is_set_is_got(setup: Setup) {
    let cache = setup.cache();
    assert_eq!(text(&cache, "users", "1").await, None);
    cache.set("users", "1", "Ada").await.unwrap();
    assert_eq!(text(&cache, "users", "1").await.as_deref(), Some("Ada"));
    cache.set("users", "1", "Grace").await.unwrap();
    assert_eq!(text(&cache, "users", "1").await.as_deref(), Some("Grace"));
    assert_eq!(text(&cache, "users", "2").await, None);
    assert_eq!(text(&cache, "others", "1").await, None, "namespaces are apart");
}

async fn what_is_deleted_is_gone(setup: Setup) {
    let cache = setup.cache();
    cache.set("users", "1", "Ada").await.unwrap();
    cache.set("users", "2", "Grace").await.unwrap();
    cache.delete("users", "1").await.unwrap();
    assert_eq!(text(&cache, "users", "1").await, None);
    assert!(!cache.exists("users", "1").await.unwrap());
    assert_eq!(cache.ttl("users", "1").await.unwrap(), None);
    assert!(!cache.touch("users", "1", hours(1)).await.unwrap());
    assert_eq!(text(&cache, "users", "2").await.as_deref(), Some("Grace"));
    cache.delete("users", "never there").await.unwrap();
    // A tombstone is in nobody's way.
    cache.set("users", "1", "Ada again").await.unwrap();
    assert_eq!(text(&cache, "users", "1").await.as_deref(), Some("Ada again"));
    cache.delete("users", "1").await.unwrap();
    assert_eq!(fill(&cache, "users", "1", "filled").await, "filled");
    settled(&cache).await;
    assert_eq!(text(&cache, "users", "1").await.as_deref(), Some("filled"));
}

async fn an_entry_lives_as_long_as_its_ttl(setup: Setup) {
    let cache = setup.cache();
    cache.set("users", "1", "Ada").ttl(minutes(5)).await.unwrap();
    assert!(cache.exists("users", "1").await.unwrap());
    assert_eq!(cache.ttl("users", "1").await.unwrap(), Some(Ttl::After(minutes(5))));
    setup.clock.advance(Duration::from_millis(5 * 60_000 - 1));
    assert_eq!(text(&cache, "users", "1").await.as_deref(), Some("Ada"));
    let left = Some(Ttl::After(Duration::from_millis(1)));
    assert_eq!(cache.ttl("users", "1").await.unwrap(), left);
    setup.clock.advance(Duration::from_millis(1));
    assert_eq!(text(&cache, "users", "1").await, None);
    assert!(!cache.exists("users", "1").await.unwrap());
    assert_eq!(cache.ttl("users", "1").await.unwrap(), None);
}

async fn an_entry_may_never_expire(setup: Setup) {
    let cache = setup.cache();
    cache.set("users", "1", "Ada").ttl(Ttl::Never).await.unwrap();
    assert_eq!(cache.ttl("users", "1").await.unwrap(), Some(Ttl::Never));
    setup.clock.advance(hours(24 * 365 * 100));
    assert_eq!(text(&cache, "users", "1").await.as_deref(), Some("Ada"));
}

/// Pinned: Redis refuses times beyond what it can add to its clock.
async fn an_absurd_ttl_is_a_long_one_and_one_of_zero_is_none(setup: Setup) {
    let cache = setup.cache();
    for ms in [1 << 62, 1 << 63, u64::MAX - 1, u64::MAX] {
        cache.set("users", "1", "Ada").ttl(Duration::from_millis(ms)).await.unwrap();
        assert_eq!(text(&cache, "users", "1").await.as_deref(), Some("Ada"), "{ms}");
    }
    cache.set("users", "1", "Ada").ttl(Duration::MAX).await.unwrap();
    assert_eq!(text(&cache, "users", "1").await.as_deref(), Some("Ada"));
    cache.set("users", "1", "Ada").ttl(Duration::ZERO).await.unwrap();
    assert_eq!(text(&cache, "users", "1").await, None);
}

async fn a_touch_gives_a_new_lifetime_from_now(setup: Setup) {
    let cache = setup.cache();
    cache.set("users", "1", "Ada").ttl(minutes(1)).await.unwrap();
    setup.clock.advance(seconds(59));
    assert!(cache.touch("users", "1", minutes(10)).await.unwrap());
    setup.clock.advance(minutes(9));
    assert_eq!(text(&cache, "users", "1").await.as_deref(), Some("Ada"));
    assert_eq!(cache.ttl("users", "1").await.unwrap(), Some(Ttl::After(minutes(1))));
    assert!(cache.touch("users", "1", seconds(1)).await.unwrap(), "a shorter one too");
    setup.clock.advance(seconds(1));
    assert_eq!(text(&cache, "users", "1").await, None);
    assert!(!cache.touch("users", "1", minutes(1)).await.unwrap(), "expired is expired");
    assert!(!cache.touch("users", "none", minutes(1)).await.unwrap());
}

async fn a_computed_value_is_computed_once(setup: Setup) {
    let cache = setup.cache();
    assert_eq!(fill(&cache, "users", "1", "first").await, "first");
    settled(&cache).await;
    assert_eq!(fill(&cache, "users", "1", "second").await, "first");
    assert_eq!(text(&cache, "users", "1").await.as_deref(), Some("first"));
    setup.clock.advance(hours(1));
    assert_eq!(fill(&cache, "users", "1", "third").await, "third", "the default TTL is an hour");
}

async fn an_error_is_given_to_the_caller_and_not_kept(setup: Setup) {
    let cache = setup.cache();
    let failed = cache
        .get_or_compute("users", "1", async || Err::<String, _>(std::io::Error::other("no")))
        .await;
    let message = failed.unwrap_err().to_string();
    assert_eq!(message, "the value could not be computed: no");
    assert_eq!(fill(&cache, "users", "1", "second").await, "second");
}

async fn a_pattern_deletes_what_matches_and_says_how_many(setup: Setup) {
    let cache = setup.cache();
    for key in ["ws1:campaigns:1", "ws1:campaigns:2", "ws1:campaigns-archive:1", "ws12:campaigns:1"]
    {
        cache.set("api", key, key).await.unwrap();
    }
    cache.set("other", "ws1:campaigns:1", "kept").await.unwrap();
    assert_eq!(cache.delete_pattern("api", "ws1:campaigns:*").await.unwrap(), 2);
    assert_eq!(cache.delete_pattern("api", "ws1:campaigns:*").await.unwrap(), 0);
    assert_eq!(text(&cache, "api", "ws1:campaigns:1").await, None);
    for (namespace, key) in [
        ("api", "ws1:campaigns-archive:1"),
        ("api", "ws12:campaigns:1"),
        ("other", "ws1:campaigns:1"),
    ] {
        assert!(text(&cache, namespace, key).await.is_some(), "{namespace} {key}");
    }
    assert_eq!(cache.delete_pattern("api", "*:1").await.unwrap(), 2);
}

async fn what_users_put_into_keys_is_a_literal_in_patterns(setup: Setup) {
    let cache = setup.cache();
    for key in ["a*", "ab", "a?", "a[b]", "a\\", "a%2A"] {
        let key = cache_core::Key::from_segments([key]);
        cache.set("api", key, "value").await.unwrap();
    }
    assert_eq!(cache.delete_pattern("api", "a[b]").await.unwrap(), 1);
    assert_eq!(cache.delete_pattern("api", "a\\").await.unwrap(), 1);
    assert_eq!(cache.delete_pattern("api", "a?").await.unwrap(), 1, "`*`, `?`, `%2A` are longer");
    assert_eq!(cache.delete_pattern("api", "*").await.unwrap(), 3);
}

/// Pinned: in Redis, the tombstone that a delete leaves counted as an entry; in memory, so did
/// what had expired.
async fn a_pattern_counts_neither_the_deleted_nor_the_expired(setup: Setup) {
    let cache = setup.cache();
    for key in ["a:1", "a:2", "a:3"] {
        cache.set("api", key, key).await.unwrap();
    }
    cache.set("api", "a:4", "brief").ttl(Duration::from_millis(1)).await.unwrap();
    setup.clock.advance(Duration::from_millis(1));
    text(&cache, "api", "none").await;
    cache.delete("api", "a:2").await.unwrap();
    cache_tests::eventually(crate::setup::PATIENCE, "it expires in Redis too", || {
        crate::setup::shared_redis().get(&format!("{}:api:v1:a:4", setup.prefix)).is_none()
    })
    .await;
    assert_eq!(cache.delete_pattern("api", "a:*").await.unwrap(), 2);
}

async fn a_namespace_is_cleared_and_the_others_are_not(setup: Setup) {
    let cache = setup.cache();
    for key in ["1", "2", "3"] {
        cache.set("users", key, key).await.unwrap();
        cache.set("teams", key, key).await.unwrap();
    }
    assert_eq!(cache.clear("users").await.unwrap(), 3);
    assert_eq!(text(&cache, "users", "1").await, None);
    assert_eq!(text(&cache, "teams", "1").await.as_deref(), Some("1"));
    assert_eq!(cache.clear("users").await.unwrap(), 0);
    cache.set("users", "1", "new").await.unwrap();
    assert_eq!(text(&cache, "users", "1").await.as_deref(), Some("new"));
    assert_eq!(cache.clear_all().await.unwrap(), 4);
    assert_eq!(text(&cache, "teams", "1").await, None);
    cache.set("teams", "1", "new").await.unwrap();
    assert_eq!(text(&cache, "teams", "1").await.as_deref(), Some("new"));
}

async fn ten_thousand_entries_are_cleared(setup: Setup) {
    let cache = setup.cache();
    for chunk in 0..10 {
        let items = (0..1_000).map(|n| (format!("{chunk}:{n}"), n));
        cache.set_many("users", items).await.unwrap();
    }
    assert_eq!(cache.delete_pattern("users", "3:*").await.unwrap(), 1_000);
    assert_eq!(cache.clear("users").await.unwrap(), 9_000);
}

on_every_setup!(
    and on a cluster:
    what_is_set_is_got,
    what_is_deleted_is_gone,
    an_entry_lives_as_long_as_its_ttl,
    an_entry_may_never_expire,
    an_absurd_ttl_is_a_long_one_and_one_of_zero_is_none,
    a_touch_gives_a_new_lifetime_from_now,
    a_computed_value_is_computed_once,
    an_error_is_given_to_the_caller_and_not_kept,
    a_pattern_deletes_what_matches_and_says_how_many,
    what_users_put_into_keys_is_a_literal_in_patterns,
    a_pattern_counts_neither_the_deleted_nor_the_expired,
    a_namespace_is_cleared_and_the_others_are_not,
    ten_thousand_entries_are_cleared,
);

on_restricted_setups!(
    what_is_set_is_got,
    what_is_deleted_is_gone,
    an_entry_lives_as_long_as_its_ttl,
    a_touch_gives_a_new_lifetime_from_now,
    a_computed_value_is_computed_once,
    a_pattern_deletes_what_matches_and_says_how_many,
    what_users_put_into_keys_is_a_literal_in_patterns,
    a_namespace_is_cleared_and_the_others_are_not,
);
