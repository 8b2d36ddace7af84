//! A fill or read that began before a scope was invalidated does not bring it back.

use cache_core::{Cache, Key, Pattern, Scope, Tag, Template, seconds};
use cache_tests::{FaultProxy, Gate, Mode, RedisServer, eventually};

use crate::gated_store::{At, GatedStore};
use crate::setup::{
    PATIENCE, Setup, at, join, on, on_every_setup, on_restricted_setups, on_shared_setups, settled,
};

const LATE: std::time::Duration = std::time::Duration::from_millis(300);

fn key() -> Key {
    Key::workspace("ws1").segment("campaigns").segment("1")
}

async fn get(cache: &Cache) -> Option<String> {
    cache.get("users", key()).await.unwrap()
}

fn declare(cache: &Cache) {
    let template = Template::parse("{workspace_id}:campaigns:*").unwrap();
    cache.namespace("users").declare(&template).unwrap();
}

fn scopes() -> [Scope; 4] {
    [
        Scope::namespace("users"),
        Scope::workspace("ws1"),
        Scope::everything(),
        Scope::pattern("users", Pattern::new("ws1:campaigns:*")),
    ]
}

/// A fill of the key on `filler`, during which `act` happens.
async fn overtaken(filler: &Cache, act: impl Future<Output = ()>) {
    let gate = Gate::new();
    let task = tokio::spawn({
        let (gate, filler) = (gate.clone(), filler.clone());
        async move {
            let compute = async || {
                gate.pass().await;
                Ok::<_, std::io::Error>("old".to_owned())
            };
            filler.get_or_compute("users", key(), compute).await.unwrap()
        }
    });
    gate.waiting(1).await;
    act.await;
    gate.open(1);
    assert_eq!(join(task).await, "old");
    settled(filler).await;
}

async fn an_invalidation_overtakes_a_fill(setup: Setup) {
    let cache = setup.cache();
    declare(&cache);
    for scope in scopes() {
        for round in ["with no generation yet", "with one"] {
            overtaken(&cache, async {
                cache.invalidate(scope.clone()).await.unwrap();
            })
            .await;
            assert_eq!(get(&cache).await, None, "{scope:?} {round}");
            // The next fill is kept.
            cache.set("users", key(), "new").await.unwrap();
            assert_eq!(get(&cache).await.as_deref(), Some("new"), "{scope:?} {round}");
            cache.delete("users", key()).await.unwrap();
        }
    }
}

async fn clearing_overtakes_a_fill(setup: Setup) {
    let cache = setup.cache();
    overtaken(&cache, async {
        cache.clear("users").await.unwrap();
    })
    .await;
    assert_eq!(get(&cache).await, None);
    overtaken(&cache, async {
        cache.clear_all().await.unwrap();
    })
    .await;
    assert_eq!(get(&cache).await, None);
}

async fn who_asks_after_an_invalidation_does_not_wait_for_the_fill_before_it(setup: Setup) {
    let cache = setup.cache();
    declare(&cache);
    for scope in scopes() {
        overtaken(&cache, async {
            cache.invalidate(scope.clone()).await.unwrap();
            let compute = async || Ok::<_, std::io::Error>("new".to_owned());
            assert_eq!(cache.get_or_compute("users", key(), compute).await.unwrap(), "new");
            settled(&cache).await;
        })
        .await;
        assert_eq!(get(&cache).await.as_deref(), Some("new"), "{scope:?}");
        cache.delete("users", key()).await.unwrap();
    }
}

on_every_setup!(
    and on a cluster:
    an_invalidation_overtakes_a_fill,
    clearing_overtakes_a_fill,
    who_asks_after_an_invalidation_does_not_wait_for_the_fill_before_it,
);

async fn an_invalidation_elsewhere_overtakes_a_fill(setup: Setup) {
    let setup = setup.deaf();
    let (filler, other) = (setup.cache(), setup.cache());
    for cache in [&filler, &other] {
        declare(cache);
    }
    for scope in scopes() {
        for round in ["with no generation yet", "with one"] {
            overtaken(&filler, async {
                other.invalidate(scope.clone()).await.unwrap();
            })
            .await;
            let fresh = setup.cache();
            declare(&fresh);
            for cache in [&other, &fresh] {
                assert_eq!(get(cache).await, None, "{scope:?} {round}");
            }
            setup.clock.advance(seconds(5));
            assert_eq!(get(&filler).await, None, "{scope:?} {round}");
            assert_eq!(get(&other).await, None, "{scope:?} {round}");
        }
    }
}

/// Pinned: L1 counted its time from the end of a fill. What was invalidated elsewhere while the
/// value was computed stayed there for as long as that took beyond the time that is stated.
async fn the_time_in_memory_counts_from_the_beginning_of_a_fill(setup: Setup) {
    let (filler, other) = (setup.cache(), setup.cache());
    declare(&filler);
    declare(&other);
    for scope in scopes() {
        overtaken(&filler, async {
            other.invalidate(scope.clone()).await.unwrap();
            setup.clock.advance(seconds(5));
        })
        .await;
        assert_eq!(get(&filler).await, None, "{scope:?}");
    }
}

