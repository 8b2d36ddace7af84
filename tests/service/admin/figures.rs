//! `GET /stats`, `/workspace/{id}/stats`, `/routes`: what they tell agrees with what was done.

use axum::Router;
use axum::routing::get;
use cache_core::{Cache, RedisOptions, minutes, seconds};
use cache_tests::{RedisServer, http_client};
use cache_tower::{CacheLayer, HttpCache};
use serde_json::json as value;

use super::rig::{OPERATOR, WS1, bearer, json, rig, tokens};
use crate::setup::{memory_cache, redis_cache, serve, unique_prefix};

#[tokio::test]
async fn what_was_done_is_what_is_told() {
    for (cache, in_redis) in [(memory_cache(), false), (redis_cache(), true)] {
        let rig = rig(cache).await;
        for _ in 0..3 {
            assert_eq!(rig.visit("/campaigns/1", "ws1").await.status, 200);
        }
        rig.visit("/campaigns/1", "ws2").await;
        rig.cache.set("users", "1", "Ada").await.unwrap();
        let _: Option<String> = rig.cache.get("users", "2").await.unwrap();
        rig.cache.invalidate(cache_core::Tag::new("t")).await.unwrap();

        let response = rig.get("/stats", OPERATOR).await;
        assert_eq!(response.header("content-type"), Some("application/json"));
        let stats = json(&response);
        assert_eq!(stats["viewer"]["role"], "operator");
        let http = &stats["http"];
        assert_eq!((&http["hits"], &http["misses"]), (&2.into(), &2.into()));
        assert_eq!((&http["hit_ratio"], &http["bypasses"]), (&0.5.into(), &0.into()));
        let users = &stats["namespaces"]["users"];
        assert_eq!(
            (&users["hits"], &users["misses"], &users["sets"]),
            (&0.into(), &1.into(), &1.into())
        );
        assert_eq!(users["hit_ratio"], 0.0);
        assert_eq!(stats["total"]["misses"], 3);
        assert_eq!(stats["workspaces"]["ws1"]["hits"], 2);
        assert_eq!(stats["workspaces"]["ws2"]["misses"], 1);
        assert_eq!(stats["invalidations"]["complete"], 1);
        let invalidations = &stats["operations"]["invalidate"];
        assert_eq!(
            invalidations["times"]
                .as_array()
                .unwrap()
                .iter()
                .map(|b| b["count"].as_u64().unwrap())
                .sum::<u64>(),
            1
        );
        let memory = &stats["memory"];
        assert!(memory["entries"].as_u64() >= Some(2) && memory["bytes"].as_u64() > Some(100));
        assert!(memory["capacity_bytes"].as_u64() > memory["bytes"].as_u64());
        if in_redis {
            let store = &stats["store"];
            assert_eq!((&store["name"], &store["breaker"]), (&"redis".into(), &"closed".into()));
            assert!(store["pool"]["connections"].as_u64() >= Some(1), "{store}");
            let server = &store["server"];
            assert!(server["used_memory_bytes"].as_u64() > Some(100_000), "{server}");
            assert!(server["keys"].as_u64() >= Some(3), "{server}");
            assert_eq!(
                (&server["evicted_keys"], &server["max_memory_bytes"]),
                (&0.into(), &serde_json::Value::Null)
            );
        } else {
            assert!(stats["store"].is_null());
        }
    }
}

#[tokio::test]
async fn one_namespace_can_be_asked_for() {
    let rig = rig(memory_cache()).await;
    rig.cache.set("users", "1", "Ada").await.unwrap();
    rig.cache.set("other", "1", "Bob").await.unwrap();
    let stats = json(&rig.get("/stats?namespace=users", OPERATOR).await);
    let namespaces = stats["namespaces"].as_object().unwrap();
    assert!(namespaces.keys().eq(["users"]) && stats["total"]["sets"] == 1);
    assert_eq!(rig.get("/stats?namespace=nothing", OPERATOR).await.status, 404);
    assert_eq!(rig.get("/stats?namespace=", OPERATOR).await.status, 404);
    assert_eq!(rig.get("/stats?namespace=users", WS1).await.status, 403);
    assert_eq!(rig.get("/stats?namespace=nothing", WS1).await.status, 403, "the same");
    assert_eq!(rig.get("/stats?name=users", OPERATOR).await.status, 400, "a typo is told");
    assert!(!rig.cache.stats().namespaces.contains_key("nothing"), "asking makes none");
}

