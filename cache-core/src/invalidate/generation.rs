//! The local table of generations.
//!
//! A scope's current generation is a random id in the store. Here, each scope in use has a cell
//! with the id as last seen and an **epoch** that counts every change of it. A fill remembers the
//! epochs before it begins; what it produced is valid as long as all of them still stand. Epochs
//! only grow, so an id that comes back (a late reply, a restored snapshot) revives nothing here.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use smallvec::SmallVec;
use xxhash_rust::xxh3::xxh3_64;

/// A scope's generation as this process knows it.
#[derive(Debug)]
pub(crate) struct GenerationCell {
    /// The key of the generation in the store.
    pub(crate) name: Arc<str>,
    /// Stands for the name inside entries.
    pub(crate) fingerprint: u64,
    epoch: AtomicU64,
    /// The id last seen in the store; zero: not seen, or invalidated since. Changed before the
    /// epoch is, and only under the lock: who reads the epoch first and then the id has either
    /// what belongs together, or an epoch that is about to pass.
    id: AtomicU64,
    changing: Mutex<()>,
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
    pub(crate) id: Option<u64>,
    /// The doubts there were then.
    doubts: u64,
}

/// The generations one entry stands under.
pub(crate) type GenerationRefs = SmallVec<[GenerationRef; 4]>;

impl GenerationRef {
    /// Whether the scope has not been invalidated since.
    pub(crate) fn is_current(&self) -> bool {
        #[cfg(feature = "test-hooks")]
        if crate::test_hooks::generations_are_ignored() {
            return true;
        }
        self.cell.epoch.load(Ordering::Acquire) == self.epoch
    }

    /// Whether the scope has not been invalidated since, as far as is known here: learning the id
    /// of a scope that had none in this state is a change, too, but no invalidation.
    pub(crate) fn is_uninterrupted(&self) -> bool {
        if self.is_current() {
            return true;
        }
        let _unchanging = lock(&self.cell.changing);
        let (epoch, id) = self.cell.state();
        // An invalidation leaves no id; so one change that ended in an id is the learning of it.
        epoch.wrapping_sub(self.epoch) == 1 && self.id.is_none() && id.is_some()
    }

    /// The same state, for a question that is asked only now.
    pub(crate) fn asked_now(&self) -> Self {
        Self { doubts: self.cell.doubts.load(Ordering::Acquire), ..self.clone() }
    }

    /// Takes in what the store said about the scope, in answer to a question that was asked in
    /// this state. False if the scope was invalidated in between: then the answer is older than
    /// the invalidation, and worth nothing.
    pub(crate) fn observe(&mut self, seen: Option<u64>) -> bool {
        let (epoch, id) = self.cell.state();
        if seen.is_some() && seen == id {
            (self.epoch, self.id) = (epoch, id);
            self.cell.settle(self.doubts);
            return true;
        }
        let _changing = lock(&self.cell.changing);
        let (epoch, id) = self.cell.state();
        let agrees = seen.is_some() && seen == id;
        if !agrees {
            if epoch != self.epoch {
                return false;
            }
            if seen != id {
                if self.doubts < self.cell.settled.load(Ordering::Acquire) {
                    // A later question has had another answer: which is newer has to be asked.
                    self.cell.doubt();
                }
                self.cell.change(seen);
            }
        }
        self.cell.settle(self.doubts);
        (self.epoch, self.id) = self.cell.state();
        true
    }
}

impl GenerationCell {
    fn new(name: &str) -> Self {
        Self {
            name: name.into(),
            fingerprint: xxh3_64(name.as_bytes()),
            epoch: AtomicU64::new(0),
            id: AtomicU64::new(0),
            changing: Mutex::new(()),
            doubts: AtomicU64::new(0),
            settled: AtomicU64::new(0),
            extended: AtomicU64::new(0),
        }
    }

