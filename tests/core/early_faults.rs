//! Early refreshes that end badly: nobody is told of it, and those who come next are given what is
//! still fresh, until the key has had its rest.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use cache_core::{Cache, Options, minutes, seconds};
use cache_tests::Gate;
use tokio::task::JoinHandle;

use crate::setup::{Setup, join, on_every_setup, settled, text};

type Failure = std::io::Error;

/// A source behind a gate.
#[derive(Clone, Default)]
struct Source {
    gate: Gate,
    calls: Arc<AtomicUsize>,
}

impl Source {
    fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    async fn load(self, panics: bool) -> Result<String, Failure> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        self.gate.pass().await;
        assert!(!panics, "as it should");
        Ok("new".to_owned())
    }

    /// Asks in a task of its own.
    fn ask(&self, cache: &Cache, key: &'static str, panics: bool) -> JoinHandle<String> {
        let (cache, source) = (cache.clone(), self.clone());
        tokio::spawn(async move {
            let asked = cache.get_or_compute("users", key, move || source.load(panics));
            asked.early_refresh(80).await.unwrap()
        })
    }

    fn ask_for_both(
        &self,
        cache: &Cache,
        keys: [&'static str; 2],
        panics: bool,
    ) -> JoinHandle<Vec<String>> {
        let (cache, source) = (cache.clone(), self.clone());
        tokio::spawn(async move {
            let load = |keys: Vec<&'static str>| {
                let loading = source.clone().load(panics);
                async move {
                    let value = loading.await?;
                    Ok::<_, Failure>(keys.into_iter().map(move |key| (key, value.clone())))
                }
            };
            let early = Options::new().early_refresh(80);
            let found = cache.get_or_compute_many("users", keys, load).options(early).await;
            found.into_iter().map(|one| one.unwrap().unwrap()).collect::<Vec<_>>()
        })
    }
}

/// They are fresh for a minute, of which 50 seconds have passed.
async fn due(setup: &Setup, cache: &Cache, keys: &[&'static str]) {
    for key in keys {
        cache.set("users", *key, "old").ttl(minutes(1)).await.unwrap();
    }
    setup.clock.advance(seconds(50));
}

async fn a_panic_behind_is_given_a_rest(setup: Setup) {
    let (cache, source) = (setup.cache(), Source::default());
    source.gate.open_for_good();
    due(&setup, &cache, &["1"]).await;
    let ask = async |panics: bool| {
        let source = source.clone();
        let asked = cache.get_or_compute("users", "1", move || source.load(panics));
        let given = asked.early_refresh(80).in_background().await.unwrap();
        // What went on behind has ended.
        settled(&cache).await;
        given
    };
    for attempts in 1..=2 {
        for _ in 0..5 {
            assert_eq!(ask(true).await, "old");
        }
        assert_eq!(source.calls(), attempts);
        setup.clock.advance(seconds(1));
    }
    assert_eq!(ask(false).await, "old");
    assert_eq!(source.calls(), 3);
    assert_eq!(text(&cache, "users", "1").await.as_deref(), Some("new"));
}

/// Who refreshes panics or goes away. Before and after that others, who tell how often the source was
/// called, do not call it; until a second has passed.
async fn is_given_a_rest<T>(
    setup: &Setup,
    source: &Source,
    refreshing: JoinHandle<T>,
    panics: bool,
    others: impl AsyncFn() -> usize,
) {
    assert_eq!(others().await, 1, "nobody waits for it");
    if panics {
        source.gate.open(1);
    } else {
        refreshing.abort();
    }
    assert!(refreshing.await.is_err());
    assert_eq!(others().await, 1, "nobody takes its place at once");
    setup.clock.advance(seconds(1));
    source.gate.open_for_good();
}

async fn who_panics_or_goes_away_leaves_a_rest_behind(setup: Setup) {
    let cache = setup.cache();
    for (key, panics) in [("1", true), ("2", false)] {
        due(&setup, &cache, &[key]).await;
        let source = Source::default();
        let refreshing = source.ask(&cache, key, panics);
        source.gate.waiting(1).await;
        let others = async || {
            for _ in 0..5 {
                assert_eq!(join(source.ask(&cache, key, false)).await, "old");
            }
            source.calls()
        };
        is_given_a_rest(&setup, &source, refreshing, panics, others).await;
        assert_eq!(join(source.ask(&cache, key, false)).await, "new");
        assert_eq!(source.calls(), 2);
        settled(&cache).await;
        assert_eq!(text(&cache, "users", key).await.as_deref(), Some("new"));
    }
}

async fn so_does_a_batch(setup: Setup) {
    let cache = setup.cache();
    for (keys, panics) in [(["1", "2"], true), (["3", "4"], false)] {
        due(&setup, &cache, &keys).await;
        let source = Source::default();
        let refreshing = source.ask_for_both(&cache, keys, panics);
        source.gate.waiting(1).await;
        let others = async || {
            for _ in 0..5 {
                let found = join(source.ask_for_both(&cache, keys, false)).await;
                assert_eq!(found, ["old", "old"]);
                assert_eq!(join(source.ask(&cache, keys[1], false)).await, "old");
            }
            source.calls()
        };
        is_given_a_rest(&setup, &source, refreshing, panics, others).await;
        assert_eq!(join(source.ask_for_both(&cache, keys, false)).await, ["new", "new"]);
        assert_eq!(source.calls(), 2);
        settled(&cache).await;
    }
}

on_every_setup!(
    a_panic_behind_is_given_a_rest,
    who_panics_or_goes_away_leaves_a_rest_behind,
    so_does_a_batch,
);
