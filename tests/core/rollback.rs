//! A store that comes back as it was some time ago, step by step.

use std::sync::Arc;
use std::time::Duration;

use cache_core::store::Store;
use cache_core::{Cache, Key, Pattern, Scope, Tag, Template, seconds};

use crate::finality_keys::overtaken;
use crate::gated_store::{At, GatedStore};
use crate::setup::{Setup, delete, fill, join, text};

/// As long as nothing is read, until all instances have had the time to notice.
const HOLD: u64 = 4;

fn key() -> Key {
    Key::workspace("ws1").segment("campaigns").segment("1")
}

async fn get(cache: &Cache) -> Option<String> {
    cache.get("users", key()).await.unwrap()
}

/// What is done to the entry, in each of the ways there are.
async fn act(cache: &Cache, how: usize) {
    let scope = match how {
        0 => Scope::from(Tag::new("t")),
        1 => Scope::workspace("ws1"),
        2 => Scope::namespace("users"),
        3 => Scope::everything(),
        4 => Scope::key("users", key()),
        // One that was declared, and one that was not.
        5 => Scope::pattern("users", Pattern::new("ws1:campaigns:*")),
        6 => Scope::pattern("users", Pattern::new("*:1")),
        7 => return assert_eq!(cache.delete_pattern("users", "ws1:*").await.unwrap(), 1),
        8 => return assert_eq!(cache.clear("users").await.unwrap(), 2),
        9 => return cache.set("users", key(), "new").await.unwrap(),
        _ => return cache.set_many("users", [(key(), "new")]).await.unwrap(),
    };
    assert!(cache.invalidate(scope).await.unwrap().is_complete());
}
const WAYS: usize = 11;

/// Those that say nothing of a neighbour's.
const NARROW: [usize; 6] = [0, 1, 4, 5, 9, 10];

fn declared(cache: Cache) -> Cache {
    let template = Template::parse("{workspace_id}:campaigns:*").unwrap();
    cache.namespace("users").declare(&template).unwrap();
    cache
}

/// Two instances without L1, and what the store holds before anything was invalidated.
async fn two(setup: &Setup) -> (Arc<GatedStore>, Cache, Cache) {
    let store = GatedStore::new(setup);
    let cache = || declared(store.cache_without_l1(setup));
    let (a, b) = (cache(), cache());
    // What these two set, they would remove.
    let writer = cache();
    writer.namespace("users").set(key(), "old").tag("t").await.unwrap();
    writer.set("users", "neighbour", "kept").await.unwrap();
    for cache in [&a, &b] {
        assert_eq!(get(cache).await.as_deref(), Some("old"));
    }
    (store, a, b)
}

async fn nothing_old(cache: &Cache, how: usize) {
    let found = get(cache).await;
    assert_ne!(found.as_deref(), Some("old"), "{how}");
}

#[tokio::test(start_paused = true)]
async fn what_was_confirmed_is_repeated_before_anything_is_read() {
    for how in 0..WAYS {
        let setup = Setup::shared();
        let (store, a, b) = two(&setup).await;
        let before = store.snapshot();
        act(&a, how).await;
        store.restore(&before);
        // The one that knows of nothing comes first, and again and again.
        nothing_old(&b, how).await;
        nothing_old(&a, how).await;
        nothing_old(&b, how).await;
        tokio::time::advance(seconds(HOLD)).await;
        nothing_old(&a, how).await;
        nothing_old(&b, how).await;
        let neighbour = text(&b, "users", "neighbour").await;
        assert_eq!(neighbour.is_some(), NARROW.contains(&how), "{how}");
        // One that has just started, too.
        nothing_old(&declared(store.cache(&setup)), how).await;
    }
}

/// Each time, and what was invalidated long ago.
#[tokio::test(start_paused = true)]
async fn a_store_may_forget_more_than_once() {
    let setup = Setup::shared();
    let (store, a, b) = two(&setup).await;
    let before = store.snapshot();
    act(&a, 0).await;
    for _ in 0..3 {
        tokio::time::advance(seconds(3600)).await;
        store.restore(&before);
        nothing_old(&a, 0).await;
        tokio::time::advance(seconds(HOLD)).await;
        nothing_old(&a, 0).await;
        nothing_old(&b, 0).await;
    }
    let health = a.health().await;
    assert_eq!((health.store_changes, health.journal_overflowed), (3, false));
}

#[tokio::test(start_paused = true)]
async fn a_read_that_is_under_way_is_answered_by_neither() {
    let setup = Setup::shared();
    let (store, a, b) = two(&setup).await;
    for held in [At::Fetch, At::FetchReply] {
        let before = store.snapshot();
        act(&a, 4).await;
        let gate = store.hold(held);
        let reading = tokio::spawn({
            let b = b.clone();
            async move { get(&b).await }
        });
        gate.waiting(1).await;
        store.restore(&before);
        gate.open(1);
        assert_eq!(join(reading).await, None, "{held:?}");
        nothing_old(&a, 4).await;
        tokio::time::advance(seconds(HOLD)).await;
        nothing_old(&b, 4).await;
        a.set("users", key(), "old").await.unwrap();
    }
}

