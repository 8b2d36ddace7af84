//! One computation for all processes that share the store
//! ([`Options::once_per_fleet`](crate::Options::once_per_fleet)).
//!
//! Of each process one task comes here, the leader of the flight that the others of the process
//! wait for. It takes the [lease](crate::flight) of the key, or waits until the value is there, or
//! the lease is free; then it looks again. Whatever keeps the store from being asked ends the wait:
//! then it is one computation per process.

use std::sync::Arc;
use std::time::Duration;

use quick_cache::sync::Cache as QuickCache;
use serde::de::DeserializeOwned;
use xxhash_rust::xxh3::xxh3_64;

use super::computed::Previous;
use crate::clock::{Deadline, spread};
use crate::codec::WriteId;
use crate::fill::Fill;
use crate::flight::{FLEET_LEASE, Lease, Taken};
use crate::l1::Slot;
use crate::state::Inner;
use crate::store::Store;
use crate::typed::Found;

/// What a call that computes once per fleet goes by.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fleet {
    /// How long the cache may keep the call waiting before it computes.
    pub(super) deadline: Deadline,
    /// How long others' computations may.
    pub(super) until: Deadline,
    /// What is there is still fresh: nobody waits.
    pub(super) refreshing: bool,
}

/// Whose turn it is to compute.
#[allow(clippy::large_enum_variant, reason = "moved once, then taken apart")]
pub(super) enum Turn<V> {
    /// The caller's; for the fleet if with a lease.
    Compute(Fill, Option<Arc<Slot>>, Option<Lease>),
    /// Somebody has computed it.
    Found(V, Arc<Slot>),
    /// Somebody else computes anew what is still fresh.
    Leave(Option<V>),
}

enum Attempt {
    Ours(Lease),
    Theirs(WriteId),
    /// The value may be there by now.
    LookAgain,
    /// There is nothing to wait for.
    Alone,
}

/// The keys that others compute anew, so that not every use of a value asks whether they do.
#[derive(Debug)]
pub(crate) struct RefreshedElsewhere(QuickCache<u128, Deadline>);

/// Pauses between two questions to the store, where no push comes.
const FIRST_PAUSE: Duration = Duration::from_millis(4);
const LAST_PAUSE: Duration = Duration::from_millis(250);

impl Default for RefreshedElsewhere {
    fn default() -> Self {
        Self(QuickCache::new(1024))
    }
}

impl RefreshedElsewhere {
    fn note(&self, key: u128) {
        self.0.insert(key, Deadline::after(FLEET_LEASE / 2));
    }

    fn has(&self, key: u128) -> bool {
        !self.0.is_empty() && self.0.get(&key).is_some_and(|until| !until.has_passed())
    }
}

/// Waits for one's turn.
pub(super) async fn turn<V: DeserializeOwned>(
    inner: &Arc<Inner>,
    mut fill: Fill,
    mut former: Option<Arc<Slot>>,
    fleet: Fleet,
) -> Turn<V> {
    let mut deadline = fleet.deadline;
    let key = Arc::clone(fill.key());
    let mut heard = false;
    loop {
        let Some(name) = lease_name(inner, &fill) else {
            return Turn::Compute(fill, former, None);
        };
        if fleet.refreshing && inner.refreshed_elsewhere.has(key.hash) {
            return Turn::Leave(Previous::new(former).value());
        }
        match attempt(inner, &fill, &name, deadline).await {
            Attempt::Ours(lease) => return Turn::Compute(fill, former, Some(lease)),
            Attempt::Alone => return Turn::Compute(fill, former, None),
            Attempt::Theirs(_) if fleet.refreshing => {
                inner.refreshed_elsewhere.note(key.hash);
                return Turn::Leave(Previous::new(former).value());
            }
            Attempt::LookAgain if fleet.refreshing => {
                return Turn::Leave(Previous::new(former).value());
            }
            Attempt::Theirs(token) => {
                if !changes(inner, &fill, &name, &token, fleet.until, &mut heard).await {
                    return Turn::Compute(fill, former, None);
                }
            }
            Attempt::LookAgain => {}
        }
        deadline = inner.deadline();
        match inner.find::<V>(&key, deadline).await {
            Found::Value(value, slot, _) => return Turn::Found(value, slot),
            Found::Nothing(mut found, stale) => {
                found.take_after(&fill);
                found.begin(&[], deadline).await;
                (fill, former) = (found, stale);
            }
        }
        if fleet.until.has_passed() || !key.is_up_to_date() {
            return Turn::Compute(fill, former, None);
        }
    }
}

