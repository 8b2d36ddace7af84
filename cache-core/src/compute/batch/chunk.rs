//! One call of the function, and what becomes of its answers.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Serialize, de::DeserializeOwned};
use tokio::time::timeout_at;

use super::terms::{Item, Terms, read};
use super::{Answers, BatchOutcome};
use crate::clock::{Deadline, Stopwatch};
use crate::codec::nothing;
use crate::compute::ComputeError;
use crate::compute::computed::{Computed, Keeping};
use crate::compute::lead::{Kept, fail, keep_as, to_be_kept};
use crate::compute::resting::Attempt;
use crate::compute::run::{as_it_is_now, stand_in};
use crate::fill::Fill;
use crate::flight::Leader;
use crate::invalidate::Tag;
use crate::invalidate::fence::Fence;
use crate::l1::{Shared, Slot};
use crate::pending::PendingWrite;
use crate::store::BoxFuture;

/// A key that is this batch's to compute.
pub(super) struct Lead<K> {
    pub(super) item: Item<K>,
    /// `None`: nothing is stored, somebody else does that.
    pub(super) fill: Option<Fill>,
    pub(super) leader: Option<Leader<Shared>>,
    pub(super) former: Option<Arc<Slot>>,
    /// From before that was found, where there is no fill, which has one.
    pub(super) fence: Option<Fence>,
    /// What there is, is still fresh.
    pub(super) attempt: Option<Attempt>,
}

/// What a key came to, by its place.
pub(super) type Placed<V, E> = (usize, BatchOutcome<V, E>);

/// A value that is to be kept.
struct Keep {
    fill: Fill,
    leader: Option<Leader<Shared>>,
    kept: Kept,
}

