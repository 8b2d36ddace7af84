//! What RFC 9110 wants of an intermediary, as functions on header fields.

use http::header::{
    CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, COOKIE, HOST, PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION, TE, TRANSFER_ENCODING, UPGRADE, VARY, VIA,
};
use http::{HeaderMap, HeaderName, HeaderValue, Version};

/// The name of this proxy in `Via`.
const PSEUDONYM: &str = "cache-tower";

/// Fields that concern one connection only, whether `Connection` names them or
/// not (RFC 9110 §7.6.1), and those for the next proxy alone (§11.7).
const HOP_BY_HOP: [HeaderName; 8] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    TE,
    TRANSFER_ENCODING,
    UPGRADE,
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
];

/// Fields meant for everyone: `Connection` must not name them (RFC 9110
/// §7.6.1), and to obey could pass one client's response to another.
const END_TO_END: [HeaderName; 3] = [HOST, CACHE_CONTROL, VARY];

/// Removes every field that ends at this hop.
pub(crate) fn strip_hop_by_hop(headers: &mut HeaderMap) {
    // RFC 9112 §6.3: with both, the chunks count, and the length must go.
    if headers.contains_key(TRANSFER_ENCODING) {
        headers.remove(CONTENT_LENGTH);
    }
    if headers.contains_key(CONNECTION) {
        let named: Vec<HeaderName> = headers
            .get_all(CONNECTION)
            .iter()
            .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
            .filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok())
            .filter(|name| !END_TO_END.contains(name))
            .collect();
        for name in named {
            headers.remove(name);
        }
    }
    for name in &HOP_BY_HOP {
        headers.remove(name);
    }
}

/// Whether a body is in a transfer coding that nobody has undone: hyper undoes `chunked` alone, and
/// without the field that names the others its bytes would mean something else (RFC 9112 §7).
pub(crate) fn has_unknown_coding(headers: &HeaderMap) -> bool {
    let mut chunked = 0;
    for value in headers.get_all(TRANSFER_ENCODING) {
        for coding in value.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
            if coding.eq_ignore_ascii_case(b"chunked") {
                chunked += 1;
            } else if !coding.is_empty() && !coding.eq_ignore_ascii_case(b"identity") {
                return true;
            }
        }
    }
    chunked > 1
}

/// Adds this proxy to `Via`, for a message it received in `version`
/// (RFC 9110 §7.6.3).
pub(crate) fn append_via(headers: &mut HeaderMap, version: Version) {
    let version = match version {
        Version::HTTP_09 => "0.9",
        Version::HTTP_10 => "1.0",
        Version::HTTP_2 => "2.0",
        Version::HTTP_3 => "3.0",
        _ => "1.1",
    };
    append_to_list(headers, &VIA, ", ", &format!("{version} {PSEUDONYM}"));
}

/// Adds the address a request came from to `X-Forwarded-For`.
pub(crate) fn append_forwarded_for(headers: &mut HeaderMap, client: std::net::IpAddr) {
    const NAME: HeaderName = HeaderName::from_static("x-forwarded-for");
    append_to_list(headers, &NAME, ", ", &client.to_canonical().to_string());
}

/// Makes one length of one that is said several times (RFC 9110 §8.6). They agree: hyper refuses
/// messages whose lengths don't.
pub(crate) fn join_lengths(headers: &mut HeaderMap) {
    let Some(length) = headers.get(CONTENT_LENGTH) else { return };
    let first = length.as_bytes().split(|byte| *byte == b',').next().unwrap_or_default();
    if let Ok(length) = HeaderValue::from_bytes(first.trim_ascii()) {
        headers.insert(CONTENT_LENGTH, length);
    }
}

/// Makes one `Cookie` field of several: HTTP/2 may split it, HTTP/1.1 may not
/// (RFC 9113 §8.2.3).
pub(crate) fn join_cookies(headers: &mut HeaderMap) {
    if headers.get_all(COOKIE).iter().nth(1).is_some() {
        append_to_list(headers, &COOKIE, "; ", "");
    }
}

/// Joins all values of `name` and `last`, if not empty, into a single field:
/// not everyone reads more than the first.
fn append_to_list(headers: &mut HeaderMap, name: &HeaderName, separator: &str, last: &str) {
    let mut members: Vec<&[u8]> = headers.get_all(name).iter().map(HeaderValue::as_bytes).collect();
    members.push(last.as_bytes());
    members.retain(|member| !member.is_empty());
    // Parts of valid values make a valid value.
    if let Ok(value) = HeaderValue::from_bytes(&members.join(separator.as_bytes())) {
        headers.insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        let field = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        fields.iter().map(field).collect()
    }

    #[test]
    fn strips_listed_and_named_fields() {
        let mut actual = headers(&[
            ("connection", "close, X-One ,, not a name"),
            ("connection", "x-two"),
            ("keep-alive", "timeout=5"),
            ("proxy-connection", "keep-alive"),
            ("proxy-authorization", "Basic x"),
            ("te", "trailers"),
            ("upgrade", "websocket"),
            ("x-one", "1"),
            ("x-one", "2"),
            ("x-two", "1"),
            ("x-three", "stays"),
            ("content-length", "3"),
            ("trailer", "x-checksum"),
        ]);
        strip_hop_by_hop(&mut actual);
        let stays = [("x-three", "stays"), ("content-length", "3"), ("trailer", "x-checksum")];
        assert_eq!(actual, headers(&stays));
    }

    #[test]
    fn connection_can_not_name_what_is_for_everyone() {
        let mut actual = headers(&[
            ("connection", "host, cache-control, vary"),
            ("host", "a"),
            ("cache-control", "no-store"),
            ("vary", "cookie"),
        ]);
        strip_hop_by_hop(&mut actual);
        let stays = [("host", "a"), ("cache-control", "no-store"), ("vary", "cookie")];
        assert_eq!(actual, headers(&stays));
    }

    #[test]
    fn a_length_beside_chunks_goes() {
        let mut actual = headers(&[("transfer-encoding", "chunked"), ("content-length", "3")]);
        strip_hop_by_hop(&mut actual);
        assert!(actual.is_empty());
    }

    #[test]
    fn chunks_are_the_only_coding() {
        let unknown = |values: &[&'static str]| {
            let fields: Vec<_> = values.iter().map(|value| ("transfer-encoding", *value)).collect();
            has_unknown_coding(&headers(&fields))
        };
        for values in [&[][..], &["chunked"], &["Chunked "], &["identity"], &["", "chunked"]] {
            assert!(!unknown(values), "{values:?}");
        }
        let two_lines = &["gzip", "chunked"];
        for values in [&["gzip"][..], &["gzip, chunked"], two_lines, &["chunked, chunked"]] {
            assert!(unknown(values), "{values:?}");
        }
    }

    #[test]
    fn via_and_forwarded_for_grow() {
        let mut actual = headers(&[("via", "1.0 a"), ("via", "1.1 b")]);
        append_via(&mut actual, Version::HTTP_11);
        append_forwarded_for(&mut actual, [10, 0, 0, 1].into());
        append_forwarded_for(&mut actual, [10, 0, 0, 2].into());
        let expected =
            [("via", "1.0 a, 1.1 b, 1.1 cache-tower"), ("x-forwarded-for", "10.0.0.1, 10.0.0.2")];
        assert_eq!(actual, headers(&expected));
    }

    #[test]
    fn cookies_become_one() {
        let mut actual = headers(&[("cookie", "a=1"), ("cookie", "b=2; c=3")]);
        join_cookies(&mut actual);
        assert_eq!(actual, headers(&[("cookie", "a=1; b=2; c=3")]));
    }
}
