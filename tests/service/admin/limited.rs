//! How often somebody may ask, and how much they may send.

use super::rig::{OPERATOR, WS1, json, rig_with};
use crate::setup::memory_cache;

#[tokio::test]
async fn each_may_change_something_so_often() {
    let rig = rig_with(memory_cache(), |admin| admin.changes_per_minute(4)).await;
    let change = async |token| rig.post("/invalidate", token, r#"{"workspace":"ws1"}"#).await;
    assert_eq!(change(OPERATOR).await.status, 200);
    assert_eq!(change(OPERATOR).await.status, 200);
    let refused = change(OPERATOR).await;
    assert_eq!((refused.status, json(&refused)["status"].as_u64()), (429, Some(429)));
    let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=16).contains(&wait), "{wait}");
    assert_eq!(rig.post("/clear?all=true", OPERATOR, "").await.status, 429);
    assert_eq!(change(WS1).await.status, 200, "others are not held up");
    assert_eq!(rig.get("/stats", OPERATOR).await.status, 200, "nor are questions");
    // What is refused for another reason costs nothing.
    let cross_site = ["Content-Type: text/plain"];
    let auth = super::rig::bearer(WS1);
    for _ in 0..10 {
        let fields = [&[auth.as_str()], &cross_site[..]].concat();
        assert_eq!(rig.ask("POST", "/invalidate", &fields, b"").await.status, 415);
    }
    assert_eq!(change(WS1).await.status, 200);
}

#[tokio::test]
async fn each_may_ask_so_often() {
    let rig = rig_with(memory_cache(), |admin| admin.requests_per_second(1)).await;
    let mut refused = 0;
    for _ in 0..30 {
        refused += u32::from(rig.get("/health/live", OPERATOR).await.status == 429);
    }
    assert!(refused >= 5, "{refused}");
    assert_eq!(rig.get("/health/live", WS1).await.status, 200);
}

/// A request with a hundred patterns that nobody has declared went through all keys a hundred times,
/// counted as one change; and meanwhile nobody's fills were kept.
#[tokio::test]
async fn each_pattern_counts() {
    let rig = rig_with(memory_cache(), |admin| admin.changes_per_minute(20)).await;
    let body = |patterns: usize| {
        let patterns: Vec<_> = (0..patterns).map(|n| format!("ws1:{n}*")).collect();
        serde_json::json!({ "patterns": patterns }).to_string()
    };
    assert_eq!(rig.post("/invalidate", WS1, &body(8)).await.status, 200);
    let refused = rig.post("/invalidate", WS1, &body(8)).await;
    assert_eq!(refused.status, 429);
    assert!(refused.header("retry-after").is_some());
    assert_eq!(rig.post("/invalidate", OPERATOR, &body(9)).await.status, 200);
}
