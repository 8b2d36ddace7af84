//! `Cache-Control`, parsed once into typed directives (RFC 9111 §5.2).
//!
//! A freshness directive whose value can't be read counts as 0: a cache "is encouraged to consider
//! responses that have invalid freshness information to be stale" (RFC 9111 §4.2.1). Of several
//! values the strictest counts, which satisfies that section's rule for duplicates too.
//!
//! ```text
//! let directives = ResponseDirectives::from_headers(&headers);   // max-age=60, private="x-user"
//! assert_eq!(directives.max_age, Some(60));
//! assert_eq!(directives.private, FieldForm::Fields(vec![HeaderName::from_static("x-user")]));
//! ```

use http::header::{CACHE_CONTROL, PRAGMA};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::field::members;
use super::syntax::{Argument, Directive, directives};

/// A directive that may name header fields: `no-cache` and `private` (RFC 9111 §5.2.2.4, §5.2.2.7).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum FieldForm {
    /// Not given.
    #[default]
    Absent,
    /// Given without fields, or with a list that can't be read: it holds for the whole response.
    All,
    /// Given for these fields only; never empty.
    Fields(Vec<HeaderName>),
}

impl FieldForm {
    fn of(argument: Argument<'_>) -> Self {
        let Some(list) = argument.value() else { return Self::All };
        let list: Vec<u8> = list.collect();
        Self::of_list(&list)
    }

    /// Of the list of names that is the directive's argument.
    pub(super) fn of_list(list: &[u8]) -> Self {
        let names = list.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
        let names: Result<Vec<_>, _> =
            names.filter(|name| !name.is_empty()).map(HeaderName::from_bytes).collect();
        match names {
            Ok(names) if !names.is_empty() => Self::Fields(names),
            _ => Self::All,
        }
    }

    fn join(&mut self, other: Self) {
        match (&mut *self, other) {
            (Self::All, _) => {}
            (Self::Fields(mine), Self::Fields(theirs)) => mine.extend(theirs),
            (_, other) => *self = other,
        }
    }
}

/// How stale a response a client would accept (RFC 9111 §5.2.1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MaxStale {
    /// However stale it is.
    Any,
    /// Stale for no more than this many seconds.
    Within(u32),
}

/// The directives of a request (RFC 9111 §5.2.1); durations in seconds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RequestDirectives {
    /// Don't answer from the cache without asking the origin (§5.2.1.4).
    pub(crate) no_cache: bool,
    /// Don't store anything of this exchange (§5.2.1.5).
    pub(crate) no_store: bool,
    /// Answer from the cache or with 504 (§5.2.1.7).
    pub(crate) only_if_cached: bool,
    /// The greatest age the client accepts (§5.2.1.1); 0 when it can't be read.
    pub(crate) max_age: Option<u32>,
    /// The staleness the client accepts (§5.2.1.2); ignored when it can't be read.
    pub(crate) max_stale: Option<MaxStale>,
    /// For how long the response must stay fresh (§5.2.1.3); ignored when it can't be read.
    pub(crate) min_fresh: Option<u32>,
    /// The staleness accepted when the origin fails (RFC 5861 §4); ignored when it can't be read.
    pub(crate) stale_if_error: Option<u32>,
}

impl RequestDirectives {
    /// Whether there is anything to parse. A hit asks this first, and mostly need not parse at all.
    pub(crate) fn is_present(headers: &HeaderMap) -> bool {
        headers.contains_key(CACHE_CONTROL) || headers.contains_key(PRAGMA)
    }

    /// Parses all `Cache-Control` lines of a request; allocates nothing.
    pub(crate) fn parse(headers: &HeaderMap) -> Self {
        let mut found = Self::default();
        for Directive { name, argument } in directives(headers.get_all(CACHE_CONTROL)) {
            let seconds = argument.seconds();
            if name.eq_ignore_ascii_case(b"no-cache") {
                found.no_cache = true;
            } else if name.eq_ignore_ascii_case(b"no-store") {
                found.no_store = true;
            } else if name.eq_ignore_ascii_case(b"only-if-cached") {
                found.only_if_cached = true;
            } else if name.eq_ignore_ascii_case(b"max-age") {
                lower(&mut found.max_age, seconds.unwrap_or(0));
            } else if name.eq_ignore_ascii_case(b"min-fresh") {
                found.min_fresh = found.min_fresh.max(seconds);
            } else if name.eq_ignore_ascii_case(b"stale-if-error") {
                if let Some(seconds) = seconds {
                    lower(&mut found.stale_if_error, seconds);
                }
            } else if name.eq_ignore_ascii_case(b"max-stale") {
                found.max_stale = match (found.max_stale, argument, seconds) {
                    (None, Argument::None, _) => Some(MaxStale::Any),
                    (Some(MaxStale::Within(old)), _, Some(new)) => {
                        Some(MaxStale::Within(old.min(new)))
                    }
                    (_, _, Some(new)) => Some(MaxStale::Within(new)),
                    (old, _, None) => old,
                };
            }
        }
        // RFC 9111 §5.4: Pragma counts only where there is no Cache-Control at all.
        if !headers.contains_key(CACHE_CONTROL) {
            found.no_cache =
                members(headers, &PRAGMA).any(|member| member.eq_ignore_ascii_case(b"no-cache"));
        }
        found
    }
}

