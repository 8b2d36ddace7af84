//! The local table of generations.
//!
//! A scope's current generation is a random id in the store. Here, each scope in use has a cell
//! with the id as last seen and an **epoch** that counts every change of it. A fill remembers the
//! epochs before it begins; what it produced is valid as long as all of them still stand. Epochs
//! only grow, so an id that comes back (a late reply, a restored snapshot) revives nothing here.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

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
    /// All of them, in the order of their turns to be kept alive.
    turns: VecDeque<Weak<GenerationCell>>,
}

/// Below this many cells nothing is swept.
const SMALL_TABLE: usize = 1024;
/// For each cell that is wanted, so many are looked at.
const LOOKED_AT: usize = 16;

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
            cells.turns.retain(|cell| cell.strong_count() > 0);
            cells.sweep_at = cells.by_name.len() * 2;
        }
        let cell = Arc::new(GenerationCell::new(name));
        cells.by_name.insert(Arc::clone(&cell.name), Arc::clone(&cell));
        cells.turns.push_back(Arc::downgrade(&cell));
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

    /// Cells that are in use: at most so many, and others the next time. Some of those that are not
    /// are dropped on the way, so that the table gets small again when nothing is added to it.
    pub(crate) fn next_in_use(&self, most: usize) -> Vec<Arc<GenerationCell>> {
        let mut cells = lock(&self.cells);
        let mut found = Vec::new();
        for _ in 0..cells.turns.len().min(most.saturating_mul(LOOKED_AT)) {
            if found.len() == most {
                break;
            }
            let Some(turn) = cells.turns.pop_front() else { break };
            let Some(cell) = turn.upgrade() else { continue };
            // The table's, and this one.
            let in_use = Arc::strong_count(&cell) > 2;
            if !in_use && cells.by_name.len() > SMALL_TABLE {
                cells.by_name.remove(&cell.name);
                continue;
            }
            cells.turns.push_back(turn);
            if in_use {
                found.push(cell);
            }
        }
        let least = cells.by_name.len().max(SMALL_TABLE) * 2;
        if cells.by_name.capacity() > least * 2 {
            cells.by_name.shrink_to(least);
            cells.turns.shrink_to(least);
            cells.sweep_at = least;
        }
        found
    }

    /// Takes back what [`GenerationCell::extend`] noted, of all: the store may have forgotten it.
    pub(crate) fn forget_extensions(&self) {
        lock(&self.cells).by_name.values().for_each(|cell| cell.forget_extension());
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
mod tests;
