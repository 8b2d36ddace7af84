//! Redis Cluster: what is in several places, moves, or is lost with a node.
//!
//! That every operation does there what it does on one server, the tests of the operations show
//! (`on_every_setup!(and on a cluster: ..)`), and those of the contract of stores.

mod basics;
mod hearing;
mod loss;
mod moving;
mod steps;
mod tls;

use std::sync::Arc;
use std::time::Duration;

use cache_core::{Builder, Cache, Clock, ClusterStore, Deadline, Stopwatch, seconds};
use cache_tests::RedisCluster;

use crate::setup::nodes;

/// A cache on this cluster, with a generous budget.
fn on(cluster: &RedisCluster) -> Builder {
    Cache::builder().prefix("coldcopy").redis(nodes(cluster)).operation_budget(seconds(10))
}

fn store(cluster: &RedisCluster) -> Arc<ClusterStore> {
    Arc::new(ClusterStore::new(&nodes(cluster), Clock::system()).unwrap())
}

fn soon() -> Deadline {
    Deadline::after(seconds(10))
}

/// One whose replicas take over soon.
fn failing_over_soon() -> RedisCluster {
    RedisCluster::builder().node_timeout(Duration::from_millis(1500)).start()
}

/// So many names, of which every primary has some.
fn names(count: usize) -> Vec<String> {
    (0..count).map(|n| n.to_string()).collect()
}

/// What the entry of a key lies under.
fn rendered(name: &str) -> String {
    format!("coldcopy:users:v1:{name}")
}

/// Whether that took longer than a few budgets.
fn took_long(since: Stopwatch) -> bool {
    since.elapsed() > seconds(2)
}
