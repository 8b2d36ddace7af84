//! Which headers of a response are stored (RFC 9111 §3.1).
//!
//! ```text
//! let stored = stored_headers(&headers, &storable.strip, received);
//! assert!(!stored.contains_key("connection") && stored.contains_key("date"));
//! ```

use http::header::{
    AGE, CACHE_CONTROL, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, DATE,
    PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE, VARY,
};
use http::{HeaderMap, HeaderName};

use super::Millis;
use super::field::{format_date, members};

/// Whether a response means something else without this field: to the cache, to caches behind it,
/// or to whoever reads its body. RFC 9110 §7.6.1 forbids to name such a field in `Connection`.
pub(super) fn is_indispensable(name: &HeaderName) -> bool {
    [VARY, CACHE_CONTROL, CONTENT_TYPE, CONTENT_ENCODING, CONTENT_LENGTH].contains(name)
}

/// The headers to store with a response received at `received` (unix milliseconds): without those
/// of the connection and of rate limits, without `strip` ([`super::Storable::strip`]), without `Age` (it is part of
/// the initial age), and with a `Date` (RFC 9110 §6.6.1).
pub(crate) fn stored_headers(
    headers: &HeaderMap,
    strip: &[HeaderName],
    received: Millis,
) -> HeaderMap {
    let is_stored = |name: &HeaderName| {
        *name != AGE
            && !strip.contains(name)
            && !is_of_one_request(name)
            && !belongs_to_connection(name, headers)
    };
    let mut stored: HeaderMap = headers
        .iter()
        .filter(|(name, _)| is_stored(name))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    if !stored.contains_key(DATE)
        && let Some(date) = format_date(received)
    {
        // Fails where the map is at the limit of the http crate (2^15 names); then it has no Date.
        let _ = stored.try_append(DATE, date);
    }
    stored
}

/// The announced length; an error if it can't be read, or two differ (RFC 9110 §8.6).
pub(crate) fn content_length(headers: &HeaderMap) -> Result<Option<u64>, ()> {
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter().map(|value| {
        let text = value.to_str().map_err(drop)?;
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if digits { text.parse::<u64>().map_err(drop) } else { Err(()) }
    });
    let Some(first) = lengths.next().transpose()? else { return Ok(None) };
    for length in lengths {
        if length? != first {
            return Err(());
        }
    }
    Ok(Some(first))
}

/// Whether a field of a message speaks to the next hop only (RFC 9110 §7.6.1).
pub(super) fn belongs_to_connection(name: &HeaderName, headers: &HeaderMap) -> bool {
    let nominated = || {
        let mut options = members(headers, &CONNECTION);
        options.any(|option| option.eq_ignore_ascii_case(name.as_str().as_bytes()))
    };
    is_hop_by_hop(name) || (nominated() && !is_indispensable(name))
}

/// Whether a field says something about the request that was answered, and so nothing to others: what
/// is left of a client's limit (draft-ietf-httpapi-ratelimit-headers §7.3).
pub(super) fn is_of_one_request(name: &HeaderName) -> bool {
    matches!(name.as_str(), "ratelimit" | "ratelimit-policy")
}

