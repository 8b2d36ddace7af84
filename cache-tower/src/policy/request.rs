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
        !matches!(self, Self::Method | Self::Upgrade | Self::InnerCache | Self::Disabled)
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
mod tests {
    use http::header::{CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, RANGE};
    use proptest::prelude::*;

    use super::BypassReason as Reason;
    use super::*;

    fn admit(method: &Method, headers: &HeaderMap, has_body: bool) -> Admission {
        super::admit(method, headers, has_body).admission
    }

    #[test]
    fn directives_of_requests_may_be_ignored() {
        let cases: &[(Lines<'_>, Admission)] = &[
            (&[("cache-control", "no-store")], Admission::Lookup),
            (&[("cache-control", "no-cache"), ("pragma", "no-cache")], Admission::Lookup),
            (&[("cache-control", "no-store"), ("range", "x")], Admission::Lookup),
            (&[("range", "x"), ("cache-control", "no-store")], Admission::Lookup),
        ];
        for (lines, expected) in cases {
            let found = admit_regardless(&Method::GET, &headers(lines), false);
            assert_eq!(found.admission, *expected, "{lines:?}");
            assert!(!found.seen.directives, "{lines:?}");
        }
    }

    #[test]
    fn a_query_may_have_content() {
        let cases: &[(Lines<'_>, Admission)] = &[
            (&[], Admission::Lookup),
            (&[("content-length", "9"), ("content-type", "a/b")], Admission::Lookup),
            (&[("transfer-encoding", "chunked")], Admission::Lookup),
            (&[("if-none-match", "\"a\"")], Admission::Lookup),
            (&[("range", "bytes=0-1")], Admission::Bypass(Reason::QueryRange)),
            (&[("if-match", "*")], Admission::Bypass(Reason::Precondition)),
            (&[("x-http-method", "POST")], Admission::Bypass(Reason::Override)),
            (&[("range", "x"), ("cache-control", "no-store")], Admission::Bypass(Reason::NoStore)),
        ];
        for (lines, expected) in cases {
            assert_eq!(admit_query(&headers(lines), true).admission, *expected, "{lines:?}");
        }
        let no_store = headers(&[("cache-control", "no-store")]);
        let regardless = admit_query(&no_store, false);
        assert_eq!(regardless.admission, Admission::Lookup);
        assert!(!regardless.seen.directives && admit_query(&no_store, true).seen.directives);
        let [query, other] = ["QUERY", "Query"].map(|name| name.parse::<Method>().unwrap());
        assert!(is_query(&query) && !is_query(&other) && !is_query(&Method::GET));
    }

    #[test]
    fn what_is_seen_is_told() {
        let none = headers(&[("accept", "*/*"), ("host", "a")]);
        assert_eq!(super::admit(&Method::GET, &none, false).seen, Seen::default());
        for (name, expected) in [
            ("cache-control", Seen { directives: true, ..Seen::default() }),
            ("pragma", Seen { directives: true, ..Seen::default() }),
            ("if-none-match", Seen { conditions: true, ..Seen::default() }),
            ("if-modified-since", Seen { conditions: true, ..Seen::default() }),
            ("range", Seen { range: true, ..Seen::default() }),
            ("if-range", Seen::default()),
            ("authorization", Seen { credentials: true, ..Seen::default() }),
            ("cookie", Seen { credentials: true, ..Seen::default() }),
            ("x-forwarded-host", Seen { reflected: true, ..Seen::default() }),
            ("x-forwarded-proto", Seen { reflected: true, ..Seen::default() }),
            ("x-forwarded-port", Seen { reflected: true, ..Seen::default() }),
            ("x-forwarded-prefix", Seen { reflected: true, ..Seen::default() }),
            ("x-forwarded-scheme", Seen { reflected: true, ..Seen::default() }),
            ("forwarded", Seen { reflected: true, ..Seen::default() }),
            ("x-forwarded-for", Seen::default()),
        ] {
            let headers = headers(&[("accept", "*/*"), (name, "x")]);
            assert_eq!(super::admit(&Method::GET, &headers, false).seen, expected, "{name}");
        }
        // Of two hosts a handler may reflect either.
        let two_hosts = headers(&[("host", "a"), ("host", "b")]);
        let expected = Seen { reflected: true, ..Seen::default() };
        assert_eq!(super::admit(&Method::GET, &two_hosts, false).seen, expected);
    }

    /// Header lines: name and value.
    type Lines<'a> = &'a [(&'a str, &'a str)];

    fn headers(lines: Lines<'_>) -> HeaderMap {
        lines
            .iter()
            .map(|(name, value)| {
                (HeaderName::try_from(*name).unwrap(), HeaderValue::try_from(*value).unwrap())
            })
            .collect()
    }

    #[test]
    fn by_method() {
        let cases = [
            ("GET", Admission::Lookup),
            ("HEAD", Admission::LookupHead),
            ("OPTIONS", Admission::Bypass(Reason::Method)),
            ("TRACE", Admission::Bypass(Reason::Method)),
            ("PROPFIND", Admission::Bypass(Reason::Method)),
            ("QUERY", Admission::Bypass(Reason::Method)),
            ("REPORT", Admission::Bypass(Reason::Method)),
            ("SEARCH", Admission::Bypass(Reason::Method)),
            ("POST", Admission::Unsafe),
            ("PUT", Admission::Unsafe),
            ("PATCH", Admission::Unsafe),
            ("DELETE", Admission::Unsafe),
            ("CONNECT", Admission::Unsafe),
            ("PURGE", Admission::Unsafe),
            ("M-SEARCH", Admission::Unsafe),
            // Methods are case-sensitive (RFC 9110 §9.1).
            ("get", Admission::Unsafe),
        ];
        for (method, expected) in cases {
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            assert_eq!(admit(&method, &HeaderMap::new(), false), expected, "{method}");
            // Nothing in the headers makes an unsafe method safe.
            let overridden = headers(&[("x-http-method-override", "GET"), ("range", "bytes=0-")]);
            if expected == Admission::Unsafe {
                assert_eq!(admit(&method, &overridden, true), Admission::Unsafe, "{method}");
            }
        }
    }

    #[test]
    fn what_goes_past_for_reasons_of_its_own() {
        for reason in [
            Reason::RequestBody,
            Reason::Precondition,
            Reason::Override,
            Reason::NoStore,
            Reason::Workspace,
            Reason::Credentials,
            Reason::UnkeyedQuery,
            Reason::Skipped,
        ] {
            assert!(reason.is_of_the_request(), "{reason:?}");
        }
        for reason in [Reason::Method, Reason::Upgrade, Reason::InnerCache, Reason::Disabled] {
            assert!(!reason.is_of_the_request(), "{reason:?}");
        }
    }

    #[test]
    fn by_header() {
        let cases: &[(Lines<'_>, Option<Reason>)] = &[
            (&[], None),
            (&[("accept", "*/*"), ("x-request-id", "1"), ("cookie", "a=b")], None),
            (&[("if-none-match", "\"a\""), ("if-modified-since", "x")], None),
            (&[("content-length", "0")], None),
            (&[("content-length", "00")], None),
            (&[("content-length", "1")], Some(Reason::RequestBody)),
            (&[("content-length", "")], Some(Reason::RequestBody)),
            (&[("content-length", "-0")], Some(Reason::RequestBody)),
            (&[("content-length", "0"), ("content-length", "5")], Some(Reason::RequestBody)),
            (&[("transfer-encoding", "chunked")], Some(Reason::RequestBody)),
            (&[("range", "bytes=0-1"), ("if-range", "x")], None),
            (&[("if-match", "*")], Some(Reason::Precondition)),
            (&[("if-unmodified-since", "x")], Some(Reason::Precondition)),
            (&[("x-original-url", "/admin")], Some(Reason::Override)),
            (&[("X-Rewrite-URL", "/admin")], Some(Reason::Override)),
            (&[("x-http-method-override", "PUT")], Some(Reason::Override)),
            (&[("x-http-method", "PUT")], Some(Reason::Override)),
            (&[("x-method-override", "PUT")], Some(Reason::Override)),
            (&[("upgrade", "websocket")], Some(Reason::Upgrade)),
            (&[("connection", "keep-alive, Upgrade")], Some(Reason::Upgrade)),
            (&[("connection", "keep-alive")], None),
            (&[("cache-control", "No-Store")], Some(Reason::NoStore)),
            (&[("cache-control", "x=\"no-store\", max-age=0")], None),
            // The first reason of the enum, not of the request, is named.
            (&[("cache-control", "no-store"), ("if-match", "*")], Some(Reason::Precondition)),
            (&[("if-match", "*"), ("cache-control", "no-store")], Some(Reason::Precondition)),
        ];
        for (lines, expected) in cases {
            let headers = headers(lines);
            let (get, head) = match expected {
                Some(reason) => (Admission::Bypass(*reason), Admission::Bypass(*reason)),
                None => (Admission::Lookup, Admission::LookupHead),
            };
            assert_eq!(admit(&Method::GET, &headers, false), get, "{lines:?}");
            assert_eq!(admit(&Method::HEAD, &headers, false), head, "{lines:?}");
        }
        let body = admit(&Method::GET, &HeaderMap::new(), true);
        assert_eq!(body, Admission::Bypass(Reason::RequestBody));
    }

    proptest! {
        #[test]
        fn no_value_panics(name in 0..4_usize, bytes in proptest::collection::vec(any::<u8>(), 0..48)) {
            let names = [CONTENT_LENGTH, CONNECTION, CACHE_CONTROL, RANGE];
            if let Ok(value) = HeaderValue::from_bytes(&bytes) {
                admit(&Method::GET, &HeaderMap::from_iter([(names[name].clone(), value)]), false);
            }
        }
    }
}
