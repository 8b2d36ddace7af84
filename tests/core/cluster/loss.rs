//! A node that is lost costs what is in its slots, until its replica has taken them over.

use cache_core::{Cache, Scope, Stopwatch, Tag};
use cache_tests::wait::eventually_some;
use cache_tests::{RedisCluster, eventually};

use super::{failing_over_soon, names, on, rendered, took_long};
use crate::setup::{PATIENCE, fill, join, nodes, text};

/// The names of entries that lie on this node, and of those that don't.
fn split(cluster: &RedisCluster, names: Vec<String>, port: u16) -> (Vec<String>, Vec<String>) {
    names.into_iter().partition(|name| cluster.owner(&rendered(name)) == port)
}

/// A primary on which none of the scopes of all entries lies.
fn dispensable(cluster: &RedisCluster) -> u16 {
    let scopes: Vec<u16> =
        cluster.keys("coldcopy:gen:*").iter().map(|k| cluster.owner(k)).collect();
    let primaries = cluster.primaries();
    let free = primaries.iter().find(|port| !scopes.contains(port));
    *free.expect("three scopes on two nodes: see `scopes_on_two_nodes`")
}

/// Moves the slots of all scopes to two of the three primaries.
fn scopes_on_two_nodes(cluster: &RedisCluster) {
    let primaries = cluster.primaries();
    for key in cluster.keys("coldcopy:gen:*") {
        if cluster.owner(&key) == primaries[2] {
            cluster.move_slot(RedisCluster::slot(&key), primaries[0]);
        }
    }
}

/// With a budget as usual, on a cluster where all have a value; and reads one.
async fn with_all_there(cluster: &RedisCluster) -> Cache {
    let cache =
        Cache::builder().prefix("coldcopy").redis(nodes(cluster)).l1(false).build().unwrap();
    for name in names(60) {
        on(cluster).build().unwrap().set("users", name.as_str(), "v").await.unwrap();
    }
    scopes_on_two_nodes(cluster);
    assert_eq!(text(&cache, "users", "1").await.as_deref(), Some("v"));
    cache
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_others_go_on_and_its_replica_takes_over_without_what_was_invalidated() {
    let cluster = failing_over_soon();
    // With the default budget; and one with memory.
    let build = || Cache::builder().prefix("coldcopy").redis(nodes(&cluster));
    let (here, there) = (build().l1(false).build().unwrap(), build().build().unwrap());
    for name in names(60) {
        on(&cluster).build().unwrap().set("users", name.as_str(), "v").await.unwrap();
    }
    scopes_on_two_nodes(&cluster);
    for name in names(60) {
        let known = async || text(&there, "users", &name).await;
        eventually_some(PATIENCE, "memory has it", known).await;
    }
    let lost = dispensable(&cluster);
    let (gone, kept) = split(&cluster, names(60), lost);
    assert!(gone.len() > 5 && kept.len() > 5);
    cluster.command(lost, &["WAIT", "1", "1000"]);
    cluster.kill(lost);

    let since = Stopwatch::start();
    for name in gone.iter().chain(&kept) {
        assert_eq!(fill(&here, "users", name, "computed").await.len(), {
            if gone.contains(name) { "computed".len() } else { "v".len() }
        });
        assert_eq!(fill(&there, "users", name, "computed").await, "v", "from memory");
    }
    assert!(!took_long(since), "{:?}", since.elapsed());
    let deleted = here.delete("users", kept[0].as_str()).await.unwrap();
    assert!(deleted.is_complete(), "its node is there");

    // What was on the node comes back with its replica; what was deleted there meanwhile does not.
    assert!(!here.delete("users", gone[0].as_str()).await.unwrap().is_complete());
    tokio::task::block_in_place(|| cluster.wait_for_failover_of(lost));
    let found = async || {
        let found = text(&here, "users", &gone[1]).await;
        assert_eq!(text(&here, "users", &gone[0]).await, None);
        found
    };
    assert_eq!(eventually_some(PATIENCE, "it is read again", found).await, "v");
    for name in &gone[1..] {
        assert_eq!(text(&here, "users", name).await.as_deref(), Some("v"), "{name}");
    }
    assert_eq!(here.health().await.store_changes, 1);
    here.set("users", gone[0].as_str(), "new").await.unwrap();
    assert_eq!(text(&here, "users", &gone[0]).await.as_deref(), Some("new"));
}

/// The replica that took over had not been told of all that the primary had confirmed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_lagged_brings_nothing_back() {
    let cluster = failing_over_soon();
    let cache = on(&cluster).l1(false).build().unwrap();
    let idle = on(&cluster).l1(false).build().unwrap();
    // What these had set, they would remove.
    let writer = on(&cluster).build().unwrap();
    for name in names(20) {
        writer.set("users", name.as_str(), "old").await.unwrap();
        assert_eq!(text(&idle, "users", &name).await.as_deref(), Some("old"));
    }
    drop(writer);
    let lost = cluster.owner(&rendered("0"));
    cluster.command(lost, &["WAIT", "1", "1000"]);
    let primaries = cluster.primaries();
    let replicas: Vec<u16> =
        cluster.ports().iter().copied().filter(|port| !primaries.contains(port)).collect();
    for port in &replicas {
        cluster.stop(*port);
    }
    // What it has sent already would arrive all the same.
    cluster.command(lost, &["CLIENT", "KILL", "TYPE", "replica"]);
    assert!(cache.delete("users", "0").await.unwrap().is_complete());
    cluster.kill(lost);
    for port in &replicas {
        cluster.resume(*port);
    }
    tokio::task::block_in_place(|| cluster.wait_for_failover_of(lost));
    for cache in [&idle, &cache] {
        eventually_some(PATIENCE, "the store is read again", async || {
            assert_ne!(text(cache, "users", "0").await.as_deref(), Some("old"));
            text(cache, "users", "1").await
        })
        .await;
        assert_eq!(text(cache, "users", "0").await, None);
    }
}

