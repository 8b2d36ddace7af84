//! Whether what is no longer fresh may still be used (RFC 9111 §4.2.4, RFC 5861).
//!
//! ```text
//! if while_revalidate(request, &stored, now) { serve(stored); refresh_in_background(); }
//! if origin_failed && on_error(request, &stored, Failure::Answered, now) { serve(stored) }
//! ```

use super::directives::MaxStale;
use super::{FieldForm, Freshness, FreshnessSource, Millis, RequestDirectives, ResponseDirectives};
use super::{StoredFreshness, millis};

/// How the origin failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// It answered with an error (500, 502, 503 or 504: RFC 5861 §4).
    Answered,
    /// It could not be reached, or gave no response: the cache is disconnected (RFC 9111 §4.2.4).
    Disconnected,
}

/// Whether a stale response may be used while it is refreshed (RFC 5861 §3).
pub(crate) fn while_revalidate(
    request: Option<&RequestDirectives>,
    stored: &StoredFreshness,
    now: Millis,
) -> bool {
    !stored.forbids_stale()
        && stored.staleness(now) < stored.while_revalidate
        && !request.is_some_and(wants_fresh)
}

/// Whether the client takes the response as stale as it is (RFC 9111 §5.2.1.2).
pub(crate) fn within_max_stale(
    request: &RequestDirectives,
    stored: &StoredFreshness,
    now: Millis,
) -> bool {
    let accepted = match request.max_stale {
        None => return false,
        Some(MaxStale::Any) => Millis::MAX,
        Some(MaxStale::Within(seconds)) => millis(seconds),
    };
    // RFC 9111 §5.2.1.1: max-age bounds the age all the same.
    let young = request.max_age.is_none_or(|max_age| stored.age(now) <= millis(max_age));
    !stored.forbids_stale() && !request.no_cache && young && stored.staleness(now) <= accepted
}

/// Whether a stale response may be used because the origin has failed.
pub(crate) fn on_error(
    request: Option<&RequestDirectives>,
    stored: &StoredFreshness,
    failure: Failure,
    now: Millis,
) -> bool {
    if stored.forbids_stale() || request.is_some_and(|request| request.no_cache) {
        return false;
    }
    let staleness = stored.staleness(now);
    // RFC 5861 §4: either side may allow it.
    let asked = request.and_then(|request| request.stale_if_error).map_or(0, millis);
    if staleness < stored.if_error.max(asked) {
        return true;
    }
    failure == Failure::Disconnected && !request.is_some_and(wants_fresh)
}

/// RFC 9111 §5.2.1.1, §5.2.1.3, §5.2.1.4: who says one of these takes nothing stale.
fn wants_fresh(request: &RequestDirectives) -> bool {
    request.no_cache || request.max_age.is_some() || request.min_fresh.is_some()
}

/// Whether a response can be of use at all: fresh for a while, or to be validated, or stale where
/// that is allowed. Nothing is kept of which its origin has not said anything.
pub(crate) fn is_of_use(
    freshness: &Freshness,
    directives: &ResponseDirectives,
    has_validator: bool,
) -> bool {
    let always_validate = directives.no_cache == FieldForm::All;
    if freshness.remaining() > 0 && !always_validate {
        return true;
    }
    let explicit = freshness.source != FreshnessSource::None || always_validate;
    let windows = [directives.stale_while_revalidate, directives.stale_if_error];
    let served_stale = !always_validate
        && !directives.forbid_stale()
        && windows.into_iter().flatten().any(|seconds| seconds > 0);
    explicit && (has_validator || served_stale)
}

/// For how long a response is kept when it is no longer fresh. `keep` is for those that can be
/// validated; those that can't are kept for when the origin is away, for about as long as they were
/// fresh.
pub(crate) fn kept_stale(
    freshness: &Freshness,
    stored: &StoredFreshness,
    has_validator: bool,
    keep: Millis,
) -> Millis {
    let served = if stored.forbids_stale() {
        0
    } else {
        let windows = stored.while_revalidate.max(stored.if_error);
        windows.max(freshness.remaining().max(SHORT).min(keep))
    };
    if has_validator { served.max(keep) } else { served }
}

/// Kept for less than that, it is hardly ever there when the origin is not.
const SHORT: Millis = 10_000;

#[cfg(test)]
mod tests;
