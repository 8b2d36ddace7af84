//! `#[cached]` and `#[invalidates]`: what is shared between calls, what is not, what ends it.

use std::collections::BTreeMap;
use std::fmt::{Debug, Display};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use cache_core::{
    Cache, ComputeError, Key, Namespace, Scope, Tag, cached, hours, invalidates, minutes,
};
use cache_tests::Gate;
use cache_tests::wait::eventually_some;

use crate::setup::{PATIENCE, Setup, join, on_every_setup, on_shared_setups, settled};

const STATS: Namespace = Namespace::new("stats").ttl(hours(1)).by_workspace();

/// What a service has: a cache, and something that it can't share with other calls.
#[derive(Clone)]
struct Service {
    cache: Cache,
    region: String,
    calls: Arc<AtomicUsize>,
    gate: Gate,
}

#[derive(Debug, Clone, PartialEq)]
enum Failure {
    NotFound,
    Cache,
}

impl Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self:?}")
    }
}

impl std::error::Error for Failure {}

impl From<cache_core::Error> for Failure {
    fn from(_: cache_core::Error) -> Self {
        Self::Cache
    }
}

type Cached<T> = Result<T, ComputeError<Failure>>;

impl Service {
    fn on(setup: &Setup) -> Self {
        let gate = Gate::default();
        gate.open_for_good();
        let cache = setup.builder().namespace(STATS).build().unwrap();
        Self { cache, region: "eu".to_owned(), calls: Arc::default(), gate }
    }

    fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    /// Each call of a body is told apart from the others.
    fn called(&self) -> usize {
        self.calls.fetch_add(1, Ordering::SeqCst) + 1
    }

    #[cached(
        cache = self.cache,
        namespace = STATS,
        key = "{workspace_id}:stats:{id}",
        ttl = "5m",
        tags("campaign:{id}", Tag::in_workspace(workspace_id, "stats")),
    )]
    async fn stats(&self, workspace_id: &str, id: &str) -> Result<usize, ComputeError<Failure>> {
        let call = self.called();
        self.gate.pass().await;
        if id == "none" {
            return Err(Failure::NotFound);
        }
        Ok(call)
    }

    #[cached(cache = self.cache, namespace = "plain", key = "{self.region}:n-{n}", ttl = minutes(1))]
    async fn plain(&self, n: u64) -> String {
        let call = self.called();
        format!("{n} by call {call}")
    }

    #[cached(cache = self.cache, namespace = "search", key = "{filters:hash}", tags("search"))]
    async fn search(&self, filters: &BTreeMap<Fallible, u8>) -> Cached<usize> {
        let _ = filters;
        Ok(self.called())
    }

    #[invalidates(cache = self.cache, tags("campaign:{id}"))]
    async fn rename(&self, id: &str, result: Result<(), Failure>) -> Result<(), Failure> {
        let _ = id;
        self.gate.pass().await;
        result
    }

    #[invalidates(cache = self.cache, namespace = &STATS, keys("{workspace_id}:stats:{id}"))]
    async fn forget_one(&mut self, workspace_id: String, id: u64) {
        drop((workspace_id, id));
    }

    #[invalidates(cache = self.cache, namespace = STATS, patterns("{workspace_id}:*:{id}"), strict)]
    async fn forget_like(&self, workspace_id: &str, id: &str) -> Result<usize, Failure> {
        let _ = (workspace_id, id);
        Ok(1)
    }

    /// No namespace can have this name.
    #[invalidates(cache = self.cache, namespace = "gen", keys("a"), strict)]
    async fn change_strictly(&self) -> Result<(), Failure> {
        self.called();
        Ok(())
    }

    #[invalidates(cache = self.cache, namespace = "gen", keys("a"))]
    async fn change_anyway(&self) -> Result<(), Failure> {
        self.called();
        Ok(())
    }

    #[invalidates(cache = self.cache, scopes(Scope::workspace(workspace_id)))]
    async fn forget_workspace(&self, workspace_id: &str) -> usize {
        workspace_id.len()
    }
}

/// A key of a map that may not be serializable.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Fallible(Option<&'static str>);

impl serde::Serialize for Fallible {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.ok_or_else(|| serde::ser::Error::custom("no"))?.serialize(serializer)
    }
}

