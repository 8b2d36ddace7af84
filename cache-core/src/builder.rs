//! Building a cache.
//!
//! ```
//! use cache_core::{Cache, Namespace, hours, minutes};
//!
//! const ANALYTICS: Namespace = Namespace::new("analytics").ttl(minutes(5));
//!
//! let cache = Cache::builder()
//!     .prefix("shop")
//!     .namespace(ANALYTICS)
//!     .default_ttl(hours(1))
//!     .build()?;
//! # Ok::<(), cache_core::Error>(())
//! ```

mod place;

use std::collections::HashMap;
use std::sync::{Arc, RwLock, Weak};
use std::time::Duration;

use self::place::{Place, store};
use crate::admin::{Ended, LatestServerStats, Sampler};
use crate::background::{Background, Sole};
use crate::cache::Cache;
use crate::clock::Clock;
use crate::coherence::Coherence;
use crate::coherence::leases::LeaseWatch;
use crate::coherence::watch::Watching;
use crate::compute::{Failures, Options, RefreshedElsewhere, Refreshes, Resting};
use crate::config::Environment;
use crate::error::Error;
use crate::flight::Flights;
use crate::happenings::{EventBus, Happenings};
use crate::invalidate::fence::Fences;
use crate::invalidate::generation::GenerationTable;
use crate::invalidate::keepalive::{self, KeepAlive};
use crate::invalidate::rollback::Rollback;
use crate::invalidate::scope::ScopeNames;
use crate::invalidate::unconfirmed::Unconfirmed;
use crate::l1::Region;
use crate::namespace::{API_RESPONSES, Namespace};
use crate::offload::Offload;
use crate::packing::PackingOptions;
use crate::rate::Tables;
use crate::slide::Sliding;
use crate::state::{Defaults, Inner};
use crate::stats::{HitRatioWarning, InvalidationCounters, Operations, Workspaces};
use crate::store::Store;
use crate::ttl::{Ttl, hours};

/// Settings of a cache to be built. Settings made here beat the environment, in any order; but what the
/// environment says of one namespace goes before what is said here of all.
#[derive(Debug, Default)]
#[must_use = "nothing is built until `build` is called"]
pub struct Builder {
    prefix: Option<String>,
    namespaces: Vec<Namespace>,
    default_ttl: Option<Ttl>,
    options: Options,
    max_value_size: Option<usize>,
    l1: Option<bool>,
    l1_bytes: Option<u64>,
    l1_ttl: Option<Duration>,
    coherence: Option<bool>,
    budget: Option<Duration>,
    background_tasks: Option<u32>,
    enabled: Option<bool>,
    clock: Option<Clock>,
    place: Option<Place>,
    packing: PackingOptions,
    hit_ratio: Option<HitRatioWarning>,
    environment: Environment,
}

const DEFAULT_PREFIX: &str = "cache";
const MAX_PREFIX: usize = 64;
const MIB: u64 = 1024 * 1024;

