//! The queue: removals that were asked for, and that the store has not confirmed.
//!
//! An invalidation whose removal was not answered in time may or may not have reached the store.
//! Until it certainly has, this process asks the store nothing: what is there may be what was
//! invalidated. A task in the background repeats it (`replay`), and so does the first question
//! that comes before that task.
//!
//! The queue is bounded. When it is full, what belongs to one namespace widens to that namespace,
//! and if that is not enough, all of it to everything under the prefix.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock::{Deadline, Millis, as_millis};
use crate::error::{Error, ErrorKind};
use crate::fill::GENERATION_LIFETIME;
use crate::invalidate::queue::{Pending, Queue};
use crate::invalidate::rollback::Rollback;
use crate::log_limit::LogLimit;
use crate::store::{Put, Store, WriteBatch};

/// The keys (of generations and of entries) that are still to be removed.
#[derive(Debug)]
pub(crate) struct Unconfirmed {
    queue: Mutex<Queue>,
    any: AtomicBool,
    /// One attempt at a time; those who wait for it find nothing left to do, or that it failed.
    attempt: tokio::sync::Mutex<LastAttempt>,
    /// The generation of everything.
    everything: Arc<str>,
    /// Where it stands which server had none of everything, so was empty: for the others, who come
    /// when it has begun to fill again.
    found_empty: String,
    /// What has to be repeated once more if the store turns out to be another.
    rollback: Arc<Rollback>,
}

/// What is queued at one moment.
#[derive(Debug, Default)]
struct Snapshot {
    /// All of them, with their numbers.
    sent: Vec<(Arc<str>, u64)>,
    generations: Vec<Arc<str>>,
    tombstones: Vec<Put>,
    /// The generations that cover the tombstones' keys.
    covers: Vec<Arc<str>>,
}

#[derive(Debug, Default)]
struct LastAttempt {
    /// If it failed: when questions may try again, unless the store is another by then.
    again_at: Option<Deadline>,
    /// What the store was then.
    incarnation: u64,
    /// How often it has failed with that one.
    failures: u32,
    /// Whether the log says so.
    warned: bool,
}

static WAITING: LogLimit = LogLimit::new();

/// More keys than this widen.
const MOST: usize = 1024;
/// No more entries than this in one round trip: so a queue that is long is repeated in the time of
/// a few attempts, each of which gets further.
const AT_ONCE: usize = 256;
/// Where the store refuses, not every question has to find out; the task in the background does.
const HOLD_OFF: Duration = Duration::from_millis(100);
/// What has been refused so often is tried less and less often; but often enough for the others, who
/// wait for this process when the store takes it at last (`keepalive::noticed_within`).
const IN_VAIN: u32 = 10;
const LONGEST_HOLD_OFF: Duration = Duration::from_secs(1);

impl Unconfirmed {
    pub(crate) fn new(everything: Arc<str>, rollback: Arc<Rollback>) -> Self {
        let (queue, any) = (Mutex::default(), AtomicBool::new(false));
        let (attempt, found_empty) = (tokio::sync::Mutex::default(), format!("{everything}:empty"));
        Self { queue, any, attempt, everything, found_empty, rollback }
    }

    /// Remembers what was not confirmed.
    pub(crate) fn add(&self, pending: Vec<Pending>, now: Millis) {
        if pending.is_empty() {
            return;
        }
        let mut queue = self.queue();
        for pending in pending {
            queue.insert(pending, &self.everything, now);
        }
        queue.bound(MOST, &self.everything);
        self.any.store(true, Ordering::Release);
    }

    /// Whether anything is queued.
    pub(crate) fn any(&self) -> bool {
        self.any.load(Ordering::Acquire)
    }

    /// How many are queued, and since when.
    pub(crate) fn waiting(&self) -> (usize, Option<Millis>) {
        let queue = self.queue();
        (queue.len(), queue.since())
    }

    /// Repeats what is not confirmed, unless that failed just now. True if nothing is left: then
    /// the store may be asked.
    pub(crate) async fn settle(&self, store: &dyn Store, deadline: Deadline) -> bool {
        if self.is_settled(store) {
            return true;
        }
        let waiting = tokio::time::timeout_at(deadline.instant(), self.attempt.lock());
        let Ok(mut last) = waiting.await else { return false };
        let same = last.incarnation == store.incarnation();
        if same && last.again_at.is_some_and(|at| !at.has_passed()) {
            return self.is_settled(store);
        }
        self.attempt(&mut last, store, deadline).await.is_ok() && self.is_settled(store)
    }

    fn is_settled(&self, store: &dyn Store) -> bool {
        !self.any() && self.rollback.is_settled(store.incarnation())
    }

    /// As [`settle`](Self::settle), whatever came of the last attempt.
    pub(crate) async fn repeat_now(
        &self,
        store: &dyn Store,
        deadline: Deadline,
    ) -> Result<(), Error> {
        let mut last = self.attempt.lock().await;
        self.attempt(&mut last, store, deadline).await
    }

