//! How long one request may wait for the cache: over all operations, and over all layers that it
//! passes. Time spent otherwise, such as waiting for the service inside, does not count.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cache_core::{Deadline, Stopwatch};
use http::Extensions;

/// What is left of a request's budget; travels in its extensions.
#[derive(Clone, Debug)]
pub(crate) struct Budget(Arc<Mutex<Duration>>);

impl Budget {
    /// A budget of its own, for what no client waits for.
    pub(crate) fn new(whole: Duration) -> Self {
        Self(Arc::new(Mutex::new(whole)))
    }

    /// The budget of a request; `whole`, if no layer has opened one yet.
    pub(crate) fn of(extensions: &mut Extensions, whole: Duration) -> Self {
        extensions.get_or_insert_with(|| Self::new(whole)).clone()
    }

    /// Runs an operation of the cache, which has to be done by the deadline that it is given.
    pub(crate) async fn spend<T>(&self, operation: impl AsyncFnOnce(Deadline) -> T) -> T {
        let watch = Stopwatch::start();
        let output = operation(Deadline::after(self.left())).await;
        let left = self.left().saturating_sub(watch.elapsed());
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = left;
        output
    }

    fn left(&self) -> Duration {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn layers_share_one_budget_and_only_operations_spend_it() {
        let mut extensions = Extensions::new();
        let whole = Duration::from_millis(50);
        let outer = Budget::of(&mut extensions, whole);
        let hung = async |deadline: Deadline| tokio::time::sleep_until(deadline.instant()).await;
        outer.spend(async |_| tokio::time::sleep(Duration::from_millis(30)).await).await;
        tokio::time::sleep(Duration::from_secs(5)).await;
        let inner = Budget::of(&mut extensions, whole);
        let watch = Stopwatch::start();
        inner.spend(hung).await;
        outer.spend(hung).await;
        assert_eq!(watch.elapsed(), Duration::from_millis(20));
    }
}
