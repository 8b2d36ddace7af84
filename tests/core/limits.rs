//! Load: every table is empty afterwards, and memory agrees with the store.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use cache_core::{Cache, Key, Namespace, Scope, seconds};
use cache_tests::eventually;
use cache_tests::wait::eventually_some;

use crate::setup::{PATIENCE, Setup, delete, fill, join, on_every_setup, settled, text};

async fn at_rest(cache: &Cache) {
    settled(cache).await;
    // What Redis tells of may be looked into a moment later.
    eventually_some(PATIENCE, "all tables are empty", async || {
        let health = cache.health().await;
        (health.in_flight == 0 && health.background_tasks == 0).then_some(())
    })
    .await;
}

async fn tables_are_empty_after_load(setup: Setup) {
    let cache = setup.cache();
    let mut tasks = Vec::new();
    for n in 0..400 {
        let cache = cache.clone();
        tasks.push(tokio::spawn(async move {
            for m in 0..10 {
                let key = ((n * 7 + m) % 50).to_string();
                match (n + m) % 6 {
                    0 => drop(text(&cache, "users", &key).await),
                    1 => cache.set("users", &key, "v").await.unwrap(),
                    2 => delete(&cache, "users", &key).await,
                    // A sweep goes over all that the shared server has.
                    3 if m == 0 => drop(cache.delete_pattern("users", "1*").await.unwrap()),
                    4 => drop(cache.invalidate(Scope::namespace("users")).await.unwrap()),
                    _ => drop(fill(&cache, "users", &key, "v").await),
                }
            }
        }));
    }
    for (n, task) in tasks.into_iter().enumerate() {
        if n % 10 == 0 {
            task.abort();
        } else {
            join(task).await;
        }
    }
    eventually(PATIENCE, "what was aborted has ended", || cache.background().running() == 0).await;
    at_rest(&cache).await;
}

/// Scopes that nothing refers to any more are forgotten.
async fn scopes_do_not_pile_up(setup: Setup) {
    let visits = Namespace::new("visits").by_workspace();
    let cache = setup.builder().namespace(visits).l1_bytes(2 * 1024 * 1024).build().unwrap();
    for n in 0..20_000 {
        let key = Key::workspace(format!("ws{n}")).segment("1");
        if setup.is_memory() {
            cache.set("visits", key, "v").tag(format!("tag{n}")).await.unwrap();
        } else if n % 10 == 0 {
            cache.get::<String>("visits", key).await.unwrap();
        }
    }
    let health = cache.health().await;
    // Two for each entry that is held, doubled because they are swept now and then.
    assert!(health.scopes <= 2_048 + 4 * health.l1_entries, "{health:?}");
}

on_every_setup!(tables_are_empty_after_load, scopes_do_not_pile_up);

/// One node writes, deletes, fills and reads the same keys from many tasks; when all is quiet,
/// its memory holds nothing that the store does not.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn memory_agrees_with_the_store_after_a_storm() {
    for setup in [Setup::tiered(), Setup::shared()] {
        for round in 0..15 {
            let cache = setup.cache();
            let next = Arc::new(AtomicU64::new(round * 1_000_000));
            let tasks: Vec<_> = (0..16u64)
                .map(|task| {
                    let (cache, next) = (cache.clone(), Arc::clone(&next));
                    tokio::spawn(async move { storm(&cache, task, &next).await })
                })
                .collect();
            for task in tasks {
                join(task).await;
            }
            at_rest(&cache).await;
            let fresh = setup.cache();
            for key in 0..3 {
                let key = key.to_string();
                let here: Option<u64> = cache.get("storm", &key).await.unwrap();
                let there: Option<u64> = fresh.get("storm", &key).await.unwrap();
                assert_eq!(here, there, "round {round}, key {key}");
            }
        }
    }
}

async fn storm(cache: &Cache, task: u64, next: &AtomicU64) {
    for step in 0..20 {
        let key = ((task + step) % 3).to_string();
        let value = next.fetch_add(1, Ordering::Relaxed);
        match (task * 5 + step * 3) % 8 {
            0 | 1 => cache.set("storm", &key, &value).await.unwrap(),
            2 => delete(cache, "storm", &key).await,
            3 => drop(cache.touch("storm", &key, seconds(1_000 + value)).await.unwrap()),
            4 | 5 => {
                let compute = async || {
                    tokio::task::yield_now().await;
                    Ok::<_, std::io::Error>(value)
                };
                cache.get_or_compute("storm", &key, compute).await.unwrap();
            }
            _ => drop(cache.get::<u64>("storm", &key).await.unwrap()),
        }
    }
}

/// After a write has been acknowledged no read on the node shows an older value, whatever else
/// goes on: one task writes rising numbers, others read and fill.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn reads_never_go_back_behind_an_acknowledged_write() {
    for setup in [Setup::memory(), Setup::redis(), Setup::tiered(), Setup::shared()] {
        let cache = setup.cache();
        // What the database holds; what has been acknowledged.
        let (truth, acknowledged) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let writer = tokio::spawn({
            let (cache, truth, acknowledged) =
                (cache.clone(), Arc::clone(&truth), Arc::clone(&acknowledged));
            async move {
                for n in 1..300u64 {
                    truth.store(n, Ordering::SeqCst);
                    match n % 4 {
                        0 => cache.set("rising", "1", &n).await.unwrap(),
                        1 => delete(&cache, "rising", "1").await,
                        2 => drop(cache.invalidate(Scope::namespace("rising")).await.unwrap()),
                        _ => drop(cache.delete_pattern("rising", "*").await.unwrap()),
                    }
                    acknowledged.store(n, Ordering::SeqCst);
                    tokio::task::yield_now().await;
                }
            }
        });
        let readers: Vec<_> = (0..8)
            .map(|reader| {
                let (cache, truth, acknowledged) =
                    (cache.clone(), Arc::clone(&truth), Arc::clone(&acknowledged));
                tokio::spawn(async move {
                    while acknowledged.load(Ordering::SeqCst) < 299 {
                        let least = acknowledged.load(Ordering::SeqCst);
                        let found: Option<u64> = if reader % 2 == 0 {
                            cache.get("rising", "1").await.unwrap()
                        } else {
                            let compute = async || {
                                let n = truth.load(Ordering::SeqCst);
                                tokio::task::yield_now().await;
                                Ok::<_, std::io::Error>(n)
                            };
                            Some(cache.get_or_compute("rising", "1", compute).await.unwrap())
                        };
                        assert!(found.is_none_or(|n| n >= least), "{found:?} after {least}");
                        tokio::task::yield_now().await;
                    }
                })
            })
            .collect();
        for task in readers.into_iter().chain([writer]) {
            join(task).await;
        }
    }
}
