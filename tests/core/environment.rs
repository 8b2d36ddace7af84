//! The environment variables that concern a single server.

use cache_core::{Builder, Cache, ErrorKind, Namespace, Scope, Ttl, minutes, seconds};
use cache_tests::RedisServer;

use crate::setup::{Setup, fill, kind, on_every_setup, text};

fn vars(variables: &[(&str, &str)]) -> Result<Builder, cache_core::Error> {
    with(Cache::builder(), variables)
}

fn with(builder: Builder, variables: &[(&str, &str)]) -> Result<Builder, cache_core::Error> {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    builder.from_vars(variables.iter().map(owned))
}

#[tokio::test]
async fn without_a_url_it_is_memory() {
    let cache = vars(&[]).unwrap().build().unwrap();
    assert_eq!(cache.health().await.store, "memory");
    let cache = vars(&[("REDIS_URL", "")]).unwrap().build().unwrap();
    assert_eq!(cache.health().await.store, "memory");
    assert!(cache.is_enabled());
}

#[tokio::test]
async fn a_url_prefix_and_ttls_are_taken_over() {
    let redis = RedisServer::start();
    let url = redis.url();
    let cache = vars(&[
        ("REDIS_URL", &url),
        ("REDIS_CACHE_PREFIX", "shop"),
        ("REDIS_DEFAULT_TTL", "120"),
        ("CACHE_TTL", "7"),
        ("SEARCH_CACHE_TTL", "60"),
        ("AI_RESPONSES_CACHE_TTL", "30"),
        ("REDIS_MAX_CONNECTIONS", "2"),
        ("REDIS_MIN_CONNECTIONS", "9"),
        ("REDIS_CONNECTION_TIMEOUT", "1"),
    ])
    .unwrap()
    .operation_budget(seconds(10))
    .build()
    .unwrap();
    cache.set("search", "q", "v").await.unwrap();
    assert!(redis.get("shop:search:v1:q").is_some());
    for (namespace, ttl) in [("search", 60), ("ai-responses", 30), ("other", 120)] {
        let found = cache.namespace(namespace).default_ttl().unwrap();
        assert_eq!(found, Ttl::After(seconds(ttl)), "{namespace}");
    }
    assert_eq!(cache.health().await.store, "redis");
}

#[tokio::test]
async fn the_other_names_of_the_default_ttl() {
    for (variables, expected) in [
        (&[("CACHE_TTL", "7")][..], 7),
        (&[("CACHE_DEFAULT_TTL", "8"), ("CACHE_TTL", "7")][..], 8),
        (&[("REDIS_DEFAULT_TTL", "9"), ("CACHE_DEFAULT_TTL", "8")][..], 9),
        (&[][..], 3600),
    ] {
        let cache = vars(variables).unwrap().build().unwrap();
        let ttl = cache.namespace("any").default_ttl().unwrap();
        assert_eq!(ttl, Ttl::After(seconds(expected)), "{variables:?}");
    }
}

#[tokio::test]
async fn what_code_says_beats_the_environment_in_any_order() {
    let variables = [
        ("REDIS_URL", "redis://127.0.0.1:1"),
        ("REDIS_CACHE_PREFIX", "shop"),
        ("REDIS_DEFAULT_TTL", "120"),
        ("SEARCH_CACHE_TTL", "60"),
        ("ENABLE_CACHING", "false"),
    ];
    let code = |builder: Builder| {
        builder
            .memory()
            .enabled(true)
            .default_ttl(minutes(3))
            .namespace(Namespace::new("search").ttl(minutes(4)))
    };
    let before = with(code(Cache::builder()), &variables).unwrap().build().unwrap();
    let after = code(vars(&variables).unwrap()).build().unwrap();
    for cache in [before, after] {
        assert_eq!(cache.health().await.store, "memory");
        assert!(cache.is_enabled());
        assert_eq!(cache.namespace("any").default_ttl().unwrap(), Ttl::After(minutes(3)));
        assert_eq!(cache.namespace("search").default_ttl().unwrap(), Ttl::After(minutes(4)));
    }
}

