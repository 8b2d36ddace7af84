//! A scope's generation as this process knows it, and what entries and fills remember of it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use smallvec::SmallVec;
use xxhash_rust::xxh3::xxh3_64;

use super::stored::{Generation, MOST, Soft, Softs, latest, stale_since};
use crate::clock::Millis;
use crate::entry::Recorded;

/// A scope's generation as this process knows it.
#[derive(Debug)]
pub(crate) struct GenerationCell {
    /// The key of the generation in the store.
    pub(crate) name: Arc<str>,
    /// Stands for the name in sets of cells.
    pub(crate) fingerprint: u64,
    /// Counts all changes.
    epoch: AtomicU64,
    /// Counts those that leave nothing of what was there before. Like all below it is changed
    /// before the epoch is, and only under the lock: who reads the epoch first and then the others
    /// has either what belongs together, or an epoch that is about to pass.
    ended: AtomicU64,
    /// Counts those that leave what was there before as stale.
    aged: AtomicU64,
    /// The id last seen in the store; zero: not seen, or invalidated since.
    id: AtomicU64,
    /// The latest soft invalidation; zero: there was none.
    soft: AtomicU64,
    changing: Mutex<Softs>,
    /// Counts the reasons to doubt the id: pushes of the store about it, and gaps between them.
    doubts: AtomicU64,
    /// The doubts as of the latest question that the id agrees with.
    settled: AtomicU64,
    /// Until when, in unix milliseconds, the store was told to keep the present id.
    extended: AtomicU64,
}

/// A cell and the state in which a fill found it.
#[derive(Debug, Clone)]
pub(crate) struct GenerationRef {
    pub(crate) cell: Arc<GenerationCell>,
    epoch: u64,
    ended: u64,
    aged: u64,
    /// Zero: none.
    id: u64,
    /// Of an entry, the latest soft invalidation when it was filled.
    soft: u64,
    /// The doubts there were then.
    doubts: u64,
}

/// The generations one entry stands under.
pub(crate) type GenerationRefs = SmallVec<[GenerationRef; 4]>;

/// What has become of a scope, or of several, since.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Nothing.
    Current,
    /// It was invalidated softly: what was filled before is stale from this time on.
    Stale(Millis),
    /// It was invalidated.
    Invalid,
}

/// What a cell says at one moment.
struct State {
    epoch: u64,
    ended: u64,
    aged: u64,
    /// The latest soft invalidation, also of a scope whose id is not known; zero: there was none.
    soft: u64,
    /// The id, and that.
    known: Option<(u64, u64)>,
}

impl Standing {
    /// Of an entry that stands under all of these.
    #[inline]
    pub(crate) fn of(generations: &[GenerationRef]) -> Self {
        let mut standing = Self::Current;
        for generation in generations {
            // As most are.
            if !generation.is_untouched() {
                standing = standing.worse(generation.standing());
            }
        }
        standing
    }

    fn worse(self, other: Self) -> Self {
        match (self, other) {
            (Self::Invalid, _) | (_, Self::Invalid) => Self::Invalid,
            (Self::Stale(a), Self::Stale(b)) => Self::Stale(a.min(b)),
            (Self::Current, standing) | (standing, Self::Current) => standing,
        }
    }
}

/// No cell comes as far as this.
const BEFORE_ALL: u64 = u64::MAX;

impl GenerationRef {
    /// Whether the scope has not been invalidated since, not even softly.
    pub(crate) fn is_current(&self) -> bool {
        self.standing() == Standing::Current
    }

    /// Whether nothing at all has happened to the scope since.
    #[inline]
    fn is_untouched(&self) -> bool {
        self.cell.epoch.load(Ordering::Acquire) == self.epoch
    }

    /// What has happened to the scope since.
    pub(crate) fn standing(&self) -> Standing {
        #[cfg(feature = "test-hooks")]
        if crate::test_hooks::generations_are_ignored() {
            return Standing::Current;
        }
        let cell = &self.cell;
        if self.is_untouched() {
            Standing::Current
        } else if cell.ended.load(Ordering::Acquire) != self.ended {
            Standing::Invalid
        } else if cell.aged.load(Ordering::Acquire) != self.aged {
            Standing::Stale(stale_since(&lock(&cell.changing), self.soft))
        } else {
            Standing::Current
        }
    }

