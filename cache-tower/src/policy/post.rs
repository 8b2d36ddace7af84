//! What the response to a POST is to later GETs (RFC 9110 §9.3.3): where the application wants it,
//! one that says that it is what a GET of the same URI would bring is stored as if a GET had.
//!
//! ```text
//! match post_tells(base, status, &headers, &targets, exchange) {
//!     PostTells::Representation => store_if_storable(),
//!     PostTells::NotFresh => note(NoStore::NoFreshness),
//!     PostTells::Nothing => {}
//! }
//! ```

use http::header::CONTENT_LOCATION;
use http::{HeaderMap, HeaderName, StatusCode};

use super::invalidate::resolve;
use super::request::objection;
use super::{
    Base, BypassReason, Exchange, Freshness, Reuse, StoredFreshness, applicable, is_conditional,
    reuse,
};

/// What the response to a POST says of the resource that was the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PostTells {
    /// It is what a GET would bring from now on, and for how long.
    Representation,
    /// It is what a GET would bring, but it does not say that it may be used as it is.
    NotFresh,
    /// Nothing: it is about what the request did.
    Nothing,
}

/// Whether what answers a POST with these header fields may be for others as well: a GET with them
/// would be one for the cache. Its body makes no difference: that the response does not depend on
/// it is what its head has to say.
pub(crate) fn is_post_for_all(headers: &HeaderMap) -> bool {
    // Whether `no-store` counts is for `storable` to say.
    let is_none =
        |reason| matches!(reason, None | Some(BypassReason::RequestBody | BypassReason::NoStore));
    // RFC 9110 §13.1: conditions make a POST depend on what its client has.
    !is_conditional(headers) && headers.iter().all(|(name, line)| is_none(objection(name, line)))
}

/// Reads the head of a response to a POST. Stricter than RFC 9110 §9.3.3, which names no status.
pub(crate) fn post_tells(
    base: Base<'_>,
    status: StatusCode,
    headers: &HeaderMap,
    targets: &[HeaderName],
    exchange: Exchange,
) -> PostTells {
    // As the response to a GET, 201 or 303 would be no answer; an error says nothing of the target.
    if status != StatusCode::OK || !is_located_at(base, headers) {
        return PostTells::Nothing;
    }
    // RFC 9110 §9.3.3: explicit freshness. A TTL of ours and heuristics don't count.
    let directives = applicable(headers, targets);
    let freshness = Freshness::of(headers, &directives, exchange, None);
    let received = exchange.response_received;
    let stored = StoredFreshness::new(freshness, &directives, received);
    match reuse(None, &stored, received) {
        Reuse::Use { .. } => PostTells::Representation,
        Reuse::UseStale { .. } | Reuse::Fetch(_) => PostTells::NotFresh,
    }
}

/// RFC 9110 §9.3.3: `Content-Location` has the same value as the target URI. One that is there
/// twice says two things, one that is empty says nothing.
fn is_located_at(base: Base<'_>, headers: &HeaderMap) -> bool {
    let mut lines = headers.get_all(CONTENT_LOCATION).iter();
    let (Some(line), None) = (lines.next(), lines.next()) else { return false };
    // RFC 9110 §8.7: it has no fragment.
    !line.is_empty()
        && !line.as_bytes().contains(&b'#')
        && resolve(base, line).as_deref() == Some(base.path_and_query)
}

#[cfg(test)]
mod tests;
