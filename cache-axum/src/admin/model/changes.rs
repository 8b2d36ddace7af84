//! What changes something.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

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
