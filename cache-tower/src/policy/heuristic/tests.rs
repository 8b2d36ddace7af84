use http::HeaderValue;
use proptest::prelude::*;

use super::*;
use crate::policy::tests::{Lines, dated_headers};

const RECEIVED: Millis = 784_111_777_000;
const EXCHANGE: Exchange = Exchange { request_sent: RECEIVED, response_received: RECEIVED };
const HOUR: Millis = 3_600_000;

/// `@n` stands for the date n seconds after reception.
fn headers(lines: Lines<'_>) -> HeaderMap {
    dated_headers(lines, RECEIVED)
}

fn found(status: u16, headers: &HeaderMap, assigned: Option<Millis>) -> Freshness {
    let directives = ResponseDirectives::from_headers(headers);
    let freshness = Freshness::of(headers, &directives, EXCHANGE, assigned);
    let status = StatusCode::from_u16(status).unwrap();
    Heuristic { max: HOUR }.apply(freshness, status, headers, &directives, EXCHANGE)
}

#[test]
fn a_tenth_of_the_time_it_has_not_changed() {
    use FreshnessSource::{Expires, Heuristic, MaxAge, None as Nothing, SMaxage};
    let cases: &[(Lines<'_>, u64, FreshnessSource)] = &[
        (&[("last-modified", "@-1000")], 100, Heuristic),
        (&[("last-modified", "@-1000"), ("date", "@-500")], 50, Heuristic),
        (&[("last-modified", "@-1000"), ("date", "garbage")], 100, Heuristic),
        // The upper bound.
        (&[("last-modified", "@-36000")], 3_600, Heuristic),
        (&[("last-modified", "@-99999999")], 3_600, Heuristic),
        (&[("last-modified", "@0")], 0, Heuristic),
        // Later than it was sent: it says nothing.
        (&[("last-modified", "@10")], 0, Heuristic),
        (&[("last-modified", "yesterday")], 0, Nothing),
        (&[("last-modified", "@-1000"), ("last-modified", "@-9000")], 0, Nothing),
        (&[], 0, Nothing),
        // What is explicit is never replaced, however useless it is.
        (&[("last-modified", "@-1000"), ("cache-control", "max-age=0")], 0, MaxAge),
        (&[("last-modified", "@-1000"), ("cache-control", "max-age=x")], 0, MaxAge),
        (&[("last-modified", "@-1000"), ("cache-control", "s-maxage=7")], 7, SMaxage),
        (&[("last-modified", "@-1000"), ("expires", "0")], 0, Expires),
        (&[("last-modified", "@-1000"), ("pragma", "x, No-Cache")], 0, Nothing),
        (&[("last-modified", "@-1000"), ("pragma", "x")], 100, Heuristic),
    ];
    for (lines, seconds, source) in cases {
        let found = found(200, &headers(lines), None);
        assert_eq!((found.lifetime, found.source), (seconds * 1000, *source), "{lines:?}");
    }
}

#[test]
fn an_assigned_lifetime_comes_first() {
    let found = found(200, &headers(&[("last-modified", "@-1000")]), Some(7_000));
    assert_eq!((found.lifetime, found.source), (7_000, FreshnessSource::Assigned));
}

#[test]
fn the_age_counts_against_it() {
    let found = found(200, &headers(&[("last-modified", "@-1000"), ("age", "60")]), None);
    assert_eq!(found.remaining(), 40_000);
}

#[test]
fn only_for_statuses_that_allow_it_or_what_is_public() {
    let allowed = [200, 203, 204, 206, 300, 301, 308, 404, 410];
    for status in 200..600 {
        let plain = found(status, &headers(&[("last-modified", "@-1000")]), None);
        let is_guessed = plain.source == FreshnessSource::Heuristic;
        assert_eq!(is_guessed, allowed.contains(&status), "{status}");
        let lines = [("last-modified", "@-1000"), ("cache-control", "public")];
        let public = found(status, &headers(&lines), None);
        assert_eq!(public.lifetime, 100_000, "{status}");
    }
}

proptest! {
    #[test]
    fn no_header_panics(bytes in proptest::collection::vec(any::<u8>(), 0..40), status in 100_u16..1000) {
        if let Ok(value) = HeaderValue::from_bytes(&bytes) {
            let headers = HeaderMap::from_iter([(LAST_MODIFIED, value.clone()), (PRAGMA, value)]);
            prop_assert!(found(status, &headers, None).lifetime <= HOUR);
        }
    }
}
