//! Counters by workspace: the same reads and computations as by namespace, to the last, and not
//! without bound.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use cache_core::{Cache, Key, MAX_COUNTED_WORKSPACES, Namespace, NamespaceStats};

use crate::setup::{Setup, join, on_every_setup};

type Failure = std::io::Error;

const TASKS: u64 = 64;
const ROUNDS: u64 = 20;
const WORKSPACES: u64 = 4;

fn reads(stats: &NamespaceStats) -> u64 {
    stats.hits + stats.misses
}

fn sum(cache: &Cache, of: impl Fn(&NamespaceStats) -> u64) -> u64 {
    let stats = cache.stats();
    stats.workspaces.values().map(&of).sum::<u64>() + of(&stats.other_workspaces)
}

/// Each round: a read that is a miss, one that may be either, one that computes, and two at once.
async fn task(cache: Cache, number: u64) {
    for round in 0..ROUNDS {
        let workspace = Key::workspace(format!("ws{}", number % WORKSPACES));
        let shared = workspace.clone().segment((round % 5).to_string());
        let own = workspace.segment(format!("{number}:{round}"));
        let found: Option<String> = cache.get("users", &own).await.unwrap();
        assert_eq!(found, None);
        let _: Option<String> = cache.get("users", &shared).await.unwrap();
        let compute = async || Ok::<_, std::io::Error>("v".to_owned());
        cache.get_or_compute("users", &shared, compute).await.unwrap();
        let both = cache.get_many::<String, _>("users", [&shared, &own]).await.unwrap();
        assert_eq!(both.len(), 2);
    }
}

async fn reads_are_counted_to_the_last(setup: Setup) {
    let cache = setup.cache();
    let tasks: Vec<_> = (0..TASKS).map(|n| tokio::spawn(task(cache.clone(), n))).collect();
    for task in tasks {
        join(task).await;
    }
    let stats = cache.stats();
    let users = &stats.namespaces["users"];
    assert_eq!(reads(users), TASKS * ROUNDS * 5);
    assert!(users.hits > 0 && users.misses >= 2 * TASKS * ROUNDS, "{users:?}");
    assert_eq!(stats.workspaces.len() as u64, WORKSPACES);
    for (name, workspace) in &stats.workspaces {
        assert_eq!(reads(workspace), reads(users) / WORKSPACES, "{name}");
        assert_eq!(cache.workspace_stats(name).as_ref(), Some(workspace));
    }
    let counts: [fn(&NamespaceStats) -> u64; 6] = [
        |one| one.hits,
        |one| one.l1_hits,
        |one| one.misses,
        |one| one.computes,
        |one| one.sets,
        |one| one.bytes_read,
    ];
    for of in counts {
        assert_eq!(sum(&cache, of), of(users));
    }
}

/// How often functions were called for keys of one workspace, and how often of those in vain.
#[derive(Default)]
struct Calls {
    all: AtomicU64,
    failed: AtomicU64,
}

impl Calls {
    async fn work(&self, fails: bool) -> Result<String, Failure> {
        self.all.fetch_add(1, Ordering::SeqCst);
        // So that others come meanwhile.
        tokio::task::yield_now().await;
        if fails {
            self.failed.fetch_add(1, Ordering::SeqCst);
            return Err(Failure::other("no"));
        }
        Ok("v".to_owned())
    }

    async fn work_for(self: Arc<Self>, keys: Vec<Key>) -> Result<Vec<(Key, String)>, Failure> {
        let value = self.work(false).await?;
        Ok(keys.into_iter().map(|key| (key, value.clone())).collect())
    }

    fn counted(&self) -> (u64, u64) {
        (self.all.load(Ordering::SeqCst), self.failed.load(Ordering::SeqCst))
    }
}

/// Each round: a key of its own, one that others ask for, one that can't be computed, and a batch.
async fn computing(cache: Cache, number: u64, calls: Arc<Calls>) {
    for round in 0..ROUNDS {
        let workspace = Key::workspace(format!("ws{}", number % WORKSPACES));
        let key = |name: String| workspace.clone().segment(name);
        let own = ["single", "batch"].map(|kind| key(format!("{number}:{round}:{kind}")));
        let shared = ["single", "batch"].map(|kind| key(format!("{}:{kind}", round % 5)));
        let failing = key("none".to_owned());
        for (key, fails) in [(&own[0], false), (&shared[0], false), (&failing, true)] {
            let asked = cache.get_or_compute("users", key, || calls.work(fails)).await;
            assert_eq!(asked.is_err(), fails);
        }
        let keys = [&own[1], &shared[0], &shared[1]].map(Key::clone);
        let work = |keys| Arc::clone(&calls).work_for(keys);
        let found = cache.get_or_compute_many("users", keys, work).await;
        assert!(found.iter().all(Result::is_ok));
    }
}

