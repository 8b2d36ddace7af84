//! The cells of all scopes in use.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, Weak};

use super::cell::{GenerationCell, lock};

/// One cell for each scope.
#[derive(Debug, Default)]
pub(crate) struct GenerationTable {
    cells: Mutex<Cells>,
}

#[derive(Debug, Default)]
pub(super) struct Cells {
    pub(super) by_name: HashMap<Arc<str>, Arc<GenerationCell>>,
    sweep_at: usize,
    /// All of them, in the order of their turns to be kept alive.
    pub(super) turns: VecDeque<Weak<GenerationCell>>,
}

/// Below this many cells nothing is swept.
pub(super) const SMALL_TABLE: usize = 1024;
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

    #[cfg(test)]
    pub(super) fn cells(&self) -> std::sync::MutexGuard<'_, Cells> {
        lock(&self.cells)
    }

    /// How many scopes are known.
    pub(crate) fn len(&self) -> usize {
        lock(&self.cells).by_name.len()
    }
}