/// The state that it expects is back with the old entry: that must not be enough.
#[tokio::test(start_paused = true)]
async fn a_fill_that_began_before_stays_overtaken() {
    let setup = Setup::shared();
    let store = GatedStore::new(&setup);
    let (a, b) = (store.cache_without_l1(&setup), store.cache_without_l1(&setup));
    fill(&b, "users", "other", "v").await;
    overtaken(&b, "1", async {
        let before = store.snapshot();
        delete(&a, "users", "1").await;
        store.restore(&before);
        assert_eq!(text(&a, "users", "1").await, None);
    })
    .await;
    tokio::time::advance(seconds(HOLD)).await;
    for cache in [&a, &b] {
        assert_eq!(text(cache, "users", "1").await, None);
    }
}

#[tokio::test(start_paused = true)]
async fn what_fails_half_way_goes_on_before_anything_is_read() {
    let setup = Setup::shared();
    let store = GatedStore::new(&setup);
    let cache = store.cache_without_l1(&setup);
    let keys: Vec<String> = (0..1_500).map(|n| n.to_string()).collect();
    for key in &keys {
        cache.set("users", key.as_str(), "old").await.unwrap();
    }
    let before = store.snapshot();
    for key in &keys {
        delete(&cache, "users", key.as_str()).await;
    }
    store.restore(&before);
    let second = store.hold(At::Write);
    second.open(1);
    let third = store.hold(At::Write);
    let reading = tokio::spawn({
        let cache = cache.clone();
        async move { text(&cache, "users", "7").await }
    });
    third.waiting(1).await;
    store.fail(At::Write);
    third.open(1);
    assert_eq!(join(reading).await, None);
    assert!(cache.health().await.queued_invalidations > 1_000, "and none has widened");
    // Whatever else is to be repeated by then.
    store.fail(At::Write);
    cache.delete("users", "more").await.unwrap();
    assert!(cache.health().await.queued_invalidations > 1_000, "and none has widened");
    tokio::time::advance(seconds(HOLD)).await;
    assert_eq!(text(&cache, "users", "7").await, None);
    assert_eq!(cache.health().await.queued_invalidations, 0);
    tokio::time::advance(seconds(HOLD)).await;
    let fresh = store.cache_without_l1(&setup);
    for key in &keys {
        assert_eq!(text(&fresh, "users", key).await, None);
    }
}

/// An idle process tries less and less often, and yet soon enough for the others when it is let.
#[tokio::test(start_paused = true)]
async fn a_store_that_refuses_what_is_to_be_repeated_is_not_pestered() {
    let setup = Setup::shared();
    let (store, a, b) = two(&setup).await;
    let before = store.snapshot();
    act(&a, 0).await;
    // One that is yet another is tried at once.
    for (yet_another, soon) in [(false, 1_250), (true, 250)] {
        store.restore(&before);
        for _ in 0..10_000 {
            store.fail(At::Remove);
        }
        tokio::time::sleep(seconds(10)).await;
        let calls = store.calls();
        tokio::time::sleep(seconds(60)).await;
        let tried = store.calls() - calls;
        assert!((50..100).contains(&tried), "{tried} in a minute");
        if yet_another {
            store.restore(&before);
        }
        store.relent();
        let calls = store.calls();
        tokio::time::sleep(Duration::from_millis(soon)).await;
        assert!(store.calls() > calls, "{yet_another}");
        tokio::time::sleep(seconds(HOLD)).await;
        nothing_old(&a, 0).await;
        nothing_old(&b, 0).await;
    }
}

/// Bounded damage.
#[tokio::test(start_paused = true)]
async fn what_does_not_fit_the_journal_widens() {
    let setup = Setup::shared();
    let store = GatedStore::new(&setup);
    let cache = store.cache_without_l1(&setup);
    cache.namespace("users").set("1", "old").tag("0").await.unwrap();
    cache.set("users", "2", "old").await.unwrap();
    let before = store.snapshot();
    for n in 0..5_000 {
        cache.invalidate(Tag::new(n.to_string())).await.unwrap();
    }
    let health = cache.health().await;
    assert!(health.journal_overflowed && health.journal == 1);
    store.restore(&before);
    for _ in 0..2 {
        for key in ["1", "2"] {
            assert_eq!(text(&cache, "users", key).await, None);
        }
        tokio::time::advance(seconds(HOLD)).await;
    }
}

/// Where nothing old can be, nobody waits.
#[tokio::test(start_paused = true)]
async fn a_store_that_comes_back_empty_is_read_at_once() {
    let setup = Setup::shared();
    let store = GatedStore::new(&setup);
    let empty = store.snapshot();
    let cache = store.cache_without_l1(&setup);
    cache.set("users", "1", "old").await.unwrap();
    store.restore(&empty);
    assert_eq!(text(&cache, "users", "1").await, None);
    cache.set("users", "1", "new").await.unwrap();
    assert_eq!(text(&cache, "users", "1").await.as_deref(), Some("new"));
}

/// A process that has just started has nothing to repeat, and a cache takes a store as it finds it.
#[tokio::test(start_paused = true)]
async fn the_first_meeting_costs_nothing_but_a_look_at_the_board() {
    let setup = Setup::shared();
    let (store, ..) = two(&setup).await;
    store.restore(&store.snapshot());
    assert_eq!(store.incarnation(), 1);
    let cache = declared(store.cache_without_l1(&setup));
    let calls = store.calls();
    assert_eq!(get(&cache).await.as_deref(), Some("old"));
    // The entry, what is known of its namespace, and its tag.
    assert_eq!(store.calls() - calls, 3);
    assert_eq!(cache.health().await.store_changes, 0);
}