/// The directives of a response (RFC 9111 §5.2.2); durations in seconds, 0 when they can't be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a directive of its own in the RFC")]
pub(crate) struct ResponseDirectives {
    /// Freshness lifetime in any cache (§5.2.2.1).
    pub(crate) max_age: Option<u32>,
    /// Freshness lifetime in a shared cache; comes before `max_age` (§5.2.2.10).
    pub(crate) s_maxage: Option<u32>,
    /// How long it may be served stale while it is refreshed (RFC 5861 §3).
    pub(crate) stale_while_revalidate: Option<u32>,
    /// How long it may be served stale when the origin fails (RFC 5861 §4).
    pub(crate) stale_if_error: Option<u32>,
    /// Not to be used without validation (§5.2.2.4).
    pub(crate) no_cache: FieldForm,
    /// Not for shared caches (§5.2.2.7).
    pub(crate) private: FieldForm,
    /// Not to be stored (§5.2.2.5).
    pub(crate) no_store: bool,
    /// To be stored though it would otherwise not be (§5.2.2.9).
    pub(crate) public: bool,
    /// Never to be used stale (§5.2.2.2).
    pub(crate) must_revalidate: bool,
    /// Never to be used stale by a shared cache (§5.2.2.8).
    pub(crate) proxy_revalidate: bool,
    /// Only to be stored by a cache that knows the status code (§5.2.2.3).
    pub(crate) must_understand: bool,
    /// Does not change while it is fresh (RFC 8246).
    pub(crate) immutable: bool,
    /// They come from a targeted field, so `Expires` doesn't count (RFC 9213 §2.2).
    pub(crate) targeted: bool,
}

impl ResponseDirectives {
    /// Whether a shared cache must never use the response stale. `s-maxage` implies
    /// `proxy-revalidate` (RFC 9111 §5.2.2.10).
    pub(crate) fn forbid_stale(&self) -> bool {
        self.must_revalidate || self.proxy_revalidate || self.s_maxage.is_some()
    }

    /// Parses the `Cache-Control` of a response.
    pub(crate) fn from_headers(headers: &HeaderMap) -> Self {
        Self::parse(headers.get_all(CACHE_CONTROL))
    }

    /// Parses the lines of one field that is written like `Cache-Control`.
    pub(crate) fn parse<'a>(values: impl IntoIterator<Item = &'a HeaderValue>) -> Self {
        let mut found = Self::default();
        for Directive { name, argument } in directives(values) {
            let seconds = argument.seconds().unwrap_or(0);
            match name.to_ascii_lowercase().as_slice() {
                b"max-age" => lower(&mut found.max_age, seconds),
                b"s-maxage" => lower(&mut found.s_maxage, seconds),
                b"stale-while-revalidate" => lower(&mut found.stale_while_revalidate, seconds),
                b"stale-if-error" => lower(&mut found.stale_if_error, seconds),
                b"no-cache" => found.no_cache.join(FieldForm::of(argument)),
                b"private" => found.private.join(FieldForm::of(argument)),
                b"no-store" => found.no_store = true,
                b"public" => found.public = true,
                b"must-revalidate" => found.must_revalidate = true,
                b"proxy-revalidate" => found.proxy_revalidate = true,
                b"must-understand" => found.must_understand = true,
                b"immutable" => found.immutable = true,
                _ => {}
            }
        }
        found
    }
}

/// Of several values the smallest counts (RFC 9111 §4.2.1 leaves the first one or "stale").
fn lower(slot: &mut Option<u32>, seconds: u32) {
    *slot = Some(slot.map_or(seconds, |old| old.min(seconds)));
}

#[cfg(test)]
mod tests;
