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
    (clock, prefix): (&Clock, &str),
) -> Result<Option<Arc<dyn Store>>, Error> {
    match place {
        Some(Place::Memory) => Ok(None),
        Some(Place::Store(store)) => Ok(Some(store)),
        #[cfg(feature = "redis")]
        Some(Place::Redis(options)) => Ok(Some(redis(&options.key_prefix(prefix), clock)?)),
        None => from_environment(environment, (clock, prefix)),
    }
}

#[cfg(feature = "redis")]
fn redis(options: &crate::store::RedisOptions, clock: &Clock) -> Result<Arc<dyn Store>, Error> {
    if options.is_cluster() {
        return Ok(Arc::new(crate::store::ClusterStore::new(options, clock.clone())?));
    }
    Ok(Arc::new(crate::store::RedisStore::new(options, clock.clone())?))
}

#[cfg(feature = "redis")]
fn from_environment(
    environment: &Environment,
    (clock, prefix): (&Clock, &str),
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
    Ok(Some(redis(&options.key_prefix(prefix), clock)?))
}

#[cfg(not(feature = "redis"))]
fn from_environment(
    environment: &Environment,
    _: (&Clock, &str),
) -> Result<Option<Arc<dyn Store>>, Error> {
    let named = match environment {
        Environment { sentinels: Some(_), .. } => "REDIS_USE_SENTINEL",
        Environment { cluster_nodes: Some(_), .. } => "REDIS_CLUSTER_NODES",
        Environment { redis_url: Some(_), .. } => "REDIS_URL",
        _ => return Ok(None),
    };
    Err(Error::config(format!("{named} is set, but the feature `redis` is off")))
}
