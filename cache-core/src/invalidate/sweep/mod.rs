//! Sweeps: removing what a glob matches, in batches, from L1 and from the store.
//!
//! - `request`: what to sweep, and how; `job`: in the background;
//! - `position`: how far a sweep has come (pure).
//!
//! A step is one `SCAN` of bounded length and small `UNLINK`s of what it told; between steps others
//! have their turn. Memory: the keys of one step.

mod job;
mod position;
mod request;

use std::sync::Arc;
use std::time::Duration;

use crate::clock::{Deadline, Stopwatch};
use crate::error::{Error, ErrorKind};
use crate::invalidate::Pattern;
use crate::invalidate::queue::Pending;
use crate::state::{Inner, NamespaceState};
use crate::store::Store;

pub use job::SweepJob;
pub use position::{SweepPosition, SweepProgress, SweepState};
pub use request::DeletePattern;

/// A sweep gives up after this many steps in a row that found the store away.
const PATIENCE: usize = 3;
/// So many keys are removed by one command.
const REMOVED_AT_ONCE: usize = 64;
/// A step that took longer is followed by a pause as long as it took, but no longer than that.
const QUICK: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(20);

/// One sweep on its way.
struct Course<'c> {
    /// Count, and touch nothing.
    dry_run: bool,
    position: SweepPosition,
    /// Asked after each step.
    go_on: &'c (dyn Fn(SweepPosition) -> bool + Send + Sync),
}

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
        let mut course = Course::to_the_end();
        self.sweep_along(namespace, pattern, &mut course).await?;
        Ok(course.position.removed())
    }

    /// Removes the entries of a namespace that has been invalidated; how many.
    pub(crate) async fn sweep_invalidated(
        self: &Arc<Self>,
        namespace: &NamespaceState,
    ) -> Result<u64, Error> {
        let (all, mut course) = (Pattern::new("*"), Course::to_the_end());
        self.sweep_namespace(namespace, &all, Elsewhere::Invalidated, &mut course).await?;
        Ok(course.position.removed())
    }

    /// Whether it has come to its end.
    async fn sweep_along(
        self: &Arc<Self>,
        namespace: &NamespaceState,
        pattern: &Pattern,
        course: &mut Course<'_>,
    ) -> Result<bool, Error> {
        if course.dry_run {
            let glob = namespace.glob(pattern);
            let Some(store) = &self.store else {
                course.position.count(self.count_in_memory(&glob));
                return Ok(true);
            };
            return walk(self, &**store, glob.as_str(), course).await;
        }
        self.sweep_namespace(namespace, pattern, Elsewhere::Stopped, course).await
    }

    async fn sweep_namespace(
        self: &Arc<Self>,
        namespace: &NamespaceState,
        pattern: &Pattern,
        fills: Elsewhere,
        course: &mut Course<'_>,
    ) -> Result<bool, Error> {
        if self.shared_store().is_some() {
            // Were the store to forget it, nobody would sweep again.
            let widened = Pending::generation(&namespace.cell.name, None);
            self.note_removals(std::iter::once(widened));
        }
        let before = course.position.removed();
        let done = self.sweep_glob(namespace, pattern, fills, course).await;
        namespace.counters.deletes.add(course.position.removed() - before);
        done.inspect_err(|_| namespace.counters.errors.one())
    }

    /// Neither reads nor fills that run meanwhile bring back what is swept: until the end none of
    /// them puts anything anywhere, and those that began before the end never do.
    async fn sweep_glob(
        self: &Arc<Self>,
        namespace: &NamespaceState,
        pattern: &Pattern,
        fills: Elsewhere,
        course: &mut Course<'_>,
    ) -> Result<bool, Error> {
        if let Some(store) = self.shared_store() {
            // What is not known of a bump would be swept past.
            self.catch_up(&**store, namespace, self.deadline()).await?;
        }
        let glob = &namespace.glob(pattern);
        let _ban = self.fences.ban(glob);
        let in_memory = self.sweep_memory(glob);
        let Some(store) = &self.store else {
            course.position.count(in_memory);
            return Ok(true);
        };
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
            let lag = store.guard_lag();
            if !lag.is_zero() {
                // Writes that had looked whether they may come before that.
                tokio::time::sleep(lag).await;
            }
        }
        let done = walk(self, &**store, glob.as_str(), course).await;
        self.sweep_memory(glob);
        if stop && matches!(done, Ok(true)) {
            self.stop_fills(&**store, namespace).await?;
        }
        done
    }

    /// No fill of this namespace that has begun writes to the store any more, on any node.
    async fn stop_fills(&self, store: &dyn Store, namespace: &NamespaceState) -> Result<(), Error> {
        store.remove(&[&*namespace.swept.name], self.deadline()).await?;
        namespace.swept.invalidate();
        Ok(())
    }

    /// How many in L1 that have not expired.
    fn count_in_memory(&self, glob: &Pattern) -> u64 {
        let (now, mut count) = (self.clock.now(), 0);
        for region in self.regions() {
            region.remove_where(|slot| {
                count += u64::from(glob.matches(&slot.rendered) && slot.times.is_alive(now));
                false
            });
        }
        count
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

impl Course<'static> {
    fn to_the_end() -> Self {
        Self { dry_run: false, position: SweepPosition::default(), go_on: &|_| true }
    }
}

impl NamespaceState {
    /// Over whole keys of the store.
    fn glob(&self, pattern: &Pattern) -> Pattern {
        Pattern::rendered(&format!("{}{}", self.facts().base(), pattern.as_str()))
    }
}

/// Step by step; whether it came to the end.
async fn walk(
    inner: &Inner,
    store: &dyn Store,
    glob: &str,
    course: &mut Course<'_>,
) -> Result<bool, Error> {
    let mut failures = 0;
    loop {
        let took = Stopwatch::start();
        let step = match store.scan(glob, course.position.cursor(), inner.deadline()).await {
            Ok(step) => step,
            Err(error) if error.kind() == ErrorKind::Timeout && failures < PATIENCE => {
                failures += 1;
                continue;
            }
            Err(error) => return Err(error),
        };
        failures = 0;
        let mut removed = 0;
        for keys in step.keys.chunks(REMOVED_AT_ONCE) {
            let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
            removed += if course.dry_run {
                store.count_values(&keys, inner.deadline()).await?
            } else {
                store.remove_values(&keys, inner.deadline()).await?
            };
        }
        course.position.step(step.cursor, step.keys.len() as u64, removed);
        let go_on = (course.go_on)(course.position);
        if step.cursor == 0 {
            return Ok(true);
        }
        if !go_on {
            return Ok(false);
        }
        match took.elapsed() {
            quick if quick < QUICK => tokio::task::yield_now().await,
            slow => tokio::time::sleep(slow.min(LONGEST_PAUSE)).await,
        }
    }
}
