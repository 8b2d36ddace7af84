//! Roll back: a store that forgets what it has confirmed.
//!
//! A restored snapshot, or a replica that lagged and took over, brings back old generations
//! together with the entries under them. So each instance keeps a **journal** of the removals that
//! it asked for (deletions, invalidations, and of what it has set: the keys). When the store turns
//! out to be another than before ([`Store::incarnation`]), all of that is queued once more, and so
//! is repeated before the store is asked anything.
//!
//! Other instances have journals of their own. Until all of them have noticed and repeated theirs,
//! nothing is read from the store; unless it has come back empty: then there is nothing old in it.
//! (The first to find it so leaves word of that, with the name of the server: the others come when it
//! is not empty any more.)
//!
//! The journal is bounded by count, and knows no age. What does not fit widens as in the queue: to
//! the namespace, and if that is not enough, to everything under the prefix.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;

use crate::clock::{Clock, Deadline, Millis};
use crate::error::{Error, ErrorKind};
use crate::invalidate::keepalive;
use crate::invalidate::queue::{Pending, Queue};
use crate::state::Inner;
use crate::store::{BoxFuture, Fetched, Store};

/// So many removals are remembered one by one.
const MOST: usize = 4096;

/// What has to be done once the store turns out to be another.
#[derive(Debug)]
pub(crate) struct Rollback {
    journal: Mutex<Queue>,
    changes: Mutex<Changes>,
    /// What the store was when all that it may have forgotten had been repeated.
    settled: AtomicU64,
    held: AtomicBool,
    clock: Clock,
    /// How long it takes others to notice, too.
    noticed_within: Duration,
    /// The generation of everything.
    everything: Arc<str>,
}

#[derive(Debug, Default)]
struct Changes {
    /// For which incarnation the journal has been queued.
    begun: u64,
    count: u64,
    last: Option<Millis>,
    hold_until: Option<Deadline>,
}

/// What health says of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RollbackState {
    pub(crate) journal: usize,
    pub(crate) overflowed: bool,
    pub(crate) changes: u64,
    pub(crate) changed_at: Option<Millis>,
    pub(crate) held: bool,
}

impl Rollback {
    pub(crate) fn new(
        everything: Arc<str>,
        clock: Clock,
        noticed_within: Duration,
        incarnation: u64,
    ) -> Self {
        Self {
            journal: Mutex::default(),
            changes: Mutex::new(Changes { begun: incarnation, ..Changes::default() }),
            settled: AtomicU64::new(incarnation),
            held: AtomicBool::new(false),
            clock,
            noticed_within,
            everything,
        }
    }

    /// Remembers removals. To be called before the store is asked for them: then those that it
    /// confirmed before it turned out to be another are in here by then.
    fn note(&self, removals: impl Iterator<Item = Pending>) {
        let now = self.clock.now();
        let mut journal = lock(&self.journal);
        removals.for_each(|removal| journal.insert(removal, &self.everything, now));
        journal.bound(MOST, &self.everything);
    }

    /// Whether the store, being this, knows of all that was confirmed.
    pub(crate) fn is_settled(&self, incarnation: u64) -> bool {
        self.settled.load(Ordering::Acquire) == incarnation
    }

    /// What has to be repeated since the store has become this; `None`: it is queued already.
    pub(super) fn begin(&self, incarnation: u64) -> Option<(Vec<Pending>, Millis)> {
        let mut changes = lock(&self.changes);
        if changes.begun == incarnation {
            return None;
        }
        let now = self.clock.now();
        changes.begun = incarnation;
        changes.count += 1;
        changes.last = Some(now);
        drop(changes);
        let once_more = lock(&self.journal).copies();
        let removals = once_more.len();
        tracing::warn!(removals, "the store is another than before, and may have forgotten some");
        Some((once_more, now))
    }

    /// All of that has been repeated. What others have to repeat may still be there, unless the
    /// store is empty.
    pub(super) fn settle(&self, incarnation: u64, empty: bool) {
        let mut changes = lock(&self.changes);
        changes.hold_until = (!empty).then(|| Deadline::after(self.noticed_within));
        self.held.store(!empty, Ordering::Release);
        self.settled.store(incarnation, Ordering::Release);
    }

    /// Whether other instances may still have to repeat what the store has forgotten.
    pub(crate) fn holds_reads(&self) -> bool {
        if !self.held.load(Ordering::Acquire) {
            return false;
        }
        let changes = lock(&self.changes);
        let held = changes.hold_until.is_some_and(|until| !until.has_passed());
        self.held.store(held, Ordering::Release);
        held
    }

