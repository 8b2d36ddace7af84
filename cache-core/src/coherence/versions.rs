//! The table of versions: how often a key, or one that shares its cell, was seen to change.

use std::sync::atomic::{AtomicU32, Ordering};

/// A power of two; a megabyte in all. Two keys that share a cell cost each other reads, no more.
const CELLS: usize = 1 << 18;

/// Versions of all keys there could be.
pub(crate) struct Versions(Box<[AtomicU32]>);

/// The state of a key before it was read.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Noted {
    cell: u32,
    version: u32,
    era: u32,
}

/// What an entry remembers of the state from before it was read.
#[derive(Debug, Default)]
pub(crate) struct Mark {
    cell: u32,
    version: AtomicU32,
    /// The session of the watcher whose proofs cover the entry; [`NO_ERA`]: none does.
    era: AtomicU32,
}

/// Of an entry that no push would tell about, because the store need not have it.
pub(crate) const NO_ERA: u32 = 0;

impl Default for Versions {
    fn default() -> Self {
        Self((0..CELLS).map(|_| AtomicU32::new(0)).collect())
    }
}

impl std::fmt::Debug for Versions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Versions").field("cells", &self.0.len()).finish()
    }
}

impl Versions {
    #[allow(clippy::cast_possible_truncation, reason = "the low bits of a hash choose the cell")]
    fn index(hash: u64) -> u32 {
        hash as u32 & (CELLS as u32 - 1)
    }

    fn cell(&self, index: u32) -> Option<&AtomicU32> {
        self.0.get(index as usize)
    }

    fn load(&self, index: u32) -> u32 {
        self.cell(index).map_or(0, |cell| cell.load(Ordering::Acquire))
    }

    pub(crate) fn note(&self, hash: u64, era: u32) -> Noted {
        let cell = Self::index(hash);
        Noted { cell, version: self.load(cell), era }
    }

    /// A key has changed: nothing that was read of it before counts. The version until now.
    pub(crate) fn raise(&self, hash: u64) -> u32 {
        self.cell(Self::index(hash)).map_or(0, |cell| cell.fetch_add(1, Ordering::AcqRel))
    }

    /// Any key may have changed.
    pub(crate) fn raise_all(&self) {
        for cell in &self.0 {
            cell.fetch_add(1, Ordering::AcqRel);
        }
    }

    pub(crate) fn is_current(&self, mark: &Mark) -> bool {
        self.load(mark.cell) == mark.version.load(Ordering::Acquire)
    }

    pub(crate) fn is_as_noted(&self, noted: Noted) -> bool {
        self.load(noted.cell) == noted.version
    }

    /// The version as of now, if it is not the one that is remembered.
    pub(crate) fn moved_on(&self, mark: &Mark) -> Option<u32> {
        let now = self.load(mark.cell);
        (now != mark.version.load(Ordering::Acquire)).then_some(now)
    }

    /// The version of the cell that a mark is about.
    pub(crate) fn of(&self, mark: &Mark) -> u32 {
        self.load(mark.cell)
    }

    /// As [`raise`](Self::raise), for the key of an entry.
    pub(crate) fn raise_cell_of(&self, mark: &Mark) {
        if let Some(cell) = self.cell(mark.cell) {
            cell.fetch_add(1, Ordering::AcqRel);
        }
    }
}

impl Noted {
    /// For an entry that the store has, or had when it was read.
    pub(crate) fn covered(self) -> Mark {
        let Self { cell, version, era } = self;
        Mark { cell, version: version.into(), era: era.into() }
    }

    /// For an entry that the store need not have.
    pub(crate) fn uncovered(self) -> Mark {
        Self { era: NO_ERA, ..self }.covered()
    }
}

impl Mark {
    pub(crate) fn era(&self) -> u32 {
        self.era.load(Ordering::Acquire)
    }

    /// The store has the entry now: proofs since that session began cover it.
    pub(crate) fn cover(&self, noted: Noted) {
        self.era.store(noted.era, Ordering::Release);
    }

    pub(crate) fn set_version(&self, version: u32) {
        self.version.store(version, Ordering::Release);
    }

    /// Goes along with the one change that made the version `before` the next, if the entry was
    /// current until then.
    pub(crate) fn advance(&self, before: u32) {
        // Otherwise it was suspect, and stays so.
        let _ = self.version.compare_exchange(
            before,
            before.wrapping_add(1),
            Ordering::AcqRel,
            Ordering::Acquire,
        );
    }
}

impl Clone for Mark {
    fn clone(&self) -> Self {
        let version = self.version.load(Ordering::Acquire).into();
        Self { cell: self.cell, version, era: self.era().into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_noted_before_a_change_is_suspect_and_what_is_noted_after_is_not() {
        let versions = Versions::default();
        let before = versions.note(7, 1).covered();
        let other = versions.note(8, 1).covered();
        assert!(versions.is_current(&before));
        assert_eq!(versions.raise(7), 0);
        assert!(!versions.is_current(&before) && versions.is_current(&other));
        assert!(versions.is_current(&versions.note(7, 1).covered()));
        versions.raise_all();
        assert!(!versions.is_current(&other));
    }

    #[test]
    fn keys_of_one_cell_cost_each_other_a_read_and_no_more() {
        let versions = Versions::default();
        let one = versions.note(1, 1).covered();
        versions.raise(1 + CELLS as u64);
        assert_eq!(versions.moved_on(&one), Some(1));
    }

    #[test]
    fn an_echo_takes_along_what_was_current_and_nothing_else() {
        let versions = Versions::default();
        let (written, suspect) = (versions.note(3, 1).covered(), versions.note(3, 1).covered());
        suspect.set_version(99);
        let before = versions.raise(3);
        written.advance(before);
        suspect.advance(before);
        assert!(versions.is_current(&written) && !versions.is_current(&suspect));
        // Another change came between.
        let before = versions.raise(3);
        versions.raise(3);
        written.advance(before);
        assert!(!versions.is_current(&written));
    }

    #[test]
    fn a_table_takes_a_megabyte_whatever_is_pushed() {
        let versions = Versions::default();
        for hash in 0..1_000_000 {
            versions.raise(hash);
        }
        assert_eq!(versions.0.len() * size_of::<AtomicU32>(), 1 << 20);
    }
}
