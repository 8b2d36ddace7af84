//! `get_or_compute_many` beside others who ask for the same keys, change them, or go away.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use cache_core::{BatchOutcome, Cache, Scope};
use cache_tests::Gate;
use tokio::task::JoinHandle;

use crate::gated_store::{At, GatedStore};
use crate::setup::{PATIENCE, Setup, delete, fill, join, on_every_setup, settled, text};

type Failure = std::io::Error;
type Outcome = BatchOutcome<String, Failure>;

/// A source behind a gate, which counts what it is asked for.
#[derive(Clone, Default)]
struct Source {
    gate: Gate,
    asked: Arc<Mutex<HashMap<String, usize>>>,
}

impl Source {
    async fn load(self, keys: Vec<String>, by: &'static str) -> Vec<(String, String)> {
        for key in &keys {
            *self.asked.lock().unwrap().entry(key.clone()).or_default() += 1;
        }
        self.gate.pass().await;
        assert_ne!(by, "panic", "as it should");
        keys.into_iter().map(|key| (key, by.to_owned())).collect()
    }

    fn batch(&self, cache: &Cache, keys: &[&str], by: &'static str) -> JoinHandle<Vec<Outcome>> {
        let keys: Vec<String> = keys.iter().map(|key| (*key).to_owned()).collect();
        let (cache, source) = (cache.clone(), self.clone());
        tokio::spawn(async move {
            let load = |keys| {
                let loading = source.clone().load(keys, by);
                async move { Ok::<_, Failure>(loading.await) }
            };
            cache.get_or_compute_many("users", keys, load).await
        })
    }

    fn single(&self, cache: &Cache, key: &str, by: &'static str) -> JoinHandle<String> {
        let (cache, source, key) = (cache.clone(), self.clone(), key.to_owned());
        tokio::spawn(async move {
            let load =
                async || Ok::<_, Failure>(source.load(vec![key.clone()], by).await[0].1.clone());
            cache.get_or_compute("users", key.as_str(), load).await.unwrap()
        })
    }

    fn asked(&self) -> Vec<(String, usize)> {
        let mut asked: Vec<_> = self.asked.lock().unwrap().clone().into_iter().collect();
        asked.sort();
        asked
    }
}

fn counts(counts: &[(&str, usize)]) -> Vec<(String, usize)> {
    counts.iter().map(|(key, count)| ((*key).to_owned(), *count)).collect()
}

fn values(outcomes: Vec<Outcome>) -> Vec<String> {
    outcomes.into_iter().map(|outcome| outcome.unwrap().unwrap()).collect()
}

/// Those who have come by now wait.
async fn a_while() {
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
}

async fn what_others_compute_is_waited_for(setup: Setup) {
    let (cache, source) = (setup.cache(), Source::default());
    fill(&cache, "users", "0", "so that the namespace is known").await;
    let single = source.single(&cache, "1", "single");
    source.gate.waiting(1).await;
    let batch = source.batch(&cache, &["1", "2"], "batch");
    source.gate.waiting(2).await;
    let other = source.batch(&cache, &["2", "3", "1"], "other");
    source.gate.waiting(3).await;
    let late = source.single(&cache, "3", "late");
    a_while().await;
    source.gate.open_for_good();
    assert_eq!(join(single).await, "single");
    assert_eq!(values(join(batch).await), ["single", "batch"]);
    assert_eq!(values(join(other).await), ["batch", "other", "single"]);
    assert_eq!(join(late).await, "other");
    assert_eq!(source.asked(), counts(&[("1", 1), ("2", 1), ("3", 1)]));
    settled(&cache).await;
    assert_eq!(cache.health().await.in_flight, 0);
}