/// The lease for a computation that is based on what this fill is based on. `None` if its value
/// could not be stored.
fn lease_name(inner: &Inner, fill: &Fill) -> Option<String> {
    inner.shared_store()?;
    let state = xxh3_64(&fill.basis()?);
    Some(inner.names.lease(&inner.prefix, &fill.key().rendered, state))
}

async fn attempt(inner: &Arc<Inner>, fill: &Fill, name: &str, deadline: Deadline) -> Attempt {
    let Some(store) = inner.settled_store(deadline).await else { return Attempt::Alone };
    match Lease::take(inner, &**store, name, deadline).await {
        // Whoever had it before may have written the value since it was looked for.
        Ok(Taken::Ours(lease)) => match is_as_found(&**store, fill, None, deadline).await {
            Ok(true) => Attempt::Ours(lease),
            Ok(false) => Attempt::LookAgain,
            Err(_) => Attempt::Alone,
        },
        Ok(Taken::Theirs(token)) => Attempt::Theirs(token),
        Ok(Taken::Nothing) | Err(_) => Attempt::Alone,
    }
}

/// Waits until the value may be there, or the lease is another's or free. False if it is no use to
/// wait any longer. `heard`: this has ended once because the entry was said to have changed.
async fn changes(
    inner: &Arc<Inner>,
    fill: &Fill,
    name: &str,
    token: &WriteId,
    until: Deadline,
    heard: &mut bool,
) -> bool {
    // Before the question, so that what changes after it is not missed.
    let waiter = inner.wait_for_change(&fill.key().rendered, name);
    let mut pause = FIRST_PAUSE;
    loop {
        let Some(store) = inner.available_store() else { return false };
        let lease = Some((name, token));
        match is_as_found(&**store, fill, lease, inner.deadline()).await {
            Ok(true) => {}
            Ok(false) => return true,
            Err(_) => return false,
        }
        if until.has_passed() {
            return false;
        }
        // Spread out, so that not all ask at the same moment.
        let next = Deadline::after(spread(pause)).min(until);
        match &waiter {
            Some(waiter) => {
                let woken = tokio::time::timeout_at(next.instant(), waiter.woken()).await;
                // An entry that has changed is looked for at once, in the round trip that would tell
                // so; the first time: who hears of it again and again asks before that costs more.
                // Leases change whenever they are renewed.
                if woken == Ok(true) && !std::mem::replace(heard, true) {
                    return true;
                }
            }
            None => tokio::time::sleep_until(next.instant()).await,
        }
        pause = (pause * 3 / 2).min(LAST_PAUSE);
    }
}

/// Whether the key is in the state that the fill found, and the lease as it was.
async fn is_as_found(
    store: &dyn Store,
    fill: &Fill,
    lease: Option<(&str, &WriteId)>,
    deadline: Deadline,
) -> Result<bool, crate::error::Error> {
    let entry = (&*fill.key().rendered, fill.expect.as_ref());
    let asked: Vec<_> =
        std::iter::once(entry).chain(lease.map(|(name, token)| (name, Some(token)))).collect();
    let keys: Vec<&str> = asked.iter().map(|(key, _)| *key).collect();
    let found = store.write_ids(&keys, deadline).await?;
    let is_same = |(found, (_, expected)): (&Option<bytes::Bytes>, &(&str, Option<&WriteId>))| {
        let found = found.as_deref().unwrap_or_default();
        expected.is_some_and(|expected| expected[..] == *found)
    };
    Ok(found.iter().zip(&asked).all(is_same))
}
