//! What an operator is told: one entry, how many there are, which keys are read most. It agrees with
//! what those get who read.

use cache_core::{
    Cache, Deadline, EntryInfo, ErrorKind, Key, Keyring, Namespace, RedisOptions, Scope, Tag,
    TypedNamespace, minutes, seconds,
};
use cache_tests::RedisServer;

use crate::audit::{listen, said};
use crate::board::declare;
use crate::setup::{Setup, fill, on_every_setup, on_shared_setups, settled, text};

const REPORTS: Namespace = Namespace::new("reports").by_workspace();

on_every_setup!(
    one_entry_is_told_as_it_is,
    it_agrees_with_what_a_reader_gets,
    what_is_not_there_is_not_told,
    entries_are_counted_up_to_a_limit,
    keys_that_are_read_most_are_found_however_they_are_read,
    looking_is_no_read_but_is_audited,
);

on_shared_setups!(what_others_have_done_is_told);

fn soon() -> Deadline {
    Deadline::after(seconds(10))
}

async fn look(cache: &Cache, key: &str) -> Option<EntryInfo> {
    cache.inspect(key, true, soon()).await.unwrap()
}

async fn one_entry_is_told_as_it_is(setup: Setup) {
    let cache = setup.builder().namespace(REPORTS).build().unwrap();
    let now = setup.clock.now();
    let set = cache.set("reports", "ws1:a", "text").ttl(minutes(5)).tag("t:1");
    set.tag(Tag::in_workspace("ws1", "own")).await.unwrap();
    cache.set("users", "1", "Ada").ttl(cache_core::Ttl::Never).await.unwrap();

    let found = look(&cache, &format!("{}:reports:v1:ws1:a", setup.prefix)).await.unwrap();
    assert_eq!((found.namespace.as_str(), found.workspace.as_deref()), ("reports", Some("ws1")));
    assert_eq!((found.times.created, found.times.fresh_until), (now, now + 300_000));
    assert!(found.fresh && found.valid && !found.sensitive);
    assert_eq!(found.in_memory, setup.has_l1());
    assert_eq!(found.in_store, (!setup.is_memory()).then_some(true));
    let tags: Vec<_> = found.tags.iter().map(|t| (&*t.text, t.workspace.as_deref())).collect();
    assert_eq!(tags, [("t:1", None), ("own", Some("ws1"))]);
    assert_eq!(found.json(), Some("text".into()));

    let found = look(&cache, &format!("{}:users:v1:1", setup.prefix)).await.unwrap();
    assert_eq!((found.workspace, found.times.fresh_until), (None, u64::MAX));
    let without = cache.inspect(&format!("{}:users:v1:1", setup.prefix), false, soon()).await;
    assert_eq!(without.unwrap().unwrap().payload, None);
}

/// For each way to end an entry: it is served if and only if it is told to be valid and fresh.
async fn it_agrees_with_what_a_reader_gets(setup: Setup) {
    let cache = setup.builder().namespace(REPORTS).build().unwrap();
    let reports = cache.namespace("reports");
    let pattern = cache_core::Template::parse("{workspace_id}:a:*").unwrap();
    assert!(reports.declare(&pattern).unwrap());
    let key = format!("{}:reports:v1:ws1:a:1", setup.prefix);
    let scopes: [(&str, Scope); 6] = [
        ("key", Scope::key("reports", "ws1:a:1")),
        ("tag", Tag::new("t").into()),
        ("workspace", Scope::workspace("ws1")),
        ("namespace", Scope::namespace("reports")),
        ("everything", Scope::everything()),
        ("pattern", Scope::pattern("reports", "ws1:a:*".into())),
    ];
    for (name, scope) in scopes {
        for soft in [false, true] {
            cache.set("reports", "ws1:a:1", "text").tag("t").ttl(minutes(5)).await.unwrap();
            let found = look(&cache, &key).await.unwrap();
            assert!(found.valid && found.fresh, "{name} before");
            let invalidation = cache.invalidate(scope.clone());
            let done = if soft { invalidation.soft().await } else { invalidation.await };
            assert!(done.unwrap().is_complete());
            let told = look(&cache, &key).await.is_some_and(|found| found.valid && found.fresh);
            assert!(!told, "{name}, soft: {soft}");
            assert_eq!(text(&cache, "reports", "ws1:a:1").await, None, "{name}, soft: {soft}");
        }
    }
    cache.set("reports", "ws1:a:1", "text").ttl(minutes(5)).await.unwrap();
    cache.invalidate(Scope::workspace("ws2")).await.unwrap();
    assert!(look(&cache, &key).await.unwrap().valid, "another's");
    setup.clock.advance(minutes(6));
    let late = look(&cache, &key).await;
    assert!(late.is_none_or(|found| !found.fresh));
}

