//! What the service inside may know of how it came to be called.

use std::fmt;
use std::sync::Arc;

use http::{Extensions, HeaderMap};

use crate::config::Shared;
use crate::flow::nested::Mark;
use crate::policy::BypassReason;
use crate::report::status::Decision;
use crate::report::tally::Tally;
use crate::request::partition::{Resolved, WorkspaceError};
use crate::routes::table::Table;

/// Travels with a request that a cache has let through.
pub(crate) struct Passed {
    shared: Arc<Shared>,
    decision: Decision,
    in_background: bool,
}

impl Passed {
    pub(crate) fn new(tally: &Tally, decision: Decision) -> Self {
        let shared = Arc::clone(tally.shared());
        Self { shared, decision, in_background: tally.is_silent() }
    }

    /// By the innermost cache that the request has come through.
    pub(crate) fn of(extensions: &Extensions) -> Option<&Self> {
        Mark::passed(extensions)
    }

    /// Whether the cache around this one goes by the same table.
    pub(crate) fn is_by_table(extensions: &Extensions, table: &Arc<Table>) -> bool {
        let of = Self::of(extensions).and_then(|passed| passed.shared.table.as_ref());
        of.is_some_and(|of| Arc::ptr_eq(of, table))
    }

    pub(crate) fn forwarded(&self) -> Option<&'static str> {
        self.decision.forwarded()
    }

    /// The workspace that the cache has found, by its rule.
    pub(crate) fn workspace<'r>(
        &self,
        headers: &'r HeaderMap,
        extensions: &'r Extensions,
    ) -> Result<Resolved<'r>, WorkspaceError> {
        self.shared.workspace.find(headers, extensions)
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.shared
    }
}

impl fmt::Debug for Passed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Passed").field("decision", &self.decision).finish_non_exhaustive()
    }
}

/// What the cache around a handler has done with its request until it called the handler: why it is
/// called. What becomes of the response, the handler's client is told in `Cache-Status`.
///
/// A handler is called only for what is not a hit; so there is no status for hits, and finding it out
/// costs them nothing.
///
/// ```
/// use cache_tower::CacheStatus;
/// use http::Request;
///
/// fn handler(request: Request<()>) {
///     match CacheStatus::of(request.extensions()).forwarded() {
///         Some("uri-miss") => { /* nothing is stored for this URI */ }
///         Some("stale") => { /* what is stored has to be refreshed, or confirmed */ }
///         Some(_) => { /* others: RFC 9211 §2.2 */ }
///         None => { /* there is no cache around */ }
///     }
/// }
/// # handler(Request::new(()));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheStatus {
    forwarded: Option<&'static str>,
    bypass: Option<&'static str>,
    skipped: bool,
    in_background: bool,
}

impl CacheStatus {
    /// Of the request with these extensions: by the innermost cache that it has come through.
    pub fn of(extensions: &Extensions) -> Self {
        let Some(passed) = Passed::of(extensions) else { return Self::default() };
        let bypass = match passed.decision {
            Decision::Bypass(reason) => Some(reason),
            _ => None,
        };
        Self {
            forwarded: passed.forwarded(),
            bypass: bypass.map(BypassReason::as_str),
            skipped: bypass == Some(BypassReason::SkipRequested),
            in_background: passed.in_background,
        }
    }

    /// Why the request was forwarded, in the words of RFC 9211 §2.2: `uri-miss`, `vary-miss`, `miss`,
    /// `request`, `stale`, `partial`, `method`, `bypass`. `None`: there is no cache around.
    pub fn forwarded(self) -> Option<&'static str> {
        self.forwarded
    }

    /// Why the request went past the cache, as `detail` of `Cache-Status` has it: `no-store`,
    /// `workspace`, `credentials`, .. `None`: it was looked up.
    pub fn bypass(self) -> Option<&'static str> {
        self.bypass
    }

    /// Whether the client has asked to [skip the cache](crate::SkipRule), and may.
    pub fn is_skipped(self) -> bool {
        self.skipped
    }

    /// Whether no client waits: what is stale is refreshed in the background.
    pub fn is_in_background(self) -> bool {
        self.in_background
    }
}
