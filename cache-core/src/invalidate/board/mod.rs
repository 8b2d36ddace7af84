//! The board of a namespace: what all who use it have to know, whatever code they run.
//!
//! - `facts`: what keys are made by (pure); `wire`: the board as it is stored (pure);
//! - `adopt`: meeting a generation of the namespace, and reading the board; `keep`: keeping the
//!   board alive;
//! - `publish`: adding to the board.
//!
//! # What for
//!
//! An entry that matches a declared pattern carries a generation of that pattern's instance, and
//! the pattern is invalidated by ending it. So whoever fills entries has to know all patterns that
//! anybody declares, also those of code that is older or newer than its own. And a namespace's
//! version can be raised while all of them run. The board, a key of its own beside the generations,
//! holds the shapes of the patterns and the number of bumps.
//!
//! # Why nobody misses what is on it
//!
//! *Every entry that is valid under a generation of the namespace was filled by an instance that had
//! read the board after that generation came into being.*
//!
//! 1. Whoever learns of a generation of the namespace that it has not **adopted** reads the board
//!    before it trusts anything under it, or fills anything. If the board says something new, the
//!    keys made before are of no use: a miss that is not stored.
//! 2. Whoever adds something writes the board first, marked as **pending**, then removes the
//!    generation, and takes the mark off. So a generation that was there before the addition ends,
//!    and one that comes later is adopted by those only who have read it.
//! 3. Who finds the mark does the rest of that work before it adopts anything: the one who began it
//!    may be gone.
//!
//! What is added in vain (it was there) costs a read: a process that is restarted empties nothing.
//!
//! # When it is lost
//!
//! The lowest bit of a namespace's generation says whether its maker knew of a board. One that does
//! not agree with what is there is not adopted, but removed: entries under it may carry what is not
//! known any more, or lack what is. And whoever knows what was on a board that has gone, or lacks
//! what is declared here, publishes it again: when it next meets a generation, and in the rounds of
//! `keepalive`. So an instance that has started since a loss, and knows of nothing, is covered by an
//! invalidation of a pattern within a round (5 s) of those who know it.
//!
//! Bumps never go back in a living process: it publishes the higher number again.
//!
//! # Deletions during a bump
//!
//! A key that is deleted by one who has not heard of a bump is deleted under the older version. So
//! who learns of a bump, and has deleted something since it last adopted a generation, removes the
//! generation once more: at its next read, or within a round.

mod adopt;
mod facts;
mod keep;
mod publish;
#[cfg(test)]
mod tests;
mod wire;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use self::facts::Declared;
use self::wire::Board;
use crate::invalidate::Template;
use crate::invalidate::generation::GenerationRef;
use crate::state::NamespaceState;

pub(crate) use facts::Facts;

/// What is known here of a namespace's board.
#[derive(Debug)]
pub(crate) struct BoardState {
    /// Its key in the store.
    key: Box<str>,
    facts: RwLock<Arc<Facts>>,
    /// The generation of the namespace that was adopted last; zero: none. Changed under the lock.
    adopted: AtomicU64,
    sync: Mutex<Sync>,
    /// Held by the one that meets a generation.
    meeting: tokio::sync::Mutex<()>,
}

/// How far what is known here agrees with the store.
#[derive(Debug, Default)]
struct Sync {
    /// What the store was then.
    incarnation: u64,
    /// All that is declared here was on the board, and the generation from before has ended.
    published: bool,
    /// A board has been read.
    read: bool,
    /// Counts the deletions of keys.
    deletions: u64,
    /// Those after which a generation was adopted, or removed.
    covered: u64,
}

impl BoardState {
    pub(crate) fn new(key: String, facts: Facts) -> Self {
        Self {
            key: key.into(),
            facts: RwLock::new(Arc::new(facts)),
            adopted: AtomicU64::new(0),
            sync: Mutex::default(),
            meeting: tokio::sync::Mutex::default(),
        }
    }

    pub(crate) fn is_current(&self, facts: &Arc<Facts>) -> bool {
        Arc::ptr_eq(facts, &self.facts.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether the board need not be read for this generation of the namespace.
    fn has_met(&self, generation: Option<u64>, incarnation: u64) -> bool {
        match generation {
            Some(id) => self.has_adopted(id, incarnation),
            // Nothing is valid. But what is filled next has to be filled for good.
            None => !self.owes(incarnation),
        }
    }

    /// Whether the board was read since the generation came into being.
    fn has_adopted(&self, id: u64, incarnation: u64) -> bool {
        let sync = self.sync();
        self.adopted.load(Ordering::Acquire) == id && sync.incarnation == incarnation
    }

    /// Whether what is known here may still be unknown to others.
    fn owes(&self, incarnation: u64) -> bool {
        let sync = self.sync();
        self.is_to_be_there(&sync) && !(sync.published && sync.incarnation == incarnation)
    }

    /// Whether the store has to have a board, as far as is known here.
    fn is_to_be_there(&self, sync: &Sync) -> bool {
        sync.read || self.facts().say_something()
    }

    fn facts(&self) -> Arc<Facts> {
        Arc::clone(&self.facts.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// To be called under the lock of what is told beside it.
    fn replace(&self, facts: Facts) {
        *self.facts.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(facts);
    }

    fn sync(&self) -> MutexGuard<'_, Sync> {
        self.sync.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl NamespaceState {
    /// What keys are made by now.
    pub(crate) fn facts(&self) -> Arc<Facts> {
        self.board.facts()
    }

    /// From now on entries that match carry a generation of their own. False if the limit of
    /// templates is reached. Others learn of it when this process next asks the store for the
    /// namespace, or invalidates such a pattern.
    pub(crate) fn declare(&self, template: &Template) -> bool {
        let mut sync = self.board.sync();
        match self.facts().declare(template) {
            None => return false,
            Some(Declared::Before) => {}
            Some(Declared::ByOthers(facts)) => self.board.replace(facts),
            Some(Declared::New(facts)) => {
                self.board.replace(facts);
                sync.published = false;
                self.disown(&sync);
            }
        }
        true
    }

    /// What is in L1 does not carry what has been added: it is read again, and checked. Nothing is
    /// adopted any more.
    fn disown(&self, _held: &Sync) {
        self.board.adopted.store(0, Ordering::Release);
        self.cell.invalidate();
    }

    /// Whether an entry may be kept under this generation of the namespace: one that was adopted,
    /// or, where the store has none or is away, none.
    pub(crate) fn vouches_for(&self, generations: &[GenerationRef]) -> bool {
        let adopted = self.board.adopted.load(Ordering::Acquire);
        self.generation(generations).is_none_or(|id| id == adopted)
    }

    /// The id of this namespace's generation among those of a key.
    pub(crate) fn generation(&self, generations: &[GenerationRef]) -> Option<u64> {
        let own = |generation: &&GenerationRef| Arc::ptr_eq(&generation.cell, &self.cell);
        generations.iter().find(own)?.id()
    }

    /// A new id for this namespace's generation.
    pub(crate) fn new_generation(&self) -> u64 {
        let sync = self.board.sync();
        let known = u64::from(self.board.is_to_be_there(&sync));
        fastrand::u64(2..) & !1 | known
    }

    /// Keys of the present version are about to be deleted.
    pub(crate) fn note_deletions(&self) {
        self.board.sync().deletions += 1;
    }
}

/// Whether the maker of a generation knew of a board.
fn knew_of_board(id: u64) -> bool {
    id & 1 == 1
}
