//! The task that keeps one key warm.

use std::fmt;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use serde::{Serialize, de::DeserializeOwned};
use tokio::sync::{oneshot, watch};
use tokio::time::{sleep, timeout};

use super::options::Options;
use crate::audit::{Accesses, Operation, Outcome};
use crate::cache::Cache;
use crate::clock::Deadline;
use crate::fill::LONGEST_FILL;
use crate::invalidate::Tag;
use crate::key::Key;
use crate::middleware::Read;
use crate::state::{Inner, NamespaceState};
use crate::typed::Found;
use crate::values::Values;

/// A key that is kept warm. Does not keep the cache alive.
pub(super) struct Job<V, E, F> {
    pub(super) inner: Weak<Inner>,
    pub(super) namespace: Arc<NamespaceState>,
    pub(super) key: Key,
    pub(super) compute: Arc<F>,
    pub(super) options: Options,
    pub(super) tags: Vec<Tag>,
    /// Between two computations, where nothing else is known.
    pub(super) period: Duration,
    pub(super) result: PhantomData<fn() -> Result<V, E>>,
}

/// What came of a round.
enum Round {
    /// Somebody else has computed it, or does.
    NotNeeded,
    /// All places in the background are taken.
    NoPlace,
    Done,
    Failed(String),
}

/// It never looks more often, however short values live.
const SHORTEST_WAIT: Duration = Duration::from_millis(100);
/// After a failure it waits so long at least.
const SHORTEST_RETRY: Duration = Duration::from_secs(1);
/// One line for each key in this time.
const WARN_EVERY: Duration = Duration::from_secs(5 * 60);

impl<V, E, F, Fut> Job<V, E, F>
where
    V: Serialize + DeserializeOwned + Send + 'static,
    E: fmt::Display + Send + Sync + 'static,
    F: Fn() -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<V, E>> + Send + 'static,
{
    /// Until the cache is shut down or gone.
    pub(super) async fn run(self, mut closing: watch::Receiver<bool>) {
        let mut options = self.options.earlier(fastrand::f64());
        let mut quiet: Option<Deadline> = None;
        loop {
            let Some(values) = self.values().filter(|_| !*closing.borrow()) else { return };
            let mut rest = self.rest(&values, &options).await;
            if rest.is_none() {
                let round = self.round(&values, options).await;
                options = self.options.earlier(fastrand::f64());
                self.note(&values, &round, &mut quiet);
                rest = match round {
                    // It is not there if it is not to be stored, or not yet.
                    Round::Done => self.rest(&values, &options).await.or(Some(self.period)),
                    Round::NotNeeded => self.rest(&values, &options).await,
                    // One is free soon, or not: that says nothing of the function.
                    Round::NoPlace => Some(SHORTEST_RETRY.min(self.period)),
                    Round::Failed(_) => None,
                };
            }
            let retry = || (self.period / 8).max(SHORTEST_RETRY).min(self.period);
            let wait = rest.unwrap_or_else(retry).max(SHORTEST_WAIT);
            drop(values);
            tokio::select! {
                _ = closing.wait_for(|closing| *closing) => return,
                () = sleep(wait) => {}
            }
        }
    }

    fn values(&self) -> Option<Values> {
        let inner = self.inner.upgrade()?;
        Some(Values { cache: Cache { inner }, state: Ok(Arc::clone(&self.namespace)) })
    }

    /// How long the value is good as it is; `None`: it is to be computed.
    async fn rest(&self, values: &Values, options: &Options) -> Option<Duration> {
        let inner = &values.cache.inner;
        if !inner.enabled {
            return None;
        }
        let key = inner.plain_key(&self.namespace, &self.key);
        let access = Accesses::begin(Operation::Ttl, [&key]);
        // What is of another type has to be replaced.
        let (times, read) = match inner.find::<V>(&key, inner.deadline()).await {
            Found::Value(_, slot, hit) => (Some(slot.times_at(inner.clock.now())), hit),
            Found::Nothing(..) => (None, Read::Miss),
        };
        access.end(Outcome::Read(read));
        let (times, now) = (times?, inner.clock.now());
        let Some(due) = options.due_at(&times) else { return Some(self.period) };
        (due > now).then(|| Duration::from_millis(due - now))
    }

    /// Computes, if it is still to be done, in the background; stops when this is dropped.
    async fn round(&self, values: &Values, options: Options) -> Round {
        let Some(place) = values.cache.inner.background.place() else {
            return Round::NoPlace;
        };
        let (mut done, ended) = oneshot::channel();
        let compute = Arc::clone(&self.compute);
        let asking = ask(values.clone(), self.key.clone(), compute, options, self.tags.clone());
        place.spawn(async move {
            tokio::select! {
                round = timeout(LONGEST_FILL, asking) => {
                    let too_long = |_| Round::Failed("it took too long".to_owned());
                    drop(done.send(round.unwrap_or_else(too_long)));
                }
                () = done.closed() => {}
            }
        });
        ended.await.unwrap_or_else(|_| Round::Failed("the function panicked".to_owned()))
    }

    fn note(&self, values: &Values, round: &Round, quiet: &mut Option<Deadline>) {
        let key = values.cache.inner.plain_key(&self.namespace, &self.key);
        if !matches!(round, Round::NotNeeded | Round::NoPlace) {
            key.note(|counts| counts.refreshes.one());
        }
        let Round::Failed(error) = round else { return };
        key.note(|counts| counts.refresh_failures.one());
        if quiet.is_none_or(Deadline::has_passed) {
            *quiet = Some(Deadline::after(WARN_EVERY));
            let namespace = &*self.namespace.name;
            tracing::warn!(target: "cache_core", namespace, error, "not refreshed");
        }
        let (namespace, key) = (&*self.namespace.name, key.shown());
        tracing::debug!(target: "cache_core", namespace, %key, error, "a key was not refreshed");
    }
}

/// One call of `get_or_compute`, and whether it computed.
async fn ask<V, E, F, Fut>(
    values: Values,
    key: Key,
    compute: Arc<F>,
    options: Options,
    tags: Vec<Tag>,
) -> Round
where
    V: Serialize + DeserializeOwned + Send + 'static,
    E: fmt::Display + Send + Sync + 'static,
    F: Fn() -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<V, E>> + Send + 'static,
{
    let (called, outcome) = (Arc::new(AtomicBool::new(false)), Arc::new(OnceLock::new()));
    let (calls, comes_to) = (Arc::clone(&called), Arc::clone(&outcome));
    let observed = move || {
        calls.store(true, Ordering::Relaxed);
        let computing = compute();
        async move {
            let computed = computing.await;
            let _ = comes_to.set(computed.as_ref().err().map(ToString::to_string));
            computed
        }
    };
    let mut asked = values.get_or_compute(key, observed).options(options).uncounted();
    asked.tags = tags;
    // A value that is good still is given in place of an error.
    let answer = asked.await;
    match (outcome.get(), called.load(Ordering::Relaxed), answer) {
        (Some(Some(error)), _, _) => Round::Failed(String::clone(error)),
        (Some(None), _, _) => Round::Done,
        (None, true, _) => Round::Failed("it took too long".to_owned()),
        (None, false, Ok(_)) => Round::NotNeeded,
        (None, false, Err(error)) => Round::Failed(error.to_string()),
    }
}
