use http::header::{CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, RANGE};
use proptest::prelude::*;

use super::BypassReason as Reason;
use super::*;
use crate::policy::tests::{Lines, headers};

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
    for reason in
        [Reason::Method, Reason::Upgrade, Reason::Never, Reason::InnerCache, Reason::Disabled]
    {
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
