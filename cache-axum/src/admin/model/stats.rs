//! Figures: of everything, of one workspace.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Who asks: what the answer is limited to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "role", rename_all = "snake_case")]
pub enum Viewer {
    /// Sees all.
    Operator,
    /// Sees what is of one workspace.
    Workspace {
        /// Which.
        workspace: String,
    },
}

/// `?namespace=` where it may be left out.
#[derive(Debug, Clone, Default, Deserialize, IntoParams, ToSchema)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct NamespaceQuery {
    /// Of one namespace only; for operators.
    #[param(example = "api_responses")]
    pub namespace: Option<String>,
}

/// What was counted.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct StatsReport {
    /// When, in unix milliseconds.
    pub at: u64,
    /// What the answer is limited to.
    pub viewer: Viewer,
    /// False if caching is switched off.
    pub enabled: bool,
    /// The sum over what this answer is about: all namespaces, the one asked for, or the workspace.
    pub total: Figures,
    /// By namespace; empty for a workspace.
    pub namespaces: BTreeMap<String, Figures>,
    /// By workspace; of a workspace only itself. Empty where one namespace is asked for.
    pub workspaces: BTreeMap<String, Figures>,
    /// Of the workspaces that are not counted apart; for operators.
    pub other_workspaces: Option<Figures>,
    /// Requests by what the response cache decided; for operators.
    pub http: Option<HttpFigures>,
    /// Invalidations by their outcome; for operators.
    pub invalidations: Option<InvalidationFigures>,
    /// How long operations on the store took; for operators.
    pub operations: Option<OperationFigures>,
    /// Entries in this process' memory; for operators.
    pub memory: Option<MemoryFigures>,
    /// The store; for operators, where there is one.
    pub store: Option<StoreFigures>,
}

/// What was counted of one workspace, over all namespaces.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct WorkspaceReport {
    /// When, in unix milliseconds.
    pub at: u64,
    /// Which.
    pub workspace: String,
    /// Zeros where nothing was counted of it, or not apart from others.
    pub figures: Figures,
}

/// Counters of a namespace or a workspace. `hits + misses` is the number of reads.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Figures {
    /// Reads that were answered.
    pub hits: u64,
    /// Of the hits, those from this process' memory.
    pub l1_hits: u64,
    /// Reads that were not answered.
    pub misses: u64,
    /// `hits / (hits + misses)`, 0 to 1; `null`: there were no reads.
    pub hit_ratio: Option<f64>,
    /// Of the misses, those answered with a value within its grace.
    pub stale: u64,
    /// How often a function computed a value.
    pub computes: u64,
    /// How often it failed.
    pub compute_failures: u64,
    /// How long it took, over all.
    pub compute_us: u64,
    /// How often it took how long.
    pub compute_times: Vec<Bucket>,
    /// What computing would have taken without the cache, over all, beside that.
    pub saved_us: u64,
    /// How often a value was computed anew to be kept warm.
    pub refreshes: u64,
    /// How often that failed.
    pub refresh_failures: u64,
    /// Values written.
    pub sets: u64,
    /// Keys deleted, one by one or by pattern.
    pub deletes: u64,
    /// Store operations that failed, and stored bytes that were damaged.
    pub errors: u64,
    /// Stored values that could not be opened here.
    pub unreadable: u64,
    /// Bytes read from the store.
    pub bytes_read: u64,
    /// Bytes given to the store.
    pub bytes_written: u64,
    /// Values that were compressed.
    pub compressed: u64,
    /// Bytes of those before.
    pub uncompressed_bytes: u64,
    /// Bytes of those after.
    pub compressed_bytes: u64,
}

/// How many took up to so long, and longer than the bucket before says. Empty buckets are left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Bucket {
    /// The longest time in it; `null`: there is none.
    pub up_to_us: Option<u64>,
    /// How many.
    pub count: u64,
}

/// Requests by decision: `hits + misses + bypasses` is the number of requests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct HttpFigures {
    /// Answered from what was stored.
    pub hits: u64,
    /// Looked up in vain.
    pub misses: u64,
    /// `hits / (hits + misses)`, 0 to 1; `null`: nothing was looked up.
    pub hit_ratio: Option<f64>,
    /// Of the misses, those that shared another request's fetch.
    pub collapsed: u64,
    /// Answered with what was stale.
    pub stale: u64,
    /// Of the misses, those answered with what was stored, after the origin had confirmed it.
    pub validated: u64,
    /// Forwarded without being looked up.
    pub bypasses: u64,
}

/// Invalidations by their outcome.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct InvalidationFigures {
    /// Done everywhere when they ended.
    pub complete: u64,
    /// Done here when they ended, elsewhere later.
    pub queued: u64,
    /// Refused by the store.
    pub failed: u64,
}

/// How long operations on the store took. A hit in memory is none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OperationFigures {
    /// Reads.
    pub read: Timed,
    /// Writes.
    pub write: Timed,
    /// Invalidations; also those that are for this process' memory alone.
    pub invalidate: Timed,
}

/// How long something took.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Timed {
    /// How often it took how long.
    pub times: Vec<Bucket>,
    /// How long it took, over all.
    pub total_us: u64,
    /// How often it failed.
    pub failures: u64,
}

/// Entries in this process' memory (L1).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MemoryFigures {
    /// How many.
    pub entries: u64,
    /// What they weigh.
    pub bytes: u64,
    /// What they may weigh.
    pub capacity_bytes: u64,
    /// How many made room for others.
    pub evictions: u64,
}

/// The store, as this process sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct StoreFigures {
    /// `redis`, or another store's name.
    pub name: String,
    /// The breaker that keeps a store that fails from being asked; `null`: it has none.
    pub breaker: Option<BreakerState>,
    /// Connections to it.
    pub pool: Option<PoolFigures>,
    /// What the server says of itself; `null` where it is away, or refuses `INFO`.
    pub server: Option<ServerFigures>,
}

/// Whether the store is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum BreakerState {
    /// It is.
    Closed,
    /// It is not, until a probe has succeeded.
    Open,
    /// It is not yet: a probe is under way.
    HalfOpen,
}

/// Connections to the store.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PoolFigures {
    /// Open ones.
    pub connections: u64,
    /// Of these, those that nobody holds.
    pub idle: u64,
    /// The most there may be.
    pub max: u64,
    /// Operations that wait for one.
    pub waiting: u64,
}

/// What the server says of itself (`INFO`, `DBSIZE`): of all its users, a few seconds old at most.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ServerFigures {
    /// When it said so, in unix milliseconds.
    pub at: u64,
    /// Its version.
    pub version: Option<String>,
    /// Bytes in use.
    pub used_memory_bytes: Option<u64>,
    /// Bytes it may use; `null`: no limit, or not told.
    pub max_memory_bytes: Option<u64>,
    /// What goes first when there is no more room.
    pub eviction_policy: Option<String>,
    /// Keys that made room for others.
    pub evicted_keys: Option<u64>,
    /// Keys whose time was over.
    pub expired_keys: Option<u64>,
    /// Keys in the database.
    pub keys: Option<u64>,
    /// Reads that found a key.
    pub keyspace_hits: Option<u64>,
    /// Reads that found none.
    pub keyspace_misses: Option<u64>,
    /// Clients connected to it.
    pub connected_clients: Option<u64>,
    /// Commands it carries out per second.
    pub operations_per_second: Option<u64>,
    /// How long it has been up.
    pub uptime_seconds: Option<u64>,
}
