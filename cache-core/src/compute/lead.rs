//! Computing a value, for oneself and all who wait.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};

use super::computed::{Keeping, Payload, Previous};
use super::fleet::{Fleet, Turn, turn};
use super::limits::Allowance;
use super::options::Options;
use super::resting::Attempt;
use super::{BoxCompute, ComputeError};
use crate::audit::{self, Operation};
use crate::clock::{Stopwatch, as_millis};
use crate::codec::{Format, is_nothing};
use crate::error::Error;
use crate::fill::{Fill, NewEntry};
use crate::flight::{Leader, Lease};
use crate::invalidate::Tag;
use crate::l1::{Shared, Slot};
use crate::log_limit::LogLimit;
use crate::pending::PendingWrite;
use crate::state::{Inner, NamespaceState};
use crate::ttl::Ttl;

static NOT_SERIALIZED: LogLimit = LogLimit::new();

/// What those who wait are given.
pub(super) enum Outcome<P, E> {
    /// The serialized value.
    Value(Format, P),
    Failed(E),
    /// It can't be serialized, so it can't be shared.
    NotShared,
}

/// As it lies in a flight, which knows no types: of an error an `Arc<E>`.
type Landed = Outcome<Bytes, Shared>;

/// What is said of the value before it is there.
#[derive(Clone, Copy)]
pub(super) struct How {
    pub(super) options: Options,
    pub(super) write: bool,
    /// Whether it is done once for all processes.
    pub(super) fleet: Option<Fleet>,
    /// What there is, is still fresh.
    pub(super) early: bool,
    /// The function is given what there is.
    pub(super) rich: bool,
    /// What is left of it for what comes after the function.
    pub(super) allowance: Allowance,
}

/// The outcome of a flight; `None` if it is not one of this kind of computation. The value is looked at
/// where it is: a thousand may do so at the same moment.
pub(super) fn outcome<E: Send + Sync + 'static>(
    landed: &Shared,
) -> Option<Outcome<&Bytes, Arc<E>>> {
    Some(match landed.downcast_ref::<Landed>()? {
        Outcome::Value(format, payload) => Outcome::Value(*format, payload),
        Outcome::Failed(error) => Outcome::Failed(Shared::clone(error).downcast::<E>().ok()?),
        Outcome::NotShared => Outcome::NotShared,
    })
}

/// Computes, stores, and tells those who wait.
pub(super) async fn lead<'a, V, E, F>(
    inner: Arc<Inner>,
    fill: Fill,
    former: Option<Arc<Slot>>,
    leader: Option<Leader<Shared>>,
    compute: F,
    how: How,
) -> Result<V, ComputeError<E>>
where
    V: Serialize + DeserializeOwned + Send + 'a,
    E: Send + Sync + 'static,
    F: FnOnce(Previous<V>) -> BoxCompute<'a, V, E> + Send + 'a,
{
    let key = Arc::clone(fill.key());
    let namespace = &key.namespace;
    let turn = match (how.fleet, &leader) {
        (Some(fleet), Some(leader)) => {
            leader.wait_for_others();
            let turn = turn(&inner, fill, former, fleet).await;
            leader.begin_anew();
            turn
        }
        _ => Turn::Compute(fill, former, None),
    };
    let (fill, former, mut lease) = match turn {
        Turn::Compute(fill, former, lease) => (fill, former, lease),
        Turn::Found(value, slot) => {
            land(leader.as_ref(), Outcome::Value(slot.format, slot.payload.clone()));
            namespace.audit(Operation::Get, audit::Outcome::Shared, &slot.identity);
            return Ok(value);
        }
        Turn::Leave(value) => return value.ok_or(ComputeError::LeaderFailed),
    };
    if how.rich && former.is_some() {
        namespace.audit(Operation::Get, audit::Outcome::Previous, &key.identity);
    }
    let attempt = how.early.then(|| Attempt::new(&inner, &key, former.as_deref()));
    let watch = Stopwatch::start();
    let computing = compute(Previous::new(former));
    let computed = match &mut lease {
        Some(lease) => lease.hold(computing).await,
        None => computing.await,
    };
    let took = watch.elapsed();
    key.note_computed(took, computed.is_ok());
    let computed = match computed {
        Ok(computed) => computed,
        Err(error) => {
            let error = Arc::new(error);
            fail(&inner, &fill, leader.as_ref(), Arc::clone(&error) as Shared, &how.options);
            return Err(ComputeError::Compute(error));
        }
    };
    inner.failures.forget(fill.key().hash);
    if let Some(attempt) = attempt {
        attempt.succeeded();
    }
    // Unless it is.
    lease.iter_mut().for_each(Lease::nothing_stored);
    let (value, payload, keeping) = computed.serialized(namespace.format);
    let write = keep(&inner, fill, leader.as_ref(), payload, keeping, &how).await;
    if let Some(write) = write {
        // Until the value is in the store, it may be found nowhere but in the flight: memory can lose
        // it, as when the store begins to tell of changes.
        write.spawn_then(async move |is_there| {
            drop(leader);
            if let Some(lease) = lease {
                lease.written(is_there).await;
            }
        });
    }
    Ok(value)
}

