//! What all handles of one cache share.

mod entry_key;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock, Weak};
use std::time::Duration;

use bytes::{BufMut, BytesMut};
use smallvec::SmallVec;
use xxhash_rust::xxh3::xxh3_128_with_seed;

use crate::admin::{Ended, LatestServerStats, Sampler};
use crate::audit::Audit;
use crate::background::{Background, Sole};
use crate::clock::{Clock, Deadline, Millis, as_millis};
use crate::codec::{Format, Packing};
use crate::coherence::leases::LeaseWatch;
use crate::coherence::watch::Watching;
use crate::coherence::{COHERENCE_BOUND, Coherence};
use crate::compute::{Failures, Options, RefreshedElsewhere, Refreshes, Resting};
use crate::error::{Error, ErrorKind};
use crate::flight::Flights;
use crate::happenings::Happenings;
use crate::invalidate::board::{BoardState, Facts};
use crate::invalidate::fence::Fences;
use crate::invalidate::generation::{GenerationCell, GenerationTable};
use crate::invalidate::keepalive::{self, KeepAlive};
use crate::invalidate::rollback::Rollback;
use crate::invalidate::scope::ScopeNames;
use crate::invalidate::unconfirmed::Unconfirmed;
use crate::key::{Key, escape, fold};
use crate::l1::{Region, Slot};
use crate::middleware::Read;
use crate::namespace::Namespace;
use crate::offload::Offload;
use crate::packing::PackingOptions;
use crate::rate::Tables;
use crate::slide::Sliding;
use crate::stats::{
    Counters, HitRatio, HitRatioWarning, InvalidationCounters, Operations, Workspaces,
};
use crate::store::Store;
use crate::ttl::Ttl;
use crate::typed_namespace::Types;

pub use self::entry_key::EntryKey;

pub(crate) struct Inner {
    /// For tasks that must not keep the cache alive.
    pub(crate) me: Weak<Inner>,
    pub(crate) prefix: String,
    pub(crate) enabled: bool,
    pub(crate) clock: Clock,
    pub(crate) budget: Duration,
    pub(crate) store: Option<Arc<dyn Store>>,
    pub(crate) names: ScopeNames,
    pub(crate) generations: GenerationTable,
    pub(crate) everything: Arc<GenerationCell>,
    pub(crate) unconfirmed: Unconfirmed,
    pub(crate) rollback: Arc<Rollback>,
    pub(crate) keepalive: KeepAlive,
    /// The task that repeats what is unconfirmed.
    pub(crate) replaying: Sole,
    pub(crate) invalidations: InvalidationCounters,
    pub(crate) happenings: Arc<Happenings>,
    pub(crate) operations: Operations,
    pub(crate) workspaces: Workspaces,
    pub(crate) sampler: Arc<Sampler>,
    pub(crate) latest_server_stats: LatestServerStats,
    pub(crate) ended: Ended,
    pub(crate) refreshes: Refreshes,
    pub(crate) fences: Arc<Fences>,
    pub(crate) flights: Flights,
    pub(crate) failures: Failures,
    pub(crate) refreshed_elsewhere: RefreshedElsewhere,
    pub(crate) resting: Resting,
    pub(crate) sliding: Sliding,
    pub(crate) background: Background,
    pub(crate) offload: Offload,
    /// Held for reading by the writes of fills; a sweep takes it for writing before it begins.
    pub(crate) commits: tokio::sync::RwLock<()>,
    pub(crate) defaults: Defaults,
    pub(crate) namespaces: RwLock<HashMap<String, Arc<NamespaceState>>>,
    /// Shared by all namespaces that have no region of their own.
    pub(crate) region: Arc<Region>,
    /// Those of namespaces with `max_entries`.
    pub(crate) own_regions: Vec<Arc<Region>>,
    pub(crate) seed: u64,
    /// Where others write to the store, and entries are kept in memory.
    pub(crate) coherence: Option<Arc<Coherence>>,
    pub(crate) watching: Watching,
    /// Where nothing is kept in memory.
    pub(crate) leases: LeaseWatch,
    /// What is counted in this process for rate limits.
    pub(crate) rates: Tables,
}

/// What a namespace has unless it says otherwise.
#[derive(Debug, Clone)]
pub(crate) struct Defaults {
    pub(crate) ttl: Ttl,
    pub(crate) options: Options,
    /// From the environment, by namespace name in capitals.
    pub(crate) ttls: HashMap<String, Duration>,
    pub(crate) max_value_size: usize,
    pub(crate) l1: bool,
    /// `None`: 5 s where nothing is proven, and as long as the entry lives where it is.
    pub(crate) l1_ttl: Option<Duration>,
    pub(crate) packing: PackingOptions,
    pub(crate) hit_ratio: Option<HitRatioWarning>,
}