async fn who_goes_away_or_panics_is_replaced_once(setup: Setup) {
    for by in ["cancelled", "panic"] {
        let (cache, source) = (setup.cache(), Source::default());
        let keys = ["1", "2"].map(|n| format!("{by}{n}"));
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        let leader = source.batch(&cache, &keys, by);
        source.gate.waiting(1).await;
        let batches: Vec<_> = (0..20).map(|_| source.batch(&cache, &keys, "batch")).collect();
        let single = source.single(&cache, keys[0], "batch");
        a_while().await;
        if by == "panic" {
            source.gate.open(1);
        } else {
            leader.abort();
        }
        assert!(leader.await.is_err());
        source.gate.open_for_good();
        for batch in batches {
            assert_eq!(values(join(batch).await), ["batch", "batch"]);
        }
        assert_eq!(join(single).await, "batch");
        let twice: Vec<_> = keys.iter().map(|key| (*key, 2)).collect();
        assert_eq!(source.asked(), counts(&twice), "the leader, and one more");
    }
}

async fn what_is_invalidated_meanwhile_is_not_kept_and_the_rest_is(setup: Setup) {
    let (cache, source) = (setup.cache(), Source::default());
    let batch = source.batch(&cache, &["1", "2"], "old");
    source.gate.waiting(1).await;
    delete(&cache, "users", "1").await;
    let later = source.batch(&cache, &["1", "2"], "new");
    source.gate.waiting(2).await;
    source.gate.open_for_good();
    assert_eq!(values(join(batch).await), ["old", "old"], "they asked before");
    assert_eq!(values(join(later).await), ["new", "old"]);
    settled(&cache).await;
    assert_eq!(text(&cache, "users", "1").await.as_deref(), Some("new"));
    assert_eq!(text(&cache, "users", "2").await.as_deref(), Some("old"));
    // Nor is anything, when it was all of the namespace.
    let source = Source::default();
    let batch = source.batch(&cache, &["3", "4"], "old");
    source.gate.waiting(1).await;
    cache.invalidate(Scope::namespace("users")).await.unwrap();
    source.gate.open_for_good();
    assert_eq!(values(join(batch).await), ["old", "old"]);
    settled(&cache).await;
    assert_eq!(text(&cache, "users", "3").await, None);
}

on_every_setup!(
    what_others_compute_is_waited_for,
    who_goes_away_or_panics_is_replaced_once,
    what_is_invalidated_meanwhile_is_not_kept_and_the_rest_is,
);

/// Each leads what another waits for; all end, and no key is computed twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn batches_that_wait_for_each_other_end() {
    for round in 0..20 {
        let (cache, source) = (Setup::shared().cache(), Source::default());
        source.gate.open_for_good();
        let names: Vec<String> = (0..12).map(|n| n.to_string()).collect();
        let batches: Vec<_> = (0..40)
            .map(|n| {
                let chosen = (0..6).map(|k| names[(n * 5 + k * (1 + n % 4)) % 12].as_str());
                source.batch(&cache, &chosen.collect::<Vec<_>>(), "value")
            })
            .collect();
        for batch in batches {
            let ended = tokio::time::timeout(PATIENCE, batch).await.expect("it ends").unwrap();
            assert_eq!(values(ended), ["value"; 6]);
        }
        assert!(source.asked().iter().all(|(_, times)| *times == 1), "round {round}");
    }
}

/// Two caches on one store: what one deletes while the other's values are on their way to the store
/// is not stored, and their neighbours are, in the same write.
#[tokio::test]
async fn a_delete_elsewhere_keeps_one_of_a_write_from_being_stored() {
    let setup = Setup::shared();
    let store = GatedStore::new(&setup);
    let (here, there) = (store.cache_without_l1(&setup), store.cache_without_l1(&setup));
    fill(&here, "users", "0", "so that the namespace is known").await;
    settled(&here).await;
    let source = Source::default();
    source.gate.open_for_good();
    let write = store.hold(At::Write);
    let batch = source.batch(&here, &["1", "2", "3"], "old");
    write.waiting(1).await;
    a_while().await;
    assert_eq!(text(&there, "users", "3").await, None, "one write for all");
    delete(&there, "users", "2").await;
    write.open_for_good();
    assert_eq!(values(join(batch).await), ["old"; 3]);
    settled(&here).await;
    assert_eq!(text(&there, "users", "1").await.as_deref(), Some("old"));
    assert_eq!(text(&there, "users", "2").await, None);
    assert_eq!(text(&there, "users", "3").await.as_deref(), Some("old"));
}
