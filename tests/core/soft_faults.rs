//! Soft invalidation where it can't be had: it is hard then, and never none.

use cache_core::{Cache, Invalidated, Key, Lookup, Scope, Tag};
use cache_tests::RedisServer;

use crate::gated_store::{At, GatedStore};
use crate::pages::{commit, deadline, look_up};
use crate::setup::{Setup, join, on, options};

fn key(page: &str) -> Key {
    Key::workspace("ws1").segment(page)
}

async fn filled(cache: &Cache, page: &str) {
    let Lookup::Miss(mut fill) = look_up(cache, &key(page), page).await else {
        panic!("{page} is there already")
    };
    fill.begin(&[Tag::new("t")], deadline()).await;
    commit(cache, fill).await;
}

/// `None`: it is gone.
async fn is_stale(cache: &Cache, page: &str) -> Option<bool> {
    match look_up(cache, &key(page), page).await {
        Lookup::Hit(slot) => {
            Some(!slot.times_at(cache.clock().now()).is_fresh(cache.clock().now()))
        }
        Lookup::Miss(_) => None,
    }
}

async fn soften(cache: &Cache, scope: impl Into<Scope>) -> Invalidated {
    cache.invalidate(scope.into()).soft().await.unwrap()
}

#[tokio::test]
async fn a_generation_keeps_its_time_and_one_that_is_not_there_is_not_made() {
    let redis = RedisServer::start();
    let cache = on(&redis).build().unwrap();
    assert_eq!(soften(&cache, Tag::new("t")).await, Invalidated::Complete);
    assert_eq!(redis.command(&["DBSIZE"]).text(), "0");
    filled(&cache, "a").await;
    let name = "coldcopy:gen:w:ws1";
    assert_eq!(redis.command(&["PEXPIRE", name, "4000000"]).text(), "1");
    let id = redis.command(&["GET", name]).text();
    assert_eq!(soften(&cache, Scope::workspace("ws1")).await, Invalidated::Complete);
    let softened = redis.command(&["GET", name]).text();
    assert!(softened.len() == 48 && softened.starts_with(&id), "{softened}");
    // So does any number of them; the latest are told apart.
    for count in [2, 3, 4, 5, 6, 7, 8, 8] {
        assert_eq!(soften(&cache, Scope::workspace("ws1")).await, Invalidated::Complete);
        let again = redis.command(&["GET", name]).text();
        assert!(again.len() == 16 + 32 * count && again.starts_with(&id), "{again}");
        assert_ne!(is_stale(&cache, "a").await, Some(false));
    }
    let left: u64 = redis.command(&["PTTL", name]).text().parse().unwrap();
    assert!((3_000_000..=4_000_000).contains(&left), "{left}");
}

#[tokio::test]
async fn a_store_without_room_or_without_scripts_and_transactions_invalidates_hard() {
    let redis = RedisServer::start();
    let user = ["ACL", "SETUSER", "app", "on", ">pw", "~*", "&*", "+@all"];
    redis.command(&[&user[..], &["-@scripting", "-@transaction"]].concat());
    let user = options(&redis.url()).credentials(Some("app"), Some("pw"));
    for (refuse, allow) in [
        (&["CONFIG", "SET", "maxmemory", "1"][..], &["CONFIG", "SET", "maxmemory", "0"][..]),
        (&["PING"], &["PING"]),
    ] {
        let filler = on(&redis).build().unwrap();
        filled(&filler, "a").await;
        let cache = match refuse {
            ["PING"] => on(&redis).redis(user.clone()).build().unwrap(),
            _ => on(&redis).build().unwrap(),
        };
        assert_eq!(is_stale(&cache, "a").await, Some(false));
        redis.command(refuse);
        assert_eq!(soften(&cache, Tag::new("t")).await, Invalidated::Complete, "{refuse:?}");
        assert_eq!(is_stale(&cache, "a").await, None, "{refuse:?}");
        redis.command(allow);
        assert_eq!(is_stale(&on(&redis).build().unwrap(), "a").await, None, "{refuse:?}");
        filler.invalidate(Scope::everything()).await.unwrap();
    }
}

#[tokio::test]
async fn what_the_store_can_not_be_told_is_stale_here_and_invalid_elsewhere_later() {
    let setup = Setup::shared();
    let store = GatedStore::new(&setup);
    let (here, there) = (store.deaf_cache(&setup), store.cache_without_l1(&setup));
    filled(&here, "a").await;
    assert_eq!(is_stale(&there, "a").await, Some(false));
    store.fail(At::Write);
    assert_eq!(soften(&here, Tag::new("t")).await, Invalidated::Queued);
    assert_eq!(is_stale(&here, "a").await, Some(true), "from memory");
    cache_tests::eventually(crate::setup::PATIENCE, "the store is told", || {
        here.stats().invalidations.queued == 1
    })
    .await;
    cache_tests::wait::eventually_some(crate::setup::PATIENCE, "it is gone there", async || {
        is_stale(&there, "a").await.is_none().then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_store_that_forgets_it_is_told_again() {
    let setup = Setup::shared();
    let store = GatedStore::new(&setup);
    let here = store.cache_without_l1(&setup);
    filled(&here, "a").await;
    let before = store.snapshot();
    assert_eq!(soften(&here, Tag::new("t")).await, Invalidated::Complete);
    store.restore(&before);
    assert_ne!(is_stale(&here, "a").await, Some(false));
    assert_ne!(is_stale(&store.cache_without_l1(&setup), "a").await, Some(false));
}

/// Whether the value that was written meanwhile is newer, nobody knows.
#[tokio::test]
async fn an_entry_that_is_written_at_the_same_time_is_gone() {
    let setup = Setup::shared();
    let store = GatedStore::new(&setup);
    let (here, there) = (store.cache_without_l1(&setup), store.cache_without_l1(&setup));
    here.set("users", "1", "old").await.unwrap();
    let writing = store.hold(At::Write);
    let softening = tokio::spawn({
        let here = here.clone();
        async move { soften(&here, Scope::key("users", "1")).await }
    });
    writing.waiting(1).await;
    there.set("users", "1", "meanwhile").await.unwrap();
    writing.open(1);
    assert_eq!(join(softening).await, Invalidated::Complete);
    for cache in [&here, &there] {
        assert_eq!(cache.get::<String>("users", "1").await.unwrap(), None);
    }
}