/// A namespace as this cache runs it.
pub(crate) struct NamespaceState {
    pub(crate) number: u32,
    pub(crate) name: String,
    pub(crate) ttl: Ttl,
    /// The cache's among them; but for the TTL.
    pub(crate) options: Options,
    pub(crate) max_value_size: usize,
    pub(crate) l1: bool,
    /// How long L1 answers without a proof that nothing has changed.
    pub(crate) l1_ttl: Millis,
    /// How long L1 answers at most.
    pub(crate) l1_at_most: Millis,
    by_workspace: bool,
    pub(crate) format: Format,
    pub(crate) packing: Packing,
    pub(crate) audit: Audit,
    pub(crate) region: Arc<Region>,
    pub(crate) cell: Arc<GenerationCell>,
    /// Changes with every sweep: what keeps fills in flight elsewhere from undoing it. No entry
    /// carries it.
    pub(crate) swept: Arc<GenerationCell>,
    pub(crate) counters: Counters,
    pub(crate) sampler: Arc<Sampler>,
    hit_ratio: Option<HitRatio>,
    /// What its keys are made by, and how far that agrees with the store.
    pub(crate) board: BoardState,
    /// Of its typed handles.
    pub(crate) types: Types,
    seed: u64,
}

/// L1 answers at most this long without asking the store, and without a proof.
const MAX_L1_TTL: Duration = Duration::from_secs(60);
/// Namespaces that were not declared are kept apart up to this many.
const MAX_NAMESPACES: usize = 1024;

impl Inner {
    /// The namespace of this name; made with the defaults if it was not declared.
    pub(crate) fn namespace(&self, name: &str) -> Result<Arc<NamespaceState>, Error> {
        let known = self.namespaces.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(state) = known.get(name) {
            return Ok(Arc::clone(state));
        }
        drop(known);
        let namespace = Namespace::named(name);
        namespace.check()?;
        let mut known = self.namespaces.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(state) = known.get(name) {
            return Ok(Arc::clone(state));
        }
        if known.len() >= MAX_NAMESPACES {
            return Err(Error::new(ErrorKind::TooManyNamespaces, "more than 1024 namespaces"));
        }
        let number = u32::try_from(known.len()).unwrap_or(u32::MAX);
        let region = Arc::clone(&self.region);
        let state = Arc::new(self.new_state(&namespace, number, region));
        known.insert(name.to_owned(), Arc::clone(&state));
        Ok(state)
    }

    pub(crate) fn new_state(
        &self,
        namespace: &Namespace,
        number: u32,
        region: Arc<Region>,
    ) -> NamespaceState {
        let name = namespace.name();
        let from_environment = self.defaults.ttls.get(&environment_name(name)).copied();
        let mut stem = format!("{}:", self.prefix);
        escape(name, &mut stem);
        let chosen = namespace.l1_ttl.or(self.defaults.l1_ttl);
        let young = chosen.unwrap_or(COHERENCE_BOUND).min(MAX_L1_TTL);
        let alone = self.store.is_none();
        let max_value_size = namespace.max_value_size.unwrap_or(self.defaults.max_value_size);
        NamespaceState {
            number,
            name: name.to_owned(),
            ttl: namespace
                .options
                .ttl
                .or(from_environment.map(Ttl::After))
                .unwrap_or(self.defaults.ttl),
            options: Options { ttl: None, ..namespace.options.or(self.defaults.options) },
            max_value_size,
            // With no store, memory is all there is.
            l1: self.store.is_none() || (namespace.l1 && self.defaults.l1),
            l1_ttl: if alone { Millis::MAX } else { as_millis(young) },
            l1_at_most: if alone { Millis::MAX } else { chosen.map_or(Millis::MAX, as_millis) },
            by_workspace: namespace.by_workspace,
            format: namespace.format,
            packing: self.defaults.packing.of(namespace, max_value_size),
            audit: Audit::of(namespace, &self.defaults.packing),
            region,
            cell: self.generations.cell(&self.names.namespace(name)),
            swept: self.generations.cell(&self.names.sweeps(name)),
            counters: Counters::default(),
            sampler: Arc::clone(&self.sampler),
            hit_ratio: namespace
                .hit_ratio
                .or(self.defaults.hit_ratio)
                .map(|limit| HitRatio::new(limit, self.clock.clone())),
            board: BoardState::new(self.names.board(name), Facts::new(stem, namespace.version)),
            types: Types::default(),
            seed: self.seed ^ u64::from(number).wrapping_mul(0x9E37_79B9_7F4A_7C15),
        }
    }

    /// All regions of L1.
    pub(crate) fn regions(&self) -> impl Iterator<Item = &Arc<Region>> {
        std::iter::once(&self.region).chain(&self.own_regions)
    }

    /// The store that others may share, if there is one and the cache is not switched off.
    pub(crate) fn shared_store(&self) -> Option<&Arc<dyn Store>> {
        self.store.as_ref().filter(|_| self.enabled)
    }

    /// The store, if there is one, it is worth asking, no invalidation is unconfirmed, and none has
    /// been forgotten.
    pub(crate) async fn settled_store(&self, deadline: Deadline) -> Option<&Arc<dyn Store>> {
        keepalive::ensure(self);
        let store = self.available_store()?;
        let settled = self.unconfirmed.settle(&**store, deadline).await;
        (settled && !self.rollback.holds_reads()).then_some(store)
    }

