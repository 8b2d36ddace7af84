//! The fixed window: a counter, and when it begins anew. Pure.

use super::quota::{Algorithm, Counted, Quota, State, float};
use crate::clock::Millis;

pub(super) fn step(quota: &Quota, state: Option<State>, now: Millis) -> (Counted, Option<State>) {
    let state = state.filter(|state| now < state.at);
    let at = now.saturating_add(quota.window);
    // A clock that was set back must not make a window longer.
    let cut = state.is_some_and(|state| state.at > at);
    let mut state = state.unwrap_or(State { used: 0.0, at });
    state.at = state.at.min(at);
    let allowed = state.used + float(quota.needed()) <= float(quota.limit);
    let taken = allowed && quota.cost > 0;
    if taken {
        state.used += float(quota.cost);
    }
    let counted = Counted {
        allowed,
        used: state.used,
        resets_in: state.at.saturating_sub(now),
        algorithm: Algorithm::FixedWindow,
    };
    (counted, (taken || cut).then_some(state))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rate::quota::MAX_UNITS;

    const MINUTE: Millis = 60_000;

    /// Counts several in a row; which were allowed.
    fn run(quota: Quota, state: &mut Option<State>, times: &[Millis]) -> Vec<bool> {
        let mut count = |now: &Millis| {
            let (counted, next) = step(&quota, *state, *now);
            *state = next.or(*state);
            counted.allowed
        };
        times.iter().map(&mut count).collect()
    }

    fn quota(limit: u64, cost: u64) -> Quota {
        Quota::new(Algorithm::FixedWindow, limit, MINUTE, None, cost)
    }

    #[test]
    fn a_window_begins_with_the_first_use_and_ends_on_its_millisecond() {
        let mut state = None;
        let times = [5, 6, 7, MINUTE + 4, MINUTE + 5, MINUTE + 6];
        assert_eq!(run(quota(2, 1), &mut state, &times), [true, true, false, false, true, true]);
        assert_eq!(state.unwrap().at, 2 * MINUTE + 5);
    }

    #[test]
    fn what_is_refused_takes_nothing_so_that_something_smaller_may_fit() {
        let mut state = None;
        assert_eq!(run(quota(10, 8), &mut state, &[0, 1]), [true, false]);
        assert_eq!(run(quota(10, 2), &mut state, &[2, 3]), [true, false]);
        assert_eq!(state, Some(State { used: 10.0, at: MINUTE }));
    }

    #[test]
    fn a_cost_of_zero_looks() {
        let mut state = None;
        assert_eq!(run(quota(1, 0), &mut state, &[0, 0]), [true, true]);
        assert_eq!(state, None);
        assert_eq!(run(quota(1, 1), &mut state, &[0]), [true]);
        assert_eq!(run(quota(1, 0), &mut state, &[1]), [false]);
    }

    #[test]
    fn no_limit_allows_nothing_and_the_largest_is_exact() {
        assert_eq!(run(quota(0, 1), &mut None, &[0, MINUTE]), [false, false]);
        let mut state = Some(State { used: float(MAX_UNITS - 1), at: MINUTE });
        assert_eq!(run(quota(u64::MAX, 1), &mut state, &[0, 0]), [true, false]);
        assert_eq!(run(quota(u64::MAX, u64::MAX), &mut None, &[0]), [false]);
    }

    #[test]
    fn a_clock_that_is_set_back_makes_no_window_longer() {
        let mut state = Some(State { used: 1.0, at: 100 * MINUTE });
        assert_eq!(run(quota(1, 1), &mut state, &[0, MINUTE - 1, MINUTE]), [false, false, true]);
    }
}
