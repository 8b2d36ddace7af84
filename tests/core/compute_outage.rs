//! Redis is killed while each option has something to do: memory goes on for as long as it vouches
//! for what it holds, and what it vouches for no more is computed. No error is the cache's.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use cache_core::{
    COHERENCE_BOUND, Cache, ComputeError, Computed, Invalidated, Previous, Tag, UNCONFIRMED_FLIGHT,
    minutes, seconds,
};
use cache_tests::Gate;
use cache_tests::wait::eventually_some;

use crate::coherence::Nodes;
use crate::recovery::broken;
use crate::setup::{PATIENCE, fill, settled, text};

type Failure = std::io::Error;
type Outcome = Result<String, ComputeError<Failure>>;

const SOON: Duration = Duration::from_millis(20);

fn bad() -> Result<String, Failure> {
    Err(Failure::other("no"))
}

/// Fresh for so long, and of use for a minute more: Redis, which goes by its own clock, drops
/// nothing meanwhile.
async fn old_value(cache: &Cache, key: &str, ttl: Duration) {
    let work =
        async |_: Previous<String>| Ok::<_, Failure>(Computed::new("old".to_owned()).etag("e"));
    let asked = cache.get_or_compute_with("users", key, work).ttl(ttl).grace(minutes(1));
    assert_eq!(asked.await.unwrap(), "old");
}

/// Asks for somebody; that there is nobody is remembered for three seconds.
async fn somebody(cache: &Cache, found: Option<&str>) -> Option<String> {
    let work = async || Ok::<_, Failure>(found.map(str::to_owned));
    let asked = cache.get_or_compute("users", "nobody", work).ttl(seconds(1)).grace(minutes(1));
    asked.negative_ttl(seconds(3)).await.unwrap()
}

async fn failing(cache: &Cache, key: &str) -> Outcome {
    cache.get_or_compute("users", key, async || bad()).await
}

/// Waits until a cache has heard of all that it has written itself, and has looked into it: what it
/// can't look into any more, its memory does not vouch for.
async fn heard_of_all(nodes: &Nodes, cache: &Cache) {
    let other = nodes.builder().build().unwrap();
    for value in ["old", "new"] {
        other.set("others", "1", value).await.unwrap();
        eventually_some(PATIENCE, "it is heard of", async || {
            (text(cache, "others", "1").await.as_deref() == Some(value)).then_some(())
        })
        .await;
    }
    settled(cache).await;
}

/// A cache that has something in memory for each option. `told`: Redis tells it what others change.
async fn in_good_health(nodes: &Nodes, told: bool) -> Cache {
    let cache =
        if told { nodes.node().await } else { nodes.builder().coherence(false).build().unwrap() };
    for key in ["failing", "unchanged", "slow", "skipped", "tagged", "remembered"] {
        old_value(&cache, key, seconds(1)).await;
    }
    for key in ["due", "early", "used"] {
        old_value(&cache, key, seconds(3)).await;
    }
    old_value(&cache, "fresh", minutes(1)).await;
    assert_eq!(somebody(&cache, None).await, None);
    settled(&cache).await;
    if told {
        heard_of_all(nodes, &cache).await;
    }
    cache
}

#[tokio::test]
async fn while_redis_is_away_each_option_does_what_it_says() {
    for told in [true, false] {
        let nodes = Nodes::start();
        let cache = in_good_health(&nodes, told).await;
        nodes.redis.kill();
        nodes.clock.advance(seconds(2));
        what_is_stale_stands_in(&cache).await;
        what_is_fresh_is_given(&cache).await;
        an_error_is_remembered_for_a_moment(&cache).await;
        what_is_computed_is_given_and_kept(&cache).await;
        nodes.clock.advance(seconds(2));
        let found = somebody(&cache, Some("Ada")).await;
        assert_eq!(found.as_deref(), Some("Ada"), "the three seconds are over");
    }
}

async fn what_is_stale_stands_in(cache: &Cache) {
    assert_eq!(text(cache, "users", "failing").await, None, "a read takes nothing stale");
    assert_eq!(failing(cache, "failing").await.unwrap(), "old");
    let work = async |former: Previous<String>| {
        assert_eq!(former.etag(), Some("e"));
        former.unchanged().ok_or(Failure::other("there is nothing"))
    };
    let asked = cache.get_or_compute_with("users", "unchanged", work).ttl(minutes(1));
    assert_eq!(asked.await.unwrap(), "old");
    assert_eq!(text(cache, "users", "unchanged").await.as_deref(), Some("old"), "fresh again");
    let gate = Gate::new();
    let held = gate.clone();
    let work = async move || {
        held.pass().await;
        Ok::<_, Failure>("new".to_owned())
    };
    let asked = cache.get_or_compute("users", "slow", work).soft_timeout(SOON);
    assert_eq!(asked.in_background().await.unwrap(), "old");
    gate.open(1);
    settled(cache).await;
    assert_eq!(text(cache, "users", "slow").await.as_deref(), Some("new"), "it went on behind");
}

