//! `GET /keys/top`: what is read most is first.

use super::rig::{OPERATOR, encoded, json, rig};
use crate::setup::{memory_cache, redis_cache};

#[tokio::test]
async fn what_is_read_most_is_first_and_can_be_looked_at() {
    for cache in [memory_cache(), redis_cache()] {
        let rig = rig(cache).await;
        assert!(json(&rig.get("/keys/top", OPERATOR).await)["keys"].as_array().unwrap().is_empty());
        for n in 0..50 {
            rig.cache.set("users", n.to_string(), "value").await.unwrap();
        }
        let read = async |n: usize| {
            rig.cache.get::<String>("users", n.to_string()).await.unwrap();
        };
        for n in 0..20_000 {
            // Half of all are of one key.
            read(if n % 2 == 0 { 7 } else { n % 50 }).await;
        }
        let top = json(&rig.get("/keys/top?limit=5&namespace=users", OPERATOR).await);
        let keys = top["keys"].as_array().unwrap();
        assert_eq!(keys.len(), 5);
        let first = &keys[0];
        assert!(first["key"].as_str().unwrap().ends_with(":users:v1:7"), "{first}");
        let hits = first["hits"].as_u64().unwrap();
        // 10,000 and a few, by a sample of some 160.
        assert!((5_000..16_000).contains(&hits), "{hits}");
        assert!(keys[1]["hits"].as_u64().unwrap() < hits / 4);
        let path = format!("/entry?key={}", encoded(first["key"].as_str().unwrap()));
        assert_eq!(json(&rig.get(&path, OPERATOR).await)["namespace"], "users");
        let none = json(&rig.get("/keys/top?namespace=reports", OPERATOR).await);
        assert!(none["keys"].as_array().unwrap().is_empty());
    }
}

#[tokio::test]
async fn limits_are_checked() {
    let rig = rig(memory_cache()).await;
    for limit in ["0", "101", "-1", "x", "", "99999999999999999999"] {
        let response = rig.get(&format!("/keys/top?limit={limit}"), OPERATOR).await;
        assert_eq!(response.status, 400, "{limit}");
    }
    assert_eq!(rig.get("/keys/top?limit=100", OPERATOR).await.status, 200);
}

#[tokio::test]
async fn nothing_is_watched_unless_the_admin_api_is_there() {
    let cache = memory_cache();
    cache.set("users", "1", "value").await.unwrap();
    for _ in 0..2_000 {
        cache.get::<String>("users", "1").await.unwrap();
    }
    assert!(cache.top_keys(10, None, None).keys.is_empty());
    let _rig = rig(cache.clone()).await;
    for _ in 0..2_000 {
        cache.get::<String>("users", "1").await.unwrap();
    }
    assert_eq!(cache.top_keys(10, None, None).keys.len(), 1);
}
