//! Looking keys up, waiting for what others compute, and what each key comes to.

use std::collections::HashMap;
use std::sync::Arc;

use serde::{Serialize, de::DeserializeOwned};
use tokio::time::timeout_at;

use super::alone::share;
use super::at_once::at_most;
use super::chunk::{Lead, Placed};
use super::terms::{Item, Terms, read, read_as};
use super::{BatchOutcome, Compute, GetOrComputeMany};
use crate::audit;
use crate::clock::Deadline;
use crate::compute::ComputeError;
use crate::compute::lead::{How, Outcome, outcome};
use crate::compute::limits::Allowance;
use crate::compute::resting::Attempt;
use crate::compute::run::{as_it_is_now, stand_in};
use crate::compute::wait::{Looks, longest};
use crate::fill::Fill;
use crate::flight::{Follower, Joined, Landing};
use crate::invalidate::fence::Fence;
use crate::l1::{Shared, Slot};
use crate::middleware::Read;
use crate::state::NamespaceState;

/// A key that somebody else computes.
struct Follow<K> {
    item: Item<K>,
    follower: Follower<Shared>,
    former: Option<Arc<Slot>>,
    /// From before that was found.
    fence: Fence,
    /// When they are given up.
    hung: Deadline,
}

/// One call of `get_or_compute_many`.
pub(super) struct Batch<'a, K, V, E> {
    terms: Terms<'a, K>,
    items: Vec<Item<K>>,
    /// Which of the items each of the caller's keys is.
    order: Vec<usize>,
    outcomes: Vec<Option<BatchOutcome<V, E>>>,
    /// The keys have been made again, because what they are made by has changed.
    made_again: bool,
}