async fn what_is_fresh_is_given(cache: &Cache) {
    assert_eq!(somebody(cache, Some("Ada")).await, None, "it is known that there is nobody");
    let asked = cache.get_or_compute("users", "due", async || bad()).early_refresh(50);
    assert_eq!(asked.await.unwrap(), "old");
    assert_eq!(text(cache, "users", "due").await.as_deref(), Some("old"));
    let work = async || Ok::<_, Failure>("new".to_owned());
    let asked = cache.get_or_compute("users", "early", work).early_refresh(50);
    assert_eq!(asked.in_background().await.unwrap(), "old");
    settled(cache).await;
    assert_eq!(text(cache, "users", "early").await.as_deref(), Some("new"));
    // Its longer life can't be written, which takes nothing from the one it has.
    let asked = cache.get_or_compute("users", "used", async || bad()).ttl(seconds(3));
    assert_eq!(asked.sliding(minutes(1)).await.unwrap(), "old");
    settled(cache).await;
    assert_eq!(text(cache, "users", "used").await.as_deref(), Some("old"));
}

async fn an_error_is_remembered_for_a_moment(cache: &Cache) {
    let calls = AtomicUsize::new(0);
    let ask = async || {
        let work = async || {
            calls.fetch_add(1, Ordering::SeqCst);
            bad()
        };
        cache.get_or_compute("users", "remembered", work).error_ttl(minutes(1)).await
    };
    // From then on nobody waits for Redis, and so no time passes in a call.
    broken(cache).await;
    tokio::time::pause();
    for _ in 0..2 {
        assert_eq!(ask().await.unwrap(), "old");
    }
    assert_eq!(calls.load(Ordering::SeqCst), 1);
    // Nobody can tell whether something was invalidated since.
    tokio::time::advance(UNCONFIRMED_FLIGHT).await;
    assert_eq!(ask().await.unwrap(), "old");
    assert_eq!(calls.load(Ordering::SeqCst), 2);
    tokio::time::resume();
}

async fn what_is_computed_is_given_and_kept(cache: &Cache) {
    let work = async || Ok::<_, Failure>("new".to_owned());
    let asked = cache.get_or_compute("users", "skipped", work).skip_read();
    assert_eq!(asked.await.unwrap(), "new");
    assert_eq!(text(cache, "users", "skipped").await.as_deref(), Some("new"));
    let work =
        async |_: Previous<String>| Ok::<_, Failure>(Computed::new("new".to_owned()).tag("t"));
    assert_eq!(cache.get_or_compute_with("users", "tagged", work).await.unwrap(), "new");
    assert_eq!(text(cache, "users", "tagged").await.as_deref(), Some("new"));
    assert_eq!(cache.invalidate(Tag::new("t")).await.unwrap(), Invalidated::Queued);
    assert_eq!(text(cache, "users", "tagged").await, None, "here it is done");
}

#[tokio::test]
async fn what_memory_vouches_for_no_more_is_computed() {
    for told in [true, false] {
        let nodes = Nodes::start();
        let cache = in_good_health(&nodes, told).await;
        nodes.redis.kill();
        broken(&cache).await;
        nodes.clock.advance(COHERENCE_BOUND * 2);
        if told {
            // A moment ago it was proven that nothing had changed.
            assert_eq!(failing(&cache, "failing").await.unwrap(), "old");
            assert_eq!(text(&cache, "users", "fresh").await.as_deref(), Some("old"));
            tokio::time::pause();
            tokio::time::advance(COHERENCE_BOUND).await;
            tokio::time::resume();
        }
        assert!(matches!(failing(&cache, "failing").await, Err(ComputeError::Compute(_))));
        assert_eq!(text(&cache, "users", "fresh").await, None);
        assert_eq!(fill(&cache, "users", "fresh", "new").await, "new");
        // What was computed here it vouches for again, for as long.
        assert_eq!(fill(&cache, "users", "fresh", "newer").await, "new");
        nodes.clock.advance(COHERENCE_BOUND);
        assert_eq!(fill(&cache, "users", "fresh", "newer").await, "newer");
    }
}