    async fn attempt(
        &self,
        last: &mut LastAttempt,
        store: &dyn Store,
        deadline: Deadline,
    ) -> Result<(), Error> {
        if self.is_settled(store) {
            return Ok(());
        }
        let incarnation = store.incarnation();
        if last.incarnation != incarnation {
            (last.incarnation, last.failures) = (incarnation, 0);
        }
        let result = self.repeat_all(store, deadline).await;
        let Err(error) = &result else {
            (last.again_at, last.failures) = (None, 0);
            if std::mem::take(&mut last.warned) {
                tracing::info!("the store knows of all invalidations again");
            }
            return result;
        };
        if !last.warned
            && let Some(left_out) = WAITING.take()
        {
            last.warned = true;
            tracing::warn!(%error, left_out, "invalidations wait for the store");
        }
        let hold_off = HOLD_OFF * 2_u32.pow(last.failures.saturating_sub(IN_VAIN).min(4));
        last.failures = last.failures.saturating_add(1);
        last.again_at = Some(Deadline::after(hold_off.min(LONGEST_HOLD_OFF)));
        result
    }

    /// What is queued; and if the store is another than before, what that one had confirmed.
    async fn repeat_all(&self, store: &dyn Store, deadline: Deadline) -> Result<(), Error> {
        let incarnation = store.incarnation();
        if let Some((once_more, now)) = self.rollback.begin(incarnation) {
            let mut queue = self.queue();
            queue.allow(once_more.len());
            for pending in once_more {
                queue.insert(pending, &self.everything, now);
            }
            queue.bound(MOST, &self.everything);
            self.any.store(!queue.is_empty(), Ordering::Release);
        }
        let upto = self.queue().count();
        while self.repeat(upto, store, deadline).await? {}
        if !self.rollback.is_settled(incarnation) {
            let empty = self.is_empty(store, deadline).await?;
            if store.incarnation() == incarnation {
                self.rollback.settle(incarnation, empty);
            }
        }
        Ok(())
    }

    /// Whether nothing that the store held when it became what it is is valid.
    async fn is_empty(&self, store: &dyn Store, deadline: Deadline) -> Result<bool, Error> {
        let server = store.server_name();
        let found = store.fetch(&[&*self.everything, &*self.found_empty], deadline).await?;
        let Some(server) = server else { return Ok(matches!(found.first(), Some(None))) };
        match found.as_slice() {
            // Where everything has no generation, nothing of before is valid.
            [None, _] => {
                let put = Put {
                    key: self.found_empty.clone(),
                    value: server.into(),
                    keep_for: Some(as_millis(GENERATION_LIFETIME)),
                    ..Put::default()
                };
                // Before anything is filled. Without it the others wait, that is all.
                let batch = WriteBatch { puts: &[put], ..WriteBatch::default() };
                drop(store.write(batch, deadline).await);
                Ok(true)
            }
            // Of another server's snapshot it would be that one's name.
            [_, Some(found_empty)] => Ok(*found_empty == server.as_bytes()),
            _ => Ok(false),
        }
    }

    /// Some of what was queued up to that number; whether there was any.
    async fn repeat(
        &self,
        upto: u64,
        store: &dyn Store,
        deadline: Deadline,
    ) -> Result<bool, Error> {
        let Snapshot { sent, generations, tombstones, covers } = self.snapshot(upto);
        if sent.is_empty() {
            return Ok(false);
        }
        let mut remove: Vec<&str> = generations.iter().map(|key| &**key).collect();
        if tombstones.is_empty() {
            store.remove(&remove, deadline).await?;
        } else {
            let batch = WriteBatch { puts: &tombstones, remove: &remove, ..WriteBatch::default() };
            match store.write(batch, deadline).await {
                Err(error) if error.kind() == ErrorKind::Full => {
                    // No room for tombstones: the namespaces have to fence the fills in flight.
                    remove.extend(tombstones.iter().map(|tombstone| tombstone.key.as_str()));
                    remove.extend(covers.iter().map(|cover| &**cover));
                    store.remove(&remove, deadline).await?;
                }
                written => drop(written?),
            }
        }
        self.confirm(&sent);
        Ok(true)
    }

    /// Those that were added again meanwhile are not confirmed by this.
    fn confirm(&self, sent: &[(Arc<str>, u64)]) {
        let mut queue = self.queue();
        queue.remove(sent);
        self.any.store(!queue.is_empty(), Ordering::Release);
    }

    /// All generations, since those of families must not end later than those of their tags; and
    /// some entries.
    fn snapshot(&self, upto: u64) -> Snapshot {
        let queue = self.queue();
        let mut snapshot = Snapshot::default();
        for (key, removal) in queue.upto(upto) {
            match &removal.tombstone {
                Some(_) if snapshot.tombstones.len() == AT_ONCE => continue,
                Some(tombstone) => {
                    snapshot.tombstones.push(tombstone.clone());
                    let cover = removal.namespace.as_ref().unwrap_or(&self.everything);
                    snapshot.covers.push(Arc::clone(cover));
                }
                None => snapshot.generations.push(Arc::clone(key)),
            }
            snapshot.sent.push((Arc::clone(key), removal.count));
        }
        snapshot
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