async fn a_value_is_computed_once(setup: Setup) {
    let service = Service::on(&setup);
    for _ in 0..3 {
        assert_eq!(service.stats("ws1", "42").await.unwrap(), 1);
        assert_eq!(service.plain(7).await, "7 by call 2");
        settled(&service.cache).await;
    }
    assert_eq!(service.calls(), 2);
}

async fn calls_that_differ_do_not_share(setup: Setup) {
    let service = Service::on(&setup);
    let hostile = ["", "*", "?", ":", "a:b", "a%3Ab", "ws1:stats", "ws1:stats:a", "-", "~", "{id}"];
    let mut seen = Vec::new();
    for workspace in hostile {
        for id in hostile {
            seen.push(service.stats(workspace, id).await.unwrap());
        }
    }
    assert_eq!(seen, (1..=hostile.len() * hostile.len()).collect::<Vec<_>>());
    let elsewhere = Service { region: "us".to_owned(), ..service.clone() };
    assert_ne!(service.plain(1).await, elsewhere.plain(1).await);
}

async fn the_key_is_the_one_that_the_template_says(setup: Setup) {
    let service = Service::on(&setup);
    let value = service.stats("ws1", "4:2").await.unwrap();
    let plain = service.plain(7).await;
    settled(&service.cache).await;
    let stats = Key::from_segments(["ws1", "stats", "4:2"]);
    assert_eq!(service.cache.get::<usize>("stats", stats).await.unwrap(), Some(value));
    assert_eq!(service.cache.get::<String>("plain", "eu:n-7").await.unwrap(), Some(plain));
}

async fn values_live_as_long_as_the_attribute_says(setup: Setup) {
    let service = Service::on(&setup);
    service.stats("ws1", "42").await.unwrap();
    service.plain(7).await;
    settled(&service.cache).await;
    let stats = Key::workspace("ws1").segment("stats").segment("42");
    let ttl = service.cache.ttl("stats", stats).await.unwrap();
    assert_eq!(ttl, Some(minutes(5).into()));
    let ttl = service.cache.ttl("plain", "eu:n-7").await.unwrap();
    assert_eq!(ttl, Some(minutes(1).into()));
}

async fn digests_stand_for_what_serde_can_serialize(setup: Setup) {
    let service = Service::on(&setup);
    let filters = |a, b| BTreeMap::from([(Fallible(Some(a)), 1), (Fallible(Some(b)), 1)]);
    let first = service.search(&filters("a", "b")).await.unwrap();
    settled(&service.cache).await;
    assert_eq!(service.search(&filters("b", "a")).await.unwrap(), first);
    assert_ne!(service.search(&filters("a", "c")).await.unwrap(), first);
}

/// What has no digest has no key: it is computed each time, and nobody else is given it.
async fn a_call_that_has_no_key_is_not_cached(setup: Setup) {
    let service = Service::on(&setup);
    let filters = BTreeMap::from([(Fallible(None), 1)]);
    for call in 1..4 {
        assert_eq!(service.search(&filters).await.unwrap(), call);
        settled(&service.cache).await;
    }
}

async fn errors_are_shared_and_not_cached(setup: Setup) {
    let service = Service::on(&setup);
    let service = Service { gate: Gate::new(), ..service };
    let caller = || {
        let service = service.clone();
        tokio::spawn(async move { service.stats("ws1", "none").await })
    };
    let callers: Vec<_> = (0..20).map(|_| caller()).collect();
    service.gate.waiting(1).await;
    // All others have joined by the time that the first of them is let through.
    while service.cache.stats().namespaces["stats"].misses < 20 {
        tokio::task::yield_now().await;
    }
    service.gate.open_for_good();
    for caller in callers {
        let Err(ComputeError::Compute(error)) = join(caller).await else { panic!("no error") };
        assert_eq!(*error, Failure::NotFound);
    }
    assert_eq!(service.calls(), 1);
    service.stats("ws1", "none").await.unwrap_err();
    assert_eq!(service.calls(), 2);
}

async fn a_change_invalidates_its_tags(setup: Setup) {
    let service = Service::on(&setup);
    let (ours, other) = (service.stats("ws1", "1").await, service.stats("ws1", "2").await);
    settled(&service.cache).await;
    service.rename("1", Ok(())).await.unwrap();
    assert_ne!(service.stats("ws1", "1").await.unwrap(), ours.unwrap());
    assert_eq!(service.stats("ws1", "2").await.unwrap(), other.unwrap());
    let tag = Tag::in_workspace("ws1", "stats");
    service.cache.invalidate(tag).await.unwrap();
    assert_eq!(service.stats("ws1", "2").await.unwrap(), 4);
}

