//! Meeting a generation of the namespace: the board is read before anything under it is trusted.

use std::sync::atomic::Ordering;

use bytes::Bytes;

use super::{Board, knew_of_board};
use crate::clock::Deadline;
use crate::codec::{WriteId, write_id};
use crate::error::{Error, ErrorKind};
use crate::invalidate::queue::Pending;
use crate::invalidate::replay;
use crate::state::{Inner, NamespaceState};
use crate::store::Store;

/// A board as it was found.
#[derive(Debug)]
pub(super) struct Found {
    /// What a conditional put has to compare with.
    pub(super) state: WriteId,
    pub(super) board: Option<Board>,
    asked: Asked,
}

/// The state in which the store was asked for a board.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked {
    incarnation: u64,
    deletions: u64,
}

impl Asked {
    pub(super) fn now(store: &dyn Store, namespace: &NamespaceState) -> Self {
        Self { incarnation: store.incarnation(), deletions: namespace.board.sync().deletions }
    }
}

impl Found {
    pub(super) fn new(key: &str, stored: Option<&Bytes>, asked: Asked) -> Self {
        let board = stored.and_then(|stored| Board::decode(key, stored));
        Self { state: write_id(stored), board, asked }
    }
}

impl Inner {
    /// Whether what the store holds under this generation of a namespace may be trusted, and
    /// something may be filled under it. False: the namespace has another from now on.
    ///
    /// # Errors
    /// When the board can't be read, or what is owed to it can't be written: then nothing is
    /// trusted.
    pub(crate) async fn meet(
        &self,
        store: &dyn Store,
        namespace: &NamespaceState,
        generation: Option<u64>,
        deadline: Deadline,
    ) -> Result<bool, Error> {
        if namespace.board.has_met(generation, store.incarnation()) {
            return Ok(true);
        }
        // Of many who meet it at the same time one reads the board.
        let waiting = tokio::time::timeout_at(deadline.instant(), namespace.board.meeting.lock());
        let Ok(_meeting) = waiting.await else {
            return Err(Error::new(ErrorKind::Timeout, "the board of the namespace is being read"));
        };
        if namespace.board.has_met(generation, store.incarnation()) {
            return Ok(true);
        }
        let found = self.read_board(store, namespace, deadline).await?;
        self.take_in(store, namespace, found, generation, deadline).await
    }

    /// Takes in what the board says by now: before something is done to all keys of the namespace.
    pub(crate) async fn catch_up(
        &self,
        store: &dyn Store,
        namespace: &NamespaceState,
        deadline: Deadline,
    ) -> Result<(), Error> {
        if !self.unconfirmed.settle(store, deadline).await {
            return Err(Error::new(ErrorKind::Unavailable, "an invalidation is not confirmed yet"));
        }
        let found = self.read_board(store, namespace, deadline).await?;
        self.take_in(store, namespace, found, None, deadline).await.map(drop)
    }

    pub(super) async fn read_board(
        &self,
        store: &dyn Store,
        namespace: &NamespaceState,
        deadline: Deadline,
    ) -> Result<Found, Error> {
        let key = &*namespace.board.key;
        let asked = Asked::now(store, namespace);
        let found = self.fetch(store, &[key], deadline).await?;
        Ok(Found::new(key, found.first().and_then(Option::as_ref), asked))
    }

    /// Brings a board and what is known here together. The generation is one that was seen before
    /// the board was read. Whether it stands and is adopted (or there is none).
    pub(super) async fn take_in(
        &self,
        store: &dyn Store,
        namespace: &NamespaceState,
        found: Found,
        generation: Option<u64>,
        deadline: Deadline,
    ) -> Result<bool, Error> {
        if !namespace.agrees_with(&found) {
            self.publish(store, namespace, Some(found), false, deadline).await?;
            return Ok(false);
        }
        let is_of_another = generation.is_some_and(|id| knew_of_board(id) != found.board.is_some());
        if is_of_another || namespace.has_deleted_before(&found) {
            let deletions = namespace.deletions();
            self.end_generation(store, namespace, deadline).await?;
            namespace.cover_deletions(deletions);
            namespace.adopt(&found, None);
            return Ok(false);
        }
        Ok(namespace.adopt(&found, generation))
    }

    /// Removes the generation of a namespace. What can't be removed now, is removed later.
    pub(super) async fn end_generation(
        &self,
        store: &dyn Store,
        namespace: &NamespaceState,
        deadline: Deadline,
    ) -> Result<(), Error> {
        let name = &namespace.cell.name;
        let removal = || Pending::generation(name, None);
        self.note_removals(std::iter::once(removal()));
        namespace.cell.invalidate();
        let removed = store.remove(&[&**name], deadline).await;
        if removed.is_err() {
            self.unconfirmed.add(vec![removal()], self.clock.now());
            if let Some(inner) = self.me.upgrade() {
                replay::ensure(&inner);
            }
        }
        // What was read meanwhile may have learnt the old one.
        namespace.cell.invalidate();
        removed.map(drop)
    }
}

impl NamespaceState {
    /// Whether nothing has to be written, or finished.
    fn agrees_with(&self, found: &Found) -> bool {
        let sync = self.board.sync();
        match &found.board {
            Some(board) => !board.pending && board.covers(&self.facts()),
            None => !self.board.is_to_be_there(&sync),
        }
    }

    /// Takes in what a board says, and adopts the generation that was seen before it was read, if
    /// nothing was declared meanwhile.
    fn adopt(&self, found: &Found, generation: Option<u64>) -> bool {
        let mut sync = self.board.sync();
        if self.is_bumped_after_deletions(&sync, found) {
            return false;
        }
        let facts = self.facts();
        let says_all = match &found.board {
            Some(board) => {
                sync.read = true;
                if let Some(more) = facts.learn(board) {
                    self.board.replace(more);
                    self.disown(&sync);
                }
                board.covers(&facts)
            }
            None => !self.board.is_to_be_there(&sync),
        };
        if says_all {
            sync.published = true;
            sync.incarnation = found.asked.incarnation;
            if let Some(id) = generation {
                self.board.adopted.store(id, Ordering::Release);
            }
            // What is filled under a later version is asked for after all of these.
            sync.covered = sync.covered.max(found.asked.deletions);
        }
        says_all
    }

    /// Whether the board tells of a bump that is not known here, and something was deleted under
    /// the version before it.
    fn has_deleted_before(&self, found: &Found) -> bool {
        self.is_bumped_after_deletions(&self.board.sync(), found)
    }

    fn is_bumped_after_deletions(&self, sync: &super::Sync, found: &Found) -> bool {
        let bumped = found.board.as_ref().is_some_and(|board| board.bumps > self.facts().bumps());
        bumped && sync.deletions != sync.covered
    }

    pub(super) fn deletions(&self) -> u64 {
        self.board.sync().deletions
    }

    /// The generation has been removed since there were so many deletions.
    pub(super) fn cover_deletions(&self, deletions: u64) {
        let mut sync = self.board.sync();
        sync.covered = sync.covered.max(deletions);
    }
}
