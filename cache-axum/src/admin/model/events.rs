//! What happens, rules of routes, and refusals.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::BreakerState;

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
