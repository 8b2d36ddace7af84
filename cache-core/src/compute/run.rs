//! Looking a value up, waiting for somebody else's, and standing in with what is stale.

use std::sync::Arc;

use serde::{Serialize, de::DeserializeOwned};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::computed::{Computed, Previous};
use super::fleet::Fleet;
use super::lead::{How, lead};
use super::limits::{Allowance, within};
use super::look::{Looked, Seen};
use super::options::Options;
use super::request::families;
use super::wait::{Ended, longest};
use super::{BoxCompute, ComputeError};
use crate::audit::{self, Operation};
use crate::background::Place;
use crate::clock::{Deadline, Stopwatch};
use crate::codec::from_bytes;
use crate::fill::{Fill, LONGEST_FILL};
use crate::flight::{Joined, Leader};
use crate::invalidate::Tag;
use crate::invalidate::fence::Fence;
use crate::l1::{Shared, Slot};
use crate::middleware::Read;
use crate::state::{EntryKey, Inner};
use crate::store::BoxFuture;

/// Runs a task in the background.
pub(super) type Launch<'a> = fn(Place, BoxFuture<'a, ()>);

/// One call of `get_or_compute`.
///
/// Of a thousand that ask for one key, all but one only wait: what they don't do is boxed where it
/// is done, so that each of them is small.
#[allow(clippy::struct_excessive_bools, reason = "each is said by a caller, or not")]
pub(super) struct Call<'a> {
    pub(super) inner: Arc<Inner>,
    pub(super) key: Arc<EntryKey>,
    pub(super) options: Options,
    pub(super) tags: Vec<Tag>,
    pub(super) read: bool,
    pub(super) write: bool,
    /// Somebody reads: it is a hit or a miss.
    pub(super) counted: bool,
    pub(super) launch: Option<Launch<'a>>,
    /// The function is given what there is, and may name tags.
    pub(super) rich: bool,
    pub(super) allowance: Allowance,
    /// How long it waits for other processes.
    pub(super) others: Deadline,
    /// What was found is still fresh.
    pub(super) refreshing: bool,
    /// From before what is stale was found.
    pub(super) fence: Option<Box<Fence>>,
}

impl<'a> Call<'a> {
    #[allow(clippy::manual_async_fn, reason = "its future would hold the call twice")]
    pub(super) fn run<V, E, F>(
        mut self,
        compute: F,
    ) -> impl Future<Output = Result<V, ComputeError<E>>> + Send + 'a
    where
        V: Serialize + DeserializeOwned + Send + 'a,
        E: Send + Sync + 'static,
        F: FnOnce(Previous<V>) -> BoxCompute<'a, V, E> + Send + 'a,
    {
        async move {
            let patience = self.options.timeout.map(Deadline::after);
            if !self.read {
                return Box::pin(self.without_looking(compute, patience)).await;
            }
            let mut seen = Seen::default();
            loop {
                match Box::pin(self.look::<V, E>(&mut seen)).await {
                    Looked::Again => {}
                    Looked::Found(value, slot) => {
                        self.refreshing = true;
                        return Ok(Box::pin(self.refreshed(value, &slot, compute)).await);
                    }
                    Looked::Failed(former, error) => return self.stand_in(former.as_ref(), error),
                    Looked::Led(lead) => {
                        let (fill, former, leader) = *lead;
                        let computing = self.compute(fill, former, Some(leader), compute, patience);
                        return Box::pin(computing).await;
                    }
                    Looked::Joined(follower, former) => {
                        match self.follow(&follower, former.is_some(), patience).await {
                            Ended::Done(Ok(value)) => {
                                self.audit(audit::Outcome::Shared);
                                return Ok(value);
                            }
                            Ended::Done(Err(error)) => {
                                return self.stand_in(former.as_ref(), error);
                            }
                            Ended::Abandoned | Ended::Hung => {}
                            Ended::TooLong => {
                                return self.stand_in(former.as_ref(), ComputeError::TimedOut);
                            }
                            Ended::Alone => {
                                // What somebody else has computed need not be kept for that long.
                                drop(follower);
                                let computing = self.compute_alone(former, compute, patience);
                                return Box::pin(computing).await;
                            }
                        }
                    }
                }
            }
        }
    }

    /// Computes whatever there is.
    async fn without_looking<V, E, F>(
        mut self,
        compute: F,
        patience: Option<Deadline>,
    ) -> Result<V, ComputeError<E>>
    where
        V: Serialize + DeserializeOwned + Send + 'a,
        E: Send + Sync + 'static,
        F: FnOnce(Previous<V>) -> BoxCompute<'a, V, E> + Send + 'a,
    {
        self.note(Read::Miss);
        let fill = if self.write {
            let deadline = self.allowance.begin();
            let fill = self.inner.fill_anew(&self.key, deadline).await;
            self.allowance.end();
            self.begun(self.expecting(fill)).await
        } else {
            self.inner.fill_unasked(&self.key)
        };
        self.compute(fill, None, None, compute, patience).await
    }