    /// The state as of now.
    pub(crate) fn snapshot(self: &Arc<Self>) -> GenerationRef {
        let doubts = self.doubts.load(Ordering::Acquire);
        let (epoch, id) = self.state();
        GenerationRef { cell: Arc::clone(self), epoch, id, doubts }
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

    /// The epoch and the id.
    fn state(&self) -> (u64, Option<u64>) {
        let epoch = self.epoch.load(Ordering::Acquire);
        let id = self.id.load(Ordering::Acquire);
        (epoch, (id != 0).then_some(id))
    }

    /// To be called under the lock.
    fn change(&self, id: Option<u64>) {
        self.id.store(id.unwrap_or(0), Ordering::Release);
        self.extended.store(0, Ordering::Relaxed);
        self.epoch.fetch_add(1, Ordering::AcqRel);
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
        let _changing = lock(&self.changing);
        self.change(None);
    }
}

/// The cells of all scopes in use.
#[derive(Debug, Default)]
pub(crate) struct GenerationTable {
    cells: Mutex<Cells>,
}

#[derive(Debug, Default)]
struct Cells {
    by_name: HashMap<Arc<str>, Arc<GenerationCell>>,
    sweep_at: usize,
}

/// Below this many cells nothing is swept.
const SMALL_TABLE: usize = 1024;

impl GenerationTable {
    /// The cell of a scope, made when first asked for.
    ///
    /// Cells that no entry, fill or namespace refers to are dropped when the table has doubled:
    /// nothing here depends on them, and the store knows their ids. So the table is at most twice
    /// as large as what L1 and the fills in flight need.
    pub(crate) fn cell(&self, name: &str) -> Arc<GenerationCell> {
        let mut cells = lock(&self.cells);
        if let Some(cell) = cells.by_name.get(name) {
            return Arc::clone(cell);
        }
        if cells.by_name.len() >= cells.sweep_at.max(SMALL_TABLE) {
            // The count can only rise under this lock: a clone comes from the table, or from a
            // clone that is counted already.
            cells.by_name.retain(|_, cell| Arc::strong_count(cell) > 1);
            cells.sweep_at = cells.by_name.len() * 2;
        }
        let cell = Arc::new(GenerationCell::new(name));
        cells.by_name.insert(Arc::clone(&cell.name), Arc::clone(&cell));
        cell
    }

    /// The cell under this key of the store, if there is one.
    pub(crate) fn known(&self, key: &[u8]) -> Option<Arc<GenerationCell>> {
        let name = std::str::from_utf8(key).ok()?;
        lock(&self.cells).by_name.get(name).cloned()
    }

    /// Changes of any scope may have been missed.
    pub(crate) fn doubt_all(&self) {
        lock(&self.cells).by_name.values().for_each(|cell| cell.doubt());
    }

    /// How many scopes are known.
    pub(crate) fn len(&self) -> usize {
        lock(&self.cells).by_name.len()
    }
}

/// Ids are written as hex, so that a person can read them.
pub(crate) fn render_id(id: u64) -> String {
    format!("{id:016x}")
}

/// Reads an id from the store; anything else counts as absent.
pub(crate) fn parse_id(stored: &[u8]) -> Option<u64> {
    if stored.len() != 16 || !stored.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    u64::from_str_radix(std::str::from_utf8(stored).ok()?, 16).ok().filter(|id| *id != 0)
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // Nothing in here can panic while it holds the lock half way through a change.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invalidation_ends_what_was_filled_before_and_nothing_else() {
        let table = GenerationTable::default();
        let cell = table.cell("a");
        let before = cell.snapshot();
        assert!(before.is_current());
        cell.invalidate();
        assert!(!before.is_current());
        assert!(cell.snapshot().is_current());
    }

    #[test]
    fn a_reply_that_crossed_an_invalidation_revives_nothing() {
        let cell = GenerationTable::default().cell("a");
        let mut first = cell.snapshot();
        assert!(first.observe(Some(7)));
        let entry = first.clone();

        let mut asked_before = cell.snapshot();
        cell.invalidate();
        assert!(!asked_before.observe(Some(7)), "the reply is older than the invalidation");
        assert!(!entry.is_current());
        assert_eq!(cell.snapshot().id, None);
    }

