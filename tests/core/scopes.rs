//! Invalidating a namespace, a workspace, a tag, a pattern, everything.

use cache_core::{Invalidated, Key, Namespace, Pattern, Scope, Tag, Template, seconds};

use crate::setup::{Setup, fill, on_every_setup, on_shared_setups, settled, text};

async fn a_namespace_is_invalidated_whole(setup: Setup) {
    let cache = setup.cache();
    for namespace in ["users", "teams"] {
        cache.set_many(namespace, (0..50).map(|n| (n.to_string(), "v"))).await.unwrap();
    }
    let done = cache.invalidate(Scope::namespace("users")).await.unwrap();
    assert_eq!(done, Invalidated::Complete);
    for n in 0..50 {
        assert_eq!(text(&cache, "users", &n.to_string()).await, None);
    }
    assert!(text(&cache, "teams", "7").await.is_some());
    // What is written afterwards stays, also what was there before under the same key.
    cache.set("users", "7", "new").await.unwrap();
    assert_eq!(text(&cache, "users", "7").await.as_deref(), Some("new"));
    assert_eq!(fill(&cache, "users", "8", "new").await, "new");
    settled(&cache).await;
    assert_eq!(text(&cache, "users", "8").await.as_deref(), Some("new"));
    let users = Namespace::new("users");
    cache.invalidate(&users).await.unwrap();
    assert_eq!(text(&cache, "users", "7").await, None);
}

async fn everything_is_invalidated(setup: Setup) {
    let cache = setup.cache();
    for namespace in ["users", "teams"] {
        cache.set(namespace, "1", "v").await.unwrap();
    }
    cache.invalidate(Scope::everything()).await.unwrap();
    assert_eq!(text(&cache, "users", "1").await, None);
    assert_eq!(text(&cache, "teams", "1").await, None);
    cache.set("users", "1", "new").await.unwrap();
    assert_eq!(text(&cache, "users", "1").await.as_deref(), Some("new"));
}

async fn a_tag_is_invalidated_in_all_namespaces(setup: Setup) {
    let cache = setup.cache();
    cache.set("users", "1", "v").tag("user:1").tag("team:7").await.unwrap();
    cache.set("pages", "profile", "v").tag("user:1").await.unwrap();
    cache.set("users", "2", "v").tag("user:2").tag("team:7").await.unwrap();
    cache.set("users", "3", "v").await.unwrap();
    cache.invalidate(Tag::new("user:1")).await.unwrap();
    assert_eq!(text(&cache, "users", "1").await, None);
    assert_eq!(text(&cache, "pages", "profile").await, None);
    assert!(text(&cache, "users", "2").await.is_some());
    assert!(text(&cache, "users", "3").await.is_some());
    cache.set("users", "1", "new").tag("user:1").await.unwrap();
    cache.invalidate(Tag::new("team:7")).await.unwrap();
    assert_eq!(text(&cache, "users", "1").await.as_deref(), Some("new"), "no more of the team");
    assert_eq!(text(&cache, "users", "2").await, None);
    cache.invalidate(Tag::new("nobody has it")).await.unwrap();
}

async fn odd_tags_are_kept_apart(setup: Setup) {
    let cache = setup.cache();
    let tags = ["", ":", "*", "a:b", "a", "ü", "\0", &"x".repeat(3_000)];
    for (n, tag) in tags.iter().enumerate() {
        cache.set("users", n.to_string(), "v").tag(*tag).await.unwrap();
    }
    for (n, tag) in tags.iter().enumerate() {
        cache.invalidate(Tag::new(*tag)).await.unwrap();
        assert_eq!(text(&cache, "users", &n.to_string()).await, None, "{tag:.20}");
        let next = (n + 1).to_string();
        assert_eq!(text(&cache, "users", &next).await.is_some(), n + 1 < tags.len());
    }
}

/// Pinned: a tag longer than its length field was reported as an outage.
async fn a_tag_that_can_not_be_written_is_an_error(setup: Setup) {
    let cache = setup.cache();
    let set = cache.set("users", "1", "v").tag("x".repeat(70_000)).await;
    if !setup.is_memory() {
        assert_eq!(set.unwrap_err().kind(), cache_core::ErrorKind::Encode);
        assert_eq!(text(&cache, "users", "1").await, None);
    }
}

