//! Slots that move while they are used.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use cache_core::rate::CountedBy;
use cache_core::store::{Put, Store, WriteBatch};
use cache_core::{Cache, Invalidated, Scope, Tag, seconds};
use cache_tests::RedisCluster;

use super::{names, on, rendered, soon, store};
use crate::setup::{fill, join, text};

/// A primary other than that of a key.
fn elsewhere(cluster: &RedisCluster, key: &str) -> u16 {
    let owner = cluster.owner(key);
    cluster.primaries().into_iter().find(|port| *port != owner).unwrap()
}

#[tokio::test]
async fn a_slot_that_has_moved_is_found_and_the_others_stay() {
    let cluster = RedisCluster::start();
    let cache = on(&cluster).l1(false).build().unwrap();
    for name in names(30) {
        cache.set("users", name, "v").await.unwrap();
    }
    for name in names(30).into_iter().step_by(3) {
        let key = rendered(&name);
        cluster.move_slot(RedisCluster::slot(&key), elsewhere(&cluster, &key));
    }
    for name in names(30) {
        assert_eq!(text(&cache, "users", &name).await.as_deref(), Some("v"), "{name}");
    }
    assert_eq!(cache.health().await.store_changes, 0, "nothing was forgotten");
}

/// Half of what is in the slot is here, half is there, and what is new comes there.
#[tokio::test]
async fn a_slot_that_is_on_its_way_is_read_and_written_in_both_places() {
    let cluster = RedisCluster::start();
    let store = store(&cluster);
    // All in one slot.
    let key = |n: usize| format!("{{on its way}}:{n}");
    let slot = RedisCluster::slot("on its way");
    let write = async |n: usize, value: &'static str, expect: Option<&'static [u8]>| {
        let put = Put { key: key(n), value: value.into(), ..Put::default() };
        let put = Put { expect: expect.map(Into::into), keep_for: Some(60_000), ..put };
        let batch = WriteBatch { puts: &[put], ..WriteBatch::default() };
        store.write(batch, soon()).await.unwrap().stored == [true]
    };
    for n in 0..10 {
        assert!(write(n, "--------first   ", None).await);
    }
    let to = elsewhere(&cluster, "on its way");
    cluster.begin_move(slot, to);
    cluster.move_some(slot, to, 5);

    for n in 0..12 {
        let fetched = store.fetch(&[&key(n), &key(n)], soon()).await.unwrap();
        assert_eq!(fetched.iter().flatten().count(), if n < 10 { 2 } else { 0 }, "{n}");
    }
    // By a script, which each of the two has to be taught.
    for n in 0..10 {
        assert!(!write(n, "--------none    ", Some(b"other   ")).await);
        assert!(write(n, "--------second  ", Some(b"first   ")).await, "{n}");
    }
    assert!(write(10, "--------new     ", Some(b"")).await);
    let keys: Vec<String> = (0..12).map(key).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let entries = [(keys[11], "created".to_owned()), (keys[0], "too late".to_owned())];
    let created = store.create(&entries, 60_000, soon()).await.unwrap();
    assert_eq!(created, [Some("created".into()), Some("--------second  ".into())]);
    let ids = store.write_ids(&keys[..11], soon()).await.unwrap();
    assert_eq!(ids.iter().flatten().filter(|id| **id == "second  ").count(), 10);
    assert_eq!(store.remove(&keys[..6], soon()).await.unwrap(), 6);
    assert_eq!(store.remove_values(&keys, soon()).await.unwrap(), 6);
    cluster.move_some(slot, to, 100);
    cluster.end_move(slot, to);
    assert!(store.fetch(&keys, soon()).await.unwrap().iter().all(Option::is_none));
}

/// A walk that has passed the new place before a key comes there, and the old one after that, meets
/// it nowhere.
#[tokio::test]
async fn a_walk_meets_what_moves_under_it() {
    let cluster = RedisCluster::start();
    let store = store(&cluster);
    let puts: Vec<Put> = (0..300)
        .map(|n| Put { key: format!("coldcopy:{n}"), value: "v".into(), ..Put::default() })
        .collect();
    let batch = WriteBatch { puts: &puts, ..WriteBatch::default() };
    store.write(batch, soon()).await.unwrap();
    for whole in [true, false] {
        let mut ports = cluster.primaries();
        ports.sort_by_key(|port| cluster.command(*port, &["CLUSTER", "MYID"]).text());
        let (first, last) = (ports[0], ports[ports.len() - 1]);
        let moving = puts.iter().find(|put| cluster.owner(&put.key) == last).unwrap();
        let slot = RedisCluster::slot(&moving.key);
        let (mut cursor, mut steps, mut has_moved) = (0, 0, false);
        let mut met = BTreeMap::<String, usize>::new();
        loop {
            let step = store.scan("coldcopy:*", cursor, soon()).await.unwrap();
            for key in step.keys {
                *met.entry(key).or_default() += 1;
            }
            (cursor, steps) = (step.cursor, steps + 1);
            if cursor == 0 {
                break;
            }
            assert!(steps < 100, "a walk ends");
            // It has met all of the first by now.
            let seen = |put: &Put| cluster.owner(&put.key) != first || met.contains_key(&put.key);
            if !has_moved && puts.iter().all(seen) {
                has_moved = true;
                cluster.begin_move(slot, first);
                cluster.move_some(slot, first, 100);
                if whole {
                    cluster.end_move(slot, first);
                }
            }
        }
        assert!(met.contains_key(&moving.key), "{whole}: {} in {steps} steps", met.len());
        assert!(has_moved && met.len() == puts.len());
        if !whole {
            cluster.end_move(slot, first);
        }
    }
}

