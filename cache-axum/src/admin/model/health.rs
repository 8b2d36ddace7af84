//! How the cache is.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::BreakerState;

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
    /// What the store refuses, and what the cache does without it.
    pub missing_abilities: Vec<MissingAbility>,
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

/// Something that the store refuses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MissingAbility {
    /// What it refuses: `scripts`, `transactions`, `tracking`, `publishing`, `server_time`,
    /// `identity` or `lengthening`.
    pub ability: String,
    /// What is done instead, and what that costs.
    pub instead: String,
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
