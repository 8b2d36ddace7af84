//! What the routes of the admin API take and answer, as JSON.
//!
//! Times are unix milliseconds and end in `_at` or `_until`; durations are microseconds and end in
//! `_us`; sizes are bytes and end in `_bytes`. What can't be told, or not to this caller, is `null`.
//! All figures are of this process since it started, but for [`ServerFigures`].
//!
//! | route | takes | answers |
//! |---|---|---|
//! | `GET /` | | the page; needs no credentials |
//! | `GET /stats` | [`NamespaceQuery`] | [`StatsReport`] |
//! | `GET /workspace/{id}/stats` | | [`WorkspaceReport`] |
//! | `GET /health` | | [`HealthReport`]: 200 whatever it says |
//! | `GET /health/live`, `GET /health/ready` | | [`ProbeReport`]: 200, or 503 if not ready |
//! | `GET /keys/top` | [`TopKeysQuery`] | [`TopKeysReport`] |
//! | `GET /entry` | [`EntryQuery`] | [`EntryReport`] |
//! | `GET /routes` | | [`RoutesReport`] |
//! | `GET /events` | | `text/event-stream` of [`EventReport`]: the name of each is its `event` |
//! | `GET /openapi.json` | | the OpenAPI document |
//! | `POST /clear` | [`ClearQuery`] | [`ClearReport`] |
//! | `POST /invalidate` | [`InvalidateRequest`] | [`InvalidateReport`] |
//! | `POST /version/bump` | [`BumpQuery`] | [`BumpReport`] |
//!
//! Whatever is refused is answered with a [`Problem`]. Every POST has to say
//! `Content-Type: application/json`, also where it has no body.

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

/// In one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum HealthStatus {
    /// All works.
    Ok,
    /// Requests are answered, but not all of the cache works.
    Degraded,
    /// Caching is switched off.
    Off,
}

/// What works right now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct HealthReport {
    /// In one word.
    pub status: HealthStatus,
    /// What `/health/ready` says.
    pub ready: bool,
    /// In detail; for operators.
    pub details: Option<HealthDetails>,
}

/// What a probe is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProbeReport {
    /// In one word.
    pub status: ProbeStatus,
}

/// What a probe is told, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProbeStatus {
    /// The process answers.
    Live,
    /// So does the store, and nothing waits for it.
    Ready,
    /// It does not, or something does.
    NotReady,
}

/// What works right now, in detail.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[allow(clippy::struct_excessive_bools, reason = "each says something else")]
pub struct HealthDetails {
    /// `memory` when there is no store, else the store's name.
    pub store: String,
    /// Whether the store answered. Always true without a store.
    pub reachable: bool,
    /// How long its answer took.
    pub latency_us: Option<u64>,
    /// Why it did not answer.
    pub fault: Option<String>,
    /// Whether the store is asked; `null` without a store.
    pub breaker: Option<BreakerState>,
    /// How true this process' memory is to the store.
    pub coherence: Coherence,
    /// Entries in this process' memory.
    pub l1_entries: u64,
    /// What they weigh.
    pub l1_bytes: u64,
    /// Tasks in the background, such as writes to the store.
    pub background_tasks: u64,
    /// Keys that reads and fills in flight are about to put into memory.
    pub in_flight: u64,
    /// Scopes whose generation is known here.
    pub scopes: u64,
    /// Invalidations that the store is still to be told of.
    pub queued_invalidations: u64,
    /// Since when the oldest of them waits.
    pub queued_at: Option<u64>,
    /// Removals that would be repeated if the store turned out to have forgotten them.
    pub journal: u64,
    /// Whether there were so many that everything would be invalidated instead.
    pub journal_overflowed: bool,
    /// How often the store turned out to be another than before.
    pub store_changes: u64,
    /// When it last did.
    pub store_changed_at: Option<u64>,
    /// Whether nothing is read from the store for now, because of such a change.
    pub reads_held: bool,
    /// Whether caching is switched on.
    pub enabled: bool,
}

/// How true this process' memory is to the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Coherence {
    /// How changes are learnt of: `memory`, `tracking`, `pubsub` or `ttl`.
    pub mode: String,
    /// Whether it is proven that no change was missed.
    pub proven: bool,
    /// Since when without a gap.
    pub proven_at: Option<u64>,
    /// Why nothing is proven, or why there is no better mode.
    pub fault: Option<String>,
    /// Within how many milliseconds a change is usually known.
    pub typical_ms: u64,
    /// For how many milliseconds a change may at most stay unnoticed.
    pub bound_ms: u64,
}

/// `?limit=&namespace=`
#[derive(Debug, Clone, Default, Deserialize, IntoParams, ToSchema)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct TopKeysQuery {
    /// How many at most: 1 to 100. Default: 20.
    #[param(minimum = 1, maximum = 100)]
    pub limit: Option<u16>,
    /// Of one namespace only.
    pub namespace: Option<String>,
}