on_shared_setups!(
    and on a cluster:
    an_invalidation_elsewhere_overtakes_a_fill,
    the_time_in_memory_counts_from_the_beginning_of_a_fill,
);

#[tokio::test]
async fn a_promotion_on_its_way_does_not_undo_an_invalidation() {
    let tag = Scope::from(Tag::new("tag"));
    for scope in scopes().into_iter().chain([tag]) {
        let setup = Setup::shared();
        let store = GatedStore::new(&setup);
        let (writer, cache) = (store.cache(&setup), store.cache(&setup));
        declare(&writer);
        declare(&cache);
        writer.set("users", key(), "old").tag("tag").await.unwrap();
        let reply = store.hold(At::FetchReply);
        let reader = tokio::spawn({
            let cache = cache.clone();
            async move { get(&cache).await }
        });
        reply.waiting(1).await;
        cache.invalidate(scope.clone()).await.unwrap();
        reply.open(1);
        join(reader).await;
        assert_eq!(get(&cache).await, None, "{scope:?}");
    }
}

/// The same while the invalidation itself is under way: the reader learns the old generation
/// after the local table was told to forget it.
#[tokio::test]
async fn a_promotion_that_began_during_an_invalidation_does_not_undo_it() {
    let tag = Scope::from(Tag::new("tag"));
    for scope in scopes().into_iter().chain([tag]) {
        let setup = Setup::shared();
        let store = GatedStore::new(&setup);
        let cache = store.cache(&setup);
        declare(&cache);
        cache.set("users", key(), "old").tag("tag").await.unwrap();
        let removal = store.hold(At::Remove);
        let invalidation = tokio::spawn({
            let (cache, scope) = (cache.clone(), scope.clone());
            async move { cache.invalidate(scope).await.unwrap() }
        });
        removal.waiting(1).await;
        let reply = store.hold(At::FetchReply);
        let reader = tokio::spawn({
            let cache = cache.clone();
            async move { get(&cache).await }
        });
        reply.waiting(1).await;
        removal.open(1);
        join(invalidation).await;
        reply.open(1);
        join(reader).await;
        assert_eq!(get(&cache).await, None, "{scope:?}");
    }
}

#[tokio::test]
async fn a_reply_of_redis_that_is_late_does_not_undo_an_invalidation() {
    let redis = RedisServer::start();
    let proxy = FaultProxy::start(redis.port()).await;
    on(&redis).build().unwrap().set("users", key(), "old").await.unwrap();
    let url = redis.url_through(proxy.port());
    for scope in scopes().into_iter().take(3) {
        let cache = at(&url).build().unwrap();
        on(&redis).build().unwrap().set("users", key(), "old").await.unwrap();
        assert!(cache.health().await.reachable);
        redis.reset_stats();
        proxy.set(Mode::Delay(LATE)).await;
        let reader = tokio::spawn({
            let cache = cache.clone();
            async move { get(&cache).await }
        });
        eventually(PATIENCE, "Redis has answered", || redis.calls("mget") > 0).await;
        let invalidation = tokio::spawn({
            let (cache, scope) = (cache.clone(), scope.clone());
            async move { cache.invalidate(scope).await }
        });
        join(invalidation).await.unwrap();
        join(reader).await;
        proxy.set(Mode::Pass).await;
        assert_eq!(get(&cache).await, None, "{scope:?}");
    }
}

/// Pinned: a read or fill that had begun before a pattern was declared went on under the scopes
/// it had begun with; what it put into memory was not covered when the pattern was invalidated.
#[tokio::test]
async fn a_read_or_fill_that_began_before_a_pattern_was_declared_is_covered_by_it() {
    for fills in [false, true] {
        let setup = Setup::shared();
        let store = GatedStore::new(&setup);
        if !fills {
            store.cache(&setup).set("users", key(), "old").await.unwrap();
        }
        let cache = store.cache(&setup);
        let (reply, compute) = (store.hold(At::FetchReply), Gate::new());
        let task = tokio::spawn({
            let (cache, compute) = (cache.clone(), compute.clone());
            async move {
                let slow = async || {
                    compute.pass().await;
                    Ok::<_, std::io::Error>("old".to_owned())
                };
                cache.get_or_compute("users", key(), slow).await.unwrap()
            }
        });
        reply.waiting(1).await;
        declare(&cache);
        reply.open(1);
        // What was found may not be covered: it counts for nothing.
        compute.waiting(1).await;
        cache.invalidate(Scope::pattern("users", "ws1:campaigns:*".into())).await.unwrap();
        let new = async || Ok::<_, std::io::Error>("new".to_owned());
        assert_eq!(cache.get_or_compute("users", key(), new).await.unwrap(), "new");
        compute.open(1);
        join(task).await;
        settled(&cache).await;
        assert_eq!(get(&cache).await.as_deref(), Some("new"));
    }
}

on_restricted_setups!(
    an_invalidation_overtakes_a_fill,
    clearing_overtakes_a_fill,
    an_invalidation_elsewhere_overtakes_a_fill,
);
