use http::HeaderValue;
use proptest::prelude::*;

use super::*;

const EXCHANGE: Exchange = Exchange { request_sent: 1_000_000, response_received: 1_000_000 };

/// Header lines: name and value.
type Lines<'a> = &'a [(&'a str, &'a str)];

fn header_map(lines: Lines<'_>) -> HeaderMap {
    lines
        .iter()
        .map(|(name, value)| {
            (HeaderName::try_from(*name).unwrap(), HeaderValue::try_from(*value).unwrap())
        })
        .collect()
}

/// One exchange: a GET answered with 200 unless said otherwise.
struct Case<'a> {
    method: Method,
    request: Lines<'a>,
    status: u16,
    response: Lines<'a>,
    rules: StoreRules,
}

impl Default for Case<'_> {
    fn default() -> Self {
        let rules = StoreRules::default();
        Self { method: Method::GET, request: &[], status: 200, response: &[], rules }
    }
}

impl Case<'_> {
    fn decide(&self) -> Result<Storable, NoStore> {
        let headers = header_map(self.request);
        let facts = RequestFacts { method: &self.method, headers: &headers };
        let status = StatusCode::from_u16(self.status).unwrap();
        storable(facts, status, &header_map(self.response), &self.rules, EXCHANGE)
    }

    /// "stored", or the name of the refusal.
    fn outcome(&self) -> &'static str {
        self.decide().map_or_else(NoStore::as_str, |_| "stored")
    }
}

fn assigned(ttl: Millis) -> StoreRules {
    let assigned = Assigned { ttl: Some(ttl), ..Assigned::default() };
    StoreRules { assigned, ..StoreRules::default() }
}