async fn a_change_that_failed_invalidates_nothing(setup: Setup) {
    let service = Service::on(&setup);
    let value = service.stats("ws1", "1").await.unwrap();
    settled(&service.cache).await;
    service.rename("1", Err(Failure::NotFound)).await.unwrap_err();
    assert_eq!(service.stats("ws1", "1").await.unwrap(), value);
}

/// How far it has got is not known: the database may have taken the change.
async fn a_change_that_is_dropped_invalidates(setup: Setup) {
    let service = Service::on(&setup);
    let value = service.stats("ws1", "1").await.unwrap();
    settled(&service.cache).await;
    let service = Service { gate: Gate::new(), ..service };
    let change = tokio::spawn({
        let service = service.clone();
        async move { service.rename("1", Ok(())).await }
    });
    service.gate.waiting(1).await;
    change.abort();
    assert!(change.await.unwrap_err().is_cancelled());
    service.gate.open_for_good();
    assert_ne!(service.stats("ws1", "1").await.unwrap(), value);
}

async fn a_change_invalidates_keys_patterns_and_scopes(setup: Setup) {
    let mut service = Service::on(&setup);
    let fill = async |service: &Service| {
        let mut values = Vec::new();
        for (workspace, id) in [("ws1", "1"), ("ws1", "2"), ("ws2", "1")] {
            values.push(service.stats(workspace, id).await.unwrap());
        }
        settled(&service.cache).await;
        values
    };
    assert_eq!(fill(&service).await, [1, 2, 3]);
    service.forget_one("ws1".to_owned(), 1).await;
    assert_eq!(fill(&service).await, [4, 2, 3]);
    assert_eq!(service.forget_like("ws1", "1").await.unwrap(), 1);
    assert_eq!(fill(&service).await, [5, 2, 3]);
    assert_eq!(service.forget_like("*", "*").await.unwrap(), 1);
    assert_eq!(fill(&service).await, [5, 2, 3]);
    assert_eq!(service.forget_workspace("ws1").await, 3);
    assert_eq!(fill(&service).await, [6, 7, 3]);
}

async fn an_invalidation_that_fails_is_the_error_of_a_strict_function_only(setup: Setup) {
    let service = Service::on(&setup);
    assert_eq!(service.change_strictly().await, Err(Failure::Cache));
    assert_eq!(service.change_anyway().await, Ok(()));
    assert_eq!(service.calls(), 2, "the changes have been made");
}

/// Pinned: a function that declared its pattern when it was called first emptied the caches of
/// whatever matched the shape; and instances that had not called it yet went on with old values.
async fn a_pattern_covers_what_other_instances_have_stored(setup: Setup) {
    let (service, other) = (Service::on(&setup), Service::on(&setup));
    let one = service.stats("ws1", "1").await.unwrap();
    settled(&service.cache).await;
    assert_eq!(other.stats("ws1", "1").await.unwrap(), one);
    // Its values are not those of the first, whoever computes.
    for _ in 0..2 {
        other.called();
    }
    other.forget_like("ws1", "1").await.unwrap();
    let again = other.stats("ws1", "1").await.unwrap();
    assert_ne!(again, one);
    settled(&other.cache).await;
    let known = async || (service.stats("ws1", "1").await.unwrap() == again).then_some(());
    eventually_some(PATIENCE, "the first has the new value", known).await;
}

on_every_setup!(
    a_value_is_computed_once,
    calls_that_differ_do_not_share,
    the_key_is_the_one_that_the_template_says,
    values_live_as_long_as_the_attribute_says,
    digests_stand_for_what_serde_can_serialize,
    a_call_that_has_no_key_is_not_cached,
    errors_are_shared_and_not_cached,
    a_change_invalidates_its_tags,
    a_change_that_failed_invalidates_nothing,
    a_change_that_is_dropped_invalidates,
    a_change_invalidates_keys_patterns_and_scopes,
    an_invalidation_that_fails_is_the_error_of_a_strict_function_only,
);

on_shared_setups!(a_pattern_covers_what_other_instances_have_stored);
