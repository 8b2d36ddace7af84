//! How many keys a step of a walk looks at: as many as the server can without holding others up.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// The length of the next step, by how long the last ones took.
#[derive(Debug)]
pub(super) struct Pace(AtomicUsize);

const SHORTEST: usize = 32;
const LONGEST: usize = 512;
const FIRST: usize = 128;
/// Who waits that long behind a step does not notice; the way there and back counts, too.
const QUICK: Duration = Duration::from_millis(2);
const SLOW: Duration = Duration::from_millis(8);

impl Default for Pace {
    fn default() -> Self {
        Self(AtomicUsize::new(FIRST))
    }
}

impl Pace {
    pub(super) fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    /// Shorter at once, longer little by little.
    pub(super) fn note(&self, took: Duration) {
        let count = self.count();
        let next = match took {
            took if took > SLOW => count / 2,
            took if took < QUICK => count + SHORTEST,
            _ => count,
        };
        self.0.store(next.clamp(SHORTEST, LONGEST), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_get_shorter_when_they_are_slow_and_never_too_short_or_too_long() {
        let pace = Pace::default();
        for _ in 0..100 {
            pace.note(Duration::ZERO);
        }
        assert_eq!(pace.count(), LONGEST);
        pace.note(Duration::from_millis(5));
        assert_eq!(pace.count(), LONGEST);
        pace.note(Duration::from_millis(9));
        assert_eq!(pace.count(), LONGEST / 2);
        for _ in 0..100 {
            pace.note(Duration::from_secs(1));
        }
        assert_eq!(pace.count(), SHORTEST);
    }
}
