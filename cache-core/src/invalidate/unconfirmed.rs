//! The queue: removals that were asked for, and that the store has not confirmed.
//!
//! An invalidation whose removal was not answered in time may or may not have reached the store.
//! Until it certainly has, this process asks the store nothing: what is there may be what was
//! invalidated. A task in the background repeats it (`replay`), and so does the first question
//! that comes before that task.
//!
//! The queue is bounded. When it is full, what belongs to one namespace widens to that namespace,
//! and if that is not enough, all of it to everything under the prefix.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock::{Deadline, Millis};
use crate::error::{Error, ErrorKind};
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
}

#[derive(Debug, Default)]
struct Queue {
    by_key: HashMap<Arc<str>, Removal>,
    count: u64,
}

#[derive(Debug)]
struct Removal {
    /// Tells later ones from earlier ones.
    count: u64,
    since: Millis,
    /// The generation that covers it, if it belongs to one namespace.
    namespace: Option<Arc<str>>,
    /// What has to take the place of an entry. Were it only removed, the tombstone of another
    /// deletion might go with it.
    tombstone: Option<Put>,
}

/// One removal on its way into the queue.
#[derive(Debug)]
pub(crate) struct Pending {
    key: Arc<str>,
    namespace: Option<Arc<str>>,
    tombstone: Option<Put>,
}

/// What is queued at one moment.
#[derive(Debug, Default)]
struct Snapshot {
    /// The number of the latest.
    upto: u64,
    generations: Vec<Arc<str>>,
    tombstones: Vec<Put>,
    /// The generations that cover the tombstones' keys.
    covers: Vec<Arc<str>>,
}

#[derive(Debug, Default)]
struct LastAttempt {
    /// If it failed: when questions may try again.
    again_at: Option<Deadline>,
}

/// More keys than this widen.
const MOST: usize = 1024;
/// Where the store refuses, not every question has to find out; the task in the background does.
const HOLD_OFF: Duration = Duration::from_millis(100);

impl Pending {
    /// A generation; with that of the namespace which all under it belongs to.
    pub(crate) fn generation(key: &Arc<str>, namespace: Option<&Arc<str>>) -> Self {
        Self { key: Arc::clone(key), namespace: namespace.cloned(), tombstone: None }
    }

    /// An entry, with the generation of its namespace, and what has to take its place.
    pub(crate) fn entry(key: &Arc<str>, namespace: &Arc<str>, tombstone: Put) -> Self {
        let (key, namespace) = (Arc::clone(key), Some(Arc::clone(namespace)));
        Self { key, namespace, tombstone: Some(tombstone) }
    }
}

impl Queue {
    fn insert(&mut self, pending: Pending, everything: &Arc<str>, now: Millis) {
        self.count += 1;
        let Pending { key, namespace, tombstone } = pending;
        // What is covered by something in the queue needs no place of its own; but what covers it
        // may be on its way already, and has to go again.
        let covers = [Some(everything), namespace.as_ref()];
        let queued = |key: &&Arc<str>| self.by_key.contains_key(*key);
        let covering = covers.into_iter().flatten().find(queued).cloned();
        let (key, namespace, tombstone) = match covering {
            Some(covering) => (covering, None, None),
            None => (key, namespace, tombstone),
        };
        let since = self.by_key.get(&key).map_or(now, |earlier| earlier.since);
        self.by_key.insert(key, Removal { count: self.count, since, namespace, tombstone });
    }

    /// Puts that in their place which covers them.
    fn widen(&mut self, cover: impl Fn(&Removal) -> Option<Arc<str>>) {
        let covered = self.by_key.extract_if(|_, removal| cover(removal).is_some());
        let covered: Vec<Removal> = covered.map(|(_, removal)| removal).collect();
        for removal in covered {
            let Some(key) = cover(&removal) else { continue };
            let wide = Removal { namespace: None, tombstone: None, ..removal };
            let known = self.by_key.entry(key).or_insert_with(|| Removal { ..wide });
            known.since = known.since.min(removal.since);
            known.count = known.count.max(removal.count);
        }
    }
}

impl Unconfirmed {
    pub(crate) fn new(everything: Arc<str>) -> Self {
        let (queue, any) = (Mutex::default(), AtomicBool::new(false));
        Self { queue, any, attempt: tokio::sync::Mutex::default(), everything }
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
        if queue.by_key.len() > MOST {
            queue.widen(|removal| removal.namespace.clone());
        }
        if queue.by_key.len() > MOST {
            queue.widen(|_| Some(Arc::clone(&self.everything)));
        }
        self.any.store(true, Ordering::Release);
    }

    /// Whether anything is queued.
    pub(crate) fn any(&self) -> bool {
        self.any.load(Ordering::Acquire)
    }

    /// How many are queued, and since when.
    pub(crate) fn waiting(&self) -> (usize, Option<Millis>) {
        let queue = self.queue();
        (queue.by_key.len(), queue.by_key.values().map(|removal| removal.since).min())
    }

    /// Repeats what is not confirmed, unless that failed just now. True if nothing is left: then
    /// the store may be asked.
    pub(crate) async fn settle(&self, store: &dyn Store, deadline: Deadline) -> bool {
        if !self.any() {
            return true;
        }
        let waiting = tokio::time::timeout_at(deadline.instant(), self.attempt.lock());
        let Ok(mut last) = waiting.await else { return false };
        if last.again_at.is_some_and(|at| !at.has_passed()) {
            return !self.any();
        }
        self.attempt(&mut last, store, deadline).await.is_ok() && !self.any()
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
        if !self.any() {
            return Ok(());
        }
        let result = self.repeat(store, deadline).await;
        match &result {
            Err(error) => {
                if last.again_at.is_none() {
                    tracing::warn!(%error, "invalidations wait for the store");
                }
                last.again_at = Some(Deadline::after(HOLD_OFF));
            }
            Ok(()) => {
                if last.again_at.take().is_some() {
                    tracing::info!("the store knows of all invalidations again");
                }
            }
        }
        result
    }

    async fn repeat(&self, store: &dyn Store, deadline: Deadline) -> Result<(), Error> {
        let Snapshot { upto, generations, tombstones, covers } = self.snapshot();
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
        self.confirm(upto);
        Ok(())
    }

    /// Those that were added later are not confirmed by this.
    fn confirm(&self, upto: u64) {
        let mut queue = self.queue();
        queue.by_key.retain(|_, removal| removal.count > upto);
        self.any.store(!queue.by_key.is_empty(), Ordering::Release);
    }

    fn snapshot(&self) -> Snapshot {
        let queue = self.queue();
        let mut snapshot = Snapshot { upto: queue.count, ..Snapshot::default() };
        for (key, removal) in &queue.by_key {
            match &removal.tombstone {
                Some(tombstone) => {
                    snapshot.tombstones.push(tombstone.clone());
                    let cover = removal.namespace.as_ref().unwrap_or(&self.everything);
                    snapshot.covers.push(Arc::clone(cover));
                }
                None => snapshot.generations.push(Arc::clone(key)),
            }
        }
        snapshot
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
