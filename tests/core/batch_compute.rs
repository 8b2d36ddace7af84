//! `get_or_compute_many`: what the function is called with, and what each key comes to.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cache_core::{
    BatchOutcome, Cache, ComputeError, Computed, Options, Tag, Ttl, minutes, seconds,
};
use cache_tests::{Gate, RedisServer};

use crate::setup::{PATIENCE, Setup, join, on, on_every_setup, settled, text};

type Failure = std::io::Error;
type Outcome = BatchOutcome<String, Failure>;

/// A source, and what it was asked for.
#[derive(Clone, Default)]
struct Source(Arc<Mutex<Vec<Vec<&'static str>>>>);

impl Source {
    /// Knows all but what begins with `-`.
    #[allow(clippy::unused_async, reason = "as a source is")]
    async fn load(&self, keys: Vec<&'static str>) -> Result<Vec<(&'static str, String)>, Failure> {
        self.0.lock().unwrap().push(keys.clone());
        let known = keys.into_iter().filter(|key| !key.starts_with('-'));
        Ok(known.map(|key| (key, format!("value {key}"))).rev().collect())
    }

    async fn ask(&self, cache: &Cache, keys: &[&'static str]) -> Vec<Outcome> {
        cache.get_or_compute_many("users", keys.to_vec(), |keys| self.load(keys)).await
    }

    /// The keys of each call since the last time.
    fn calls(&self) -> Vec<Vec<&'static str>> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

fn values(outcomes: Vec<Outcome>) -> Vec<Option<String>> {
    outcomes.into_iter().collect::<Result<_, _>>().unwrap()
}

fn some(values: &[&str]) -> Vec<Option<String>> {
    values.iter().map(|value| Some((*value).to_owned())).collect()
}

async fn the_function_is_called_once_with_what_is_missing(setup: Setup) {
    let (cache, source) = (setup.cache(), Source::default());
    cache.set("users", "1", "Ada").await.unwrap();
    let found = values(source.ask(&cache, &["3", "1", "2", "3"]).await);
    assert_eq!(found, some(&["value 3", "Ada", "value 2", "value 3"]));
    assert_eq!(source.calls(), [["3", "2"]]);
    settled(&cache).await;
    let again = if setup.is_memory() { cache.clone() } else { setup.cache() };
    let found = values(source.ask(&again, &["2", "3", "1"]).await);
    assert_eq!(found, some(&["value 2", "value 3", "Ada"]));
    assert!(source.calls().is_empty());
    let stats = cache.stats().namespaces["users"];
    assert_eq!((stats.computes, stats.misses), (1, 2), "each key is counted once");
    assert!(values(source.ask(&cache, &[]).await).is_empty());
}

async fn in_chunks_a_few_at_a_time(setup: Setup) {
    const KEYS: [&str; 7] = ["a", "b", "c", "d", "e", "f", "g"];
    let (cache, gate) = (setup.cache(), Gate::new());
    let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let asking = tokio::spawn({
        let (cache, gate, running, most) = (cache.clone(), gate.clone(), running, most.clone());
        async move {
            let load = |keys: Vec<&'static str>| {
                let (gate, running, most) = (gate.clone(), running.clone(), most.clone());
                async move {
                    let now = running.fetch_add(1, Ordering::SeqCst) + 1;
                    most.fetch_max(now, Ordering::SeqCst);
                    gate.pass().await;
                    running.fetch_sub(1, Ordering::SeqCst);
                    let size = keys.len();
                    Ok::<_, Failure>(keys.into_iter().map(move |key| (key, format!("{key}{size}"))))
                }
            };
            cache.get_or_compute_many("users", KEYS, load).batch_size(3).concurrency(2).await
        }
    });
    gate.waiting(2).await;
    gate.open_for_good();
    let found = values(join(asking).await);
    assert_eq!(found, some(&["a3", "b3", "c3", "d3", "e3", "f3", "g1"]));
    assert_eq!(most.load(Ordering::SeqCst), 2);
    assert_eq!(cache.stats().namespaces["users"].computes, 3);
}

async fn what_is_not_answered_is_nothing_and_known_as_that(setup: Setup) {
    let (cache, source) = (setup.cache(), Source::default());
    let ask = async |ttl: Duration| {
        let load = |keys| source.load(keys);
        let asked = cache.get_or_compute_many("users", ["-1", "2"], load);
        let found = values(asked.ttl(minutes(5)).negative_ttl(ttl).await);
        settled(&cache).await;
        assert_eq!(found, [None, Some("value 2".to_owned())]);
        source.calls()
    };
    assert_eq!(ask(Duration::ZERO).await, [["-1", "2"]]);
    assert_eq!(ask(seconds(10)).await, [["-1"]], "it was not kept");
    assert!(ask(seconds(10)).await.is_empty());
    let ttl = cache.ttl("users", "-1").await.unwrap();
    assert_eq!(ttl, Some(Ttl::After(seconds(10))));
    // To others it is what `None` is.
    let none = async || Ok::<_, Failure>(Some("computed".to_owned()));
    let single: Option<String> = cache.get_or_compute("users", "-1", none).await.unwrap();
    assert_eq!(single, None);
    assert_eq!(text(&cache, "users", "-1").await, None);
    assert_eq!(cache.stats().namespaces["users"].errors, 0, "a miss, and no error");
    setup.clock.advance(seconds(10));
    assert_eq!(ask(seconds(10)).await, [["-1"]]);
}

fn failed(outcome: &Outcome) -> &Arc<Failure> {
    match outcome {
        Err(ComputeError::Compute(error)) => error,
        other => panic!("{other:?}"),
    }
}

async fn an_error_is_shared_by_the_keys_of_a_call_and_the_others_have_values(setup: Setup) {
    let cache = setup.cache();
    let load = async |keys: Vec<&'static str>| {
        if keys.contains(&"bad") {
            return Err(Failure::other("no"));
        }
        Ok(keys.into_iter().map(|key| (key, key.to_owned())).collect::<Vec<_>>())
    };
    let keys = ["1", "2", "bad", "3", "4"];
    let found = cache.get_or_compute_many("users", keys, load).batch_size(2).await;
    assert!(Arc::ptr_eq(failed(&found[2]), failed(&found[3])));
    for n in [0, 1, 4] {
        assert_eq!(found[n].as_ref().unwrap().as_deref(), Some(keys[n]));
    }
    settled(&cache).await;
    assert_eq!(text(&cache, "users", "1").await.as_deref(), Some("1"));
    assert_eq!(text(&cache, "users", "3").await, None);
    assert_eq!(cache.health().await.in_flight, 0);
}

async fn a_value_within_its_grace_stands_in_key_by_key(setup: Setup) {
    let cache = setup.cache();
    let options = Options::new().ttl(minutes(1)).grace(minutes(5));
    let good = async |keys: Vec<&'static str>| {
        Ok::<_, Failure>(keys.into_iter().map(|k| (k, k.to_owned())))
    };
    let filled = cache.get_or_compute_many("users", ["1", "2"], good).options(options).await;
    assert_eq!(values(filled), some(&["1", "2"]));
    settled(&cache).await;
    setup.clock.advance(minutes(2));
    let bad =
        async |_: Vec<&'static str>| Err::<Vec<(&'static str, String)>, _>(Failure::other("no"));
    let found = cache.get_or_compute_many("users", ["1", "3", "2"], bad).await;
    assert_eq!(found[0].as_ref().unwrap().as_deref(), Some("1"));
    failed(&found[1]);
    assert_eq!(found[2].as_ref().unwrap().as_deref(), Some("2"));
    assert_eq!(cache.stats().namespaces["users"].stale, 2);
    // So it does for a call that takes too long.
    let gate = Gate::new();
    let slow = |keys: Vec<&'static str>| {
        let gate = gate.clone();
        async move {
            gate.pass().await;
            Ok::<_, Failure>(keys.into_iter().map(|key| (key, "new".to_owned())))
        }
    };
    let soon = Duration::from_millis(20);
    let found = cache.get_or_compute_many("users", ["1", "3"], slow).timeout(soon).await;
    assert_eq!(found[0].as_ref().unwrap().as_deref(), Some("1"));
    assert!(matches!(found[1], Err(ComputeError::TimedOut)));
    let soft = Options::new().soft_timeout(soon);
    let found = cache.get_or_compute_many("users", ["1", "2"], slow).options(soft).await;
    assert_eq!(values(found), some(&["1", "2"]));
    assert_eq!(cache.health().await.in_flight, 0, "what may not go on has ended");
}