    /// Whether the scope has not been invalidated since, as far as is known here: learning the id
    /// of a scope that had none in this state is a change, too, but no invalidation.
    pub(crate) fn is_uninterrupted(&self) -> bool {
        if self.is_current() {
            return true;
        }
        let _unchanging = lock(&self.cell.changing);
        let State { epoch, known, .. } = self.cell.state();
        // An invalidation leaves no id; so one change that ended in an id is the learning of it.
        epoch.wrapping_sub(self.epoch) == 1 && self.id == 0 && known.is_some()
    }

    /// The id then.
    pub(crate) fn id(&self) -> Option<u64> {
        (self.id != 0).then_some(self.id)
    }

    /// The latest soft invalidation then; zero: none.
    pub(crate) fn soft_id(&self) -> u64 {
        self.soft
    }

    /// Whether this is the generation that was known then.
    pub(crate) fn is_of(&self, generation: Option<&Generation>) -> bool {
        generation.is_some_and(|generation| generation.ids() == (self.id, self.soft))
    }

    /// The same state, for a question that is asked only now.
    pub(crate) fn asked_now(&self) -> Self {
        Self { doubts: self.cell.doubts.load(Ordering::Acquire), ..self.clone() }
    }

    /// The same scope, for a value that is asked for only now, to take the place of one from then:
    /// what made that one stale does not count; what made it invalid does.
    pub(crate) fn renewed(&self) -> Self {
        let _unchanging = lock(&self.cell.changing);
        let now = self.cell.snapshot();
        if now.ended == self.ended { now } else { self.clone() }
    }

    /// Whether an entry of which this is recorded is valid under the scope as it was then; if so,
    /// the state in which the entry was filled: that, or one from before a soft invalidation.
    pub(crate) fn of_entry(&self, recorded: Option<Recorded>) -> Option<Self> {
        #[cfg(feature = "test-hooks")]
        if crate::test_hooks::generations_are_ignored() {
            return Some(self.clone());
        }
        let recorded = recorded.filter(|recorded| self.id() == Some(recorded.id))?;
        let is_outdated = recorded.soft != self.soft;
        let mut of_entry = self.clone();
        if is_outdated {
            (of_entry.epoch, of_entry.aged) = (BEFORE_ALL, BEFORE_ALL);
            of_entry.soft = recorded.soft;
        }
        Some(of_entry)
    }

    /// Takes in what the store said about the scope, in answer to a question that was asked in
    /// this state. False if the scope was invalidated in between: then the answer is older than
    /// the invalidation, and worth nothing.
    pub(crate) fn observe(&mut self, seen: Option<Generation>) -> bool {
        let ids = seen.as_ref().map(Generation::ids);
        let agrees = |known: Option<(u64, u64)>| known.is_some() && known == ids;
        let state = self.cell.state();
        // Of several soft invalidations some may not have been heard of.
        let is_told_by_ids = seen.as_ref().is_none_or(|seen| seen.softs.len() <= 1);
        if agrees(state.known) && is_told_by_ids {
            self.take(state);
            self.cell.settle(self.doubts);
            return true;
        }
        let mut softs = lock(&self.cell.changing);
        let State { epoch, known, .. } = self.cell.state();
        if agrees(known) {
            *softs = seen.map(|seen| seen.softs).unwrap_or_default();
        } else {
            if epoch != self.epoch {
                return false;
            }
            if ids != known {
                if self.doubts < self.cell.settled.load(Ordering::Acquire) {
                    // A later question has had another answer: which is newer has to be asked.
                    self.cell.doubt();
                }
                self.cell.change(&mut softs, seen);
            }
        }
        self.cell.settle(self.doubts);
        let state = self.cell.state();
        drop(softs);
        self.take(state);
        true
    }

    fn take(&mut self, State { epoch, ended, aged, soft, known }: State) {
        (self.epoch, self.ended, self.aged) = (epoch, ended, aged);
        (self.id, self.soft) = (known.unwrap_or_default().0, soft);
    }
}

