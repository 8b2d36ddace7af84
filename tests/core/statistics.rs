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
    let counted = stats(&cache);
    let NamespaceStats { hits, l1_hits, misses, sets, deletes, computes, .. } = counted;
    assert_eq!((hits, misses, sets, deletes, computes), (4, 3, 4, 4, 1));
    assert_eq!(l1_hits, if setup.has_l1() { 4 } else { 0 });
    assert_eq!((counted.stale, counted.errors, counted.unreadable), (0, 0, 0));
    assert_eq!(counted.compute_times.count(), 1);
    assert_eq!(counted.bytes_written > 0, !setup.is_memory(), "{counted:?}");
    assert_eq!(counted.bytes_read > 0, !setup.is_memory(), "{counted:?}");
    assert_eq!(cache.stats().total(), counted);
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

async fn a_hit_saves_what_it_takes_to_compute(setup: Setup) {
    let cache = setup.cache();
    let slow = async || {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        Ok::<_, std::io::Error>("v".to_owned())
    };
    for _ in 0..4 {
        cache.get_or_compute("users", "1", slow).await.unwrap();
        settled(&cache).await;
    }
    let counted = stats(&cache);
    assert_eq!((counted.hits, counted.misses, counted.computes), (3, 1, 1));
    assert_eq!(counted.saved_us, 3 * counted.compute_us);
    assert!(counted.compute_us >= 20_000, "{counted:?}");
    assert_eq!(counted.saved_times.count(), 3);
    let mut both = counted;
    both.merge(&counted);
    assert_eq!((both.saved_us, both.hit_ratio()), (2 * counted.saved_us, Some(0.75)));
}

on_every_setup!(
    each_operation_counts_what_it_did,
    hits_and_misses_are_reads,
    a_cancelled_leader_is_one_read_and_its_waiters_one_each,
    a_hit_saves_what_it_takes_to_compute,
);

/// Pinned: adding up what others had sent could overflow.
#[tokio::test]
async fn what_others_have_counted_can_be_added_whatever_it_is() {
    let most = format!(r#"{{"namespaces":{{"users":{{"hits":{0},"misses":{0}}}}}}}"#, u64::MAX);
    let stats: Stats = serde_json::from_str(&most).unwrap();
    let mut both = stats.namespaces["users"];
    both.merge(&stats.total());
    assert_eq!((both.hits, both.hit_ratio()), (u64::MAX, Some(1.0)));
}

#[tokio::test]
async fn a_snapshot_of_an_older_version_is_read() {
    let older = r#"{"namespaces":{"users":{"hits":3,"of_a_newer_version":1}}}"#;
    let stats: Stats = serde_json::from_str(older).unwrap();
    assert_eq!((stats.namespaces["users"].hits, stats.total().misses), (3, 0));
}

#[tokio::test]
async fn a_ratio_that_stays_low_is_said_once_in_a_while() {
    const LOW: &str = "hardly any read is a hit";
    let setup = Setup::memory();
    let quiet = cache_core::Namespace::new("quiet").hit_ratio_warning(0, 10);
    let cache = setup.builder().namespace(quiet).hit_ratio_warning(50, 10).build().unwrap();
    crate::audit::listen();
    cache.set("good", "1", "v").await.unwrap();
    let minute = async || {
        setup.clock.advance(minutes(1));
        for n in 0..20 {
            text(&cache, "users", "none").await;
            text(&cache, "quiet", "none").await;
            text(&cache, "few", "none").await;
            text(&cache, "good", if n % 2 == 0 { "1" } else { "none" }).await;
            if n == 0 {
                // Fewer reads than tell something.
                cache.set("few", "none", "v").await.unwrap();
            }
        }
    };
    for n in 0..20 {
        text(&cache, "users", &n.to_string()).await;
    }
    assert_eq!(crate::audit::said(LOW).len(), 0, "it is not low for long");
    minute().await;
    let said = crate::audit::said(LOW);
    assert_eq!(said.len(), 1, "{said:?}");
    assert_eq!((&*said[0]["namespace"], &*said[0]["hit_percent"]), ("users", "0"));
    for _ in 0..4 {
        minute().await;
    }
    assert_eq!(crate::audit::said(LOW).len(), 0, "said not long ago");
    minute().await;
    assert_eq!(crate::audit::said(LOW).len(), 1);
}

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
