//! Typed namespaces: schemas beside each other, types that can't be mistaken, values kept decoded.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use cache_core::{
    CacheKey, ErrorKind, Invalidated, Key, Namespace, Pattern, Scope, Tag, Template, Typed,
    TypedNamespace, minutes,
};
use cache_tests::{RedisServer, eventually};
use serde::{Deserialize, Serialize};

use crate::setup::{PATIENCE, Setup, kind, on, on_every_setup, on_shared_setups, settled};

const ANALYTICS: Namespace = Namespace::new("analytics").ttl(minutes(5)).by_workspace();

#[derive(Debug, Clone, PartialEq)]
struct ReportKey {
    workspace: &'static str,
    id: u64,
}

impl CacheKey for ReportKey {
    fn cache_key(&self) -> Key {
        Key::workspace(self.workspace).segment(self.id.to_string())
    }
}

fn key(id: u64) -> ReportKey {
    ReportKey { workspace: "ws1", id }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Old {
    visits: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct New {
    visits: u64,
}

const OLD: TypedNamespace<ReportKey, Old> = TypedNamespace::new(ANALYTICS).schema(1);
const NEW: TypedNamespace<ReportKey, New> = TypedNamespace::new(ANALYTICS).schema(2);

async fn all_operations(setup: Setup) {
    let cache = setup.builder().namespace(ANALYTICS).build().unwrap();
    let reports = cache.typed(&NEW);
    let new = |visits| New { visits };
    reports.set(&key(1), &new(1)).ttl(minutes(9)).tag("t").await.unwrap();
    reports.set_many([(&key(2), &new(2)), (&key(3), &new(3))]).await.unwrap();
    assert_eq!(reports.get(&key(1)).await.unwrap(), Some(new(1)));
    let many = reports.get_many(&[key(3), key(9), key(2)]).await.unwrap();
    assert_eq!(many, [Some(new(3)), None, Some(new(2))]);
    assert!(reports.exists(&key(1)).await.unwrap());
    assert_eq!(reports.ttl(&key(1)).await.unwrap(), Some(minutes(9).into()));
    assert!(reports.touch(&key(1), minutes(1)).await.unwrap());
    assert_eq!(reports.ttl(&key(1)).await.unwrap(), Some(minutes(1).into()));
    let computed = reports.get_or_compute(&key(4), async || Ok::<_, std::io::Error>(new(4)));
    assert_eq!(computed.await.unwrap(), new(4));
    let load = async |key: ReportKey| Ok::<_, std::io::Error>(New { visits: key.id });
    let warmed = reports.warm([key(4), key(5)], load).await;
    assert_eq!((warmed.filled, warmed.present), (1, 1));
    assert_eq!(reports.get(&key(5)).await.unwrap(), Some(new(5)));
    let load = async |keys: Vec<ReportKey>| {
        assert_eq!(keys, [key(5)]);
        Ok::<_, std::io::Error>(keys.into_iter().map(|key| (key, New { visits: 5 })))
    };
    let found = reports.get_or_compute_many([key(5), key(4)], load).await;
    let found: Vec<_> = found.into_iter().map(|found| found.unwrap().unwrap()).collect();
    assert_eq!(found, [new(5), new(4)]);
    assert_eq!(reports.delete(&key(2)).await.unwrap(), Invalidated::Complete);
    assert_eq!(reports.get(&key(2)).await.unwrap(), None);
    cache.invalidate(Tag::new("t")).await.unwrap();
    assert_eq!(reports.get(&key(1)).await.unwrap(), None);
    cache.invalidate(Scope::workspace("ws1")).await.unwrap();
    assert_eq!(reports.get(&key(3)).await.unwrap(), None);
}

async fn a_handle_reads_nothing_of_another_type(setup: Setup) {
    const TEXTS: TypedNamespace<ReportKey, String> = TypedNamespace::new(ANALYTICS).schema(2);
    const KEYS: TypedNamespace<str, New> = TypedNamespace::new(ANALYTICS).schema(2);
    let cache = setup.builder().namespace(ANALYTICS).build().unwrap();
    let reports = cache.typed(&NEW);
    reports.set(&key(1), &New { visits: 1 }).await.unwrap();
    // Of the same schema.
    let texts = cache.typed(&TEXTS);
    assert_eq!(kind(texts.get(&key(1)).await), ErrorKind::Config);
    assert_eq!(kind(texts.set(&key(1), &"text".to_owned()).await), ErrorKind::Config);
    assert_eq!(kind(cache.typed(&KEYS).get("ws1:1").await), ErrorKind::Config);
    let computed = texts.get_or_compute(&key(1), async || Ok::<_, std::io::Error>("v".to_owned()));
    assert_eq!(computed.await.unwrap(), "v", "without the cache");
    assert_eq!(cache.typed(&NEW).get(&key(1)).await.unwrap(), Some(New { visits: 1 }));
    // Of another one, and of none.
    assert_eq!(cache.typed(&OLD).get(&key(1)).await.unwrap(), None);
    assert_eq!(cache.get::<New>(&ANALYTICS, "ws1:1").await.unwrap(), None);
    for untyped in ["ws1:1", "ws1:1:%s2"] {
        cache.set(&ANALYTICS, untyped, "untyped").await.unwrap();
    }
    assert_eq!(reports.get(&key(1)).await.unwrap(), Some(New { visits: 1 }));
    assert_eq!(cache.stats().namespaces["analytics"].errors, 0, "nothing was misread");
}

/// Values that count how often they are read from bytes.
#[derive(Debug, PartialEq, Serialize)]
struct Counted(u64);

static READ: AtomicUsize = AtomicUsize::new(0);

impl<'de> Deserialize<'de> for Counted {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        READ.fetch_add(1, Ordering::SeqCst);
        u64::deserialize(deserializer).map(Self)
    }
}

async fn what_is_shared_is_one_value(setup: Setup) {
    const SHARED: TypedNamespace<u64, Vec<String>> = TypedNamespace::new(Namespace::new("shared"));
    let cache = setup.cache();
    let shared = cache.typed(&SHARED);
    assert_eq!(shared.get_shared(&1).await.unwrap(), None);
    shared.set(&1, &vec!["a".to_owned()]).await.unwrap();
    let (one, other) = (shared.get_shared(&1).await.unwrap(), shared.get_shared(&1).await.unwrap());
    assert_eq!(one, other);
    let is_one = Arc::ptr_eq(&one.unwrap(), &other.unwrap());
    assert_eq!(is_one, setup.has_l1());
    // A new value, and none.
    shared.set(&1, &vec!["b".to_owned()]).await.unwrap();
    assert_eq!(*shared.get_shared(&1).await.unwrap().unwrap(), ["b"]);
    cache.invalidate(Scope::namespace("shared")).await.unwrap();
    assert_eq!(shared.get_shared(&1).await.unwrap(), None);
    let stats = cache.stats().namespaces["shared"];
    assert_eq!((stats.hits, stats.misses), (3, 2));
}

/// Pinned: what lies under a typed key could not be kept warm.
async fn a_typed_key_can_be_kept_warm(setup: Setup) {
    let cache = setup.builder().namespace(ANALYTICS).build().unwrap();
    let reports = cache.typed(&NEW);
    let compute = || async { Ok::<_, std::io::Error>(New { visits: 7 }) };
    let warm = reports.refresh(&key(1), compute).start().unwrap();
    eventually(PATIENCE, "it is computed", || cache.stats().namespaces["analytics"].refreshes == 1)
        .await;
    settled(&cache).await;
    assert_eq!(reports.get(&key(1)).await.unwrap(), Some(New { visits: 7 }));
    drop(warm);
}

on_every_setup!(
    all_operations,
    a_typed_key_can_be_kept_warm,
    a_handle_reads_nothing_of_another_type,
    what_is_shared_is_one_value,
);

#[tokio::test]
async fn a_hit_in_memory_deserializes_nothing() {
    const COUNTED: TypedNamespace<u64, Counted> = TypedNamespace::new(Namespace::new("counted"));
    let counted = Setup::memory().cache().typed(&COUNTED);
    counted.set(&1, &Counted(7)).await.unwrap();
    for _ in 0..10 {
        assert_eq!(*counted.get_shared(&1).await.unwrap().unwrap(), Counted(7));
    }
    assert_eq!(READ.load(Ordering::SeqCst), 1);
    assert_eq!(counted.get(&1).await.unwrap(), Some(Counted(7)));
    assert_eq!(READ.load(Ordering::SeqCst), 2);
}

/// Asks like an instance of some version does; how often it computed.
async fn ask<V>(reports: &Typed<ReportKey, V>, value: V) -> usize
where
    V: Serialize + serde::de::DeserializeOwned + Clone + Send + Sync + PartialEq + std::fmt::Debug,
{
    let mut computes = 0;
    let compute = async || {
        computes += 1;
        Ok::<_, std::io::Error>(value.clone())
    };
    assert_eq!(reports.get_or_compute(&key(1), compute).await.unwrap(), value);
    computes
}

/// Instances of two versions take turns.
async fn two_schemas_compute_once_each(setup: Setup) {
    let cache = || setup.builder().namespace(ANALYTICS).build().unwrap();
    let (mut old, mut new) = (0, 0);
    for _ in 0..5 {
        for cache in [cache(), cache()] {
            old += ask(&cache.typed(&OLD), Old { visits: "7".into() }).await;
            new += ask(&cache.typed(&NEW), New { visits: 7 }).await;
            settled(&cache).await;
        }
    }
    assert_eq!((old, new), (1, 1));
}

async fn what_one_version_invalidates_the_other_does_not_find(setup: Setup) {
    let cache = || setup.builder().namespace(ANALYTICS).build().unwrap();
    let (older, newer) = (cache(), cache());
    let (old, new) = (older.typed(&OLD), newer.typed(&NEW));
    let exactly = Template::parse("{workspace_id}:{id}").unwrap();
    for cache in [&older, &newer] {
        cache.namespace(&ANALYTICS).declare(&exactly).unwrap();
    }
    let filled = async || {
        ask(&old, Old { visits: "7".into() }).await;
        settled(&older).await;
        assert_eq!(ask(&new, New { visits: 7 }).await, 1, "the other's change was seen");
        settled(&newer).await;
    };
    let fresh = cache;
    filled().await;
    old.delete(&key(1)).await.unwrap();
    assert_eq!(fresh().typed(&NEW).get(&key(1)).await.unwrap(), None);
    ask(&new, New { visits: 7 }).await;
    for scope in [Scope::workspace("ws1"), Scope::pattern(&ANALYTICS, Pattern::new("ws1:1"))] {
        older.invalidate(scope).await.unwrap();
        assert_eq!(fresh().typed(&NEW).get(&key(1)).await.unwrap(), None);
        assert_eq!(fresh().typed(&OLD).get(&key(1)).await.unwrap(), None);
        let reader = fresh();
        assert_eq!(ask(&reader.typed(&NEW), New { visits: 7 }).await, 1);
        settled(&reader).await;
    }
    new.delete(&key(1)).await.unwrap();
    assert_eq!(fresh().typed(&OLD).get(&key(1)).await.unwrap(), None);
}

/// As if a store had put one's entry where the other looks.
async fn bytes_of_another_schema_are_a_miss(setup: Setup) {
    let cache = setup.builder().namespace(ANALYTICS).build().unwrap();
    cache.typed(&OLD).set(&key(1), &Old { visits: "7".into() }).await.unwrap();
    let bytes = setup.stored("analytics", "ws1:1:%s1").expect("it is there");
    setup.put("analytics", "ws1:1:%s2", &bytes);
    let reader = setup.builder().namespace(ANALYTICS).build().unwrap();
    assert_eq!(reader.typed(&NEW).get(&key(1)).await.unwrap(), None);
    assert_eq!(ask(&reader.typed(&NEW), New { visits: 7 }).await, 1);
}

on_shared_setups!(
    two_schemas_compute_once_each,
    what_one_version_invalidates_the_other_does_not_find,
    bytes_of_another_schema_are_a_miss,
);

#[tokio::test]
async fn a_hit_in_redis_is_one_round_trip_and_so_is_a_delete() {
    let redis = RedisServer::start();
    let cache = on(&redis).namespace(ANALYTICS).l1(false).build().unwrap();
    let reports = cache.typed(&NEW);
    reports.set(&key(1), &New { visits: 7 }).await.unwrap();
    redis.reset_stats();
    assert!(reports.get(&key(1)).await.unwrap().is_some());
    assert_eq!(["mget", "get"].map(|name| redis.calls(name)), [1, 0]);
    assert!(reports.get_shared(&key(1)).await.unwrap().is_some());
    assert_eq!(redis.calls("mget"), 2);
    reports.delete(&key(1)).await.unwrap();
    assert_eq!(redis.calls("set"), 3, "a tombstone for each schema, in one pipeline");
}
