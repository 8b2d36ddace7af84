//! Those who wait for a function that hangs: when it has lasted for long, one of them computes for
//! all.

use std::sync::{Arc, Mutex};

use cache_core::{Cache, seconds};
use cache_tests::Gate;
use tokio::task::JoinHandle;

use crate::setup::{Setup, join, settled, text};

type Failure = std::io::Error;

/// A source, and the keys that each call asked it for.
#[derive(Clone, Default)]
struct Source(Arc<Mutex<Vec<Vec<&'static str>>>>);

impl Source {
    /// It answers when the gate lets it.
    async fn load(
        self,
        keys: Vec<&'static str>,
        gate: Gate,
    ) -> Result<Vec<(&'static str, String)>, Failure> {
        self.0.lock().unwrap().push(keys.clone());
        gate.pass().await;
        Ok(keys.into_iter().map(|key| (key, "new".to_owned())).collect())
    }

    fn asked(&self) -> Vec<Vec<&'static str>> {
        self.0.lock().unwrap().clone()
    }

    /// In how many calls it was asked for this key.
    fn asked_for(&self, key: &str) -> usize {
        self.asked().iter().flatten().filter(|asked| **asked == key).count()
    }

    /// Asks for one key in a task of its own.
    fn single(&self, cache: &Cache, gate: &Gate) -> JoinHandle<String> {
        let cache = cache.clone();
        let loading = self.clone().load(vec!["1"], gate.clone());
        tokio::spawn(async move {
            let load = async || Ok::<_, Failure>(loading.await?.remove(0).1);
            cache.get_or_compute("users", "1", load).await.unwrap()
        })
    }

    /// Asks for two, of which the first is the other one's.
    fn batch(&self, cache: &Cache, gate: &Gate) -> JoinHandle<Vec<String>> {
        let (cache, source, gate) = (cache.clone(), self.clone(), gate.clone());
        tokio::spawn(async move {
            let load = |keys| source.clone().load(keys, gate.clone());
            let found = cache.get_or_compute_many("users", ["1", "2"], load).await;
            found.into_iter().map(|one| one.unwrap().unwrap()).collect::<Vec<_>>()
        })
    }
}

fn setups() -> [Setup; 2] {
    [Setup::memory(), Setup::shared()]
}

/// Pinned: of those who waited for one that hung, each computed when it had waited long enough.
#[tokio::test(start_paused = true)]
async fn a_leader_that_hangs_is_replaced_by_one() {
    for setup in setups() {
        let (cache, source) = (setup.cache(), Source::default());
        let (hung, gate) = (Gate::new(), Gate::new());
        let leader = source.single(&cache, &hung);
        hung.waiting(1).await;
        let waiters: Vec<_> = (0..100).map(|_| source.single(&cache, &gate)).collect();
        gate.waiting(1).await;
        gate.open_for_good();
        for waiter in waiters {
            assert_eq!(join(waiter).await, "new");
        }
        assert_eq!(source.asked_for("1"), 2);
        assert!(!leader.is_finished());
        leader.abort();
    }
}

/// What nobody else computes is computed at once.
#[tokio::test(start_paused = true)]
async fn a_batch_waits_for_one_that_hangs_and_then_computes() {
    for setup in setups() {
        let (cache, source) = (setup.cache(), Source::default());
        let (hung, gate) = (Gate::new(), Gate::new());
        gate.open_for_good();
        let leader = source.single(&cache, &hung);
        hung.waiting(1).await;
        let batch = source.batch(&cache, &gate);
        tokio::time::sleep(seconds(9)).await;
        assert_eq!(source.asked(), [["1"], ["2"]]);
        assert!(!batch.is_finished());
        tokio::time::sleep(seconds(2)).await;
        assert_eq!(source.asked(), [["1"], ["2"], ["1"]]);
        assert_eq!(join(batch).await, ["new", "new"]);
        settled(&cache).await;
        assert_eq!(text(&cache, "users", "1").await.as_deref(), Some("new"));
        assert!(!leader.is_finished());
        leader.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_hangs_is_replaced_once_for_each_of_its_keys() {
    for setup in setups() {
        let (cache, source) = (setup.cache(), Source::default());
        let (hung, gate) = (Gate::new(), Gate::new());
        gate.open_for_good();
        let leader = source.batch(&cache, &hung);
        hung.waiting(1).await;
        let singles: Vec<_> = (0..20).map(|_| source.single(&cache, &gate)).collect();
        let batches: Vec<_> = (0..20).map(|_| source.batch(&cache, &gate)).collect();
        tokio::time::sleep(seconds(9)).await;
        assert_eq!(source.asked(), [["1", "2"]]);
        for single in singles {
            assert_eq!(join(single).await, "new");
        }
        for batch in batches {
            assert_eq!(join(batch).await, ["new", "new"]);
        }
        assert_eq!(["1", "2"].map(|key| source.asked_for(key)), [2, 2]);
        assert!(!leader.is_finished());
        leader.abort();
    }
}
