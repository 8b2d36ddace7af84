//! GCRA, as a bucket that leaks: of the units in use, `limit` become free in a window, evenly. Pure.
//!
//! The form that keeps a theoretical arrival time says the same. This one keeps the units
//! themselves, so that another limit, window or burst takes effect at once, and a clock that is set
//! back makes nobody wait for it.

use super::quota::{Algorithm, Counted, Quota, State, float, whole};
use crate::clock::Millis;

/// Units so close to the burst fit: that much is lost in arithmetic.
pub(super) const TOLERANCE: f64 = 1e-6;

pub(super) fn step(quota: &Quota, state: Option<State>, now: Millis) -> (Counted, Option<State>) {
    let is_back = state.is_some_and(|state| state.at > now);
    let mut used = state.map_or(0.0, |state| {
        let freed = float(now.saturating_sub(state.at)) * float(quota.limit) / float(quota.window);
        (state.used.min(float(quota.burst)) - freed).max(0.0)
    });
    let allowed = used + float(quota.needed()) <= float(quota.burst) + TOLERANCE;
    let taken = allowed && quota.cost > 0;
    if taken {
        used += float(quota.cost);
    }
    let resets_in = drained_in(quota, used);
    let counted = Counted { allowed, used, resets_in, algorithm: Algorithm::Gcra };
    (counted, (taken || is_back).then_some(State { used, at: now }))
}

/// In how many milliseconds so many units are free again.
pub(super) fn drained_in(quota: &Quota, used: f64) -> Millis {
    if quota.limit == 0 {
        return 0;
    }
    let used = (used - TOLERANCE).max(0.0);
    whole((used * float(quota.window) / float(quota.limit)).ceil())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MINUTE: Millis = 60_000;

    fn run(quota: Quota, state: &mut Option<State>, now: Millis) -> bool {
        let (counted, next) = step(&quota, *state, now);
        *state = next.or(*state);
        counted.allowed
    }

    fn quota(limit: u64, burst: Option<u64>, cost: u64) -> Quota {
        Quota::new(Algorithm::Gcra, limit, MINUTE, burst, cost)
    }

    #[test]
    fn a_burst_and_then_one_after_the_other_evenly() {
        let (quota, mut state) = (quota(6, Some(3), 1), None);
        let mut allowed = |now| run(quota, &mut state, now);
        assert_eq!([0, 0, 0, 0].map(&mut allowed), [true, true, true, false]);
        assert_eq!([9_999, 10_000, 10_000].map(&mut allowed), [false, true, false]);
        assert_eq!([40_000, 40_000, 40_000, 40_000].map(&mut allowed), [true, true, true, false]);
    }

    #[test]
    fn a_clock_that_is_set_back_makes_nobody_wait_for_it() {
        let mut state = Some(State { used: 1.0, at: 1_000 * MINUTE });
        assert!(!run(quota(1, None, 1), &mut state, 0));
        assert!(!run(quota(1, None, 1), &mut state, MINUTE - 1));
        assert!(run(quota(1, None, 1), &mut state, MINUTE));
    }

    #[test]
    fn a_smaller_burst_takes_effect_at_once() {
        let mut state = Some(State { used: 1_000.0, at: 0 });
        assert!(run(quota(60, Some(2), 1), &mut state, 1_000));
    }

    #[test]
    fn no_limit_allows_nothing() {
        assert!(!run(quota(0, Some(5), 1), &mut None, 0));
        assert_eq!(drained_in(&quota(0, None, 1), 5.0), 0);
    }

    #[test]
    fn times_are_not_rounded_up_for_what_arithmetic_leaves() {
        let quota = quota(6, Some(2), 1);
        // 2 - 4 s of 10, and one more, are 0.6000000000000001 too many.
        assert_eq!(drained_in(&quota, 2.0 - 0.4 + 1.0 - 2.0), 6_000);
    }

    proptest! {
        /// Also where a use fits to the millisecond: without a tolerance some came too early.
        #[test]
        fn as_fractions_say(
            limit in 1_u64..20,
            window in 1_u64..40,
            burst in 1_u64..20,
            steps in prop::collection::vec((0_u64..10, 1_u64..4), 1..100),
        ) {
            let (mut now, mut state, mut last, mut used) = (0, None, 0, 0);
            for (pause, cost) in steps {
                now += pause;
                let quota = Quota::new(Algorithm::Gcra, limit, window, Some(burst), cost);
                // In parts of a unit: as many as the window has milliseconds.
                let left = u64::saturating_sub(used, (now - last) * limit);
                let fits = left + cost * window <= burst * window;
                prop_assert_eq!(run(quota, &mut state, now), fits);
                if fits {
                    (last, used) = (now, left + cost * window);
                }
            }
        }

        /// In no stretch of time is more allowed than the burst and what becomes free meanwhile.
        #[test]
        fn never_more_than_the_burst_and_what_becomes_free(
            limit in 1_u64..50,
            burst in 1_u64..20,
            steps in prop::collection::vec((0_u64..20_000, 1_u64..5), 1..60),
        ) {
            let (mut now, mut state, mut taken) = (0, None, Vec::new());
            for (pause, cost) in steps {
                now += pause;
                if run(quota(limit, Some(burst), cost), &mut state, now) {
                    taken.push((now, cost));
                }
            }
            for (first, (from, _)) in taken.iter().enumerate() {
                let mut sum = 0;
                for (at, cost) in &taken[first..] {
                    sum += cost;
                    let free = float(burst) + float(at - from) * float(limit) / float(MINUTE);
                    prop_assert!(float(sum) <= free + 1e-3, "{sum} of {free}");
                }
            }
        }
    }
}