impl Builder {
    /// What all keys begin with: letters, digits, `.`, `_` and `-`. Default: `cache`.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = Some(prefix.into());
        self
    }

    /// Declares a namespace.
    pub fn namespace(mut self, namespace: Namespace) -> Self {
        self.namespaces.push(namespace);
        self
    }

    /// The TTL of namespaces that have none. Default: 1 hour.
    pub fn default_ttl(mut self, ttl: impl Into<Ttl>) -> Self {
        self.default_ttl = Some(ttl.into());
        self
    }

    /// How values are kept and computed in namespaces that say nothing else.
    pub fn options(mut self, options: Options) -> Self {
        self.options = options;
        self
    }

    /// The limit, in bytes, of values in namespaces that have none. Default: 1 MiB.
    pub fn max_value_size(mut self, bytes: usize) -> Self {
        self.max_value_size = Some(bytes);
        self
    }

    /// Whether entries are also kept in this process' memory, beside a store. Default: yes.
    pub fn l1(mut self, on: bool) -> Self {
        self.l1 = Some(on);
        self
    }

    /// How much of this process' memory entries may take. Default: 64 MiB beside a store,
    /// 256 MiB alone.
    pub fn l1_bytes(mut self, bytes: u64) -> Self {
        self.l1_bytes = Some(bytes);
        self
    }

    /// How long this process' memory answers without asking the store. Where it is not proven that
    /// the entry has not changed since (see [`coherence`](crate::coherence)), 60 s at most. Default: 5 s
    /// without such a proof, as long as the entry lives with it.
    pub fn l1_ttl(mut self, ttl: Duration) -> Self {
        self.l1_ttl = Some(ttl);
        self
    }

    /// Whether to listen, on a connection of its own, to what others change in the store, so that
    /// entries in this process' memory live longer than `l1_ttl` and are dropped when they change.
    /// Default: yes.
    pub fn coherence(mut self, on: bool) -> Self {
        self.coherence = Some(on);
        self
    }

    /// How long one operation may wait for the store. Default: 50 ms.
    pub fn operation_budget(mut self, budget: Duration) -> Self {
        self.budget = Some(budget);
        self
    }

    /// How many tasks may run in the background at once, and beside them how many of the cache's own
    /// upkeep, such as writes to the store of what was computed: what finds no place among those is not
    /// stored, which counts as an error. Default: 1024.
    pub fn background_tasks(mut self, tasks: u32) -> Self {
        self.background_tasks = Some(tasks.max(1));
        self
    }

    /// False: every operation passes through.
    pub fn enabled(mut self, enabled: bool) -> Self {
        self.enabled = Some(enabled);
        self
    }

    /// The clock to tell time by; for tests.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = Some(clock);
        self
    }

    /// A line in the log (`tracing`, level warn, target `cache_core`) when less than so many percent
    /// of a namespace's reads are hits: over a minute at least, and over so many reads at least. One
    /// line for each namespace in five minutes. Zero percent: none. Default: none, for what is low
    /// depends on what it is used for.
    pub fn hit_ratio_warning(mut self, percent: u8, reads: u64) -> Self {
        self.hit_ratio = Some(HitRatioWarning { percent, reads });
        self
    }

    /// How values are compressed on the way to the store, in namespaces that don't say and are not
    /// encrypted. Default: off.
    #[cfg(feature = "compression")]
    pub fn compression(mut self, compression: crate::Compression) -> Self {
        self.packing.compression = Some(compression);
        self
    }

    /// Values below this many bytes are not compressed. Default: 1024.
    #[cfg(feature = "compression")]
    pub fn compression_threshold(mut self, bytes: usize) -> Self {
        self.packing.threshold = Some(bytes);
        self
    }

    /// The keys of namespaces that are [encrypted](Namespace::encrypted).
    #[cfg(feature = "encryption")]
    pub fn keyring(mut self, keyring: crate::Keyring) -> Self {
        self.packing.keyring = Some(Arc::new(keyring));
        self
    }

    /// Keeps entries in this process' memory only, whatever `REDIS_URL` says.
    pub fn memory(mut self) -> Self {
        self.place = Some(Place::Memory);
        self
    }

    /// Keeps entries in a store of one's own.
    pub fn store(mut self, store: Arc<dyn Store>) -> Self {
        self.place = Some(Place::Store(store));
        self
    }

    /// Keeps entries in Redis, at a `redis://` URL or with [`RedisOptions`](crate::RedisOptions).
    #[cfg(feature = "redis")]
    pub fn redis(mut self, options: crate::store::RedisOptions) -> Self {
        self.place = Some(Place::Redis(Box::new(options)));
        self
    }

    /// Reads the environment (see the table in [`config`](crate::config)).
    ///
    /// # Errors
    /// When a variable is invalid; the error names it.
    pub fn from_env(self) -> Result<Self, Error> {
        self.from_vars(crate::config::as_text(std::env::vars_os())?)
    }

    /// As [`from_env`](Self::from_env), from variables given here.
    pub fn from_vars(
        mut self,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, Error> {
        self.environment = Environment::read(variables)?;
        Ok(self)
    }

    /// Builds the cache. Connects to nothing, and waits for nothing.
    ///
    /// # Errors
    /// When a setting is invalid.
    pub fn build(mut self) -> Result<Cache, Error> {
        let environment = std::mem::take(&mut self.environment);
        let prefix = self.prefix.take().or(environment.prefix.clone());
        let prefix = prefix.unwrap_or_else(|| DEFAULT_PREFIX.to_owned());
        check_prefix(&prefix)?;
        let clock = self.clock.take().unwrap_or_default();
        let store = store(self.place.take(), &environment, (&clock, &prefix))?;
        let happenings = Arc::new(Happenings::new(clock.clone()));
        if let Some(store) = &store {
            store.report_to(EventBus::new(&happenings));
        }
        let l1_bytes = self.l1_bytes.unwrap_or(if store.is_some() { 64 * MIB } else { 256 * MIB });
        let defaults = Defaults {
            ttl: self
                .default_ttl
                .or(self.options.ttl)
                .or(environment.default_ttl.map(Ttl::After))
                .unwrap_or(Ttl::After(hours(1))),
            options: self.options,
            ttls: environment.ttls.clone(),
            max_value_size: self.max_value_size.unwrap_or(1024 * 1024),
            l1: self.l1.unwrap_or(true),
            l1_ttl: self.l1_ttl,
            packing: std::mem::take(&mut self.packing).or(&environment),
            hit_ratio: self.hit_ratio,
        };
        let namespaces = self.declared_namespaces()?;
        #[cfg(feature = "encryption")]
        defaults.packing.check(&namespaces)?;
        let enabled = self.enabled.or(environment.enabled).unwrap_or(true);
        let listens = store.is_some() && defaults.l1 && self.coherence.unwrap_or(true) && enabled;
        let coherence = listens.then(Arc::<Coherence>::default);
        let (region, own_regions) =
            regions(l1_bytes, &namespaces, defaults.max_value_size, coherence.as_ref());
        let (names, generations) = (ScopeNames::new(&prefix), GenerationTable::default());
        let everything = generations.cell(&names.everything());
        let incarnation = store.as_ref().map_or(0, |store| store.incarnation());
        let budget = self.budget.unwrap_or(Duration::from_millis(50));
        let (name, noticed) = (Arc::clone(&everything.name), keepalive::noticed_within(budget));
        let rollback = Arc::new(Rollback::new(name, clock.clone(), noticed, incarnation));
        let inner = Inner {
            me: Weak::new(),
            prefix,
            enabled,
            clock,
            budget,
            store,
            names,
            generations,
            unconfirmed: Unconfirmed::new(Arc::clone(&everything.name), Arc::clone(&rollback)),
            rollback,
            keepalive: KeepAlive::default(),
            replaying: Sole::default(),
            invalidations: InvalidationCounters::default(),
            happenings,
            operations: Operations::default(),
            workspaces: Workspaces::default(),
            sampler: Arc::new(Sampler::default()),
            latest_server_stats: LatestServerStats::default(),
            ended: Ended::default(),
            refreshes: Refreshes::default(),
            everything,
            fences: Arc::new(Fences::beside_others(coherence.as_ref())),
            flights: Flights::default(),
            failures: Failures::default(),
            refreshed_elsewhere: RefreshedElsewhere::default(),
            resting: Resting::default(),
            sliding: Sliding::default(),
            background: Background::new(self.background_tasks.unwrap_or(1024)),
            offload: Offload::default(),
            commits: tokio::sync::RwLock::new(()),
            defaults,
            namespaces: RwLock::default(),
            region,
            own_regions,
            seed: fastrand::u64(..),
            coherence,
            watching: Watching::default(),
            leases: LeaseWatch::default(),
            rates: Tables::default(),
        };
        let mut states = HashMap::new();
        let mut own = inner.own_regions.iter();
        for (number, namespace) in (0..).zip(&namespaces) {
            let region = match namespace.max_entries.and_then(|_| own.next()) {
                Some(region) => region,
                None => &inner.region,
            };
            let state = inner.new_state(namespace, number, Arc::clone(region));
            states.insert(namespace.name().to_owned(), Arc::new(state));
        }
        let namespaces = RwLock::new(states);
        let inner = Arc::new_cyclic(|me| Inner { me: me.clone(), namespaces, ..inner });
        Ok(Cache { inner })
    }

    fn declared_namespaces(&mut self) -> Result<Vec<Namespace>, Error> {
        let mut namespaces = std::mem::take(&mut self.namespaces);
        if !namespaces.iter().any(|namespace| namespace.name() == API_RESPONSES) {
            namespaces.push(Namespace::new(API_RESPONSES));
        }
        for (n, namespace) in namespaces.iter().enumerate() {
            namespace.check()?;
            if namespaces.iter().take(n).any(|earlier| earlier.name() == namespace.name()) {
                return Err(Error::config(format!("namespace {:?} twice", namespace.name())));
            }
        }
        Ok(namespaces)
    }
}

