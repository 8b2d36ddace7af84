//! Where a cache keeps its entries: in this process' memory, or in a store.

#[cfg(feature = "redis")]
mod variables;

use std::sync::Arc;

use crate::clock::Clock;
use crate::config::Environment;
use crate::error::Error;
use crate::store::Store;

/// What was said in code.
#[derive(Debug)]
pub(super) enum Place {
    Memory,
    Store(Arc<dyn Store>),
    #[cfg(feature = "redis")]
    Redis(Box<crate::store::RedisOptions>),
}

/// The store; what code says goes before the environment. `None`: memory only.
pub(super) fn store(
    place: Option<Place>,
    environment: &Environment,
    clock: &Clock,
) -> Result<Option<Arc<dyn Store>>, Error> {
    match place {
        Some(Place::Memory) => Ok(None),
        Some(Place::Store(store)) => Ok(Some(store)),
        #[cfg(feature = "redis")]
        Some(Place::Redis(options)) => Ok(Some(redis(&options, clock)?)),
        None => from_environment(environment, clock),
    }
}

#[cfg(feature = "redis")]
fn redis(options: &crate::store::RedisOptions, clock: &Clock) -> Result<Arc<dyn Store>, Error> {
    Ok(Arc::new(crate::store::RedisStore::new(options, clock.clone())?))
}

#[cfg(feature = "redis")]
fn from_environment(
    environment: &Environment,
    clock: &Clock,
) -> Result<Option<Arc<dyn Store>>, Error> {
    let Some(options) = variables::server(environment)? else { return Ok(None) };
    let mut options =
        options.credentials(environment.username.as_deref(), environment.password.as_deref());
    if let Some(connections) = environment.max_connections {
        options = options.max_connections(connections);
    }
    if let Some(connections) = environment.min_connections {
        options = options.min_connections(connections);
    }
    if let Some(timeout) = environment.connection_timeout {
        options = options.connection_timeout(timeout);
    }
    Ok(Some(redis(&options, clock)?))
}

#[cfg(not(feature = "redis"))]
fn from_environment(environment: &Environment, _: &Clock) -> Result<Option<Arc<dyn Store>>, Error> {
    if environment.sentinels.is_some() {
        return Err(Error::config("REDIS_USE_SENTINEL is true, but the feature `redis` is off"));
    }
    match environment.redis_url {
        Some(_) => Err(Error::config("REDIS_URL is set, but the feature `redis` is off")),
        None => Ok(None),
    }
}
