//! Several instances on one Redis: each answers from its own memory, and learns what the others
//! change.

use cache_core::{Cache, Clock, RedisOptions, minutes, seconds};
use cache_tests::RedisServer;
use cache_tests::wait::eventually_some;
use cache_tower::HttpCache;

use super::origin::{App, HIT, Origin, PATIENCE, request};

/// An instance to which Redis tells every change. Its short L1 TTL never passes by itself.
async fn instance(redis: &RedisServer, clock: &Clock, origin: &Origin) -> (App, Cache) {
    let options = RedisOptions::url(&redis.url()).expect("valid");
    let builder = Cache::builder().redis(options).clock(clock.clone());
    let cache = builder.operation_budget(seconds(10)).build().expect("valid");
    let app = App::layered(&HttpCache::builder(cache.clone()).build(), origin);
    eventually_some(PATIENCE, "it listens", async || {
        app.told("/other", &[]).await;
        cache.health().await.coherence.proven.then_some(())
    })
    .await;
    (app, cache)
}

#[tokio::test]
async fn a_write_at_one_instance_is_seen_at_the_other_whatever_it_has_in_memory() {
    let (redis, clock) = (RedisServer::start(), Clock::manual(1_700_000_000_000));
    let origin = Origin::fixed(200, &[("cache-control", "max-age=600")], "body");
    let (here, _) = instance(&redis, &clock, &origin).await;
    let (there, cache) = instance(&redis, &clock, &origin).await;
    let l1_hits = || cache.stats().total().l1_hits;
    for _ in 0..3 {
        here.told("/a", &[]).await;
        eventually_some(PATIENCE, "it is in memory there", async || {
            let before = l1_hits();
            (there.told("/a", &[]).await == HIT && l1_hits() > before).then_some(())
        })
        .await;
        assert_eq!(here.clone().call(request("POST", "/a", &[])).await.status(), 200);
        eventually_some(PATIENCE, "the other one asks the origin", async || {
            (there.told("/a", &[]).await != HIT).then_some(())
        })
        .await;
    }
    // What nobody changes stays, for longer than memory answers without a proof.
    eventually_some(PATIENCE, "it is in memory again", async || {
        (there.told("/a", &[]).await == HIT).then_some(())
    })
    .await;
    clock.advance(minutes(5));
    eventually_some(PATIENCE, "it is answered from memory", async || {
        let before = l1_hits();
        (there.told("/a", &[]).await == HIT && l1_hits() > before).then_some(())
    })
    .await;
}
