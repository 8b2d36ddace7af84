//! The access audit of sensitive namespaces: an event for each access to a key, and in no event the
//! key or the value.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Once;

use cache_core::{
    Cache, Invalidated, Keyring, Namespace, Options, Previous, Scope, minutes, seconds,
};
use cache_tests::{Gate, RedisServer};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Event, Metadata, Subscriber};

use crate::pages;
use crate::setup::{Setup, delete, fill, join, missed, on, on_every_setup, settled, text};

pub(crate) type Fields = BTreeMap<&'static str, String>;

thread_local! {
    /// What was heard in this thread, if its test listens.
    static HEARD: RefCell<Option<Vec<Fields>>> = const { RefCell::new(None) };
}

/// Of the whole process: with one for a thread, `tracing` would ask whichever thread comes first
/// whether anybody listens, and keep the answer.
struct Listener;

impl Subscriber for Listener {
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        Interest::sometimes()
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        HEARD.with_borrow(Option::is_some) && metadata.target().starts_with("cache_core")
    }

    fn event(&self, event: &Event<'_>) {
        let mut noted = Noted::default();
        event.record(&mut noted);
        HEARD.with_borrow_mut(|heard| heard.as_mut().expect("this listens").push(noted.0));
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[derive(Default)]
struct Noted(Fields);

impl Visit for Noted {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }
}

/// Notes what this crate says in this thread from now on.
pub(crate) fn listen() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| tracing::subscriber::set_global_default(Listener).expect("the first"));
    tracing::callsite::rebuild_interest_cache();
    HEARD.set(Some(Vec::new()));
}

/// All that was said since this was asked last.
pub(crate) fn all_said() -> Vec<Fields> {
    HEARD.replace(Some(Vec::new())).expect("this listens")
}

/// What was said with this message since this was asked last.
pub(crate) fn said(message: &str) -> Vec<Fields> {
    all_said().into_iter().filter(|event| event["message"] == message).collect()
}

/// `operation outcome` of each access since this was asked last, and what else was said of a key.
fn heard() -> Vec<String> {
    let events = HEARD.replace(Some(Vec::new())).expect("this listens");
    let told = |event: Fields| {
        let shown = format!("{event:?}");
        let is_read = ["hit", "miss"].contains(&&*event["message"]);
        if is_read && !["patients", "pages"].contains(&&*event["namespace"]) {
            // Keys that are not sensitive may be told at level debug.
            assert!(!shown.contains(VALUE), "{shown}");
            return None;
        }
        assert!(!shown.contains(KEY) && !shown.contains(VALUE), "{shown}");
        if is_read {
            // Told to whoever debugs, beside the audit.
            assert_eq!(event["key"].len(), 32, "{event:?}");
            return None;
        }
        if !event.contains_key("operation") {
            // Others are heard if they are about a key.
            return event.contains_key("key").then(|| event["message"].clone());
        }
        assert!(["patients", "pages"].contains(&&*event["namespace"]), "{event:?}");
        let names = ["key_hash", "message", "namespace", "operation", "outcome"];
        assert!(event.keys().copied().eq(names), "{event:?}");
        assert_eq!(event["key_hash"].len(), 32);
        Some(format!("{} {}", event["operation"], event["outcome"]))
    };
    events.into_iter().filter_map(told).collect()
}

const KEY: &str = "ada-lovelace";
const VALUE: &str = "a diagnosis";

fn cache(setup: &Setup) -> Cache {
    setup
        .builder()
        .namespace(Namespace::new("patients").sensitive())
        .namespace(Namespace::new("pages").sensitive())
        .namespace(Namespace::new("sessions").encrypted())
        .keyring(Keyring::new(1, [1; 32]))
        .build()
        .unwrap()
}