    /// Counts what a read came to.
    pub(super) fn note(&self, read: Read) {
        if self.counted {
            self.key.count(read);
        }
        self.audit(audit::Outcome::Read(read));
    }

    pub(super) fn audit(&self, outcome: audit::Outcome) {
        self.key.namespace.audit(Operation::Get, outcome, &self.key.identity);
    }

    pub(super) async fn begun(&mut self, mut fill: Fill) -> Fill {
        if self.write {
            let deadline = self.allowance.begin();
            fill.begin(&self.tags, deadline).await;
            self.allowance.end();
        }
        fill
    }

    /// Tags that only the value will name have to be expected before others may wait for it.
    pub(super) fn expecting(&self, mut fill: Fill) -> Fill {
        let families = families(&self.tags, self.rich, &self.key);
        for family in &families {
            fill.expect_tags(family);
        }
        fill
    }

    pub(super) fn is_fresh(&self, slot: &Slot) -> bool {
        let now = self.inner.clock.now();
        slot.is_fresh(now)
    }

    /// A value that is fresh; if it is due, computed anew by one of those who ask.
    async fn refreshed<V, E, F>(&mut self, value: V, slot: &Arc<Slot>, compute: F) -> V
    where
        V: Serialize + DeserializeOwned + Send + 'a,
        E: Send + Sync + 'static,
        F: FnOnce(Previous<V>) -> BoxCompute<'a, V, E> + Send + 'a,
    {
        let (inner, key) = (&self.inner, &self.key);
        let now = inner.clock.now();
        inner.slide_found(key, slot, &self.options, now);
        let is_due = self.write && self.options.is_due(&slot.times, now);
        if !is_due || (self.counted && inner.resting.has(key.hash, now)) {
            return value;
        }
        let Some(fill) = Fill::replacing(inner, key, slot) else { return value };
        let fill = self.expecting(fill);
        if inner.failures.get::<E>(&fill).is_some() {
            return value;
        }
        let joined = inner.flights.join_within(key.hash, &fill, longest(&self.options));
        let Joined::Leader(leader) = joined else { return value };
        let patience = self.options.timeout.map(Deadline::after);
        let (fill, former) = (self.begun(fill).await, Some(Arc::clone(slot)));
        match self.launched(fill, former, Some(leader), compute) {
            Ok(_) => value,
            Err((fill, former, leader, compute)) => {
                let led = self.compute_here(fill, former, leader, compute, patience).await;
                led.unwrap_or(value)
            }
        }
    }

    /// Computes: in the background if it may, else here.
    async fn compute<V, E, F>(
        &self,
        fill: Fill,
        former: Option<Arc<Slot>>,
        leader: Option<Leader<Shared>>,
        compute: F,
        patience: Option<Deadline>,
    ) -> Result<V, ComputeError<E>>
    where
        V: Serialize + DeserializeOwned + Send + 'a,
        E: Send + Sync + 'static,
        F: FnOnce(Previous<V>) -> BoxCompute<'a, V, E> + Send + 'a,
    {
        let stand_in = former.clone();
        match self.launched(fill, former, leader, compute) {
            Ok(led) => {
                let led = async { led.await.unwrap_or(Err(ComputeError::LeaderFailed)) };
                self.awaited(stand_in, led, patience).await
            }
            Err((fill, former, leader, compute)) => {
                self.compute_here(fill, former, leader, compute, patience).await
            }
        }
    }

    async fn compute_here<V, E, F>(
        &self,
        fill: Fill,
        former: Option<Arc<Slot>>,
        leader: Option<Leader<Shared>>,
        compute: F,
        patience: Option<Deadline>,
    ) -> Result<V, ComputeError<E>>
    where
        V: Serialize + DeserializeOwned + Send + 'a,
        E: Send + Sync + 'static,
        F: FnOnce(Previous<V>) -> BoxCompute<'a, V, E> + Send + 'a,
    {
        let stand_in = former.clone();
        let led = lead(Arc::clone(&self.inner), fill, former, leader, compute, self.how());
        self.awaited(stand_in, led, patience).await
    }

