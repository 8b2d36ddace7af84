//! Finding the cluster, and sharing out what is stored.

use std::collections::BTreeSet;

use cache_core::store::Store;
use cache_core::{Cache, Clock, ClusterStore, ErrorKind, RedisOptions, Scope, Stopwatch, seconds};
use cache_tests::ports::free_port;
use cache_tests::{RedisCluster, RedisServer};

use super::{on, soon, took_long};
use crate::setup::{fill, nodes, shared_cluster, text, unique_prefix};

#[tokio::test]
async fn entries_lie_on_all_primaries_and_come_back_together() {
    let cluster = shared_cluster();
    let prefix = unique_prefix();
    let cache = on(cluster).prefix(&prefix).l1(false).build().unwrap();
    let items: Vec<(String, usize)> = (0..200).map(|n| (n.to_string(), n)).collect();
    cache.set_many("users", items.clone()).await.unwrap();
    let found: Vec<Option<usize>> =
        cache.get_many("users", items.iter().map(|(key, _)| key.as_str())).await.unwrap();
    assert!(found.into_iter().enumerate().all(|(n, found)| found == Some(n)));
    let keys: Vec<String> =
        items.iter().map(|(key, _)| format!("{prefix}:users:v1:{key}")).collect();
    let owners: BTreeSet<u16> = keys.iter().map(|key| cluster.owner(key)).collect();
    assert_eq!(owners.len(), 3);
    assert!(keys.iter().all(|key| cluster.get(key).is_some()));

    assert!(cache.invalidate(Scope::namespace("users")).await.unwrap().is_complete());
    assert_eq!(text(&cache, "users", "1").await, None);
    cache.set("users", "1", "v").await.unwrap();
    assert_eq!(cache.delete_pattern("users", "*").await.unwrap(), 200);
    assert!(cluster.keys(&format!("{prefix}:users:*")).is_empty());
}

#[tokio::test]
async fn one_node_of_those_named_is_enough_and_a_replica_will_do() {
    let cluster = shared_cluster();
    let primaries = cluster.primaries();
    let replica = cluster.ports().iter().find(|port| !primaries.contains(port)).unwrap();
    let named = [format!("127.0.0.1:{}", free_port()), format!("127.0.0.1:{replica}")];
    let options = RedisOptions::cluster(named).unwrap();
    let cache = on(cluster).prefix(unique_prefix()).redis(options).build().unwrap();
    for n in 0..20 {
        cache.set("users", n.to_string(), "v").await.unwrap();
    }
    let health = cache.health().await;
    assert!(health.reachable, "{health:?}");
    assert_eq!((health.store, cache.store_name()), ("redis-cluster", Some("redis-cluster")));
    let stats = cache.server_stats().await.unwrap();
    assert!(stats.keys >= Some(20) && stats.used_memory.is_some(), "{stats:?}");
    let pool = cache.gauges().pool.unwrap();
    assert!(pool.connections >= 3, "{pool:?}");
}

#[tokio::test]
async fn the_environment_names_nodes_and_beats_the_url() {
    let cluster = shared_cluster();
    let vars = [
        ("REDIS_CLUSTER_NODES", cluster.nodes().join(", ")),
        ("REDIS_URL", "redis://127.0.0.1:1".to_owned()),
        ("REDIS_CACHE_PREFIX", unique_prefix()),
    ];
    let vars = vars.map(|(name, value)| (name.to_owned(), value));
    let builder = Cache::builder().from_vars(vars).unwrap();
    let cache = builder.operation_budget(seconds(10)).build().unwrap();
    cache.set("users", "1", "v").await.unwrap();
    assert_eq!(cache.health().await.store, "redis-cluster");
}

#[tokio::test]
async fn nobody_waits_for_a_cluster_that_is_not_there_and_it_is_found_when_it_is() {
    let silent = RedisServer::start();
    let options = RedisOptions::cluster([format!("127.0.0.1:{}", silent.port())]).unwrap();
    silent.stop();
    let cache = Cache::builder().prefix("coldcopy").redis(options).build().unwrap();
    let since = Stopwatch::start();
    for n in 0..100 {
        assert_eq!(fill(&cache, "users", &n.to_string(), "v").await, "v");
    }
    assert!(!took_long(since), "{:?}", since.elapsed());
    silent.resume();
    let health = cache.health().await;
    assert!(!health.reachable, "{health:?}");
}

/// Pinned by what each of them says: neither is found out by the first user who misses something.
#[tokio::test]
async fn what_is_no_cluster_and_who_may_not_ask_are_told_so() {
    let server = RedisServer::start();
    let options = RedisOptions::cluster([format!("127.0.0.1:{}", server.port())]).unwrap();
    let error = ClusterStore::new(&options, Clock::system()).unwrap().ping(soon()).await;
    let error = error.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied);
    assert!(error.to_string().contains("no node of a cluster"), "{error}");
    assert!(error.to_string().contains(&server.port().to_string()), "{error}");
}

#[tokio::test]
async fn reads_and_writes_are_enough_with_the_right_to_ask_for_the_map() {
    let cluster = RedisCluster::start();
    for rights in ["+cluster|shards", "+cluster|slots"] {
        for port in cluster.ports() {
            let user = ["ACL", "SETUSER", "app", "reset", "on", ">pw", "~coldcopy:*", "+@read"];
            let more = ["+@write", "+@connection", "+asking", rights];
            let set = cluster.command(*port, &[&user[..], &more].concat());
            assert!(!set.is_error(), "{}", set.text());
        }
        let options = nodes(&cluster).credentials(Some("app"), Some("pw"));
        let cache = on(&cluster).redis(options).l1(false).build().unwrap();
        for n in 0..20 {
            cache.set("users", n.to_string(), rights).await.unwrap();
        }
        for n in 0..20 {
            assert_eq!(text(&cache, "users", &n.to_string()).await.as_deref(), Some(rights));
        }
        assert!(cache.invalidate(Scope::namespace("users")).await.unwrap().is_complete());
        assert_eq!(text(&cache, "users", "1").await, None);
        assert_eq!(cache.delete_pattern("users", "*").await.unwrap(), 20);
    }
}
