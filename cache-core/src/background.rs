//! Tasks that nobody waits for: bounded in number, drained at shutdown; and those of which there is
//! one at most, which repeat something until it is done.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::clock::Deadline;

/// Runs tasks that nobody waits for: at most so many at once; and as many of the cache's own upkeep: writes
/// of what was computed, and looks at what has changed elsewhere. (A computation in the background, whose
/// value is written when it ends, must not need a second place among those that its likes take.)
#[derive(Debug, Clone)]
pub struct Background {
    places: Arc<Semaphore>,
    upkeep: Arc<Semaphore>,
    limit: u32,
}

/// A place for a task.
#[derive(Debug)]
pub(crate) struct Place {
    permit: OwnedSemaphorePermit,
    runtime: tokio::runtime::Handle,
}

impl Place {
    pub(crate) fn spawn(self, task: impl Future<Output = ()> + Send + 'static) {
        let Self { permit, runtime } = self;
        runtime.spawn(async move {
            task.await;
            drop(permit);
        });
    }
}

impl Background {
    pub(crate) fn new(limit: u32) -> Self {
        let places = || Arc::new(Semaphore::new(limit as usize));
        Self { places: places(), upkeep: places(), limit }
    }

    /// Runs a task in the background. False if all places are taken, the cache is shut down, or
    /// there is no runtime: then the task is dropped.
    pub fn try_spawn(&self, task: impl Future<Output = ()> + Send + 'static) -> bool {
        let place = self.place();
        let any = place.is_some();
        if let Some(place) = place {
            place.spawn(task);
        }
        any
    }

    /// A place for one task; `None` where [`try_spawn`](Self::try_spawn) would be false.
    pub(crate) fn place(&self) -> Option<Place> {
        place_of(&self.places)
    }

    /// A place for a task of the cache's own upkeep.
    pub(crate) fn place_of_upkeep(&self) -> Option<Place> {
        place_of(&self.upkeep)
    }

    /// How many tasks run, those of its own upkeep among them.
    pub fn running(&self) -> usize {
        let taken =
            |places: &Semaphore| (self.limit as usize).saturating_sub(places.available_permits());
        taken(&self.places) + taken(&self.upkeep)
    }

    /// Takes no more tasks and waits for those that run, then for what they have to write. False if
    /// some still ran after `limit`.
    pub(crate) async fn drain(&self, limit: Duration) -> bool {
        let all = async {
            for places in [&self.places, &self.upkeep] {
                let _ = places.acquire_many(self.limit).await;
                places.close();
            }
        };
        let drained = tokio::time::timeout(limit, all).await;
        self.places.close();
        self.upkeep.close();
        drained.is_ok()
    }
}

fn place_of(places: &Arc<Semaphore>) -> Option<Place> {
    let runtime = tokio::runtime::Handle::try_current().ok()?;
    let permit = Arc::clone(places).try_acquire_owned().ok()?;
    Some(Place { permit, runtime })
}

/// The mark that a task runs of which there is to be one. Such a task ends with the runtime it was
/// started on, or stands still where nobody drives that any more: so the mark is a lease.
#[derive(Debug, Default)]
pub(crate) struct Sole(Mutex<Running>);

#[derive(Debug, Default)]
struct Running {
    /// Tells it from earlier ones.
    number: u64,
    until: Option<Deadline>,
}

/// A task that has not come round in this time runs where nobody drives it.
const LEASE: Duration = Duration::from_secs(3);

impl Sole {
    /// A number for a new task, unless one runs.
    pub(crate) fn begin(&self) -> Option<u64> {
        let mut running = self.running();
        if running.until.is_some_and(|until| !until.has_passed()) {
            return None;
        }
        running.number += 1;
        running.until = Some(Deadline::after(LEASE));
        Some(running.number)
    }

    /// False if another has taken this one's place.
    pub(crate) fn go_on(&self, number: u64) -> bool {
        let mut running = self.running();
        if running.number == number {
            running.until = Some(Deadline::after(LEASE));
        }
        running.number == number
    }

    /// Another may begin. False if one has already.
    pub(crate) fn end(&self, number: u64) -> bool {
        let mut running = self.running();
        if running.number == number {
            running.until = None;
        }
        running.number == number
    }

    fn running(&self) -> MutexGuard<'_, Running> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_at_a_time_and_another_when_it_has_ended_or_stands_still() {
        let sole = Sole::default();
        let first = sole.begin().unwrap();
        assert_eq!(sole.begin(), None);
        sole.end(first);
        let second = sole.begin().unwrap();
        tokio::time::advance(LEASE / 2).await;
        assert!(sole.go_on(second) && !sole.go_on(first));
        tokio::time::advance(LEASE / 2).await;
        assert_eq!(sole.begin(), None);
        tokio::time::advance(LEASE).await;
        let third = sole.begin().unwrap();
        sole.end(second);
        assert!(!sole.go_on(second) && sole.go_on(third));
        assert_eq!(sole.begin(), None);
    }
}
