//! `#[cached]` and `#[invalidates]` where something is wrong: the function, its caller, the store,
//! or what lies under the key.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use cache_core::{Cache, ComputeError, Namespace, cached, invalidates};
use cache_tests::wait::eventually_some;
use cache_tests::{Gate, RedisServer};
use tokio::task::JoinHandle;

use crate::setup::{
    PATIENCE, Setup, join, missed, on, on_every_setup, on_shared_setups, settled, text,
};
use crate::several_scopes::told;

type Failure = std::io::Error;
/// Can be made from the cache's own error.
type AnyFailure = Box<dyn std::error::Error + Send + Sync>;

/// The one whose first call panics.
const PANICS: &str = "panics";

#[derive(Clone)]
struct Service {
    cache: Cache,
    calls: Arc<AtomicUsize>,
    gate: Gate,
}

impl Service {
    /// Its functions end at once.
    fn of(cache: Cache) -> Self {
        let gate = Gate::new();
        gate.open_for_good();
        Self { cache, calls: Arc::default(), gate }
    }

    fn on(setup: &Setup) -> Self {
        Self::of(setup.cache())
    }

    /// Its functions end when they may.
    fn held(setup: &Setup) -> Self {
        Self { gate: Gate::new(), ..Self::on(setup) }
    }

    fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    /// Each call is told apart from the others.
    async fn call(&self, id: &str) -> String {
        let call = self.calls.fetch_add(1, Ordering::SeqCst) + 1;
        self.gate.pass().await;
        assert!(id != PANICS || call > 1, "as it should");
        format!("call {call}")
    }

    #[cached(cache = self.cache, namespace = "stats", key = "{id}", tags("of:{id}"))]
    async fn stats(&self, id: &str) -> Result<String, ComputeError<Failure>> {
        Ok(self.call(id).await)
    }

    #[cached(cache = self.cache, namespace = "plain", key = "{id}", tags("of:{id}"))]
    async fn plain(&self, id: &str) -> String {
        self.call(id).await
    }

    #[invalidates(cache = self.cache, tags("of:{id}"))]
    async fn change(&self, id: &str, panics: bool) -> Result<(), Failure> {
        let _ = id;
        assert!(!panics, "as it should");
        Ok(())
    }

    #[invalidates(cache = self.cache, tags("of:{id}"), strict)]
    async fn change_strictly(&self, id: &str) -> Result<(), AnyFailure> {
        let _ = id;
        Ok(())
    }

    /// Asks in a task of its own: the function that returns a `Result`, or the other.
    fn ask(&self, namespace: &'static str, id: &'static str) -> JoinHandle<String> {
        let service = self.clone();
        tokio::spawn(async move {
            if namespace == "stats" {
                service.stats(id).await.unwrap()
            } else {
                service.plain(id).await
            }
        })
    }

    async fn panic_in_change(&self) {
        let service = self.clone();
        let changing = tokio::spawn(async move { service.change("1", true).await });
        assert!(changing.await.unwrap_err().is_panic());
    }
}

/// How far it has got is not known: the database may have taken the change.
async fn a_change_that_panics_invalidates(setup: Setup) {
    let service = Service::on(&setup);
    assert_eq!(service.stats("1").await.unwrap(), "call 1");
    assert_eq!(service.stats("2").await.unwrap(), "call 2");
    settled(&service.cache).await;
    service.panic_in_change().await;
    assert_eq!(service.stats("1").await.unwrap(), "call 3");
    told(&service.cache).await;
    assert_eq!(service.stats("2").await.unwrap(), "call 2", "and nothing else");
}

/// The one who computes ends badly while twenty wait for it.
async fn who_panics_or_goes_away_is_replaced_by_one(setup: Setup) {
    for namespace in ["stats", "plain"] {
        for id in [PANICS, "goes away"] {
            let service = Service::held(&setup);
            let leader = service.ask(namespace, id);
            service.gate.waiting(1).await;
            let waiters: Vec<_> = (0..20).map(|_| service.ask(namespace, id)).collect();
            missed(&service.cache, namespace, 21).await;
            if id == PANICS {
                service.gate.open(1);
            } else {
                leader.abort();
            }
            assert!(leader.await.is_err());
            service.gate.waiting(1).await;
            service.gate.open_for_good();
            for waiter in waiters {
                assert_eq!(join(waiter).await, "call 2");
            }
            settled(&service.cache).await;
            assert_eq!(join(service.ask(namespace, id)).await, "call 2", "it is kept");
            assert_eq!(service.calls(), 2, "the one that ended badly, and one more");
        }
    }
}