#[tokio::test]
async fn a_user_and_a_password_of_their_own() {
    let redis = RedisServer::builder().password("s3cret").start();
    let url = format!("redis://127.0.0.1:{}", redis.port());
    let build = |variables: &[(&str, &str)]| {
        vars(variables).unwrap().operation_budget(seconds(10)).build().unwrap()
    };
    let cache = build(&[("REDIS_URL", &url), ("REDIS_PASSWORD", "s3cret")]);
    cache.set("users", "1", "v").await.unwrap();
    redis.command(&["ACL", "SETUSER", "app", "on", ">pw", "~*", "+@all"]);
    let cache = build(&[("REDIS_URL", &url), ("REDIS_USERNAME", "app"), ("REDIS_PASSWORD", "pw")]);
    cache.set("users", "1", "v").await.unwrap();
}

#[test]
fn what_is_invalid_is_one_error_that_names_the_variable() {
    for (name, value) in [
        ("REDIS_URL", "http://user:s3cret@host"),
        ("REDIS_URL", "redis://user:s3cret@host:port"),
        ("REDIS_URL", "rediss://user:s3cret@host:port"),
        ("REDIS_URL", "rediss://user:s3cret@host#insecure"),
        ("REDIS_DEFAULT_TTL", "s3cret"),
        ("REDIS_CONNECTION_TIMEOUT", "-1s3cret"),
        ("REDIS_MIN_CONNECTIONS", "s3cret"),
        ("SEARCH_CACHE_TTL", "1.5s3cret"),
        ("ENABLE_CACHING", "s3cret"),
        ("REDIS_ENABLE_COMPRESSION", "s3cret"),
        ("REDIS_COMPRESSION_THRESHOLD", "1k s3cret"),
        ("REDIS_CLUSTER_NODES", "a:1,b:s3cret"),
    ] {
        let error = vars(&[(name, value)]).and_then(Builder::build).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{name}");
        let text = format!("{error} {error:?}");
        assert!(text.contains(name) && !text.contains("s3cret"), "{text}");
    }
    // Not checked where code replaces it.
    assert_eq!(kind(vars(&[("REDIS_CACHE_PREFIX", "a b")]).unwrap().build()), ErrorKind::Config);
    assert!(vars(&[("REDIS_CACHE_PREFIX", "a b")]).unwrap().prefix("ok").build().is_ok());
}

async fn switched_off_every_operation_passes_through(setup: Setup) {
    let filled = setup.cache();
    filled.set("users", "1", "v").await.unwrap();
    let builder = with(setup.builder(), &[("ENABLE_CACHING", "false")]).unwrap();
    let cache = builder.build().unwrap();
    assert!(!cache.is_enabled() && !cache.health().await.enabled);
    cache.set("users", "2", "v").await.unwrap();
    cache.set_many("users", [("3", "v")]).await.unwrap();
    assert_eq!(text(&cache, "users", "1").await, None);
    assert_eq!(text(&cache, "users", "2").await, None);
    let many: Vec<Option<String>> = cache.get_many("users", ["1", "2"]).await.unwrap();
    assert_eq!(many, [None, None]);
    assert!(!cache.exists("users", "1").await.unwrap());
    assert_eq!(cache.ttl("users", "1").await.unwrap(), None);
    assert!(!cache.touch("users", "1", minutes(1)).await.unwrap());
    assert_eq!(cache.delete_pattern("users", "*").await.unwrap(), 0);
    assert_eq!(cache.clear("users").await.unwrap(), 0);
    assert_eq!(cache.clear_all().await.unwrap(), 0);
    cache.delete("users", "1").await.unwrap();
    cache.invalidate(Scope::namespace("users")).await.unwrap();
    assert_eq!(fill(&cache, "users", "1", "first").await, "first");
    assert_eq!(fill(&cache, "users", "1", "second").await, "second");
    assert_eq!(text(&filled, "users", "1").await.as_deref(), Some("v"), "nothing was touched");
    assert_eq!(cache.stats().total(), cache_core::NamespaceStats::default());
}

on_every_setup!(switched_off_every_operation_passes_through);
