//! Soft invalidation: what was there before is stale from then on, and not gone.

use std::sync::Arc;

use cache_core::{
    Cache, Invalidated, Key, Lookup, Pattern, Scope, Slot, Tag, TagFamily, Template, minutes,
    seconds,
};

use crate::pages::{commit, deadline, look_up};
use crate::setup::{START, Setup, on_every_setup, on_shared_setups, settled};

const GRACE: u64 = 300_000;

fn key(page: &str) -> Key {
    Key::workspace("ws1").segment("campaigns").segment(page)
}

/// A page, with a tag that is known before and one that only the page names.
async fn filled(cache: &Cache, page: &str) {
    let Lookup::Miss(mut fill) = look_up(cache, &key(page), page).await else {
        panic!("{page} is there already")
    };
    fill.expect_tags(&TagFamily::global());
    fill.begin(&[Tag::new("early")], deadline()).await;
    assert!(fill.tag(&[Tag::new("late")], deadline()).await);
    commit(cache, fill).await;
}

async fn found(cache: &Cache, page: &str) -> Option<Arc<Slot>> {
    match look_up(cache, &key(page), page).await {
        Lookup::Hit(slot) => Some(slot),
        Lookup::Miss(_) => None,
    }
}

/// How long the page has been stale by the cache's own word: `None` if it has not.
async fn stale_for(cache: &Cache, page: &str) -> Option<u64> {
    let slot = found(cache, page).await.expect("still there");
    let (now, times) = (cache.clock().now(), slot.times_at(cache.clock().now()));
    assert_eq!(times.is_fresh(now), slot.stale_since().is_none() && now < START + 600_000);
    slot.stale_since().map(|since| now - since)
}

fn declare(cache: &Cache) {
    let template = Template::parse("{workspace_id}:campaigns:*").unwrap();
    assert!(cache.namespace("pages").declare(&template).unwrap());
}

fn scopes() -> [Scope; 6] {
    [
        Tag::new("early").into(),
        Tag::new("late").into(),
        Scope::workspace("ws1"),
        Scope::namespace("pages"),
        Scope::pattern("pages", Pattern::new("ws1:campaigns:*")),
        Scope::everything(),
    ]
}

async fn what_was_filled_before_is_stale_and_what_comes_after_is_fresh(setup: Setup) {
    let cache = setup.cache();
    declare(&cache);
    for (n, scope) in scopes().into_iter().enumerate() {
        let (page, later) = (format!("{n}"), format!("{n} later"));
        filled(&cache, &page).await;
        assert_eq!(stale_for(&cache, &page).await, None);
        let done = cache.invalidate(scope.clone()).soft().await.unwrap();
        assert_eq!(done, Invalidated::Complete, "{scope:?}");
        assert_eq!(stale_for(&cache, &page).await, Some(0), "{scope:?}");
        filled(&cache, &later).await;
        assert_eq!(stale_for(&cache, &later).await, None, "{scope:?}");
        // Again, as if for the first time; then hard.
        cache.invalidate(scope.clone()).soft().await.unwrap();
        assert_eq!(stale_for(&cache, &later).await, Some(0), "{scope:?}");
        assert_eq!(cache.invalidate(scope.clone()).await.unwrap(), Invalidated::Complete);
        assert!(found(&cache, &page).await.is_none(), "{scope:?}");
        assert!(found(&cache, &later).await.is_none(), "{scope:?}");
    }
}

async fn it_is_of_use_for_as_long_as_past_its_freshness_and_no_longer(setup: Setup) {
    let cache = setup.cache();
    filled(&cache, "a").await;
    setup.clock.advance(minutes(1));
    cache.invalidate(Tag::new("late")).soft().await.unwrap();
    setup.clock.advance(std::time::Duration::from_millis(GRACE - 1));
    assert_eq!(stale_for(&cache, "a").await, Some(GRACE - 1));
    setup.clock.advance(std::time::Duration::from_millis(1));
    assert!(found(&cache, "a").await.is_none());
    // Nor longer than it would have been without.
    filled(&cache, "b").await;
    setup.clock.advance(minutes(14));
    cache.invalidate(Tag::new("late")).soft().await.unwrap();
    setup.clock.advance(seconds(59));
    assert!(found(&cache, "b").await.is_some());
    setup.clock.advance(seconds(1));
    assert!(found(&cache, "b").await.is_none());
}

