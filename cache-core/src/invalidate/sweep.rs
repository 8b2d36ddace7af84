//! Sweeps: removing what a glob matches, in batches, from L1 and from the store.

use std::sync::Arc;

use crate::clock::Deadline;
use crate::error::{Error, ErrorKind};
use crate::invalidate::Pattern;
use crate::state::{Inner, NamespaceState};
use crate::store::Store;

/// A sweep gives up after this many steps that found the store away.
const PATIENCE: usize = 3;

/// What keeps fills on other nodes from undoing a sweep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Elsewhere {
    /// The sweep itself.
    Stopped,
    /// The generation of the namespace, which has been ended.
    Invalidated,
}

impl Inner {
    /// Removes the entries of a namespace that match; how many. In the store each entry counts
    /// once, whether or not it was in L1 too.
    pub(crate) async fn sweep(
        self: &Arc<Self>,
        namespace: &NamespaceState,
        pattern: &Pattern,
    ) -> Result<u64, Error> {
        self.sweep_namespace(namespace, pattern, Elsewhere::Stopped).await
    }

    /// Removes the entries of a namespace that has been invalidated; how many.
    pub(crate) async fn sweep_invalidated(
        self: &Arc<Self>,
        namespace: &NamespaceState,
    ) -> Result<u64, Error> {
        self.sweep_namespace(namespace, &Pattern::new("*"), Elsewhere::Invalidated).await
    }

    async fn sweep_namespace(
        self: &Arc<Self>,
        namespace: &NamespaceState,
        pattern: &Pattern,
        fills: Elsewhere,
    ) -> Result<u64, Error> {
        let glob = Pattern::rendered(&format!("{}{}", namespace.base, pattern.as_str()));
        let removed = self.sweep_glob(namespace, &glob, fills).await;
        let removed = removed.inspect_err(|_| namespace.counters.errors.one())?;
        namespace.counters.deletes.add(removed);
        Ok(removed)
    }

    /// Neither reads nor fills that run meanwhile bring back what is swept: until the end none of
    /// them puts anything anywhere, and those that began before the end never do.
    async fn sweep_glob(
        self: &Arc<Self>,
        namespace: &NamespaceState,
        glob: &Pattern,
        fills: Elsewhere,
    ) -> Result<u64, Error> {
        let _ban = self.fences.ban(glob);
        let in_memory = self.sweep_memory(glob);
        let Some(store) = &self.store else { return Ok(in_memory) };
        // Fills that had passed their fence before: their writes arrive before the first step.
        // They have the budget to arrive in, from when they began; twice that if the machine is
        // busy. One that takes longer is on a runtime that nobody drives, and may arrive later.
        let arrive_by = Deadline::after(self.budget.saturating_mul(2));
        let arrived = tokio::time::timeout_at(arrive_by.instant(), self.commits.write()).await;
        drop(arrived.map_err(|_| Error::new(ErrorKind::Timeout, "a write is still under way"))?);
        // Fills elsewhere that began before do not commit from here on; nor those, once it is over,
        // that began while it ran.
        let stop = fills == Elsewhere::Stopped;
        if stop {
            self.stop_fills(&**store, namespace).await?;
        }
        let removed = sweep_store(self, &**store, glob.as_str()).await;
        self.sweep_memory(glob);
        if stop && removed.is_ok() {
            self.stop_fills(&**store, namespace).await?;
        }
        removed
    }

    /// No fill of this namespace that has begun writes to the store any more, on any node.
    async fn stop_fills(&self, store: &dyn Store, namespace: &NamespaceState) -> Result<(), Error> {
        store.remove(&[&*namespace.swept.name], self.deadline()).await?;
        namespace.swept.invalidate();
        Ok(())
    }

    /// Removes from L1; how many that had not expired.
    fn sweep_memory(&self, glob: &Pattern) -> u64 {
        self.fences.break_matching(|key| glob.matches(key));
        let now = self.clock.now();
        let mut removed = 0;
        for region in self.regions() {
            region.remove_where(|slot| {
                let matches = glob.matches(&slot.rendered);
                removed += u64::from(matches && slot.times.is_alive(now));
                matches
            });
        }
        removed
    }
}

/// Step by step: memory for one batch of keys, and no long command.
async fn sweep_store(inner: &Inner, store: &dyn Store, glob: &str) -> Result<u64, Error> {
    let (mut cursor, mut removed, mut failures) = (0, 0, 0);
    loop {
        let step = match store.scan(glob, cursor, inner.deadline()).await {
            Ok(step) => step,
            Err(error) if error.kind() == ErrorKind::Timeout && failures < PATIENCE => {
                failures += 1;
                continue;
            }
            Err(error) => return Err(error),
        };
        if !step.keys.is_empty() {
            let keys: Vec<&str> = step.keys.iter().map(String::as_str).collect();
            removed += store.remove_values(&keys, inner.deadline()).await?;
        }
        cursor = step.cursor;
        if cursor == 0 {
            return Ok(removed);
        }
    }
}
