//! The only place in this crate that starts tasks: bounded in number, drained at shutdown.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

/// Runs tasks that nobody waits for: at most so many at once.
#[derive(Debug, Clone)]
pub struct Background {
    places: Arc<Semaphore>,
    limit: u32,
}

impl Background {
    pub(crate) fn new(limit: u32) -> Self {
        Self { places: Arc::new(Semaphore::new(limit as usize)), limit }
    }

    /// Runs a task in the background. False if all places are taken, the cache is shut down, or
    /// there is no runtime: then the task is dropped.
    pub fn try_spawn(&self, task: impl Future<Output = ()> + Send + 'static) -> bool {
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else { return false };
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return false };
        runtime.spawn(async move {
            task.await;
            drop(place);
        });
        true
    }

    /// How many tasks run.
    pub fn running(&self) -> usize {
        (self.limit as usize).saturating_sub(self.places.available_permits())
    }

    /// Takes no more tasks and waits for those that run. False if some still ran after `limit`.
    pub(crate) async fn drain(&self, limit: Duration) -> bool {
        let drained = tokio::time::timeout(limit, self.places.acquire_many(self.limit)).await;
        self.places.close();
        matches!(drained, Ok(Ok(_) | Err(_)))
    }
}
