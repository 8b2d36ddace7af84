//! Looking a value up, waiting for somebody else's, and standing in with what is stale.

use std::sync::Arc;
use std::time::Duration;

use serde::{Serialize, de::DeserializeOwned};
use tokio::time::timeout_at;

use super::computed::{Computed, Previous};
use super::fleet::Fleet;
use super::lead::{How, Outcome, lead, outcome};
use super::options::Options;
use super::{BoxCompute, ComputeError};
use crate::audit::{self, Operation};
use crate::background::Place;
use crate::clock::Deadline;
use crate::codec::from_bytes;
use crate::fill::Fill;
use crate::flight::{Follower, Joined, Landing, Leader};
use crate::invalidate::{Tag, TagFamily};
use crate::key::Key;
use crate::l1::{Shared, Slot};
use crate::middleware::Read;
use crate::state::{EntryKey, Inner, plain_identity};
use crate::store::BoxFuture;
use crate::typed::Found;

/// Runs a task in the background.
pub(super) type Launch<'a> = fn(Place, BoxFuture<'a, ()>);

/// One call of `get_or_compute`.
#[allow(clippy::struct_excessive_bools, reason = "each is said by a caller, or not")]
pub(super) struct Call<'a> {
    pub(super) inner: Arc<Inner>,
    /// As it was given.
    pub(super) plain: Key,
    pub(super) key: Arc<EntryKey>,
    pub(super) options: Options,
    pub(super) tags: Vec<Tag>,
    pub(super) read: bool,
    pub(super) write: bool,
    /// Somebody reads: it is a hit or a miss.
    pub(super) counted: bool,
    pub(super) launch: Option<Launch<'a>>,
    /// Those whose tags the value may turn out to have.
    pub(super) families: Vec<TagFamily>,
    /// Until when the cache may keep it waiting before it computes.
    pub(super) deadline: Deadline,
    /// How long it waits for other processes.
    pub(super) others: Deadline,
    /// What was found is still fresh.
    pub(super) refreshing: bool,
}

/// Those who wait for somebody else's computation start another after this long.
pub(super) const FOLLOW_FOR: Duration = Duration::from_secs(10);

/// What somebody's computation came to.
enum Ended<V, E> {
    Done(Result<V, ComputeError<E>>),
    /// Whoever computed went away.
    Abandoned,
    /// The outcome is of no use to this caller.
    Alone,
    /// It takes too long: for this caller, or for anybody.
    TooLong {
        hung: bool,
    },
}

impl<'a> Call<'a> {
    pub(super) async fn run<V, E, F>(mut self, compute: F) -> Result<V, ComputeError<E>>
    where
        V: Serialize + DeserializeOwned + Send + 'a,
        E: Send + Sync + 'static,
        F: FnOnce(Previous<V>) -> BoxCompute<'a, V, E> + Send + 'a,
    {
        let inner = Arc::clone(&self.inner);
        let patience = self.options.timeout.map(Deadline::after);
        if !self.read {
            self.note(Read::Miss);
            let fill = inner.fill_anew(&self.key, self.deadline).await;
            let fill = self.begun(self.expecting(fill)).await;
            return self.compute(fill, None, None, compute, patience).await;
        }
        let (mut counted, mut looked_again, mut made_again) = (false, false, false);
        let mut given_up = None;
        loop {
            self.deadline = inner.deadline();
            let (mut fill, former) = match inner.find(&self.key, self.deadline).await {
                Found::Value(value, slot, hit) => {
                    if counted {
                        self.audit(audit::Outcome::Read(hit));
                    } else {
                        self.note(hit);
                    }
                    self.refreshing = true;
                    return Ok(self.refreshed(value, &slot, compute).await);
                }
                Found::Nothing(fill, former) => (fill, former),
            };
            if !made_again && !self.key.is_up_to_date() {
                made_again = true;
                self.make_key_again();
                continue;
            }
            fill = self.expecting(fill);
            if let Some(error) = inner.failures.get::<E>(&fill) {
                if !counted {
                    self.note(Read::Miss);
                }
                return self.stand_in(former.as_ref(), ComputeError::Compute(error));
            }
            let joined = inner.flights.join_another(self.key.hash, &fill, given_up);
            if matches!(joined, Joined::Leader(_))
                && !looked_again
                && (fill.is_overtaken() || inner.peek(&self.key).is_some_and(|s| self.is_fresh(&s)))
            {
                // A flight landed between the lookup and the join.
                looked_again = true;
                continue;
            }
            if !counted {
                self.note(Read::Miss);
                counted = true;
            }
            match joined {
                Joined::Leader(leader) => {
                    let fill = self.begun(fill).await;
                    if !made_again && !self.key.is_up_to_date() {
                        made_again = true;
                        self.make_key_again();
                        continue;
                    }
                    return self.compute(fill, former, Some(leader), compute, patience).await;
                }
                Joined::Follower(follower) => {
                    drop(fill);
                    let number = follower.number();
                    match self.follow(follower, former.is_some(), patience, false).await {
                        Ended::Done(Ok(value)) => {
                            self.audit(audit::Outcome::Shared);
                            return Ok(value);
                        }
                        Ended::Done(Err(error)) => return self.stand_in(former.as_ref(), error),
                        Ended::Abandoned => {}
                        Ended::TooLong { hung: true } => given_up = Some(number),
                        Ended::TooLong { hung: false } => {
                            return self.stand_in(former.as_ref(), ComputeError::TimedOut);
                        }
                        Ended::Alone => {
                            return value_of(compute(Previous::new(former)).await);
                        }
                    }
                }
            }
        }
    }

