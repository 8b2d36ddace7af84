//! Random exchanges through the service: against an oracle written from the RFC alone, against
//! another implementation, and with bytes that nobody sends by accident.
//!
//! Every case has a seed, which a failure names. `RANDOM_SEED=7 RANDOM_CASES=1 cargo test -p
//! cache-tests --test tower random` repeats that case; more cases than usual are run the same way.

mod allowed;
mod bytes;
mod differential;
mod heads;
mod oracle;
mod rig;

use std::env;

fn setting(name: &str) -> Option<u64> {
    env::var(name).ok().map(|value| value.parse().expect("a number"))
}

/// The seeds of this run, and whether they are enough to count how often what came up.
fn seeds(usual: u64) -> (impl Iterator<Item = u64>, bool) {
    let first = setting("RANDOM_SEED").unwrap_or(9_111_000_000);
    let count = setting("RANDOM_CASES").unwrap_or(usual);
    (first..first + count, count >= usual)
}
