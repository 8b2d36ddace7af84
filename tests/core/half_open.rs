//! The three states of the breaker, as they are told; the one probe; and that few operations open it,
//! too.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use cache_core::{BreakerState, Cache, Event, Events};
use cache_tests::{Answer, FakeRedis, RedisServer, eventually};

use crate::recovery::{broken, healed};
use crate::setup::{PATIENCE, options, text};

use BreakerState::{Closed, HalfOpen, Open};

fn hurried(url: &str) -> Cache {
    Cache::builder().prefix("coldcopy").redis(options(url)).l1(false).build().unwrap()
}

/// The states that are told, until it is closed.
async fn until_closed(events: &mut Events) -> Vec<BreakerState> {
    let mut states = Vec::new();
    while states.last() != Some(&Closed) {
        let next = tokio::time::timeout(PATIENCE, events.next()).await.expect("it closes");
        if let Some(Event::Breaker { state, .. }) = next {
            states.push(state);
        }
    }
    states
}

/// Open; for each probe half-open, and open again if it was in vain; at last closed.
#[tokio::test]
async fn each_state_is_told_and_a_probe_stands_between_open_and_closed() {
    let redis = RedisServer::start();
    let cache = hurried(&redis.url());
    healed(&cache).await;
    assert_eq!(cache.health().await.breaker, Some(Closed));
    let mut events = cache.events();
    redis.kill();
    broken(&cache).await;
    assert_ne!(cache.health().await.breaker, Some(Closed));
    // A probe or two in vain.
    tokio::time::sleep(Duration::from_millis(400)).await;
    redis.restart();
    healed(&cache).await;
    let states = until_closed(&mut events).await;
    assert!(states.len() >= 5 && states.len() % 2 == 1, "{states:?}");
    let (last, tries) = states.split_last().unwrap();
    assert_eq!(*last, Closed);
    for pair in tries.chunks(2) {
        assert_eq!(pair, [Open, HalfOpen], "{states:?}");
    }
}

/// However many ask meanwhile.
#[tokio::test]
async fn there_is_one_probe_at_a_time() {
    let redis = RedisServer::start();
    let fake = FakeRedis::before(&redis, |_| Answer::Pass).await;
    let cache = hurried(&fake.url());
    healed(&cache).await;
    let probes = Arc::<AtomicUsize>::default();
    let counted = Arc::clone(&probes);
    fake.script(move |call| {
        if call.name() == "PING" && call.words.len() == 1 {
            counted.fetch_add(1, Ordering::SeqCst);
        }
        if call.is_greeting() { Answer::Pass } else { Answer::Silence }
    });
    broken(&cache).await;
    eventually(PATIENCE, "a probe", || cache.gauges().breaker == Some(HalfOpen)).await;
    let before = probes.load(Ordering::SeqCst);
    while cache.gauges().breaker == Some(HalfOpen) {
        let all: Vec<_> = (0..50)
            .map(|n| {
                let cache = cache.clone();
                tokio::spawn(async move { text(&cache, "users", &n.to_string()).await })
            })
            .collect();
        for one in all {
            assert_eq!(crate::setup::join(one).await, None);
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let during = probes.load(Ordering::SeqCst) - before;
    // That of the watch, which asks now and then, is not told from it here.
    assert!(during <= 2, "{during}");
    fake.script(|_| Answer::Pass);
    healed(&cache).await;
}

/// Pinned: three operations had to wait in vain, however far apart, before nobody waited any more.
#[tokio::test]
async fn one_operation_in_vain_is_enough_if_redis_answers_nothing() {
    let redis = RedisServer::start();
    let cache = hurried(&redis.url());
    healed(&cache).await;
    redis.stop();
    assert_eq!(text(&cache, "users", "1").await, None);
    eventually(PATIENCE, "it opens", || cache.gauges().breaker != Some(Closed)).await;
    redis.resume();
    healed(&cache).await;
}

/// But not if it was that operation's own fault, or the connection's.
#[tokio::test]
async fn and_is_not_if_redis_answers_others() {
    let redis = RedisServer::start();
    let fake = FakeRedis::before(&redis, |_| Answer::Pass).await;
    let cache = hurried(&fake.url());
    healed(&cache).await;
    let asked = fake.calls("PING");
    fake.script(|call| if call.name() == "MGET" { Answer::Silence } else { Answer::Pass });
    assert_eq!(text(&cache, "users", "1").await, None);
    eventually(PATIENCE, "it is asked", || fake.calls("PING") > asked).await;
    tokio::time::sleep(Duration::from_millis(250)).await;
    assert_eq!(cache.gauges().breaker, Some(Closed));
}

/// Pinned: it was asked over a new connection only, for which a busy process had no time, and which
/// could not be had while all Sentinels were away.
#[tokio::test]
async fn nor_if_it_answers_where_it_has_answered_before_and_nothing_else_can_be_had() {
    let redis = RedisServer::start();
    let fake = FakeRedis::before(&redis, |_| Answer::Pass).await;
    let cache = hurried(&fake.url());
    healed(&cache).await;
    let asked = fake.calls("PING");
    fake.script(|call| match call.name() {
        "MGET" => Answer::Silence,
        _ if call.is_greeting() => Answer::Close,
        _ => Answer::Pass,
    });
    assert_eq!(text(&cache, "users", "1").await, None);
    eventually(PATIENCE, "it is asked", || fake.calls("PING") > asked).await;
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert_eq!(cache.gauges().breaker, Some(Closed));
}
