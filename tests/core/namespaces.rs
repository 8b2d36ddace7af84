//! Options of namespaces, and what keys look like in Redis.

use cache_core::{ErrorKind, Key, Namespace, Scope, Ttl, hours, minutes, seconds};
use cache_tests::RedisServer;

use crate::setup::{Setup, fill, kind, on, on_every_setup, settled, text};

async fn a_namespace_has_its_own_ttl(setup: Setup) {
    let cache = setup
        .builder()
        .default_ttl(minutes(30))
        .namespace(Namespace::new("analytics").ttl(minutes(5)))
        .namespace(Namespace::new("constants").never_expires())
        .build()
        .unwrap();
    for (namespace, ttl) in [
        ("analytics", Ttl::After(minutes(5))),
        ("constants", Ttl::Never),
        ("undeclared", Ttl::After(minutes(30))),
    ] {
        cache.set(namespace, "set", "value").await.unwrap();
        cache.set_many(namespace, [("many", "value")]).await.unwrap();
        fill(&cache, namespace, "filled", "value").await;
        settled(&cache).await;
        for key in ["set", "many", "filled"] {
            assert_eq!(cache.ttl(namespace, key).await.unwrap(), Some(ttl), "{namespace} {key}");
        }
        assert_eq!(cache.namespace(namespace).default_ttl().unwrap(), ttl);
    }
}

async fn a_new_version_leaves_the_entries_of_the_old_one_behind(setup: Setup) {
    let version = |n| setup.builder().namespace(Namespace::new("search").version(n)).build();
    let (one, two) = (version(1).unwrap(), version(2).unwrap());
    one.set("search", "q", "old shape").await.unwrap();
    assert_eq!(text(&two, "search", "q").await, None);
    two.set("search", "q", "new shape").await.unwrap();
    assert_eq!(text(&one, "search", "q").await.as_deref(), Some("old shape"));
}

async fn a_namespace_has_its_own_limit_of_size(setup: Setup) {
    let small = Namespace::new("small").max_value_size(10);
    let large = Namespace::new("large").max_value_size(3 * 1024 * 1024);
    let cache = setup.builder().namespace(small).namespace(large).build().unwrap();
    cache.set("small", "1", "123456789").await.unwrap();
    assert_eq!(kind(cache.set("small", "1", "1234567890").await), ErrorKind::TooLarge);
    let value = "x".repeat(2 * 1024 * 1024);
    cache.set("large", "1", &value).await.unwrap();
    assert_eq!(text(&cache, "large", "1").await, Some(value));
    assert_eq!(cache.namespace("small").max_value_size(), 10);
}

async fn a_workspace_is_invalidated_in_all_its_namespaces(setup: Setup) {
    let cache = setup
        .builder()
        .namespace(Namespace::new("analytics").by_workspace())
        .namespace(Namespace::new("search").by_workspace())
        .build()
        .unwrap();
    for namespace in ["analytics", "search", "plain"] {
        for workspace in ["ws1", "ws2"] {
            cache.set(namespace, format!("{workspace}:1"), "value").await.unwrap();
        }
    }
    cache.set("plain", Key::workspace("ws1").segment("2"), "value").await.unwrap();
    cache.invalidate(Scope::workspace("ws1")).await.unwrap();
    for namespace in ["analytics", "search"] {
        assert_eq!(text(&cache, namespace, "ws1:1").await, None, "{namespace}");
        assert!(text(&cache, namespace, "ws2:1").await.is_some(), "{namespace}");
    }
    assert!(text(&cache, "plain", "ws1:1").await.is_some(), "its keys name no workspace");
    let in_workspace = Key::workspace("ws1").segment("2");
    assert_eq!(cache.get::<String>("plain", in_workspace).await.unwrap(), None);
}

