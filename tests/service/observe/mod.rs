//! What is seen of a cache: metrics, decisions as they are made, traces; and what handlers extract.

mod decisions;
mod extract;
mod metrics;
mod response_parts;
mod spans;

use std::time::Duration;

use cache_core::Cache;

/// Of one workspace.
const WS1: [(&str, &str); 1] = [("x-workspace-id", "ws1")];
/// Of another.
const WS2: [(&str, &str); 1] = [("x-workspace-id", "ws2")];

/// When writes to the store, which go on when clients have their answers, are done.
async fn drained(cache: &Cache) {
    let is_idle = || cache.background().running() == 0;
    cache_tests::eventually(Duration::from_secs(20), "the background is idle", is_idle).await;
}

fn breaker_is_open(cache: &Cache) -> bool {
    cache.gauges().breaker == Some(cache_core::BreakerState::Open)
}
