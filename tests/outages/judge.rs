//! What is good enough.

use std::fmt;
use std::time::Duration;

use crate::drill::Drill;
use crate::figures::{Figures, is_fetched, is_from_memory};
use crate::load::{Record, nanos};
use crate::run::Outcome;

/// The default budget of an operation.
pub(crate) const BUDGET: Duration = Duration::from_millis(50);
/// Only requests of so long may wait for it when Redis falls silent.
const WAITING: Duration = Duration::from_millis(250);
/// Slower than without a cache by so much is slow.
const SLOWER: Duration = Duration::from_millis(25);
const BACK_WITHIN: Duration = Duration::from_secs(2);
const FIRST_WITHIN: Duration = Duration::from_secs(1);
/// A service that has just started, or is on a busy machine, is not held to less than this.
const L1_NOISE: Duration = Duration::from_micros(5);

/// In good health, and without a cache: what all drills are compared with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Baseline {
    /// All requests, without a cache.
    pub(crate) bare: Figures,
    /// What the origin answered, with a cache in good health.
    pub(crate) misses: Figures,
    /// What memory answered.
    pub(crate) hits: Figures,
}

/// What one drill came to, in numbers.
#[derive(Debug, Clone)]
pub(crate) struct Verdict {
    pub(crate) requests: usize,
    pub(crate) failures: usize,
    /// In good health: of this drill, or of the baseline if there was trouble from the start.
    pub(crate) healthy: Baseline,
    pub(crate) misses: Figures,
    pub(crate) misses_after: Figures,
    pub(crate) hits: Figures,
    pub(crate) first: Option<Duration>,
    /// From when Redis fell silent to when it was given up.
    pub(crate) given_up: Option<Duration>,
    /// How many waited for it in vain, of those that were due by then.
    pub(crate) waited: usize,
    /// How often it was asked all the same.
    pub(crate) asked_later: Option<u64>,
    pub(crate) writes: Option<Duration>,
    pub(crate) back: Option<Duration>,
    pub(crate) hears: Option<Duration>,
    /// What is not good enough.
    pub(crate) missed: Vec<String>,
}

/// Whether a request took as long as if it had waited for Redis in vain.
pub(crate) fn has_waited(record: &Record, budget: Duration) -> bool {
    record.ended - record.began >= nanos(budget * 9 / 10)
}

impl Verdict {
    pub(crate) fn of(drill: &Drill, outcome: &Outcome, baseline: &Baseline) -> Self {
        let healthy = if drill.at_start {
            *baseline
        } else {
            let misses = Figures::of(outcome.before().filter(is_fetched));
            let hits = Figures::within(outcome.before().filter(is_from_memory));
            Baseline { misses, hits, ..*baseline }
        };
        let budget = outcome.terms.budget.unwrap_or(BUDGET);
        let given_up = outcome.given_up;
        let early = |record: &&Record| given_up.is_none_or(|given_up| record.due <= given_up);
        let waited = outcome.during().filter(early).filter(|record| has_waited(record, budget));
        let first = outcome.records.first().filter(|_| drill.at_start);
        let mut verdict = Self {
            requests: outcome.records.len(),
            failures: Figures::of(outcome.records.iter()).failures,
            healthy,
            misses: Figures::of(outcome.during().filter(is_fetched)),
            misses_after: Figures::of(outcome.after().filter(is_fetched)),
            hits: Figures::within(outcome.during().filter(is_from_memory)),
            first: first.map(|record| Duration::from_nanos(record.ended - record.due)),
            given_up: given_up.map(|at| Duration::from_nanos(at.saturating_sub(outcome.came))),
            waited: waited.count(),
            asked_later: outcome.asked_later,
            writes: outcome.writes,
            back: outcome.back,
            hears: outcome.hears,
            missed: Vec::new(),
        };
        verdict.missed = verdict.judge(drill, outcome.shown);
        verdict
    }

    /// What the p99 of those that the origin answers may be while there is trouble.
    pub(crate) fn allowed(&self) -> Duration {
        (self.healthy.misses.p99 * 2).max(self.healthy.bare.p99 + SLOWER)
    }

