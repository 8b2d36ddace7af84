//! Which requests the cache may serve (RFC 9111 §3, §4; guarantee 8 of the design).
//!
//! Runs before every lookup: one pass over the headers, no allocation.
//!
//! ```text
//! match admit(&Method::GET, &headers, false) {
//!     Admission::Lookup | Admission::LookupHead => look_up(),
//!     Admission::Unsafe => forward_then_invalidate(),
//!     Admission::Bypass(reason) => forward(reason.as_str()),
//! }
//! ```

use http::header::HOST;
use http::{HeaderMap, HeaderName, HeaderValue, Method};

use super::syntax::directives;

reasons! {
    /// Why a request goes to the origin past the cache. Where several hold, the first is named.
    BypassReason {
        /// A safe method whose responses are not stored.
        Method => "method",
        /// The request has a body.
        RequestBody => "request-body",
        /// `If-Match` or `If-Unmodified-Since`: meant for the origin (RFC 9111 §4.3.2).
        Precondition => "precondition",
        /// A field that replaces the path or the method.
        Override => "override",
        /// The connection is to change protocols (RFC 9110 §7.8).
        Upgrade => "upgrade",
        /// `Cache-Control: no-store` in the request (RFC 9111 §5.2.1.5).
        NoStore => "no-store",
        /// The workspace is required and absent, or can't be read.
        Workspace => "workspace",
        /// The request has credentials, and what is stored may not be given to such requests.
        Credentials => "credentials",
        /// The query has parameters that are not part of the key.
        UnkeyedQuery => "unkeyed-query",
        /// A QUERY with `Range`: only the origin cuts what it is answered.
        QueryRange => "query-range",
        /// A QUERY whose body is of a type that the cache was not told how to read.
        QueryType => "query-body-type",
        /// A QUERY whose body is over the limit.
        QueryTooLarge => "query-too-large",
        /// A QUERY whose body failed.
        QueryFailed => "query-body-failed",
        /// A QUERY whose body ended with trailers.
        QueryTrailers => "query-trailers",
        /// A function of the application said so.
        Skipped => "skip-cache",
        /// The application has said that this route is never cached.
        Never => "never",
        /// An inner cache answers on this route.
        InnerCache => "inner-cache",
        /// The cache is switched off.
        Disabled => "disabled",
    }
}

impl BypassReason {
    /// Whether it is for what a GET or HEAD is like that it goes past a cache which would answer
    /// others of its kind.
    pub(crate) fn is_of_the_request(self) -> bool {
        !matches!(
            self,
            Self::Method | Self::Upgrade | Self::Never | Self::InnerCache | Self::Disabled
        )
    }
}

/// What the cache does with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    /// GET: look it up, store what comes.
    Lookup,
    /// HEAD: look up the stored GET; store nothing.
    LookupHead,
    /// A method that may change state: forward, then invalidate (RFC 9111 §4.4).
    Unsafe,
    /// Forward it; neither look up, nor store, nor invalidate.
    Bypass(BypassReason),
}

/// What was decided, and what was seen on the way: one pass over the headers serves for all that
/// follows, since most requests have none of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Admitted {
    /// What the cache does with the request.
    pub(crate) admission: Admission,
    /// Which kinds of headers it has.
    pub(crate) seen: Seen,
}

/// Which kinds of headers a request has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "each is one fact about the headers")]
pub(crate) struct Seen {
    /// `Cache-Control` or `Pragma`.
    pub(crate) directives: bool,
    /// `If-None-Match` or `If-Modified-Since`.
    pub(crate) conditions: bool,
    /// `Range`.
    pub(crate) range: bool,
    /// `Authorization` or `Cookie`.
    pub(crate) credentials: bool,
    /// Fields that handlers reflect, so that they are part of the key; or more than one `Host`.
    pub(crate) reflected: bool,
}

/// Decides what to do with a request. `has_body` is what the body itself says (its size hint isn't
/// exactly 0), beside what the headers do.
pub(crate) fn admit(method: &Method, headers: &HeaderMap, has_body: bool) -> Admitted {
    decide(method, headers, has_body, true)
}

/// As [`admit`], for a cache that ignores what clients ask of caches (`Cache-Control`, `Pragma`).
pub(crate) fn admit_regardless(method: &Method, headers: &HeaderMap, has_body: bool) -> Admitted {
    decide(method, headers, has_body, false)
}

