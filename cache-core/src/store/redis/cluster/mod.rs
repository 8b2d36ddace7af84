//! Redis Cluster: one store over a [`RedisStore`] for each primary.
//!
//! - `options`: its nodes; `slot`: which slot a key is in (pure);
//! - `view`: what a node says of the cluster (pure); `topology`: the map that comes of it;
//!   `refresh`: asking for it;
//! - `order`: a command about one key (pure); `orders`: where they are sent;
//! - `batch`: writes of several keys, and what holds for them; `store`: all operations;
//! - `scan`: walking over the keys of all primaries; `watch`: hearing of changes on all of them.

mod batch;
mod options;
mod order;
mod orders;
mod refresh;
mod scan;
mod slot;
mod store;
mod topology;
mod view;
mod watch;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use self::refresh::Asking;
use self::topology::{Node, Topology};
use self::view::View;
use super::gather::Gatherer;
use super::{RedisOptions, RedisStore};
use crate::background::Background;
use crate::clock::Clock;
use crate::error::{Error, ErrorKind};
use crate::happenings::EventBus;
use crate::store::Store;

pub(super) use view::Address;

/// Keeps bytes in a Redis Cluster. See [`guide::cluster`](crate::guide::cluster).
///
/// Each primary has connections and a breaker of its own: one that is lost costs what is in its
/// slots, until a replica has taken them over. Connecting is lazy.
#[derive(Debug, Clone)]
pub struct ClusterStore {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    options: RedisOptions,
    clock: Clock,
    /// `None`: no node has told it yet.
    map: RwLock<Option<Arc<Topology>>>,
    /// All servers that are known, by where they are.
    nodes: Mutex<HashMap<Address, Arc<Node>>>,
    asking: Asking,
    gatherer: Arc<Gatherer>,
    taking_back: Background,
    /// The caches that are told of breakers.
    told: Mutex<Vec<EventBus>>,
    ended: AtomicBool,
}

impl ClusterStore {
    /// A store on the cluster that the options name (see
    /// [`RedisOptions::cluster`](RedisOptions::cluster)). Does not connect yet.
    pub fn new(options: &RedisOptions, clock: Clock) -> Result<Self, Error> {
        options.check_cluster()?;
        let shared = Arc::new(Shared {
            options: options.clone(),
            clock,
            map: RwLock::default(),
            nodes: Mutex::default(),
            asking: Asking::default(),
            gatherer: Arc::default(),
            taking_back: Background::new(batch::MAX_TAKEN_BACK),
            told: Mutex::default(),
            ended: AtomicBool::new(false),
        });
        shared.seeds()?;
        Ok(Self { shared })
    }
}

impl Shared {
    fn known(&self) -> Option<Arc<Topology>> {
        self.map.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn nodes(&self) -> MutexGuard<'_, HashMap<Address, Arc<Node>>> {
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The server at an address.
    fn node(&self, address: &Address) -> Result<Arc<Node>, Error> {
        let mut nodes = self.nodes();
        if let Some(node) = nodes.get(address) {
            return Ok(Arc::clone(node));
        }
        self.check_open()?;
        // Whose time counts is decided later.
        let clock = Clock::system();
        let store = RedisStore::new(&self.options.at(address), clock.clone())?;
        for bus in &*self.told() {
            store.report_to(bus.clone());
        }
        let node = Arc::new(Node { address: address.clone(), store, clock });
        nodes.insert(address.clone(), Arc::clone(&node));
        Ok(node)
    }

    fn seeds(&self) -> Result<Vec<Arc<Node>>, Error> {
        self.options.cluster.iter().map(|address| self.node(address)).collect()
    }

    fn told(&self) -> MutexGuard<'_, Vec<EventBus>> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn check_open(&self) -> Result<(), Error> {
        if self.ended.load(Ordering::Relaxed) {
            return Err(Error::new(ErrorKind::Closed, "the cache has been shut down"));
        }
        Ok(())
    }

    /// Goes by what the cluster says of itself from now on.
    fn take_in(&self, view: &View) -> Result<Arc<Topology>, Error> {
        let mut map = self.map.write().unwrap_or_else(PoisonError::into_inner);
        let next = Topology::next(map.as_deref(), view, |address| self.node(address))?;
        let topology = match (next, &*map) {
            (None, Some(known)) => Arc::clone(known),
            (None, None) => return Err(super::fault::protocol_error()),
            (Some(next), _) => {
                let primaries = next.members.len();
                tracing::debug!(primaries, version = next.version, "the cluster has a new map");
                let next = Arc::new(next);
                *map = Some(Arc::clone(&next));
                next
            }
        };
        // With the lock held, so that what the map names stays.
        self.nodes().retain(|_, node| {
            topology.members.iter().any(|member| Arc::ptr_eq(&member.node, node))
        });
        drop(map);
        // All processes know the same first one.
        if let Some(first) = topology.members.first()
            && first.node.store.pool().is_some_and(|pool| pool.connections > 0)
        {
            self.clock.follow(&first.node.clock);
        }
        Ok(topology)
    }
}

/// The error of one of several servers.
fn of_node(address: &Address, error: &Error) -> Error {
    Error::new(error.kind(), format!("{address}: {error}"))
}