async fn computations_are_counted_to_the_last(setup: Setup) {
    let cache = setup.cache();
    let calls: Vec<Arc<Calls>> = (0..WORKSPACES).map(|_| Arc::default()).collect();
    let tasks: Vec<_> = (0..TASKS)
        .zip(calls.iter().cycle())
        .map(|(n, calls)| tokio::spawn(computing(cache.clone(), n, Arc::clone(calls))))
        .collect();
    for task in tasks {
        join(task).await;
    }
    let stats = cache.stats();
    let counted = |one: &NamespaceStats| (one.computes, one.compute_failures);
    let mut called = (0, 0);
    for (n, calls) in calls.iter().enumerate() {
        let (all, failed) = calls.counted();
        called = (called.0 + all, called.1 + failed);
        let workspace = format!("ws{n}");
        assert_eq!(counted(&stats.workspaces[workspace.as_str()]), (all, failed), "{workspace}");
    }
    let users = &stats.namespaces["users"];
    assert_eq!(counted(users), called);
    assert_eq!(users.compute_times.count(), called.0);
    assert_eq!(sum(&cache, |one| one.computes), called.0);
    assert_eq!(sum(&cache, |one| one.compute_failures), called.1);
    let own = 2 * TASKS * ROUNDS;
    assert!(called.0 > own + called.1 && called.1 > 0, "{called:?}");
}

mod on_threads {
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn in_memory() {
        reads_are_counted_to_the_last(Setup::memory()).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn on_redis() {
        reads_are_counted_to_the_last(Setup::redis()).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn tiered() {
        reads_are_counted_to_the_last(Setup::tiered()).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn computations_in_memory() {
        computations_are_counted_to_the_last(Setup::memory()).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn computations_on_redis() {
        computations_are_counted_to_the_last(Setup::redis()).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn computations_tiered() {
        computations_are_counted_to_the_last(Setup::tiered()).await;
    }
}

async fn the_first_segment_may_name_it(setup: Setup) {
    let reports = Namespace::new("reports").by_workspace();
    let cache = setup.builder().namespace(reports).build().unwrap();
    cache.set("reports", "ws1:1", "v").await.unwrap();
    for key in ["ws1:1", "ws2:1", "ws1:2"] {
        let _: Option<String> = cache.get("reports", key).await.unwrap();
    }
    // These name none.
    let _: Option<String> = cache.get("users", "ws1:1").await.unwrap();
    let _: Option<String> = cache.get("reports", Key::shared().segment("1")).await.unwrap();
    let of = |name| cache.workspace_stats(name).map(|one| (one.hits, one.misses, one.sets));
    assert_eq!((of("ws1"), of("ws2")), (Some((1, 1, 1)), Some((0, 1, 0))));
    assert_eq!((of("ws3"), of("-"), cache.stats().workspaces.len()), (None, None, 2));
}

on_every_setup!(the_first_segment_may_name_it);

#[tokio::test]
async fn there_are_never_too_many_and_none_is_lost() {
    let cache = Setup::memory().cache();
    let tenants = MAX_COUNTED_WORKSPACES as u64 + 500;
    for n in 0..tenants {
        let key = Key::workspace(format!("ws{n}")).segment("1");
        let _: Option<String> = cache.get("users", &key).await.unwrap();
        cache.set("users", &key, "v").await.unwrap();
    }
    let stats = cache.stats();
    assert_eq!(stats.workspaces.len(), MAX_COUNTED_WORKSPACES);
    assert_eq!(sum(&cache, |one| one.misses), tenants);
    assert_eq!(stats.other_workspaces.sets, 500, "for all others there is no place");
    cache.clear("users").await.unwrap();
    let key = Key::workspace("late").segment("1");
    let _: Option<String> = cache.get("users", &key).await.unwrap();
    assert_eq!(
        cache.workspace_stats("late").unwrap().misses,
        1,
        "in the place of one that is idle"
    );
    assert_eq!(sum(&cache, |one| one.misses), tenants + 1);
}
