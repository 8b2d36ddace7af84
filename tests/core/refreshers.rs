//! Keys that are kept warm: before their values end, one computation at a time, until the end.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use cache_core::{Cache, ErrorKind, Key, MAX_REFRESHERS, Options, hours, minutes, seconds};
use cache_tests::{Gate, RedisServer, eventually};

use crate::audit;
use crate::setup::{PATIENCE, Setup, at, fill, join, kind, on_every_setup, settled, text};

type Failure = std::io::Error;

/// What is due is noticed within this time.
const OFTEN: Duration = Duration::from_millis(200);

#[derive(Clone, Default)]
struct Source(Arc<AtomicUsize>);

impl Source {
    fn calls(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }

    /// The number of the call.
    fn next(&self) -> usize {
        self.0.fetch_add(1, Ordering::SeqCst) + 1
    }

    async fn called(&self, times: usize) {
        eventually(PATIENCE, "it is computed", || self.calls() >= times).await;
    }
}

fn failures(cache: &Cache) -> u64 {
    cache.stats().namespaces["rates"].refresh_failures
}

async fn a_key_is_warm_before_anybody_asks_and_stays_so(setup: Setup) {
    let cache = setup.cache();
    let source = Source::default();
    let rates = cache.namespace("rates");
    let compute = {
        let source = source.clone();
        move || {
            let number = source.next();
            async move { Ok::<_, Failure>(number.to_string()) }
        }
    };
    let warm = rates.refresh("usd", compute.clone()).every(OFTEN).ttl(minutes(1)).tag("rates");
    let warm = warm.start().unwrap();
    for number in 1..=3 {
        source.called(number).await;
        settled(&cache).await;
        assert_eq!(text(&cache, "rates", "usd").await, Some(number.to_string()));
        assert_eq!(source.calls(), number, "by the clock it is not due again");
        setup.clock.advance(OFTEN);
    }
    source.called(4).await;
    settled(&cache).await;
    let counted = cache.stats().namespaces["rates"];
    assert_eq!((counted.hits, counted.misses), (3, 0), "{counted:?}");
    assert_eq!((counted.refreshes, counted.refresh_failures), (4, 0), "{counted:?}");
    // What is invalidated is there again, when it is next looked at.
    cache.invalidate(cache_core::Tag::new("rates")).await.unwrap();
    setup.clock.advance(OFTEN);
    source.called(5).await;
    settled(&cache).await;
    assert_eq!(text(&cache, "rates", "usd").await.as_deref(), Some("5"));
    let again = || rates.refresh("usd", compute.clone()).every(OFTEN).ttl(minutes(1)).start();
    assert_eq!(kind(again()), ErrorKind::Config, "it is registered");
    drop(warm);
    setup.clock.advance(minutes(2));
    assert_eq!(text(&cache, "rates", "usd").await, None, "nobody keeps it warm");
    let warm = again().unwrap();
    source.called(6).await;
    drop(warm);
}

async fn by_itself_it_is_computed_before_its_time_ends(setup: Setup) {
    let cache = setup.cache();
    let source = Source::default();
    let compute = {
        let source = source.clone();
        move || {
            let number = source.next();
            async move { Ok::<_, Failure>(number.to_string()) }
        }
    };
    let warm = cache.namespace("rates").refresh("usd", compute).ttl(Duration::from_millis(500));
    let warm = warm.start().unwrap();
    source.called(1).await;
    settled(&cache).await;
    // More than 80 % of its time.
    setup.clock.advance(Duration::from_millis(450));
    source.called(2).await;
    settled(&cache).await;
    setup.clock.advance(Duration::from_millis(100));
    assert_eq!(text(&cache, "rates", "usd").await.as_deref(), Some("2"));
    drop(warm);
}

