//! What listening costs, and that it ends.

use cache_core::{Cache, CoherenceMode, seconds};
use cache_tests::eventually;
use cache_tests::wait::eventually_some;

use super::{Nodes, from_memory, in_mode, proven, sees};
use crate::gated_store::{At, GatedStore};
use crate::setup::{PATIENCE, Setup, join, settled, text};

#[tokio::test]
async fn listening_ends_with_the_cache() {
    let nodes = Nodes::start();
    let (dropped, shut_down) = (nodes.node().await, nodes.node().await);
    assert_eq!(nodes.trackers().len(), 2);
    drop(dropped);
    eventually(PATIENCE, "one connection has ended", || nodes.trackers().len() == 1).await;
    assert!(shut_down.shutdown().await);
    eventually(PATIENCE, "both have ended", || nodes.trackers().is_empty()).await;
    // Nor does it begin again.
    text(&shut_down, "users", "1").await;
    assert!(nodes.trackers().is_empty());
}

#[tokio::test]
async fn who_keeps_nothing_in_memory_listens_to_nothing() {
    let nodes = Nodes::start();
    for builder in [nodes.builder().l1(false), nodes.builder().coherence(false)] {
        let cache = builder.build().unwrap();
        cache.set("users", "1", "v").await.unwrap();
        assert_eq!(cache.health().await.coherence.mode, CoherenceMode::Ttl);
        assert!(nodes.trackers().is_empty());
    }
    let coherence = Setup::memory().cache().health().await.coherence;
    assert!(coherence.mode == CoherenceMode::Memory && coherence.proven);
}

#[test]
fn it_goes_on_when_its_runtime_has_ended() {
    let nodes = Nodes::start();
    let cache: Cache = nodes.builder().build().unwrap();
    for _ in 0..3 {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            crate::recovery::healed(&cache).await;
            eventually_some(PATIENCE, "one listens", async || {
                // The first use that finds nobody listening starts another.
                text(&cache, "users", "none").await;
                (nodes.trackers().len() == 1).then_some(())
            })
            .await;
            proven(&cache).await;
        });
    }
}

#[tokio::test]
async fn thousands_of_changes_elsewhere_leave_nothing_behind() {
    let nodes = Nodes::start();
    let cache = nodes.node().await;
    cache.set("users", "mine", "v").await.unwrap();
    settled(&cache).await;
    let before = cache.health().await;
    let script = "for n = 1, 20000 do
        redis.call('SET', 'coldcopy:users:v1:' .. ARGV[1] .. n, 'x')
        redis.call('SET', 'coldcopy:gen:t:' .. ARGV[1] .. n, 'x') end";
    for round in ["a", "b", "c"] {
        assert!(!nodes.redis.command(&["EVAL", script, "0", round]).is_error());
    }
    // The last of them has been heard of.
    let other = nodes.node().await;
    other.set("users", "last", "old").await.unwrap();
    sees(&cache, "last", Some("old")).await;
    other.set("users", "last", "new").await.unwrap();
    // On a busy machine the connection may be given up meanwhile: then memory answers for its short
    // time, by a clock that stands still.
    nodes.age();
    sees(&cache, "last", Some("new")).await;
    settled(&cache).await;
    let after = cache.health().await;
    assert_eq!((after.scopes, after.in_flight), (before.scopes, before.in_flight));
    assert!(after.l1_entries <= before.l1_entries + 1);
    assert!(after.coherence.proven);
    nodes.age();
    assert!(from_memory(&cache, "mine").await, "it shares no cell with so many others");
}

#[tokio::test]
async fn a_cache_is_built_and_listens_without_a_server() {
    let port = cache_tests::ports::free_port();
    let cache = crate::setup::at(&format!("redis://127.0.0.1:{port}")).build().unwrap();
    text(&cache, "users", "1").await;
    in_mode(&cache, CoherenceMode::Ttl).await;
    let coherence = cache.health().await.coherence;
    assert!(!coherence.proven, "{coherence:?}");
}

/// Pinned: the time of what was set in memory began when the store had answered, so that what
/// others had done meanwhile could stay unknown for longer than stated.
#[tokio::test]
async fn the_time_in_memory_begins_when_a_set_is_asked_for() {
    let setup = Setup::shared();
    let store = GatedStore::new(&setup);
    let cache = store.cache(&setup);
    let gate = store.hold(At::WriteReply);
    let set = tokio::spawn({
        let cache = cache.clone();
        async move { cache.set("users", "1", "v").await.unwrap() }
    });
    gate.waiting(1).await;
    setup.clock.advance(seconds(3));
    gate.open(1);
    join(set).await;
    assert!(from_memory(&cache, "1").await);
    setup.clock.advance(seconds(2));
    assert!(!from_memory(&cache, "1").await);
}
