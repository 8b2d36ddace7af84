//! `GET /entry`: what is known of one.

use std::time::Duration;

use cache_axum::admin::Admin;
use cache_core::{Cache, Compression, Keyring, Namespace, RedisOptions, Scope, Tag, minutes};
use cache_tests::{RedisServer, eventually};

use super::rig::{OPERATOR, REPORTS, WS1, WS2, encoded, json, rig, rig_with};
use crate::setup::{memory_cache, redis_cache, shared_redis, unique_prefix};

fn entry(key: &str) -> String {
    format!("/entry?key={}", encoded(key))
}

#[tokio::test]
async fn of_a_response_all_is_told_but_its_body() {
    for (cache, in_redis) in [(memory_cache(), false), (redis_cache(), true)] {
        let background = cache.background().clone();
        let rig = rig(cache).await;
        rig.visit("/campaigns/7", "ws1").await;
        eventually(Duration::from_secs(20), "it is written", || background.running() == 0).await;
        let key = rig.key_of("/campaigns/7", "ws1").await;
        let found = rig.get(&entry(&key), OPERATOR).await;
        assert_eq!(found.status, 200, "{key}: {}", found.text());
        let found = json(&found);
        assert_eq!((&found["key"], &found["namespace"]), (&key.into(), &"api_responses".into()));
        assert_eq!(found["workspace"], "ws1");
        assert_eq!((&found["fresh"], &found["valid"]), (&true.into(), &true.into()));
        let fresh_for =
            found["fresh_until"].as_u64().unwrap() - found["created_at"].as_u64().unwrap();
        assert_eq!(fresh_for, 5 * 60 * 1000);
        assert_eq!(found["in_memory"], true);
        assert_eq!(found["in_store"], if in_redis { true.into() } else { serde_json::Value::Null });
        let tags = [
            serde_json::json!({"text": "campaigns", "workspace": null, "family": null}),
            serde_json::json!({"text": "own", "workspace": "ws1", "family": null}),
        ];
        assert_eq!(found["tags"].as_array().unwrap(), &tags);
        assert!(found["size_bytes"].as_u64() > Some(10) && found["body"].is_null());
        // Looking is no read.
        assert_eq!(rig.http.stats().hits, 0);
    }
}

#[tokio::test]
async fn what_was_invalidated_is_told_as_that() {
    for cache in [memory_cache(), redis_cache()] {
        let rig = rig(cache).await;
        let set = rig.cache.set("users", "1", "Ada").ttl(minutes(5)).tag("team:7");
        set.await.unwrap();
        let prefix = prefix_of(&rig.cache).await;
        let path = entry(&format!("{prefix}:users:v1:1"));
        assert_eq!(json(&rig.get(&path, OPERATOR).await)["valid"], true);
        rig.cache.invalidate(Tag::new("team:7")).soft().await.unwrap();
        let soft = json(&rig.get(&path, OPERATOR).await);
        assert_eq!(soft["fresh"], false, "{soft}");
        rig.cache.invalidate(Scope::namespace("users")).await.unwrap();
        let gone = rig.get(&path, OPERATOR).await;
        assert!(gone.status == 404 || json(&gone)["valid"] == false, "{}", gone.text());
        assert_eq!(rig.cache.get::<String>("users", "1").await.unwrap(), None);
    }
}

/// That of this test's cache: keys are told with it.
async fn prefix_of(cache: &Cache) -> String {
    let mut events = cache.events();
    cache.delete("users", "none").await.unwrap();
    let Some(cache_core::Event::Invalidated { scopes, .. }) = events.next().await else { panic!() };
    scopes[0].text.split(':').next().unwrap().to_owned()
}

#[tokio::test]
async fn bodies_are_shown_where_that_is_allowed() {
    let rig = rig_with(memory_cache(), Admin::allow_bodies).await;
    rig.cache.set("users", "1", &serde_json::json!({"name": "Ada"})).await.unwrap();
    let prefix = prefix_of(&rig.cache).await;
    let body =
        json(&rig.get(&entry(&format!("{prefix}:users:v1:1")), OPERATOR).await)["body"].clone();
    assert_eq!((&body["encoding"], &body["truncated"]), (&"json".into(), &false.into()));
    let value: serde_json::Value = serde_json::from_str(body["text"].as_str().unwrap()).unwrap();
    assert_eq!(value["name"], "Ada");

    rig.visit("/campaigns/1", "ws1").await;
    let found = rig.get(&entry(&rig.key_of("/campaigns/1", "ws1").await), OPERATOR).await;
    let found = json(&found);
    assert_eq!(
        (&found["response"]["status"], &found["body"]["text"]),
        (&200.into(), &"campaign 1".into())
    );
    assert_eq!(found["body"]["encoding"], "utf8");
    let headers = found["response"]["headers"].as_array().unwrap();
    assert!(headers.iter().any(|field| field["name"] == "content-type"), "{headers:?}");

    let long = "ä".repeat(100_000);
    rig.cache.set("users", "2", &long).await.unwrap();
    let body =
        json(&rig.get(&entry(&format!("{prefix}:users:v1:2")), OPERATOR).await)["body"].clone();
    assert_eq!(body["truncated"], true);
    assert!(body["text"].as_str().unwrap().len() <= 64 * 1024);
}