/// The keys that were read most often, by a sample of the hits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TopKeysReport {
    /// One of so many hits was looked at.
    pub one_of: u64,
    /// How many were looked at.
    pub sampled: u64,
    /// The most read first.
    pub keys: Vec<TopKey>,
}

/// A key that is read often.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TopKey {
    /// The namespace it is in.
    pub namespace: String,
    /// The key in the store, as `/entry` takes it. In a sensitive namespace what stands for it.
    pub key: String,
    /// The workspace it names.
    pub workspace: Option<String>,
    /// About how many hits it had.
    pub hits: u64,
    /// By how many that may be too high.
    pub hits_error: u64,
}

/// `?key=`
#[derive(Debug, Clone, Deserialize, IntoParams, ToSchema)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct EntryQuery {
    /// The whole key in the store (`{prefix}:{namespace}:v{version}:{key}`), as `/keys/top` and
    /// `redis-cli --scan` show it.
    #[param(example = "coldcopy:users:v1:42")]
    pub key: String,
}

/// What is known of one entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[allow(clippy::struct_excessive_bools, reason = "each says something else")]
pub struct EntryReport {
    /// The key in the store.
    pub key: String,
    /// The namespace it is in.
    pub namespace: String,
    /// The workspace it names.
    pub workspace: Option<String>,
    /// Whether it is in this process' memory.
    pub in_memory: bool,
    /// Whether it is in the store; `null` where there is none, or it is away.
    pub in_store: Option<bool>,
    /// When it was made.
    pub created_at: u64,
    /// Until when it is fresh; `null`: it does not expire.
    pub fresh_until: Option<u64>,
    /// Until when it may be served stale; `null`: it does not expire.
    pub stale_until: Option<u64>,
    /// Whether it is fresh now.
    pub fresh: bool,
    /// Whether the generations of all its scopes are current: else it is not served.
    pub valid: bool,
    /// How many scopes it is under.
    pub scopes: u64,
    /// What it was tagged with.
    pub tags: Vec<TagReport>,
    /// Bytes of the value, as it was given or, where it is known, as it is packed in the store.
    pub size_bytes: u64,
    /// `msgpack`, `json`, ..
    pub format: String,
    /// Version of the value's shape; `null`: it was found in memory only.
    pub schema: Option<u32>,
    /// Whether it is compressed in the store; `null`: it is not known to be there.
    pub compressed: Option<bool>,
    /// Whether it is encrypted in the store; `null`: it is not known to be there.
    pub encrypted: Option<bool>,
    /// Whether the namespace is sensitive: its values are shown to nobody.
    pub sensitive: bool,
    /// The value, where bodies are allowed and the namespace is not sensitive; of a response its
    /// body.
    pub body: Option<EntryBody>,
    /// The head of a stored response, where bodies are allowed.
    pub response: Option<ResponseReport>,
}

/// The head of a stored response.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ResponseReport {
    /// Its status.
    pub status: u16,
    /// Its header fields, in no order.
    pub headers: Vec<HeaderReport>,
}

/// A header field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HeaderReport {
    /// Its name, in small letters.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// A tag of an entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TagReport {
    /// Its text.
    pub text: String,
    /// The workspace whose tag it is; `null`: it is global, or of a family of its own.
    pub workspace: Option<String>,
    /// The family it belongs to, if it is one of the application's own.
    pub family: Option<String>,
}

/// A stored value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EntryBody {
    /// How the text is to be read.
    pub encoding: BodyEncoding,
    /// The beginning of the value.
    pub text: String,
    /// Whether there is more of it.
    pub truncated: bool,
}

/// How a stored value is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum BodyEncoding {
    /// A value as JSON.
    Json,
    /// As it is.
    Utf8,
    /// Two digits for each byte.
    Hex,
}

/// `?namespace=` or `?all=true`.
#[derive(Debug, Clone, Default, Deserialize, IntoParams, ToSchema)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ClearQuery {
    /// Which namespace.
    pub namespace: Option<String>,
    /// True: everything under the cache's prefix. To be said, so that nobody does it by leaving
    /// something out.
    pub all: Option<bool>,
}

/// What became of a clear.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ClearReport {
    /// Which namespace; `null`: all.
    pub namespace: Option<String>,
    /// How many entries were removed. Entries that were made meanwhile don't count.
    pub removed: u64,
}

/// `?namespace=`
#[derive(Debug, Clone, Deserialize, IntoParams, ToSchema)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct BumpQuery {
    /// Which namespace.
    pub namespace: String,
}

/// What became of a bump.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BumpReport {
    /// Which namespace.
    pub namespace: String,
    /// The version that its keys have from now on.
    pub version: u32,
}