async fn what_is_due_is_computed_anew_and_kept_if_that_fails(setup: Setup) {
    let (cache, source) = (setup.cache(), Source::default());
    cache.set("users", "1", "old").ttl(minutes(1)).await.unwrap();
    setup.clock.advance(seconds(50));
    let early = Options::new().early_refresh(80);
    let bad =
        async |_: Vec<&'static str>| Err::<Vec<(&'static str, String)>, _>(Failure::other("no"));
    let found = cache.get_or_compute_many("users", ["1"], bad).options(early).await;
    assert_eq!(values(found), some(&["old"]));
    setup.clock.advance(seconds(1));
    let load = |keys| source.load(keys);
    let found = cache.get_or_compute_many("users", ["1"], load).options(early).await;
    assert_eq!(values(found), some(&["value 1"]));
    settled(&cache).await;
    assert_eq!(text(&cache, "users", "1").await.as_deref(), Some("value 1"));
}

async fn each_value_may_have_its_own_time_tags_or_error(setup: Setup) {
    let cache = setup.cache();
    let load = async |keys: Vec<&'static str>| {
        let each = keys.into_iter().map(|key| match key {
            "bad" => (key, Err(Failure::other("no"))),
            "kept" => (key, Ok(Computed::new(key.to_owned()).ttl(minutes(9)).tag("t"))),
            _ => (key, Ok(Computed::new(key.to_owned()).do_not_store())),
        });
        Ok(each.collect::<Vec<_>>())
    };
    let values = cache.namespace("users");
    let found = values.get_or_compute_many_with(["bad", "kept", "not"], load).await;
    assert_eq!(failed(&found[0]).to_string(), "no");
    assert_eq!(found[1].as_ref().unwrap().as_deref(), Some("kept"));
    assert_eq!(found[2].as_ref().unwrap().as_deref(), Some("not"));
    settled(&cache).await;
    assert_eq!(text(&cache, "users", "not").await, None);
    assert_eq!(cache.ttl("users", "kept").await.unwrap(), Some(Ttl::After(minutes(9))));
    cache.invalidate(Tag::new("t")).await.unwrap();
    assert_eq!(text(&cache, "users", "kept").await, None);
}

