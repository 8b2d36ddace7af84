//! What invalidation costs: memory for generations, stalls of other clients, and what Redis tells
//! each instance about every write.
//!
//! ```text
//! cargo bench -p cache-core --bench invalidation               # 1,000,000 entries; 3 GB, minutes
//! cargo bench -p cache-core --bench invalidation -- 100000     # as many as that
//! cargo bench -p cache-core --bench invalidation -- 100000 stalls    # `memory`, `stalls` or `listeners` only
//! ```
//!
//! Each part has a `redis-server` of its own. Nothing is asserted but that the cache did what was
//! asked of it; what was found is in `INVALIDATION.md`.
#![allow(clippy::print_stdout, reason = "the report is what it is for")]
#![allow(clippy::cast_precision_loss, reason = "all that is counted is far below 2^52")]

mod entries;
mod listeners;
mod memory;
mod prober;
mod server;
mod stalls;

use tokio::runtime::Builder;

/// The middle one of this many runs is reported, where noise matters.
const RUNS: usize = 3;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // Without the word, as `cargo test --benches` runs it: only to see that it works.
    let measures = arguments.iter().any(|argument| argument == "--bench");
    let chosen = arguments.iter().find_map(|argument| argument.parse().ok());
    let count = chosen.unwrap_or(if measures { 1_000_000 } else { 2_000 });
    let parts = ["memory", "stalls", "listeners"];
    let all = !arguments.iter().any(|argument| parts.contains(&argument.as_str()));
    let wanted = |part: &str| all || arguments.iter().any(|argument| argument == part);

    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!("{count} entries; load before: {}", load.trim());
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        if wanted("memory") {
            memory::report(count).await;
        }
        if wanted("stalls") {
            stalls::report(count).await;
        }
        if wanted("listeners") {
            listeners::report(count.min(100_000)).await;
        }
    });
}

/// The middle one.
fn median(mut of: Vec<f64>) -> f64 {
    of.sort_unstable_by(f64::total_cmp);
    of[of.len() / 2]
}
