//! How values are kept and computed: each option, and what becomes of it when something fails.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use cache_core::{
    Cache, ComputeError, Computed, Namespace, Options, Previous, Scope, Tag, Ttl, minutes, seconds,
};
use cache_tests::{Gate, eventually};

use crate::setup::{PATIENCE, Setup, fill, join, on_every_setup, settled, text};

type Failure = std::io::Error;
type Outcome<V = String> = Result<V, ComputeError<Failure>>;

#[allow(clippy::unnecessary_wraps, reason = "what a computation gives")]
fn good(value: impl Into<String>) -> Result<String, Failure> {
    Ok(value.into())
}

fn bad() -> Result<String, Failure> {
    Err(Failure::other("no"))
}

/// Fresh for a minute, of use for five more.
async fn old_value(cache: &Cache) {
    let computed = cache
        .get_or_compute("users", "1", async || good("old"))
        .ttl(minutes(1))
        .grace(minutes(5))
        .await;
    assert_eq!(computed.unwrap(), "old");
    settled(cache).await;
}

async fn a_value_within_its_grace_stands_in_for_one_that_fails(setup: Setup) {
    let cache = setup.cache();
    old_value(&cache).await;
    let ask = async || cache.get_or_compute("users", "1", async || bad()).await;
    assert_eq!(ask().await.unwrap(), "old", "fresh");
    setup.clock.advance(minutes(1));
    assert_eq!(text(&cache, "users", "1").await, None, "a read takes nothing stale");
    assert_eq!(ask().await.unwrap(), "old", "stale");
    assert_eq!(cache.stats().namespaces["users"].stale, 1);
    setup.clock.advance(minutes(5));
    assert!(matches!(ask().await, Err(ComputeError::Compute(_))), "too old");
    assert_eq!(cache.stats().namespaces["users"].stale, 1);
}

async fn what_was_invalidated_stands_in_for_nothing(setup: Setup) {
    for scope in [Scope::namespace("users"), Scope::key("users", "1")] {
        let cache = setup.cache();
        old_value(&cache).await;
        setup.clock.advance(minutes(2));
        cache.invalidate(scope).await.unwrap();
        let asked = cache.get_or_compute("users", "1", async || bad()).await;
        assert!(matches!(asked, Err(ComputeError::Compute(_))));
    }
    // Nor what is invalidated while it is computed anew.
    let cache = setup.cache();
    old_value(&cache).await;
    setup.clock.advance(minutes(2));
    let failing = async || {
        cache.invalidate(Scope::namespace("users")).await.map_err(Failure::other)?;
        bad()
    };
    let asked = cache.get_or_compute("users", "1", failing).await;
    assert!(matches!(asked, Err(ComputeError::Compute(_))));
}

async fn what_was_invalidated_softly_stands_in_and_is_computed_anew(setup: Setup) {
    let cache = setup.cache();
    old_value(&cache).await;
    cache.invalidate(Scope::namespace("users")).soft().await.unwrap();
    assert_eq!(text(&cache, "users", "1").await, None);
    let asked = cache.get_or_compute("users", "1", async || bad()).await;
    assert_eq!(asked.unwrap(), "old");
    assert_eq!(fill(&cache, "users", "1", "new").await, "new");
    settled(&cache).await;
    assert_eq!(text(&cache, "users", "1").await.as_deref(), Some("new"));
}

/// A function that does not end before it may.
fn held(gate: &Gate) -> impl Future<Output = Result<String, Failure>> + Send + use<> {
    let gate = gate.clone();
    async move {
        gate.pass().await;
        good("new")
    }
}

const SOON: Duration = Duration::from_millis(20);

async fn who_does_not_wait_is_given_what_is_stale_and_the_rest_is_done_behind(setup: Setup) {
    let cache = setup.cache();
    old_value(&cache).await;
    setup.clock.advance(minutes(2));
    let gate = Gate::new();
    let ask = async || {
        let work = held(&gate);
        let asked = cache.get_or_compute("users", "1", || work).soft_timeout(SOON);
        asked.in_background().await
    };
    assert_eq!(ask().await.unwrap(), "old");
    assert_eq!(ask().await.unwrap(), "old", "who comes later waits as long");
    gate.open(1);
    eventually(PATIENCE, "it is done", || cache.background().running() == 0).await;
    assert_eq!(text(&cache, "users", "1").await.as_deref(), Some("new"));
    assert_eq!(cache.stats().namespaces["users"].computes, 2, "the first, and one more");
}

