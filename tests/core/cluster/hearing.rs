//! Memory is true to what others write, whichever primary it lies on.

use std::sync::Arc;

use cache_core::store::{Put, Store, WriteBatch};
use cache_core::{Cache, Clock, CoherenceMode, Scope, seconds};
use cache_tests::wait::eventually_some;
use cache_tests::{RedisCluster, eventually};

use super::{failing_over_soon, names, on, rendered, soon, store};
use crate::coherence::{from_memory, proven, remembered, sees};
use crate::heard::Heard;
use crate::setup::{PATIENCE, START};

fn cache(cluster: &RedisCluster, clock: &Clock) -> Cache {
    on(cluster).clock(clock.clone()).build().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_changes_on_any_primary_is_heard_and_the_rest_lives_on() {
    let cluster = RedisCluster::start();
    let clock = Clock::manual(START);
    let (here, there) = (cache(&cluster, &clock), cache(&cluster, &clock));
    proven(&here).await;
    let per_primary: Vec<String> = cluster
        .primaries()
        .into_iter()
        .map(|port| {
            let lies_there = |name: &String| cluster.owner(&rendered(name)) == port;
            names(100).into_iter().find(lies_there).unwrap()
        })
        .collect();
    for name in &per_primary {
        there.set("users", name.as_str(), "old").await.unwrap();
        remembered(&here, name).await;
    }
    // From now on only what is proven answers from memory.
    clock.advance(seconds(6));
    for name in &per_primary {
        remembered(&here, name).await;
        there.set("users", name.as_str(), "new").await.unwrap();
        sees(&here, name, Some("new")).await;
    }
    // Another primary comes to have the slot, and tells of it from then on.
    let moved = &per_primary[0];
    let to = cluster.owner(&rendered(&per_primary[1]));
    cluster.move_slot(RedisCluster::slot(&rendered(moved)), to);
    sees(&here, moved, Some("new")).await;
    there.set("users", moved.as_str(), "newer").await.unwrap();
    sees(&here, moved, Some("newer")).await;
    there.invalidate(Scope::namespace("users")).await.unwrap();
    for name in &per_primary {
        sees(&here, name, None).await;
    }
}

/// As long as one primary can't be heard, nothing is proven; when a replica takes its place, all
/// begins anew, and is proven again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_proven_while_a_primary_is_lost() {
    let cluster = failing_over_soon();
    let clock = Clock::manual(START);
    let here = cache(&cluster, &clock);
    proven(&here).await;
    here.set("users", "1", "v").await.unwrap();
    let lost = cluster.primaries()[0];
    cluster.command(lost, &["WAIT", "1", "1000"]);
    cluster.kill(lost);
    eventually_some(PATIENCE, "the loss is noticed", async || {
        let fault = here.health().await.coherence.fault?;
        fault.contains(&lost.to_string()).then_some(())
    })
    .await;
    tokio::task::block_in_place(|| cluster.wait_for_failover_of(lost));
    proven(&here).await;
    eventually_some(PATIENCE, "the store is written again", async || {
        here.set("users", "1", "new").await.ok()
    })
    .await;
    clock.advance(seconds(6));
    remembered(&here, "1").await;
    assert!(from_memory(&here, "1").await);
    assert_eq!(here.health().await.coherence.mode, CoherenceMode::Tracking);
}

#[tokio::test]
async fn what_is_written_while_its_slot_is_on_its_way_is_told_from_where_it_comes() {
    let cluster = RedisCluster::start();
    let (writer, reader) = (store(&cluster), store(&cluster));
    let ports = cluster.primaries();
    let heard = Arc::<Heard>::default();
    let watch = tokio::spawn(reader.watch("coldcopy", heard.clone()).unwrap());
    let all = || heard.all();
    eventually(PATIENCE, "it begins", || all().contains(&"proven".to_owned())).await;
    let key = "coldcopy:k";
    let to = ports.into_iter().find(|port| *port != cluster.owner(key)).unwrap();
    let slot = RedisCluster::slot(key);
    // What is not there is written where the slot will be.
    cluster.begin_move(slot, to);
    heard.forget();
    let put = Put { key: key.to_owned(), value: "v".into(), ..Put::default() };
    let batch = WriteBatch { puts: &[put], ..WriteBatch::default() };
    writer.write(batch, soon()).await.unwrap();
    eventually(PATIENCE, "it is told", || all().contains(&key.to_owned())).await;
    assert_eq!(
        cluster.command(to, &["CLUSTER", "COUNTKEYSINSLOT", &slot.to_string()]).int(),
        Some(1)
    );
    watch.abort();
}
