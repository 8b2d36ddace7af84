//! Adding to the board: written first, as pending; then the generation of the namespace is ended.

use std::time::Duration;

use bytes::Bytes;

use super::adopt::Found;
use super::{Board, Facts};
use crate::clock::{Deadline, as_millis};
use crate::error::{Error, ErrorKind};
use crate::state::{Inner, NamespaceState};
use crate::store::{Put, Store, WriteBatch};

/// Another's write may come in between so often.
const ATTEMPTS: usize = 8;
/// How long a board outlives its last use; it is written again long before.
const LIFETIME: Duration = Duration::from_secs(30 * 24 * 60 * 60);

impl Inner {
    /// Puts all on the board that is known here, and finishes what another has begun. With `bump`,
    /// the version is one higher then.
    pub(super) async fn publish(
        &self,
        store: &dyn Store,
        namespace: &NamespaceState,
        mut found: Option<Found>,
        bump: bool,
        deadline: Deadline,
    ) -> Result<(), Error> {
        for _ in 0..ATTEMPTS {
            let found = match found.take() {
                Some(found) => found,
                None => self.read_board(store, namespace, deadline).await?,
            };
            let (lost, before) = (found.board.is_none(), found.board.unwrap_or_default());
            let mut facts = namespace.facts();
            if let Some(more) = facts.learn(&before) {
                facts = more.into();
            }
            if bump {
                facts = facts.bump().ok_or_else(at_the_limit)?.into();
            }
            let now = self.clock.now();
            let mut board = Board::updated(lost, before.clone(), &facts, now);
            let adds = lost || board.adds_to(&before);
            let mut state = Bytes::copy_from_slice(&found.state);
            if adds {
                board.pending = true;
                match self.put_board(store, namespace, &board, state, deadline).await {
                    Ok(Some(written)) => state = written,
                    Ok(None) => continue,
                    // What is no string can't be compared with.
                    Err(error)
                        if lost
                            && matches!(error.kind(), ErrorKind::Denied | ErrorKind::Protocol) =>
                    {
                        if store.remove(&[&*namespace.board.key], deadline).await? == 0 {
                            return Err(error);
                        }
                        continue;
                    }
                    Err(error) => return Err(error),
                }
            }
            namespace.take_over(&facts, &board);
            if adds || before.pending {
                let deletions = namespace.deletions();
                self.end_generation(store, namespace, deadline).await?;
                namespace.cover_deletions(deletions);
                board.pending = false;
                // If somebody else has written it since, they finish it. So does, if this comes to
                // nothing, whoever reads it next.
                let finished = self.put_board(store, namespace, &board, state, deadline).await;
                if let Err(error) = finished {
                    tracing::debug!(%error, namespace = %namespace.name, "a board stays pending");
                }
            }
            namespace.published(&board, store.incarnation());
            return Ok(());
        }
        Err(Error::new(ErrorKind::Unavailable, "too many write the board of the namespace"))
    }

    /// What is known here, if others may not know it yet.
    pub(crate) async fn publish_owed(
        &self,
        store: &dyn Store,
        namespace: &NamespaceState,
        deadline: Deadline,
    ) -> Result<(), Error> {
        if !namespace.board.owes(store.incarnation()) {
            return Ok(());
        }
        let found = self.read_board(store, namespace, deadline).await?;
        self.take_in(store, namespace, found, None, deadline).await.map(drop)
    }

    /// Tells the store all that it is to be told: what is queued, and what was declared.
    pub(crate) async fn tell_all(
        &self,
        store: &dyn Store,
        deadline: Deadline,
    ) -> Result<(), Error> {
        self.unconfirmed.repeat_now(store, deadline).await?;
        for namespace in self.namespaces() {
            self.publish_owed(store, &namespace, deadline).await?;
        }
        Ok(())
    }

    /// Raises the version of a namespace; what it is then.
    pub(crate) async fn bump_version(
        &self,
        namespace: &NamespaceState,
        deadline: Deadline,
    ) -> Result<u32, Error> {
        let Some(store) = self.shared_store() else {
            return namespace.bump_here().ok_or_else(at_the_limit);
        };
        if !store.is_available() {
            // Why it is not worth asking, it says at once.
            store.ping(deadline).await?;
        }
        if self.settled_store(deadline).await.is_none() {
            let what = "an invalidation is not confirmed yet, or the store may have been put back";
            return Err(Error::new(ErrorKind::Unavailable, what));
        }
        self.publish(&**store, namespace, None, true, deadline).await?;
        Ok(namespace.facts().version())
    }

    /// Writes the board again, so that neither it nor what is declared here is forgotten.
    pub(super) async fn refresh_board(
        &self,
        store: &dyn Store,
        namespace: &NamespaceState,
        found: &Found,
        deadline: Deadline,
    ) -> Result<(), Error> {
        let (facts, now) = (namespace.facts(), self.clock.now());
        let Some(board) = found.board.as_ref().filter(|board| board.is_due(&facts, now)) else {
            return Ok(());
        };
        let board = Board::updated(false, board.clone(), &facts, now);
        let state = Bytes::copy_from_slice(&found.state);
        self.put_board(store, namespace, &board, state, deadline).await.map(drop)
    }

    /// Writes the board if it is still what it was; what tells it from others then.
    async fn put_board(
        &self,
        store: &dyn Store,
        namespace: &NamespaceState,
        board: &Board,
        expect: Bytes,
        deadline: Deadline,
    ) -> Result<Option<Bytes>, Error> {
        let (key, id) = (&*namespace.board.key, fastrand::u64(1..));
        let value = board.encode(key, id).ok_or_else(|| {
            Error::new(ErrorKind::Encode, "what is declared of the namespace can't be written")
        })?;
        let keep_for = Some(as_millis(LIFETIME));
        let put = Put { key: key.to_owned(), value, keep_for, expect: Some(expect), guard: None };
        let written =
            store.write(WriteBatch { puts: &[put], ..WriteBatch::default() }, deadline).await?;
        let stored = written.stored.first() == Some(&true);
        Ok(stored.then(|| Bytes::copy_from_slice(&id.to_le_bytes())))
    }
}

impl NamespaceState {
    /// What a board says that was written from here, or that is to be finished here. Until that is
    /// done, nothing is adopted.
    fn take_over(&self, wanted: &Facts, board: &Board) {
        let mut sync = self.board.sync();
        (sync.read, sync.published) = (true, false);
        let mut facts = self.facts();
        if let Some(more) = facts.learn(board) {
            facts = more.into();
        }
        if let Some(fewer) = facts.without_refused(wanted, board) {
            tracing::warn!(namespace = %self.name, "too many patterns: those declared last are swept");
            facts = fewer.into();
        }
        if !self.board.is_current(&facts) {
            self.board.replace((*facts).clone());
        }
        self.disown(&sync);
    }

    /// All that the board says is in force.
    fn published(&self, board: &Board, incarnation: u64) {
        let mut sync = self.board.sync();
        if board.covers(&self.facts()) {
            (sync.published, sync.incarnation) = (true, incarnation);
        }
    }

    /// In this process only; `None`: there is no higher version.
    fn bump_here(&self) -> Option<u32> {
        let sync = self.board.sync();
        let facts = self.facts().bump()?;
        let version = facts.version();
        self.board.replace(facts);
        self.disown(&sync);
        Some(version)
    }
}

fn at_the_limit() -> Error {
    Error::new(ErrorKind::Config, "the namespace has the highest version that there is")
}