async fn what_is_not_there_is_not_told(setup: Setup) {
    let cache = setup.cache();
    cache.set("users", "1", "Ada").await.unwrap();
    cache.set("users", "2", "Bob").await.unwrap();
    cache.delete("users", "2").await.unwrap();
    let prefix = &setup.prefix;
    for key in [
        String::new(),
        prefix.clone(),
        format!("{prefix}:users:v1:2"),
        format!("{prefix}:users:v1:3"),
        format!("{prefix}:users:v1:"),
        format!("{prefix}:users:v2:1"),
        format!("{prefix}:users:v11:1"),
        format!("{prefix}:nowhere:v1:1"),
        format!("{prefix}:gen:p"),
        format!("{prefix}:gen:n:users"),
        "other:users:v1:1".to_owned(),
        format!("{prefix}:users:v1:*"),
        "x".repeat(100_000),
    ] {
        assert!(look(&cache, &key).await.is_none(), "{key}");
    }
    assert!(!cache.known_namespaces().contains(&"nowhere".to_owned()));
    if setup.is_on_redis() {
        let other = setup.cache();
        setup.put("users", "1", b"not an envelope");
        assert!(look(&other, &format!("{prefix}:users:v1:1")).await.is_none());
    }
    let version = cache.bump_version("users").await.unwrap();
    assert!(look(&cache, &format!("{prefix}:users:v1:1")).await.is_none());
    cache.set("users", "1", "Ada").await.unwrap();
    assert!(look(&cache, &format!("{prefix}:users:v{version}:1")).await.unwrap().valid);
}

async fn entries_are_counted_up_to_a_limit(setup: Setup) {
    let cache = setup.builder().namespace(REPORTS).build().unwrap();
    for n in 0..30 {
        cache.set("reports", format!("ws1:{n}"), "v").await.unwrap();
        cache.set("reports", format!("ws2:{n}"), "v").await.unwrap();
    }
    cache.set("users", Key::workspace("ws1").segment("profile"), "v").await.unwrap();
    cache.set("users", "ws12:1", "v").await.unwrap();
    settled(&cache).await;
    let count = async |pattern: &str, limit| {
        let found = cache.count("reports", pattern, limit, soon()).await.unwrap();
        (found.entries, found.at_least)
    };
    assert_eq!(count("ws1:*", 1_000).await, (30, false));
    assert_eq!(count("*", 1_000).await, (60, false));
    assert_eq!(count("nothing:*", 1_000).await, (0, false));
    let ws1 = cache.count_workspace("ws1", 1_000, soon()).await.unwrap();
    assert_eq!((ws1.entries, ws1.at_least), (31, false));
    let none = cache.count_workspace("ws3", 1_000, soon()).await.unwrap();
    assert_eq!(none.entries, 0);
    assert_eq!(text(&cache, "reports", "ws1:1").await.as_deref(), Some("v"), "nothing is touched");
    let bad = cache.count("gen", "*", 10, soon()).await;
    assert_eq!(crate::setup::kind(bad), ErrorKind::Config);
}

