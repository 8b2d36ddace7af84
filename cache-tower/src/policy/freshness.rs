//! How long a response is fresh, and how old it already is (RFC 9111 §4.2).
//!
//! ```text
//! let freshness = Freshness::of(&headers, &directives, exchange, None);   // max-age=60, Age: 20
//! assert_eq!((freshness.lifetime, freshness.initial_age), (60_000, 20_000));
//! assert_eq!(current_age(20_000, received, received + 5_000), 25_000);
//! ```

use http::HeaderMap;
use http::header::{AGE, DATE, EXPIRES};

use super::field::{date, delta_seconds, members};
use super::{Millis, ResponseDirectives, millis};

/// When the origin was asked and when its response head came, by the clock of this cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Exchange {
    /// `request_time` of RFC 9111 §4.2.3.
    pub(crate) request_sent: Millis,
    /// `response_time` of RFC 9111 §4.2.3.
    pub(crate) response_received: Millis,
}

/// Where a freshness lifetime comes from, in order of precedence (RFC 9111 §4.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FreshnessSource {
    /// The handler, beside the response.
    Told,
    /// `Cache-Control: s-maxage`.
    SMaxage,
    /// `Cache-Control: max-age`.
    MaxAge,
    /// `Expires` less `Date`.
    Expires,
    /// A TTL of ours, for a response that says nothing itself.
    Assigned,
    /// The time since its last modification ([`super::Heuristic`]).
    Heuristic,
    /// Nothing.
    None,
}

/// Lifetime and age of a response at the moment it was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Freshness {
    /// The age at which it becomes stale (RFC 9111 §4.2.1).
    pub(crate) lifetime: Millis,
    /// `corrected_initial_age` (RFC 9111 §4.2.3).
    pub(crate) initial_age: Millis,
    /// What the lifetime comes from.
    pub(crate) source: FreshnessSource,
}

impl Freshness {
    /// Computes both from a response's headers. `assigned` is the TTL for a response that has no
    /// explicit freshness, counted from its reception, however long the origin took.
    pub(crate) fn of(
        headers: &HeaderMap,
        directives: &ResponseDirectives,
        exchange: Exchange,
        assigned: Option<Millis>,
    ) -> Self {
        let date = origin_date(headers, exchange);
        let initial_age = initial_age(headers, date, exchange);
        // RFC 9111 §4.2.1: the first match wins.
        let (lifetime, source) = if let Some(seconds) = directives.s_maxage {
            (millis(seconds), FreshnessSource::SMaxage)
        } else if let Some(seconds) = directives.max_age {
            (millis(seconds), FreshnessSource::MaxAge)
        // RFC 9213 §2.2: where a targeted field counts, Expires does not.
        } else if headers.contains_key(EXPIRES) && !directives.targeted {
            (expires(headers).saturating_sub(date), FreshnessSource::Expires)
        } else if let Some(ttl) = assigned {
            (initial_age.saturating_add(ttl), FreshnessSource::Assigned)
        } else {
            (0, FreshnessSource::None)
        };
        Self { lifetime, initial_age, source }
    }

    /// The same, but fresh for as long as the handler says, counted from reception.
    pub(crate) fn told(self, ttl: Millis) -> Self {
        let lifetime = self.initial_age.saturating_add(ttl);
        Self { lifetime, source: FreshnessSource::Told, ..self }
    }

    /// The same, but stale no later than `max` after reception.
    pub(crate) fn at_most(self, max: Millis) -> Self {
        Self { lifetime: self.lifetime.min(self.initial_age.saturating_add(max)), ..self }
    }

    /// For how long after its reception the response is fresh; 0: it never is.
    pub(crate) fn remaining(&self) -> Millis {
        self.lifetime.saturating_sub(self.initial_age)
    }
}

/// When the response was made. RFC 9110 §6.6.1: without a Date (or with none that can be read), at
/// its reception.
pub(super) fn origin_date(headers: &HeaderMap, exchange: Exchange) -> Millis {
    headers.get(DATE).and_then(date).unwrap_or(exchange.response_received)
}

/// `current_age` (RFC 9111 §4.2.3): the age at `now` of what was `initial_age` old when `received`.
/// A clock that went back makes nothing younger than it came.
pub(crate) fn current_age(initial_age: Millis, received: Millis, now: Millis) -> Millis {
    initial_age.saturating_add(now.saturating_sub(received))
}

/// `corrected_initial_age` (RFC 9111 §4.2.3).
fn initial_age(headers: &HeaderMap, date: Millis, exchange: Exchange) -> Millis {
    let apparent_age = exchange.response_received.saturating_sub(date);
    let response_delay = exchange.response_received.saturating_sub(exchange.request_sent);
    // RFC 9111 §5.1: of a list the first member counts, and what isn't a number isn't there.
    let age_value = members(headers, &AGE)
        .next()
        .and_then(|age| delta_seconds(age.iter().copied()))
        .map_or(0, millis);
    apparent_age.max(age_value.saturating_add(response_delay))
}

/// `Expires` in unix milliseconds; 0, the past, where it is invalid (RFC 9111 §5.3) or says
/// several things (§4.2.1).
fn expires(headers: &HeaderMap) -> Millis {
    let mut lines = headers.get_all(EXPIRES).iter();
    let first = lines.next();
    first.filter(|first| lines.all(|line| line == first)).and_then(date).unwrap_or(0)
}

#[cfg(test)]
mod tests;
