//! Tags that only the value names: an invalidation while it was on its way is not lost.

use cache_core::{Cache, Fill, Flights, Joined, Key, Lookup, Tag, TagFamily, minutes};

use crate::pages::{self, commit, deadline};
use crate::setup::{Setup, on_every_setup, on_shared_setups};

fn family() -> TagFamily {
    TagFamily::new("groups")
}

/// Tags of the family.
fn tags(texts: &[&str]) -> Vec<Tag> {
    texts.iter().map(|text| family().tag(*text)).collect()
}

async fn look_up(cache: &Cache, key: &str) -> Lookup {
    pages::look_up(cache, &Key::from(key), key).await
}

async fn is_there(cache: &Cache, key: &str) -> bool {
    matches!(look_up(cache, key).await, Lookup::Hit(_))
}

/// A fill that has begun, for a value that may have tags.
async fn begun(cache: &Cache, key: &str) -> Fill {
    let Lookup::Miss(mut fill) = look_up(cache, key).await else { panic!("{key} is there") };
    fill.expect_tags(&family());
    fill.begin(&[], deadline()).await;
    fill
}

async fn filled(cache: &Cache, key: &str, texts: &[&str]) {
    let mut fill = begun(cache, key).await;
    assert!(fill.tag(&tags(texts), deadline()).await, "{key}");
    commit(cache, fill).await;
    assert!(is_there(cache, key).await, "{key}");
}

async fn invalidate(cache: &Cache, texts: &[&str]) {
    cache.invalidate(tags(texts)).deadline(deadline()).await.unwrap();
}

async fn a_tag_takes_its_entries_and_no_others(setup: Setup) {
    let cache = setup.cache();
    for _ in 0..2 {
        filled(&cache, "1", &["a", "b"]).await;
        filled(&cache, "2", &["b"]).await;
        filled(&cache, "3", &["c", "A"]).await;
        invalidate(&cache, &["nobody's"]).await;
        invalidate(&cache, &[]).await;
        let others = TagFamily::new("others");
        let others = ["a", "b", "c"].map(|text| others.tag(text));
        cache.invalidate(others).deadline(deadline()).await.unwrap();
        for key in ["1", "2", "3"] {
            assert!(is_there(&cache, key).await, "{key}");
        }
        invalidate(&cache, &["a", "c"]).await;
        let there = [is_there(&cache, "1").await, is_there(&cache, "2").await];
        assert_eq!((there, is_there(&cache, "3").await), ([false, true], false));
        invalidate(&cache, &["b"]).await;
        assert!(!is_there(&cache, "2").await);
    }
}

async fn an_invalidation_before_the_tags_are_known_is_not_lost(setup: Setup) {
    let cache = setup.cache();
    for round in ["with no generation yet", "with one"] {
        let mut fill = begun(&cache, "1").await;
        invalidate(&cache, &["a"]).await;
        assert!(!fill.tag(&tags(&["a"]), deadline()).await, "{round}");
        // Those that begin later are kept.
        filled(&cache, "1", &["a"]).await;
        invalidate(&cache, &["a"]).await;
    }
}

async fn nor_is_one_after_that(setup: Setup) {
    let cache = setup.cache();
    for round in 0..2 {
        let mut fill = begun(&cache, "1").await;
        assert!(fill.tag(&tags(&["a"]), deadline()).await, "{round}");
        invalidate(&cache, &["a"]).await;
        commit(&cache, fill).await;
        assert!(!is_there(&cache, "1").await, "{round}");
    }
}

/// Only those who can't know whether it is about them are held back.
async fn values_without_tags_are_kept(setup: Setup) {
    let cache = setup.cache();
    let fill = begun(&cache, "1").await;
    invalidate(&cache, &["a"]).await;
    commit(&cache, fill).await;
    assert!(is_there(&cache, "1").await);
}

