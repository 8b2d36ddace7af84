//! One call of the function, and what becomes of its answers.

use std::collections::HashMap;
use std::sync::Arc;

use serde::{Serialize, de::DeserializeOwned};
use tokio::time::timeout_at;

use super::at_once::at_most;
use super::terms::{Item, Terms, read};
use super::{Answers, BatchOutcome};
use crate::clock::{Deadline, Stopwatch};
use crate::codec::nothing;
use crate::compute::ComputeError;
use crate::compute::computed::{Computed, Keeping};
use crate::compute::lead::{fail, keep};
use crate::compute::run::stand_in;
use crate::fill::Fill;
use crate::flight::Leader;
use crate::l1::{Shared, Slot};
use crate::pending::PendingWrite;
use crate::state::plain_identity;
use crate::store::BoxFuture;

/// A key that is this batch's to compute.
pub(super) struct Lead<K> {
    pub(super) item: Item<K>,
    /// `None`: nothing is stored, somebody else does that.
    pub(super) fill: Option<Fill>,
    pub(super) leader: Option<Leader<Shared>>,
    pub(super) former: Option<Arc<Slot>>,
    /// What there is, is still fresh.
    pub(super) early: bool,
}

/// What a key came to, by its place.
pub(super) type Placed<V, E> = (usize, BatchOutcome<V, E>);

/// So many values that have named their tags are asked about at once.
const ASKING: usize = 64;

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
        self.state.note_computed(watch.elapsed(), answers.is_ok());
        let mut answers = match answers {
            Ok(answers) => self.by_identity(answers),
            Err(error) => {
                let error = Arc::new(error);
                let failed = |lead| self.failed(lead, Arc::clone(&error));
                return leads.iter().map(failed).collect();
            }
        };
        let answered = leads.into_iter().map(|lead| {
            let answer = answers.remove(&*lead.item.key.identity);
            self.answered(lead, answer)
        });
        let answered: Vec<_> = answered.collect();
        let (mut placed, mut writes, mut held) = (Vec::new(), Vec::new(), Vec::new());
        for (outcome, write) in at_most(ASKING, answered.into_iter()).await {
            placed.push(outcome);
            if let Some((write, leader)) = write {
                writes.push(write);
                held.push(leader);
            }
        }
        PendingWrite::spawn_all(writes, held);
        placed
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
            (plain_identity(&key).to_vec(), answer)
        };
        answers.into_iter().map(named).collect()
    }

    async fn answered<V, E>(
        &self,
        mut lead: Lead<K>,
        answer: Option<Result<Computed<V>, E>>,
    ) -> (Placed<V, E>, Option<(PendingWrite, Option<Leader<Shared>>)>)
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
        let Some(fill) = lead.fill.take() else { return ((lead.item.place, Ok(value)), None) };
        let mut leader = lead.leader.take();
        let write = keep(&self.inner, fill, leader.as_ref(), payload, keeping, &self.how).await;
        // Until the value is in the store, it may be found nowhere but in the flight.
        let write = write.map(|write| (write, leader.take().filter(|_| !self.state.l1)));
        ((lead.item.place, Ok(value)), write)
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
        if lead.early {
            return lead.former.as_deref().and_then(read).ok_or(error);
        }
        stand_in(&self.inner, &lead.item.key, true, lead.former.as_ref(), read).ok_or(error)
    }
}