async fn a_soft_timeout_is_for_those_who_have_something(setup: Setup) {
    let cache = setup.cache();
    let gate = Gate::new();
    let asking = tokio::spawn({
        let (cache, work) = (cache.clone(), held(&gate));
        async move { cache.get_or_compute("users", "1", || work).soft_timeout(SOON).await }
    });
    gate.waiting(1).await;
    tokio::time::sleep(SOON * 2).await;
    assert!(!asking.is_finished());
    gate.open(1);
    assert_eq!(join(asking).await.unwrap(), "new");
}

async fn who_has_nothing_is_told_that_it_takes_too_long(setup: Setup) {
    let cache = setup.cache();
    let gate = Gate::new();
    let ask = async |in_background: bool| -> Outcome {
        let work = held(&gate);
        let asked = cache.get_or_compute("users", "1", || work).timeout(SOON);
        if in_background { asked.in_background().await } else { asked.await }
    };
    assert!(matches!(ask(false).await, Err(ComputeError::TimedOut)));
    assert_eq!(cache.health().await.in_flight, 0, "what may not go on has ended");
    assert!(matches!(ask(true).await, Err(ComputeError::TimedOut)));
    assert!(matches!(ask(false).await, Err(ComputeError::TimedOut)), "as one who waits");
    gate.open_for_good();
    eventually(PATIENCE, "it is done", || cache.background().running() == 0).await;
    assert_eq!(ask(false).await.unwrap(), "new");
    assert_eq!(text(&cache, "users", "1").await.as_deref(), Some("new"));
}

async fn a_caller_who_leaves_does_not_end_what_goes_on_behind(setup: Setup) {
    let cache = setup.cache();
    let gate = Gate::new();
    let asking = tokio::spawn({
        let (cache, work) = (cache.clone(), held(&gate));
        async move { cache.get_or_compute("users", "1", || work).in_background().await }
    });
    gate.waiting(1).await;
    asking.abort();
    gate.open(1);
    eventually(PATIENCE, "it is done", || cache.background().running() == 0).await;
    assert_eq!(text(&cache, "users", "1").await.as_deref(), Some("new"));
}

async fn a_panic_behind_is_no_hang(setup: Setup) {
    let cache = setup.cache();
    let ask = async || -> Outcome {
        let work = async || -> Result<String, Failure> { panic!("as it should") };
        cache.get_or_compute("users", "1", work).in_background().await
    };
    assert!(matches!(ask().await, Err(ComputeError::LeaderFailed)));
    old_value(&cache).await;
    setup.clock.advance(minutes(2));
    assert_eq!(ask().await.unwrap(), "old");
    settled(&cache).await;
}

async fn one_computes_early_and_the_others_are_given_what_is_fresh(setup: Setup) {
    let cache = setup.cache();
    old_value(&cache).await;
    setup.clock.advance(seconds(50));
    let gate = Gate::new();
    let early = tokio::spawn({
        let (cache, work) = (cache.clone(), held(&gate));
        async move { cache.get_or_compute("users", "1", || work).early_refresh(80).await }
    });
    gate.waiting(1).await;
    for _ in 0..10 {
        let work = async || bad();
        let asked = cache.get_or_compute("users", "1", work).early_refresh(80).await;
        assert_eq!(asked.unwrap(), "old");
    }
    gate.open(1);
    assert_eq!(join(early).await.unwrap(), "new");
    settled(&cache).await;
    assert_eq!(text(&cache, "users", "1").await.as_deref(), Some("new"));
    assert_eq!(cache.stats().namespaces["users"].computes, 2);
}

async fn an_early_refresh_that_fails_or_goes_on_behind_keeps_nobody(setup: Setup) {
    let cache = setup.cache();
    old_value(&cache).await;
    setup.clock.advance(seconds(50));
    let failing = cache.get_or_compute("users", "1", async || bad()).early_refresh(80).await;
    assert_eq!(failing.unwrap(), "old");
    setup.clock.advance(seconds(1));
    let gate = Gate::new();
    let work = held(&gate);
    let asked = cache.get_or_compute("users", "1", || work).early_refresh(80);
    assert_eq!(asked.in_background().await.unwrap(), "old");
    gate.open(1);
    eventually(PATIENCE, "it is done", || cache.background().running() == 0).await;
    assert_eq!(text(&cache, "users", "1").await.as_deref(), Some("new"));
}