/// Everything a service does, by three instances, while slots move by the hundred: no operation
/// fails, none gives a value older than one that was invalidated.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_notices_that_a_cluster_is_resharded() {
    const ROWS: usize = 40;
    let cluster = Arc::new(RedisCluster::start());
    let caches: Vec<Cache> = (0..3).map(|_| on(&cluster).l1(false).build().unwrap()).collect();
    for cache in &caches {
        fill(cache, "users", "warm", "v").await;
    }
    let rows = || Arc::new((0..ROWS).map(|_| AtomicU64::new(0)).collect::<Vec<_>>());
    // What the source says; and what was said of each row when it was last invalidated.
    let (source, demanded) = (rows(), rows());
    let done = Arc::new(AtomicBool::new(false));
    let mut tasks = Vec::new();
    for (instance, cache) in caches.iter().cloned().enumerate() {
        let (source, demanded) = (Arc::clone(&source), Arc::clone(&demanded));
        let done = Arc::clone(&done);
        tasks.push(tokio::spawn(async move {
            let mut rounds = 0_u64;
            while !done.load(Ordering::Relaxed) {
                let row = fastrand::usize(..ROWS);
                let key = row.to_string();
                let at_least = demanded[row].load(Ordering::SeqCst);
                let ask = async || Ok::<_, std::io::Error>(source[row].load(Ordering::SeqCst));
                let found = cache.get_or_compute("users", key.as_str(), ask).await.unwrap();
                assert!(found >= at_least, "row {row}: {found}, after {at_least} was invalidated");
                // One instance alone changes each row.
                if row % 3 == instance && fastrand::u8(..4) == 0 {
                    let next = source[row].fetch_add(1, Ordering::SeqCst) + 1;
                    let outcome = match fastrand::u8(..3) {
                        0 => cache.delete("users", key.as_str()).await.unwrap(),
                        1 => cache.invalidate(Scope::namespace("users")).await.unwrap(),
                        _ => {
                            cache.set("users", key.as_str(), &next).await.unwrap();
                            Invalidated::Complete
                        }
                    };
                    assert!(outcome.is_complete());
                    demanded[row].store(next, Ordering::SeqCst);
                }
                rounds += 1;
            }
            rounds
        }));
    }
    let resharding = {
        let cluster = Arc::clone(&cluster);
        tokio::task::spawn_blocking(move || {
            let primaries = cluster.primaries();
            cluster.reshard(150, primaries[0], primaries[1]);
            cluster.reshard(150, primaries[1], primaries[2]);
        })
    };
    tokio::time::timeout(seconds(60), resharding).await.unwrap().unwrap();
    done.store(true, Ordering::Relaxed);
    let mut rounds = 0;
    for task in tasks {
        rounds += join(task).await;
    }
    assert!(rounds > 100, "{rounds}");
    for cache in &caches {
        let (stats, health) = (cache.stats().total(), cache.health().await);
        assert_eq!(stats.errors, 0, "{stats:?}");
        assert!(health.reachable && health.store_changes == 0, "{health:?}");
        assert_eq!(health.queued_invalidations, 0, "{health:?}");
    }
}

#[tokio::test]
async fn tags_and_limits_follow_their_slots() {
    let cluster = RedisCluster::start();
    let (here, there) = (on(&cluster).l1(false), on(&cluster).l1(false));
    let (here, there) = (here.build().unwrap(), there.build().unwrap());
    let set = async |cache: &Cache| cache.namespace("users").set("1", "v").tag("t").await.unwrap();
    set(&here).await;
    let limiter = there.rate_limiter("l");
    let counted = limiter.check("k", 5, seconds(60)).await;
    assert_eq!((counted.counted_by, counted.count), (CountedBy::Store, 1));
    for (count, key) in (2..).zip(cluster.keys("coldcopy:*")) {
        cluster.move_slot(RedisCluster::slot(&key), elsewhere(&cluster, &key));
        assert_eq!(text(&there, "users", "1").await.as_deref(), Some("v"), "{key}");
        there.invalidate(Tag::new("t")).await.unwrap();
        assert_eq!(text(&here, "users", "1").await, None, "{key}");
        set(&here).await;
        if count <= 5 {
            let counted = limiter.check("k", 5, seconds(60)).await;
            assert_eq!((counted.counted_by, counted.count), (CountedBy::Store, count), "{key}");
        }
    }
}
