//! `delete_pattern(..)` as the caller sees it.

use std::future::IntoFuture;

use super::Course;
use super::job::SweepJob;
use super::position::SweepPosition;
use crate::clock::Stopwatch;
use crate::error::Error;
use crate::happenings::InvalidationOutcome;
use crate::invalidate::Pattern;
use crate::store::BoxFuture;
use crate::values::Values;

/// A removal of what matches a glob: carried out when awaited, or by a
/// [job](Self::start); see [`Cache::delete_pattern`](crate::Cache::delete_pattern).
///
/// ```
/// use cache_core::{Cache, SweepState};
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let cache = Cache::builder().memory().build()?;
/// cache.set("users", "old_1", "v").await?;
/// assert_eq!(cache.delete_pattern("users", "old_*").dry_run().await?, 1);
/// let job = cache.delete_pattern("users", "old_*").start()?;
/// let progress = job.wait().await?;
/// assert_eq!((progress.state, progress.position.removed()), (SweepState::Done, 1));
/// # Ok::<(), cache_core::Error>(()) }).unwrap();
/// ```
#[derive(Debug)]
#[must_use = "nothing is removed until this is awaited or started"]
pub struct DeletePattern {
    values: Values,
    pattern: Pattern,
    dry_run: bool,
    position: SweepPosition,
}

impl DeletePattern {
    pub(crate) fn new(values: Values, pattern: Pattern) -> Self {
        Self { values, pattern, dry_run: false, position: SweepPosition::default() }
    }

    /// Counts what would be removed, and touches nothing.
    pub fn dry_run(mut self) -> Self {
        self.dry_run = true;
        self
    }

    /// Goes on where an earlier one of the same pattern has stopped. What was stored in the
    /// meantime where that had passed stays.
    pub fn resume(mut self, position: SweepPosition) -> Self {
        self.position = position;
        self
    }

    /// Runs it in the background.
    ///
    /// # Errors
    /// If the namespace can't be used, or the background takes no task: it is full or shut down, or
    /// there is no runtime.
    pub fn start(self) -> Result<SweepJob, Error> {
        self.values.state()?;
        SweepJob::start(self)
    }

    pub(super) fn values(&self) -> &Values {
        &self.values
    }

    pub(super) fn position(&self) -> SweepPosition {
        self.position
    }

    /// Runs it, for as long as `go_on` says; whether it has come to its end.
    pub(crate) async fn run(
        &self,
        go_on: &(dyn Fn(SweepPosition) -> bool + Send + Sync),
    ) -> Result<(SweepPosition, bool), Error> {
        let (state, inner) = (self.values.state()?, &self.values.cache.inner);
        let mut course = Course { dry_run: self.dry_run, position: self.position, go_on };
        if !inner.enabled {
            return Ok((course.position, true));
        }
        let (before, began) = (course.position.removed(), Stopwatch::start());
        let done = inner.sweep_along(state, &self.pattern, &mut course).await;
        if !self.dry_run {
            let outcome = match done {
                Ok(true) => InvalidationOutcome::Complete,
                Ok(false) => InvalidationOutcome::Stopped,
                Err(_) => InvalidationOutcome::Failed,
            };
            let removed = course.position.removed() - before;
            inner.tell_swept(state, &self.pattern, removed, outcome, began.elapsed());
        }
        Ok((course.position, done?))
    }
}

impl IntoFuture for DeletePattern {
    type Output = Result<u64, Error>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { Ok(self.run(&|_| true).await?.0.removed()) })
    }
}