impl<K> Terms<'_, K> {
    /// Waits for the function's answers, gives each key its own, and stores them in one round trip.
    pub(super) async fn chunk<V, E>(
        &self,
        leads: Vec<Lead<K>>,
        computing: BoxFuture<'_, Answers<K, V, E>>,
        patience: Option<Deadline>,
    ) -> Vec<Placed<V, E>>
    where
        K: Send,
        V: Serialize + DeserializeOwned + Send,
        E: Send + Sync + 'static,
    {
        let watch = Stopwatch::start();
        let answers = match self.until(&leads, patience) {
            Some(until) => timeout_at(until.instant(), computing).await.ok(),
            None => Some(computing.await),
        };
        let Some(answers) = answers else { return self.too_long(leads) };
        self.count(&leads, watch.elapsed(), answers.is_ok());
        let mut answers = match answers {
            Ok(answers) => self.by_identity(answers),
            Err(error) => {
                let error = Arc::new(error);
                let failed = |lead| self.failed(lead, Arc::clone(&error));
                return leads.iter().map(failed).collect();
            }
        };
        let (mut placed, mut kept) = (Vec::new(), Vec::new());
        for lead in leads {
            let answer = answers.remove(&*lead.item.key.identity);
            let (outcome, keeping) = self.answered(lead, answer);
            placed.push(outcome);
            kept.extend(keeping);
        }
        let (writes, held) = self.keep(kept).await;
        PendingWrite::spawn_all(writes, held);
        placed
    }

    /// A call is one computation of the namespace, and of each workspace that its keys name.
    fn count(&self, leads: &[Lead<K>], took: Duration, succeeded: bool) {
        self.state.note_computed(took, succeeded);
        let workspaces = leads.iter().filter_map(|lead| lead.item.key.workspace.as_ref());
        let each: HashMap<_, _> = workspaces.map(|counts| (Arc::as_ptr(counts), counts)).collect();
        for counts in each.values() {
            counts.computed(took, succeeded);
        }
    }

    /// When none of the calls has ended in time.
    pub(super) fn too_long<V: DeserializeOwned, E>(
        &self,
        leads: Vec<Lead<K>>,
    ) -> Vec<Placed<V, E>> {
        let give_up =
            |lead: Lead<K>| (lead.item.place, self.instead(&lead, ComputeError::TimedOut));
        leads.into_iter().map(give_up).collect()
    }

    /// Until when a call may take; not for long if there is something to stand in for each key.
    fn until(&self, leads: &[Lead<K>], patience: Option<Deadline>) -> Option<Deadline> {
        let all_stand_in = leads.iter().all(|lead| lead.former.is_some());
        let soft = self.how.options.soft_timeout.filter(|_| all_stand_in).map(Deadline::after);
        match (soft, patience) {
            (Some(soft), Some(patience)) => Some(soft.min(patience)),
            (soft, patience) => soft.or(patience),
        }
    }

    /// The last that was said of each key.
    fn by_identity<A>(&self, answers: Vec<(K, A)>) -> HashMap<Vec<u8>, A> {
        let named = |(own, answer): (K, A)| {
            let key = self.state.key((self.key_of)(&own));
            (key.identity().to_vec(), answer)
        };
        answers.into_iter().map(named).collect()
    }

    fn answered<V, E>(
        &self,
        mut lead: Lead<K>,
        answer: Option<Result<Computed<V>, E>>,
    ) -> (Placed<V, E>, Option<Keep>)
    where
        V: Serialize + DeserializeOwned,
        E: Send + Sync + 'static,
    {
        let format = self.state.format;
        let (value, payload, keeping) = match answer {
            Some(Ok(computed)) => {
                let (value, payload, keeping) = computed.serialized(format);
                (Some(value), payload, keeping)
            }
            Some(Err(error)) => return (self.failed(&lead, Arc::new(error)), None),
            None => (None, nothing(format).map(|nil| (format, nil)), Keeping::default()),
        };
        self.inner.failures.forget(lead.item.key.hash);
        if let Some(attempt) = lead.attempt.take() {
            attempt.succeeded();
        }
        let (place, leader) = (lead.item.place, lead.leader.take());
        let keep = lead.fill.take().and_then(|fill| {
            let kept = to_be_kept(&self.state, leader.as_ref(), payload, keeping, &self.how)?;
            Some(Keep { fill, leader, kept })
        });
        ((place, Ok(value)), keep)
    }

    /// Gives values their tags, in one round trip, and then to those who wait for them; what is left
    /// to do is the writes to the store, and until they are done to hold what is in flight.
    async fn keep(&self, mut values: Vec<Keep>) -> (Vec<PendingWrite>, Vec<Leader<Shared>>) {
        let tags = |keep: &mut Keep| std::mem::take(&mut keep.kept.tags);
        let tags: Vec<_> = values.iter_mut().map(tags).collect();
        let fills = values.iter_mut().map(|keep| &mut keep.fill);
        let mut fills: Vec<(&mut Fill, Vec<Tag>)> = fills.zip(tags).collect();
        let mut allowance = self.how.allowance;
        let tagged = Fill::tag_all(&mut fills, allowance.begin()).await;
        let (mut writes, mut held) = (Vec::new(), Vec::new());
        for (Keep { fill, leader, kept }, may) in values.into_iter().zip(tagged) {
            let options = &self.how.options;
            let write = keep_as(&self.inner, fill, leader.as_ref(), kept, may, options);
            if let Some(write) = write {
                writes.push(write);
                // Until the value is in the store, it may be found nowhere but in the flight.
                held.extend(leader);
            }
        }
        (writes, held)
    }

    fn failed<V, E>(&self, lead: &Lead<K>, error: Arc<E>) -> Placed<V, E>
    where
        V: DeserializeOwned,
        E: Send + Sync + 'static,
    {
        if let Some(fill) = &lead.fill {
            let shared = Arc::clone(&error) as Shared;
            fail(&self.inner, fill, lead.leader.as_ref(), shared, &self.how.options);
        }
        (lead.item.place, self.instead(lead, ComputeError::Compute(error)))
    }

    fn instead<V: DeserializeOwned, E>(
        &self,
        lead: &Lead<K>,
        error: ComputeError<E>,
    ) -> BatchOutcome<V, E> {
        if lead.attempt.is_some() {
            return lead.former.as_deref().and_then(read).ok_or(error);
        }
        let (inner, key) = (&self.inner, &lead.item.key);
        let fence = lead.fill.as_ref().map(|fill| &fill.fence).or(lead.fence.as_ref());
        let former = as_it_is_now(inner, key, fence, lead.former.as_ref());
        stand_in(inner, key, true, former.as_ref(), read).ok_or(error)
    }
}