    /// Counts what a read came to.
    fn note(&self, read: Read) {
        if self.counted {
            self.key.count(read);
        }
        self.audit(audit::Outcome::Read(read));
    }

    fn audit(&self, outcome: audit::Outcome) {
        self.key.namespace.audit(Operation::Get, outcome, &self.key.identity);
    }

    /// Others have declared more, or bumped the version.
    fn make_key_again(&mut self) {
        let identity = plain_identity(&self.plain);
        let key = self.inner.entry_key(&self.key.namespace, &self.plain, &identity);
        self.key = Arc::new(key);
    }

    async fn begun(&self, mut fill: Fill) -> Fill {
        if self.write {
            fill.begin(&self.tags, self.deadline).await;
        }
        fill
    }

    /// Tags that only the value will name have to be expected before others may wait for it.
    fn expecting(&self, mut fill: Fill) -> Fill {
        self.families.iter().for_each(|family| fill.expect_tags(family));
        fill
    }

    fn is_fresh(&self, slot: &Slot) -> bool {
        let now = self.inner.clock.now();
        slot.times_at(now).is_fresh(now)
    }

    /// A value that is fresh; if it is due, computed anew by one of those who ask.
    async fn refreshed<V, E, F>(&self, value: V, slot: &Arc<Slot>, compute: F) -> V
    where
        V: Serialize + DeserializeOwned + Send + 'a,
        E: Send + Sync + 'static,
        F: FnOnce(Previous<V>) -> BoxCompute<'a, V, E> + Send + 'a,
    {
        let (inner, key) = (&self.inner, &self.key);
        let now = inner.clock.now();
        inner.slide_found(key, slot, &self.options, now);
        if !self.options.is_due(&slot.times, now) {
            return value;
        }
        let Some(fill) = Fill::replacing(inner, key, slot) else { return value };
        let fill = self.expecting(fill);
        if inner.failures.get::<E>(&fill).is_some() {
            return value;
        }
        let Joined::Leader(leader) = inner.flights.join(key.hash, &fill) else { return value };
        let (fill, former) = (self.begun(fill).await, Some(Arc::clone(slot)));
        if self.launch.is_some() {
            return match self.launched(fill, former, leader, compute) {
                Ok(_) => value,
                Err((fill, former, leader, compute)) => {
                    let how = self.how();
                    let led = lead(Arc::clone(inner), fill, former, Some(leader), compute, how);
                    led.await.unwrap_or(value)
                }
            };
        }
        let patience = self.options.timeout.map(Deadline::after);
        let led = self.compute(fill, former, Some(leader), compute, patience).await;
        led.unwrap_or(value)
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
        let led = match leader {
            Some(leader) if self.launch.is_some() => {
                match self.launched(fill, former, leader, compute) {
                    Ok(follower) => {
                        let ended = self.follow(follower, stand_in.is_some(), patience, true).await;
                        return match ended {
                            Ended::Done(Ok(value)) => Ok(value),
                            Ended::Done(Err(error)) => self.stand_in(stand_in.as_ref(), error),
                            Ended::TooLong { .. } => {
                                self.stand_in(stand_in.as_ref(), ComputeError::TimedOut)
                            }
                            Ended::Abandoned | Ended::Alone => {
                                self.stand_in(stand_in.as_ref(), ComputeError::LeaderFailed)
                            }
                        };
                    }
                    Err((fill, former, leader, compute)) => lead(
                        Arc::clone(&self.inner),
                        fill,
                        former,
                        Some(leader),
                        compute,
                        self.how(),
                    ),
                }
            }
            leader => lead(Arc::clone(&self.inner), fill, former, leader, compute, self.how()),
        };
        let led = match self.until(stand_in.is_some(), patience) {
            Some(until) => match timeout_at(until.instant(), led).await {
                Ok(led) => led,
                Err(_) => Err(ComputeError::TimedOut),
            },
            None => led.await,
        };
        led.or_else(|error| self.stand_in(stand_in.as_ref(), error))
    }

