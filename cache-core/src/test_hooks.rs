//! For the tests of this crate's guarantees: what breaks one of them, to see that they notice, and
//! what can't be had otherwise.
//!
//! Behind the feature `test-hooks`; does nothing unless it is armed while the process runs.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

static IGNORED: AtomicBool = AtomicBool::new(false);
static SKEW: AtomicI64 = AtomicI64::new(0);

/// From now on, and until the process ends, entries count as valid whatever was invalidated.
pub fn ignore_generations() {
    IGNORED.store(true, Ordering::Relaxed);
}

pub(crate) fn generations_are_ignored() -> bool {
    IGNORED.load(Ordering::Relaxed)
}

/// From now on the system's clock seems to be wrong by so many milliseconds.
pub fn skew_clock(by: i64) {
    SKEW.store(by, Ordering::Relaxed);
}

pub(crate) fn skew() -> i64 {
    SKEW.load(Ordering::Relaxed)
}
