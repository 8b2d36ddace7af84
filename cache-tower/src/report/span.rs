//! The span around the call of the service inside: what happens there is part of a request that the
//! cache has let through. A hit calls nothing, and has no span.
//!
//! ```text
//! DEBUG cache{cache="cache-tower" namespace="api_responses" fwd="uri-miss"}: shop: reading 42 rows
//! ```
//!
//! When it is known, the span is told what came of it: `decision`, `detail` and the `status` of the
//! origin, as in the event of the request.

use http::{Request, StatusCode};
use tower::Service;
use tower::util::Oneshot;
use tracing::field::{Empty, display};
use tracing::instrument::{Instrument, Instrumented};

use crate::report::passed::Passed;
use crate::report::status::Decision;
use crate::report::tally::Tally;
use crate::report::trace::Words;

impl Tally {
    /// Calls the service inside, within the span of this request. While nobody listens to spans that
    /// costs two loads.
    pub(crate) fn call<S, B>(
        &self,
        inner: S,
        request: Request<B>,
    ) -> Instrumented<Oneshot<S, Request<B>>>
    where
        S: Service<Request<B>>,
    {
        let fwd = Passed::of(request.extensions()).and_then(Passed::forwarded);
        let span = tracing::debug_span!(
            target: "cache_tower",
            "cache",
            cache = %self.shared().name,
            namespace = self.shared().values.name(),
            fwd,
            decision = Empty,
            detail = Empty,
            status = Empty,
        );
        let span = self.span.get_or_init(|| span).clone();
        Oneshot::new(inner, request).instrument(span)
    }

    /// Says in the span what came of the request.
    pub(super) fn record(&self, decision: Decision, origin_s: Option<StatusCode>) {
        let Some(span) = self.span.get().filter(|span| !span.is_disabled()) else { return };
        span.record("decision", display(Words(decision)));
        if let Some(detail) = decision.detail() {
            span.record("detail", detail);
        }
        if let Some(status) = origin_s {
            span.record("status", status.as_u16());
        }
    }
}
