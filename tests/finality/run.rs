//! One run: a crew in one place, a nemesis round after round, and the check of what was seen.

use std::time::Duration;

use cache_core::COHERENCE_BOUND;
use cache_tests::clock::monotonic;

use crate::checker::{Bounds, Verdict, check};
use crate::crew::{Common, Crew};
use crate::history::{Event, Record};
use crate::nemesis::{Field, Nemesis};
use crate::place::Place;

/// How long L1 answers without asking. Shorter than the default, so that a run of seconds has
/// many reads that come later than the bound.
const L1_TTL: Duration = Duration::from_millis(300);
/// The longest pause between two probes of the breaker, with its spread, and the probe itself;
/// then the operation that repeats what was not confirmed, on a busy machine.
const RECOVERY: Duration = Duration::from_secs(3);

/// What to run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) place: Place,
    pub(crate) nemesis: Nemesis,
    pub(crate) seed: u64,
    /// At least so many.
    pub(crate) operations: u64,
    /// At least so many.
    pub(crate) rounds: u64,
    pub(crate) ignore_generations: bool,
}

/// What a run came to.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) plan: Plan,
    pub(crate) rounds: u64,
    pub(crate) verdict: Verdict,
    /// The first stale reads, with what happened around them.
    pub(crate) explained: Vec<String>,
}

impl Plan {
    pub(crate) fn new(place: Place, nemesis: Nemesis, seed: u64) -> Self {
        Self { place, nemesis, seed, operations: 0, rounds: 1, ignore_generations: false }
    }

    pub(crate) async fn run(self) -> Outcome {
        let folder = tempfile::Builder::new().prefix("finality-").tempdir().expect("a folder");
        let redis = self.nemesis.server().start();
        let common = Common {
            place: self.place,
            seed: self.seed,
            l1_ttl: L1_TTL,
            clocks: self.nemesis.clocks(),
            connected: self.nemesis.connected(),
            globs: self.nemesis == Nemesis::Globs || !self.place.has_redis(),
            ignore_generations: self.ignore_generations,
        };
        let crew = Crew::start(folder.path(), &redis, &common).await;
        let random = fastrand::Rng::with_seed(self.seed);
        let mut field = Field { crew, redis, random };
        let (mut rounds, mut faults) = (0, Vec::new());
        field.rest().await;
        while rounds < self.rounds || field.crew.operations() < self.operations {
            let start = monotonic();
            self.nemesis.round(&mut field).await;
            let end = monotonic();
            faults.push(Event::Fault { start, end });
            rounds += 1;
            field.rest().await;
            if field.crew.workers().iter().any(|worker| !worker.runs()) {
                break; // `finish` says why
            }
        }
        let parent = self.place.processes();
        let mut records = field.crew.finish();
        records.extend(faults.into_iter().map(|event| Record { node: parent, event }));
        let verdict = check(&records, self.bounds());
        let explained = verdict.stale.iter().take(3).map(|stale| stale.explain(&records)).collect();
        Outcome { plan: self, rounds, verdict, explained }
    }

    /// What is stated: without L1 every read asks Redis, so nothing may be seen late. But for one
    /// that finds Redis away: it may be given what its own process had begun to compute before.
    fn bounds(self) -> Bounds {
        let elsewhere = match (self.place.has_l1(), self.nemesis.cuts_off()) {
            // What Redis was about to tell may be lost with the connection.
            (true, true) => COHERENCE_BOUND,
            (true, false) | (false, true) => L1_TTL,
            (false, false) => Duration::ZERO,
        };
        Bounds { elsewhere: nanos(elsewhere), recovery: nanos(RECOVERY) }
    }

    /// How it is called in messages.
    pub(crate) fn name(self) -> String {
        format!("{}: --nemesis {} --seed {}", self.place.name(), self.nemesis.name(), self.seed)
    }
}

impl Outcome {
    /// Panics with the first stale reads, if there are any; and if nothing was put to the test.
    #[track_caller]
    pub(crate) fn assert_final(&self) {
        let Verdict { judged_hits, stale, .. } = &self.verdict;
        let name = self.plan.name();
        let texts = self.explained.join("\n\n");
        assert!(stale.is_empty(), "{name}: {} stale reads\n\n{texts}", stale.len());
        assert!(*judged_hits > 0, "{name}: no hit was judged");
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).expect("a short time")
}
