//! The one task that listens to the store, and what it does with what it hears.
//!
//! It is started by the first use of the store within a runtime, ends with the cache, and is
//! started anew if the runtime it was on has ended, or is not driven any more. (Where nothing is kept
//! in memory another such task listens, to the ends of leases only: [`leases`](super::leases).)

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::AbortHandle;

use super::{Coherence, CoherenceMode};
use crate::clock::{Millis, Steady, Stopwatch, as_millis};
use crate::state::Inner;
use crate::store::ChangeSink;

/// How often the task shows that it runs.
const BEAT: Duration = Duration::from_secs(1);
/// A task that has shown nothing for so long is on a runtime that nobody drives.
const LEASE: Duration = Duration::from_secs(3);

/// The task that listens, if one does.
#[derive(Debug)]
pub(crate) struct Watching {
    steady: Steady,
    /// Until when nobody need look after the task, on the steady clock.
    until: AtomicU64,
    ended: AtomicBool,
    task: Mutex<Option<AbortHandle>>,
}

impl Default for Watching {
    fn default() -> Self {
        Self {
            steady: Steady::start(),
            until: AtomicU64::new(0),
            ended: AtomicBool::new(false),
            task: Mutex::default(),
        }
    }
}

impl Watching {
    fn is_looked_after(&self) -> bool {
        self.ended.load(Ordering::Relaxed) || self.steady.now() < self.until.load(Ordering::Relaxed)
    }

    fn beat(&self) {
        let until = self.steady.now().saturating_add(as_millis(LEASE));
        self.until.store(until, Ordering::Relaxed);
    }

    /// Sees to it that a task listens to what changes under a prefix, and tells the sink.
    pub(super) fn keep(
        &self,
        inner: &Inner,
        prefix: &str,
        which: fn(&Inner) -> &Self,
        sink: impl FnOnce() -> Arc<dyn ChangeSink>,
    ) {
        let Some(store) = &inner.store else { return };
        if self.is_looked_after() {
            return;
        }
        let Ok(runtime) = Handle::try_current() else { return };
        let mut task = self.task();
        if self.is_looked_after() {
            return;
        }
        let Some(watch) = store.watch(prefix, sink()) else {
            self.until.store(Millis::MAX, Ordering::Relaxed);
            return;
        };
        self.beat();
        let cache = inner.me.clone();
        let listening = runtime.spawn(async move {
            tokio::select! {
                () = watch => {}
                () = beat(cache, which) => {}
            }
        });
        if let Some(earlier) = task.replace(listening.abort_handle()) {
            earlier.abort();
        }
    }

    /// Listens no more.
    pub(crate) fn end(&self) {
        self.ended.store(true, Ordering::Relaxed);
        if let Some(task) = self.task().take() {
            task.abort();
        }
    }

    fn task(&self) -> MutexGuard<'_, Option<AbortHandle>> {
        self.task.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        self.end();
    }
}

impl Inner {
    /// Sees to it that somebody listens to what others change.
    pub(crate) fn keep_watching(&self) {
        let Some(coherence) = &self.coherence else { return };
        self.watching.keep(
            self,
            &self.prefix,
            |inner| &inner.watching,
            || Arc::new(Sink { cache: self.me.clone(), coherence: Arc::downgrade(coherence) }),
        );
    }
}

/// As long as the cache is there.
async fn beat(cache: Weak<Inner>, which: fn(&Inner) -> &Watching) {
    while let Some(inner) = cache.upgrade() {
        which(&inner).beat();
        drop(inner);
        tokio::time::sleep(BEAT).await;
    }
}

/// Takes in what the store says.
struct Sink {
    cache: Weak<Inner>,
    /// Apart from the cache, so that a push does not keep a dropped one alive.
    coherence: Weak<Coherence>,
}

impl ChangeSink for Sink {
    fn began(&self, mode: CoherenceMode, fault: Option<String>) {
        let Some(coherence) = self.coherence.upgrade() else { return };
        let why = fault.clone().unwrap_or_default();
        // What was learnt before may have changed in the gap. Doubted first, so that what is read
        // in the new era stands under nothing that is not.
        if let Some(inner) = self.cache.upgrade() {
            inner.generations.doubt_all();
        }
        if coherence.truth.begin(mode, fault) {
            if mode == CoherenceMode::Tracking {
                tracing::info!("the store tells what others change: entries in memory live long");
            } else {
                tracing::warn!(?mode, why, "entries in memory have short lives");
            }
        }
    }

    fn changed(&self, key: &[u8]) {
        let Some(coherence) = self.coherence.upgrade() else { return };
        let written_here = coherence.changed(key);
        let Some(inner) = self.cache.upgrade() else { return };
        let scope = inner.names.is_scope(key).then(|| inner.generations.known(key)).flatten();
        let a_scope = scope.is_some_and(|cell| {
            cell.doubt();
            coherence.rechecks.add_scope(cell)
        });
        if written_here || a_scope {
            inner.start_rechecks();
        }
    }

    fn all_changed(&self) {
        let (Some(coherence), Some(inner)) = (self.coherence.upgrade(), self.cache.upgrade())
        else {
            return;
        };
        inner.generations.doubt_all();
        coherence.all_changed();
    }

    fn heard_all_before(&self, asked: Stopwatch) {
        let (Some(coherence), Some(inner)) = (self.coherence.upgrade(), self.cache.upgrade())
        else {
            return;
        };
        coherence.truth.proven(asked, inner.clock.now());
    }

    fn lost(&self, fault: String) {
        if let Some(coherence) = self.coherence.upgrade() {
            coherence.truth.lost(fault);
        }
    }
}

impl std::fmt::Debug for Sink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sink").finish_non_exhaustive()
    }
}