/// The fields of one connection, and of a proxy's own authentication (RFC 9110 §7.6.1, RFC 9111
/// §3.1).
fn is_hop_by_hop(name: &HeaderName) -> bool {
    [CONNECTION, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE]
        .contains(name)
        || matches!(name.as_str(), "keep-alive" | "proxy-connection" | "proxy-authentication-info")
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;
    use crate::policy::tests::headers;

    /// The names that remain, in order.
    fn stored(lines: &[(&str, &str)], strip: &[HeaderName]) -> Vec<String> {
        let stored = stored_headers(&headers(lines), strip, 0);
        stored.keys().map(ToString::to_string).collect()
    }

    #[test]
    fn connection_headers_and_age_go() {
        let gone = [
            "connection",
            "keep-alive",
            "proxy-connection",
            "proxy-authenticate",
            "proxy-authentication-info",
            "proxy-authorization",
            "te",
            "trailer",
            "transfer-encoding",
            "upgrade",
            "age",
        ];
        for name in gone {
            assert_eq!(stored(&[(name, "x"), ("b", "1"), ("date", "x")], &[]), ["b", "date"]);
        }
    }

    #[test]
    fn what_is_left_of_somebody_s_limit_goes() {
        let lines = [("ratelimit", "a"), ("ratelimit-policy", "b"), ("date", "x")];
        assert_eq!(stored(&lines, &[]), ["date"]);
    }

    #[test]
    fn what_connection_names_goes() {
        let lines =
            [("connection", "a, B"), ("connection", " ,c"), ("a", "1"), ("b", "2"), ("c", "3")];
        assert_eq!(
            stored(&[&lines[..], &[("d", "4"), ("date", "x")]].concat(), &[]),
            ["d", "date"]
        );
    }

    #[test]
    fn connection_cannot_take_what_gives_the_response_its_meaning() {
        // `Connection: vary` gave every request the first one's variant.
        let lines = [("connection", "vary, cache-control"), ("vary", "a"), ("cache-control", "b")];
        assert_eq!(stored(&lines, &[]), ["vary", "cache-control", "date"]);
    }

    #[test]
    fn what_gives_a_response_its_meaning() {
        let all = [VARY, CACHE_CONTROL, CONTENT_TYPE, CONTENT_ENCODING, CONTENT_LENGTH];
        for name in all {
            assert!(is_indispensable(&name), "{name}");
            let lines = [("connection", name.as_str()), (name.as_str(), "x"), ("date", "x")];
            assert_eq!(stored(&lines, &[]), [name.as_str(), "date"]);
        }
        assert!(!is_indispensable(&DATE));
    }

    #[test]
    fn announced_lengths() {
        type Case<'a> = (&'a [&'a str], Result<Option<u64>, ()>);
        let cases: &[Case<'_>] = &[
            (&[], Ok(None)),
            (&["0"], Ok(Some(0))),
            (&["42"], Ok(Some(42))),
            (&["042"], Ok(Some(42))),
            (&["18446744073709551615"], Ok(Some(u64::MAX))),
            (&["18446744073709551616"], Err(())),
            (&["5", "5"], Ok(Some(5))),
            (&["5", "6"], Err(())),
            (&["5", "5", "6"], Err(())),
            (&["5", "x"], Err(())),
            (&["x", "5"], Err(())),
            (&[""], Err(())),
            (&["+5"], Err(())),
            (&["-5"], Err(())),
            (&["5, 5"], Err(())),
            (&["0x5"], Err(())),
            (&["\u{fc}"], Err(())),
        ];
        for (values, expected) in cases {
            let lines: Vec<_> = values.iter().map(|value| ("content-length", *value)).collect();
            assert_eq!(content_length(&headers(&lines)), *expected, "{values:?}");
        }
    }

    #[test]
    fn named_fields_go_with_all_their_lines() {
        let lines =
            [("set-cookie", "a"), ("set-cookie", "b"), ("x", "1"), ("x", "2"), ("date", "x")];
        let strip = [HeaderName::from_static("set-cookie")];
        let stored = stored_headers(&headers(&lines), &strip, 0);
        assert!(!stored.contains_key("set-cookie"));
        assert_eq!(stored.get_all("x").iter().collect::<Vec<_>>(), ["1", "2"]);
    }

    #[test]
    fn a_date_is_added_but_not_replaced() {
        let added = stored_headers(&HeaderMap::new(), &[], 784_111_777_999);
        assert_eq!(added[DATE], "Sun, 06 Nov 1994 08:49:37 GMT");
        let kept = stored_headers(&headers(&[("date", "its own")]), &[], 0);
        assert_eq!(kept.get_all(DATE).iter().collect::<Vec<_>>(), ["its own"]);
    }

    proptest! {
        #[test]
        fn no_connection_panics(bytes in proptest::collection::vec(any::<u8>(), 0..48), at: u64) {
            if let Ok(value) = HeaderValue::from_bytes(&bytes) {
                stored_headers(&HeaderMap::from_iter([(CONNECTION, value)]), &[], at);
            }
        }
    }
}