async fn names_that_can_only_be_mistakes_are_refused(setup: Setup) {
    let cache = setup.cache();
    for name in ["", "gen", &"x".repeat(65)] {
        assert_eq!(kind(cache.set(name, "k", "v").await), ErrorKind::Config);
        assert_eq!(kind(cache.get::<String>(name, "k").await), ErrorKind::Config);
        assert_eq!(fill(&cache, name, "k", "computed").await, "computed");
        assert!(setup.builder().namespace(Namespace::named(name)).build().is_err());
    }
    let twice = setup.builder().namespace(Namespace::new("a")).namespace(Namespace::new("a"));
    assert_eq!(kind(twice.build()), ErrorKind::Config);
    for prefix in ["", "a:b", "{a}", "a*", "ä", &"x".repeat(65)] {
        assert_eq!(kind(setup.builder().prefix(prefix).build()), ErrorKind::Config, "{prefix}");
    }
}

async fn undeclared_namespaces_are_kept_apart_up_to_a_limit(setup: Setup) {
    let cache = setup.cache();
    let mut refused = 0;
    for n in 0..1_030 {
        if cache.namespace(format!("ns{n}")).default_ttl().is_err() {
            refused += 1;
        }
    }
    assert!((1..=10).contains(&refused), "{refused}");
    assert_eq!(kind(cache.get::<u8>("one more", "k").await), ErrorKind::TooManyNamespaces);
}

on_every_setup!(
    a_namespace_has_its_own_ttl,
    a_new_version_leaves_the_entries_of_the_old_one_behind,
    a_namespace_has_its_own_limit_of_size,
    a_workspace_is_invalidated_in_all_its_namespaces,
    names_that_can_only_be_mistakes_are_refused,
    undeclared_namespaces_are_kept_apart_up_to_a_limit,
);

#[tokio::test]
async fn keys_in_redis_look_as_one_expects() {
    let redis = RedisServer::start();
    let search = Namespace::new("search").version(3).by_workspace();
    let cache = on(&redis).namespace(search).build().unwrap();
    cache.set("analytics", "ws1:42", "v").await.unwrap();
    cache.set("search", "ws1:q*", "v").tag("user:1").await.unwrap();
    cache.set("a b", Key::from_segments(["x:y", "{z}"]), "v").await.unwrap();
    assert_eq!(
        redis.keys("*"),
        [
            "coldcopy:a b:v1:x%3Ay:%7Bz%7D",
            "coldcopy:analytics:v1:ws1:42",
            "coldcopy:gen:n:a b",
            "coldcopy:gen:n:analytics",
            "coldcopy:gen:n:search",
            "coldcopy:gen:p",
            "coldcopy:gen:t:user%3A1",
            "coldcopy:gen:w:ws1",
            "coldcopy:search:v3:ws1:q%2A",
        ]
    );
    let left = redis.command(&["PTTL", "coldcopy:analytics:v1:ws1:42"]).int().unwrap();
    assert!((3_500_000..=3_600_000).contains(&left), "{left}");
    // A generation outlives what was filled under it.
    let left = redis.command(&["PTTL", "coldcopy:gen:n:analytics"]).int().unwrap();
    assert!(left > 20 * 3_600_000, "{left}");
}

#[tokio::test]
async fn a_generation_outlives_entries_that_live_long() {
    let redis = RedisServer::start();
    let cache = on(&redis).build().unwrap();
    cache.set("short", "1", "v").await.unwrap();
    let lives = |key: &str| redis.command(&["PTTL", key]).int().unwrap();
    let [before, short] = ["coldcopy:gen:p", "coldcopy:gen:n:short"].map(lives);
    cache.set("long", "1", "v").ttl(hours(24 * 30)).await.unwrap();
    assert!(lives("coldcopy:gen:p") >= lives("coldcopy:long:v1:1"));
    assert!(lives("coldcopy:gen:n:long") >= lives("coldcopy:long:v1:1"));
    assert!(lives("coldcopy:gen:p") > before);
    assert!(lives("coldcopy:gen:n:short") <= short);
    cache.set("forever", "1", "v").ttl(Ttl::Never).await.unwrap();
    assert_eq!(lives("coldcopy:forever:v1:1"), -1);
    assert!(lives("coldcopy:gen:n:forever") > 9 * 365 * 24 * 3_600_000);
    // One that a fill wrote, too.
    let long = Namespace::new("filled").ttl(hours(24 * 60));
    let cache = on(&redis).namespace(long).build().unwrap();
    fill(&cache, "filled", "1", "v").await;
    settled(&cache).await;
    assert!(lives("coldcopy:gen:n:filled") >= lives("coldcopy:filled:v1:1"));
}

