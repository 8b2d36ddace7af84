//! Many who wait for an origin that fails again and again.

use crate::setup::{app, at_rest, get, http, memory, send, settle};

/// After a few leaders had failed, all who had waited fell upon the origin at once.
#[tokio::test]
async fn a_failing_origin_is_not_overrun() {
    let http = http(&memory());
    let (app, mut calls) = app(&http);
    let herd: Vec<_> = (0..500).map(|_| send(&app, get("/a"))).collect();
    settle().await;
    let mut most = 0;
    let mut waiting = std::collections::VecDeque::new();
    for answered in 0..500 {
        settle().await;
        while calls.count() > answered + waiting.len() {
            waiting.push_back(calls.next().await);
        }
        most = most.max(waiting.len());
        waiting.pop_front().expect("somebody is at the origin").fail();
    }
    for going in herd {
        assert!(going.await.expect("no panic").is_err());
    }
    assert!(most <= 64, "{most} at once");
    at_rest(&http).await;
}
