//! Computing a value, for oneself and all who wait.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};

use super::computed::{Computed, New, Previous};
use super::limits::Allowance;
use super::options::Options;
use super::{BoxCompute, ComputeError};
use crate::clock::{Stopwatch, as_millis};
use crate::codec::{Format, to_bytes};
use crate::fill::{Fill, NewEntry};
use crate::flight::Leader;
use crate::l1::{Shared, Slot};
use crate::state::Inner;
use crate::ttl::Ttl;

/// What those who wait are given.
#[derive(Clone)]
pub(super) enum Outcome<E = ()> {
    /// The serialized value.
    Value(Format, Bytes),
    Failed(Arc<E>),
    /// It can't be serialized, so it can't be shared.
    NotShared,
}

/// As it lies in a flight, which knows no types: of an error an `Arc<E>`.
type Landed = Outcome<Shared>;

/// What is said of the value before it is there.
pub(super) struct How {
    pub(super) options: Options,
    pub(super) write: bool,
    /// What is left of it for what comes after the function.
    pub(super) allowance: Allowance,
}

/// The outcome of a flight; `None` if it is not one of this kind of computation.
pub(super) fn outcome<E: Send + Sync + 'static>(landed: &Shared) -> Option<Outcome<E>> {
    Some(match landed.downcast_ref::<Landed>()? {
        Outcome::Value(format, payload) => Outcome::Value(*format, payload.clone()),
        Outcome::Failed(error) => Outcome::Failed(Shared::clone(error).downcast::<E>().ok()?),
        Outcome::NotShared => Outcome::NotShared,
    })
}

/// Computes, stores, and tells those who wait.
pub(super) async fn lead<'a, V, E, F>(
    inner: Arc<Inner>,
    mut fill: Fill,
    former: Option<Arc<Slot>>,
    leader: Option<Leader<Shared>>,
    compute: F,
    mut how: How,
) -> Result<V, ComputeError<E>>
where
    V: Serialize + DeserializeOwned + Send + 'a,
    E: Send + Sync + 'static,
    F: FnOnce(Previous<V>) -> BoxCompute<'a, V, E> + Send + 'a,
{
    let namespace = Arc::clone(&fill.key().namespace);
    let watch = Stopwatch::start();
    let computed = compute(Previous::new(former)).await;
    namespace.counters.computed(watch.elapsed(), computed.is_ok());
    let computed = match computed {
        Ok(computed) => computed,
        Err(error) => {
            let error = Arc::new(error);
            fail(&inner, &fill, leader.as_ref(), Arc::clone(&error) as Shared, &how.options);
            return Err(ComputeError::Compute(error));
        }
    };
    inner.failures.forget(fill.key().hash);
    let Computed { value, ttl, tags, store, etag } = computed;
    let (value, payload) = match value {
        New::Value(value) => {
            let format = namespace.format;
            let payload = to_bytes(format, &value).map(|payload| (format, payload));
            (value, payload)
        }
        New::Unchanged(value, slot) => (value, Ok((slot.format, slot.payload.clone()))),
    };
    let (format, payload) = match payload {
        Ok(payload) => payload,
        Err(error) => {
            tracing::warn!(%error, namespace = %namespace.name, "not cached");
            land(leader.as_ref(), Outcome::NotShared);
            return Ok(value);
        }
    };
    let ttl = ttl.or(how.options.ttl).unwrap_or(namespace.ttl);
    let ttl =
        how.options.negative_ttl.filter(|_| is_nothing(format, &payload)).map_or(ttl, Ttl::After);
    let store = store && how.write && ttl != Ttl::After(Duration::ZERO);
    let tagged = !store || fill.tag(&tags, how.allowance.begin()).await;
    if store && tagged {
        fill.etag = etag;
        let times = how.options.times(inner.clock.now(), ttl, fastrand::f64());
        let entry = NewEntry { payload: payload.clone(), format, schema: 0, times, decoded: None };
        commit(fill, entry, payload, leader);
    } else {
        land(leader.as_ref(), Outcome::Value(format, payload));
    }
    Ok(value)
}

/// Whether a value says that there is nothing.
fn is_nothing(format: Format, payload: &[u8]) -> bool {
    const NIL: &[u8] = &[0xC0];
    match format {
        Format::MessagePack => payload == NIL,
        Format::Json => payload == b"null",
        Format::Raw => false,
    }
}

fn fail(
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
    land(leader, Outcome::Failed(Arc::new(error)));
}

fn land(leader: Option<&Leader<Shared>>, outcome: Landed) {
    if let Some(leader) = leader {
        leader.land(Arc::new(outcome));
    }
}

fn commit(fill: Fill, entry: NewEntry, payload: Bytes, leader: Option<Leader<Shared>>) {
    let (l1, format) = (fill.key().namespace.l1, entry.format);
    let write = fill.commit(entry);
    land(leader.as_ref(), Outcome::Value(format, payload));
    match write {
        Ok(Some(write)) if l1 => write.spawn(),
        // Until the value is in the store, it is found nowhere but in the flight.
        Ok(Some(write)) => write.spawn_with(leader),
        Ok(None) => {}
        Err(error) => tracing::debug!(%error, "not cached"),
    }
}
