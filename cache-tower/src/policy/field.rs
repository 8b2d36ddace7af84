//! What stands inside a field value: lists, delta-seconds, dates.
//!
//! ```text
//! let names: Vec<_> = members(headers, &VARY).collect();   // "a, ,b" + "c"  ->  a, b, c
//! assert_eq!(delta_seconds(*b"3600"), Some(3600));
//! ```

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::{HeaderMap, HeaderName, HeaderValue};

use super::Millis;

/// The largest delta-seconds a cache has to tell apart, 2^31 (RFC 9111 §1.2.2).
pub(super) const MAX_DELTA_SECONDS: u32 = 1 << 31;

/// The last second that an HTTP date can express, 9999-12-31 23:59:59.
const LAST_SECOND: u64 = 253_402_300_799;

/// The members of a comma-separated list over all lines of a field, trimmed, empty ones left out
/// (RFC 9110 §5.6.1). Only for lists whose members can't hold a quoted comma.
pub(super) fn members<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
) -> impl Iterator<Item = &'a [u8]> {
    headers
        .get_all(name)
        .iter()
        .flat_map(|line| line.as_bytes().split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
        .filter(|member| !member.is_empty())
}

/// Reads delta-seconds: digits only, at least one; larger numbers become [`MAX_DELTA_SECONDS`]
/// (RFC 9111 §1.2.2). `None` is anything else.
pub(super) fn delta_seconds(digits: impl IntoIterator<Item = u8>) -> Option<u32> {
    let sum = digits.into_iter().try_fold(None, |sum: Option<u32>, byte| match byte {
        b'0'..=b'9' => {
            let next = sum.unwrap_or(0).saturating_mul(10).saturating_add(u32::from(byte - b'0'));
            Some(Some(next.min(MAX_DELTA_SECONDS)))
        }
        _ => None,
    });
    sum.flatten()
}

/// Reads an HTTP date in any of its three forms (RFC 9110 §5.6.7) and in any case.
pub(super) fn date(value: &HeaderValue) -> Option<Millis> {
    let text = value.to_str().ok()?;
    let time = httpdate::parse_http_date(text)
        // RFC 9111 §4.2: caches match dates case-insensitively.
        .or_else(|_| httpdate::parse_http_date(&in_usual_case(text)))
        .ok()?;
    let since_epoch = time.duration_since(UNIX_EPOCH).ok()?;
    u64::try_from(since_epoch.as_millis()).ok()
}

fn in_usual_case(date: &str) -> String {
    let mut within_word = false;
    let capitalised: String = date
        .chars()
        .map(|c| {
            let c = if within_word { c.to_ascii_lowercase() } else { c.to_ascii_uppercase() };
            within_word = c.is_ascii_alphabetic();
            c
        })
        .collect();
    capitalised.replace("Gmt", "GMT")
}

/// Writes an HTTP date; what lies past the year 9999 becomes its last second.
pub(super) fn format_date(at: Millis) -> Option<HeaderValue> {
    let time: SystemTime = UNIX_EPOCH + Duration::from_secs((at / 1000).min(LAST_SECOND));
    HeaderValue::try_from(httpdate::fmt_http_date(time)).ok()
}

#[cfg(test)]
mod tests {
    use http::header::VARY;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn delta_seconds_are_digits_only() {
        let cases: &[(&str, Option<u32>)] = &[
            ("0", Some(0)),
            ("003600", Some(3600)),
            ("2147483648", Some(1 << 31)),
            ("2147483649", Some(1 << 31)),
            ("99999999999999999999999", Some(1 << 31)),
            ("", None),
            ("-1", None),
            ("+1", None),
            ("1.0", None),
            ("1a", None),
            (" 1", None),
            ("0x10", None),
        ];
        for (text, expected) in cases {
            assert_eq!(delta_seconds(text.bytes()), *expected, "{text:?}");
        }
    }

    #[test]
    fn members_span_lines_and_skip_empty_ones() {
        let mut headers = HeaderMap::new();
        for line in [", a ,,\tb", "", "c,"] {
            headers.append(VARY, HeaderValue::from_static(line));
        }
        let found: Vec<_> = members(&headers, &VARY).collect();
        assert_eq!(found, [b"a", b"b", b"c"]);
    }

    #[test]
    fn dates_survive_a_round_trip_and_the_end_of_time() {
        let moment = 784_111_777_000;
        let text = format_date(moment).unwrap();
        assert_eq!(text, "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(date(&text), Some(moment));
        assert_eq!(format_date(u64::MAX).unwrap(), "Fri, 31 Dec 9999 23:59:59 GMT");
        for obsolete in ["Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"] {
            assert_eq!(date(&HeaderValue::from_static(obsolete)), Some(moment));
        }
    }

    #[test]
    fn dates_are_read_in_any_case() {
        for text in [
            "SUN, 06 NOV 1994 08:49:37 GMT",
            "sun, 06 nov 1994 08:49:37 gmt",
            "sUN, 06 nOV 1994 08:49:37 Gmt",
            "sunday, 06-NOV-94 08:49:37 gmt",
            "SUN NOV  6 08:49:37 1994",
        ] {
            let value = HeaderValue::from_static(text);
            assert_eq!(date(&value), Some(784_111_777_000), "{text}");
        }
    }

    #[test]
    fn what_is_not_a_date_is_none() {
        for text in [
            "0",
            "-1",
            "",
            "Sun, 06 Nov 1994 08:49:37 UTC",
            "sun, 06 nov 1994 08:49:37 utc",
            "Sun, 31 Feb 1994 08:49:37 GMT",
        ] {
            assert_eq!(date(&HeaderValue::from_static(text)), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            delta_seconds(bytes.iter().copied());
            if let Ok(value) = HeaderValue::from_bytes(&bytes) {
                date(&value);
                let headers = HeaderMap::from_iter([(VARY, value)]);
                let _ = members(&headers, &VARY).count();
            }
        }

        #[test]
        fn no_near_date_panics(text in "[SMTWFa-z]{3,9},? [0-9 ]{1,3}[ -][A-Z][a-z]{2}[ -][0-9]{2,4} [0-9]{2}:[0-9]{2}:[0-9]{2} (GMT|[0-9]{4})") {
            if let Ok(value) = HeaderValue::try_from(text) {
                date(&value);
            }
        }
    }
}