fn decide(method: &Method, headers: &HeaderMap, has_body: bool, heeds: bool) -> Admitted {
    let counts = |reason| heeds || reason != BypassReason::NoStore;
    let (reason, mut seen) = see(headers, counts);
    let reason = reason.into_iter().chain(has_body.then_some(BypassReason::RequestBody)).min();
    seen.directives &= heeds;
    Admitted { admission: by_method(method, reason), seen }
}

/// As [`admit`], for a QUERY whose content is part of the key (RFC 10008 §2.7), so that it may have
/// some; `heeds`: what its directives say counts.
pub(crate) fn admit_query(headers: &HeaderMap, heeds: bool) -> Admitted {
    let counts = |reason| match reason {
        BypassReason::RequestBody => false,
        BypassReason::NoStore => heeds,
        _ => true,
    };
    let (reason, mut seen) = see(headers, counts);
    // RFC 10008 §2.8: a range is one of the result. Only the origin cuts it.
    let reason = reason.into_iter().chain(seen.range.then_some(BypassReason::QueryRange)).min();
    seen.directives &= heeds;
    Admitted { admission: reason.map_or(Admission::Lookup, Admission::Bypass), seen }
}

/// One pass over the headers: the first reason among those that count, and what there is.
fn see(headers: &HeaderMap, counts: impl Fn(BypassReason) -> bool) -> (Option<BypassReason>, Seen) {
    let mut seen = Seen::default();
    let mut hosts = 0;
    let reasons = headers.iter().filter_map(|(name, value)| {
        hosts += usize::from(*name == HOST);
        seen.note(name);
        objection(name, value).filter(|reason| counts(*reason))
    });
    let reason = reasons.min();
    seen.reflected |= hosts > 1;
    (reason, seen)
}

/// Whether it is the method of RFC 10008; methods are case-sensitive (RFC 9110 §9.1).
pub(crate) fn is_query(method: &Method) -> bool {
    method.as_str() == "QUERY"
}

fn by_method(method: &Method, reason: Option<BypassReason>) -> Admission {
    let lookup = match method.as_str() {
        "GET" => Admission::Lookup,
        "HEAD" => Admission::LookupHead,
        _ if is_safe(method) => return Admission::Bypass(BypassReason::Method),
        // RFC 9111 §4.4: unknown methods count as unsafe.
        _ => return Admission::Unsafe,
    };
    reason.map_or(lookup, Admission::Bypass)
}

/// Safe by the method registry (RFC 9110 §9.2.1, §16.1.1): nothing to invalidate.
pub(crate) fn is_safe(method: &Method) -> bool {
    method.is_safe() || matches!(method.as_str(), "PROPFIND" | "QUERY" | "REPORT" | "SEARCH")
}

impl Seen {
    fn note(&mut self, name: &HeaderName) {
        match name.as_str() {
            "cache-control" | "pragma" => self.directives = true,
            "if-none-match" | "if-modified-since" => self.conditions = true,
            "range" => self.range = true,
            "authorization" | "cookie" => self.credentials = true,
            "forwarded" | "x-forwarded-host" | "x-forwarded-proto" | "x-forwarded-port"
            | "x-forwarded-prefix" | "x-forwarded-scheme" => self.reflected = true,
            _ => {}
        }
    }
}

/// What one header line has against the cache.
pub(super) fn objection(name: &HeaderName, line: &HeaderValue) -> Option<BypassReason> {
    let value = line.as_bytes();
    match name.as_str() {
        "content-length" => {
            let empty = !value.is_empty() && value.iter().all(|digit| *digit == b'0');
            (!empty).then_some(BypassReason::RequestBody)
        }
        "transfer-encoding" => Some(BypassReason::RequestBody),
        "if-match" | "if-unmodified-since" => Some(BypassReason::Precondition),
        // With these some frameworks let a client replace the path or the method. The key can't
        // know what the origin makes of them.
        "x-original-url"
        | "x-rewrite-url"
        | "x-http-method-override"
        | "x-http-method"
        | "x-method-override" => Some(BypassReason::Override),
        "upgrade" => Some(BypassReason::Upgrade),
        "connection" => value
            .split(|byte| *byte == b',')
            .any(|option| option.trim_ascii().eq_ignore_ascii_case(b"upgrade"))
            .then_some(BypassReason::Upgrade),
        "cache-control" => directives([line])
            .any(|directive| directive.name.eq_ignore_ascii_case(b"no-store"))
            .then_some(BypassReason::NoStore),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
