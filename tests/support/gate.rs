//! A gate that a test opens: the thing behind it waits until then.

use tokio::sync::{Semaphore, watch};

use std::sync::Arc;

/// Closed at first; clones are the same gate.
///
/// ```
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// let gate = cache_tests::Gate::new();
/// let other = gate.clone();
/// let waiting = tokio::spawn(async move { other.pass().await });
/// gate.waiting(1).await; // it has arrived
/// gate.open(1);
/// waiting.await.unwrap();
/// # });
/// ```
#[derive(Debug, Clone)]
pub struct Gate(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    passes: Semaphore,
    waiting: watch::Sender<usize>,
}

impl Gate {
    /// A closed gate.
    pub fn new() -> Self {
        Self(Arc::new(Inner { passes: Semaphore::new(0), waiting: watch::Sender::new(0) }))
    }

    /// Lets `count` through, those who wait first.
    pub fn open(&self, count: usize) {
        self.0.passes.add_permits(count);
    }

    /// Lets everyone through from now on.
    pub fn open_for_good(&self) {
        self.0.passes.close();
    }

    /// Waits until the gate lets the caller through.
    pub async fn pass(&self) {
        let _here = Here::enter(&self.0.waiting);
        if let Ok(permit) = self.0.passes.acquire().await {
            permit.forget();
        }
    }

    /// Waits until at least `count` wait at the gate.
    pub async fn waiting(&self, count: usize) {
        let mut waiting = self.0.waiting.subscribe();
        waiting.wait_for(|now| *now >= count).await.expect("the sender is in self");
    }
}

impl Default for Gate {
    fn default() -> Self {
        Self::new()
    }
}

/// Counts a waiter, also one that gives up.
struct Here<'a>(&'a watch::Sender<usize>);

impl<'a> Here<'a> {
    fn enter(count: &'a watch::Sender<usize>) -> Self {
        count.send_modify(|now| *now += 1);
        Self(count)
    }
}

impl Drop for Here<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|now| *now -= 1);
    }
}
