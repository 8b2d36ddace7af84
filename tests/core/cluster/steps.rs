//! What is one step on one server, and several on a cluster.

use std::sync::Arc;
use std::time::Duration;

use cache_core::store::{Guard, Put, Store, WriteBatch};
use cache_core::{Cache, Deadline, Key, Lookup, TagFamily};
use cache_tests::clock::Stopwatch;
use cache_tests::{RedisCluster, eventually};

use super::{on, soon, store};
use crate::pages::{commit, deadline, look_up};
use crate::setup::{PATIENCE, join, shared_cluster, unique_prefix};

/// A put whose guard changes while it is under way is there only if it says so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_put_that_crosses_a_change_of_its_guard_is_taken_back() {
    let cluster = shared_cluster();
    let (here, there) = (store(cluster), store(cluster));
    let (mut kept, mut refused) = (0, 0);
    // How long the guard is left alone: longer after each put that was refused, shorter after each
    // that was kept, so that they cross however fast either is here.
    let mut head_start = Duration::ZERO;
    for n in 0..150 {
        let prefix = unique_prefix();
        let (guard, key) = (format!("{prefix}:guard"), format!("{prefix}:entry"));
        let mark = Put { key: guard.clone(), value: "mark".into(), ..Put::default() };
        let batch = WriteBatch { puts: &[mark], ..WriteBatch::default() };
        here.write(batch, soon()).await.unwrap();
        let sweeper = Arc::clone(&there);
        let mark = guard.clone();
        let sweep = tokio::spawn(async move {
            let begun = Stopwatch::start();
            while begun.elapsed() < head_start {
                tokio::task::yield_now().await;
            }
            sweeper.remove(&[&mark], soon()).await.unwrap();
        });
        let put = Put {
            key: key.clone(),
            value: "--------identity".into(),
            expect: Some("".into()),
            guard: Some(Guard { key: guard, value: "mark".into() }),
            ..Put::default()
        };
        let batch = WriteBatch { puts: &[put], ..WriteBatch::default() };
        let written = here.write(batch, soon()).await;
        join(sweep).await;
        // There was no time to put it before it would have had to look again.
        let Ok(written) = written else { continue };
        let stored = written.stored == [true];
        let found = there.fetch(&[&key], soon()).await.unwrap().remove(0);
        let found = found.filter(|found| !found.is_empty());
        assert_eq!(found.is_some(), stored, "{n}");
        if stored {
            kept += 1;
            head_start = head_start * 3 / 4;
        } else {
            refused += 1;
            head_start = head_start * 5 / 4 + Duration::from_micros(20);
        }
    }
    assert!(kept > 0 && refused > 0, "{kept} kept, {refused} refused: they never crossed");
}

/// Pinned: a put whose answer was late stayed, though nobody had looked at its guard again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_put_that_was_sent_and_not_answered_is_taken_back() {
    let cluster = RedisCluster::start();
    let store = store(&cluster);
    let key = "p:entry";
    let elsewhere = |name: &String| cluster.owner(name) != cluster.owner(key);
    let guard = (0..1_000).map(|n| format!("p:guard{n}")).find(elsewhere).unwrap();
    let put = || Put {
        key: key.to_owned(),
        value: "--------identity".into(),
        expect: Some("".into()),
        guard: Some(Guard { key: guard.clone(), value: "mark".into() }),
        ..Put::default()
    };
    let mark = Put { key: guard.clone(), value: "mark".into(), ..Put::default() };
    store.write(WriteBatch { puts: &[mark], ..WriteBatch::default() }, soon()).await.unwrap();
    // So that connections and scripts are there.
    let batch = [put()];
    let batch = || WriteBatch { puts: &batch, ..WriteBatch::default() };
    assert_eq!(store.write(batch(), soon()).await.unwrap().stored, [true]);
    store.remove(&[key], soon()).await.unwrap();
    let before = cluster.calls("evalsha");

    cluster.stop(cluster.owner(key));
    let hasty = Deadline::after(Duration::from_millis(100));
    assert!(store.write(batch(), hasty).await.unwrap_err().is_outage());
    cluster.command_at(&guard, &["DEL", &guard]);
    cluster.resume(cluster.owner(key));
    // The put, and what takes it back.
    eventually(PATIENCE, "it has arrived", || cluster.calls("evalsha") >= before + 2).await;
    eventually(PATIENCE, "it is gone", || cluster.get(key).is_none()).await;
}

/// A value whose source was asked before its tag was invalidated is void, whoever fills under the
/// same tag meanwhile: the generations of the tag and of its family lie on different nodes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tag_ends_no_earlier_than_its_family_and_is_noted_no_later() {
    let cluster = shared_cluster();
    for n in 0..60 {
        let (prefix, family) = (unique_prefix(), TagFamily::new(format!("family{n}")));
        let cache = || on(cluster).prefix(&prefix).l1(false).build().unwrap();
        let tags = [family.tag("t")];
        let begun = async |cache: &Cache, key: &str| {
            let Lookup::Miss(mut fill) = look_up(cache, &Key::from(key), key).await else {
                panic!("{key} is there")
            };
            fill.expect_tags(&family);
            fill.begin(&[], deadline()).await;
            fill
        };
        let (here, there, others) = (cache(), cache(), cache());
        let mut before = begun(&here, "1").await;
        let filled = async {
            if before.tag(&tags, deadline()).await {
                commit(&here, before).await;
            }
        };
        let invalidated = async { there.invalidate(tags.clone()).await.unwrap() };
        let filled_under_the_same = async {
            for key in 0..3 {
                let mut fill = begun(&others, &format!("other{key}")).await;
                if fill.tag(&tags, deadline()).await {
                    commit(&others, fill).await;
                }
            }
        };
        let ((), outcome, ()) = tokio::join!(filled, invalidated, filled_under_the_same);
        assert!(outcome.is_complete());
        let found = look_up(&others, &Key::from("1"), "1").await;
        assert!(matches!(found, Lookup::Miss(_)), "{n}");
    }
}
