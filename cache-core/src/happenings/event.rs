//! What is told. Pure.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::clock::Millis;

/// Something that has happened in a cache. As JSON it has its name in `event`:
/// `{"event":"breaker","at":1764518400000,"state":"open","reason":".."}`.
///
/// Keys and patterns of sensitive namespaces are hashed, as in their audit. Others are as they are:
/// events are for those who operate a cache, or, [as far as it is theirs](Self::is_of_workspace),
/// for a tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event {
    /// Something was invalidated, deleted or swept by this process.
    Invalidated {
        /// When it ended, in unix milliseconds.
        at: Millis,
        /// What: so many of them are named that an event stays small.
        scopes: Vec<EventScope>,
        /// How many more there were.
        more: usize,
        /// What came of it.
        outcome: InvalidationOutcome,
        /// Whether it was asked for softly.
        soft: bool,
        /// How many entries were removed, where they were counted (by a sweep).
        removed: Option<u64>,
        /// How long it took, in microseconds.
        took_us: u64,
    },
    /// A namespace has a new version: all its entries of before are left behind.
    VersionBumped {
        /// When, in unix milliseconds.
        at: Millis,
        /// Which namespace.
        namespace: String,
        /// The version that its keys have now.
        version: u32,
    },
    /// The store turned out to be away, is tried, or is back. While it is away, it is tried about
    /// once in a second, and each try is told of.
    Breaker {
        /// When, in unix milliseconds.
        at: Millis,
        /// What it is now.
        state: BreakerState,
        /// Why it is open. Without secrets.
        reason: Option<String>,
    },
    /// What a response cache did with a request: one of a sample, [`SAMPLED_PER_SECOND`] at most.
    ///
    /// [`SAMPLED_PER_SECOND`]: crate::SAMPLED_PER_SECOND
    Decision {
        /// When, in unix milliseconds.
        at: Millis,
        /// The namespace that holds the responses.
        namespace: String,
        /// What answered: `l1` (this process' memory), `l2` (the store) or `origin`; `none`, where
        /// nothing did.
        layer: String,
        /// The words of `Cache-Status`: `hit`, `fwd=uri-miss; stored`, ..
        decision: String,
        /// What else there is to say: why nothing was stored, ..
        detail: Option<String>,
        /// The workspace, if the request has one and a key was made of it.
        workspace: Option<String>,
        /// How many were not told since the last one that was.
        left_out: u64,
    },
    /// Whoever listens was slower than what happened: so many events are lost to it.
    Missed {
        /// How many.
        count: u64,
    },
}

/// What became of an invalidation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum InvalidationOutcome {
    /// Done everywhere.
    Complete,
    /// Done in this process; elsewhere once the store has been told.
    Queued,
    /// Refused by the store.
    Failed,
    /// A sweep that was stopped half way.
    Stopped,
}

/// Whether the store is asked at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BreakerState {
    /// It is.
    Closed,
    /// It is away, and nobody waits for it.
    Open,
    /// It was away, and one probe asks whether it is back. Nobody else does.
    HalfOpen,
}

/// One thing that was invalidated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct EventScope {
    /// What kind of thing.
    pub kind: ScopeKind,
    /// The namespace that it belongs to, if it is one.
    pub namespace: Option<String>,
    /// The workspace that it belongs to, where it is known to belong to one.
    pub workspace: Option<String>,
    /// Its name: a key as it stands in the store, a glob, the text of a tag, ..
    pub text: String,
}

/// What can be invalidated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ScopeKind {
    /// All that is under the cache's prefix.
    Everything,
    /// A namespace.
    Namespace,
    /// A workspace.
    Workspace,
    /// A tag.
    Tag,
    /// What a pattern matches.
    Pattern,
    /// One entry.
    Key,
}

impl Event {
    /// When it happened, in unix milliseconds; `None`: it is not about a moment.
    pub fn at(&self) -> Option<Millis> {
        match self {
            Self::Invalidated { at, .. }
            | Self::VersionBumped { at, .. }
            | Self::Breaker { at, .. }
            | Self::Decision { at, .. } => Some(*at),
            Self::Missed { .. } => None,
        }
    }

    /// Its name, as in JSON.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Invalidated { .. } => "invalidated",
            Self::VersionBumped { .. } => "version_bumped",
            Self::Breaker { .. } => "breaker",
            Self::Decision { .. } => "decision",
            Self::Missed { .. } => "missed",
        }
    }

    /// Whether it is about this workspace and nothing else: what a tenant may see.
    pub fn is_of_workspace(&self, workspace: &str) -> bool {
        match self {
            Self::Invalidated { scopes, more, .. } => {
                let is_ours = |scope: &EventScope| scope.workspace.as_deref() == Some(workspace);
                *more == 0 && !scopes.is_empty() && scopes.iter().all(is_ours)
            }
            Self::Decision { workspace: of, .. } => of.as_deref() == Some(workspace),
            Self::VersionBumped { .. } | Self::Breaker { .. } | Self::Missed { .. } => false,
        }
    }
}

impl ScopeKind {
    /// As in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Everything => "everything",
            Self::Namespace => "namespace",
            Self::Workspace => "workspace",
            Self::Tag => "tag",
            Self::Pattern => "pattern",
            Self::Key => "key",
        }
    }
}

impl InvalidationOutcome {
    /// As in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Queued => "queued",
            Self::Failed => "failed",
            Self::Stopped => "stopped",
        }
    }
}

impl BreakerState {
    /// As in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
        }
    }
}

/// `tag user:123`, `pattern old_* of users`.
impl fmt::Display for EventScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.as_str())?;
        if !self.text.is_empty() {
            write!(f, " {}", self.text)?;
        }
        match (&self.namespace, self.kind) {
            (Some(namespace), ScopeKind::Pattern | ScopeKind::Key) => write!(f, " of {namespace}"),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(workspace: Option<&str>) -> EventScope {
        EventScope {
            kind: ScopeKind::Tag,
            namespace: None,
            workspace: workspace.map(str::to_owned),
            text: "t".to_owned(),
        }
    }

    fn invalidated(scopes: Vec<EventScope>, more: usize) -> Event {
        let outcome = InvalidationOutcome::Complete;
        Event::Invalidated { at: 1, scopes, more, outcome, soft: false, removed: None, took_us: 2 }
    }

    #[test]
    fn a_tenant_sees_only_what_is_all_its_own() {
        let ours = || scope(Some("ws1"));
        assert!(invalidated(vec![ours(), ours()], 0).is_of_workspace("ws1"));
        for event in [
            invalidated(vec![ours()], 1),
            invalidated(vec![ours(), scope(Some("ws2"))], 0),
            invalidated(vec![ours(), scope(None)], 0),
            invalidated(vec![], 0),
            Event::Breaker { at: 1, state: BreakerState::Open, reason: None },
            Event::Missed { count: 1 },
        ] {
            assert!(!event.is_of_workspace("ws1"), "{event:?}");
        }
    }

    #[test]
    fn as_json_each_has_its_name() {
        let event = invalidated(vec![scope(Some("ws1"))], 0);
        let json = serde_json::to_value(&event).unwrap();
        assert_eq!(json["event"], event.name());
        assert_eq!(
            (&json["outcome"], &json["scopes"][0]["kind"]),
            (&"complete".into(), &"tag".into())
        );
        assert_eq!(serde_json::from_value::<Event>(json).unwrap(), event);
    }
}
