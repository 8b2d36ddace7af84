//! Envelopes that were changed after they were written: bits flipped, cut, spliced, with lengths
//! that are not true, with bombs in them, and with the checksum made right again, so that what lies
//! behind it is reached. Whatever is done to them, a read gives the value that was written or
//! nothing, does not panic, and takes no more memory than the namespace's limit allows.
//!
//! A checksum is no signature: who makes it right again after changing the payload of an entry that
//! is not encrypted has forged a value, and is believed. That is counted apart, and never happens to
//! encrypted entries.

mod mutation;
mod report;
mod world;

use std::io::Write;
use std::thread;

use report::Counts;
use world::World;

/// So many, shared by this many threads, each with a world of its own.
fn run(count: u64, seed: u64, threads: u64) -> Counts {
    let each = count.div_ceil(threads);
    let workers: Vec<_> = (0..threads)
        .map(|n| thread::spawn(move || World::new(seed.wrapping_add(n)).run(each)))
        .collect();
    workers.into_iter().fold(Counts::default(), |sum, worker| {
        sum.plus(&worker.join().unwrap_or_else(|_| panic!("a read panicked: seed {seed}")))
    })
}

#[test]
fn fifty_thousand_changes_give_no_wrong_value() {
    let counts = run(50_000, 7, 2);
    counts.check();
    // That all of it was tried.
    assert!(counts.kinds().all(|kind| kind.misses > 1_000 && kind.same > 10), "{counts:?}");
    let forged = counts.kinds().map(|kind| kind.forged).sum::<u64>();
    assert!(forged > 100, "what lies behind the checksum is reached: {counts:?}");
}

/// A variable that the command sets.
fn setting(name: &str) -> Option<String> {
    std::env::var(format!("MUTATE_ENVELOPES_{name}")).ok().filter(|value| !value.is_empty())
}

/// The most memory that this process had, where the system tells.
fn resident() -> Option<String> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().to_owned())
}

#[test]
#[ignore = "takes minutes: ./tests/mutate-envelopes"]
fn long() {
    let Some(count) = setting("COUNT") else { return };
    let count: u64 = count.parse().expect("a number of changes");
    let seed = setting("SEED").map_or_else(
        || fastrand::u64(..1_000_000),
        |text| text.parse().expect("a seed is a number"),
    );
    let threads = thread::available_parallelism().map_or(1, |n| n.get() as u64);
    let _ = writeln!(std::io::stdout(), "seed {seed}, {threads} threads");
    let counts = run(count, seed, threads);
    let command = format!("./tests/mutate-envelopes --count {count} --seed {seed}");
    let page = counts.page(&command, resident().as_deref());
    if let Some(path) = setting("REPORT") {
        std::fs::write(path, &page).expect("the report can be written");
    }
    let _ = write!(std::io::stdout(), "{page}");
    counts.check();
}
