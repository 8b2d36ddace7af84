//! Several scopes in one call, single keys among them; and calls whose future is dropped.

use cache_core::{Cache, Invalidated, InvalidationStats, Key, Pattern, Scope, Scopes, Tag};
use cache_core::{ErrorKind, Namespace, Template};
use cache_tests::wait::eventually_some;

use crate::finality_keys::overtaken;
use crate::gated_store::{At, GatedStore};
use crate::setup::{PATIENCE, Setup, kind, on_every_setup, on_shared_setups, text};

/// Writes `old` under these keys of `users`, the first with the tag `t`; reads them all.
async fn stored(cache: &Cache, keys: &[&str]) {
    for key in keys {
        let set = cache.set("users", *key, "old");
        if *key == keys[0] {
            set.tag("t").await.unwrap();
        } else {
            set.await.unwrap();
        }
        assert_eq!(text(cache, "users", key).await.as_deref(), Some("old"));
    }
}

/// Waits until nothing is queued, without reading.
pub(crate) async fn told(cache: &Cache) {
    eventually_some(PATIENCE, "the queue is empty", async || {
        (cache.health().await.queued_invalidations == 0).then_some(())
    })
    .await;
}

async fn several_scopes_of_all_kinds(setup: Setup) {
    let cache = setup.cache();
    let template = Template::parse("{workspace_id}:campaigns:*").unwrap();
    cache.namespace("api").declare(&template).unwrap();
    let entries = || {
        let of_workspace = Key::workspace("ws1").segment("1");
        [
            ("users", Key::from("tagged")),
            ("users", Key::from("single")),
            ("teams", Key::from("1")),
            ("pages", of_workspace),
            ("api", Key::from("ws1:campaigns:1")),
            ("api", Key::from("swept:1")),
        ]
    };
    for (namespace, key) in entries() {
        cache.set(namespace, key, "v").tag(format!("all of {namespace}")).await.unwrap();
    }
    cache.set("users", "tagged", "v").tag("t").await.unwrap();
    cache.set("users", "neighbour", "v").await.unwrap();
    cache.set("api", "ws2:campaigns:1", "v").await.unwrap();
    let scopes = [
        Scope::from(Tag::new("t")),
        Scope::key("users", "single"),
        Scope::from(Namespace::new("teams")),
        Scope::workspace("ws1"),
        Scope::pattern("api", Pattern::new("ws1:campaigns:*")),
        Scope::pattern("api", Pattern::new("swept:*")),
    ];
    assert_eq!(cache.invalidate(scopes).await.unwrap(), Invalidated::Complete);
    for (namespace, key) in entries() {
        let found = cache.get::<String>(namespace, key.clone()).await.unwrap();
        assert_eq!(found, None, "{namespace} {key:?}");
    }
    assert!(text(&cache, "users", "neighbour").await.is_some());
    assert!(text(&cache, "api", "ws2:campaigns:1").await.is_some());
    let nothing = cache.invalidate(Scopes::default()).await.unwrap();
    assert_eq!(nothing, Invalidated::Complete);
    let counted = InvalidationStats { complete: 1, ..InvalidationStats::default() };
    assert_eq!(cache.stats().invalidations, counted);
}

async fn scopes_come_in_many_forms(setup: Setup) {
    let cache = setup.cache();
    let (a, b) = (Scope::key("users", "1"), Scope::key("users", "2"));
    let forms = [
        Scopes::from([a.clone(), b.clone()]),
        Scopes::from(vec![a.clone(), b.clone()]),
        Scopes::from(&[a.clone(), b.clone()][..]),
        [a, b].into_iter().collect(),
        Scopes::from([Tag::new("t"), Tag::new("u")]),
        Scopes::from(Namespace::new("users")),
    ];
    for (n, form) in forms.into_iter().enumerate() {
        cache.set("users", "1", "v").tag("t").await.unwrap();
        cache.set("users", "2", "v").tag("u").await.unwrap();
        cache.invalidate(form).await.unwrap();
        assert_eq!(text(&cache, "users", "1").await, None, "{n}");
        assert_eq!(text(&cache, "users", "2").await, None, "{n}");
    }
}

async fn a_scope_that_can_not_be_invalidates_nothing(setup: Setup) {
    let cache = setup.cache();
    stored(&cache, &["1"]).await;
    let scopes = [Scope::namespace("users"), Scope::key("", "1")];
    assert_eq!(kind(cache.invalidate(scopes).await), ErrorKind::Config);
    assert!(text(&cache, "users", "1").await.is_some());
}