impl<'a, K, V, E> Batch<'a, K, V, E>
where
    K: Clone + Send + 'a,
    V: Serialize + DeserializeOwned + Clone + Send + 'a,
    E: Send + Sync + 'static,
{
    pub(super) fn new(
        state: Arc<NamespaceState>,
        call: GetOrComputeMany<'a, K, V, E>,
    ) -> (Compute<'a, K, V, E>, Self) {
        let options = call.options.or(state.options);
        let allowance = Allowance::new(call.values.cache.inner.budget);
        let terms = Terms {
            inner: Arc::clone(&call.values.cache.inner),
            state,
            key_of: call.key_of,
            how: How {
                options,
                write: call.write,
                fleet: None,
                early: false,
                rich: false,
                allowance,
            },
            tags: call.tags,
            read: call.read,
            rich: call.rich,
            size: call.size,
            at_once: call.at_once,
        };
        let (mut items, mut places) = (Vec::new(), HashMap::new());
        let mut order = Vec::with_capacity(call.keys.len());
        for own in call.keys {
            let plain = terms.state.key((terms.key_of)(&own));
            let place = *places.entry(plain.identity().to_vec()).or_insert_with(|| {
                let key = terms.inner.plain_key(&terms.state, &plain);
                let (place, looks) = (items.len(), Looks::default());
                let (counted, other_type) = (false, false);
                items.push(Item { place, own, key, counted, other_type, looks });
                place
            });
            order.push(place);
        }
        let outcomes = items.iter().map(|_| None).collect();
        (call.compute, Self { terms, items, order, outcomes, made_again: false })
    }

    pub(super) async fn run(
        mut self,
        mut compute: Compute<'a, K, V, E>,
    ) -> Vec<BatchOutcome<V, E>> {
        let patience = self.terms.how.options.timeout.map(Deadline::after);
        let mut asking = std::mem::take(&mut self.items);
        while !asking.is_empty() {
            let (leads, follows) =
                if self.terms.read { self.join(asking).await } else { self.anew(asking).await };
            self.compute(leads, &mut compute, patience).await;
            let (again, alone) = self.follow(follows, patience).await;
            self.compute(alone, &mut compute, patience).await;
            asking = again;
        }
        self.in_order()
    }

    /// Looks keys up, in memory and in one round trip, and joins those who compute what is missing.
    async fn join(&mut self, mut asking: Vec<Item<K>>) -> (Vec<Lead<K>>, Vec<Follow<K>>) {
        let inner = Arc::clone(&self.terms.inner);
        let (mut leads, mut follows) = (Vec::new(), Vec::new());
        while !asking.is_empty() {
            let elsewhere = self.in_memory(std::mem::take(&mut asking), &mut leads);
            let found = if elsewhere.is_empty() {
                Vec::new()
            } else {
                let keys: Vec<_> =
                    elsewhere.iter().map(|(item, _)| Arc::clone(&item.key)).collect();
                let deadline = self.terms.how.allowance.begin();
                let found = inner.find_each_in_store(&keys, deadline).await;
                self.terms.how.allowance.end();
                found
            };
            if self.must_make_again(elsewhere.iter().map(|(item, _)| item)) {
                asking = self.made_again(elsewhere.into_iter().map(|(item, _)| item));
                continue;
            }
            for ((mut item, stale), (slot, fill)) in elsewhere.into_iter().zip(found) {
                let slot = match slot {
                    Some(slot) if self.terms.is_fresh(&slot) => {
                        if let Some(value) = read(&slot) {
                            self.found(item, value, slot, Read::StoreHit, &mut leads);
                            continue;
                        }
                        self.terms.note_other_type(&mut item, &slot);
                        None
                    }
                    slot => slot,
                };
                // What memory has counts only where the store has not said that it is gone. Looked
                // up once more: what happens to it from now on happens to the fill, too.
                let in_memory = || stale.and_then(|_| inner.peek(&item.key));
                let former = if fill.is_told_by_store() { slot } else { slot.or_else(in_memory) };
                let fill = self.terms.expecting(&item, fill);
                if let Some(error) = inner.failures.get::<E>(&fill) {
                    self.terms.note_miss(&mut item);
                    let stale = stand_in(&inner, &item.key, true, former.as_ref(), read);
                    self.set((item.place, stale.ok_or(ComputeError::Compute(error))));
                    continue;
                }
                let longest = longest(&self.terms.how.options);
                match inner.flights.join_within(item.key.hash, &fill, longest) {
                    Joined::Leader(_) if self.terms.may_be_there(&mut item, &fill) => {
                        asking.push(item);
                    }
                    Joined::Leader(leader) => {
                        self.terms.note_miss(&mut item);
                        let (fill, leader) = (Some(fill), Some(leader));
                        leads.push(Lead { item, fill, leader, former, fence: None, attempt: None });
                    }
                    Joined::Follower(follower) => {
                        self.terms.note_miss(&mut item);
                        let hung = follower.end(longest);
                        let fence = fill.fence.again();
                        follows.push(Follow { item, follower, former, fence, hung });
                    }
                }
            }
            if asking.is_empty() {
                self.begin(&mut leads).await;
                if self.must_make_again(leads.iter().map(|lead| &lead.item)) {
                    asking = self.made_again(leads.drain(..).map(|lead| lead.item));
                }
            }
        }
        (leads, follows)
    }

    /// Begins to fill all keys, whatever is there.
    async fn anew(&mut self, asking: Vec<Item<K>>) -> (Vec<Lead<K>>, Vec<Follow<K>>) {
        let fills = if self.terms.how.write {
            let keys: Vec<_> = asking.iter().map(|item| Arc::clone(&item.key)).collect();
            let deadline = self.terms.how.allowance.begin();
            let fills = self.terms.inner.fill_each_anew(&keys, deadline).await;
            self.terms.how.allowance.end();
            fills
        } else {
            asking.iter().map(|item| self.terms.inner.fill_unasked(&item.key)).collect()
        };
        let lead = |(mut item, fill)| {
            self.terms.note_miss(&mut item);
            let fill = Some(self.terms.expecting(&item, fill));
            Lead { item, fill, leader: None, former: None, fence: None, attempt: None }
        };
        let mut leads: Vec<Lead<K>> = asking.into_iter().zip(fills).map(lead).collect();
        self.begin(&mut leads).await;
        (leads, Vec::new())
    }

    async fn begin(&mut self, leads: &mut [Lead<K>]) {
        if self.terms.how.write {
            let mut fills: Vec<&mut Fill> =
                leads.iter_mut().filter_map(|lead| lead.fill.as_mut()).collect();
            let deadline = self.terms.how.allowance.begin();
            Fill::begin_all(&mut fills, &self.terms.tags, deadline).await;
            self.terms.how.allowance.end();
        }
    }

    /// Those that are not in memory, with what is stale there.
    fn in_memory(
        &mut self,
        asking: Vec<Item<K>>,
        leads: &mut Vec<Lead<K>>,
    ) -> Vec<(Item<K>, Option<Arc<Slot>>)> {
        let mut elsewhere = Vec::new();
        for mut item in asking {
            let slot = self.terms.inner.peek(&item.key);
            match slot {
                Some(slot) if self.terms.is_fresh(&slot) => {
                    if let Some(value) = read(&slot) {
                        self.found(item, value, slot, Read::L1Hit, leads);
                    } else {
                        self.terms.note_other_type(&mut item, &slot);
                        elsewhere.push((item, None));
                    }
                }
                stale => elsewhere.push((item, stale)),
            }
        }
        elsewhere
    }

    /// A key has a value that is fresh; if it is due, and nobody else does, it is computed anew.
    fn found(
        &mut self,
        mut item: Item<K>,
        value: Option<V>,
        slot: Arc<Slot>,
        hit: Read,
        leads: &mut Vec<Lead<K>>,
    ) {
        let (inner, options) = (&self.terms.inner, &self.terms.how.options);
        let now = inner.clock.now();
        if !item.counted {
            item.counted = true;
            item.key.count(hit);
        }
        self.terms.audit(&item, audit::Outcome::Read(hit));
        inner.slide_found(&item.key, &slot, options, now);
        let is_due = self.terms.how.write
            && options.is_due(&slot.times, now)
            && !inner.resting.has(item.key.hash, now);
        let fill = is_due.then(|| Fill::replacing(inner, &item.key, &slot));
        if let Some(fill) = fill.flatten() {
            let fill = self.terms.expecting(&item, fill);
            if inner.failures.get::<E>(&fill).is_none()
                && let Joined::Leader(leader) =
                    inner.flights.join_within(item.key.hash, &fill, longest(options))
            {
                let (fill, leader) = (Some(fill), Some(leader));
                let attempt = Some(Attempt::new(inner, &item.key, Some(&slot)));
                let former = Some(slot);
                leads.push(Lead { item, fill, leader, former, fence: None, attempt });
                return;
            }
        }
        self.set((item.place, Ok(value)));
    }

    fn must_make_again<'i>(&self, mut items: impl Iterator<Item = &'i Item<K>>) -> bool
    where
        K: 'i,
    {
        !self.made_again && items.any(|item| !item.key.is_up_to_date())
    }

    /// Others have declared more, or bumped the version.
    fn made_again(&mut self, items: impl Iterator<Item = Item<K>>) -> Vec<Item<K>> {
        self.made_again = true;
        let inner = &self.terms.inner;
        items.map(|item| Item { key: inner.made_again(&item.key), ..item }).collect()
    }

    /// Calls the function: for all, or chunk by chunk.
    async fn compute(
        &mut self,
        mut leads: Vec<Lead<K>>,
        compute: &mut Compute<'a, K, V, E>,
        patience: Option<Deadline>,
    ) {
        let mut chunks = Vec::new();
        while !leads.is_empty() {
            let rest = leads.split_off(self.terms.size.min(leads.len()));
            chunks.push(std::mem::replace(&mut leads, rest));
        }
        let terms = &self.terms;
        let calls = chunks.into_iter().map(|leads| {
            let late = patience.is_some_and(Deadline::has_passed);
            let keys = || leads.iter().map(|lead| lead.item.own.clone()).collect();
            let computing = (!late).then(|| compute(keys()));
            async move {
                match computing {
                    Some(computing) => terms.chunk(leads, computing, patience).await,
                    None => terms.too_long(leads),
                }
            }
        });
        for placed in at_most(terms.at_once, calls).await {
            for placed in placed {
                self.set(placed);
            }
        }
    }

    /// Waits for what others compute. Those that have to be looked up again, and those that are to be
    /// computed for this caller only.
    async fn follow(
        &mut self,
        follows: Vec<Follow<K>>,
        patience: Option<Deadline>,
    ) -> (Vec<Item<K>>, Vec<Lead<K>>) {
        let (mut again, mut alone) = (Vec::new(), Vec::new());
        let soft = self.terms.how.options.soft_timeout.map(Deadline::after);
        for Follow { item, follower, former, fence, hung } in follows {
            let ends = [Some(hung), patience, soft.filter(|_| former.is_some())];
            let end = ends.into_iter().flatten().min().unwrap_or(hung);
            let instead = |error| {
                let inner = &self.terms.inner;
                let former = as_it_is_now(inner, &item.key, Some(&fence), former.as_ref());
                stand_in(inner, &item.key, true, former.as_ref(), read).ok_or(error)
            };
            let landed = match timeout_at(end.instant(), follower.wait()).await {
                Ok(Landing::Landed(shared)) => outcome::<E>(shared),
                Ok(Landing::Abandoned) => {
                    again.push(item);
                    continue;
                }
                Err(_) if end == hung => {
                    again.push(item);
                    continue;
                }
                Err(_) => {
                    let placed = (item.place, instead(ComputeError::TimedOut));
                    self.set(placed);
                    continue;
                }
            };
            let placed = match landed {
                Some(Outcome::Value(format, payload)) => read_as(format, payload).map(Ok),
                Some(Outcome::Failed(error)) => Some(instead(ComputeError::Compute(error))),
                Some(Outcome::NotShared) | None => None,
            };
            let Some(outcome) = placed else {
                let (fence, fill, leader, attempt) = (Some(fence), None, None, None);
                alone.push(Lead { item, fill, leader, former, fence, attempt });
                continue;
            };
            if outcome.is_ok() {
                self.terms.audit(&item, audit::Outcome::Shared);
            }
            self.set((item.place, outcome));
        }
        (again, alone)
    }

    fn set(&mut self, (place, outcome): Placed<V, E>) {
        if let Some(known) = self.outcomes.get_mut(place) {
            *known = Some(outcome);
        }
    }

    fn in_order(self) -> Vec<BatchOutcome<V, E>> {
        // Each has been set by now.
        let unset = || Err(ComputeError::LeaderFailed);
        let outcome = |place: usize| self.outcomes.get(place).and_then(Option::as_ref);
        self.order.iter().map(|place| outcome(*place).map_or_else(unset, share)).collect()
    }
}
