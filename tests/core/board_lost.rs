//! What is known of a namespace's patterns is lost: evicted, damaged, or put back to a snapshot.

use std::sync::Arc;
use std::time::Duration;

use cache_core::store::Store;
use cache_core::{Cache, Deadline, hours, seconds};

use crate::board::{KEY, declaring, filled, get, invalidate};
use crate::gated_store::GatedStore;
use crate::setup::{Setup, shared_redis, text};

/// Two rounds of keep-alive.
const ROUNDS: Duration = Duration::from_secs(12);

fn board(setup: &Setup) -> String {
    format!("{}:gen:b:api", setup.prefix)
}

/// One that declares, one that does not, and an entry that both know.
async fn two() -> (Setup, Arc<GatedStore>, Cache, Cache) {
    let setup = Setup::shared();
    let store = GatedStore::new(&setup);
    let (new, old) = (declaring(store.cache_without_l1(&setup)), store.cache_without_l1(&setup));
    filled(&new, "old", &[&new, &old]).await;
    (setup, store, new, old)
}

/// The ways in which a board is lost.
async fn lose(setup: &Setup, store: &GatedStore, how: usize) {
    let name = board(setup);
    let there = store.behind().get(&name).expect("there is a board");
    match how {
        0 => drop(store.behind().remove(&[&name], Deadline::after(seconds(1))).await.unwrap()),
        1 => store.behind().put(&name, "rubbish"),
        2 => store.behind().put(&name, there.slice(..there.len() - 1)),
        // Bytes that are sound, of another key.
        _ => {
            let other = store.behind().keys().into_iter().find(|key| key.ends_with(KEY));
            let entry = store.behind().get(&other.unwrap()).unwrap();
            store.behind().put(&name, entry);
        }
    }
}
const WAYS: usize = 4;

/// Those that know of it publish it again, without being asked for anything.
#[tokio::test(start_paused = true)]
async fn it_is_published_again() {
    for how in 0..WAYS {
        for living in [true, false] {
            let (setup, store, new, old) = two().await;
            // Also who has only learnt of it.
            let survivor = if living {
                new
            } else {
                drop(new);
                old
            };
            lose(&setup, &store, how).await;
            tokio::time::sleep(ROUNDS).await;
            let (again, fresh) = (declaring(store.cache_without_l1(&setup)), store.cache(&setup));
            filled(&fresh, "new", &[&survivor, &again]).await;
            invalidate(&again).await;
            assert_eq!(get(&survivor).await, None, "{how}");
            assert_eq!(get(&store.cache(&setup)).await, None, "{how}");
        }
    }
}

/// An instance that starts after the loss knows of no pattern, and so must not trust what others
/// have filled under one: it may have been invalidated.
#[tokio::test(start_paused = true)]
async fn what_was_invalidated_is_not_found_by_one_that_knows_of_nothing() {
    for how in 0..WAYS {
        let (setup, store, new, old) = two().await;
        invalidate(&new).await;
        lose(&setup, &store, how).await;
        let fresh = store.cache_without_l1(&setup);
        for cache in [&fresh, &old, &new, &fresh] {
            assert_eq!(get(cache).await, None, "{how}");
        }
        // It fills what is not covered; those that know do not trust that.
        crate::setup::fill(&fresh, "api", KEY, "uncovered").await;
        crate::setup::settled(&fresh).await;
        get(&new).await;
        invalidate(&new).await;
        for cache in [&new, &fresh, &old] {
            assert_eq!(get(cache).await, None, "{how}");
        }
    }
}

/// By those who use it: what nobody uses any more expires.
#[tokio::test(start_paused = true)]
async fn it_outlives_what_stands_on_it() {
    let (setup, store, new, old) = two().await;
    for _ in 0..40 {
        setup.clock.advance(hours(24));
        tokio::time::sleep(ROUNDS).await;
        assert!(store.behind().get(&board(&setup)).is_some());
    }
    drop((new, old));
    setup.clock.advance(hours(31 * 24));
    assert_eq!(store.behind().get(&board(&setup)), None);
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_from_before_it_undoes_nothing() {
    for first in [true, false] {
        let setup = Setup::shared();
        let store = GatedStore::new(&setup);
        let old = store.cache_without_l1(&setup);
        filled(&old, "old", &[&old]).await;
        let before = store.snapshot();
        let new = declaring(store.cache_without_l1(&setup));
        invalidate(&new).await;
        assert_eq!(get(&old).await, None);
        store.restore(&before);
        let order = if first { [&new, &old] } else { [&old, &new] };
        for _ in 0..2 {
            for cache in order {
                assert_eq!(get(cache).await, None, "{first}");
            }
            tokio::time::advance(seconds(4)).await;
        }
        filled(&old, "new", &[&old, &new]).await;
        let fresh = store.cache_without_l1(&setup);
        assert_eq!(get(&fresh).await.as_deref(), Some("new"));
        invalidate(&new).await;
        for cache in [&fresh, &old, &new] {
            assert_eq!(get(cache).await, None, "{first}");
        }
        assert_eq!(text(&fresh, "api", "ws1:users:1").await.as_deref(), Some("new"));
    }
}

/// On a real server; also what is no string.
#[tokio::test]
async fn whatever_is_in_its_place_is_replaced() {
    for how in 0..4 {
        let setup = Setup::redis();
        let (new, old) = (declaring(setup.cache()), setup.cache());
        filled(&new, "old", &[&new, &old]).await;
        invalidate(&new).await;
        let (redis, name) = (shared_redis(), board(&setup));
        match how {
            0 => redis.command(&["UNLINK", &name]),
            1 => redis.command(&["SET", &name, "rubbish"]),
            2 => redis.command(&["SETRANGE", &name, "70", "x"]),
            _ => {
                redis.command(&["UNLINK", &name]);
                redis.command(&["RPUSH", &name, "a", "list"])
            }
        };
        // It knows of nothing, and the one that declares comes after it.
        assert_eq!(get(&setup.cache()).await, None, "{how}");
        let again = declaring(setup.cache());
        filled(&again, "new", &[&new, &old, &again]).await;
        let fresh = setup.cache();
        filled(&fresh, "new", &[&fresh, &old, &again]).await;
        invalidate(&again).await;
        for cache in [&fresh, &old, &new, &again] {
            assert_eq!(get(cache).await, None, "{how}");
        }
    }
}