async fn a_value_of_another_type_is_computed_once_and_replaced(setup: Setup) {
    for namespace in ["stats", "plain"] {
        let service = Service::on(&setup);
        service.cache.set(namespace, "1", &7).await.unwrap();
        for _ in 0..3 {
            assert_eq!(join(service.ask(namespace, "1")).await, "call 1");
            settled(&service.cache).await;
        }
        assert_eq!(service.calls(), 1);
        assert_eq!(text(&service.cache, namespace, "1").await.as_deref(), Some("call 1"));
    }
}

async fn what_is_too_large_is_given_and_not_kept(setup: Setup) {
    for namespace in ["stats", "plain"] {
        let small = Namespace::new(namespace).max_value_size(4);
        let service = Service::of(setup.builder().namespace(small).build().unwrap());
        for call in 1..=3 {
            assert_eq!(join(service.ask(namespace, "1")).await, format!("call {call}"));
            settled(&service.cache).await;
        }
        assert_eq!(text(&service.cache, namespace, "1").await, None);
        assert_eq!(setup.stored(namespace, "1"), None);
    }
}

on_every_setup!(
    a_change_that_panics_invalidates,
    who_panics_or_goes_away_is_replaced_by_one,
    a_value_of_another_type_is_computed_once_and_replaced,
    what_is_too_large_is_given_and_not_kept,
);

async fn a_change_that_panics_invalidates_elsewhere_too(setup: Setup) {
    let (here, there) = (Service::on(&setup), Service::on(&setup));
    assert_eq!(here.stats("1").await.unwrap(), "call 1");
    settled(&here.cache).await;
    assert_eq!(there.stats("1").await.unwrap(), "call 1");
    assert_eq!(there.calls(), 0);
    here.panic_in_change().await;
    told(&here.cache).await;
    eventually_some(PATIENCE, "it is gone there", async || {
        text(&there.cache, "stats", "1").await.is_none().then_some(())
    })
    .await;
}

async fn what_is_damaged_in_the_store_is_computed_and_replaced(setup: Setup) {
    for namespace in ["stats", "plain"] {
        let writer = Service::on(&setup);
        assert_eq!(join(writer.ask(namespace, "1")).await, "call 1");
        settled(&writer.cache).await;
        let good = setup.stored(namespace, "1").unwrap();
        let last = good.len() - 1;
        let mut flipped = good.clone();
        flipped[last] ^= 1;
        for bad in [Vec::new(), b"theirs".to_vec(), good[..last].to_vec(), flipped] {
            setup.put(namespace, "1", &bad);
            let reader = Service::on(&setup);
            assert_eq!(join(reader.ask(namespace, "1")).await, "call 1");
            assert_eq!(reader.calls(), 1, "{bad:?}");
            settled(&reader.cache).await;
            let fresh = Service::on(&setup);
            assert_eq!(join(fresh.ask(namespace, "1")).await, "call 1");
            assert_eq!(fresh.calls(), 0, "repaired: {bad:?}");
        }
    }
}

on_shared_setups!(
    a_change_that_panics_invalidates_elsewhere_too,
    what_is_damaged_in_the_store_is_computed_and_replaced,
);

#[tokio::test]
async fn without_redis_values_are_computed_and_invalidations_are_queued() {
    for l1 in [true, false] {
        let redis = RedisServer::start();
        let service = Service::of(on(&redis).l1(l1).build().unwrap());
        assert_eq!(service.stats("1").await.unwrap(), "call 1");
        settled(&service.cache).await;
        redis.kill();
        assert_eq!(service.stats("2").await.unwrap(), "call 2");
        assert_eq!(service.plain("2").await, "call 3");
        service.change("1", false).await.unwrap();
        assert!(service.cache.health().await.queued_invalidations > 0);
        service.change_strictly("2").await.expect("to be queued is no failure");
        assert_eq!(service.stats("1").await.unwrap(), "call 4", "here it is done");
        assert_eq!(service.stats("2").await.unwrap(), "call 5");
    }
}