/// Who has not said before that there may be tags can give none.
async fn tags_that_were_not_expected_are_refused(setup: Setup) {
    let cache = setup.cache();
    let Lookup::Miss(mut fill) = look_up(&cache, "1").await else { panic!("nothing is there") };
    fill.begin(&[], deadline()).await;
    assert!(!fill.tag(&tags(&["a"]), deadline()).await);
    fill.expect_tags(&TagFamily::new("others"));
    assert!(!fill.tag(&tags(&["a"]), deadline()).await);
}

/// A fill in flight may bring what was invalidated: who asks later does not wait for it.
async fn flights_from_before_an_invalidation_are_not_joined(setup: Setup) {
    let cache = setup.cache();
    let flights = Flights::<()>::default();
    for round in 0..2 {
        let expecting = async || {
            let Lookup::Miss(mut fill) = look_up(&cache, "1").await else { panic!("a miss") };
            fill.expect_tags(&family());
            fill
        };
        let mut fill = expecting().await;
        let key = fill.key().hash();
        let Joined::Leader(_leader) = flights.join(key, &fill) else { panic!("nobody leads") };
        fill.begin(&[], deadline()).await;
        let second = flights.join(key, &expecting().await);
        assert!(matches!(second, Joined::Follower(_)), "{round}");
        invalidate(&cache, &["a"]).await;
        let third = flights.join(key, &expecting().await);
        assert!(matches!(third, Joined::Leader(_)), "{round}");
    }
}

/// A value that replaces another has its own tags, not those of both.
async fn a_replaced_value_leaves_its_tags_behind(setup: Setup) {
    let cache = setup.cache();
    filled(&cache, "1", &["a"]).await;
    let values = cache.namespace("pages");
    for tag in ["b", "c"] {
        let Lookup::Hit(slot) = look_up(&cache, "1").await else { panic!("it is there") };
        let key = values.prepare(&Key::from("1"), b"1").unwrap();
        let mut fill = values.replace(&key, &slot).unwrap();
        fill.expect_tags(&family());
        fill.begin(&[], deadline()).await;
        assert!(fill.tag(&tags(&[tag]), deadline()).await);
        commit(&cache, fill).await;
    }
    invalidate(&cache, &["a", "b"]).await;
    assert!(is_there(&cache, "1").await);
    invalidate(&cache, &["c"]).await;
    assert!(!is_there(&cache, "1").await);
}

on_every_setup!(
    and on a cluster:
    a_tag_takes_its_entries_and_no_others,
    an_invalidation_before_the_tags_are_known_is_not_lost,
    nor_is_one_after_that,
    values_without_tags_are_kept,
    tags_that_were_not_expected_are_refused,
    flights_from_before_an_invalidation_are_not_joined,
    a_replaced_value_leaves_its_tags_behind,
);

async fn an_invalidation_elsewhere_is_not_lost_either(setup: Setup) {
    let setup = setup.deaf();
    let (cache, other) = (setup.cache(), setup.cache());
    // So that both know its generation.
    filled(&cache, "0", &["a"]).await;
    assert!(is_there(&other, "0").await);
    for round in 0..2 {
        let mut fill = begun(&cache, "1").await;
        invalidate(&other, &["a"]).await;
        assert!(!fill.tag(&tags(&["a"]), deadline()).await, "{round}");

        let mut fill = begun(&cache, "1").await;
        assert!(fill.tag(&tags(&["a"]), deadline()).await, "{round}");
        invalidate(&other, &["a"]).await;
        commit(&cache, fill).await;
        assert!(!is_there(&other, "1").await, "{round}");
        setup.clock.advance(minutes(1));
        assert!(!is_there(&cache, "1").await, "{round}");
        // What this node knows of the family is old: the first value is not kept, the next is.
        let mut fill = begun(&cache, "1").await;
        assert!(!fill.tag(&tags(&["a"]), deadline()).await, "{round}");
        filled(&cache, "1", &["a"]).await;
        invalidate(&cache, &["a"]).await;
    }
}

on_shared_setups!(and on a cluster: an_invalidation_elsewhere_is_not_lost_either);
