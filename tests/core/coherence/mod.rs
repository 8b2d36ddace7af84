//! This process' memory is true to the store, though other instances write to it.
//!
//! The manual clock stands, so that the short L1 TTL never passes by itself; or it is moved on by
//! more than that, so that an entry in memory answers only if it is proven to be true.

mod bounds;
mod changes;
mod connections;
mod crossings;
mod fallbacks;
mod own_writes;
mod tagged;

use cache_core::{Builder, Cache, Clock, CoherenceMode, seconds};
use cache_tests::wait::eventually_some;
use cache_tests::{RedisServer, Reply};

use crate::setup::{PATIENCE, START, at, text};

/// Several caches on one server, as several instances.
pub(super) struct Nodes {
    pub(super) redis: RedisServer,
    pub(super) clock: Clock,
}

impl Nodes {
    pub(super) fn start() -> Self {
        Self::on(RedisServer::start())
    }

    pub(super) fn on(redis: RedisServer) -> Self {
        Self { redis, clock: Clock::manual(START) }
    }

    pub(super) fn builder(&self) -> Builder {
        self.through(&self.redis.url())
    }

    pub(super) fn through(&self, url: &str) -> Builder {
        at(url).clock(self.clock.clone())
    }

    /// A cache to which Redis tells every change.
    pub(super) async fn node(&self) -> Cache {
        let cache = self.builder().build().unwrap();
        proven(&cache).await;
        cache
    }

    /// What is in memory by now answers only if it is proven to be true.
    pub(super) fn age(&self) {
        self.clock.advance(seconds(6));
    }

    /// The ids of the connections that Redis tells changes on.
    pub(super) fn trackers(&self) -> Vec<String> {
        let list = self.redis.command(&["CLIENT", "LIST"]).text();
        let field = |line: &str, name: &str| {
            line.split(' ').find_map(|field| field.strip_prefix(name).map(str::to_owned))
        };
        // `B`: tracking in broadcast mode.
        let tracks = |line: &&str| field(line, "flags=").is_some_and(|flags| flags.contains('B'));
        list.lines().filter(tracks).filter_map(|line| field(line, "id=")).collect()
    }

    pub(super) fn kill_trackers(&self) {
        for id in self.trackers() {
            assert_eq!(self.redis.command(&["CLIENT", "KILL", "ID", &id]), Reply::Int(1));
        }
    }
}

/// Waits until the cache is in this mode, using it meanwhile.
pub(super) async fn in_mode(cache: &Cache, mode: CoherenceMode) {
    eventually_some(PATIENCE, "the mode", async || {
        text(cache, "users", "none").await;
        (cache.health().await.coherence.mode == mode).then_some(())
    })
    .await;
}

/// Waits until it is proven that the cache misses no change.
pub(super) async fn proven(cache: &Cache) {
    in_mode(cache, CoherenceMode::Tracking).await;
    eventually_some(PATIENCE, "a proof", async || {
        let coherence = cache.health().await.coherence;
        (coherence.proven && coherence.since.is_some()).then_some(())
    })
    .await;
}

/// Waits until a cache answers so.
pub(super) async fn sees(cache: &Cache, key: &str, expected: Option<&str>) {
    let what = format!("{key} is {expected:?}");
    eventually_some(PATIENCE, &what, async || {
        (text(cache, "users", key).await.as_deref() == expected).then_some(())
    })
    .await;
}

pub(super) fn l1_hits(cache: &Cache) -> u64 {
    cache.stats().total().l1_hits
}

/// Whether the value was answered from memory.
pub(super) async fn from_memory(cache: &Cache, key: &str) -> bool {
    let before = l1_hits(cache);
    text(cache, "users", key).await.is_some() && l1_hits(cache) > before
}

/// Waits until the value is answered from memory.
pub(super) async fn remembered(cache: &Cache, key: &str) {
    eventually_some(PATIENCE, "it is in memory", async || {
        from_memory(cache, key).await.then_some(())
    })
    .await;
}
