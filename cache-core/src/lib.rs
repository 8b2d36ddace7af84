//! A cache for what a service computes: typed values in namespaces, in this process' memory and
//! in Redis, with invalidation that is final.
//!
//! ```
//! use cache_core::{Cache, Namespace, Scope, hours, minutes};
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//!
//! const ANALYTICS: Namespace = Namespace::new("analytics").ttl(minutes(5));
//!
//! let cache = Cache::builder().prefix("shop").namespace(ANALYTICS).build()?;
//!
//! cache.set("users", "42", "Ada").ttl(hours(1)).await?;
//! assert_eq!(cache.get::<String>("users", "42").await?.as_deref(), Some("Ada"));
//!
//! let visits = cache.namespace("analytics");
//! let count: u64 = visits.get_or_compute("ws1:42", async || Ok::<_, std::io::Error>(7)).await?;
//! assert_eq!(count, 7);
//!
//! cache.invalidate(Scope::namespace("users")).await?;
//! assert_eq!(cache.get::<String>("users", "42").await?, None);
//! # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
//! ```
//!
//! # Map
//!
//! | module | holds |
//! |---|---|
//! | `cache`, `builder`, [`config`] | the handle and its operations; building it; the environment |
//! | `compute` | `get_or_compute`; keys that are kept warm, or filled beforehand |
//! | `stats`, `gauges` | counters by namespace and by workspace; how things stand right now |
//! | `happenings` | invalidations, decisions and the breaker, told as they happen |
//! | `decorators` | `#[cached]`, `#[invalidates]` |
//! | `typed_namespace` | namespaces whose keys and values are of one type each, with a schema |
//! | `namespace`, `key`, `ttl`, `entry` | pure: names, options, injective rendering, times |
//! | [`key_hash`] | pure: stable digests of structured input |
//! | `lookup`, `fill`, `pending`, `write` | the flow: find, fill, write single keys |
//! | `family` | tags that only the value itself will name |
//! | `invalidate` | scopes, generations, patterns, fences, sweeps |
//! | [`coherence`] | keeps memory true to a store that others write to |
//! | `l1`, [`store`] | entries in memory; bytes in Redis |
//! | `codec` | pure: wire bytes, their formats, compression, encryption |
//! | `packing`, `pack`, `offload` | what a namespace's bytes are in the store; large ones off the reactor |
//! | `audit` | who has accessed what is sensitive |
//! | `admin` | what operators ask: top keys, one entry, counts, the store's own figures |
//! | `flight` | single-flight |
//! | [`rate`] | rate limits |
//! | [`guide`] | pages on how values are computed, and for operators |
//! | `reads`, `log_limit` | hits and misses for whoever debugs; warnings that don't come with every request |
//! | `clock`, `background` | the only place that reads clocks; tasks in the background |
//!
//! # Logs
//!
//! Events of [`tracing`](https://docs.rs/tracing), with the target `cache_core`. With
//! `RUST_LOG=cache_core=debug` each read is there, each computation and each invalidation:
//!
//! ```text
//! DEBUG cache_core: miss namespace="users" key="shop:users:v1:42"
//! DEBUG cache_core: computed namespace="users" took_us=1243 succeeded=true
//! DEBUG cache_core: hit namespace="users" key="shop:users:v1:42" layer="l1"
//! DEBUG cache_core: invalidated keys=1 scopes=0 outcome="complete" soft=false took_us=310
//!  WARN cache_core: Redis is away; going on without it error=connection refused left_out=0
//!  INFO cache_core: Redis is back
//! ```
//!
//! Keys are in events of level debug only, and hashed where the namespace is sensitive; values and
//! passwords are in none. What may go wrong with each request is a warning once in ten seconds, with
//! the number of those left out. While nobody listens, a hit in memory pays one load for all this.
//!
//! # Features
//!
//! - `redis` (default): the Redis store.
//! - `tls`: TLS to Redis and to Sentinels (rustls). See [`guide::tls`].
//! - `compression`: values compressed on the way to the store: zlib (in Rust) and zstd (which
//!   compiles C). See `Compression`.
//! - `encryption`: values encrypted on the way to the store, and sensitive namespaces, whose accesses
//!   are events. See `Keyring`.
//! - `metrics`: what is counted, for the `metrics` facade. See `metrics::Exporter`.
//! - `macros`: the attributes `#[cached]` and `#[invalidates]` (see `decorators`).