async fn what_is_another_type_or_too_large_is_computed_and_hinders_no_other(setup: Setup) {
    let cache = setup.builder().max_value_size(100).build().unwrap();
    cache.set("users", "1", &7).await.unwrap();
    let load = async |keys: Vec<&'static str>| {
        let long = |key: &str| if key == "2" { "x".repeat(200) } else { key.to_owned() };
        Ok::<_, Failure>(keys.into_iter().map(move |key| (key, long(key))))
    };
    let found = values(cache.get_or_compute_many("users", ["1", "2", "3"], load).await);
    assert_eq!(found, some(&["1", &"x".repeat(200), "3"]));
    settled(&cache).await;
    assert_eq!(text(&cache, "users", "1").await.as_deref(), Some("1"));
    assert_eq!(text(&cache, "users", "2").await, None);
    assert_eq!(text(&cache, "users", "3").await.as_deref(), Some("3"));
}

async fn reads_writes_or_all_can_be_left_out(setup: Setup) {
    let (cache, source) = (setup.cache(), Source::default());
    cache.set("users", "1", "Ada").await.unwrap();
    let ask = || cache.get_or_compute_many("users", ["1", "2"], |keys| source.load(keys));
    assert_eq!(values(ask().skip_read().skip_write().await), some(&["value 1", "value 2"]));
    settled(&cache).await;
    assert_eq!(text(&cache, "users", "1").await.as_deref(), Some("Ada"));
    assert_eq!(values(ask().skip_read().await), some(&["value 1", "value 2"]));
    settled(&cache).await;
    assert_eq!(text(&cache, "users", "1").await.as_deref(), Some("value 1"));
    assert_eq!(source.calls().len(), 2);
    let off = setup.builder().enabled(false).build().unwrap();
    let found = values(source.ask(&off, &["1", "-2", "1"]).await);
    assert_eq!(found, [Some("value 1".to_owned()), None, Some("value 1".to_owned())]);
    assert_eq!(source.calls(), [["1", "-2"]]);
}

on_every_setup!(
    and on a cluster:
    the_function_is_called_once_with_what_is_missing,
    in_chunks_a_few_at_a_time,
    what_is_not_answered_is_nothing_and_known_as_that,
    an_error_is_shared_by_the_keys_of_a_call_and_the_others_have_values,
    a_value_within_its_grace_stands_in_key_by_key,
    what_is_due_is_computed_anew_and_kept_if_that_fails,
    each_value_may_have_its_own_time_tags_or_error,
    what_is_another_type_or_too_large_is_computed_and_hinders_no_other,
    reads_writes_or_all_can_be_left_out,
);

#[tokio::test]
async fn one_round_trip_to_look_up_and_one_to_write() {
    let redis = RedisServer::start();
    let (cache, source) = (on(&redis).build().unwrap(), Source::default());
    // So that the namespace and the script are known.
    values(source.ask(&cache, &["0"]).await);
    settled(&cache).await;
    redis.reset_stats();
    values(source.ask(&cache, &["1", "2", "3"]).await);
    settled(&cache).await;
    let calls = ["mget", "evalsha", "eval", "exists"].map(|name| redis.calls(name));
    assert_eq!(calls, [1, 3, 0, 0], "a command for each value, in one pipeline");
}

#[tokio::test]
async fn a_server_that_died_hinders_nobody() {
    let redis = RedisServer::start();
    let (cache, source) = (on(&redis).build().unwrap(), Source::default());
    values(source.ask(&cache, &["1"]).await);
    settled(&cache).await;
    redis.kill();
    let asked = tokio::time::timeout(PATIENCE, source.ask(&cache, &["1", "2"])).await.unwrap();
    assert_eq!(values(asked), some(&["value 1", "value 2"]));
    assert_eq!(source.calls(), [["1"], ["2"]], "memory answers");
}