    /// Computes for this caller only, and stores nothing: others have tried.
    async fn compute_alone<V, E, F>(
        &self,
        former: Option<Arc<Slot>>,
        compute: F,
        patience: Option<Deadline>,
    ) -> Result<V, ComputeError<E>>
    where
        V: DeserializeOwned + Send + 'a,
        F: FnOnce(Previous<V>) -> BoxCompute<'a, V, E> + Send + 'a,
    {
        let stand_in = former.clone();
        let computed = async {
            if self.rich && former.is_some() {
                self.audit(audit::Outcome::Previous);
            }
            let watch = Stopwatch::start();
            let computed = compute(Previous::new(former)).await;
            let took = watch.elapsed();
            self.key.note_computed(took, computed.is_ok());
            value_of(computed)
        };
        self.awaited(stand_in, computed, patience).await
    }

    /// Waits for a function of this call as long as its options say. What is stale stands in for
    /// what comes too late, or to nothing.
    async fn awaited<V: DeserializeOwned, E>(
        &self,
        stand_in: Option<Arc<Slot>>,
        computed: impl Future<Output = Result<V, ComputeError<E>>>,
        patience: Option<Deadline>,
    ) -> Result<V, ComputeError<E>> {
        let computed = within(self.until(stand_in.is_some(), patience), computed).await;
        computed.or_else(|error| self.stand_in(stand_in.as_ref(), error))
    }

    /// Starts the computation in the background; what it was to be done with, if it may not go on
    /// there, or there is no place. One that outlasts all fills could not be stored, and ends.
    #[allow(clippy::type_complexity, clippy::result_large_err, reason = "handed back as it came")]
    fn launched<V, E, F>(
        &self,
        fill: Fill,
        former: Option<Arc<Slot>>,
        leader: Option<Leader<Shared>>,
        compute: F,
    ) -> Result<
        oneshot::Receiver<Result<V, ComputeError<E>>>,
        (Fill, Option<Arc<Slot>>, Option<Leader<Shared>>, F),
    >
    where
        V: Serialize + DeserializeOwned + Send + 'a,
        E: Send + Sync + 'static,
        F: FnOnce(Previous<V>) -> BoxCompute<'a, V, E> + Send + 'a,
    {
        let place = self.launch.and_then(|launch| Some((launch, self.inner.background.place()?)));
        let Some((launch, place)) = place else { return Err((fill, former, leader, compute)) };
        let (sender, led_behind) = oneshot::channel();
        let led = lead(Arc::clone(&self.inner), fill, former, leader, compute, self.how());
        launch(
            place,
            Box::pin(async move {
                if let Ok(led) = timeout(LONGEST_FILL, led).await {
                    // The caller may have left.
                    drop(sender.send(led));
                }
            }),
        );
        Ok(led_behind)
    }

    fn how(&self) -> How {
        let (mut allowance, until, refreshing) = (self.allowance, self.others, self.refreshing);
        let once = self.write && self.options.fleet == Some(true);
        let fleet = once.then(|| Fleet { deadline: allowance.begin(), until, refreshing });
        let (options, write, allowance) = (self.options, self.write, self.allowance);
        How { options, write, fleet, early: refreshing, rich: self.rich, allowance }
    }

    /// What is stale, in place of an error.
    fn stand_in<V: DeserializeOwned, E>(
        &self,
        former: Option<&Arc<Slot>>,
        error: ComputeError<E>,
    ) -> Result<V, ComputeError<E>> {
        let read = |slot: &Slot| from_bytes(slot.format, &slot.payload);
        let former = as_it_is_now(&self.inner, &self.key, self.fence.as_deref(), former);
        stand_in(&self.inner, &self.key, self.counted, former.as_ref(), read).ok_or(error)
    }
}

/// What is stale; if the key has been deleted or written here since, what there is in its place.
pub(super) fn as_it_is_now(
    inner: &Inner,
    key: &EntryKey,
    fence: Option<&Fence>,
    former: Option<&Arc<Slot>>,
) -> Option<Arc<Slot>> {
    let stands = fence.is_none_or(Fence::stands);
    former.and_then(|slot| if stands { Some(Arc::clone(slot)) } else { inner.peek(key) })
}

/// What is stale, if it can still be used.
pub(super) fn stand_in<V>(
    inner: &Inner,
    key: &EntryKey,
    counted: bool,
    former: Option<&Arc<Slot>>,
    read: impl FnOnce(&Slot) -> Option<V>,
) -> Option<V> {
    let now = inner.clock.now();
    let former = former.filter(|slot| slot.is_alive(now))?;
    let value = read(former)?;
    // What was to be refreshed early is fresh.
    if !former.is_fresh(now) {
        if counted {
            key.note(|counts| counts.stale.one());
        }
        key.namespace.audit(Operation::Get, audit::Outcome::Stale, &key.identity);
    }
    Some(value)
}

/// The bare value.
pub(super) fn value_of<V, E>(computed: Result<Computed<V>, E>) -> Result<V, ComputeError<E>> {
    computed.map(Computed::into_value).map_err(|error| ComputeError::Compute(Arc::new(error)))
}
