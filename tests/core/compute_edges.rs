//! Where what was said in one place must not be forgotten in another.

use std::future::pending;
use std::time::Duration;

use cache_core::{
    Cache, ComputeError, Computed, Invalidated, Namespace, Options, Previous, minutes, seconds,
};
use cache_tests::{Gate, RedisServer};

use crate::setup::{Setup, fill, join, on, on_every_setup, settled, text};

type Failure = std::io::Error;

const SOON: Duration = Duration::from_millis(20);

/// Pinned: only single reads counted as uses.
async fn what_is_read_with_others_lives_on_too(setup: Setup) {
    const SESSIONS: Namespace =
        Namespace::new("sessions").options(Options::new().ttl(minutes(10)).sliding(minutes(30)));
    let cache = setup.builder().namespace(SESSIONS).build().unwrap();
    cache.set_many(&SESSIONS, [("1", "a"), ("2", "b")]).await.unwrap();
    let read = async || {
        let found = cache.get_many::<String, _>(&SESSIONS, ["1", "2"]).await.unwrap();
        settled(&cache).await;
        found.into_iter().flatten().count()
    };
    for minute in [6, 12, 18, 24] {
        setup.clock.advance(minutes(6));
        assert_eq!(read().await, 2, "minute {minute}");
    }
    setup.clock.advance(minutes(6));
    assert_eq!(read().await, 0, "minute 30");
}

/// Pinned: options took back what was said of a namespace before them.
async fn what_is_said_of_a_namespace_adds_up(setup: Setup) {
    const USERS: Namespace = Namespace::new("users")
        .ttl(minutes(1))
        .grace(minutes(5))
        .options(Options::new().jitter(10))
        .options(Options::new().negative_ttl(seconds(5)));
    let cache = setup.builder().namespace(USERS).build().unwrap();
    assert_eq!(fill(&cache, USERS.name(), "1", "old").await, "old");
    settled(&cache).await;
    setup.clock.advance(minutes(2));
    let failing = async || Err::<String, _>(Failure::other("no"));
    assert_eq!(cache.get_or_compute(&USERS, "1", failing).await.unwrap(), "old");
}

/// Pinned: of a batch, one that could not use what somebody else had computed, and failed, was given
/// what had been deleted meanwhile.
async fn what_is_deleted_stands_in_for_nothing(setup: Setup) {
    let cache = setup.cache();
    let old = async || Ok::<_, Failure>("old".to_owned());
    let asked = cache.get_or_compute("users", "1", old).ttl(seconds(1)).grace(minutes(5));
    assert_eq!(asked.await.unwrap(), "old");
    settled(&cache).await;
    setup.clock.advance(seconds(2));
    let gate = Gate::new();
    // Of a type that the batch can't read.
    let leading = tokio::spawn({
        let (cache, gate) = (cache.clone(), gate.clone());
        async move {
            let compute = async || {
                gate.pass().await;
                Ok::<_, Failure>(7_u64)
            };
            cache.get_or_compute("users", "1", compute).await.unwrap()
        }
    });
    gate.waiting(1).await;
    let following = tokio::spawn({
        let cache = cache.clone();
        async move {
            let failing =
                |_: Vec<String>| async { Err::<Vec<(String, String)>, _>(Failure::other("no")) };
            let asked = cache.get_or_compute_many("users", vec!["1".to_owned()], failing);
            asked.grace(minutes(5)).await.pop().unwrap()
        }
    });
    crate::setup::missed(&cache, "users", 3).await;
    assert_eq!(cache.delete("users", "1").await.unwrap(), Invalidated::Complete);
    gate.open(1);
    assert_eq!(join(leading).await, 7);
    assert!(matches!(join(following).await, Err(ComputeError::Compute(_))));
}

/// Pinned: what was said of all that are nothing went before what the function said of this one.
async fn a_function_may_know_how_long_there_is_nothing(setup: Setup) {
    let cache = setup.cache();
    let ask = async |ttl: Option<Duration>| {
        let compute = async |_: Previous<Option<String>>| {
            let nothing = Computed::new(None::<String>);
            Ok::<_, Failure>(match ttl {
                Some(ttl) => nothing.ttl(ttl),
                None => nothing,
            })
        };
        let key = if ttl.is_some() { "said" } else { "unsaid" };
        let asked = cache.get_or_compute_with("users", key, compute);
        assert_eq!(asked.negative_ttl(seconds(5)).await.unwrap(), None);
        settled(&cache).await;
        cache.stats().namespaces["users"].computes
    };
    assert_eq!((ask(Some(minutes(5))).await, ask(None).await), (1, 2));
    setup.clock.advance(minutes(1));
    assert_eq!((ask(Some(minutes(5))).await, ask(None).await), (2, 3));
}

on_every_setup!(
    a_function_may_know_how_long_there_is_nothing,
    what_is_read_with_others_lives_on_too,
    what_is_said_of_a_namespace_adds_up,
    what_is_deleted_stands_in_for_nothing,
);

/// Pinned: what was neither to be read nor written was looked up all the same.
#[tokio::test]
async fn who_goes_past_the_cache_asks_redis_nothing() {
    let redis = RedisServer::start();
    let cache = on(&redis).l1(false).build().unwrap();
    assert_eq!(fill(&cache, "users", "1", "stored").await, "stored");
    settled(&cache).await;
    redis.reset_stats();
    let compute = async || Ok::<_, Failure>("anew".to_owned());
    let past = cache.get_or_compute("users", "1", compute).skip_read().skip_write();
    assert_eq!(past.await.unwrap(), "anew");
    let all = |keys: Vec<String>| async move {
        Ok::<_, Failure>(keys.into_iter().map(|key| (key, "anew".to_owned())).collect::<Vec<_>>())
    };
    let keys = ["1", "2"].map(str::to_owned).to_vec();
    let past = cache.get_or_compute_many("users", keys, all).skip_read().skip_write().await;
    assert!(
        past.iter().all(|one| one.as_ref().is_ok_and(|value| value.as_deref() == Some("anew")))
    );
    assert_eq!(["mget", "get", "evalsha", "set"].map(|command| redis.calls(command)), [0; 4]);
    assert_eq!(text(&cache, "users", "1").await.as_deref(), Some("stored"));
}

/// Pinned: the timeout of all namespaces was not that of one that can't be used.
#[tokio::test]
async fn what_is_said_of_all_namespaces_goes_for_those_that_can_not_be_used() {
    let options = Options::new().timeout(SOON);
    let cache = Cache::builder().memory().options(options).build().unwrap();
    let hung = pending::<Result<String, Failure>>;
    let asked = cache.get_or_compute("", "1", hung).await;
    assert!(matches!(asked, Err(ComputeError::TimedOut)));
    let hung = |_: Vec<String>| pending::<Result<Vec<(String, String)>, Failure>>();
    let asked = cache.get_or_compute_many("", vec!["1".to_owned()], hung).await;
    assert!(matches!(asked.as_slice(), [Err(ComputeError::TimedOut)]));
}
