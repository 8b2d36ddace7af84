//! Invalidation is final: several processes read and write through their caches while things go
//! wrong around them, and no read is older than what was invalidated before it.
//!
//! The short form is in `short.rs`; the long one is `./tests/stale-reads`, see `long.rs`.

mod checker;
#[cfg(test)]
mod checker_tests;
mod crew;
mod history;
mod layout;
mod long;
mod nemesis;
mod place;
mod report;
mod run;
mod short;
mod worker;