async fn what_can_not_wait_takes_effect_here_at_once(setup: Setup) {
    let (cache, other) = (setup.cache(), setup.cache());
    stored(&cache, &["1", "2", "3"]).await;
    let scopes = [Scope::from(Tag::new("t")), Scope::key("users", "2")];
    let queued = cache.invalidate(scopes).queue().unwrap();
    assert_eq!(queued.is_complete(), setup.is_memory());
    for key in ["1", "2"] {
        assert_eq!(text(&cache, "users", key).await, None, "{key}");
    }
    told(&cache).await;
    for key in ["1", "2"] {
        assert_eq!(text(&other, "users", key).await, None, "{key}");
    }
    assert!(text(&cache, "users", "3").await.is_some());
}

on_every_setup!(
    and on a cluster:
    several_scopes_of_all_kinds,
    scopes_come_in_many_forms,
    a_scope_that_can_not_be_invalidates_nothing,
    what_can_not_wait_takes_effect_here_at_once,
);

async fn a_key_among_scopes_overtakes_fills_elsewhere(setup: Setup) {
    let (filler, other) = (setup.cache(), setup.cache());
    overtaken(&filler, "1", async {
        let scopes = [Scope::key("users", "1"), Scope::from(Tag::new("t"))];
        assert_eq!(other.invalidate(scopes).await.unwrap(), Invalidated::Complete);
    })
    .await;
    for cache in [&filler, &other, &setup.cache()] {
        assert_eq!(text(cache, "users", "1").await, None);
    }
}

on_shared_setups!(and on a cluster: a_key_among_scopes_overtakes_fills_elsewhere);

#[tokio::test]
async fn one_round_trip_for_all() {
    let setup = Setup::shared();
    let store = GatedStore::new(&setup);
    let cache = store.cache(&setup);
    for scopes in [
        vec![Scope::namespace("users"), Scope::workspace("ws1"), Scope::everything()],
        vec![Scope::from(Tag::new("t")), Scope::key("users", "1"), Scope::key("teams", "1")],
    ] {
        let before = store.calls();
        assert_eq!(cache.invalidate(scopes).await.unwrap(), Invalidated::Complete);
        assert_eq!(store.calls() - before, 1);
    }
}

/// The caller leaves while the store is asked: it has taken effect here at that moment, and
/// goes everywhere without anybody's asking.
#[tokio::test]
async fn a_call_that_is_dropped_at_any_await_is_not_lost() {
    let swept = || Scope::pattern("users", Pattern::new("*"));
    let tag = || Scope::from(Tag::new("t"));
    let key = || Scope::key("users", "1");
    for (scopes, steps) in [
        (vec![tag()], &[At::Remove, At::RemoveReply][..]),
        (vec![key()], &[At::Write, At::WriteReply]),
        (vec![tag(), key()], &[At::Write, At::WriteReply]),
        (vec![swept()], &[At::ScanReply, At::Remove, At::RemoveReply]),
        (vec![key(), swept()], &[At::Write, At::WriteReply, At::ScanReply, At::Remove]),
    ] {
        for step in steps {
            let setup = Setup::shared();
            let store = GatedStore::new(&setup);
            let (cache, other) = (store.cache(&setup), store.cache_without_l1(&setup));
            stored(&cache, &["1"]).await;
            overtaken(&other, "2", async {
                let gate = store.hold(*step);
                let call = tokio::spawn(cache.invalidate(scopes.clone()).into_future());
                gate.waiting(1).await;
                call.abort();
                assert!(call.await.unwrap_err().is_cancelled());
                assert_eq!(cache.stats().invalidations.queued, 1, "{scopes:?} {step:?}");
                assert_eq!(text(&cache, "users", "1").await, None, "{scopes:?} {step:?}");
                told(&cache).await;
            })
            .await;
            assert_eq!(text(&other, "users", "1").await, None, "{scopes:?} {step:?}");
            assert_eq!(text(&cache, "users", "1").await, None, "{scopes:?} {step:?}");
        }
    }
}

/// As above, with `delete`, and nobody who reads.
#[tokio::test]
async fn a_delete_that_is_dropped_is_not_lost() {
    for step in [At::Write, At::WriteReply] {
        let setup = Setup::shared();
        let store = GatedStore::new(&setup);
        let (cache, other) = (store.cache(&setup), store.cache_without_l1(&setup));
        stored(&cache, &["1", "2"]).await;
        let gate = store.hold(step);
        let call = tokio::spawn({
            let cache = cache.clone();
            async move { cache.delete("users", "1").await }
        });
        gate.waiting(1).await;
        call.abort();
        assert!(call.await.unwrap_err().is_cancelled());
        told(&cache).await;
        assert_eq!(text(&other, "users", "1").await, None, "{step:?}");
        assert!(text(&other, "users", "2").await.is_some(), "{step:?}");
    }
}
