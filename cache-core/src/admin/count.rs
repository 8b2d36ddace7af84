//! How many entries a pattern covers, up to a limit.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::cache::Cache;
use crate::clock::Deadline;
use crate::error::Error;
use crate::invalidate::{Pattern, SweepPosition};
use crate::key::Key;

/// How many entries there are of something.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counted {
    /// So many were met.
    pub entries: u64,
    /// Whether counting ended there: there may be more.
    pub at_least: bool,
}

impl Cache {
    /// How many entries of a namespace match a glob, in the store if there is one: counted step by
    /// step, until there are more than `limit`, or the deadline has passed. Touches nothing.
    ///
    /// ```
    /// use cache_core::{Cache, Deadline, seconds};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// let cache = Cache::builder().memory().build()?;
    /// cache.set("users", "old_1", "v").await?;
    /// let found = cache.count("users", "old_*", 1_000, Deadline::after(seconds(1))).await?;
    /// assert_eq!((found.entries, found.at_least), (1, false));
    /// # Ok::<(), cache_core::Error>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    /// If the namespace can't be used, or the store is away before anything was counted.
    pub async fn count(
        &self,
        namespace: impl AsRef<str>,
        pattern: impl Into<Pattern>,
        limit: u64,
        deadline: Deadline,
    ) -> Result<Counted, Error> {
        let sweep = self.namespace(namespace).delete_pattern(pattern).dry_run();
        let met = AtomicU64::new(0);
        let go_on = |position: SweepPosition| {
            met.store(position.removed(), Ordering::Relaxed);
            position.removed() <= limit && !deadline.has_passed()
        };
        let counting = tokio::time::timeout_at(deadline.instant(), sweep.run(&go_on)).await;
        let so_far = || met.load(Ordering::Relaxed);
        match counting {
            Ok(Ok((position, done))) => {
                Ok(Counted { entries: position.removed(), at_least: !done })
            }
            Ok(Err(error)) if so_far() == 0 => Err(error),
            Ok(Err(_)) | Err(_) => Ok(Counted { entries: so_far(), at_least: true }),
        }
    }

    /// As [`count`](Self::count), of all entries of a workspace, in the namespaces that this process
    /// knows: those whose keys begin with it.
    ///
    /// # Errors
    /// As [`count`](Self::count).
    pub async fn count_workspace(
        &self,
        workspace: impl AsRef<str>,
        limit: u64,
        deadline: Deadline,
    ) -> Result<Counted, Error> {
        let first = Key::workspace(workspace.as_ref());
        let mut all = Counted::default();
        for namespace in self.inner.namespaces() {
            for glob in [first.as_str().to_owned(), format!("{first}:*")] {
                let left = limit.saturating_sub(all.entries);
                let glob = Pattern::rendered(&glob);
                let found = self.count(&namespace.name, glob, left, deadline).await?;
                all.entries += found.entries;
                all.at_least |= found.at_least;
            }
        }
        Ok(all)
    }
}