    fn judge(&self, drill: &Drill, shown: bool) -> Vec<String> {
        let mut missed = Vec::new();
        let mut miss = |met: bool, what: &dyn Fn() -> String| {
            if !met {
                missed.push(what());
            }
        };
        let late = |time: Option<Duration>, limit| time.is_none_or(|time| time > limit);
        miss(shown, &|| "there was no trouble".to_owned());
        miss(self.failures == 0, &|| format!("{} failures", self.failures));
        miss(self.misses.p99 <= self.allowed(), &|| {
            format!("p99 {} > {}", Shown(self.misses.p99), Shown(self.allowed()))
        });
        let hit = (self.healthy.hits.p50 * 12 / 10).max(self.healthy.hits.p50 + L1_NOISE);
        miss(self.hits.p50 <= hit, &|| {
            format!("hits in memory {} > {}", Shown(self.hits.p50), Shown(hit))
        });
        miss(!late(self.back, BACK_WITHIN), &|| "not back within 2 s".to_owned());
        miss(!late(self.hears, BACK_WITHIN), &|| "hears nothing within 2 s".to_owned());
        let slow_start = self.first.is_some_and(|first| first > FIRST_WITHIN);
        miss(!slow_start, &|| "no first answer within 1 s".to_owned());
        if drill.silent {
            miss(!late(self.given_up, WAITING), &|| "not given up within 250 ms".to_owned());
            miss(self.asked_later == Some(0), &|| "asked all the same".to_owned());
        }
        missed
    }
}

/// A time as a reader wants it.
pub(crate) struct Shown(pub(crate) Duration);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = self.0.as_micros();
        match micros {
            0..1_000 => write!(f, "{micros} µs"),
            1_000..100_000 => write!(f, "{:.1} ms", self.0.as_secs_f64() * 1e3),
            100_000..1_000_000 => write!(f, "{:.0} ms", self.0.as_secs_f64() * 1e3),
            _ => write!(f, "{:.2} s", self.0.as_secs_f64()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drill::{Form, all};

    fn drill(name: &str) -> Drill {
        all(Form::Long).into_iter().find(|drill| drill.name == name).expect("a drill")
    }

    /// Of a drill that was as good as can be.
    fn fine() -> Verdict {
        let [bare, misses, hits, after] = [Figures::default(); 4];
        let none = Some(Duration::ZERO);
        Verdict {
            requests: 1,
            failures: 0,
            healthy: Baseline { bare, misses, hits },
            misses,
            misses_after: after,
            hits,
            first: none,
            given_up: none,
            waited: 0,
            asked_later: Some(0),
            writes: none,
            back: none,
            hears: none,
            missed: Vec::new(),
        }
    }

    #[test]
    fn redis_is_read_within_two_seconds_after_a_failover_too() {
        for name in ["sentinel_failover", "primary_lost", "killed", "resharded"] {
            let back = |after| Some(Duration::from_millis(after));
            let missed = |after| Verdict { back: back(after), ..fine() }.judge(&drill(name), true);
            assert_eq!(missed(2_000), [""; 0]);
            assert_eq!(missed(2_001), ["not back within 2 s"]);
        }
    }

    #[test]
    fn each_thing_that_is_not_good_enough_is_said() {
        let silent = drill("stopped");
        let millis = |millis| Some(Duration::from_millis(millis));
        let p99 = |p99| Figures { p99, ..Figures::default() };
        let p50 = |p50| Figures { p50, ..Figures::default() };
        let (slower, noise) = (SLOWER + Duration::from_millis(1), L1_NOISE * 2);
        let bad = [
            (Verdict { failures: 1, ..fine() }, "1 failures"),
            (Verdict { misses: p99(slower), ..fine() }, "p99 26.0 ms > 25.0 ms"),
            (Verdict { hits: p50(noise), ..fine() }, "hits in memory 10 µs > 5 µs"),
            (Verdict { back: None, ..fine() }, "not back within 2 s"),
            (Verdict { hears: millis(2_001), ..fine() }, "hears nothing within 2 s"),
            (Verdict { first: millis(1_001), ..fine() }, "no first answer within 1 s"),
            (Verdict { given_up: millis(251), ..fine() }, "not given up within 250 ms"),
            (Verdict { given_up: None, ..fine() }, "not given up within 250 ms"),
            (Verdict { asked_later: Some(1), ..fine() }, "asked all the same"),
            (Verdict { asked_later: None, ..fine() }, "asked all the same"),
        ];
        for (verdict, expected) in bad {
            assert_eq!(verdict.judge(&silent, true), [expected]);
        }
        assert_eq!(fine().judge(&silent, false), ["there was no trouble"]);
        let busy = Verdict { given_up: None, asked_later: None, ..fine() };
        assert_eq!(busy.judge(&drill("killed"), true), [""; 0], "it is not silent");
    }
}