/// Pinned before it could happen: a page that polls would send `INFO` as often as it likes.
#[tokio::test]
async fn the_server_is_asked_every_few_seconds_at_most() {
    let redis = RedisServer::start();
    let rig = rig(own_redis(&redis, "")).await;
    rig.cache.set("users", "1", "Ada").await.unwrap();
    let before = redis.calls("dbsize");
    for _ in 0..20 {
        let stats = json(&rig.get("/stats", OPERATOR).await);
        assert!(stats["store"]["server"]["keys"].is_u64());
    }
    let asked = redis.calls("dbsize") - before;
    assert!((1..=3).contains(&asked), "{asked} times for 20 requests at once");
}

#[tokio::test]
async fn where_info_is_refused_the_rest_is_told() {
    let redis = RedisServer::start();
    redis.command(&["ACL", "SETUSER", "app", "on", ">secret", "~*", "&*", "+@all", "-@dangerous"]);
    let rig = rig(own_redis(&redis, "app:secret@")).await;
    rig.cache.set("users", "1", "Ada").await.unwrap();
    let response = rig.get("/stats", OPERATOR).await;
    let stats = json(&response);
    assert_eq!(stats["namespaces"]["users"]["sets"], 1);
    let server = &stats["store"]["server"];
    assert!(server.is_null() || server["used_memory_bytes"].is_null(), "{server}");
    assert!(!response.text().contains("secret"));
}

#[tokio::test]
async fn while_the_store_is_away_the_own_figures_are_told_at_once() {
    let redis = RedisServer::start();
    let rig = rig(own_redis(&redis, "")).await;
    rig.cache.set("users", "1", "Ada").await.unwrap();
    for stop in [RedisServer::stop, RedisServer::kill] {
        stop(&redis);
        for _ in 0..6 {
            let response = rig.get("/stats", OPERATOR).await;
            assert_eq!(response.status, 200);
            assert_eq!(json(&response)["namespaces"]["users"]["sets"], 1);
        }
        let _: Option<String> = rig.cache.get("users", "2").await.unwrap();
    }
    let server = json(&rig.get("/stats", OPERATOR).await)["store"].clone();
    assert_eq!(server["name"], "redis");
}

#[tokio::test]
async fn rules_that_no_request_has_met_are_seen() {
    let http = HttpCache::builder(memory_cache())
        .route("/campaigns/{id}", minutes(5))
        .route("/campagins/{id}/stats", minutes(5))
        .never("/billing/{*rest}")
        .build();
    let admin = cache_axum::admin(&http).authorize(tokens()).build().unwrap();
    let app = Router::new()
        .route("/campaigns/{id}", get(async || "campaign"))
        .route("/campaigns/{id}/stats", get(async || "stats"))
        .nest("/api/cache", admin)
        .layer(CacheLayer::new(&http));
    let served = serve(app).await;
    for path in ["/campaigns/1", "/campaigns/2", "/campaigns/1/stats"] {
        assert_eq!(http_client::get(served.addr, path, &[]).await.status, 200);
    }
    let ask = async |token: &str| {
        let auth = bearer(token);
        let fields = [auth.split_once(": ").unwrap()];
        http_client::get(served.addr, "/api/cache/routes", &fields).await
    };
    let rules = json(&ask(OPERATOR).await)["rules"].clone();
    let rule = |route, never, matched| value!({"route": route, "never": never, "matched": matched});
    let expected = value!([
        rule("/campaigns/{id}", false, 2),
        rule("/campagins/{id}/stats", false, 0),
        rule("/billing/{*rest}", true, 0),
    ]);
    assert_eq!(rules, expected);
    assert_eq!(ask(WS1).await.status, 403);
}

/// A short budget: what waits for the store waits that long.
fn own_redis(redis: &RedisServer, user: &str) -> Cache {
    let url = redis.url().replace("redis://", &format!("redis://{user}"));
    Cache::builder()
        .prefix(unique_prefix())
        .redis(RedisOptions::url(&url).unwrap())
        .operation_budget(seconds(1))
        .build()
        .unwrap()
}