/// Each namespace with `max_entries` has an equal share of the memory for itself.
fn regions(
    bytes: u64,
    namespaces: &[Namespace],
    max_value_size: usize,
    coherence: Option<&Arc<Coherence>>,
) -> (Arc<Region>, Vec<Arc<Region>>) {
    let bounded: Vec<&Namespace> =
        namespaces.iter().filter(|namespace| namespace.max_entries.is_some()).collect();
    let share = bytes / (bounded.len() as u64 + 1);
    let largest = |namespace: Option<&Namespace>| {
        let size = namespace.and_then(|n| n.max_value_size).unwrap_or(max_value_size);
        // Decoded, a value may weigh twice as much; its key is small beside that.
        (size as u64).saturating_mul(2)
    };
    let own = bounded
        .iter()
        .map(|namespace| {
            let region = Region::new(share, namespace.max_entries, largest(Some(namespace)));
            Arc::new(region.beside_others(coherence))
        })
        .collect();
    (Arc::new(Region::new(share, None, largest(None)).beside_others(coherence)), own)
}

fn check_prefix(prefix: &str) -> Result<(), Error> {
    let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if prefix.is_empty() || prefix.len() > MAX_PREFIX || !prefix.chars().all(fine) {
        return Err(Error::config(
            "the prefix has to be 1 to 64 letters, digits, dots, underscores or dashes",
        ));
    }
    Ok(())
}
