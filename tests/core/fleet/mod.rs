//! One computation for several caches on one store, as for several processes on one Redis.

mod ends;
mod faults;
mod holders;
mod processes;
mod turns;
mod worker;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use cache_core::store::MemoryStore;
use cache_core::{Cache, ComputeError, Computed, Previous};
use cache_tests::{Gate, eventually};
use tokio::task::JoinHandle;

use crate::setup::{PATIENCE, Setup, shared_redis};

type Failure = std::io::Error;
type Outcome = Result<String, ComputeError<Failure>>;
type Answer = Result<Computed<String>, Failure>;

/// A function that counts its calls, and ends when it may.
#[derive(Clone, Default)]
struct Work {
    gate: Gate,
    begun: Arc<AtomicUsize>,
}

impl Work {
    /// How often it has been called.
    fn begun(&self) -> usize {
        self.begun.load(Ordering::SeqCst)
    }

    async fn have_begun(&self, count: usize) {
        eventually(PATIENCE, "computations begin", || self.begun() >= count).await;
    }

    async fn run(self, end: Answer) -> Answer {
        self.begun.fetch_add(1, Ordering::SeqCst);
        self.gate.pass().await;
        end
    }

    /// Asks a cache, as one of a fleet.
    fn ask(
        &self,
        cache: &Cache,
        end: impl FnOnce() -> Answer + Send + 'static,
    ) -> JoinHandle<Outcome> {
        self.ask_for("1".to_owned(), cache, end)
    }

    fn ask_for(
        &self,
        key: String,
        cache: &Cache,
        end: impl FnOnce() -> Answer + Send + 'static,
    ) -> JoinHandle<Outcome> {
        let (work, reports) = (self.clone(), cache.namespace("reports"));
        tokio::spawn(async move {
            let compute = async |_: Previous<String>| work.run(end()).await;
            reports.get_or_compute_with(key, compute).once_per_fleet().await
        })
    }
}

fn value(text: &str) -> impl FnOnce() -> Answer + Send + use<> {
    let text = text.to_owned();
    move || Ok(Computed::new(text))
}

fn failure() -> Answer {
    Err(Failure::other("no"))
}

/// Waits until so many reads of a cache have found nothing.
async fn missed(cache: &Cache, count: u64) {
    crate::setup::missed(cache, "reports", count).await;
}

/// Lets those who wait ask the store a few times, on paused time.
async fn for_a_while() {
    for _ in 0..20 {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

/// The leases in a store.
fn leases(store: &MemoryStore, setup: &Setup) -> Vec<String> {
    let base = format!("{}:gen:l:", setup.prefix);
    store.keys().into_iter().filter(|key| key.starts_with(&base)).collect()
}

fn leases_on_redis(setup: &Setup) -> Vec<String> {
    shared_redis().keys(&format!("{}:gen:l:*", setup.prefix))
}
