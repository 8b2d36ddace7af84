//! Sweeps by hand: counting, in the background, cancelled, resumed; and what others notice of them.

use cache_core::store::{MemoryStore, Put, Store, WriteBatch};
use cache_core::{Cache, Deadline, ErrorKind, Stopwatch, SweepPosition, SweepState, seconds};
use cache_tests::{Gate, RedisServer};

use crate::gated_store::{At, GatedStore};
use crate::setup::{PATIENCE, Setup, delete, join, kind, on, on_every_setup, text};

async fn fill_users(cache: &Cache, count: usize) {
    for chunk in (0..count).collect::<Vec<_>>().chunks(500) {
        cache.set_many("users", chunk.iter().map(|n| (format!("old_{n}"), "v"))).await.unwrap();
    }
    cache.set("users", "new", "v").await.unwrap();
}

async fn a_dry_run_counts_and_touches_nothing(setup: Setup) {
    let cache = setup.cache();
    fill_users(&cache, 100).await;
    delete(&cache, "users", "old_7").await;
    let sweep = || cache.delete_pattern("users", "old_*");
    assert_eq!(sweep().dry_run().await.unwrap(), 99);
    assert_eq!(text(&cache, "users", "old_8").await.as_deref(), Some("v"));
    let job = sweep().dry_run().start().unwrap();
    assert_eq!(job.wait().await.unwrap().position.removed(), 99);
    assert_eq!(sweep().await.unwrap(), 99);
    assert_eq!(sweep().dry_run().await.unwrap(), 0);
    assert_eq!(text(&cache, "users", "new").await.as_deref(), Some("v"));
}

async fn a_job_sweeps_in_the_background(setup: Setup) {
    let cache = setup.cache();
    fill_users(&cache, 1_000).await;
    let job = cache.delete_pattern("users", "old_*").start().unwrap();
    let progress = job.wait().await.unwrap();
    assert_eq!(progress.state, SweepState::Done);
    assert_eq!((progress.position.seen(), progress.position.removed()), (1_000, 1_000));
    assert_eq!(job.progress(), progress);
    assert_eq!(cache.delete_pattern("users", "*").dry_run().await.unwrap(), 1);
}

async fn a_dropped_handle_stops_nothing(setup: Setup) {
    let cache = setup.cache();
    fill_users(&cache, 1_000).await;
    drop(cache.delete_pattern("users", "*").start().unwrap());
    crate::setup::settled(&cache).await;
    assert_eq!(cache.delete_pattern("users", "*").dry_run().await.unwrap(), 0);
}

on_every_setup!(
    and on a cluster:
    a_dry_run_counts_and_touches_nothing,
    a_job_sweeps_in_the_background,
    a_dropped_handle_stops_nothing,
);

#[tokio::test]
async fn a_job_is_cancelled_and_another_goes_on_where_it_stopped() {
    let setup = Setup::redis();
    let cache = setup.cache();
    fill_users(&cache, 3_000).await;
    let job = cache.delete_pattern("users", "old_*").start().unwrap();
    job.cancel();
    let stopped = job.wait().await.unwrap();
    assert_eq!(stopped.state, SweepState::Cancelled);
    let removed = stopped.position.removed();
    assert!(removed < 3_000, "{removed}");
    // As another process would have it.
    let position: SweepPosition =
        serde_json::from_str(&serde_json::to_string(&stopped.position).unwrap()).unwrap();
    let rest = cache.delete_pattern("users", "old_*").resume(position).start().unwrap();
    let progress = rest.wait().await.unwrap();
    assert_eq!((progress.state, progress.position.removed()), (SweepState::Done, 3_000));
    assert_eq!(cache.delete_pattern("users", "*").await.unwrap(), 1);
}

#[tokio::test]
async fn a_job_that_failed_is_resumed() {
    let setup = Setup::shared();
    let store = GatedStore::new(&setup);
    let cache = store.cache(&setup);
    fill_users(&cache, 10).await;
    let scanned = store.hold(At::ScanReply);
    let job = cache.delete_pattern("users", "old_*").start().unwrap();
    scanned.waiting(1).await;
    assert_eq!(job.progress().state, SweepState::Running);
    store.fail(At::Remove);
    scanned.open(1);
    assert_eq!(kind(job.wait().await), ErrorKind::Unavailable);
    let progress = job.progress();
    assert_eq!(progress.state, SweepState::Failed);
    let again = cache.delete_pattern("users", "old_*").resume(progress.position);
    assert_eq!(again.await.unwrap(), 10);
}

#[tokio::test]
async fn a_full_background_takes_no_job() {
    let cache = Setup::memory().builder().background_tasks(1).build().unwrap();
    let gate = Gate::new();
    let held = gate.clone();
    assert!(cache.background().try_spawn(async move { held.pass().await }));
    assert_eq!(kind(cache.delete_pattern("users", "*").start()), ErrorKind::Unavailable);
    assert_eq!(kind(cache.delete_pattern("gen", "*").start()), ErrorKind::Config);
    gate.open(1);
}

/// Others' commands go through between the steps. (How long they wait is for benches to say.)
#[tokio::test]
async fn others_get_through_while_a_sweep_runs() {
    let redis = RedisServer::start();
    let cache = on(&redis).l1(false).build().unwrap();
    fill_users(&cache, 20_000).await;
    let job = cache.delete_pattern("users", "old_*").start().unwrap();
    let reader = {
        let cache = cache.clone();
        tokio::spawn(async move {
            let mut reads = 0;
            let begun = Stopwatch::start();
            while job.progress().state == SweepState::Running && begun.elapsed() < PATIENCE {
                assert_eq!(text(&cache, "users", "new").await.as_deref(), Some("v"));
                reads += 1;
            }
            (job.wait().await.unwrap().position.removed(), reads)
        })
    };
    let (removed, reads) = join(reader).await;
    assert_eq!(removed, 20_000);
    assert!(reads > 20, "{reads}");
}

#[tokio::test]
async fn what_is_counted_is_what_would_be_removed() {
    let setup = Setup::shared();
    let store = MemoryStore::new(setup.clock.clone());
    let put = Put { key: "k".into(), value: "value".into(), ..Put::default() };
    let soon = || Deadline::after(seconds(1));
    store.write(WriteBatch { puts: &[put], ..WriteBatch::default() }, soon()).await.unwrap();
    assert_eq!(store.count_values(&["k", "none"], soon()).await.unwrap(), 1);
    assert_eq!(store.remove_values(&["k", "none"], soon()).await.unwrap(), 1);
}
