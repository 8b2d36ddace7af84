//! What may be used, and what has been: pure, but for the formats of what a store keeps.

use bytes::Bytes;

use super::{fixed, gcra};
use crate::clock::Millis;

/// How uses are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Algorithm {
    /// A counter that begins anew when its window has passed. The window of a key begins with the
    /// first use that is counted.
    ///
    /// Around the end of a window twice the limit may be used within a short time.
    #[default]
    FixedWindow,
    /// The generic cell rate algorithm: what is used becomes free again evenly, `limit` units in a
    /// window, and no more than the burst is in use at any moment.
    Gcra,
}

/// Larger limits, bursts and costs count as this one: numbers up to here are exact in all stores.
pub const MAX_UNITS: u64 = 1 << 52;

/// Longer windows are as good as endless.
const MAX_WINDOW: Millis = 1000 * 365 * 24 * 60 * 60 * 1000;

/// One use that is to be counted: of how much, against which limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Quota {
    /// How it is counted.
    pub algorithm: Algorithm,
    /// How many units may be used in a window.
    pub limit: u64,
    /// In milliseconds, above zero.
    pub window: Millis,
    /// How many units may be in use at once: the limit, or what was chosen for
    /// [`Gcra`](Algorithm::Gcra).
    pub burst: u64,
    /// How many units this use takes. Zero: none, but to be told whether one would be allowed.
    pub cost: u64,
}

impl Quota {
    pub(super) fn new(
        algorithm: Algorithm,
        limit: u64,
        window: Millis,
        burst: Option<u64>,
        cost: u64,
    ) -> Self {
        let limit = limit.min(MAX_UNITS);
        let burst = match algorithm {
            // Nothing would ever become free again.
            Algorithm::Gcra if limit > 0 => burst.unwrap_or(limit).min(MAX_UNITS),
            _ => limit,
        };
        let window = window.clamp(1, MAX_WINDOW);
        // More than any limit, so never allowed.
        Self { algorithm, limit, window, burst, cost: cost.min(MAX_UNITS + 1) }
    }

    /// Counted in a fixed window, where it can't be as it should.
    #[cfg(feature = "redis")]
    pub(crate) fn in_fixed_window(self) -> Self {
        Self { algorithm: Algorithm::FixedWindow, burst: self.limit, ..self }
    }

    /// Of a counter that refused uses have raised, too: `used` is what it says after this one, which
    /// ends in so many milliseconds.
    #[cfg(feature = "redis")]
    pub(crate) fn counted(&self, used: u64, ends_in: Option<Millis>) -> Counted {
        let looks = self.cost == 0 || self.is_hopeless();
        let allowed = if looks { used.saturating_add(self.needed()) } else { used } <= self.limit;
        Counted {
            allowed,
            used: float(used.min(self.limit)),
            resets_in: ends_in.unwrap_or(self.window).min(self.window),
            algorithm: self.algorithm,
        }
    }

    /// How many units have to be free.
    pub(super) fn needed(&self) -> u64 {
        self.cost.max(1)
    }

    /// Whether it will never be allowed, however little is in use.
    pub(crate) fn is_hopeless(&self) -> bool {
        self.needed() > self.burst
    }

    /// Counts it in what a store holds under the key: `found`, at `now` by the store's clock. What
    /// comes of it, and what to put there instead and for how many milliseconds to keep that;
    /// `None`: to leave it as it is.
    ///
    /// For stores that can do this and the write in one step.
    pub fn count(&self, found: Option<&[u8]>, now: Millis) -> (Counted, Option<(Bytes, Millis)>) {
        let (counted, next) = self.step(found.and_then(State::read), now);
        let kept = next.map(|next| (next.write(), self.ends_in(&next, now).max(1)));
        (counted, kept)
    }

    /// Counts it; the new state, unless it stays as it is.
    pub(super) fn step(&self, state: Option<State>, now: Millis) -> (Counted, Option<State>) {
        match self.algorithm {
            Algorithm::FixedWindow => fixed::step(self, state, now),
            Algorithm::Gcra => gcra::step(self, state, now),
        }
    }

    /// In how many milliseconds a state is as good as none.
    pub(super) fn ends_in(&self, state: &State, now: Millis) -> Millis {
        match self.algorithm {
            Algorithm::FixedWindow => state.at.saturating_sub(now),
            Algorithm::Gcra => gcra::drained_in(self, state.used),
        }
    }
}

/// What came of a [`Quota`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Counted {
    /// Whether it was allowed.
    pub allowed: bool,
    /// How many units are in use now; in a fixed window, a whole number.
    pub used: f64,
    /// In how many milliseconds none will be, if none are added.
    pub resets_in: Millis,
    /// How it was counted: a store may know one way only.
    pub algorithm: Algorithm,
}

/// What is remembered of a key.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct State {
    /// Units in use.
    pub(super) used: f64,
    /// When the window ends; or, where they become free little by little, when that was so.
    pub(super) at: Millis,
}

impl State {
    fn read(bytes: &[u8]) -> Option<Self> {
        let (used, at) = std::str::from_utf8(bytes).ok()?.split_once(' ')?;
        let used = used.parse().ok().filter(|used: &f64| used.is_finite() && *used >= 0.0)?;
        Some(Self { used, at: at.parse().ok()? })
    }

    fn write(self) -> Bytes {
        // The shortest text from which the same number is read.
        format!("{} {}", self.used, self.at).into()
    }
}

/// Exact up to [`MAX_UNITS`]; times of more milliseconds than that are none.
#[allow(clippy::cast_precision_loss, reason = "of numbers that are too large to matter")]
pub(super) fn float(number: u64) -> f64 {
    number as f64
}

/// Down to a whole number; below zero is zero.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "as is said")]
pub(super) fn whole(number: f64) -> u64 {
    number as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_large_or_too_small_is_brought_into_bounds() {
        let quota = Quota::new(Algorithm::Gcra, u64::MAX, 0, Some(u64::MAX), u64::MAX);
        assert_eq!((quota.limit, quota.burst, quota.window), (MAX_UNITS, MAX_UNITS, 1));
        assert!(quota.is_hopeless(), "no limit is as large as that");
        let quota = Quota::new(Algorithm::FixedWindow, 3, Millis::MAX, Some(9), 0);
        assert_eq!((quota.burst, quota.needed(), quota.window), (3, 1, MAX_WINDOW));
        assert!(Quota::new(Algorithm::Gcra, 0, 1, Some(9), 1).is_hopeless());
    }

    #[test]
    fn a_state_is_read_as_it_was_written_and_nothing_else_is() {
        for (used, at) in [(0.0, 0), (0.1 + 0.2, 7), (4_503_599_627_370_496.0, u64::MAX)] {
            let state = State { used, at };
            assert_eq!(State::read(&state.write()), Some(state));
        }
        for junk in ["", "1", "x 1", "1 x", "-1 1", "nan 1", "inf 1", "1 -1", "1  1", "\u{fc} 1"] {
            assert_eq!(State::read(junk.as_bytes()), None, "{junk}");
        }
        assert_eq!(State::read(b"\xff 1"), None);
    }
}