    /// The store, if there is one and it is worth asking. For writes only: what is read may be
    /// what an unconfirmed invalidation was about.
    pub(crate) fn available_store(&self) -> Option<&Arc<dyn Store>> {
        self.keep_watching();
        self.store.as_ref().filter(|store| store.is_available())
    }

    pub(crate) fn deadline(&self) -> Deadline {
        Deadline::after(self.budget)
    }

    /// A plain key of a namespace, made ready for lookups and fills.
    pub(crate) fn plain_key(&self, namespace: &Arc<NamespaceState>, key: &Key) -> Arc<EntryKey> {
        Arc::new(self.entry_key(namespace, key, key.identity()))
    }

    /// Everything about a key that lookups and fills need.
    pub(crate) fn entry_key(
        &self,
        namespace: &Arc<NamespaceState>,
        key: &Key,
        identity: &[u8],
    ) -> EntryKey {
        let mut bound = BytesMut::with_capacity(namespace.name.len() + 5 + identity.len());
        // Names are at most 64 bytes long.
        bound.put_u8(u8::try_from(namespace.name.len()).unwrap_or(u8::MAX));
        bound.put_slice(namespace.name.as_bytes());
        let facts = namespace.facts();
        bound.put_u32_le(facts.version());
        let own = bound.len();
        bound.put_slice(identity);
        let bound = bound.freeze();
        let mut cells: SmallVec<[Arc<GenerationCell>; 4]> = SmallVec::new();
        cells.push(Arc::clone(&self.everything));
        cells.push(Arc::clone(&namespace.cell));
        let mut workspace = None;
        if let Some(name) = key.workspace_part() {
            cells.push(self.generations.cell(&self.names.workspace(name)));
            workspace = self.workspaces.of(name);
        }
        for template in facts.templates() {
            if let Some(instance) = template.instance(key) {
                let name = self.names.pattern(&namespace.name, &instance);
                cells.push(self.generations.cell(&name));
            }
        }
        EntryKey {
            hash: namespace.hash(identity),
            identity: bound.slice(own..),
            bound,
            rendered: fold([facts.base(), key.as_str()].concat()).into(),
            namespace: Arc::clone(namespace),
            workspace,
            tail: key.has_tail(),
            cells,
            facts,
        }
    }

    /// A plain key, made again: others may have declared more since, or bumped the version.
    pub(crate) fn made_again(&self, key: &EntryKey) -> Arc<EntryKey> {
        let plain = Key::of_identity(&key.identity, key.tail);
        self.plain_key(&key.namespace, &plain)
    }
}

impl NamespaceState {
    /// The entry with this identity in this process' memory, if it is of use.
    #[inline]
    pub(crate) fn peek(&self, hash: u128, identity: &[u8], now: Millis) -> Option<Arc<Slot>> {
        if self.l1 { self.region.get(hash, self.number, identity, now) } else { None }
    }

    /// As [`peek`](Self::peek), of a plain key.
    #[inline]
    pub(crate) fn peek_plain(&self, key: &Key, now: Millis) -> Option<Arc<Slot>> {
        let identity = key.identity();
        self.peek(self.hash(identity), identity, now)
    }

    /// L1's hash of an identity; seeded, so that nobody outside can choose collisions.
    #[inline]
    pub(crate) fn hash(&self, identity: &[u8]) -> u128 {
        xxh3_128_with_seed(identity, self.seed)
    }

    /// Counts a read of a key that names this workspace, or none.
    #[inline]
    pub(crate) fn count(&self, read: Read, workspace: Option<&Counters>) {
        self.counters.count(read);
        if let Some(workspace) = workspace {
            workspace.count(read);
        }
        if read == Read::Miss
            && let Some(hit_ratio) = &self.hit_ratio
        {
            hit_ratio.missed(&self.name, &self.counters);
        }
    }

    /// Whether the first segment of its plain keys is a workspace.
    pub(crate) fn is_by_workspace(&self) -> bool {
        self.by_workspace
    }

    /// A plain key of this namespace, with its workspace if the namespace says that it has one.
    pub(crate) fn key(&self, mut key: Key) -> Key {
        self.complete(&mut key);
        key
    }

    /// As [`key`](Self::key), where it stands.
    #[inline]
    pub(crate) fn complete(&self, key: &mut Key) {
        if self.by_workspace {
            key.name_workspace();
        }
    }
}

// What is in flight, queued or in memory names keys, which are nobody's business in logs.
impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inner")
            .field("prefix", &self.prefix)
            .field("enabled", &self.enabled)
            .field("store", &self.store.as_ref().map(|store| store.name()))
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for NamespaceState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NamespaceState")
            .field("name", &self.name)
            .field("ttl", &self.ttl)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

/// `search` → `SEARCH`: how a namespace is called in the environment.
pub(crate) fn environment_name(namespace: &str) -> String {
    let upper = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    namespace.chars().map(upper).collect()
}