async fn while_it_fails_the_old_value_is_given(setup: Setup) {
    audit::listen();
    let cache = setup.cache();
    fill(&cache, "rates", "usd", "old").await;
    settled(&cache).await;
    setup.clock.advance(OFTEN);
    let failing = || async { Err::<String, _>(Failure::other("no")) };
    let warm = cache.namespace("rates").refresh("usd", failing).every(OFTEN).start().unwrap();
    eventually(PATIENCE, "it is tried again", || failures(&cache) >= 3).await;
    assert_eq!(text(&cache, "rates", "usd").await.as_deref(), Some("old"));
    let said = audit::said("not refreshed");
    assert_eq!(said.len(), 1, "{said:?}");
    assert_eq!((&*said[0]["namespace"], &*said[0]["error"]), ("rates", "no"));
    drop(warm);
}

async fn it_outlives_a_panic_and_a_function_that_hangs(setup: Setup) {
    let cache = setup.cache();
    let source = Source::default();
    let compute = {
        let source = source.clone();
        move || {
            let number = source.next();
            async move {
                match number {
                    1 => panic!("on purpose"),
                    2 => std::future::pending().await,
                    _ => Ok::<_, Failure>("v".to_owned()),
                }
            }
        }
    };
    let options = Options::new().timeout(Duration::from_millis(50));
    let warm = cache.namespace("rates").refresh("usd", compute).every(OFTEN).options(options);
    let warm = warm.start().unwrap();
    source.called(3).await;
    settled(&cache).await;
    assert_eq!(text(&cache, "rates", "usd").await.as_deref(), Some("v"));
    assert_eq!(failures(&cache), 2);
    drop(warm);
}

async fn dropped_it_leaves_its_place_and_those_who_wait_compute(setup: Setup) {
    let cache = setup.cache();
    let gate = Gate::new();
    let hung = {
        let gate = gate.clone();
        move || {
            let gate = gate.clone();
            async move {
                gate.pass().await;
                Ok::<_, Failure>("late".to_owned())
            }
        }
    };
    let warm = cache.namespace("rates").refresh("usd", hung).every(OFTEN).start().unwrap();
    gate.waiting(1).await;
    let waiter = tokio::spawn({
        let cache = cache.clone();
        async move { fill(&cache, "rates", "usd", "own").await }
    });
    tokio::task::yield_now().await;
    drop(warm);
    assert_eq!(join(waiter).await, "own");
    settled(&cache).await;
    assert_eq!(cache.background().running(), 0);
}

async fn shutdown_waits_for_what_is_computed_and_ends_it(setup: Setup) {
    let cache = setup.cache();
    let (gate, source) = (Gate::new(), Source::default());
    let slow = {
        let (gate, source) = (gate.clone(), source.clone());
        move || {
            let (gate, _) = (gate.clone(), source.next());
            async move {
                gate.pass().await;
                Ok::<_, Failure>("v".to_owned())
            }
        }
    };
    let rates = cache.namespace("rates");
    let warm = rates.refresh("usd", slow.clone()).every(OFTEN).start().unwrap();
    gate.waiting(1).await;
    let closing = tokio::spawn({
        let cache = cache.clone();
        async move { cache.shutdown().await }
    });
    eventually(PATIENCE, "nothing is begun", || !cache.background().try_spawn(async {})).await;
    assert!(!closing.is_finished());
    gate.open_for_good();
    assert!(join(closing).await);
    eventually(PATIENCE, "it ends", || warm.has_ended()).await;
    assert_eq!(source.calls(), 1);
    let late = rates.refresh("eur", slow).every(OFTEN).start();
    assert_eq!(kind(late), ErrorKind::Closed);
}

on_every_setup!(
    a_key_is_warm_before_anybody_asks_and_stays_so,
    by_itself_it_is_computed_before_its_time_ends,
    while_it_fails_the_old_value_is_given,
    it_outlives_a_panic_and_a_function_that_hangs,
    dropped_it_leaves_its_place_and_those_who_wait_compute,
    shutdown_waits_for_what_is_computed_and_ends_it,
);