/// Pinned: as long as any node was silent, a process that had nothing to do repeated nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_replica_was_not_told_is_repeated_though_another_node_is_silent() {
    let cluster = failing_over_soon();
    let key = rendered("0");
    on(&cluster).build().unwrap().set("users", "0", "old").await.unwrap();
    let idle = on(&cluster).l1(false).build().unwrap();
    assert_eq!(text(&idle, "users", "0").await.as_deref(), Some("old"));
    let (lost, old) = (cluster.owner(&key), cluster.get(&key));
    let primaries = cluster.primaries();
    let is_replica = |port: &u16| {
        let told = cluster.command(*port, &["INFO", "replication"]).text();
        !primaries.contains(port) && told.contains(&format!("master_port:{lost}"))
    };
    let replica = cluster.ports().iter().copied().find(is_replica).unwrap();
    cluster.command(lost, &["WAIT", "1", "1000"]);
    cluster.stop(replica);
    cluster.command(lost, &["CLIENT", "KILL", "TYPE", "replica"]);
    assert!(idle.delete("users", "0").await.unwrap().is_complete());

    let silent = primaries.into_iter().find(|port| *port != lost).unwrap();
    cluster.stop(silent);
    cluster.kill(lost);
    cluster.resume(replica);
    // Without asking the others, of whom there are too few.
    cluster.command(replica, &["CLUSTER", "FAILOVER", "TAKEOVER"]);
    let held = || cluster.command(replica, &["GET", &key]);
    eventually(PATIENCE, "it has taken over", || !held().is_error()).await;
    eventually(PATIENCE, "it was told", || held().bytes() != old.as_deref()).await;
    cluster.resume(silent);
}

/// It answers nothing, and its connections stay open.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_hangs_is_waited_for_by_few_and_found_when_it_goes_on() {
    let cluster = RedisCluster::start();
    let cache = with_all_there(&cluster).await;
    let lost = dispensable(&cluster);
    let (gone, kept) = split(&cluster, names(60), lost);
    cluster.stop(lost);
    let since = Stopwatch::start();
    for _ in 0..10 {
        for name in &gone {
            assert_eq!(fill(&cache, "users", name, "computed").await, "computed");
        }
        for name in &kept {
            assert_eq!(fill(&cache, "users", name, "computed").await, "v");
        }
    }
    assert!(!took_long(since), "{:?}", since.elapsed());
    let health = cache.health().await;
    assert!(!health.reachable && health.fault.unwrap().contains(&lost.to_string()));
    cluster.resume(lost);
    eventually_some(PATIENCE, "it is asked again", async || text(&cache, "users", &gone[0]).await)
        .await;
    assert!(cache.invalidate(Scope::namespace("users")).await.unwrap().is_complete());
    assert_eq!(cache.health().await.store_changes, 0);
    eventually(PATIENCE, "no write is under way", || cache.background().running() == 0).await;
}

