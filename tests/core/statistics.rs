//! Counters: hits and misses add up to reads, exactly.

use cache_core::{NamespaceStats, Stats, minutes};

use crate::gated_store::{At, GatedStore};
use crate::setup::{Setup, fill, join, on_every_setup, settled, text};

fn stats(cache: &cache_core::Cache) -> NamespaceStats {
    cache.stats().namespaces["users"]
}

async fn each_operation_counts_what_it_did(setup: Setup) {
    let cache = setup.cache();
    text(&cache, "users", "1").await;
    cache.set("users", "1", "v").await.unwrap();
    text(&cache, "users", "1").await;
    cache.set_many("users", [("2", "v"), ("3", "v")]).await.unwrap();
    cache.get_many::<String, _>("users", ["1", "2", "none"]).await.unwrap();
    cache.delete("users", "1").await.unwrap();
    fill(&cache, "users", "1", "v").await;
    settled(&cache).await;
    fill(&cache, "users", "1", "v").await;
    // These are no reads.
    cache.exists("users", "1").await.unwrap();
    cache.ttl("users", "none").await.unwrap();
    cache.touch("users", "1", minutes(1)).await.unwrap();
    cache.delete_pattern("users", "*").await.unwrap();
    let expected = NamespaceStats {
        hits: 4,
        l1_hits: if setup.has_l1() { 4 } else { 0 },
        misses: 3,
        sets: 4,
        deletes: 4,
        ..NamespaceStats::default()
    };
    assert_eq!(stats(&cache), expected);
    assert_eq!(cache.stats().total(), expected);
    let json = serde_json::to_string(&cache.stats()).unwrap();
    assert_eq!(serde_json::from_str::<Stats>(&json).unwrap(), cache.stats());
}

/// Pinned: a caller whose leader failed was counted once for each leader.
async fn hits_and_misses_are_reads(setup: Setup) {
    let cache = setup.cache();
    let mut callers = Vec::new();
    for n in 0..300u32 {
        let cache = cache.clone();
        callers.push(tokio::spawn(async move {
            let key = (n % 10).to_string();
            match n % 3 {
                0 => drop(text(&cache, "users", &key).await),
                1 => {
                    let compute = async || Ok::<_, std::io::Error>("v".to_owned());
                    // Or the error of one of those below, if that one led.
                    drop(cache.get_or_compute("users", key, compute).await);
                }
                _ => {
                    let compute = async || {
                        tokio::task::yield_now().await;
                        Err::<String, _>(std::io::Error::other("no"))
                    };
                    drop(cache.get_or_compute("users", key, compute).await);
                }
            }
        }));
    }
    for caller in callers.drain(..) {
        join(caller).await;
    }
    let stats = stats(&cache);
    assert_eq!(stats.hits + stats.misses, 300, "{stats:?}");
}

/// Pinned: so was one whose leader was cancelled.
async fn a_cancelled_leader_is_one_read_and_its_waiters_one_each(setup: Setup) {
    let cache = setup.cache();
    let (gate, leader) = crate::finality_keys::slow_fill(&cache, "users", "1");
    gate.waiting(1).await;
    let waiters: Vec<_> = (0..10)
        .map(|_| {
            let cache = cache.clone();
            tokio::spawn(async move { fill(&cache, "users", "1", "v").await })
        })
        .collect();
    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    leader.abort();
    for waiter in waiters {
        assert_eq!(join(waiter).await, "v");
    }
    let stats = stats(&cache);
    assert_eq!(stats.hits + stats.misses, 11, "{stats:?}");
}

on_every_setup!(
    each_operation_counts_what_it_did,
    hits_and_misses_are_reads,
    a_cancelled_leader_is_one_read_and_its_waiters_one_each,
);

/// Pinned: a fill that could be stored nowhere counted as a value written.
#[tokio::test]
async fn what_could_not_be_stored_is_no_set() {
    let setup = Setup::shared();
    let store = GatedStore::new(&setup);
    let cache = store.cache_without_l1(&setup);
    store.fail(At::Fetch);
    assert_eq!(fill(&cache, "users", "1", "v").await, "v");
    settled(&cache).await;
    let NamespaceStats { misses, sets, errors, .. } = stats(&cache);
    assert_eq!((misses, sets, errors), (1, 0, 1));
}
