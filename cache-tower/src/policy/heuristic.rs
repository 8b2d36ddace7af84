//! A lifetime for responses that have none of their own (RFC 9111 §4.2.2).
//!
//! ```text
//! let heuristic = Heuristic { max: 86_400_000 };
//! // Last-Modified ten days before Date: fresh for a day.
//! let freshness = heuristic.apply(freshness, status, &headers, &directives, exchange);
//! ```

use http::header::{LAST_MODIFIED, PRAGMA};
use http::{HeaderMap, StatusCode};

use super::assigned::is_risky_error;
use super::field::{date, members};
use super::freshness::origin_date;
use super::{Exchange, Freshness, FreshnessSource, Millis, ResponseDirectives};

/// The rule: a tenth of the time for which a response has not changed, but no more than `max`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Heuristic {
    /// The longest lifetime.
    pub(crate) max: Millis,
}

/// RFC 9111 §4.2.2: "a typical setting of this fraction might be 10%".
const FRACTION: Millis = 10;

impl Heuristic {
    /// The freshness of a response; what has some already, keeps it.
    pub(crate) fn apply(
        self,
        freshness: Freshness,
        status: StatusCode,
        headers: &HeaderMap,
        directives: &ResponseDirectives,
        exchange: Exchange,
    ) -> Freshness {
        // RFC 9111 §4.2.2: never where the response has an explicit expiration time.
        if freshness.source != FreshnessSource::None
            || !may_guess(status, directives)
            || asks_for_validation(headers)
        {
            return freshness;
        }
        let mut lines = headers.get_all(LAST_MODIFIED).iter();
        let (Some(modified), None) = (lines.next().and_then(date), lines.next()) else {
            return freshness;
        };
        let unchanged = origin_date(headers, exchange).saturating_sub(modified);
        let lifetime = (unchanged / FRACTION).min(self.max);
        Freshness { lifetime, source: FreshnessSource::Heuristic, ..freshness }
    }
}

/// RFC 9111 §4.2.2: heuristically cacheable by its status, or marked as cacheable.
fn may_guess(status: StatusCode, directives: &ResponseDirectives) -> bool {
    directives.public || (is_heuristically_cacheable(status) && !is_risky_error(status))
}

/// RFC 9110 §15.1.
fn is_heuristically_cacheable(status: StatusCode) -> bool {
    matches!(status.as_u16(), 200 | 203 | 204 | 206 | 300 | 301 | 308 | 404 | 405 | 410 | 414 | 501)
}

/// RFC 9111 §5.4 gives `Pragma` no meaning in responses; those who send it mean one thing by it.
fn asks_for_validation(headers: &HeaderMap) -> bool {
    members(headers, &PRAGMA).any(|member| member.eq_ignore_ascii_case(b"no-cache"))
}

#[cfg(test)]
mod tests;
