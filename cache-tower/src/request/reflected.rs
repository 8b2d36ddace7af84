//! What handlers build links and redirects from, beside the URI and `Host`: what one client makes
//! of these fields must not be stored for others. Pure.
//!
//! ```text
//! Forwarded: for=192.0.2.7;host=shop.example      // counts without who it is from
//! X-Forwarded-Host: shop.example
//! ```
//!
//! An application may have them removed, or trust whoever sets them:
//!
//! ```
//! use cache_core::Cache;
//! use cache_tower::{ForwardedFields, HttpCache};
//!
//! let http = HttpCache::builder(Cache::builder().build()?)
//!     .forwarded_fields(ForwardedFields::Stripped)
//!     .build();
//! # Ok::<(), cache_core::Error>(())
//! ```

use http::{HeaderMap, HeaderName, header};

use super::key::{Identity, part};
use crate::config::HttpCacheBuilder;

/// What a response cache does with the fields in which a proxy tells what it was asked for:
/// `Forwarded`, and `X-Forwarded-Host`, `-Proto`, `-Port`, `-Prefix` and `-Scheme`. Handlers build
/// links and redirects from them, and any client can send them. `Host` is always part of the key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ForwardedFields {
    /// They are part of the key (`Forwarded` without the addresses): a client that makes them up
    /// has only itself what they bring about.
    #[default]
    Keyed,
    /// They are no part of the key, and reach the service inside. Only where a proxy in front sets
    /// **all** of them itself, to what follows from the rest of the key, or removes what clients
    /// send. Where it does not, one client can have a response stored for everybody whose links
    /// lead to a host of its choice. A response whose `Vary` names one of them is still told apart
    /// by it.
    Trusted,
    /// They are removed from every request, whether or not it is one for the cache, before anything
    /// looks at it: neither the service inside sees them, nor the functions of the application
    /// (`workspace`, `key_by`, `skip_cache`, ..), nor `Vary`. For services that need none of them.
    Stripped,
}

/// They count as they are.
const FIELDS: [HeaderName; 5] = [
    HeaderName::from_static("x-forwarded-host"),
    HeaderName::from_static("x-forwarded-proto"),
    HeaderName::from_static("x-forwarded-port"),
    HeaderName::from_static("x-forwarded-prefix"),
    HeaderName::from_static("x-forwarded-scheme"),
];

/// What is written; a field of [`FIELDS`] is its place there, from 1.
const NONE: u8 = 0;
const LINE: u8 = 6;
const ELEMENT: u8 = 7;
const PAIR: u8 = 8;
/// Who trusts these fields does not share entries with those who do not.
const TRUSTED: u8 = 9;

impl ForwardedFields {
    /// What an identity ends with, and all that it has where there is none of these fields. What
    /// they were stripped from is what came without them.
    pub(super) fn end(self) -> u8 {
        match self {
            Self::Keyed | Self::Stripped => NONE,
            Self::Trusted => TRUSTED,
        }
    }

    /// Removes them from a request where they are to be removed.
    pub(crate) fn strip(self, headers: &mut HeaderMap) {
        if self != Self::Stripped {
            return;
        }
        for name in FIELDS.iter().chain([&header::FORWARDED]) {
            headers.remove(name);
        }
    }
}

impl HttpCacheBuilder {
    /// What is done with the fields that handlers build links from, beside `Host`: they are part of
    /// the key, trusted, or stripped from requests. Default: [`Keyed`](ForwardedFields::Keyed),
    /// which is safe whoever sets them.
    pub fn forwarded_fields(mut self, fields: ForwardedFields) -> Self {
        self.options.key.forwarded = fields;
        self
    }
}

/// Writes what counts of these fields in a request.
pub(super) fn write(fields: ForwardedFields, headers: &HeaderMap, identity: &mut Identity) {
    if fields != ForwardedFields::Trusted {
        write_fields(headers, identity);
    }
    identity.push(fields.end());
}

fn write_fields(headers: &HeaderMap, identity: &mut Identity) {
    for (nth, name) in (1..).zip(&FIELDS) {
        for line in headers.get_all(name) {
            identity.push(nth);
            part(identity, line.as_bytes());
        }
    }
    for line in headers.get_all(header::FORWARDED) {
        write_forwarded(line.as_bytes(), identity);
    }
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

    fn headers(lines: &[(&HeaderName, &str)]) -> HeaderMap {
        let line = |(name, value): &(&HeaderName, &str)| {
            (HeaderName::clone(name), HeaderValue::from_str(value).unwrap())
        };
        lines.iter().map(line).collect()
    }

    fn written(lines: &[(&HeaderName, &str)]) -> Identity {
        let mut identity = Identity::new();
        write(ForwardedFields::Keyed, &headers(lines), &mut identity);
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
    fn where_they_are_trusted_they_are_not_written_but_that_they_are() {
        let trusted = |lines: &[(&HeaderName, &str)]| {
            let mut identity = Identity::new();
            write(ForwardedFields::Trusted, &headers(lines), &mut identity);
            identity
        };
        let none = trusted(&[]);
        for name in FIELDS.iter().chain([&header::FORWARDED]) {
            assert_eq!(trusted(&[(name, "a")]), none, "{name}");
        }
        assert_ne!(none, written(&[]));
        assert_eq!(none.as_slice(), [ForwardedFields::Trusted.end()]);
    }

    #[test]
    fn only_these_are_stripped_and_only_on_demand() {
        let mut lines = headers(&[(&header::HOST, "a"), (&header::VIA, "b")]);
        for name in FIELDS.iter().chain([&header::FORWARDED]) {
            lines.append(name, HeaderValue::from_static("x"));
            lines.append(name, HeaderValue::from_static("y"));
        }
        for kept in [ForwardedFields::Keyed, ForwardedFields::Trusted] {
            let mut same = lines.clone();
            kept.strip(&mut same);
            assert_eq!(same, lines);
        }
        ForwardedFields::Stripped.strip(&mut lines);
        assert_eq!(lines, headers(&[(&header::HOST, "a"), (&header::VIA, "b")]));
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
