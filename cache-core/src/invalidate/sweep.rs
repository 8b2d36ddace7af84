//! Sweeps: removing what a glob matches, in batches, from L1 and from the store.

use std::sync::Arc;

use crate::error::{Error, ErrorKind};
use crate::invalidate::Pattern;
use crate::state::{Inner, NamespaceState};
use crate::store::Store;

/// A sweep gives up after this many steps that found the store away.
const PATIENCE: usize = 3;

impl Inner {
    /// Removes the entries of a namespace that match; how many. In the store each entry counts
    /// once, whether or not it was in L1 too.
    pub(crate) async fn sweep(
        self: &Arc<Self>,
        namespace: &NamespaceState,
        pattern: &Pattern,
    ) -> Result<u64, Error> {
        let glob = Pattern::rendered(&format!("{}{}", namespace.base, pattern.as_str()));
        let in_memory = self.sweep_memory(&glob);
        let removed = match &self.store {
            Some(store) => {
                let removed = sweep_store(self, &**store, glob.as_str()).await;
                // What was read from the store while the sweep ran may be in L1 by now.
                self.sweep_memory(&glob);
                removed.inspect_err(|_| namespace.counters.errors.one())?
            }
            None => in_memory,
        };
        namespace.counters.deletes.add(removed);
        Ok(removed)
    }

    /// Removes everything under a glob over whole keys: those of one namespace, or all.
    pub(crate) async fn sweep_all(self: &Arc<Self>, glob: &str) -> Result<u64, Error> {
        let in_memory = self.sweep_memory(&Pattern::rendered(glob));
        match &self.store {
            Some(store) => sweep_store(self, &**store, glob).await,
            None => Ok(in_memory),
        }
    }

    fn sweep_memory(&self, glob: &Pattern) -> u64 {
        self.fences.break_matching(|key| glob.matches(key));
        self.regions().map(|region| region.remove_where(|slot| glob.matches(&slot.rendered))).sum()
    }
}

/// `SCAN` and `UNLINK`, a batch at a time: memory for one batch, and no long command.
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
            removed += store.remove(&keys, inner.deadline()).await?;
        }
        cursor = step.cursor;
        if cursor == 0 {
            return Ok(removed);
        }
    }
}