    /// Starts the computation in the background; what it was to be done with, if there is no place.
    #[allow(clippy::type_complexity, clippy::result_large_err, reason = "handed back as it came")]
    fn launched<V, E, F>(
        &self,
        fill: Fill,
        former: Option<Arc<Slot>>,
        leader: Leader<Shared>,
        compute: F,
    ) -> Result<Follower<Shared>, (Fill, Option<Arc<Slot>>, Leader<Shared>, F)>
    where
        V: Serialize + DeserializeOwned + Send + 'a,
        E: Send + Sync + 'static,
        F: FnOnce(Previous<V>) -> BoxCompute<'a, V, E> + Send + 'a,
    {
        let (Some(launch), Some(place)) = (self.launch, self.inner.background.place()) else {
            return Err((fill, former, leader, compute));
        };
        let follower = leader.follow();
        let led = lead(Arc::clone(&self.inner), fill, former, Some(leader), compute, self.how());
        launch(place, Box::pin(async move { drop(led.await) }));
        Ok(follower)
    }

    fn how(&self) -> How {
        let (deadline, until, refreshing) = (self.deadline, self.others, self.refreshing);
        let once = self.write && self.options.fleet == Some(true);
        let fleet = once.then_some(Fleet { deadline, until, refreshing });
        How { options: self.options, write: self.write, fleet }
    }

    /// Until when the caller waits; not for long if there is something to stand in.
    fn until(&self, may_stand_in: bool, patience: Option<Deadline>) -> Option<Deadline> {
        let soft = self.options.soft_timeout.filter(|_| may_stand_in).map(Deadline::after);
        match (soft, patience) {
            (Some(soft), Some(patience)) => Some(soft.min(patience)),
            (soft, patience) => soft.or(patience),
        }
    }

    /// Waits for a computation, one's own in the background or somebody else's.
    async fn follow<V: DeserializeOwned, E: Send + Sync + 'static>(
        &self,
        mut follower: Follower<Shared>,
        may_stand_in: bool,
        patience: Option<Deadline>,
        is_own: bool,
    ) -> Ended<V, E> {
        let until = self.until(may_stand_in, patience);
        let hung = Deadline::after(if is_own { Duration::MAX } else { FOLLOW_FOR });
        let end = until.map_or(hung, |until| until.min(hung));
        let landing = match timeout_at(end.instant(), follower.wait()).await {
            Ok(Landing::Landed(shared)) => shared,
            Ok(Landing::Abandoned) => return Ended::Abandoned,
            Err(_) => return Ended::TooLong { hung: until.is_none_or(|until| until > end) },
        };
        match outcome::<E>(&landing) {
            Some(Outcome::Value(format, payload)) => match from_bytes(format, &payload) {
                Some(value) => Ended::Done(Ok(value)),
                None => Ended::Alone,
            },
            Some(Outcome::Failed(error)) => Ended::Done(Err(ComputeError::Compute(error))),
            Some(Outcome::NotShared) | None => Ended::Alone,
        }
    }

    /// What is stale, in place of an error.
    fn stand_in<V: DeserializeOwned, E>(
        &self,
        former: Option<&Arc<Slot>>,
        error: ComputeError<E>,
    ) -> Result<V, ComputeError<E>> {
        let read = |slot: &Slot| from_bytes(slot.format, &slot.payload);
        stand_in(&self.inner, &self.key, self.counted, former, read).ok_or(error)
    }
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
    let value = former.filter(|slot| slot.is_alive(now)).and_then(|slot| read(slot))?;
    if counted {
        key.note(|counts| counts.stale.one());
    }
    key.namespace.audit(Operation::Get, audit::Outcome::Stale, &key.identity);
    Some(value)
}

/// The bare value.
pub(super) fn value_of<V, E>(computed: Result<Computed<V>, E>) -> Result<V, ComputeError<E>> {
    computed.map(Computed::into_value).map_err(|error| ComputeError::Compute(Arc::new(error)))
}
