//! Redis behind real Sentinels, and behind one that is wrong.

mod fake;
mod finding;
mod moving;

use cache_core::{Builder, Cache, RedisOptions, SentinelOptions, seconds};
use cache_tests::SentinelSet;

fn sentinels(set: &SentinelSet) -> SentinelOptions {
    SentinelOptions::new(set.master(), set.hosts()).unwrap()
}

/// A cache behind these Sentinels, with a generous budget.
fn behind(sentinels: SentinelOptions) -> Builder {
    let options = RedisOptions::sentinel(sentinels).unwrap();
    Cache::builder().prefix("coldcopy").redis(options).operation_budget(seconds(10))
}

/// Whether the server at a port holds the key of the namespace `users`.
fn holds(set: &SentinelSet, port: u16, key: &str) -> bool {
    set.command(port, &["EXISTS", &format!("coldcopy:users:v1:{key}")]).int() == Some(1)
}
