//! What a cache tells of what happens: what was invalidated, how it ended, and the breaker.

use std::time::Duration;

use cache_core::{
    BreakerState, Cache, Event, EventScope, Events, InvalidationOutcome, Key, Namespace, Pattern,
    Scope, ScopeKind, Tag, Template,
};
use cache_tests::{FaultProxy, Mode, RedisServer};

use crate::recovery::{broken, healed};
use crate::setup::{PATIENCE, Setup, on_every_setup, options};

on_every_setup!(
    every_invalidation_is_told_with_what_it_was_about,
    sweeps_tell_how_many_and_dry_runs_nothing,
);

async fn next(events: &mut Events) -> Event {
    tokio::time::timeout(PATIENCE, events.next()).await.expect("it is told").expect("a cache")
}

/// Scopes as text, the outcome, and whether it was soft.
async fn invalidated(events: &mut Events) -> (Vec<EventScope>, InvalidationOutcome, bool) {
    loop {
        match next(events).await {
            Event::Invalidated { scopes, outcome, soft, more: 0, .. } => {
                return (scopes, outcome, soft);
            }
            Event::Breaker { .. } => {}
            other => panic!("{other:?}"),
        }
    }
}

fn texts(scopes: &[EventScope]) -> Vec<String> {
    scopes.iter().map(ToString::to_string).collect()
}

async fn every_invalidation_is_told_with_what_it_was_about(setup: Setup) {
    let prefix = &setup.prefix;
    let cache = setup.builder().namespace(Namespace::new("teams").by_workspace()).build().unwrap();
    let template = Template::parse("{workspace_id}:reports:*").unwrap();
    cache.namespace("api").declare(&template).unwrap();
    let mut events = cache.events();
    let all: [Scope; 7] = [
        Scope::everything(),
        Scope::namespace("users"),
        Scope::workspace("ws:1"),
        Tag::new("t").into(),
        Tag::in_workspace("ws1", "t").into(),
        Scope::pattern("api", Pattern::new("ws1:reports:*")),
        Scope::key("users", "42"),
    ];
    cache.invalidate(all).await.unwrap();
    let (scopes, outcome, soft) = invalidated(&mut events).await;
    assert_eq!((outcome, soft), (InvalidationOutcome::Complete, false));
    assert_eq!(
        texts(&scopes),
        [
            "everything",
            "namespace users",
            "workspace ws:1",
            "tag t",
            "tag t",
            "pattern ws1:reports:* of api",
            &format!("key {prefix}:users:v1:42 of users"),
        ]
    );
    let workspaces: Vec<_> = scopes.iter().map(|scope| scope.workspace.as_deref()).collect();
    assert_eq!(workspaces, [None, None, Some("ws:1"), None, Some("ws1"), Some("ws1"), None]);
    cache.invalidate(Tag::new("t")).soft().await.unwrap();
    assert!(invalidated(&mut events).await.2);
    cache.delete("teams", Key::from("ws1:7")).await.unwrap();
    let (scopes, ..) = invalidated(&mut events).await;
    assert_eq!((scopes[0].kind, scopes[0].workspace.as_deref()), (ScopeKind::Key, Some("ws1")));
    // A first segment is a workspace only where it is said to be one.
    cache.delete("users", "ws1:7").await.unwrap();
    assert_eq!(invalidated(&mut events).await.0[0].workspace, None);
}

async fn sweeps_tell_how_many_and_dry_runs_nothing(setup: Setup) {
    let cache = setup.cache();
    for n in 0..3 {
        cache.set("users", format!("old_{n}"), "v").await.unwrap();
    }
    let mut events = cache.events();
    assert_eq!(cache.delete_pattern("users", "old_*").dry_run().await.unwrap(), 3);
    assert_eq!(cache.delete_pattern("users", "old_*").await.unwrap(), 3);
    let Event::Invalidated { scopes, removed, outcome, .. } = next(&mut events).await else {
        panic!("a sweep");
    };
    assert_eq!(texts(&scopes), ["pattern old_* of users"]);
    assert_eq!((removed, outcome), (Some(3), InvalidationOutcome::Complete));
    let version = cache.bump_version("users").await.unwrap();
    match next(&mut events).await {
        Event::VersionBumped { namespace, version: told, .. } => {
            assert_eq!((namespace.as_str(), told), ("users", version));
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn of_many_scopes_some_are_named_and_the_rest_is_counted() {
    let cache = Setup::memory().cache();
    let mut events = cache.events();
    let keys: Vec<Scope> = (0..100).map(|n| Scope::key("users", n.to_string())).collect();
    cache.invalidate(keys).await.unwrap();
    let Event::Invalidated { scopes, more, .. } = next(&mut events).await else { panic!("one") };
    assert_eq!((scopes.len(), scopes.len() + more), (32, 100));
}

#[tokio::test]
async fn the_breaker_tells_when_it_opens_and_closes_and_what_could_not_be_done_then() {
    let redis = RedisServer::start();
    let proxy = FaultProxy::start(redis.port()).await;
    let url = redis.url_through(proxy.port());
    let cache = Cache::builder().redis(options(&url)).build().unwrap();
    let mut events = cache.events();
    proxy.set(Mode::Blackhole).await;
    broken(&cache).await;
    // Probes in vain are told, too.
    let why = async |events: &mut Events, wanted: BreakerState| loop {
        match next(events).await {
            Event::Breaker { state, reason, .. } if state == wanted => return reason,
            _ => {}
        }
    };
    let reason = why(&mut events, BreakerState::Open).await;
    assert!(reason.is_some_and(|why| !why.is_empty()));
    assert_ne!(cache.gauges().breaker, Some(BreakerState::Closed));
    cache.invalidate(Tag::new("t")).await.unwrap();
    let (scopes, outcome, _) = invalidated(&mut events).await;
    assert_eq!((texts(&scopes), outcome), (vec!["tag t".to_owned()], InvalidationOutcome::Queued));
    proxy.set(Mode::Pass).await;
    healed(&cache).await;
    assert_eq!(why(&mut events, BreakerState::Closed).await, None);
    assert_eq!(cache.gauges().breaker, Some(BreakerState::Closed));
}

#[tokio::test]
async fn it_ends_with_the_cache_and_keeps_it_from_nothing() {
    let cache = Setup::memory().cache();
    let mut events = cache.events();
    drop(cache);
    assert_eq!(events.next().await, None);
    let quiet = tokio::time::timeout(Duration::from_millis(1), events.next()).await;
    assert_eq!(quiet, Ok(None));
}
