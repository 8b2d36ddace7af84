//! `get_or_compute`: look up, else compute once for all who ask, and store.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};

use crate::clock::Deadline;
use crate::codec::{from_bytes, to_bytes};
use crate::entry::EntryTimes;
use crate::fill::{Fill, NewEntry};
use crate::flight::{Joined, Landing, Leader};
use crate::invalidate::Tag;
use crate::l1::Shared;
use crate::middleware::Read;
use crate::state::{EntryKey, Inner, plain_identity};
use crate::ttl::Ttl;
use crate::typed::{Found, Typed, typed};
use crate::values::Values;
use crate::{Format, Key};

/// Why `get_or_compute` has no value. A failure of the cache is never one of the reasons.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ComputeError<E> {
    /// The function failed; its error is shared by all who waited for it.
    #[error("the value could not be computed: {0}")]
    Compute(Arc<E>),
    /// The value took too long.
    #[error("the value took too long to compute")]
    TimedOut,
    /// The one who computed went away, again and again.
    #[error("the one who computed the value went away")]
    LeaderFailed,
}

/// What is said about a value before it is computed.
#[derive(Debug, Default)]
pub(crate) struct Options {
    /// That of the namespace, if none.
    pub(crate) ttl: Option<Ttl>,
    pub(crate) tags: Vec<Tag>,
}

/// Those who wait for somebody else's computation compute themselves after this long.
const FOLLOW_FOR: Duration = Duration::from_secs(10);

/// What the waiters are given.
enum Outcome {
    /// The serialized value.
    Value(Bytes),
    /// An `Arc<E>`.
    Failed(Shared),
    /// It can't be serialized, so it can't be shared.
    NotShared,
}

impl Values {
    /// The cached value, else the one that `compute` makes, which is then cached.
    ///
    /// However many tasks of this process ask for the key at once, one computes and the others
    /// wait for it. If that one fails, they are given its error; if it is cancelled or panics,
    /// one of them takes its place.
    ///
    /// # Errors
    /// [`ComputeError::Compute`] with the function's own error. When the cache fails, the
    /// function is called, and that is all.
    pub async fn get_or_compute<V, E, F, Fut>(
        &self,
        key: impl Into<Key>,
        compute: F,
    ) -> Result<V, ComputeError<E>>
    where
        V: Serialize + DeserializeOwned,
        E: Send + Sync + 'static,
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<V, E>>,
    {
        self.get_or_compute_with(key.into(), Options::default(), compute).await
    }

    pub(crate) async fn get_or_compute_with<V, E, F, Fut>(
        &self,
        key: Key,
        options: Options,
        compute: F,
    ) -> Result<V, ComputeError<E>>
    where
        V: Serialize + DeserializeOwned,
        E: Send + Sync + 'static,
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<V, E>>,
    {
        let failed = |error: E| ComputeError::Compute(Arc::new(error));
        let inner = &self.cache.inner;
        // Nothing is cached when caching is off, or the namespace can't be used.
        let (Ok(state), true) = (self.state(), inner.enabled) else {
            return compute().await.map_err(failed);
        };
        let (key, counters) = (state.key(key), &state.counters);
        let (identity, now) = (plain_identity(&key), inner.clock.now());
        if let Some(slot) = state.peek(state.hash(&identity), &identity, now)
            && let Typed::Value(value) = typed(&slot, now)
        {
            counters.count(Read::L1Hit);
            return Ok(value);
        }
        let key = Arc::new(inner.entry_key(state, &key, &identity));
        let (mut counted, mut looked_again) = (false, false);
        loop {
            let deadline = inner.deadline();
            let fill = match inner.find(&key, deadline).await {
                Found::Value(value, hit) => {
                    if !counted {
                        counters.count(hit);
                    }
                    return Ok(value);
                }
                Found::Nothing(fill) => fill,
            };
            let joined = inner.flights.join(key.hash, &fill);
            if matches!(joined, Joined::Leader(_))
                && !looked_again
                && (fill.is_overtaken() || inner.peek(&key).is_some())
            {
                // A flight landed between the lookup and the join.
                looked_again = true;
                continue;
            }
            if !counted {
                counters.count(Read::Miss);
                counted = true;
            }
            match joined {
                Joined::Leader(leader) => {
                    return lead(inner, &key, options, fill, leader, compute, deadline).await;
                }
                Joined::Follower(follower) => {
                    drop(fill);
                    let landing = tokio::time::timeout(FOLLOW_FOR, follower.landing()).await;
                    match landing.map(|landing| outcome::<V, E>(landing)) {
                        Ok(Followed::Done(result)) => return result,
                        Ok(Followed::Again) => {}
                        Ok(Followed::Alone) | Err(_) => return compute().await.map_err(failed),
                    }
                }
            }
        }
    }
}

/// What following somebody else's computation came to.
enum Followed<V, E> {
    Done(Result<V, ComputeError<E>>),
    /// The leader went away.
    Again,
    /// The outcome is of no use to this caller.
    Alone,
}

fn outcome<V: DeserializeOwned, E: Send + Sync + 'static>(
    landing: Landing<Shared>,
) -> Followed<V, E> {
    let Landing::Landed(shared) = landing else { return Followed::Again };
    match shared.downcast_ref::<Outcome>() {
        Some(Outcome::Value(bytes)) => match from_bytes(Format::MessagePack, bytes) {
            Some(value) => Followed::Done(Ok(value)),
            None => Followed::Alone,
        },
        Some(Outcome::Failed(error)) => match Arc::clone(error).downcast::<E>() {
            Ok(error) => Followed::Done(Err(ComputeError::Compute(error))),
            Err(_) => Followed::Alone,
        },
        Some(Outcome::NotShared) | None => Followed::Alone,
    }
}

async fn lead<V, E, F, Fut>(
    inner: &Inner,
    key: &EntryKey,
    options: Options,
    mut fill: Fill,
    leader: Leader<Shared>,
    compute: F,
    deadline: Deadline,
) -> Result<V, ComputeError<E>>
where
    V: Serialize + DeserializeOwned,
    E: Send + Sync + 'static,
    F: FnOnce() -> Fut,
    Fut: Future<Output = Result<V, E>>,
{
    fill.begin(&options.tags, deadline).await;
    let value = match compute().await {
        Ok(value) => value,
        Err(error) => {
            let error = Arc::new(error);
            leader.land(Arc::new(Outcome::Failed(Arc::clone(&error) as Shared)));
            return Err(ComputeError::Compute(error));
        }
    };
    match to_bytes(&value) {
        Ok(payload) => {
            let times =
                EntryTimes::new(inner.clock.now(), options.ttl.unwrap_or(key.namespace.ttl));
            let entry = NewEntry {
                payload: payload.clone(),
                format: Format::MessagePack,
                schema: 0,
                times,
                decoded: None,
            };
            let write = fill.commit(entry);
            leader.land(Arc::new(Outcome::Value(payload)));
            match write {
                Ok(Some(write)) if key.namespace.l1 => write.spawn(),
                // Until the value is in the store, it is found nowhere but in the flight.
                Ok(Some(write)) => write.spawn_with(leader),
                Ok(None) => {}
                Err(error) => tracing::debug!(%error, "not cached"),
            }
        }
        Err(error) => {
            leader.land(Arc::new(Outcome::NotShared));
            tracing::warn!(%error, namespace = %key.namespace.name, "not cached");
        }
    }
    Ok(value)
}