async fn nothing_is_kept_for_a_time_of_its_own(setup: Setup) {
    let cache = setup.cache();
    let nobody = async || Ok::<Option<String>, Failure>(None);
    let ask = async |key: &str, ttl: Duration| {
        cache.get_or_compute("users", key, nobody).ttl(minutes(5)).negative_ttl(ttl).await.unwrap()
    };
    assert_eq!(ask("1", seconds(10)).await, None);
    assert_eq!(ask("2", Duration::ZERO).await, None);
    settled(&cache).await;
    let ttl = |ttl: Option<Ttl>| ttl.map(|ttl| ttl == Ttl::After(seconds(10)));
    assert_eq!(ttl(cache.ttl("users", "1").await.unwrap()), Some(true));
    assert_eq!(ttl(cache.ttl("users", "2").await.unwrap()), None);
    // What is something has its own time.
    fill(&cache, "users", "3", "v").await;
    settled(&cache).await;
    assert_eq!(ttl(cache.ttl("users", "3").await.unwrap()), Some(false));
}

async fn an_error_is_remembered_for_as_long_as_said(setup: Setup) {
    let cache = setup.cache();
    let calls = AtomicUsize::new(0);
    let ask = async |error_ttl: Duration| -> Outcome {
        let work = async || {
            calls.fetch_add(1, Ordering::SeqCst);
            bad()
        };
        cache.get_or_compute("users", "1", work).error_ttl(error_ttl).await
    };
    let failed = |outcome: Outcome| match outcome {
        Err(ComputeError::Compute(error)) => error,
        other => panic!("{other:?}"),
    };
    let first = failed(ask(minutes(5)).await);
    assert!(Arc::ptr_eq(&first, &failed(ask(minutes(5)).await)));
    assert_eq!(calls.load(Ordering::SeqCst), 1);
    // The source has changed: it may be well again.
    cache.invalidate(Scope::namespace("users")).await.unwrap();
    failed(ask(Duration::ZERO).await);
    failed(ask(minutes(5)).await);
    assert_eq!(calls.load(Ordering::SeqCst), 3);
    cache.set("users", "1", "v").await.unwrap();
    assert_eq!(ask(minutes(5)).await.unwrap(), "v", "an error hides no value");
}

async fn reads_and_writes_can_be_left_out(setup: Setup) {
    let cache = setup.cache();
    old_value(&cache).await;
    let ask = |value: &'static str| cache.get_or_compute("users", "1", async move || good(value));
    assert_eq!(ask("new").skip_read().skip_write().await.unwrap(), "new");
    assert_eq!(text(&cache, "users", "1").await.as_deref(), Some("old"));
    assert_eq!(ask("new").skip_read().await.unwrap(), "new");
    settled(&cache).await;
    assert_eq!(text(&cache, "users", "1").await.as_deref(), Some("new"));
    assert_eq!(ask("newer").skip_write().await.unwrap(), "new");
    cache.delete("users", "1").await.unwrap();
    assert_eq!(ask("newer").skip_write().await.unwrap(), "newer");
    settled(&cache).await;
    assert_eq!(text(&cache, "users", "1").await, None);
}

async fn what_is_used_lives_on_and_not_for_ever(setup: Setup) {
    const SESSIONS: Namespace =
        Namespace::new("sessions").options(Options::new().ttl(minutes(10)).sliding(minutes(30)));
    let cache = setup.builder().namespace(SESSIONS).build().unwrap();
    cache.set(&SESSIONS, "1", "v").await.unwrap();
    for minute in [6, 12, 18, 24] {
        setup.clock.advance(minutes(6));
        let used = text(&cache, SESSIONS.name(), "1").await;
        assert_eq!(used.as_deref(), Some("v"), "minute {minute}");
        settled(&cache).await;
    }
    setup.clock.advance(minutes(5));
    assert_eq!(fill(&cache, SESSIONS.name(), "1", "new").await, "v", "minute 29");
    settled(&cache).await;
    setup.clock.advance(minutes(1));
    assert_eq!(text(&cache, SESSIONS.name(), "1").await, None, "minute 30");
    // What is not used does not.
    cache.set(&SESSIONS, "2", "v").await.unwrap();
    setup.clock.advance(minutes(10));
    assert_eq!(text(&cache, SESSIONS.name(), "2").await, None);
}