async fn keys_that_are_read_most_are_found_however_they_are_read(setup: Setup) {
    const TYPED: TypedNamespace<String, String> = TypedNamespace::new(Namespace::new("typed"));
    let cache = setup.cache();
    cache.watch_top_keys();
    let typed = cache.typed(&TYPED);
    cache.set("a", "get", "v").await.unwrap();
    cache.set("a", "many", "v").await.unwrap();
    fill(&cache, "a", "compute", "v").await;
    typed.set(&"typed".to_owned(), &"v".to_owned()).await.unwrap();
    settled(&cache).await;
    let rounds = if setup.has_l1() { 1_000 } else { 400 };
    for _ in 0..rounds {
        text(&cache, "a", "get").await;
        cache.get_many::<String, _>("a", ["many"]).await.unwrap();
        fill(&cache, "a", "compute", "v").await;
        typed.get(&"typed".to_owned()).await.unwrap();
        text(&cache, "a", "a miss").await;
    }
    let mut found: Vec<_> =
        cache.top_keys(10, None, None).keys.into_iter().map(|k| k.key).collect();
    found.sort();
    let all =
        ["a:v1:compute", "a:v1:get", "a:v1:many"].map(|key| format!("{}:{key}", setup.prefix));
    assert_eq!(found[..3], all);
    assert!(found.len() == 4 && found[3].contains(":typed:v1:typed"), "{found:?}");
    assert_eq!(cache.top_keys(10, Some("typed"), None).keys.len(), 1);
    assert!(cache.top_keys(10, None, Some("ws1")).keys.is_empty());
}

async fn looking_is_no_read_but_is_audited(setup: Setup) {
    const PATIENTS: Namespace = Namespace::new("patients").sensitive();
    let ring = Keyring::new(1, [1; 32]);
    let cache = setup.builder().namespace(PATIENTS).keyring(ring).build().unwrap();
    cache.set("patients", "ada", "the record").await.unwrap();
    settled(&cache).await;
    listen();
    let before = cache.stats().namespaces["patients"];
    let found = look(&cache, &format!("{}:patients:v1:ada", setup.prefix)).await.unwrap();
    assert!(found.sensitive && found.payload.is_none());
    let after = cache.stats().namespaces["patients"];
    assert_eq!((after.hits, after.misses), (before.hits, before.misses));
    let looked = said("access");
    assert_eq!(looked.len(), 1, "{looked:?}");
    assert_eq!(looked[0]["operation"], "inspect");
    text(&cache, "patients", "ada").await;
    assert_eq!(said("access")[0]["key_hash"], looked[0]["key_hash"], "the same name");

    cache.watch_top_keys();
    for _ in 0..1_000 {
        text(&cache, "patients", "ada").await;
    }
    let top = cache.top_keys(1, None, None).keys;
    assert!(!top[0].key.contains("ada") && top[0].namespace == "patients", "{top:?}");
}

async fn what_others_have_done_is_told(setup: Setup) {
    let (a, b) = (setup.cache(), setup.cache());
    declare(&a, "{workspace_id}:campaigns:*");
    let key = format!("{}:api:v1:ws1:campaigns:1", setup.prefix);
    fill(&a, "api", "ws1:campaigns:1", "v").await;
    settled(&a).await;
    // What `b` has never heard of before.
    assert!(look(&b, &key).await.is_none(), "of no namespace that it knows");
    text(&b, "api", "ws1:campaigns:1").await;
    assert!(look(&b, &key).await.unwrap().valid);
    let pattern = cache_core::Pattern::new("ws1:campaigns:*");
    a.invalidate(Scope::pattern("api", pattern)).await.unwrap();
    assert!(look(&b, &key).await.is_none_or(|found| !found.valid));
}

#[tokio::test]
async fn while_the_store_is_away_what_is_in_memory_is_told() {
    let redis = RedisServer::start();
    let options = RedisOptions::url(&redis.url()).unwrap();
    let cache = Cache::builder().prefix("p").redis(options).build().unwrap();
    cache.set("users", "1", "Ada").await.unwrap();
    redis.kill();
    let found = cache.inspect("p:users:v1:1", true, soon()).await.unwrap().unwrap();
    assert_eq!((found.in_memory, found.in_store), (true, None));
    assert!(cache.inspect("p:users:v1:2", true, soon()).await.unwrap_err().is_outage());
    assert!(cache.count("users", "*", 10, soon()).await.unwrap_err().is_outage());
    assert_eq!(cache.server_stats().await, None);
}
