//! Somebody of a workspace sees and ends what is of it, and learns nothing of the others.

use cache_core::Cache;

use super::rig::{OPERATOR, REPORTS, WS1, WS2, json, rig};
use crate::setup::{memory_cache, unique_prefix};

#[tokio::test]
async fn figures_are_their_own() {
    let rig = rig(memory_cache()).await;
    for workspace in ["ws1", "ws1", "ws2"] {
        rig.visit("/campaigns/1", workspace).await;
    }
    let response = rig.get("/stats", WS1).await;
    assert!(!response.text().contains("ws2") && !response.text().contains("api_responses"));
    let stats = json(&response);
    assert_eq!(stats["viewer"], serde_json::json!({"role": "workspace", "workspace": "ws1"}));
    assert_eq!(
        (&stats["total"]["hits"], &stats["workspaces"]["ws1"]["hits"]),
        (&1.into(), &1.into())
    );
    for hidden in ["http", "invalidations", "operations", "memory", "store", "other_workspaces"] {
        assert!(stats[hidden].is_null(), "{hidden}");
    }
    let own = json(&rig.get("/workspace/ws1/stats", WS1).await);
    assert_eq!((&own["workspace"], &own["figures"]["hits"]), (&"ws1".into(), &1.into()));
    let all = json(&rig.get("/workspace/ws2/stats", OPERATOR).await);
    assert_eq!(all["figures"]["misses"], 1);
    let none = json(&rig.get("/workspace/unknown/stats", OPERATOR).await);
    assert_eq!(none["figures"]["misses"], 0);
}

#[tokio::test]
async fn others_look_the_same_whether_they_are_there_or_not() {
    let rig = rig(memory_cache()).await;
    rig.visit("/campaigns/1", "ws2").await;
    let there = rig.get("/workspace/ws2/stats", WS1).await;
    assert_eq!(there.status, 404);
    for path in [
        "/workspace/ws3/stats",
        "/workspace/ws1%00/stats",
        "/workspace/ws1%20/stats",
        "/workspace/WS1/stats",
        "/workspace/-/stats",
        "/workspace/%FF/stats",
        "/workspace/ws1%2F..%2Fws2/stats",
        "/nothing/at/all",
    ] {
        let response = rig.get(path, WS1).await;
        assert_eq!((response.status, response.body), (404, there.body.clone()), "{path}");
    }
}

#[tokio::test]
async fn they_end_their_own_and_nothing_of_others() {
    let cache = Cache::builder().prefix(unique_prefix()).namespace(REPORTS).memory();
    let rig = rig(cache.build().unwrap()).await;
    let fill = async || {
        for workspace in ["ws1", "ws2"] {
            rig.visit("/campaigns/1", workspace).await;
            rig.cache.set("reports", format!("{workspace}:1"), "value").await.unwrap();
        }
        rig.cache.set("users", "ws1:1", "value").await.unwrap();
    };
    let is_there = async |key: &str| rig.cache.exists("reports", key).await.unwrap();
    fill().await;
    for refused in [
        r#"{"patterns":["*"]}"#,
        r#"{"patterns":["ws2:*"]}"#,
        r#"{"patterns":["ws1:*","ws2:*"]}"#,
        r#"{"patterns":["ws*"]}"#,
        r#"{"patterns":["?s2:*"]}"#,
        r#"{"patterns":["ws1:*"],"namespace":"users"}"#,
        r#"{"keys":["ws1:1"],"namespace":"users"}"#,
        r#"{"keys":["ws2:1"],"namespace":"reports"}"#,
        r#"{"workspace":"ws2"}"#,
        r#"{"namespace":"reports"}"#,
        r#"{"tags":["own"],"tags_in":"ws2"}"#,
        r#"{"workspace":"ws1","patterns":["ws2:*"]}"#,
        // And not one by one, to count what others have.
        r#"{"patterns":["ws2:*"],"dry_run":true}"#,
        r#"{"namespace":"users","dry_run":true}"#,
    ] {
        let response = rig.post("/invalidate", WS1, refused).await;
        assert_eq!(response.status, 403, "{refused}: {}", response.text());
    }
    for path in [
        "/clear?all=true",
        "/clear?namespace=reports",
        "/clear?namespace=unknown",
        "/version/bump?namespace=reports",
        "/version/bump?namespace=unknown",
    ] {
        assert_eq!(rig.post(path, WS1, "").await.status, 403, "{path}");
    }
    assert!(is_there("ws1:1").await && is_there("ws2:1").await);
    assert!(rig.cache.exists("users", "ws1:1").await.unwrap());

    for (allowed, reports_too) in [
        (r#"{"patterns":["ws1:campaigns:*"]}"#, false),
        (r#"{"tags":["own"]}"#, false),
        (r#"{"workspace":"ws1"}"#, true),
        (r#"{"patterns":["ws1:*"],"namespace":"reports"}"#, true),
        (r#"{"keys":["ws1:1"],"namespace":"reports"}"#, true),
    ] {
        fill().await;
        let response = rig.post("/invalidate", WS1, allowed).await;
        assert_eq!(response.status, 200, "{allowed}: {}", response.text());
        assert_eq!(is_there("ws1:1").await, !reports_too, "{allowed}");
        assert!(
            is_there("ws2:1").await
                && rig.visit("/campaigns/1", "ws2").await.cache_status().contains("hit")
        );
        if !allowed.contains("reports") {
            let again = rig.visit("/campaigns/1", "ws1").await.cache_status();
            assert!(again.contains("uri-miss"), "{allowed}: {again}");
        }
    }
    // A global tag of the same text is none of theirs.
    fill().await;
    rig.post("/invalidate", WS1, r#"{"tags":["campaigns"]}"#).await;
    assert!(rig.visit("/campaigns/1", "ws1").await.cache_status().contains("hit"));
}

#[tokio::test]
async fn top_keys_are_their_own() {
    let rig = rig(memory_cache()).await;
    for workspace in ["ws1", "ws2"] {
        for _ in 0..1_500 {
            rig.visit("/campaigns/1", workspace).await;
        }
    }
    let own = rig.get("/keys/top", WS2).await;
    assert!(!own.text().contains("ws1"));
    let keys = json(&own)["keys"].clone();
    assert_eq!((keys.as_array().unwrap().len(), &keys[0]["workspace"]), (1, &"ws2".into()));
    let sampled = json(&own)["sampled"].as_u64().unwrap();
    let all = json(&rig.get("/keys/top", OPERATOR).await);
    assert!(sampled < all["sampled"].as_u64().unwrap(), "how much others read is not told");
    assert_eq!(all["keys"].as_array().unwrap().len(), 2);
}