async fn the_function_is_told_what_there_was_and_may_leave_it(setup: Setup) {
    let cache = setup.cache();
    let ask = async |answers: Option<&'static str>, told: Option<(&str, &str)>| {
        let work = async |former: Previous<String>| {
            let known = former.value().zip(former.etag().map(str::to_owned));
            assert_eq!(known, told.map(|(value, etag)| (value.to_owned(), etag.to_owned())));
            match answers {
                Some(value) => Ok(Computed::new(value.to_owned()).etag(format!("\"{value}\""))),
                None => former.unchanged().ok_or(Failure::other("there was none")),
            }
        };
        let asked = cache.get_or_compute_with("users", "1", work);
        let value = asked.ttl(minutes(1)).grace(minutes(5)).await;
        settled(&cache).await;
        value
    };
    assert!(ask(None, None).await.is_err());
    assert_eq!(ask(Some("a"), None).await.unwrap(), "a");
    setup.clock.advance(minutes(2));
    assert_eq!(ask(None, Some(("a", "\"a\""))).await.unwrap(), "a");
    assert_eq!(text(&cache, "users", "1").await.as_deref(), Some("a"), "fresh again");
    setup.clock.advance(minutes(2));
    assert_eq!(ask(Some("b"), Some(("a", "\"a\""))).await.unwrap(), "b");
    setup.clock.advance(minutes(2));
    assert_eq!(ask(None, Some(("b", "\"b\""))).await.unwrap(), "b");
}

async fn a_result_says_how_it_is_kept(setup: Setup) {
    let cache = setup.cache();
    let ask = async |key: &str, computed: fn(Computed<u64>) -> Computed<u64>| {
        let work = async |_: Previous<u64>| Ok::<_, Failure>(computed(Computed::new(7)));
        let asked = cache.get_or_compute_with("users", key, work).ttl(minutes(5)).tag("before");
        assert_eq!(asked.await.unwrap(), 7);
        settled(&cache).await;
        cache.ttl("users", key).await.unwrap()
    };
    let kept = |time| Some(Ttl::After(time));
    assert_eq!(ask("1", |it| it).await, kept(minutes(5)));
    assert_eq!(ask("2", |it| it.ttl(seconds(9))).await, kept(seconds(9)));
    assert_eq!(ask("3", Computed::do_not_store).await, None);
    assert_eq!(ask("4", |it| it.tag("t")).await, kept(minutes(5)));
    assert_eq!(ask("5", |it| it.tag(Tag::in_workspace("ws2", "t"))).await, None, "not its own");
    cache.invalidate(Tag::new("t")).await.unwrap();
    assert_eq!(cache.ttl("users", "4").await.unwrap(), None);
    assert!(cache.exists("users", "1").await.unwrap());
    cache.invalidate(Tag::new("before")).await.unwrap();
    assert!(!cache.exists("users", "1").await.unwrap());
}

async fn a_tag_of_a_result_that_is_invalidated_meanwhile_voids_it(setup: Setup) {
    let cache = setup.cache();
    let work = async |_: Previous<u64>| {
        cache.invalidate(Tag::new("t")).await.map_err(Failure::other)?;
        Ok::<_, Failure>(Computed::new(7).tag("t"))
    };
    assert_eq!(cache.get_or_compute_with("users", "1", work).await.unwrap(), 7);
    settled(&cache).await;
    assert!(!cache.exists("users", "1").await.unwrap());
}

