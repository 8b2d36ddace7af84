//! Invalidations whose removal was not answered in time.

use cache_core::{Cache, Invalidated, Pattern, Scope, Tag};
use cache_tests::{FaultProxy, Mode, RedisServer};

use crate::finality_keys::overtaken;
use crate::gated_store::{At, GatedStore};
use crate::setup::{Setup, at, text};

/// A lookup after the outage used to learn the old generation from Redis again, and what had been
/// invalidated here came back.
#[tokio::test]
async fn what_was_invalidated_during_an_outage_stays_so_here_and_goes_everywhere() {
    let redis = RedisServer::start();
    let proxy = FaultProxy::start(redis.port()).await;
    // Long enough not to be missed on a busy machine, short enough to be waited for.
    let budget = std::time::Duration::from_millis(500);
    let cache = at(&redis.url_through(proxy.port())).l1(false).operation_budget(budget);
    let cache = cache.build().unwrap();
    let other: Cache = at(&redis.url()).l1(false).build().unwrap();
    for case in 0..4 {
        cache.set("users", "1", "old").tag("t").await.unwrap();
        assert_eq!(other.get::<String>("users", "1").await.unwrap().as_deref(), Some("old"));
        proxy.set(Mode::Blackhole).await;
        let result = match case {
            0 => cache.invalidate(Scope::namespace("users")).await,
            1 => cache.invalidate(Tag::new("t")).await,
            2 => cache.invalidate(Scope::everything()).await,
            _ => cache.delete("users", "1").await,
        };
        assert_eq!(result.unwrap(), Invalidated::Queued, "case {case}");
        proxy.set(Mode::Pass).await;
        proxy.cut_all().await;
        assert_eq!(cache.get::<String>("users", "1").await.unwrap(), None, "case {case}");
        // Once this process has got through to Redis again, nobody else has it either.
        crate::recovery::healed(&cache).await;
        assert_eq!(cache.get::<String>("users", "1").await.unwrap(), None, "case {case}");
        assert_eq!(other.get::<String>("users", "1").await.unwrap(), None, "case {case}");
    }
}

/// Pinned: a delete that failed was repeated as a mere removal, which took the tombstone of
/// another delete away: a fill elsewhere that had begun before both brought the old value back.
#[tokio::test]
async fn a_delete_that_failed_does_not_undo_another() {
    let setup = Setup::shared();
    let store = GatedStore::new(&setup);
    let (cache, filler) = (store.cache(&setup), store.cache(&setup));
    for (key, failing) in [("1", [true, false]), ("2", [false, true]), ("3", [true, true])] {
        overtaken(&filler, key, async {
            for fails in failing {
                if fails {
                    store.fail(At::Write);
                }
                assert_eq!(cache.delete("users", key).await.unwrap().is_complete(), !fails);
            }
            assert_eq!(text(&cache, "users", key).await, None);
        })
        .await;
        assert_eq!(text(&cache, "users", key).await, None, "{key}");
        assert_eq!(text(&filler, "users", key).await, None, "{key}");
    }
}

/// Pinned: a pattern that was not declared, invalidated during an outage, was forgotten: what it
/// had covered came back with the store.
#[tokio::test]
async fn a_pattern_that_could_not_be_swept_stays_invalidated() {
    let setup = Setup::shared();
    let store = GatedStore::new(&setup);
    for step in [At::ScanReply, At::Remove] {
        let (cache, other) = (store.cache(&setup), store.cache(&setup));
        cache.set("users", "1", "old").await.unwrap();
        cache.set("others", "1", "v").await.unwrap();
        store.fail(step);
        let swept = cache.invalidate(Scope::pattern("users", Pattern::new("*"))).await;
        assert_eq!(swept.unwrap(), Invalidated::Queued);
        assert_eq!(text(&cache, "users", "1").await, None);
        assert_eq!(text(&other, "users", "1").await, None);
        assert_eq!(text(&cache, "others", "1").await.as_deref(), Some("v"));
    }
}