/// Pinned: as long as any node was away, the generations on the others were idle, and so the first to be
/// evicted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn generations_on_the_others_are_not_idle_meanwhile() {
    let cluster = RedisCluster::start();
    let cache = with_all_there(&cluster).await;
    let lost = dispensable(&cluster);
    let (_, kept) = split(&cluster, names(60), lost);
    cluster.stop(lost);
    let idle = |key: &str| -> Option<u64> {
        cluster.command(cluster.owner(key), &["OBJECT", "IDLETIME", key]).text().parse().ok()
    };
    // Nobody asks for the entry any more, nor, but for the task, for its generations.
    eventually_some(PATIENCE, "the entry is idle, and its generations are not", async || {
        let entry = idle(&rendered(&kept[0]))?;
        let generations = ["coldcopy:gen:p", "coldcopy:gen:n:users"].map(idle);
        let busy = |idle: &Option<u64>| idle.is_some_and(|idle| idle + 3 < entry);
        (entry >= 9 && generations.iter().all(busy)).then_some(())
    })
    .await;
    assert!(!cache.health().await.reachable);
    cluster.resume(lost);
}

/// Pinned: reads that were gathered with one of a key on the lost node failed with it, and so did
/// all keys of a `get_many`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_reads_at_once_only_those_of_the_lost_node_miss() {
    let cluster = RedisCluster::start();
    let cache = with_all_there(&cluster).await;
    let (gone, kept) = split(&cluster, names(60), dispensable(&cluster));
    cluster.stop(dispensable(&cluster));
    // After a few that waited in vain it is known.
    for name in gone.iter().take(4) {
        assert_eq!(text(&cache, "users", name).await, None);
    }
    for _ in 0..5 {
        let mixed = kept.iter().zip(gone.iter().cycle()).take(16).flat_map(|(a, b)| [a, b]);
        let readers: Vec<_> = mixed
            .map(|name| {
                let (cache, name) = (cache.clone(), name.clone());
                tokio::spawn(async move { (text(&cache, "users", &name).await, name) })
            })
            .collect();
        assert_eq!(readers.len(), 32);
        for reader in readers {
            let (found, name) = join(reader).await;
            assert_eq!(found.is_some(), kept.contains(&name), "{name}");
        }
    }
    let all = names(60);
    let keys = all.iter().map(String::as_str);
    let found: Vec<Option<String>> = cache.get_many("users", keys).await.unwrap();
    for (name, found) in all.iter().zip(found) {
        assert_eq!(found.is_some(), kept.contains(name), "{name}");
    }
}

/// Pinned: the tags of all entries that were read were asked for at once, and one node that was lost
/// made all of them misses.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_tagged_entries_only_those_miss_that_have_something_on_the_lost_node() {
    let cluster = RedisCluster::start();
    let writer = on(&cluster).l1(false).build().unwrap();
    for name in names(60) {
        let tag = Tag::new(name.clone());
        writer.namespace("users").set(name.as_str(), "v").tag(tag).await.unwrap();
    }
    // The others may be on the lost node: of the scopes of all entries none is.
    let of_all = ["coldcopy:gen:p:coldcopy", "coldcopy:gen:n:users"];
    let homes = of_all.map(|scope| cluster.owner(scope));
    let free = |port: &&u16| !homes.contains(port);
    let lost = *cluster.primaries().iter().find(free).expect("two scopes on two nodes at most");
    cluster.stop(lost);
    let is_there = |key: &str| cluster.owner(key) != lost;
    let kept =
        |name: &String| is_there(&rendered(name)) && is_there(&format!("coldcopy:gen:t:{name}"));
    // After a few that waited in vain it is known.
    let cache = Cache::builder().prefix("coldcopy").redis(nodes(&cluster)).l1(false);
    let cache = cache.build().unwrap();
    for name in names(60).iter().filter(|name| !is_there(&rendered(name))).take(6) {
        assert_eq!(text(&cache, "users", name).await, None);
    }
    let all = names(60);
    let found = async || {
        let keys = all.iter().map(String::as_str);
        let found: Vec<Option<String>> = cache.get_many("users", keys).await.unwrap();
        let found = all.iter().zip(found);
        found.filter_map(|(name, found)| found.map(|_| name.clone())).collect::<Vec<_>>()
    };
    let kept: Vec<String> = all.iter().filter(|name| kept(name)).cloned().collect();
    assert!(kept.len() > 10 && kept.len() < 50, "{kept:?}");
    eventually_some(PATIENCE, "all others are found", async || {
        (found().await == kept).then_some(())
    })
    .await;
    for _ in 0..10 {
        assert_eq!(found().await, kept);
    }
}