#[tokio::test]
async fn long_keys_are_folded_and_stay_distinct() {
    let redis = RedisServer::start();
    let cache = on(&redis).build().unwrap();
    let (a, b) = (format!("{}a", "x".repeat(2_000)), format!("{}b", "x".repeat(2_000)));
    cache.set("long", &a, "a").await.unwrap();
    cache.set("long", &b, "b").await.unwrap();
    let other = on(&redis).build().unwrap();
    assert_eq!(text(&other, "long", &a).await.as_deref(), Some("a"));
    assert_eq!(text(&other, "long", &b).await.as_deref(), Some("b"));
    assert!(redis.keys("*").iter().all(|key| key.len() <= 512));
    assert_eq!(cache.delete_pattern("long", "x*").await.unwrap(), 2);
}

#[tokio::test]
async fn keys_of_other_applications_are_left_alone() {
    let redis = RedisServer::start();
    let others = [
        "coldcopy2:analytics:v1:1",
        "coldcopy",
        "coldcopy:",
        "coldcopy:analytics",
        "coldcopy:analytics:v10:1",
        "coldcopy:analytics2:v1:1",
        "other",
        "xcoldcopy:analytics:v1:1",
    ];
    for key in others {
        redis.command(&["SET", key, "theirs"]);
    }
    let cache = on(&redis).build().unwrap();
    cache.set("analytics", "1", "ours").await.unwrap();
    cache.delete_pattern("analytics", "*").await.unwrap();
    cache.clear("analytics").await.unwrap();
    cache.clear_all().await.unwrap();
    cache.invalidate(Scope::everything()).await.unwrap();
    for key in others {
        assert_eq!(redis.get(key).as_deref(), Some(&b"theirs"[..]), "{key}");
    }
    assert_eq!(redis.keys("*").len(), others.len());
}

/// Pinned: one key under our prefix that is not UTF-8 made every sweep an error.
#[tokio::test]
async fn a_sweep_passes_over_keys_that_are_not_text() {
    let redis = RedisServer::start();
    let cache = on(&redis).build().unwrap();
    cache.set("analytics", "1", "ours").await.unwrap();
    redis.command_bytes(&[b"SET", b"coldcopy:analytics:v1:\xff\xfe", b"theirs"]);
    assert_eq!(cache.delete_pattern("analytics", "*").await.unwrap(), 1);
}

#[tokio::test]
async fn unproven_memory_answers_for_its_own_time_and_never_more_than_a_minute() {
    let setup = Setup::tiered().deaf();
    let cache = setup
        .builder()
        .namespace(Namespace::new("off").l1(false))
        .namespace(Namespace::new("brief").l1_ttl(seconds(2)))
        .namespace(Namespace::new("capped").l1_ttl(hours(1)))
        .build()
        .unwrap();
    let l1_hits = |namespace: &str| cache.stats().namespaces[namespace].l1_hits;
    for (namespace, first, then) in
        [("off", 0, 0), ("brief", 2, 1), ("capped", 60, 1), ("plain", 5, 1)]
    {
        cache.set(namespace, "1", "v").await.unwrap();
        for second in 0..=first {
            assert!(text(&cache, namespace, "1").await.is_some());
            setup.clock.advance(seconds(1));
            assert_eq!(l1_hits(namespace), (second + 1).min(first), "{namespace}");
        }
        // What Redis has answered is in memory again.
        setup.clock.advance(seconds(0));
        text(&cache, namespace, "1").await;
        assert_eq!(l1_hits(namespace), first + then, "{namespace}");
    }
}

#[tokio::test]
async fn memory_answers_no_longer_than_the_entry_lives() {
    let setup = Setup::tiered();
    let (cache, other) = (setup.cache(), setup.cache());
    cache.set("users", "1", "v").ttl(seconds(3)).await.unwrap();
    setup.clock.advance(seconds(2));
    assert!(text(&other, "users", "1").await.is_some());
    setup.clock.advance(seconds(1));
    for cache in [&cache, &other] {
        assert_eq!(text(cache, "users", "1").await, None);
    }
}
