//! The connection on which changes are told is cut, leads nowhere, or its server goes away.

use std::time::Duration;

use cache_core::{COHERENCE_BOUND, Cache};
use cache_tests::clock::Stopwatch;
use cache_tests::wait::eventually_some;
use cache_tests::{FaultProxy, Mode};

use super::{Nodes, from_memory, proven, remembered, sees};
use crate::setup::{PATIENCE, settled, text};

/// For what the bound does not count: the read itself, a machine that does other things too.
const SLACK: Duration = Duration::from_secs(3);

/// A node with "old" in its memory, which answers only if it is proven to be true.
async fn with_old(nodes: &Nodes, cache: &Cache, writer: &Cache) {
    writer.set("users", "1", "old").await.unwrap();
    sees(cache, "1", Some("old")).await;
    settled(writer).await;
    remembered(cache, "1").await;
    nodes.age();
    assert!(from_memory(cache, "1").await);
}

#[tokio::test]
async fn a_connection_that_is_killed() {
    let nodes = Nodes::start();
    let (here, there) = (nodes.node().await, nodes.node().await);
    for round in 0..5 {
        with_old(&nodes, &there, &here).await;
        // Nobody is told of this one.
        nodes.kill_trackers();
        let changed = Stopwatch::start();
        here.set("users", "1", &format!("new {round}")).await.unwrap();
        sees(&there, "1", Some(&format!("new {round}"))).await;
        assert!(changed.elapsed() < COHERENCE_BOUND + SLACK);
        for cache in [&here, &there] {
            proven(cache).await;
        }
    }
}

#[tokio::test]
async fn a_server_that_hangs() {
    let nodes = Nodes::start();
    let (here, there) = (nodes.node().await, nodes.node().await);
    let hurried = nodes.builder().operation_budget(Duration::from_millis(50)).build().unwrap();
    proven(&hurried).await;
    with_old(&nodes, &there, &here).await;
    with_old(&nodes, &hurried, &here).await;
    nodes.redis.stop();
    let stopped = Stopwatch::start();
    assert!(from_memory(&hurried, "1").await, "for a while");
    eventually_some(PATIENCE, "nothing is proven any more", async || {
        text(&hurried, "users", "1").await.is_none().then_some(())
    })
    .await;
    assert!(stopped.elapsed() < COHERENCE_BOUND + SLACK, "{:?}", stopped.elapsed());
    let coherence = hurried.health().await.coherence;
    assert!(!coherence.proven && coherence.fault.is_some(), "{coherence:?}");
    nodes.redis.resume();
    proven(&hurried).await;
    remembered(&hurried, "1").await;
    nodes.age();
    assert!(from_memory(&hurried, "1").await, "and it lives long again");
}

#[tokio::test]
async fn a_connection_that_leads_nowhere_while_others_pass() {
    let nodes = Nodes::start();
    let here = nodes.node().await;
    let proxy = FaultProxy::start(nodes.redis.port()).await;
    let there = nodes.through(&nodes.redis.url_through(proxy.port())).build().unwrap();
    proven(&there).await;
    with_old(&nodes, &there, &here).await;
    proxy.set(Mode::Blackhole).await;
    let changed = Stopwatch::start();
    here.set("users", "1", "new").await.unwrap();
    // Only what was sent meanwhile has vanished: the sign of life that was asked for.
    eventually_some(PATIENCE, "it is noticed", async || {
        there.health().await.coherence.fault.map(drop)
    })
    .await;
    proxy.set(Mode::Pass).await;
    sees(&there, "1", Some("new")).await;
    assert!(changed.elapsed() < COHERENCE_BOUND + SLACK, "{:?}", changed.elapsed());
    proven(&there).await;
}

#[tokio::test]
async fn a_server_that_is_restarted() {
    let nodes = Nodes::start();
    let (here, there) = (nodes.node().await, nodes.node().await);
    with_old(&nodes, &there, &here).await;
    nodes.redis.restart();
    sees(&there, "1", None).await;
    for cache in [&here, &there] {
        proven(cache).await;
    }
    with_old(&nodes, &there, &here).await;
    here.set("users", "1", "new").await.unwrap();
    sees(&there, "1", Some("new")).await;
}

#[tokio::test]
async fn a_connection_that_is_cut_at_any_byte() {
    let nodes = Nodes::start();
    let here = nodes.node().await;
    let proxy = FaultProxy::start(nodes.redis.port()).await;
    let there = nodes.through(&nodes.redis.url_through(proxy.port())).build().unwrap();
    for bytes in [0, 3, 20, 60] {
        proven(&there).await;
        crate::recovery::healed(&there).await;
        with_old(&nodes, &there, &here).await;
        proxy.set(Mode::CutAfter(bytes)).await;
        here.set("users", "1", "new").await.unwrap();
        proxy.set(Mode::Pass).await;
        sees(&there, "1", Some("new")).await;
    }
}
