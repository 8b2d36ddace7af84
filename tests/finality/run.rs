//! One run: a crew in one place, a nemesis round after round, and the check of what was seen.

use std::time::Duration;

use cache_core::{COHERENCE_BOUND, UNCONFIRMED_FLIGHT};
use cache_tests::Twin;
use cache_tests::clock::monotonic;

use crate::checker::{Bounds, Verdict, check};
use crate::crew::{Common, Crew, Pace};
use crate::history::{Event, Record};
use crate::nemesis::{Field, Nemesis};
use crate::place::Place;

/// How long L1 answers without asking. Shorter than the default, so that a run of seconds has
/// many reads that come later than the bound.
const L1_TTL: Duration = Duration::from_millis(300);
/// The longest pause between two probes of the breaker, with its spread, and the probe itself;
/// then the operation that repeats what was not confirmed, on a busy machine.
const RECOVERY: Duration = Duration::from_secs(3);

/// How much is made of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// As quick as can be.
    Short,
    /// Long enough for what was invalidated to come due in other processes, and to be read there.
    Long,
}

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
    pub(crate) form: Form,
    pub(crate) ignore_generations: bool,
}

/// What a run came to.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) plan: Plan,
    pub(crate) rounds: u64,
    /// From the start of the processes to their end.
    pub(crate) took: Duration,
    pub(crate) verdict: Verdict,
    /// The first stale reads, with what happened around them.
    pub(crate) explained: Vec<String>,
}

impl Plan {
    pub(crate) fn new(place: Place, nemesis: Nemesis, seed: u64) -> Self {
        let (form, ignore_generations) = (Form::Short, false);
        Self { place, nemesis, seed, operations: 0, rounds: 1, form, ignore_generations }
    }

    pub(crate) async fn run(self) -> Outcome {
        let started = monotonic();
        let folder = tempfile::Builder::new().prefix("finality-").tempdir().expect("a folder");
        let redis = self.nemesis.server().start();
        let common = Common {
            place: self.place,
            seed: self.seed,
            l1_ttl: L1_TTL,
            pace: self.pace(),
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
            tokio::join!(field.rest(), self.come_due(&field));
            if field.crew.workers().iter().any(|worker| !worker.runs()) {
                break; // `finish` says why
            }
        }
        let parent = self.place.processes();
        let mut records = field.crew.finish();
        let took = Duration::from_nanos(monotonic() - started);
        records.extend(faults.into_iter().map(|event| Record { node: parent, event }));
        let verdict = check(&records, self.bounds());
        let explained = verdict.stale.iter().take(3).map(|stale| stale.explain(&records)).collect();
        Outcome { plan: self, rounds, took, verdict, explained }
    }

    /// What is stated: without L1 every read asks Redis, so nothing may be seen late. But for what
    /// is shared while it is computed, where nothing tells whether that was overtaken.
    fn bounds(self) -> Bounds {
        let memory = match (self.place.has_l1(), self.nemesis.cuts_off()) {
            // What Redis was about to tell may be lost with the connection.
            (true, true) => COHERENCE_BOUND,
            (true, false) => L1_TTL,
            (false, _) => Duration::ZERO,
        };
        let flights =
            if self.nemesis.leaves_no_trace() { UNCONFIRMED_FLIGHT } else { Duration::ZERO };
        let elsewhere = memory.max(flights);
        Bounds { elsewhere: nanos(elsewhere), recovery: nanos(RECOVERY) }
    }

    /// Where much time has to pass for a read to be judged, operations are not spent before it has.
    fn pace(self) -> Pace {
        let millis = Duration::from_millis;
        match self.form {
            Form::Short => Pace { tasks: 4, pause: millis(2) },
            Form::Long if self.bounds().elsewhere < nanos(COHERENCE_BOUND) => {
                Pace { tasks: 8, pause: millis(2) }
            }
            Form::Long => Pace { tasks: 4, pause: millis(20) },
        }
    }

    /// After a round: until what was queued meanwhile holds in other processes, and for as long
    /// again, but for no more operations than this plan has.
    async fn come_due(self, field: &Field) {
        if self.form == Form::Short {
            return;
        }
        let Bounds { elsewhere, recovery } = self.bounds();
        let due = monotonic() + 2 * elsewhere + recovery;
        while monotonic() < due
            && field.crew.operations() < self.operations
            && field.crew.workers().iter().all(Twin::runs)
        {
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
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