async fn a_declared_pattern_is_invalidated_at_once(setup: Setup) {
    let cache = setup.cache();
    let api = cache.namespace("api");
    cache.set("api", "ws1:campaigns:0", "from before").await.unwrap();
    let template = Template::parse("{workspace_id}:campaigns:*").unwrap();
    assert!(api.declare(&template).unwrap());
    assert_eq!(text(&cache, "api", "ws1:campaigns:0").await, None, "it may not be covered");
    for key in ["ws1:campaigns:1", "ws1:campaigns:2", "ws1:users:1", "ws2:campaigns:1"] {
        cache.set("api", key, "v").await.unwrap();
    }
    cache.invalidate(Scope::pattern("api", Pattern::new("ws1:campaigns:*"))).await.unwrap();
    assert_eq!(text(&cache, "api", "ws1:campaigns:1").await, None);
    assert_eq!(text(&cache, "api", "ws1:campaigns:2").await, None);
    assert!(text(&cache, "api", "ws1:users:1").await.is_some());
    assert!(text(&cache, "api", "ws2:campaigns:1").await.is_some());
    if !setup.is_memory() {
        let keys = crate::setup::shared_redis().keys(&format!("{}:gen:m:*", setup.prefix));
        assert_eq!(keys, [format!("{}:gen:m:api:ws2:campaigns:*", setup.prefix)], "no sweep");
    }
    cache.set("api", "ws1:campaigns:1", "new").await.unwrap();
    assert_eq!(text(&cache, "api", "ws1:campaigns:1").await.as_deref(), Some("new"));
}

async fn a_pattern_that_was_not_declared_is_swept(setup: Setup) {
    let cache = setup.cache();
    cache.set("api", "ws1:campaigns:1", "v").await.unwrap();
    cache.set("api", "ws1:users:1", "v").await.unwrap();
    let done = cache.invalidate(Scope::pattern("api", Pattern::new("ws1:campaigns:*"))).await;
    assert_eq!(done.unwrap(), Invalidated::Complete);
    assert_eq!(text(&cache, "api", "ws1:campaigns:1").await, None);
    assert!(text(&cache, "api", "ws1:users:1").await.is_some());
}

async fn patterns_are_declared_up_to_a_limit(setup: Setup) {
    let api = setup.cache().namespace("api");
    for n in 0..256 {
        let template = Template::parse(&format!("{{workspace}}:t{n}:*")).unwrap();
        assert!(api.declare(&template).unwrap(), "{n}");
        assert!(api.declare(&template).unwrap(), "a second time is no second one");
    }
    assert!(!api.declare(&Template::parse("{workspace}:more:*").unwrap()).unwrap());
}

on_every_setup!(
    a_namespace_is_invalidated_whole,
    everything_is_invalidated,
    a_tag_is_invalidated_in_all_namespaces,
    odd_tags_are_kept_apart,
    a_tag_that_can_not_be_written_is_an_error,
    a_declared_pattern_is_invalidated_at_once,
    a_pattern_that_was_not_declared_is_swept,
    patterns_are_declared_up_to_a_limit,
);

/// What is invalidated on one instance is so on the others: at once if they ask the store, after
/// the stated time (5 s) if they answer from memory.
async fn other_instances_follow(setup: Setup) {
    let setup = setup.deaf();
    let (here, there) = (setup.cache(), setup.cache());
    let template = Template::parse("{workspace_id}:campaigns:*").unwrap();
    for cache in [&here, &there] {
        cache.namespace("api").declare(&template).unwrap();
    }
    let key = || Key::workspace("ws1").segment("campaigns").segment("1");
    let scopes = [
        Scope::namespace("api"),
        Scope::workspace("ws1"),
        Scope::everything(),
        Tag::new("tag").into(),
        Scope::pattern("api", Pattern::new("ws1:campaigns:*")),
    ];
    for scope in scopes {
        here.set("api", key(), "v").tag("tag").await.unwrap();
        for cache in [&here, &there] {
            assert!(cache.get::<String>("api", key()).await.unwrap().is_some(), "{scope:?}");
        }
        here.invalidate(scope.clone()).await.unwrap();
        assert_eq!(here.get::<String>("api", key()).await.unwrap(), None, "{scope:?}");
        setup.clock.advance(seconds(5));
        assert_eq!(there.get::<String>("api", key()).await.unwrap(), None, "{scope:?}");
    }
}

async fn a_lost_generation_is_a_miss_and_never_stale(setup: Setup) {
    let setup = setup.deaf();
    let (here, there) = (setup.cache(), setup.cache());
    here.set("users", "1", "v").await.unwrap();
    assert!(text(&there, "users", "1").await.is_some());
    // As eviction does; `there` is told nothing.
    here.invalidate(Scope::namespace("users")).await.unwrap();
    setup.clock.advance(seconds(5));
    assert_eq!(text(&there, "users", "1").await, None);
    assert_eq!(fill(&there, "users", "1", "new").await, "new");
    settled(&there).await;
    assert_eq!(text(&here, "users", "1").await.as_deref(), Some("new"));
}

on_shared_setups!(other_instances_follow, a_lost_generation_is_a_miss_and_never_stale);