#[tokio::test]
async fn without_redis_it_goes_on() {
    for l1 in [true, false] {
        let redis = RedisServer::start();
        let gone = at(&redis.url()).l1(l1).build().unwrap();
        let never = at("redis://127.0.0.1:1").operation_budget(OFTEN).l1(l1).build().unwrap();
        for (n, cache) in [gone, never].into_iter().enumerate() {
            let source = Source::default();
            let compute = {
                let source = source.clone();
                move || {
                    source.next();
                    async { Ok::<_, Failure>("v".to_owned()) }
                }
            };
            let warm = cache.namespace("rates").refresh("usd", compute).every(OFTEN);
            let warm = warm.start().unwrap();
            source.called(2).await;
            if n == 0 {
                redis.kill();
            }
            source.called(4).await;
            assert_eq!(failures(&cache), 0);
            drop(warm);
        }
    }
}

/// A function whose calls are held at a gate.
#[derive(Clone, Default)]
struct Held {
    gate: Gate,
    running: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
    ended: Arc<AtomicUsize>,
}

impl Held {
    async fn call(self) -> Result<String, Failure> {
        let running = self.running.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(running, Ordering::SeqCst);
        self.gate.pass().await;
        self.running.fetch_sub(1, Ordering::SeqCst);
        self.ended.fetch_add(1, Ordering::SeqCst);
        Ok("v".to_owned())
    }

    /// Waits until so many calls have ended, and so many others are held.
    async fn came_to(&self, ended: usize, held: usize) {
        eventually(PATIENCE, "places are taken", || {
            let now = [&self.ended, &self.running].map(|count| count.load(Ordering::SeqCst));
            now == [ended, held]
        })
        .await;
    }
}

/// Those who find no place come again, and none is left out. Pinned: nor was there a place to look at what
/// had changed elsewhere, so all was given up under a scope of which a push came, and the first value was
/// not stored.
#[tokio::test(start_paused = true)]
async fn no_more_are_computed_at_once_than_there_are_places() {
    const KEYS: [&str; 5] = ["aud", "chf", "eur", "gbp", "usd"];
    for setup in [Setup::memory(), Setup::shared()] {
        let cache = setup.builder().background_tasks(2).build().unwrap();
        let (rates, held) = (cache.namespace("rates"), Held::default());
        let start = |key: &'static str| {
            let held = held.clone();
            let compute = move || held.clone().call();
            rates.refresh(key, compute).every(hours(1)).start().unwrap()
        };
        let warm: Vec<_> = KEYS.into_iter().map(start).collect();
        held.came_to(0, 2).await;
        // The others try each second. Pinned: that they couldn't was counted as if their functions had
        // failed, and they tried again an eighth of the hour later.
        tokio::time::sleep(seconds(5)).await;
        assert_eq!(failures(&cache), 0);
        for ended in 1..=KEYS.len() {
            held.gate.open(1);
            held.came_to(ended, (KEYS.len() - ended).min(2)).await;
        }
        settled(&cache).await;
        for key in KEYS {
            assert_eq!(text(&cache, "rates", key).await.as_deref(), Some("v"), "{key}");
        }
        assert_eq!(held.most.load(Ordering::SeqCst), 2);
        drop(warm);
    }
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_and_there_are_never_too_many() {
    let cache = Setup::memory().cache();
    let rates = cache.namespace("rates");
    let good = || async { Ok::<_, Failure>("v".to_owned()) };
    let options = Options::new().never_expires();
    assert_eq!(kind(rates.refresh("usd", good).options(options).start()), ErrorKind::Config);
    let never = rates.refresh("usd", good).every(Duration::ZERO).start();
    assert_eq!(kind(never), ErrorKind::Config);
    let key = |n: usize| Key::from_segments([n.to_string()]);
    let start = |n| rates.refresh(key(n), good).every(seconds(60)).start();
    let warm: Vec<_> = (0..MAX_REFRESHERS).map(|n| start(n).unwrap()).collect();
    assert_eq!(kind(start(MAX_REFRESHERS)), ErrorKind::Config);
    drop(warm);
    start(MAX_REFRESHERS).unwrap().detach();
    assert_eq!(kind(start(MAX_REFRESHERS)), ErrorKind::Config, "detached, it goes on");
}