    pub(crate) fn state(&self) -> RollbackState {
        let journal = lock(&self.journal);
        let (len, overflowed) = (journal.len(), journal.contains(&self.everything));
        drop(journal);
        let changes = lock(&self.changes);
        let (count, last) = (changes.count, changes.last);
        drop(changes);
        RollbackState {
            journal: len,
            overflowed,
            changes: count,
            changed_at: last,
            held: self.holds_reads(),
        }
    }
}

impl Inner {
    /// Remembers removals that the store is about to be asked for.
    pub(crate) fn note_removals(&self, removals: impl Iterator<Item = Pending>) {
        self.rollback.note(removals);
        // Who has something to repeat has to notice.
        keepalive::ensure(self);
    }

    /// What the store holds under these keys. An answer that it gave while it turned out to be
    /// another is none.
    pub(crate) async fn fetch(
        &self,
        store: &dyn Store,
        keys: &[&str],
        deadline: Deadline,
    ) -> Result<Vec<Option<Bytes>>, Error> {
        self.while_it_is_the_same(store, || store.fetch(keys, deadline)).await
    }

    /// As [`fetch`](Self::fetch), where a part of the store may be away.
    pub(crate) async fn fetch_each(
        &self,
        store: &dyn Store,
        keys: &[&str],
        deadline: Deadline,
    ) -> Result<Vec<Fetched>, Error> {
        self.while_it_is_the_same(store, || store.fetch_each(keys, deadline)).await
    }

    async fn while_it_is_the_same<'a, T>(
        &self,
        store: &dyn Store,
        ask: impl FnOnce() -> BoxFuture<'a, Result<T, Error>>,
    ) -> Result<T, Error> {
        let asked = store.incarnation();
        let mut found = Err(Error::new(ErrorKind::Unavailable, "the store may have been put back"));
        if self.rollback.is_settled(asked) && !self.rollback.holds_reads() {
            let answer = ask().await?;
            if store.incarnation() == asked {
                found = Ok(answer);
            }
        }
        found
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Put;

    const EVERYTHING: &str = "p:gen:p";
    const HELD: Duration = Duration::from_secs(4);

    fn rollback() -> Rollback {
        Rollback::new(EVERYTHING.into(), Clock::manual(7), HELD, 0)
    }

    fn entry(n: usize) -> Pending {
        let key = format!("p:a:v1:{n}");
        let value = Bytes::from_static(b"tombstone");
        let put = Put { key: key.clone(), value, keep_for: Some(1000), expect: None, guard: None };
        Pending::entry(&key.into(), &"p:gen:n:a".into(), put)
    }

    fn tag(n: usize) -> Pending {
        Pending::generation(&format!("p:gen:t:{n}").into(), None)
    }

    #[test]
    fn each_change_is_begun_once_and_brings_all_that_was_noted() {
        let rollback = rollback();
        assert!(rollback.is_settled(0) && rollback.begin(0).is_none());
        rollback.note([entry(1), entry(1), tag(1)].into_iter());
        assert_eq!(rollback.state().journal, 2);
        assert!(!rollback.is_settled(1));
        let (once_more, now) = rollback.begin(1).unwrap();
        assert_eq!((once_more.len(), now), (2, 7));
        assert!(rollback.begin(1).is_none() && !rollback.is_settled(1));
        rollback.settle(1, true);
        assert!(rollback.is_settled(1) && !rollback.holds_reads());
        // Nothing is forgotten because it has been repeated.
        assert_eq!(rollback.begin(2).unwrap().0.len(), 2);
        let state = rollback.state();
        assert_eq!((state.changes, state.changed_at, state.overflowed), (2, Some(7), false));
    }

    #[test]
    fn what_does_not_fit_widens() {
        let rollback = rollback();
        rollback.note((0..MOST).map(entry));
        assert_eq!(rollback.state().journal, MOST);
        rollback.note(std::iter::once(entry(MOST)));
        assert_eq!((rollback.state().journal, rollback.state().overflowed), (1, false));
        rollback.note((0..MOST).map(tag));
        assert_eq!((rollback.state().journal, rollback.state().overflowed), (1, true));
        rollback.note((0..MOST).map(entry));
        assert_eq!(rollback.state().journal, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_read_until_others_have_noticed() {
        let rollback = rollback();
        rollback.settle(1, false);
        assert!(rollback.is_settled(1) && rollback.holds_reads());
        tokio::time::advance(HELD / 2).await;
        // Once more.
        rollback.settle(2, false);
        tokio::time::advance(HELD / 2).await;
        assert!(rollback.holds_reads());
        tokio::time::advance(HELD / 2).await;
        assert!(!rollback.holds_reads());
    }
}
