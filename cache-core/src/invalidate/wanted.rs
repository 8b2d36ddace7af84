//! The scopes whose generations one question to the store asks for, each once.

use std::collections::HashMap;
use std::ptr;
use std::sync::Arc;

use bytes::Bytes;
use smallvec::SmallVec;

use crate::error::Error;
use crate::invalidate::generation::{Generation, GenerationCell};
use crate::store::Fetched;

/// Scopes, and once the store has answered, their generations.
#[derive(Debug, Default)]
pub(crate) struct WantedScopes<'c> {
    cells: SmallVec<[&'c GenerationCell; 8]>,
    /// Address of the cell → its place; filled when a search from the front takes too long.
    places: HashMap<usize, usize>,
    found: SmallVec<[Option<Generation>; 8]>,
    /// By place: those of which nothing could be learnt, and why.
    lost: Vec<(usize, Error)>,
}

const FEW: usize = 16;

impl<'c> WantedScopes<'c> {
    pub(crate) fn new(cells: impl IntoIterator<Item = &'c Arc<GenerationCell>>) -> Self {
        let mut wanted = Self::default();
        for cell in cells {
            wanted.add(cell);
        }
        wanted
    }

    fn add(&mut self, cell: &'c GenerationCell) {
        if self.place(cell).is_some() {
            return;
        }
        self.cells.push(cell);
        if self.cells.len() > FEW {
            let known = self.places.len();
            let unknown = self.cells.iter().enumerate().skip(known);
            self.places.extend(unknown.map(|(place, cell)| (address(cell), place)));
        }
    }

    /// There is one cell for each scope.
    fn place(&self, cell: &GenerationCell) -> Option<usize> {
        if self.cells.len() > FEW {
            self.places.get(&address(cell)).copied()
        } else {
            self.cells.iter().position(|known| ptr::eq(*known, cell))
        }
    }

    /// The keys of their generations in the store.
    pub(crate) fn names(&self) -> impl Iterator<Item = &'c str> {
        self.cells.iter().map(|cell| &*cell.name)
    }

    /// Takes in what the store holds under [`names`](Self::names), as far as it is a generation.
    pub(crate) fn answer(&mut self, found: &[Option<Bytes>]) {
        self.found = found.iter().map(|found| Generation::parse(found.as_deref()?)).collect();
    }

    /// As [`answer`](Self::answer), where some may have failed.
    pub(crate) fn answer_each(&mut self, found: impl IntoIterator<Item = Fetched>) {
        self.found.clear();
        for (place, found) in found.into_iter().enumerate() {
            self.found.push(match found {
                Ok(found) => found.as_deref().and_then(Generation::parse),
                Err(error) => {
                    self.lost.push((place, error));
                    None
                }
            });
        }
    }

    /// Why nothing could be learnt of a scope, if so.
    pub(crate) fn error(&self, cell: &GenerationCell) -> Option<&Error> {
        if self.lost.is_empty() {
            return None;
        }
        let place = self.place(cell)?;
        self.lost.iter().find(|(lost, _)| *lost == place).map(|(_, error)| error)
    }

    /// The generation of a scope, according to the answer.
    pub(crate) fn found(&self, cell: &GenerationCell) -> Option<Generation> {
        self.found.get(self.place(cell)?).cloned().flatten()
    }
}

fn address(cell: &GenerationCell) -> usize {
    ptr::from_ref(cell).addr()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::invalidate::generation::{GenerationTable, render_id};

    #[test]
    fn each_scope_is_asked_for_once_and_found_again_however_many_there_are() {
        let table = GenerationTable::default();
        for count in [0, 1, FEW - 1, FEW, FEW + 1, 100] {
            let cells: Vec<_> = (0..count).map(|n| table.cell(&n.to_string())).collect();
            let mut wanted = WantedScopes::new(cells.iter().chain(&cells));
            assert!(wanted.names().eq((0..count).map(|n| n.to_string())), "{count}");
            assert!(cells.iter().all(|cell| wanted.found(cell).is_none()));
            let id = |n: usize| Some(Bytes::from(render_id(n as u64 + 1)));
            let found: Vec<_> = (0..count).map(id).collect();
            wanted.answer(&found);
            for (n, cell) in cells.iter().enumerate() {
                assert_eq!(wanted.found(cell).map(|found| found.id), Some(n as u64 + 1));
            }
        }
    }
}
