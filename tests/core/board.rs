//! What one instance declares, all know: patterns across instances that run different code.

use cache_core::{Cache, Invalidated, Key, Pattern, Scope, Template, seconds};
use cache_tests::eventually;

use crate::gated_store::{At, GatedStore};
use crate::setup::{
    PATIENCE, Setup, fill, on_restricted_setups, on_shared_setups, settled, shared_redis, text,
};

pub(crate) const KEY: &str = "ws1:campaigns:1";
const NEIGHBOUR: &str = "ws1:users:1";

pub(crate) fn declare(cache: &Cache, text: &str) {
    assert!(cache.namespace("api").declare(&Template::parse(text).unwrap()).unwrap());
}

/// One that declares what the others do not.
pub(crate) fn declaring(cache: Cache) -> Cache {
    declare(&cache, "{workspace_id}:campaigns:*");
    cache
}

pub(crate) fn pattern() -> Scope {
    Scope::pattern("api", Pattern::new("ws1:campaigns:*"))
}

pub(crate) async fn invalidate(cache: &Cache) {
    assert_eq!(cache.invalidate(pattern()).await.unwrap(), Invalidated::Complete);
}

pub(crate) async fn get(cache: &Cache) -> Option<String> {
    text(cache, "api", KEY).await
}

/// Filled by this one, and found by all.
pub(crate) async fn filled(by: &Cache, value: &str, all: &[&Cache]) {
    assert_eq!(fill(by, "api", KEY, value).await, value);
    fill(by, "api", NEIGHBOUR, value).await;
    settled(by).await;
    for cache in all {
        assert_eq!(get(cache).await.as_deref(), Some(value));
    }
}

/// Pinned: a declared pattern covered only what was stored by instances that declare it, too.
async fn it_covers_what_others_fill(setup: Setup) {
    let setup = setup.deaf();
    let (old, new) = (setup.cache(), declaring(setup.cache()));
    // One that has been at work before the other came, and one that begins later.
    filled(&old, "0", &[]).await;
    assert_eq!(get(&new).await, None, "what was there may not be covered");
    setup.clock.advance(seconds(5));
    for (round, later) in [old.clone(), setup.cache(), setup.cache()].iter().enumerate() {
        let value = format!("{round}");
        filled(later, &value, &[&old, &new, later]).await;
        invalidate(&new).await;
        assert_eq!(get(&new).await, None);
        setup.clock.advance(seconds(5));
        for cache in [&old, &new, later] {
            assert_eq!(get(cache).await, None, "{round}");
            assert_eq!(text(cache, "api", NEIGHBOUR).await.as_deref(), Some("0"));
        }
    }
    // And what they set.
    old.set("api", KEY, "set").await.unwrap();
    assert_eq!(get(&new).await.as_deref(), Some("set"));
    invalidate(&new).await;
    setup.clock.advance(seconds(5));
    assert_eq!(get(&old).await, None);
}

/// Nor does one that declares what is known under another name.
async fn a_restart_empties_nothing(setup: Setup) {
    let first = declaring(setup.cache());
    filled(&first, "v", &[]).await;
    let again = setup.cache();
    declare(&again, "{another_name}:campaigns:*");
    let others = [declaring(setup.cache()), again, setup.cache()];
    for cache in &others {
        assert_eq!(get(cache).await.as_deref(), Some("v"));
        assert_eq!(get(&first).await.as_deref(), Some("v"));
    }
    // Nor does the invalidation, which is the first that it does, by one that has just started.
    invalidate(&declaring(setup.cache())).await;
    assert_eq!(text(&setup.cache(), "api", NEIGHBOUR).await.as_deref(), Some("v"));
    assert_eq!(get(&setup.cache()).await, None);
}

/// An instance that knows of a pattern from others invalidates it in one step, too.
async fn others_invalidate_by_it(setup: Setup) {
    let (new, old) = (declaring(setup.cache()), setup.cache());
    filled(&new, "v", &[&old]).await;
    invalidate(&old).await;
    assert_eq!(get(&old).await, None);
    assert_eq!(text(&old, "api", NEIGHBOUR).await.as_deref(), Some("v"));
    if setup.is_on_redis() {
        let left = shared_redis().keys(&format!("{}:api:v1:*", setup.prefix));
        assert_eq!(left.len(), 2, "no sweep: {left:?}");
    }
}

on_shared_setups!(it_covers_what_others_fill, a_restart_empties_nothing, others_invalidate_by_it);

/// The one that declares can't say so: its invalidation waits, and it reads nothing; then it is told
/// without anybody's asking.
#[tokio::test]
async fn while_the_store_is_away_it_is_queued() {
    let setup = Setup::shared();
    let store = GatedStore::new(&setup);
    let old = store.cache_without_l1(&setup);
    filled(&old, "old", &[&old]).await;
    let new = declaring(store.cache_without_l1(&setup));
    (0..8).for_each(|_| store.fail(At::Fetch));
    assert_eq!(new.invalidate(pattern()).await.unwrap(), Invalidated::Queued);
    assert_eq!(get(&new).await, None);
    eventually(PATIENCE, "it is told", || {
        let names = store.behind().keys();
        new.background().running() == 0 && names.iter().any(|name| name.ends_with(":gen:b:api"))
    })
    .await;
    eventually(PATIENCE, "and the namespace is empty", || {
        !store.behind().keys().iter().any(|name| name.ends_with(":gen:n:api"))
    })
    .await;
    assert_eq!(get(&old).await, None);
    filled(&old, "new", &[&old, &new]).await;
    invalidate(&new).await;
    assert_eq!(get(&old).await, None);
}

/// Where the others have left no room, what was declared last is swept.
#[tokio::test]
async fn there_are_256_of_all_instances_together() {
    let setup = Setup::shared();
    let store = GatedStore::new(&setup);
    let many = store.cache_without_l1(&setup);
    (0..256).for_each(|n| declare(&many, &format!("{{workspace}}:t{n}:*")));
    filled(&many, "0", &[]).await;
    let new = declaring(store.cache_without_l1(&setup));
    for round in 0..3 {
        invalidate(&new).await;
        for cache in [&many, &new] {
            assert_eq!(get(cache).await, None, "{round}");
        }
        filled(&many, &format!("{round}"), &[&new, &many]).await;
    }
    let key = || Key::workspace("ws1").segment("t255").segment("1");
    new.set("api", key(), "v").await.unwrap();
    let done = many.invalidate(Scope::pattern("api", Pattern::new("ws1:t255:*"))).await;
    assert_eq!(done.unwrap(), Invalidated::Complete);
    assert_eq!(new.get::<String>("api", key()).await.unwrap(), None);
}

on_restricted_setups!(
    it_covers_what_others_fill,
    a_restart_empties_nothing,
    others_invalidate_by_it,
);
