//! Several instances on one Redis, and Redis going away under them.

use std::net::SocketAddr;

use cache_tests::wait::eventually_some;
use cache_tests::{RedisServer, http_client};

use crate::setup::{HIT, MISS_STORED, PATIENCE, get, quickstart, send, until_kept, within_budget};

/// Both instances are reached under one name, as behind a load balancer.
const WS1: [(&str, &str); 2] = [("host", "app.test"), ("x-workspace-id", "ws1")];
const STATS: &str = "/campaigns/42/stats";

/// The statistics as soon as this instance answers from the cache.
async fn cached_stats(addr: SocketAddr) -> String {
    let found = async || {
        let (text, status) = get(addr, STATS, &WS1).await;
        (status == HIT).then_some(text)
    };
    eventually_some(PATIENCE, "a hit", found).await
}

#[tokio::test]
async fn instances_share_entries_and_invalidations() {
    within_budget(entries_and_invalidations_are_shared).await;
}

async fn entries_and_invalidations_are_shared() {
    let redis = RedisServer::start();
    let one = quickstart().env("REDIS_URL", redis.url()).start();
    let other = quickstart().env("REDIS_URL", redis.url()).start();
    assert!(one.output().contains(&"cached in: redis".to_owned()), "{:?}", one.output());
    let stats = |turn: usize| format!("/campaigns/{}/stats", turn + 1);
    let glob =
        |turn| format!("quickstart:api_responses:v1:ws1{}:~*", stats(turn).replace('/', ":"));
    let ask = async |turn| {
        assert_eq!(get(one.addr(), &stats(turn), &WS1).await.1, MISS_STORED);
    };
    let path = stats(until_kept(&redis, glob, ask).await);
    let (text, _) = get(one.addr(), &path, &WS1).await;
    // the other one never computes it
    let shared = async || (get(other.addr(), &path, &WS1).await.0 == text).then_some(());
    eventually_some(PATIENCE, "the same statistics at both", shared).await;

    let headers = [WS1[0], WS1[1], ("content-type", "application/json")];
    let changed = send(other.addr(), "POST", "/campaigns/42", &headers, br#"{"budget": 5}"#).await;
    assert_eq!(changed.status, 200);
    let fresh = get(other.addr(), &path, &WS1).await;
    assert_ne!(fresh.0, text, "where it was changed, at once");
    // elsewhere once Redis has told it
    let agreed = async || (get(one.addr(), &path, &WS1).await.0 != text).then_some(());
    eventually_some(PATIENCE, "the other instance learns of it", agreed).await;
}

#[tokio::test]
async fn nobody_notices_that_redis_dies() {
    let redis = RedisServer::start();
    let service = quickstart().env("REDIS_URL", redis.url()).start();
    let addr = service.addr();
    cached_stats(addr).await;
    redis.kill();
    for number in 0..30 {
        let path = format!("/campaigns/{}", 1 + number);
        let response = http_client::get(addr, &path, &WS1).await;
        assert_eq!(response.status, 200, "{path}");
    }
    // an update counts here, Redis or not
    let headers = [WS1[0], WS1[1], ("content-type", "application/json")];
    for budget in 1..=5 {
        let body = format!("{{\"budget\": {budget}}}");
        let changed = send(addr, "POST", "/campaigns/42", &headers, body.as_bytes()).await;
        assert_eq!(changed.status, 200);
        let (text, _) = get(addr, "/campaigns/42", &WS1).await;
        assert!(text.contains(&format!("\"budget\":{budget},")), "{text}");
    }
    redis.restart();
    let glob = |turn| format!("quickstart:api_responses:v1:ws1:campaigns:{}:~*", 100 + turn);
    let ask = async |turn| {
        get(addr, &format!("/campaigns/{}", 100 + turn), &WS1).await;
    };
    until_kept(&redis, glob, ask).await;
    cached_stats(addr).await;
}

#[tokio::test]
async fn it_starts_with_redis_down() {
    let redis = RedisServer::start();
    redis.kill();
    let service = quickstart().env("REDIS_URL", redis.url()).start();
    cached_stats(service.addr()).await;
}
