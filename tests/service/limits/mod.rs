//! Rate limits.

mod cached;
mod contract;
mod fields;
mod outage;
mod shared;
mod whom;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::routing::{MethodRouter, any};
use cache_core::{Cache, Clock};
use cache_tests::http_client;
use cache_tests::message::Response;

use crate::setup::unique_prefix;

/// A handler that counts its calls.
#[derive(Clone, Default)]
struct Calls(Arc<AtomicUsize>);

impl Calls {
    fn route(&self) -> MethodRouter {
        let calls = self.clone();
        any(async move || calls.next())
    }

    /// What is answered to the next call.
    fn next(&self) -> String {
        format!("call {}", self.0.fetch_add(1, Ordering::SeqCst) + 1)
    }

    fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

/// In this process' memory, by a clock that a test moves.
fn clocked() -> (Cache, Clock) {
    let clock = Clock::manual(1_700_000_000_000);
    let cache = Cache::builder().prefix(unique_prefix()).memory().clock(clock.clone());
    (cache.build().expect("valid"), clock)
}

async fn get(addr: SocketAddr, path: &str, headers: &[(&str, &str)]) -> Response {
    http_client::get(addr, path, headers).await
}

/// The statuses of the same request, again and again.
async fn statuses(
    addr: SocketAddr,
    path: &str,
    headers: &[(&str, &str)],
    count: usize,
) -> Vec<u16> {
    let mut statuses = Vec::new();
    for _ in 0..count {
        statuses.push(get(addr, path, headers).await.status);
    }
    statuses
}

const WS1: [(&str, &str); 1] = [("x-workspace-id", "ws1")];
const WS2: [(&str, &str); 1] = [("x-workspace-id", "ws2")];