    #[test]
    fn an_id_that_changes_elsewhere_ends_what_was_filled_under_the_old_one() {
        let cell = GenerationTable::default().cell("a");
        let mut entry = cell.snapshot();
        assert!(entry.observe(Some(1)));
        assert!(cell.snapshot().observe(Some(2)));
        assert!(!entry.is_current());
        // And a rolled-back store does not revive it.
        assert!(cell.snapshot().observe(Some(1)));
        assert!(!entry.is_current());
    }

    #[test]
    fn two_that_learn_the_same_id_at_once_agree() {
        let cell = GenerationTable::default().cell("a");
        let (mut a, mut b) = (cell.snapshot(), cell.snapshot());
        assert!(a.observe(Some(3)) && b.observe(Some(3)));
        assert!(a.is_current() && b.is_current());
    }

    #[test]
    fn a_doubt_is_settled_by_an_answer_to_a_question_asked_after_it() {
        let cell = GenerationTable::default().cell("a");
        let (mut early, mut late) = (cell.snapshot(), cell.snapshot());
        assert!(early.observe(Some(1)) && cell.is_settled());
        cell.doubt();
        assert!(late.observe(Some(1)) && !cell.is_settled(), "asked before");
        assert!(cell.snapshot().observe(Some(1)) && cell.is_settled());
        assert!(late.observe(Some(1)) && cell.is_settled(), "a late answer doubts nothing");
    }

    /// Pinned: what was read before an invalidation elsewhere was learnt after the scope had been
    /// looked into because of it.
    #[test]
    fn a_late_answer_that_differs_from_that_to_a_later_question_is_doubted() {
        let cell = GenerationTable::default().cell("a");
        let mut early = cell.snapshot();
        cell.doubt();
        assert!(cell.snapshot().observe(None) && cell.is_settled());
        assert!(early.observe(Some(1)) && !cell.is_settled());
        assert!(cell.snapshot().observe(None) && cell.is_settled() && !early.is_current());
    }

    #[test]
    fn learning_an_id_interrupts_no_flight_and_an_invalidation_does() {
        let cell = GenerationTable::default().cell("a");
        let flight = cell.snapshot();
        assert!(cell.snapshot().observe(Some(1)));
        assert!(flight.is_uninterrupted() && !flight.is_current());
        assert!(cell.snapshot().observe(Some(2)), "another id: invalidated elsewhere");
        assert!(!flight.is_uninterrupted());

        let flight = cell.snapshot();
        cell.invalidate();
        assert!(!flight.is_uninterrupted());
        assert!(cell.snapshot().observe(Some(3)));
        assert!(!flight.is_uninterrupted());

        let unknown = GenerationTable::default().cell("b");
        let flight = unknown.snapshot();
        unknown.invalidate();
        assert!(!flight.is_uninterrupted());
    }

    #[test]
    fn cells_that_nobody_refers_to_go_and_the_others_stay() {
        let table = GenerationTable::default();
        let kept = table.cell("kept");
        for n in 0..100_000 {
            table.cell(&format!("w:{n}"));
        }
        assert!(table.len() <= SMALL_TABLE * 2, "{}", table.len());
        assert!(Arc::ptr_eq(&kept, &table.cell("kept")));
    }

    #[test]
    fn ids_are_sixteen_hex_digits_and_nothing_else_is_an_id() {
        assert_eq!(parse_id(render_id(0xAB).as_bytes()), Some(0xAB));
        for bad in [
            &b""[..],
            b"ab",
            b"0000000000000000",
            b"zzzzzzzzzzzzzzzz",
            b"+123456789abcdef",
            b"\xff000000000000000",
        ] {
            assert_eq!(parse_id(bad), None, "{bad:?}");
        }
    }
}