/// Gives a value to those who wait, and keeps it as far as it may be kept; what is left to do is the
/// write to the store.
async fn keep(
    inner: &Inner,
    mut fill: Fill,
    leader: Option<&Leader<Shared>>,
    payload: Result<Payload, Error>,
    keeping: Keeping,
    how: &How,
) -> Option<PendingWrite> {
    let kept = to_be_kept(&fill.key().namespace, leader, payload, keeping, how)?;
    let mut allowance = how.allowance;
    let may = kept.ttl.is_some() && fill.tag(&kept.tags, allowance.begin()).await;
    keep_as(inner, fill, leader, kept, may, &how.options)
}

/// A serialized value, and how it is to be kept.
pub(super) struct Kept {
    format: Format,
    payload: Bytes,
    /// `None`: not at all.
    ttl: Option<Ttl>,
    pub(super) tags: Vec<Tag>,
    etag: Option<Box<str>>,
}

/// How a value is to be kept. `None` if it can't be serialized, which those who wait are told.
pub(super) fn to_be_kept(
    namespace: &NamespaceState,
    leader: Option<&Leader<Shared>>,
    payload: Result<Payload, Error>,
    keeping: Keeping,
    how: &How,
) -> Option<Kept> {
    let (format, payload) = match payload {
        Ok(payload) => payload,
        Err(error) => {
            if let Some(left_out) = NOT_SERIALIZED.take() {
                let namespace = namespace.name.as_str();
                tracing::warn!(
                    target: "cache_core",
                    %error,
                    namespace,
                    left_out,
                    "not cached: a value can't be serialized"
                );
            }
            land(leader, Outcome::NotShared);
            return None;
        }
    };
    let ttl = keeping.ttl.or(how.options.ttl).unwrap_or(namespace.ttl);
    // What the function says of this value goes before what is said of all that are nothing.
    let said = keeping.ttl.is_some();
    let negative = how.options.negative_ttl.filter(|_| !said && is_nothing(format, &payload));
    let ttl = negative.map_or(ttl, Ttl::After);
    let store = keeping.store && how.write && ttl != Ttl::After(Duration::ZERO);
    let tags = if store { keeping.tags } else { Vec::new() };
    Some(Kept { format, payload, ttl: store.then_some(ttl), tags, etag: keeping.etag })
}

/// Gives a value to those who wait, and keeps it if it may be kept and has its tags.
pub(super) fn keep_as(
    inner: &Inner,
    mut fill: Fill,
    leader: Option<&Leader<Shared>>,
    kept: Kept,
    may: bool,
    options: &Options,
) -> Option<PendingWrite> {
    let Kept { format, payload, ttl, etag, .. } = kept;
    let Some(ttl) = ttl.filter(|_| may) else {
        land(leader, Outcome::Value(format, payload));
        return None;
    };
    fill.etag = etag;
    let times = options.times(inner.clock.now(), ttl, fastrand::f64());
    let entry = NewEntry { payload: payload.clone(), format, schema: 0, times, decoded: None };
    let write = fill.commit(entry);
    land(leader, Outcome::Value(format, payload));
    write.inspect_err(|error| tracing::debug!(%error, "not cached")).ok().flatten()
}

/// Remembers an error, and gives it to those who wait.
pub(super) fn fail(
    inner: &Inner,
    fill: &Fill,
    leader: Option<&Leader<Shared>>,
    error: Shared,
    options: &Options,
) {
    if let Some(ttl) = options.error_ttl {
        let (key, error) = (fill.key().hash, Arc::clone(&error));
        inner.failures.remember(key, error, fill.watch(), as_millis(ttl));
    }
    land(leader, Outcome::Failed(error));
}

fn land(leader: Option<&Leader<Shared>>, outcome: Landed) {
    if let Some(leader) = leader {
        leader.land(Arc::new(outcome));
    }
}