mod admin;
mod audit;
mod background;
mod builder;
mod cache;
mod claim;
mod clock;
mod codec;
pub mod coherence;
mod compute;
pub mod config;
#[cfg(feature = "macros")]
pub mod decorators;
mod entry;
mod error;
mod evict;
mod evictions;
mod family;
mod fill;
mod flight;
mod gauges;
pub mod guide;
mod happenings;
mod health;
mod invalidate;
mod key;
pub mod key_hash;
mod l1;
mod log_limit;
mod lookup;
#[cfg(feature = "metrics")]
pub mod metrics;
mod middleware;
mod namespace;
mod offload;
mod pack;
mod packing;
mod pending;
pub mod rate;
mod reads;
mod set;
mod slide;
mod state;
mod stats;
pub mod store;
#[cfg(feature = "test-hooks")]
#[doc(hidden)]
pub mod test_hooks;
mod ttl;
mod typed;
mod typed_namespace;
mod values;
mod write;

pub use admin::{Counted, EntryInfo, EntryTag, ServerStats, TopKey, TopKeys};
pub use background::Background;
pub use builder::Builder;
pub use cache::Cache;
#[cfg(feature = "macros")]
pub use cache_macros::{cached, invalidates};
pub use clock::{Clock, Deadline, Millis, Stopwatch};
#[cfg(feature = "compression")]
pub use codec::Compression;
pub use codec::Format;
#[cfg(feature = "encryption")]
pub use codec::Keyring;
pub use coherence::{COHERENCE_BOUND, COHERENCE_TYPICAL, CoherenceHealth, CoherenceMode};
pub use compute::{
    BatchOutcome, BoxCompute, ComputeError, Computed, Computing, GetOrCompute, GetOrComputeMany,
    MAX_REFRESHERS, Options, Previous, Refresh, Refresher, Warm, Warmed,
};
#[cfg(feature = "macros")]
#[doc(hidden)]
pub use decorators::private as __private;
pub use entry::EntryTimes;
pub use error::{Error, ErrorKind};
pub use evict::Evictable;
pub use fill::{Fill, NewEntry};
pub use flight::{FLEET_LEASE, Flights, Follower, Joined, Landing, Leader, UNCONFIRMED_FLIGHT};
pub use gauges::{Gauges, MemoryGauges};
pub use happenings::{
    BreakerState, EVENTS_KEPT, Event, EventBus, EventScope, Events, InvalidationOutcome,
    SAMPLED_PER_SECOND, ScopeKind,
};
pub use health::Health;
pub use invalidate::{
    Consumed, DeletePattern, Invalidated, Invalidation, Invalidations, InvalidationsBuilder,
    Partition, Pattern, Scope, Scopes, SweepJob, SweepPosition, SweepProgress, SweepState, Tag,
    TagFamily, Template, TemplateError,
};
pub use key::Key;
pub use key_hash::{AnyOrder, KeyHash, any_order};
pub use l1::{Shared, Slot};
pub use log_limit::LogLimit;
pub use lookup::{Decode, Lookup};
pub use middleware::Read;
pub use namespace::{API_RESPONSES, Namespace};
pub use pending::PendingWrite;
pub use rate::{RateLimiter, Unavailable, Verdict};
pub use set::Set;
pub use state::EntryKey;
pub use stats::{
    Histogram, InvalidationStats, MAX_COUNTED_WORKSPACES, NamespaceStats, OperationStats, Stats,
};
#[cfg(feature = "tls")]
pub use store::TlsOptions;
pub use store::{Ability, MissingAbility, Store};
#[cfg(feature = "redis")]
pub use store::{ClusterStore, RedisOptions, RedisStore, SentinelOptions};
pub use ttl::{Ttl, days, hours, minutes, seconds};
pub use typed_namespace::{CacheKey, KeySegment, Typed, TypedNamespace};
pub use values::Values;