/// What to invalidate: everything that is named here, together.
///
/// `namespace` says where `keys` and `patterns` are; named alone, it is itself what is
/// invalidated. A workspace-scoped caller may name its own workspace, and keys and patterns whose
/// first segment is it.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct InvalidateRequest {
    /// Of keys and patterns; default: that of the response cache, and for patterns also those that its
    /// layers and routes have of their own. Alone: the whole namespace.
    pub namespace: Option<String>,
    /// Single keys, split at `:` into segments: `user:42`. (Of the application's own values;
    /// responses have a digest in their keys: take a pattern.)
    #[schema(max_items = 100)]
    pub keys: Vec<String>,
    /// Globs over keys: `ws1:campaigns:*`.
    #[schema(max_items = 100)]
    pub patterns: Vec<String>,
    /// Tags: the global ones, or those of a workspace (see `tags_in`).
    #[schema(max_items = 100)]
    pub tags: Vec<String>,
    /// The workspace whose tags they are; of a workspace-scoped caller always its own.
    pub tags_in: Option<String>,
    /// All of a workspace, in every namespace.
    pub workspace: Option<String>,
    /// What it is about becomes stale rather than invalid.
    pub soft: bool,
    /// Only tell what it would be about.
    pub dry_run: bool,
}

/// What became of an invalidation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum InvalidateOutcome {
    /// Done everywhere.
    Complete,
    /// Done in this process; elsewhere once the store is back.
    Queued,
    /// Nothing was done.
    DryRun,
}

/// What became of an invalidation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct InvalidateReport {
    /// How far it has got.
    pub outcome: InvalidateOutcome,
    /// Whether softly.
    pub soft: bool,
    /// What it was about.
    pub scopes: Vec<ScopeReport>,
    /// How long it took.
    pub took_us: u64,
}

/// One scope of an invalidation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ScopeReport {
    /// Which sort.
    pub kind: ScopeKind,
    /// Its name.
    pub name: String,
    /// Where it is, if it is a key or a pattern.
    pub namespace: Option<String>,
    /// How many entries it is about, in a dry run; `null` elsewhere, and where the store is away.
    pub entries: Option<u64>,
    /// Whether there may be more: counting ended at its limit, or can't see all.
    pub at_least: bool,
}

/// Sorts of scopes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ScopeKind {
    /// One entry.
    Key,
    /// What a glob matches.
    Pattern,
    /// What has a tag.
    Tag,
    /// A tenant.
    Workspace,
    /// A namespace.
    Namespace,
}

/// What is sent by `/events`: `event:` is its name, `data:` is this. Somebody of a workspace is sent
/// what is about that and nothing else.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum EventReport {
    /// Something was invalidated, deleted or swept by this process.
    Invalidated {
        /// When it ended.
        at: u64,
        /// What; the first of them.
        scopes: Vec<EventScope>,
        /// How many more there were.
        more: u64,
        /// `complete`, `queued` (done here, elsewhere later), `failed` (refused by the store) or
        /// `stopped` (a sweep, half way).
        outcome: String,
        /// Whether it was asked for softly.
        soft: bool,
        /// How many entries were removed, where they were counted.
        removed: Option<u64>,
        /// How long it took.
        took_us: u64,
    },
    /// A namespace has a new version.
    VersionBumped {
        /// When.
        at: u64,
        /// Which namespace.
        namespace: String,
        /// The version that its keys have now.
        version: u32,
    },
    /// The store turned out to be away, or is back.
    Breaker {
        /// When.
        at: u64,
        /// What it is now.
        state: BreakerState,
        /// Why it is open.
        reason: Option<String>,
    },
    /// What the response cache did with a request: one of a sample.
    Decision {
        /// When.
        at: u64,
        /// The namespace that holds the responses.
        namespace: String,
        /// What answered: `l1` (this process' memory), `l2` (the store), `origin` or `none`.
        layer: String,
        /// In the words of `Cache-Status`: `hit`, `fwd=uri-miss; stored`, ..
        decision: String,
        /// What else there is to say: why nothing was stored, ..
        detail: Option<String>,
        /// The workspace of the request.
        workspace: Option<String>,
        /// How many were not told since the last one that was, of all workspaces; 0 for somebody of
        /// a workspace.
        left_out: u64,
    },
    /// So many were lost, since this listener is slower than what happens.
    Missed {
        /// How many.
        count: u64,
    },
}

/// One thing that was invalidated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EventScope {
    /// `everything`, `namespace`, `workspace`, `tag`, `pattern` or `key`.
    pub kind: String,
    /// The namespace it belongs to.
    pub namespace: Option<String>,
    /// The workspace it belongs to, where that is known.
    pub workspace: Option<String>,
    /// Its name: a key as it stands in the store, a glob, the text of a tag, ..
    pub text: String,
}

/// The rules by which routes are cached.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RoutesReport {
    /// In the order in which they were given.
    pub rules: Vec<RouteReport>,
}

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RouteReport {
    /// The path as it was given: `/campaigns/{id}`.
    pub route: String,
    /// Whether it says that nothing is cached.
    pub never: bool,
    /// How many requests matched it. Zero: perhaps a typo.
    pub matched: u64,
}

/// A refusal (RFC 9457), `application/problem+json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// Always `about:blank`: the status says it.
    #[serde(rename = "type")]
    pub kind: String,
    /// The status in words.
    pub title: String,
    /// The status.
    pub status: u16,
    /// What was wrong with this request.
    pub detail: String,
}
