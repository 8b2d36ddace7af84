//! What handlers build links and redirects from, beside the URI and `Host`: what one client makes
//! of these fields must not be stored for others. Pure.
//!
//! ```text
//! Forwarded: for=192.0.2.7;host=shop.example      // counts without who it is from
//! X-Forwarded-Host: shop.example
//! ```

use http::{HeaderMap, HeaderName, header};

use super::key::{Identity, part};

/// They count as they are.
const FIELDS: [HeaderName; 5] = [
    HeaderName::from_static("x-forwarded-host"),
    HeaderName::from_static("x-forwarded-proto"),
    HeaderName::from_static("x-forwarded-port"),
    HeaderName::from_static("x-forwarded-prefix"),
    HeaderName::from_static("x-forwarded-scheme"),
];

/// What is written; a field of [`FIELDS`] is its place there, from 1.
const END: u8 = 0;
const LINE: u8 = 6;
const ELEMENT: u8 = 7;
const PAIR: u8 = 8;

/// What an identity has where there is none of these fields.
pub(super) const NONE: u8 = END;

/// Writes what a request has in these fields.
pub(super) fn write(headers: &HeaderMap, identity: &mut Identity) {
    for (nth, name) in (1..).zip(&FIELDS) {
        for line in headers.get_all(name) {
            identity.push(nth);
            part(identity, line.as_bytes());
        }
    }
    for line in headers.get_all(header::FORWARDED) {
        write_forwarded(line.as_bytes(), identity);
    }
    identity.push(END);
}

/// Writes a line of `Forwarded` (RFC 7239 §4) without the addresses, which would give every client
/// entries of its own.
fn write_forwarded(line: &[u8], identity: &mut Identity) {
    let elements = || line.split(|byte| *byte == b',');
    let pairs = |element: &'_ [u8]| element.split(|byte| *byte == b';').all(is_closed);
    // Where a quoted string may go on, nobody knows what another parser takes for a pair.
    if !elements().all(pairs) {
        identity.push(LINE);
        return part(identity, line);
    }
    for element in elements() {
        identity.push(ELEMENT);
        let pairs = element.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
        for pair in pairs.filter(|pair| !is_address(pair)) {
            identity.push(PAIR);
            part(identity, pair);
        }
    }
}

fn is_closed(pair: &[u8]) -> bool {
    pair.split(|byte| *byte == b'"').count() % 2 == 1
}

fn is_address(pair: &[u8]) -> bool {
    let name = pair.split(|byte| *byte == b'=').next().unwrap_or_default().trim_ascii();
    name.eq_ignore_ascii_case(b"for") || name.eq_ignore_ascii_case(b"by")
}

#[cfg(test)]
mod tests {
    use http::{HeaderValue, Method};

    use super::*;
    use crate::policy::admit;

    fn written(lines: &[(&HeaderName, &str)]) -> Identity {
        let line = |(name, value): &(&HeaderName, &str)| {
            (HeaderName::clone(name), HeaderValue::from_str(value).unwrap())
        };
        let mut identity = Identity::new();
        write(&lines.iter().map(line).collect(), &mut identity);
        identity
    }

    fn forwarded(line: &str) -> Identity {
        written(&[(&header::FORWARDED, line)])
    }

    /// Without that, they would not be written at all.
    #[test]
    fn each_is_seen_in_the_pass_over_the_headers() {
        for name in FIELDS.iter().chain([&header::FORWARDED]) {
            let headers = HeaderMap::from_iter([(name.clone(), HeaderValue::from_static("x"))]);
            assert!(admit(&Method::GET, &headers, false).seen.reflected, "{name}");
        }
        assert_eq!(written(&[]).as_slice(), [NONE]);
    }

    #[test]
    fn no_two_look_alike() {
        let [host, proto, ..] = &FIELDS;
        let mut all: Vec<_> = FIELDS.iter().map(|name| written(&[(name, "a")])).collect();
        all.extend([
            written(&[]),
            written(&[(host, "")]),
            written(&[(host, "a"), (host, "a")]),
            written(&[(host, "a"), (proto, "a")]),
            forwarded("host=a"),
            forwarded("host=b"),
            forwarded("proto=a"),
            forwarded("host=a;proto=a"),
            forwarded("host=a,proto=a"),
            forwarded("for=1,host=a"),
            forwarded("host=a,for=1"),
            forwarded("for=1"),
            forwarded("for=\"1;host=a"),
            forwarded("for=\"2;host=a"),
            forwarded("host=\"a;for=1;b\""),
            forwarded("host=\"a;for=2;b\""),
        ]);
        for (n, one) in all.iter().enumerate() {
            assert_eq!(all.iter().filter(|other| *other == one).count(), 1, "{n}");
        }
    }

    #[test]
    fn who_it_is_from_makes_no_difference() {
        let one = forwarded("for=192.0.2.7;host=shop.example;proto=https");
        for line in [
            "for=\"[2001:db8::1]:47\";host=shop.example;proto=https",
            "host=shop.example;FOR=_a; proto=https ;by=b",
            "host=shop.example;proto=https",
        ] {
            assert_eq!(forwarded(line), one, "{line}");
        }
    }
}