async fn every_access_is_an_event(setup: Setup) {
    let cache = cache(&setup);
    listen();
    let hit = if setup.has_l1() { "get l1_hit" } else { "get store_hit" };
    assert_eq!(text(&cache, "patients", KEY).await, None);
    assert_eq!(heard(), ["get miss"]);
    cache.set("patients", KEY, VALUE).await.unwrap();
    assert_eq!(heard(), ["set done"]);
    assert!(text(&cache, "patients", KEY).await.is_some());
    assert_eq!(heard(), [hit]);
    fill(&cache, "patients", KEY, "not asked for").await;
    assert_eq!(heard(), [hit]);
    assert!(cache.exists("patients", KEY).await.unwrap());
    assert_eq!(heard(), [hit.replace("get", "ttl")]);
    assert!(cache.touch("patients", KEY, minutes(1)).await.unwrap());
    assert_eq!(heard(), ["touch done"]);
    delete(&cache, "patients", KEY).await;
    assert_eq!(heard(), ["delete done"]);
    cache.invalidate(Scope::key("patients", KEY)).await.unwrap();
    assert_eq!(heard(), ["delete done"]);
    assert!(!cache.touch("patients", KEY, minutes(1)).await.unwrap());
    assert_eq!(heard(), ["touch not_done"]);
    fill(&cache, "patients", KEY, VALUE).await;
    settled(&cache).await;
    assert_eq!(heard(), ["get miss", "fill done"]);
    let other = format!("{KEY}-2");
    cache.set_many("patients", [(KEY, VALUE), (&other, VALUE)]).await.unwrap();
    assert_eq!(heard(), ["set done"; 2]);
    let none = format!("{KEY}-3");
    cache.get_many::<String, _>("patients", [KEY, &other, &none]).await.unwrap();
    assert_eq!(heard(), [hit, hit, "get miss"]);
    assert_eq!(cache.get::<u64>("patients", KEY).await.unwrap(), None);
    assert_eq!(heard(), ["stored as another type", "get miss"]);
}

/// Pinned: that its use had given a value more time was no event, though it was read and written.
async fn a_longer_life_by_use_is_an_event(setup: Setup) {
    let options = Options::new().ttl(minutes(1)).sliding(minutes(5));
    let patients = Namespace::new("patients").sensitive().options(options);
    let keyring = Keyring::new(1, [1; 32]);
    let cache = setup.builder().namespace(patients).keyring(keyring).build().unwrap();
    cache.set("patients", KEY, VALUE).await.unwrap();
    setup.clock.advance(seconds(40));
    listen();
    assert!(text(&cache, "patients", KEY).await.is_some());
    settled(&cache).await;
    let heard = heard();
    assert!(heard.len() == 2 && heard.contains(&"touch done".to_owned()), "{heard:?}");
}

/// What it holds is not fresh any more, and within its grace.
async fn with_a_stale_value(setup: &Setup) -> Cache {
    let patients = Namespace::new("patients").sensitive();
    let options = Options::new().ttl(minutes(1)).grace(minutes(5));
    let cache = setup
        .builder()
        .namespace(patients.options(options))
        .keyring(Keyring::new(1, [1; 32]))
        .build()
        .unwrap();
    fill(&cache, "patients", KEY, VALUE).await;
    settled(&cache).await;
    setup.clock.advance(minutes(2));
    cache
}

/// Pinned: that a function was given what is stale was no event, though it read it.
async fn what_is_given_to_the_function_is_an_event(setup: Setup) {
    let cache = with_a_stale_value(&setup).await;
    listen();
    let work = async |former: Previous<String>| {
        former.unchanged().ok_or(std::io::Error::other("there is nothing"))
    };
    let asked = cache.namespace("patients").get_or_compute_with(KEY, work).await;
    assert_eq!(asked.unwrap(), VALUE);
    settled(&cache).await;
    assert_eq!(heard(), ["get miss", "get previous", "fill done"]);
    // Batches are audited as single calls are.
    listen();
    let load = async |keys: Vec<String>| {
        Ok::<_, std::io::Error>(keys.into_iter().map(|key| (key, VALUE.to_owned())))
    };
    let keys = [KEY.to_owned(), format!("{KEY}-2")];
    cache.namespace("patients").get_or_compute_many(keys, load).await;
    settled(&cache).await;
    let hit = if setup.has_l1() { "get l1_hit" } else { "get store_hit" };
    assert_eq!(heard(), [hit, "get miss", "fill done"]);
}

