//! Entries with tags that are read from the store: what is known of the tags, and proven, need not
//! be asked for again.

use cache_core::{Cache, Invalidated, Namespace, Tag, seconds};
use cache_tests::eventually;

use super::proven;
use crate::gated_store::{At, GatedStore};
use crate::setup::{PATIENCE, Setup, join, settled, text};

/// How many questions the store is asked by one read of a key.
async fn questions(cache: &Cache, store: &GatedStore, key: &str, expected: Option<&str>) -> usize {
    settled(cache).await;
    let before = store.calls();
    assert_eq!(text(cache, "users", key).await.as_deref(), expected, "{key}");
    store.calls() - before
}

#[tokio::test]
async fn they_are_read_in_one_round_trip_once_their_tags_are_known() {
    let setup = Setup::shared();
    let store = GatedStore::watched(&setup);
    let (here, there) = (store.cache(&setup), store.cache(&setup));
    for cache in [&here, &there] {
        proven(cache).await;
    }
    for key in ["1", "2", "3"] {
        here.set("users", key, "v").tag("team").await.unwrap();
    }
    settled(&here).await;
    let first = questions(&there, &store, "1", Some("v")).await;
    assert_eq!(first, 3, "neither the namespace nor the tag is known yet");
    assert_eq!(questions(&there, &store, "2", Some("v")).await, 1);
    assert_eq!(questions(&there, &store, "2", Some("v")).await, 0, "it is in memory");

    // Another tag beside it: that has to be asked for.
    here.set("users", "4", "v").tag("team").tag("floor").await.unwrap();
    settled(&here).await;
    assert_eq!(questions(&there, &store, "4", Some("v")).await, 2);

    // Invalidated elsewhere, and here.
    here.invalidate(Tag::new("team")).await.unwrap();
    settled(&here).await;
    for key in ["1", "2", "3", "4"] {
        assert!(questions(&there, &store, key, None).await > 0);
    }
    there.set("users", "5", "v").tag("team").await.unwrap();
    here.set("users", "6", "v").tag("team").await.unwrap();
    settled(&here).await;
    assert_eq!(questions(&there, &store, "6", Some("v")).await, 1);
    there.invalidate(Tag::new("team")).await.unwrap();
    assert_eq!(questions(&there, &store, "5", None).await, 2, "no id is known here");
    assert_eq!(questions(&there, &store, "6", None).await, 2);
}

#[tokio::test]
async fn they_are_asked_for_where_nothing_is_proven_or_nothing_may_be_late() {
    let setup = Setup::shared();
    let deaf = GatedStore::new(&setup);
    let cache = deaf.cache(&setup);
    cache.set("users", "1", "v").tag("team").await.unwrap();
    setup.clock.advance(seconds(6));
    assert_eq!(questions(&cache, &deaf, "1", Some("v")).await, 2);

    let store = GatedStore::watched(&setup);
    let namespace = || Namespace::new("users").l1(false);
    let cache = store.builder(&setup).namespace(namespace()).build().unwrap();
    proven(&cache).await;
    cache.set("users", "1", "v").tag("team").await.unwrap();
    assert_eq!(questions(&cache, &store, "1", Some("v")).await, 2);
}

/// The tag is invalidated here, and the store does not get to know: what it still says of the tag
/// is not learnt again, whatever is heard of it.
#[tokio::test]
async fn a_tag_whose_invalidation_got_lost_is_not_vouched_for() {
    let setup = Setup::shared();
    let store = GatedStore::watched(&setup);
    let (here, there) = (store.cache(&setup), store.cache(&setup));
    for cache in [&here, &there] {
        proven(cache).await;
    }
    for key in ["1", "2"] {
        there.set("users", key, "old").tag("team").await.unwrap();
    }
    assert_eq!(questions(&here, &store, "1", Some("old")).await, 3);
    settled(&there).await;
    // A reader that has been given the entry, and has not looked at its tag.
    let gate = store.hold(At::FetchReply);
    let reader = tokio::spawn({
        let here = here.clone();
        async move { text(&here, "users", "2").await }
    });
    gate.waiting(1).await;
    (0..50).for_each(|_| store.fail(At::Remove));
    assert_eq!(here.invalidate(Tag::new("team")).await.unwrap(), Invalidated::Queued);
    store.touch(&format!("{}:gen:*team*", setup.prefix)).await;
    // What is heard is looked into at once; a replay goes on.
    eventually(PATIENCE, "it is looked into", || here.background().running() <= 1).await;
    gate.open(1);
    join(reader).await;
    for key in ["1", "2"] {
        assert_eq!(text(&here, "users", key).await, None, "{key}");
    }
}