/// Pinned: what had been stale for too long was of use again once its scope was invalidated anew.
async fn a_second_time_gives_it_no_more_time(setup: Setup) {
    let cache = setup.cache();
    declare(&cache);
    for (n, scope) in scopes().into_iter().enumerate() {
        let page = format!("{n}");
        filled(&cache, &page).await;
        cache.invalidate(scope.clone()).soft().await.unwrap();
        let (older, later) = (format!("{n} older"), format!("{n} later"));
        filled(&cache, &older).await;
        setup.clock.advance(std::time::Duration::from_millis(GRACE - 10));
        cache.invalidate(scope.clone()).soft().await.unwrap();
        filled(&cache, &later).await;
        assert_eq!(stale_for(&cache, &page).await, Some(GRACE - 10), "{scope:?}");
        setup.clock.advance(std::time::Duration::from_millis(10));
        cache.invalidate(scope.clone()).soft().await.unwrap();
        let elsewhere = if setup.is_memory() { cache.clone() } else { setup.cache() };
        for cache in [&cache, &elsewhere] {
            assert!(found(cache, &page).await.is_none(), "{scope:?}");
            assert_eq!(stale_for(cache, &older).await, Some(10), "{scope:?}");
            assert_eq!(stale_for(cache, &later).await, Some(0), "{scope:?}");
        }
    }
}

/// Pinned: it was stale from when the invalidation was made ready, not from when it was made.
async fn it_is_stale_from_when_the_invalidation_is_carried_out(setup: Setup) {
    let cache = setup.cache();
    let prepared = cache.invalidate(Tag::new("late")).soft();
    setup.clock.advance(minutes(1));
    filled(&cache, "a").await;
    prepared.await.unwrap();
    assert_eq!(stale_for(&cache, "a").await, Some(0));
}

async fn a_value_that_may_not_be_stale_is_gone(setup: Setup) {
    let cache = setup.cache();
    for scope in [Tag::new("t").into(), Scope::namespace("users"), Scope::key("users", "1")] {
        cache.set("users", "1", "Ada").tag("t").await.unwrap();
        assert_eq!(cache.invalidate(scope).soft().await.unwrap(), Invalidated::Complete);
        assert_eq!(cache.get::<String>("users", "1").await.unwrap(), None);
        assert_eq!(cache.ttl("users", "1").await.unwrap(), None);
        assert!(!cache.exists("users", "1").await.unwrap());
        assert!(!cache.touch("users", "1", minutes(5)).await.unwrap(), "it would be fresh again");
        assert_eq!(cache.get::<String>("users", "1").await.unwrap(), None);
    }
}

async fn a_single_entry_becomes_stale_and_its_neighbours_do_not(setup: Setup) {
    let cache = setup.cache();
    filled(&cache, "a").await;
    filled(&cache, "b").await;
    let page = |page: &str| cache.namespace("pages").prepare(&key(page), page.as_bytes()).unwrap();
    let soften = || cache.invalidate(Vec::<Scope>::new()).entries([page("a"), page("c")]).soft();
    assert_eq!(soften().await.unwrap(), Invalidated::Complete);
    let times = |slot: &Slot| {
        let times = slot.times_at(cache.clock().now());
        assert_eq!(slot.stale_since().is_some(), !times.is_fresh(cache.clock().now()));
        times
    };
    let [a, b] = [found(&cache, "a").await.unwrap(), found(&cache, "b").await.unwrap()];
    assert!(!times(&a).is_fresh(START) && times(&b).is_fresh(START));
    assert_eq!(times(&a).stale_until, START + GRACE);
    setup.clock.advance(seconds(10));
    assert_eq!(soften().await.unwrap(), Invalidated::Complete);
    let again = found(&cache, "a").await.unwrap();
    assert_eq!(times(&again).stale_until, START + GRACE, "a second time gives it no more time");
}