async fn what_stands_in_for_a_failure_is_an_event(setup: Setup) {
    let cache = with_a_stale_value(&setup).await;
    listen();
    let failing = async || Err::<String, _>(std::io::Error::other("no"));
    assert_eq!(cache.get_or_compute("patients", KEY, failing).await.unwrap(), VALUE);
    assert_eq!(heard(), ["get miss", "get stale"]);
    // Nothing is fresh, and a read takes nothing stale.
    assert_eq!(text(&cache, "patients", KEY).await, None);
    assert_eq!(heard(), ["get miss"]);
}

/// Whoever waits for what somebody else computes is given a value, too.
async fn each_who_shares_a_value_is_an_event(setup: Setup) {
    let cache = cache(&setup);
    listen();
    let gate = Gate::new();
    let caller = || {
        let (cache, gate) = (cache.clone(), gate.clone());
        tokio::spawn(async move {
            let compute = async || {
                gate.pass().await;
                Ok::<_, std::io::Error>(VALUE.to_owned())
            };
            cache.get_or_compute("patients", KEY, compute).await
        })
    };
    let callers: Vec<_> = (0..10).map(|_| caller()).collect();
    missed(&cache, "patients", 10).await;
    gate.open_for_good();
    for caller in callers {
        assert_eq!(join(caller).await.unwrap(), VALUE);
    }
    settled(&cache).await;
    let events = [vec!["get miss"; 10], vec!["fill done"], vec!["get shared"; 9]].concat();
    assert_eq!(heard(), events);
}

async fn middleware_is_audited_too(setup: Setup) {
    let cache = cache(&setup);
    listen();
    let key = cache_core::Key::from(KEY);
    let cache_core::Lookup::Miss(mut begun) = pages::look_up(&cache, &key, KEY).await else {
        panic!("there is nothing")
    };
    assert_eq!(heard(), ["get miss"]);
    begun.begin(&[], pages::deadline()).await;
    pages::commit(&cache, begun).await;
    assert_eq!(heard(), ["fill done"]);
    let found = pages::look_up(&cache, &key, KEY).await;
    assert!(matches!(found, cache_core::Lookup::Hit(_)));
    assert_eq!(heard(), [if setup.has_l1() { "get l1_hit" } else { "get store_hit" }]);
}

async fn what_is_not_sensitive_is_not_audited(setup: Setup) {
    let cache = cache(&setup);
    listen();
    for namespace in ["sessions", "made on the fly"] {
        cache.set(namespace, KEY, VALUE).await.unwrap();
        assert!(text(&cache, namespace, KEY).await.is_some());
        delete(&cache, namespace, KEY).await;
    }
    assert_eq!(heard(), [""; 0]);
}

async fn a_read_that_nobody_waited_for_was_none_and_a_write_may_have_been(setup: Setup) {
    let cache = cache(&setup);
    listen();
    let mut set = Box::pin(std::future::IntoFuture::into_future(cache.set("patients", KEY, VALUE)));
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let done = set.as_mut().poll(&mut context).is_ready();
    drop(set);
    assert_eq!(heard(), [if done { "set done" } else { "set abandoned" }]);
}

on_every_setup!(
    every_access_is_an_event,
    a_longer_life_by_use_is_an_event,
    what_is_given_to_the_function_is_an_event,
    what_stands_in_for_a_failure_is_an_event,
    each_who_shares_a_value_is_an_event,
    middleware_is_audited_too,
    what_is_not_sensitive_is_not_audited,
    a_read_that_nobody_waited_for_was_none_and_a_write_may_have_been,
);

#[tokio::test]
async fn what_redis_can_not_be_told_has_failed_or_is_queued() {
    let redis = RedisServer::start();
    let patients = Namespace::new("patients").sensitive();
    let keyring = Keyring::new(1, [1; 32]);
    let cache = on(&redis).namespace(patients).keyring(keyring).build().unwrap();
    cache.set("patients", KEY, VALUE).await.unwrap();
    redis.kill();
    listen();
    assert!(cache.set("patients", KEY, VALUE).await.is_err());
    assert_eq!(heard(), ["set failed"]);
    assert_eq!(cache.delete("patients", KEY).await.unwrap(), Invalidated::Queued);
    assert_eq!(heard(), ["delete queued"]);
    let scope = Scope::key("patients", KEY);
    assert_eq!(cache.invalidate(scope).await.unwrap(), Invalidated::Queued);
    assert_eq!(heard(), ["delete queued"]);
}
