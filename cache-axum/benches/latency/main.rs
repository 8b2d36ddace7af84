//! When the first byte comes, over sockets on loopback, client and server in one process: of a
//! miss, of herds on what is not stored and on what is stale, and of those who follow a leader.
//!
//! ```text
//! cargo bench -p cache-axum --bench latency
//! ```
//!
//! How often the origin is asked, and that nothing is held back, is asserted. Times are only
//! printed: compare within one run.
#![allow(clippy::print_stdout, reason = "the report is what it is for")]

mod client;
mod first_byte;
mod herds;
mod origin;

use std::time::Duration;

use cache_core::Clock;
use tokio::runtime::Builder;

use crate::origin::Server;

/// How many ask at once.
const HERD: usize = 100;

fn main() {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let clock = Clock::manual(1_700_000_000_000);
        let bare = Server::bare().await;
        let cached = Server::cached(&Clock::system()).await;
        first_byte::of_a_miss(&bare, &cached).await;
        herds::on_what_is_not_stored(&bare, &cached).await;
        herds::on_what_is_stale(&Server::cached(&clock).await, &clock).await;
        herds::behind_a_leader(&cached).await;
    });
}

/// The middle one, and the largest.
fn of(mut times: Vec<Duration>) -> String {
    times.sort_unstable();
    let (median, slowest) = (times[times.len() / 2], times[times.len() - 1]);
    format!("median {median:>9.1?}   slowest {slowest:>9.1?}")
}