async fn a_fill_that_began_before_is_not_kept(setup: Setup) {
    let cache = setup.cache();
    declare(&cache);
    let prepared = cache.namespace("pages").prepare(&key("a"), b"a").unwrap();
    let soften = async |scope: Option<Scope>| {
        let scopes: Vec<Scope> = scope.iter().cloned().collect();
        let softened = cache.invalidate(scopes).soft();
        let softened = match scope {
            Some(_) => softened.await,
            None => softened.entries([Arc::clone(&prepared)]).await,
        };
        assert_eq!(softened.unwrap(), Invalidated::Complete);
    };
    for scope in scopes().into_iter().map(Some).chain([None]) {
        let Lookup::Miss(mut fill) = look_up(&cache, &key("a"), "a").await else { panic!() };
        fill.expect_tags(&TagFamily::global());
        fill.begin(&[Tag::new("early")], deadline()).await;
        soften(scope.clone()).await;
        if fill.tag(&[Tag::new("late")], deadline()).await {
            commit(&cache, fill).await;
        }
        assert!(found(&cache, "a").await.is_none(), "{scope:?}");
    }
}

async fn what_replaces_a_stale_entry_is_fresh(setup: Setup) {
    let cache = setup.cache();
    filled(&cache, "a").await;
    cache.invalidate(Scope::workspace("ws1")).soft().await.unwrap();
    let stale = found(&cache, "a").await.unwrap();
    let prepared = cache.namespace("pages").prepare(&key("a"), b"a").unwrap();
    let mut fill = cache.namespace("pages").replace(&prepared, &stale).unwrap();
    fill.begin(&[], deadline()).await;
    commit(&cache, fill).await;
    settled(&cache).await;
    assert_eq!(stale_for(&cache, "a").await, None);
    let elsewhere = if setup.is_memory() { cache } else { setup.cache() };
    assert_eq!(stale_for(&elsewhere, "a").await, None);
}

on_every_setup!(
    and on a cluster:
    what_was_filled_before_is_stale_and_what_comes_after_is_fresh,
    it_is_of_use_for_as_long_as_past_its_freshness_and_no_longer,
    a_second_time_gives_it_no_more_time,
    it_is_stale_from_when_the_invalidation_is_carried_out,
    a_value_that_may_not_be_stale_is_gone,
    a_single_entry_becomes_stale_and_its_neighbours_do_not,
    a_fill_that_began_before_is_not_kept,
    what_replaces_a_stale_entry_is_fresh,
);

async fn another_instance_finds_it_stale_too(setup: Setup) {
    let (here, there) = (setup.cache(), setup.cache());
    declare(&here);
    declare(&there);
    for (n, scope) in scopes().into_iter().enumerate() {
        let page = n.to_string();
        filled(&here, &page).await;
        settled(&here).await;
        assert_eq!(stale_for(&there, &page).await, None, "{scope:?}");
        here.invalidate(scope.clone()).soft().await.unwrap();
        let third = setup.cache();
        declare(&third);
        assert_eq!(stale_for(&third, &page).await, Some(0), "{scope:?}");
        // From memory it may be fresh for a moment.
        cache_tests::wait::eventually_some(crate::setup::PATIENCE, "it hears of it", async || {
            let slot = found(&there, &page).await.expect("still there");
            slot.stale_since()
        })
        .await;
        // And who fills it anew, fills it for all.
        let stale = found(&there, &page).await.unwrap();
        let prepared = there.namespace("pages").prepare(&key(&page), page.as_bytes()).unwrap();
        let mut fill = there.namespace("pages").replace(&prepared, &stale).unwrap();
        fill.begin(&[], deadline()).await;
        commit(&there, fill).await;
        assert_eq!(stale_for(&third, &page).await, None, "{scope:?}");
    }
}

on_shared_setups!(and on a cluster: another_instance_finds_it_stale_too);

/// By a transaction.
mod unscripted {
    #[tokio::test]
    async fn another_instance_finds_it_stale_too() {
        super::another_instance_finds_it_stale_too(crate::setup::Setup::unscripted()).await;
    }
}
