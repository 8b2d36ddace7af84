//! Rules that say what an application's events invalidate.

use cache_core::{
    Cache, Consumed, ErrorKind, Invalidated, InvalidationStats, Invalidations, Key, Scope, Tag,
};
use cache_tests::RedisServer;

use crate::setup::{Setup, at, kind, on_every_setup, text};
use crate::several_scopes::told;

struct AgentRunCompleted {
    agent: u32,
    workspace: Option<&'static str>,
}

struct WorkspaceDeleted(&'static str);

struct NobodyCares;

const DONE: AgentRunCompleted = AgentRunCompleted { agent: 7, workspace: Some("ws1") };

fn rules(cache: &Cache) -> Invalidations {
    Invalidations::builder(cache)
        .scopes(|event: &AgentRunCompleted| [Tag::new(format!("agent:{}", event.agent))])
        .pattern("exec", "exec:dashboard:{workspace}:*", |event: &AgentRunCompleted, hole| {
            (hole == "workspace").then(|| event.workspace.map(str::to_owned)).flatten()
        })
        .unwrap()
        .scopes(|WorkspaceDeleted(workspace): &WorkspaceDeleted| {
            [Scope::workspace(workspace), Scope::key("names", *workspace)]
        })
        .build()
}

const EXEC: [&str; 4] = [
    "exec:dashboard:ws1:today",
    "exec:dashboard:ws1:week:2",
    "exec:dashboard:ws2:today",
    "exec:dashboard:*:today",
];

/// One entry for each thing that an event may end.
async fn fill(cache: &Cache) {
    cache.set("runs", "of 7", "v").tag("agent:7").await.unwrap();
    cache.set("runs", "of 8", "v").tag("agent:8").await.unwrap();
    for key in EXEC {
        cache.set("exec", key, "v").await.unwrap();
    }
    cache.set("pages", Key::workspace("ws1").segment("1"), "v").await.unwrap();
    cache.set("names", "ws1", "v").await.unwrap();
}

/// Which of them are gone.
async fn gone(cache: &Cache) -> Vec<&'static str> {
    let mut gone = Vec::new();
    let exec = EXEC.map(|key| ("exec", key, Key::from(key)));
    let others = [
        ("runs", "of 7", Key::from("of 7")),
        ("runs", "of 8", Key::from("of 8")),
        ("pages", "page", Key::workspace("ws1").segment("1")),
        ("names", "name", Key::from("ws1")),
    ];
    for (namespace, name, key) in exec.into_iter().chain(others) {
        if cache.get::<String>(namespace, key).await.unwrap().is_none() {
            gone.push(name);
        }
    }
    gone
}

async fn events_end_what_their_rules_say(setup: Setup) {
    let cache = setup.cache();
    let rules = rules(&cache);
    fill(&cache).await;
    assert_eq!(rules.publish(&DONE).await.unwrap(), Invalidated::Complete);
    assert_eq!(gone(&cache).await, [EXEC[0], EXEC[1], "of 7"]);
    fill(&cache).await;
    assert_eq!(rules.publish(&WorkspaceDeleted("ws1")).await.unwrap(), Invalidated::Complete);
    assert_eq!(gone(&cache).await, ["page", "name"]);
    // All that one event ends is one call.
    let counted = InvalidationStats { complete: 2, ..InvalidationStats::default() };
    assert_eq!(cache.stats().invalidations, counted);

    fill(&cache).await;
    assert!(rules.covers::<WorkspaceDeleted>() && !rules.covers::<NobodyCares>());
    assert_eq!(rules.publish(&NobodyCares).await.unwrap(), Invalidated::Complete);
    assert_eq!(gone(&cache).await, [""; 0]);
}

/// What an event holds is a literal, and a hole that it has no value for never widens.
async fn values_are_literals(setup: Setup) {
    let cache = setup.cache();
    let rules = rules(&cache);
    fill(&cache).await;
    let event = AgentRunCompleted { agent: 9, workspace: Some("*") };
    rules.publish(&event).await.unwrap();
    assert_eq!(gone(&cache).await, [EXEC[3]]);
    let event = AgentRunCompleted { agent: 7, workspace: None };
    assert_eq!(kind(rules.publish(&event).await), ErrorKind::Config);
    // The other rule of the same event holds all the same.
    assert_eq!(gone(&cache).await, [EXEC[3], "of 7"]);
}
on_every_setup!(events_end_what_their_rules_say, values_are_literals);

#[tokio::test]
async fn rules_that_can_not_be_are_refused() {
    let cache = Setup::memory().cache();
    let refused = |namespace: &str, pattern: &str| {
        let rule = |_: &NobodyCares, _: &str| None;
        kind(Invalidations::builder(&cache).pattern(namespace, pattern, rule))
    };
    for pattern in ["", "*", "a{b}", "a*b"] {
        assert_eq!(refused("exec", pattern), ErrorKind::Config, "{pattern}");
    }
    assert_eq!(refused(&"n".repeat(65), "a:*"), ErrorKind::Config);
}

#[tokio::test]
async fn a_consumer_goes_on_after_events_that_fail() {
    let cache = Setup::memory().cache();
    let rules = rules(&cache);
    fill(&cache).await;
    let (sender, receiver) = tokio::sync::mpsc::channel(8);
    let consumer = tokio::spawn(async move { rules.consume(receiver).await });
    let broken = AgentRunCompleted { agent: 8, workspace: None };
    for event in [broken, DONE] {
        sender.send(event).await.unwrap_or_else(|_| panic!("it listens"));
    }
    drop(sender);
    let expected = Consumed { events: 2, queued: 0, failed: 1 };
    assert_eq!(consumer.await.unwrap(), expected);
    assert_eq!(gone(&cache).await, [EXEC[0], EXEC[1], "of 7", "of 8"]);
}

#[tokio::test]
async fn events_during_an_outage_are_queued() {
    let redis = RedisServer::start();
    let cache = at(&redis.url()).operation_budget(cache_core::seconds(1)).build().unwrap();
    let rules = rules(&cache);
    fill(&cache).await;
    redis.stop();
    let (sender, events) = tokio::sync::mpsc::channel(1);
    assert!(sender.send(DONE).await.is_ok());
    drop(sender);
    let consumed = rules.consume(events).await;
    assert_eq!(consumed, Consumed { events: 1, queued: 1, failed: 0 });
    redis.resume();
    told(&cache).await;
    let elsewhere = at(&redis.url()).l1(false).build().unwrap();
    assert_eq!(text(&elsewhere, "runs", "of 7").await, None);
    assert!(text(&elsewhere, "runs", "of 8").await.is_some());
}
