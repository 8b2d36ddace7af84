//! Redis is full or away, so that nothing tells of invalidations elsewhere: those who come later
//! than `UNCONFIRMED_FLIGHT` do not wait for what had begun before.

use cache_core::{Cache, CoherenceMode, RedisOptions, Tag, UNCONFIRMED_FLIGHT};
use cache_tests::wait::eventually_some;
use cache_tests::{RedisServer, body};
use cache_tower::{CacheTags, HttpCache};

use crate::setup::{LIMIT, app, at_rest, fresh, get, head, http, send, whole};

fn on(redis: &RedisServer) -> HttpCache {
    let options = RedisOptions::url(&redis.url()).expect("valid");
    http(&Cache::builder().redis(options).operation_budget(LIMIT).build().expect("valid"))
}

async fn the_time_passes() {
    tokio::time::pause();
    tokio::time::advance(UNCONFIRMED_FLIGHT).await;
    tokio::time::resume();
}

#[tokio::test]
async fn on_a_full_redis_those_who_come_later_are_another_flight() {
    let redis = RedisServer::start();
    redis.config_set("maxmemory-policy", "noeviction");
    redis.config_set("maxmemory", "1");
    let http = on(&redis);
    let (app, mut calls) = app(&http);
    let first = send(&app, get("/a"));
    let old = calls.next().await;
    the_time_passes().await;
    let second = send(&app, get("/a"));
    let new = calls.next().await;
    // They are one flight among themselves.
    let others: Vec<_> = (0..20).map(|_| send(&app, get("/a"))).collect();
    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    new.answer(fresh(body::full("new")));
    for going in others.into_iter().chain([second]) {
        assert_eq!(whole(head(going).await).await.expect("whole"), "new");
    }
    old.answer(fresh(body::full("old")));
    assert_eq!(whole(head(first).await).await.expect("whole"), "old");
    assert_eq!(calls.count(), 2);
    at_rest(&http).await;
}

/// With all well, a herd is one call however slow the origin is; also the first of all, which
/// finds no generations.
#[tokio::test]
async fn where_redis_answers_those_who_come_later_wait_for_the_same() {
    let redis = RedisServer::start();
    let http = on(&redis);
    let (app, mut calls) = app(&http);
    for (round, path) in ["/a", "/b"].into_iter().enumerate() {
        let first = send(&app, get(path));
        let call = calls.next().await;
        the_time_passes().await;
        let others: Vec<_> = (0..20).map(|_| send(&app, get(path))).collect();
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        call.answer(fresh(body::full("once")));
        for going in others.into_iter().chain([first]) {
            assert_eq!(whole(head(going).await).await.expect("whole"), "once");
        }
        assert_eq!(calls.count(), round + 1);
        at_rest(&http).await;
    }
}

/// Pinned: a process that is told of no changes does not ask for tags when it looks for a response:
/// who came while a tagged one arrived was given it, whatever had been invalidated elsewhere.
#[tokio::test]
async fn a_tagged_response_that_arrives_slowly_is_not_for_those_who_come_after_its_invalidation() {
    let redis = RedisServer::start();
    for l1 in [false, true] {
        let one = || {
            let options = RedisOptions::url(&redis.url()).expect("valid");
            let cache = Cache::builder().prefix(format!("l1-{l1}")).redis(options);
            http(&cache.l1(l1).coherence(false).operation_budget(LIMIT).build().expect("valid"))
        };
        a_slow_one_is_not_for_those_who_come_after_its_invalidation(&one(), &one()).await;
    }
}

/// Pinned: so was who came to one that wants to be told, but is refused; that was no exception.
#[tokio::test]
async fn nor_where_redis_refuses_to_tell_of_changes() {
    let redis = RedisServer::start();
    let user = ["ACL", "SETUSER", "limited", "on", ">pw", "~*", "+@all", "-client|tracking"];
    assert!(!redis.command(&user).is_error());
    let limited = RedisOptions::url(&redis.url()).expect("valid");
    let limited = limited.credentials(Some("limited"), Some("pw"));
    let cache = Cache::builder().redis(limited).operation_budget(LIMIT).build().expect("valid");
    let http = http(&cache);
    a_slow_one_is_not_for_those_who_come_after_its_invalidation(&http, &on(&redis)).await;
    assert_eq!(cache.health().await.coherence.mode, CoherenceMode::Ttl);
}

#[tokio::test]
async fn where_redis_tells_of_changes_a_tagged_response_is_for_all_who_come_while_it_arrives() {
    let redis = RedisServer::start();
    let http = on(&redis);
    let (app, mut calls) = app(&http);
    let first = send(&app, get("/a"));
    let (writer, arriving) = body::channel();
    let mut response = fresh(arriving);
    response.extensions_mut().insert(CacheTags::new(["t"]));
    calls.next().await.answer(response);
    let first = head(first).await;
    eventually_some(LIMIT, "it is proven", async || {
        http.cache().health().await.coherence.proven.then_some(())
    })
    .await;
    the_time_passes().await;
    let second = send(&app, get("/a"));
    tokio::spawn(async move { writer.send("once").await });
    for given in [first, head(second).await] {
        assert_eq!(whole(given).await.expect("whole"), "once");
    }
    assert_eq!(calls.count(), 1);
    at_rest(&http).await;
}

async fn a_slow_one_is_not_for_those_who_come_after_its_invalidation(
    http: &HttpCache,
    other: &HttpCache,
) {
    let (app, mut calls) = app(http);
    let first = send(&app, get("/a"));
    let (writer, arriving) = body::channel();
    let mut response = fresh(arriving);
    response.extensions_mut().insert(CacheTags::new(["t"]));
    calls.next().await.answer(response);
    let first = head(first).await;
    assert!(other.cache().invalidate(Tag::new("t")).await.expect("done").is_complete());
    the_time_passes().await;
    let second = send(&app, get("/a"));
    calls.next().await.answer(fresh(body::full("new")));
    assert_eq!(whole(head(second).await).await.expect("whole"), "new");
    tokio::spawn(async move { writer.send("old").await });
    assert_eq!(whole(first).await.expect("whole"), "old");
    at_rest(http).await;
}
