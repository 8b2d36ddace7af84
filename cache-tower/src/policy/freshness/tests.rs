use http::{HeaderName, HeaderValue};
use proptest::prelude::*;

use super::*;
use crate::policy::tests::{Lines, dated_headers};

/// Reception; the request went out 2 s before.
const RECEIVED: Millis = 784_111_777_000;
const EXCHANGE: Exchange = Exchange { request_sent: RECEIVED - 2_000, response_received: RECEIVED };

/// `@n` stands for the date n seconds after reception.
fn headers(lines: Lines<'_>) -> HeaderMap {
    dated_headers(lines, RECEIVED)
}

fn freshness(lines: Lines<'_>, assigned: Option<Millis>) -> Freshness {
    let headers = headers(lines);
    Freshness::of(&headers, &ResponseDirectives::from_headers(&headers), EXCHANGE, assigned)
}

#[test]
fn lifetime_by_precedence() {
    use FreshnessSource::{Assigned, Expires, MaxAge, None as Nothing, SMaxage};
    let cases: &[(Lines<'_>, u64, FreshnessSource)] = &[
        (&[("cache-control", "max-age=9, s-maxage=5"), ("expires", "@90")], 5, SMaxage),
        (&[("cache-control", "s-maxage=x, max-age=9")], 0, SMaxage),
        (&[("cache-control", "max-age=9"), ("expires", "0")], 9, MaxAge),
        (&[("cache-control", "max-age=0"), ("expires", "@90")], 0, MaxAge),
        (&[("expires", "@90"), ("date", "@0")], 90, Expires),
        (&[("expires", "@90"), ("date", "@-10")], 100, Expires),
        (&[("expires", "@90"), ("date", "@10")], 80, Expires),
        (&[("expires", "@90")], 90, Expires),
        (&[("expires", "@90"), ("date", "foo")], 90, Expires),
        (&[("expires", "@90"), ("expires", "@90")], 90, Expires),
        (&[("expires", "@90"), ("expires", "@91")], 0, Expires),
        (&[("expires", "@90"), ("expires", "0")], 0, Expires),
        (&[("expires", "@-90"), ("date", "@0")], 0, Expires),
        (&[("expires", "@30"), ("date", "@40")], 0, Expires),
        (&[("expires", "0")], 0, Expires),
        (&[("expires", "-1")], 0, Expires),
        (&[("expires", "")], 0, Expires),
        (&[("expires", "Thu, 18 Aug 50 02:01:18 GMT")], 0, Expires),
        (&[("cache-control", "public")], 2 + 7, Assigned),
    ];
    for (lines, seconds, source) in cases {
        let found = freshness(lines, Some(7_000));
        assert_eq!((found.lifetime, found.source), (seconds * 1000, *source), "{lines:?}");
    }
    assert_eq!(freshness(&[("last-modified", "@-9000")], None).source, Nothing);
}

#[test]
fn initial_age() {
    let cases: &[(Lines<'_>, u64)] = &[
        // Without Date or Age: the response delay.
        (&[], 2),
        (&[("date", "@0")], 2),
        (&[("date", "@-10")], 10),
        (&[("date", "@10")], 2),
        (&[("date", "garbage")], 2),
        (&[("age", "20")], 22),
        (&[("age", "20"), ("date", "@-30")], 30),
        (&[("age", "20"), ("date", "@-10")], 22),
        (&[("age", "7200, 0")], 7202),
        (&[("age", "0"), ("age", "7200")], 2),
        (&[("age", "x, 20")], 2),
        (&[("age", "x"), ("age", "20")], 2),
        (&[("age", " , 20, x")], 22),
        (&[("age", "-20")], 2),
        (&[("age", "20.0")], 2),
        (&[("age", "20;a=b")], 2),
        (&[("age", "99999999999")], (1 << 31) + 2),
    ];
    for (lines, seconds) in cases {
        assert_eq!(freshness(lines, None).initial_age, seconds * 1000, "{lines:?}");
    }
}

#[test]
fn an_assigned_ttl_counts_from_reception() {
    // The handler took longer than the TTL it asked for; its response was never stored.
    let found = freshness(&[], Some(1_000));
    assert_eq!(found.remaining(), 1_000);
}

#[test]
fn at_most_counts_from_reception() {
    let found = freshness(&[("cache-control", "max-age=60"), ("age", "18")], None);
    assert_eq!(found.remaining(), 40_000);
    assert_eq!(found.at_most(5_000).remaining(), 5_000);
    assert_eq!(found.at_most(50_000), found);
    assert_eq!(found.at_most(u64::MAX), found);
}

#[test]
fn clocks_that_go_back_do_not_rejuvenate() {
    assert_eq!(current_age(5, 100, 107), 12);
    assert_eq!(current_age(5, 100, 90), 5);
    assert_eq!(current_age(u64::MAX, 0, 10), u64::MAX);
    let back = Exchange { request_sent: 10, response_received: 5 };
    let none = ResponseDirectives::default();
    assert_eq!(Freshness::of(&HeaderMap::new(), &none, back, None).initial_age, 0);
}

proptest! {
    #[test]
    fn no_header_panics(
        lines in proptest::collection::vec(
            (0..4_usize, proptest::collection::vec(any::<u8>(), 0..32)), 0..6),
        sent: u64, received: u64, assigned: Option<u64>,
    ) {
        let names = ["age", "date", "expires", "cache-control"];
        let headers: HeaderMap = lines
            .iter()
            .filter_map(|(name, value)| {
                let value = HeaderValue::from_bytes(value).ok()?;
                Some((HeaderName::from_static(names[*name]), value))
            })
            .collect();
        let exchange = Exchange { request_sent: sent, response_received: received };
        let directives = ResponseDirectives::from_headers(&headers);
        Freshness::of(&headers, &directives, exchange, assigned).at_most(1).remaining();
    }
}
