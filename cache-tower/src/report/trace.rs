//! What the cache did with each request, for whoever listens: one event of `tracing` with the words
//! of `Cache-Status`, when the request is counted.
//!
//! ```text
//! DEBUG cache_tower: decision="fwd=uri-miss" detail="no-store" counted="misses" status=200 namespace="api_responses"
//! ```

use std::fmt;

use http::StatusCode;

use crate::config::Shared;
use crate::report::status::Decision;
use crate::report::told::Params;

impl Shared {
    /// Tells of a request. While nobody listens it costs one load, since the macro asks for its
    /// fields only then.
    pub(super) fn trace(&self, decision: Decision, origin_s: Option<StatusCode>) {
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
