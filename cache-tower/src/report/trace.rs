//! What the cache did with each request, for whoever listens: one event of `tracing` with the words
//! of `Cache-Status`, when the request is counted.
//!
//! ```text
//! DEBUG cache_tower: decision="fwd=uri-miss" detail="no-store" counted="misses" status=200 namespace="api_responses"
//! ```

use std::fmt;

use cache_core::{EntryKey, Event, Read, Slot};
use http::StatusCode;

use crate::config::Shared;
use crate::report::status::Decision;
use crate::report::told::Params;

impl Shared {
    /// Tells of a request. While nobody listens it costs two loads, since its fields are asked for
    /// only then.
    pub(super) fn trace(
        &self,
        decision: Decision,
        origin_s: Option<StatusCode>,
        source: Source<'_>,
    ) {
        self.values.cache().tell_sampled(|at, left_out| Event::Decision {
            at,
            namespace: self.values.name().unwrap_or_default().to_owned(),
            layer: source.layer(decision).to_owned(),
            decision: Words(decision).to_string(),
            detail: decision.detail().map(str::to_owned),
            workspace: source.workspace(),
            left_out,
        });
        // Neither URI nor key, which may hold what is nobody else's business.
        tracing::debug!(
            target: "cache_tower",
            decision = %Words(decision),
            detail = decision.detail(),
            counted = decision.counted(),
            status = origin_s.map(|status| status.as_u16()),
            namespace = self.values.name(),
        );
    }
}

/// What a request was answered from, and whose it is, as far as that is known.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Source<'s> {
    /// Of a hit.
    pub(super) read: Option<Read>,
    pub(super) slot: Option<&'s Slot>,
    pub(super) key: Option<&'s EntryKey>,
}

impl<'s> Source<'s> {
    /// An entry that was found in this process' memory, or in the store.
    pub(crate) fn found(read: Read, slot: &'s Slot) -> Self {
        Self { read: Some(read), slot: Some(slot), key: None }
    }

    fn layer(self, decision: Decision) -> &'static str {
        match (self.read.filter(|_| decision.is_hit()), decision) {
            (Some(Read::L1Hit), _) => "l1",
            (Some(_), _) => "l2",
            (None, Decision::OnlyIfCached | Decision::Unanswered) => "none",
            (None, _) => "origin",
        }
    }

    fn workspace(self) -> Option<String> {
        let of_slot = self.slot.and_then(Slot::workspace_name);
        of_slot.or_else(|| self.key.and_then(EntryKey::workspace_name))
    }
}

/// A decision in the words of `Cache-Status`, without its detail.
struct Words(Decision);

impl fmt::Display for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.forwarded() {
            Some(why) => write!(f, "fwd={why}")?,
            None if self.0.is_hit() => f.write_str("hit")?,
            // There is no response that could say more.
            None => f.write_str("unanswered")?,
        }
        self.0.also().map_or(Ok(()), |also| write!(f, "; {also}"))
    }
}

impl Decision {
    /// The counter of [`HttpStats`](crate::HttpStats) that it goes into.
    fn counted(self) -> &'static str {
        match self {
            _ if self.is_hit() => "hits",
            _ if self.is_miss() => "misses",
            _ => "bypasses",
        }
    }

    /// What the origin has answered, if it was asked and did; `status`: of the response that the
    /// client is given.
    pub(super) fn origin_s(self, params: Params<'_>, status: StatusCode) -> Option<StatusCode> {
        match self {
            Self::Validated(_) => Some(StatusCode::NOT_MODIFIED),
            // What the client gets is not from now.
            Self::StaleOnError(_) => params.fwd_status,
            _ => self.forwarded().and(params.fwd_status.or(Some(status))),
        }
    }
}