#[tokio::test]
async fn of_sensitive_namespaces_no_body_is_shown_and_what_is_packed_is_told() {
    const SECRETS: Namespace = Namespace::new("secrets").sensitive();
    const PACKED: Namespace = Namespace::new("packed").compression(Compression::Zstd);
    let prefix = unique_prefix();
    let cache = Cache::builder()
        .prefix(&prefix)
        .namespace(SECRETS)
        .namespace(PACKED)
        .keyring(Keyring::new(1, [7; 32]))
        .redis(RedisOptions::url(&shared_redis().url()).unwrap())
        .operation_budget(cache_core::seconds(10))
        .build()
        .unwrap();
    let rig = rig_with(cache, Admin::allow_bodies).await;
    rig.cache.set("secrets", "1", "the secret text").await.unwrap();
    rig.cache.set("packed", "1", &"text ".repeat(1_000)).await.unwrap();

    let response = rig.get(&entry(&format!("{prefix}:secrets:v1:1")), OPERATOR).await;
    assert!(!response.text().contains("the secret text"));
    let secret = json(&response);
    assert_eq!((&secret["sensitive"], &secret["encrypted"]), (&true.into(), &true.into()));
    assert!(secret["body"].is_null());

    let packed = json(&rig.get(&entry(&format!("{prefix}:packed:v1:1")), OPERATOR).await);
    assert_eq!((&packed["compressed"], &packed["encrypted"]), (&true.into(), &false.into()));
    assert!(packed["size_bytes"].as_u64() < Some(1_000));
    assert!(packed["body"]["text"].as_str().unwrap().contains("text text"));
}

#[tokio::test]
async fn what_is_not_there_or_not_theirs_looks_the_same() {
    let prefix = unique_prefix();
    let cache = Cache::builder().prefix(&prefix).namespace(REPORTS).memory().build().unwrap();
    let rig = rig_with(cache, Admin::allow_bodies).await;
    rig.cache.set("reports", "ws1:1", "of ws1").await.unwrap();
    rig.cache.set("users", "ws1:1", "of nobody").await.unwrap();
    rig.visit("/campaigns/7", "ws2").await;
    let others = rig.key_of("/campaigns/7", "ws2").await;

    let own = format!("{prefix}:reports:v1:ws1:1");
    assert_eq!(json(&rig.get(&entry(&own), WS1).await)["workspace"], "ws1");
    assert_eq!(rig.get(&entry(&others), WS2).await.status, 200);
    let nothing = rig.get(&entry(&format!("{prefix}:reports:v1:ws1:none")), WS1).await;
    assert_eq!(nothing.status, 404);
    for (key, token) in [
        (&own, WS2),
        (&others, WS1),
        // Begins like theirs, and is not.
        (&format!("{prefix}:users:v1:ws1:1"), WS1),
        (&format!("{prefix}:reports:v1:ws2:none"), WS1),
        (&format!("{prefix}:nowhere:v1:ws1:1"), WS1),
        (&format!("{prefix}:gen:w:ws1"), WS1),
        (&format!("{prefix}:gen:p"), OPERATOR),
        (&format!("{prefix}:reports:v2:ws1:1"), OPERATOR),
        (&"other:reports:v1:ws1:1".to_owned(), OPERATOR),
    ] {
        let response = rig.get(&entry(key), token).await;
        assert_eq!((response.status, response.body), (404, nothing.body.clone()), "{key}");
    }
}

#[tokio::test]
async fn what_is_in_memory_is_told_while_the_store_is_away() {
    let redis = RedisServer::start();
    let prefix = unique_prefix();
    let cache = Cache::builder()
        .prefix(&prefix)
        .redis(RedisOptions::url(&redis.url()).unwrap())
        .build()
        .unwrap();
    let rig = rig(cache).await;
    rig.cache.set("users", "1", "Ada").await.unwrap();
    redis.kill();
    let found = json(&rig.get(&entry(&format!("{prefix}:users:v1:1")), OPERATOR).await);
    assert_eq!((&found["in_memory"], &found["in_store"]), (&true.into(), &serde_json::Value::Null));
    let other = rig.get(&entry(&format!("{prefix}:users:v1:2")), OPERATOR).await;
    assert_eq!((other.status, &json(&other)["status"]), (503, &503.into()));
}