impl GenerationCell {
    pub(super) fn new(name: &str) -> Self {
        Self {
            name: name.into(),
            fingerprint: xxh3_64(name.as_bytes()),
            epoch: AtomicU64::new(0),
            ended: AtomicU64::new(0),
            aged: AtomicU64::new(0),
            id: AtomicU64::new(0),
            soft: AtomicU64::new(0),
            changing: Mutex::default(),
            doubts: AtomicU64::new(0),
            settled: AtomicU64::new(0),
            extended: AtomicU64::new(0),
        }
    }

    /// The state as of now.
    pub(crate) fn snapshot(self: &Arc<Self>) -> GenerationRef {
        let doubts = self.doubts.load(Ordering::Acquire);
        let State { epoch, ended, aged, soft, known } = self.state();
        let id = known.unwrap_or_default().0;
        GenerationRef { cell: Arc::clone(self), epoch, ended, aged, id, soft, doubts }
    }

    /// There is a reason to ask the store again: answers to earlier questions settle nothing.
    pub(crate) fn doubt(&self) {
        self.doubts.fetch_add(1, Ordering::AcqRel);
    }

    fn settle(&self, doubts: u64) {
        if self.settled.load(Ordering::Acquire) < doubts {
            self.settled.fetch_max(doubts, Ordering::AcqRel);
        }
    }

    /// Whether nothing was heard of the scope since the store was last asked about it.
    pub(crate) fn is_settled(&self) -> bool {
        self.settled.load(Ordering::Acquire) == self.doubts.load(Ordering::Acquire)
    }

    /// Whether an id is known.
    pub(crate) fn has_id(&self) -> bool {
        self.id.load(Ordering::Acquire) != 0
    }

    fn state(&self) -> State {
        // Before the epoch: with those that are too old, what ended meanwhile counts as invalid,
        // not as stale, and what aged as stale.
        let ended = self.ended.load(Ordering::Acquire);
        let aged = self.aged.load(Ordering::Acquire);
        let epoch = self.epoch.load(Ordering::Acquire);
        let id = self.id.load(Ordering::Acquire);
        let soft = self.soft.load(Ordering::Acquire);
        State { epoch, ended, aged, soft, known: (id != 0).then_some((id, soft)) }
    }

    /// To be called under the lock.
    fn change(&self, softs: &mut Softs, to: Option<Generation>) {
        let Generation { id, softs: to } =
            to.unwrap_or_else(|| Generation { id: 0, softs: Softs::new() });
        if id == 0 || id != self.id.load(Ordering::Acquire) {
            self.id.store(id, Ordering::Release);
            self.ended.fetch_add(1, Ordering::AcqRel);
            self.extended.store(0, Ordering::Relaxed);
        }
        *softs = to;
        self.note_soft(latest(softs));
        self.epoch.fetch_add(1, Ordering::AcqRel);
    }

    fn note_soft(&self, id: u64) {
        if id != self.soft.load(Ordering::Acquire) {
            self.soft.store(id, Ordering::Release);
            self.aged.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// Whether the store has to be told that the id must live longer, for an entry that is kept
    /// for `needed` from `now`; takes note that it will be told `lifetime`. In milliseconds.
    pub(crate) fn extend(&self, now: u64, needed: u64, lifetime: u64) -> bool {
        let enough = self.extended.load(Ordering::Relaxed) >= now.saturating_add(needed);
        if !enough {
            self.extended.store(now.saturating_add(lifetime), Ordering::Relaxed);
        }
        !enough
    }

    /// Takes back what [`extend`](Self::extend) noted: the store could not be told.
    pub(crate) fn forget_extension(&self) {
        self.extended.store(0, Ordering::Relaxed);
    }

    /// Makes everything that was filled under this scope invalid, here and now.
    pub(crate) fn invalidate(&self) {
        self.change(&mut lock(&self.changing), None);
    }

    /// Makes everything that was filled under this scope stale, here and now. Again for the same
    /// soft invalidation it is not, unless an older one was learnt meanwhile; but answers to
    /// questions from before are worth nothing then.
    pub(crate) fn soften(&self, soft: Soft) {
        let mut softs = lock(&self.changing);
        if latest(&softs) != soft.id {
            softs.retain(|known| known.id != soft.id);
            softs.insert(0, soft);
            softs.truncate(MOST);
        }
        self.note_soft(soft.id);
        self.epoch.fetch_add(1, Ordering::AcqRel);
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // Nothing in here can panic while it holds the lock half way through a change.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
