//! One drill: a service under load, trouble that comes and goes, and what was seen of it.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use cache_tests::clock::{Deadline, monotonic};

use crate::app::{App, PROBES};
use crate::drill::{Drill, Ends, Shows};
use crate::judge::BUDGET;
use crate::load::{Load, Record, nanos};
use crate::trouble::Trouble;

/// Nothing takes longer than this to come back, unless it never does.
const BACK_WITHIN: Duration = Duration::from_secs(20);

/// How a drill is run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terms {
    /// Requests a second.
    pub(crate) rate: u32,
    /// For how long in good health, before.
    pub(crate) healthy: Duration,
    pub(crate) lasts: Duration,
    /// For how long when all is well again.
    pub(crate) after: Duration,
    /// What the cache may take of a request; `None`: its default.
    pub(crate) budget: Option<Duration>,
}

/// What was seen. Times are on the machine's monotonic clock, in nanoseconds.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) terms: Terms,
    pub(crate) records: Vec<Record>,
    /// When the trouble was about to come.
    pub(crate) came: u64,
    /// When it was about to go; where it goes by itself, when all was well again.
    pub(crate) leaving: u64,
    /// When Redis took commands again.
    pub(crate) gone: u64,
    /// When the service gave Redis up for the first time.
    pub(crate) given_up: Option<u64>,
    /// How many lookups it asked Redis for all the same, once all that were under way then had come to
    /// nothing, until the trouble went.
    pub(crate) asked_later: Option<u64>,
    /// From when Redis took commands to when something had been written to all of it again.
    pub(crate) writes: Option<Duration>,
    /// The same, to when one instance read what another had written: not before the hold of a
    /// failover has ended.
    pub(crate) back: Option<Duration>,
    /// The same, to when it was told of changes again.
    pub(crate) hears: Option<Duration>,
    /// Whether the trouble was there.
    pub(crate) shown: bool,
}

impl Drill {
    pub(crate) async fn run(&self, terms: Terms) -> Outcome {
        let mut trouble = (self.start)().await;
        if self.at_start {
            trouble.begin().await;
        }
        let app = Arc::new(App::on(&trouble.options(), terms.budget));
        if !self.at_start {
            app.warm_up().await;
        }
        let load = Load::start(&app, terms.rate);
        if !self.at_start {
            tokio::time::sleep(terms.healthy).await;
        }
        let came = monotonic();
        let giving_up = GivingUp::watch(&app, terms.budget.unwrap_or(BUDGET));
        if !self.at_start {
            trouble.begin().await;
        }
        tokio::time::sleep(terms.lasts).await;
        let mut shown = false;
        if self.ends == Ends::WhenTold {
            shown = self.is_shown(&app, &*trouble, &giving_up).await;
        }
        if self.silent {
            // So that some come who would ask.
            tokio::time::sleep(terms.lasts / 4).await;
        }
        let asked_later = giving_up.lookups().map(|before| app.lookups() - before);
        let mut leaving = monotonic();
        trouble.end().await;
        let gone = monotonic();
        let mut written = 0;
        // Beside each other: one may take longer, or the other.
        let (writes, back, hears) = tokio::join!(
            within(async || {
                while written < PROBES && app.writes(written).await {
                    written += 1;
                }
                written == PROBES
            }),
            within(async || self.is_over(&app).await && app.is_back().await),
            within(async || app.hears().await),
        );
        if self.ends != Ends::WhenTold {
            leaving = back.map_or_else(monotonic, |back| gone + nanos(back));
            shown = self.is_shown(&app, &*trouble, &giving_up).await;
        }
        tokio::time::sleep(terms.after).await;
        let records = load.stop().await;
        let given_up = giving_up.at();
        Outcome {
            terms,
            records,
            came,
            leaving,
            gone,
            given_up,
            asked_later,
            writes,
            back,
            hears,
            shown,
        }
    }

    /// Whether what is read now is what will be read from now on: what is left of Redis may answer
    /// before anybody has noticed that a part of it is another, and then be held.
    async fn is_over(&self, app: &App) -> bool {
        self.ends != Ends::Replaced || app.knows_another().await
    }

    /// Whether the trouble is there, or has been.
    async fn is_shown(&self, app: &App, trouble: &dyn Trouble, giving_up: &GivingUp) -> bool {
        // A busy machine may need longer.
        let shown = within(async || match self.shows {
            Shows::Away if self.silent => giving_up.lookups().is_some(),
            Shows::Away => giving_up.at().is_some(),
            Shows::NoWrites => !app.writes(0).await,
            Shows::Refusals => trouble.refused() > 0,
            Shows::Another => app.knows_another().await,
        });
        shown.await.is_some()
    }
}

impl Outcome {
    /// Those that were answered before the trouble came.
    pub(crate) fn before(&self) -> impl Iterator<Item = &Record> {
        self.records.iter().filter(|record| record.ended < self.came)
    }

    /// Those that had to do with it.
    pub(crate) fn during(&self) -> impl Iterator<Item = &Record> {
        let concerned = |record: &&Record| record.ended >= self.came && record.due < self.leaving;
        self.records.iter().filter(concerned)
    }

    /// Those of the time when all was well again.
    pub(crate) fn after(&self) -> impl Iterator<Item = &Record> {
        let since = self.back.map_or(u64::MAX, |back| self.gone + nanos(back));
        self.records.iter().filter(move |record| record.due >= since)
    }
}

/// How long it takes from now until something is so.
async fn within(mut so: impl AsyncFnMut() -> bool) -> Option<Duration> {
    let (began, deadline) = (monotonic(), Deadline::after(BACK_WITHIN));
    loop {
        if so().await {
            return Some(Duration::from_nanos(monotonic() - began));
        }
        if deadline.passed() {
            return None;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Notes when Redis is given up.
struct GivingUp {
    noted: Arc<Noted>,
    task: tokio::task::JoinHandle<()>,
}

#[derive(Default)]
struct Noted {
    at: OnceLock<u64>,
    lookups: OnceLock<u64>,
}

impl GivingUp {
    fn watch(app: &Arc<App>, budget: Duration) -> Self {
        let (noted, app) = (Arc::<Noted>::default(), Arc::clone(app));
        let note = Arc::clone(&noted);
        let task = tokio::spawn(async move {
            while !app.is_without() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            note.at.get_or_init(monotonic);
            tokio::time::sleep(budget + budget / 2).await;
            note.lookups.get_or_init(|| app.lookups());
        });
        Self { noted, task }
    }

    fn at(&self) -> Option<u64> {
        self.noted.at.get().copied()
    }

    /// Up to when those that were under way then had ended.
    fn lookups(&self) -> Option<u64> {
        self.noted.lookups.get().copied()
    }
}

impl Drop for GivingUp {
    fn drop(&mut self) {
        self.task.abort();
    }
}