#[test]
fn by_response_headers() {
    let cases: &[(Lines<'_>, &str)] = &[
        (&[("cache-control", "max-age=60")], "stored"),
        (&[("cache-control", "s-maxage=60, max-age=0")], "stored"),
        (&[("expires", "Fri, 01 Jan 2100 00:00:00 GMT")], "stored"),
        (&[("cache-control", "max-age=60, unknown")], "stored"),
        (&[("cache-control", "max-age=60"), ("age", "59")], "stored"),
        (&[("cache-control", "max-age=60"), ("age", "60")], "no-freshness"),
        (&[("cache-control", "max-age=0")], "no-freshness"),
        (&[("cache-control", "s-maxage=0, max-age=60")], "no-freshness"),
        (&[("cache-control", "max-age=x")], "no-freshness"),
        // What is stale at once may be validated.
        (&[("cache-control", "max-age=x"), ("etag", "\"a\"")], "stored"),
        (&[("cache-control", "no-cache"), ("etag", "\"a\"")], "stored"),
        (&[("expires", "0"), ("last-modified", "Sun, 06 Nov 1994 08:49:37 GMT")], "stored"),
        (&[("etag", "\"a\"")], "no-freshness"),
        (&[("expires", "0")], "no-freshness"),
        (&[("cache-control", "public")], "no-freshness"),
        (&[("last-modified", "Sun, 06 Nov 1994 08:49:37 GMT")], "no-freshness"),
        (&[], "no-freshness"),
        (&[("cache-control", "max-age=60, no-cache")], "no-freshness"),
        (&[("cache-control", "max-age=60, no-store")], "no-store"),
        (&[("cache-control", "max-age=60"), ("cache-control", "No-Store")], "no-store"),
        (&[("cache-control", "max-age=60, private")], "private"),
        (&[("cache-control", "max-age=60, public, private=\"\"")], "private"),
        (&[("cache-control", "max-age=60, private=\"x-user\"")], "stored"),
        (&[("cache-control", "max-age=60, private=\"vary\"")], "private"),
        (&[("cache-control", "max-age=60, private=\"x, content-encoding\"")], "private"),
        (&[("cache-control", "max-age=60, no-cache=\"vary\"")], "no-freshness"),
        (&[("cache-control", "max-age=60"), ("set-cookie", "a=b")], "set-cookie"),
        (&[("cache-control", "max-age=60, public"), ("set-cookie", "a=b")], "set-cookie"),
        (
            &[("cache-control", "max-age=60, no-cache=\"set-cookie\""), ("set-cookie", "a=b")],
            "set-cookie",
        ),
        (&[("cache-control", "max-age=60"), ("vary", "*")], "vary-any"),
        (&[("cache-control", "max-age=60"), ("vary", "accept, *")], "vary-any"),
        (&[("cache-control", "max-age=60"), ("vary", "a b")], "vary-any"),
        (&[("cache-control", "max-age=60"), ("vary", "accept")], "stored"),
        // Without a meaning here (RFC 9110 §14.4); it kept the response from being stored.
        (&[("cache-control", "max-age=60"), ("content-range", "bytes 0-1/2")], "stored"),
    ];
    for (response, expected) in cases {
        assert_eq!(Case { response, ..Case::default() }.outcome(), *expected, "{response:?}");
    }
}

#[test]
fn by_method_and_request_headers() {
    let response: &[_] = &[("cache-control", "max-age=60")];
    for method in [Method::HEAD, Method::POST, Method::OPTIONS] {
        assert_eq!(Case { method, response, ..Case::default() }.outcome(), "method");
    }
    let cases: &[(Lines<'_>, &str, &str)] = &[
        (&[("cache-control", "no-store")], "max-age=60", "request-no-store"),
        (&[("cache-control", "no-cache")], "max-age=60", "stored"),
        (&[("authorization", "x")], "max-age=60", "authorization"),
        (&[("authorization", "x")], "max-age=60, proxy-revalidate", "authorization"),
        (&[("authorization", "x")], "max-age=60, public", "stored"),
        (&[("authorization", "x")], "max-age=60, must-revalidate", "stored"),
        (&[("authorization", "x")], "s-maxage=60", "stored"),
        (&[("authorization", "")], "max-age=60", "authorization"),
        // The origin chose the lifetime, knowing that the client sends cookies.
        (&[("cookie", "a=b")], "max-age=60", "stored"),
    ];
    for (request, directives, expected) in cases {
        let response: &[_] = &[("cache-control", *directives)];
        let case = Case { request, response, ..Case::default() };
        assert_eq!(case.outcome(), *expected, "{request:?} {directives}");
    }
}

#[test]
fn the_directives_of_the_request_may_be_ignored() {
    let request: &[_] = &[("cache-control", "no-store")];
    let response: &[_] = &[("cache-control", "max-age=60")];
    let rules = StoreRules { ignore_request_directives: true, ..StoreRules::default() };
    assert_eq!(Case { request, response, rules, ..Case::default() }.outcome(), "stored");
}

#[test]
fn by_status_with_explicit_freshness() {
    let cases: &[(&[u16], &str)] = &[
        (&[200, 201, 203, 204, 299, 301, 302, 303, 307, 308], "stored"),
        (&[400, 401, 404, 410, 499, 500, 502, 503, 504, 599], "stored"),
        (&[206], "partial"),
        (&[304], "not-modified"),
        (&[100, 101, 103, 199, 600, 999], "status"),
    ];
    for (statuses, expected) in cases {
        for &status in *statuses {
            let response: &[_] = &[("cache-control", "max-age=60")];
            let case = Case { status, response, ..Case::default() };
            assert_eq!(case.outcome(), *expected, "{status}");
        }
    }
}

#[test]
fn to_a_range_only_the_whole() {
    let request: &[_] = &[("range", "bytes=0-1")];
    let response: &[_] = &[("cache-control", "max-age=60")];
    for status in [200, 206, 304, 404, 416, 301, 500] {
        let outcome = Case { request, status, response, ..Case::default() }.outcome();
        assert_eq!(outcome, if status == 200 { "stored" } else { "range" }, "{status}");
    }
    let response: &[_] = &[("cache-control", "max-age=60"), ("content-range", "bytes 0-1/2")];
    assert_eq!(Case { request, response, ..Case::default() }.outcome(), "range");
}

#[test]
fn must_understand() {
    let cases: &[(u16, &str, &str)] = &[
        (200, "max-age=60, must-understand, no-store", "stored"),
        (404, "max-age=60, must-understand", "stored"),
        (299, "max-age=60, must-understand", "unknown-status"),
        (299, "max-age=60, must-understand, no-store", "unknown-status"),
        (499, "max-age=60, must-understand", "unknown-status"),
        (599, "max-age=60, must-understand", "unknown-status"),
        (206, "max-age=60, must-understand", "partial"),
        (200, "max-age=60, must-understand, no-store, private", "private"),
    ];
    for (status, directives, expected) in cases {
        let response: &[_] = &[("cache-control", *directives)];
        let case = Case { status: *status, response, ..Case::default() };
        assert_eq!(case.outcome(), *expected, "{status} {directives}");
    }
    let known = [200..=205, 300..=303, 305..=305, 307..=308, 400..=417, 421..=422, 426..=426];
    for status in (200..600).filter(|status| *status != 304) {
        let expected =
            known.iter().any(|range| range.contains(&status)) || (500..=505).contains(&status);
        assert_eq!(is_understood(StatusCode::from_u16(status).unwrap()), expected, "{status}");
    }
}

#[test]
fn an_assigned_ttl_is_for_what_says_nothing_and_is_no_error() {
    let stored = [200, 203, 204, 300, 301, 308];
    for status in 200..600 {
        let outcome = Case { status, rules: assigned(5_000), ..Case::default() }.outcome();
        let expected = match status {
            206 => "partial",
            304 => "not-modified",
            _ if stored.contains(&status) => "stored",
            _ => "no-freshness",
        };
        assert_eq!(outcome, expected, "{status}");
    }
    let cases: &[(Lines<'_>, &str)] = &[
        (&[("cache-control", "max-age=0")], "no-freshness"),
        (&[("expires", "0")], "no-freshness"),
        (&[("cache-control", "no-cache")], "no-freshness"),
        (&[("cache-control", "no-store")], "no-store"),
        (&[("cache-control", "private")], "private"),
        (&[("set-cookie", "a=b")], "set-cookie"),
        (&[("vary", "*")], "vary-any"),
        (&[("age", "100000")], "stored"),
    ];
    for (response, expected) in cases {
        let case = Case { response, rules: assigned(5_000), ..Case::default() };
        assert_eq!(case.outcome(), *expected, "{response:?}");
    }
    assert_eq!(Case { rules: assigned(0), ..Case::default() }.outcome(), "no-freshness");
}

#[test]
fn a_negative_ttl_is_for_what_is_not_there() {
    let negative = Assigned { negative_ttl: Some(5_000), ..Assigned::default() };
    let rules = StoreRules { assigned: negative, ..StoreRules::default() };
    let cases: &[(u16, Lines<'_>, Lines<'_>, &str)] = &[
        (404, &[], &[], "stored"),
        (410, &[], &[], "stored"),
        (404, &[], &[("cache-control", "no-store")], "no-store"),
        (404, &[], &[("cache-control", "max-age=0")], "no-freshness"),
        (404, &[("cookie", "a=b")], &[], "cookie"),
        (404, &[("authorization", "x")], &[], "authorization"),
        (200, &[], &[], "no-freshness"),
        (403, &[], &[], "no-freshness"),
        (503, &[], &[], "no-freshness"),
    ];
    for (status, request, response, expected) in cases {
        let rules = rules.clone();
        let case = Case { status: *status, request, response, rules, ..Case::default() };
        assert_eq!(case.outcome(), *expected, "{status} {request:?} {response:?}");
    }
    let decided = Case { status: 404, rules, ..Case::default() }.decide().unwrap();
    assert_eq!(decided.freshness.remaining(), 5_000);
    assert_eq!(decided.audience, Audience::WithoutCredentials);
}

#[test]
fn what_the_handler_tells_comes_before_what_the_headers_say_but_not_what_they_forbid() {
    let told = |ttl| StoreRules { told_ttl: Some(ttl), ..assigned(9_000) };
    let cases: &[(u16, Lines<'_>, Lines<'_>, &str)] = &[
        (200, &[], &[], "stored"),
        (200, &[], &[("cache-control", "max-age=0"), ("age", "90")], "stored"),
        (200, &[], &[("cache-control", "s-maxage=100")], "stored"),
        (200, &[], &[("expires", "0")], "stored"),
        (500, &[], &[], "stored"),
        // It is the origin's word, as max-age is.
        (200, &[("cookie", "a=b")], &[], "stored"),
        (200, &[("authorization", "x")], &[], "authorization"),
        (200, &[], &[("cache-control", "no-store")], "no-store"),
        (200, &[], &[("cache-control", "private")], "private"),
        (200, &[], &[("cache-control", "no-cache")], "no-freshness"),
        (200, &[], &[("set-cookie", "a=b")], "set-cookie"),
        (200, &[], &[("vary", "*")], "vary-any"),
        (206, &[], &[], "partial"),
    ];
    for (status, request, response, expected) in cases {
        let rules = told(5_000);
        let case = Case { status: *status, request, response, rules, ..Case::default() };
        assert_eq!(case.outcome(), *expected, "{status} {request:?} {response:?}");
        if let Ok(storable) = case.decide() {
            assert_eq!(storable.freshness.remaining(), 5_000, "{response:?}");
        }
    }
    let response: &[_] = &[("cache-control", "max-age=60")];
    let none = Case { response, rules: told(0), ..Case::default() };
    assert_eq!(none.outcome(), "no-freshness");
    let limited = StoreRules { max_ttl: Some(1_000), ..told(5_000) };
    let limited = Case { rules: limited, ..Case::default() }.decide().unwrap();
    assert_eq!(limited.freshness.remaining(), 1_000);
}

#[test]
fn credentials_and_an_assigned_ttl() {
    let shared = StoreRules { credentials_shared: true, ..assigned(5_000) };
    for (field, refusal) in [("cookie", "cookie"), ("authorization", "authorization")] {
        let request: &[_] = &[(field, "x")];
        assert_eq!(Case { request, rules: assigned(5_000), ..Case::default() }.outcome(), refusal);
        assert_eq!(Case { request, rules: shared.clone(), ..Case::default() }.outcome(), "stored");
    }
    // A lifetime that is guessed is no more the origin's than an assigned one.
    let guessed = Heuristic { max: 60_000 };
    let rules = StoreRules { heuristic: Some(guessed), ..StoreRules::default() };
    let (request, response): (&[_], &[_]) =
        (&[("cookie", "x")], &[("last-modified", "Thu, 01 Jan 1970 00:00:00 GMT")]);
    assert_eq!(Case { request, response, rules, ..Case::default() }.outcome(), "cookie");
    // Sharing credentials doesn't share what the origin calls private.
    let response: &[_] = &[("cache-control", "private, max-age=60")];
    let case =
        Case { request: &[("authorization", "x")], response, rules: shared, ..Case::default() };
    assert_eq!(case.outcome(), "private");
}

#[test]
fn what_comes_with_a_storable_response() {
    let case = Case {
        response: &[
            ("cache-control", "max-age=60, private=\"x-a\", no-cache=\"x-b, x-c\""),
            ("set-cookie", "a=b"),
            ("vary", "Accept"),
        ],
        rules: StoreRules { strip_set_cookie: true, ..StoreRules::default() },
        ..Case::default()
    };
    let storable = case.decide().unwrap();
    assert_eq!(storable.strip, ["x-a", "x-b", "x-c", "set-cookie"]);
    assert_eq!(storable.directives.max_age, Some(60));
    assert_eq!(storable.freshness.lifetime, 60_000);
    assert_eq!(
        Vary::Fields(storable.vary.unwrap()),
        Vary::parse(&header_map(&[("vary", "accept")]))
    );
}

#[test]
fn what_has_no_content_has_no_length() {
    let response: &[_] = &[("cache-control", "max-age=60"), ("content-length", "5")];
    for (status, expected) in [(200, &[][..]), (204, &["content-length"]), (205, &[])] {
        let storable = Case { status, response, ..Case::default() }.decide().unwrap();
        assert_eq!(storable.strip, *expected, "{status}");
    }
}

#[test]
fn max_ttl_bounds_any_source() {
    let limited = |max| StoreRules { max_ttl: Some(max), ..assigned(5_000) };
    let response: &[_] = &[("cache-control", "max-age=60"), ("age", "10")];
    let remaining = |response, rules| {
        Case { response, rules, ..Case::default() }.decide().unwrap().freshness.remaining()
    };
    assert_eq!(remaining(response, limited(20_000)), 20_000);
    assert_eq!(remaining(response, limited(90_000)), 50_000);
    assert_eq!(remaining(&[], limited(20_000)), 5_000);
    assert_eq!(remaining(&[], limited(1_000)), 1_000);
    assert_eq!(Case { response, rules: limited(0), ..Case::default() }.outcome(), "no-freshness");
}

#[test]
fn grace_is_for_what_is_fresh_for_a_while() {
    let grace = |text| {
        let response: &[_] = &[("cache-control", text), ("etag", "\"a\"")];
        let rules = StoreRules { grace: Some(7), ..StoreRules::default() };
        let found = Case { response, rules, ..Case::default() }.decide().unwrap().directives;
        (found.stale_while_revalidate, found.stale_if_error)
    };
    assert_eq!(grace("max-age=60"), (Some(7), Some(7)));
    assert_eq!(grace("max-age=60, stale-while-revalidate=0"), (Some(0), Some(7)));
    assert_eq!(grace("max-age=0"), (None, None));
}

proptest! {
    /// Whatever else an origin says: what guarantee 8 forbids is not stored.
    #[test]
    fn never_against_a_prohibition(
        noise in "[a-z0-9=\\-, ]{0,24}",
        prohibition in prop::sample::select(vec![
            ("cache-control", "private"), ("cache-control", "no-store"), ("vary", "*"),
            ("set-cookie", "a=b"),
        ]),
        status in 200_u16..600,
    ) {
        let noise = format!("{noise}, max-age=60, public, s-maxage=60");
        let response: &[_] = &[("cache-control", noise.as_str()), prohibition];
        let rules = StoreRules { credentials_shared: true, ..assigned(5_000) };
        let refused = Case { status, response, rules, ..Case::default() }.decide().is_err();
        prop_assert!(refused);
    }
}

#[test]
fn the_origin_decides_who_belongs_to_the_audience() {
    let public = [("cache-control", "public, max-age=60")];
    let plain = [("cache-control", "max-age=60")];
    let authorized = header_map(&[("authorization", "Bearer x")]);
    let cookie = header_map(&[("cookie", "a=b")]);
    for (response, rules, with_authorization, with_cookie) in [
        (&public[..], StoreRules::default(), true, true),
        (&[("cache-control", "s-maxage=60")], StoreRules::default(), true, true),
        (&[("cache-control", "max-age=60, must-revalidate")], StoreRules::default(), true, true),
        (&plain, StoreRules::default(), false, true),
        (&plain, assigned(60_000), false, true),
        (&[], assigned(60_000), false, false),
    ] {
        let audience = Case { response, rules, ..Case::default() }.decide().unwrap().audience;
        assert!(audience.includes(&HeaderMap::new()), "{response:?}");
        assert_eq!(audience.includes(&authorized), with_authorization, "{response:?}");
        assert_eq!(audience.includes(&cookie), with_cookie, "{response:?}");
    }
}