/// Pinned: who came after an invalidation of a tag was given what had begun before it, since those
/// who wait look at the scopes of the key only.
async fn who_asks_after_an_invalidation_of_its_tag_does_not_wait_for_what_began_before(
    setup: Setup,
) {
    let ours = || Tag::in_workspace("ws1", "t");
    for (tag, invalidated) in [(Tag::new("t"), Tag::new("t")), (ours(), ours())] {
        let cache = setup.cache();
        let gate = Gate::new();
        let asking = tokio::spawn({
            let (cache, work) = (cache.clone(), held(&gate));
            let tag = tag.clone();
            async move { cache.get_or_compute("users", "1", || work).tag(tag).await }
        });
        gate.waiting(1).await;
        cache.invalidate(invalidated).await.unwrap();
        let later = cache.get_or_compute("users", "1", async || good("newer")).tag(tag).await;
        assert_eq!(later.unwrap(), "newer");
        gate.open(1);
        assert_eq!(join(asking).await.unwrap(), "new");
        settled(&cache).await;
        assert_eq!(text(&cache, "users", "1").await.as_deref(), Some("newer"));
        cache.clear("users").await.unwrap();
    }
}

async fn times_are_spread(setup: Setup) {
    const SPREAD: Namespace = Namespace::new("spread").options(Options::new().jitter(50));
    let cache = setup.builder().namespace(SPREAD).build().unwrap();
    let mut times = Vec::new();
    for n in 0..20_u32 {
        let key = n.to_string();
        if n % 2 == 0 {
            cache.set(&SPREAD, key.as_str(), &n).ttl(seconds(1000)).await.unwrap();
        } else {
            let work = async || Ok::<_, Failure>(n);
            cache.get_or_compute(&SPREAD, key.as_str(), work).ttl(seconds(1000)).await.unwrap();
            settled(&cache).await;
        }
        times.push(cache.ttl(&SPREAD, key.as_str()).await.unwrap());
    }
    let within = |ttl: &Option<Ttl>| matches!(ttl, Some(Ttl::After(ttl)) if (seconds(500)..=seconds(1000)).contains(ttl));
    assert!(times.iter().all(within), "{times:?}");
    assert!(times.iter().any(|ttl| *ttl != times[0]), "{times:?}");
}

on_every_setup!(
    a_value_within_its_grace_stands_in_for_one_that_fails,
    what_was_invalidated_stands_in_for_nothing,
    what_was_invalidated_softly_stands_in_and_is_computed_anew,
    who_does_not_wait_is_given_what_is_stale_and_the_rest_is_done_behind,
    a_soft_timeout_is_for_those_who_have_something,
    who_has_nothing_is_told_that_it_takes_too_long,
    a_caller_who_leaves_does_not_end_what_goes_on_behind,
    a_panic_behind_is_no_hang,
    one_computes_early_and_the_others_are_given_what_is_fresh,
    an_early_refresh_that_fails_or_goes_on_behind_keeps_nobody,
    nothing_is_kept_for_a_time_of_its_own,
    an_error_is_remembered_for_as_long_as_said,
    reads_and_writes_can_be_left_out,
    what_is_used_lives_on_and_not_for_ever,
    the_function_is_told_what_there_was_and_may_leave_it,
    a_result_says_how_it_is_kept,
    a_tag_of_a_result_that_is_invalidated_meanwhile_voids_it,
    who_asks_after_an_invalidation_of_its_tag_does_not_wait_for_what_began_before,
    times_are_spread,
);

/// What is said for a call goes before what is said for its namespace, and that before what is
/// said for all.
#[tokio::test]
async fn calls_before_namespaces_before_all() {
    const OWN: Namespace = Namespace::new("own").options(Options::new().ttl(minutes(2)));
    let setup = Setup::memory();
    let all = Options::new().ttl(minutes(1)).negative_ttl(Duration::ZERO);
    let cache = setup.builder().options(all).namespace(OWN).build().unwrap();
    let ttl = async |namespace: &str, key: &str| cache.ttl(namespace, key).await.unwrap();
    fill(&cache, "users", "1", "v").await;
    fill(&cache, OWN.name(), "1", "v").await;
    cache.get_or_compute(&OWN, "2", async || good("v")).ttl(minutes(3)).await.unwrap();
    let nothing = async || Ok::<_, Failure>(());
    cache.get_or_compute(&OWN, "3", nothing).await.unwrap();
    assert_eq!(ttl("users", "1").await, Some(Ttl::After(minutes(1))));
    assert_eq!(ttl(OWN.name(), "1").await, Some(Ttl::After(minutes(2))));
    assert_eq!(ttl(OWN.name(), "2").await, Some(Ttl::After(minutes(3))));
    assert_eq!(ttl(OWN.name(), "3").await, None);
}
