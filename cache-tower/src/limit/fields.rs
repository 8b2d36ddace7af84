//! What clients are told of limits: `RateLimit`, `RateLimit-Policy`
//! (draft-ietf-httpapi-ratelimit-headers) and `Retry-After` (RFC 9110 §10.2.3). Pure.

use std::time::Duration;

use bytes::Bytes;
use cache_core::Verdict;
use cache_core::rate::{Algorithm, CountedBy};
use http::{HeaderName, HeaderValue};
use percent_encoding::{CONTROLS, utf8_percent_encode};

pub(super) const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
pub(super) const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// The largest number of structured fields (RFC 9651 §3.3.1).
const MAX_INTEGER: u64 = 999_999_999_999_999;

/// The name of a policy, quoted: as a string of structured fields, and as one of JSON.
pub(super) fn quoted(name: &str) -> String {
    let ascii = utf8_percent_encode(name, CONTROLS).to_string();
    format!("\"{}\"", ascii.replace('\\', "\\\\").replace('"', "\\\""))
}

/// `"api";q=100;w=60`: what is allowed.
pub(super) fn policy(quoted: &str, limit: u64, window: Duration) -> Option<HeaderValue> {
    let (limit, window) = (limit.min(MAX_INTEGER), seconds(window).max(1));
    value(format!("{quoted};q={limit};w={window}"))
}

/// `"api";r=99;t=60`: what is left, and for how long there will be no more; `None` if nobody knows.
pub(super) fn limit(
    quoted: &str,
    verdict: &Verdict,
    limit: u64,
    window: Duration,
) -> Option<HeaderValue> {
    if verdict.counted_by == CountedBy::Nobody {
        return None;
    }
    let more_in = match (verdict.retry_after, verdict.algorithm) {
        (Some(wait), _) => wait,
        // One unit becomes free after the other.
        (None, Algorithm::Gcra) => {
            let each = Duration::from_secs_f64(window.as_secs_f64().min(1e12) / units(limit));
            verdict.resets_in.min(each)
        }
        (None, _) => verdict.resets_in,
    };
    value(format!("{quoted};r={};t={}", verdict.remaining.min(MAX_INTEGER), seconds(more_in)))
}

/// For `Retry-After`, which does not come before the end of the time in `RateLimit`.
pub(super) fn retry_after(wait: Duration) -> HeaderValue {
    HeaderValue::from(seconds(wait).max(1))
}

/// Whole seconds, rounded up: who comes then is not early.
pub(super) fn seconds(duration: Duration) -> u64 {
    let up = u64::from(duration.subsec_nanos() > 0);
    duration.as_secs().saturating_add(up).min(MAX_INTEGER)
}

#[allow(clippy::cast_precision_loss, reason = "what is that large takes no time")]
fn units(limit: u64) -> f64 {
    limit.max(1) as f64
}

fn value(text: String) -> Option<HeaderValue> {
    HeaderValue::from_maybe_shared(Bytes::from(text)).ok()
}

#[cfg(test)]
mod tests {
    use sfv::{ListEntry, Parser};

    use super::*;

    #[test]
    fn every_name_is_a_string_of_structured_fields() {
        for name in ["api", "", "a\"b\\c", "caf\u{e9}\n", "a;b=c, d"] {
            let policy = policy(&quoted(name), u64::MAX, Duration::from_millis(1)).unwrap();
            let list = Parser::new(policy.as_bytes()).parse::<sfv::List>().unwrap();
            let [ListEntry::Item(item)] = &list[..] else { panic!("{policy:?}") };
            let text = item.bare_item.as_string().unwrap().as_str();
            assert!(name.contains(|c: char| c as u32 > 126 || c < ' ') || text == name, "{text}");
            assert_eq!(item.params["q"].as_integer().map(i64::from), Some(999_999_999_999_999));
            assert_eq!(item.params["w"].as_integer().map(i64::from), Some(1));
        }
    }

    #[test]
    fn seconds_are_rounded_up() {
        for (millis, expected) in [(0, 0), (1, 1), (999, 1), (1000, 1), (1001, 2)] {
            assert_eq!(seconds(Duration::from_millis(millis)), expected);
        }
        assert_eq!(seconds(Duration::MAX), MAX_INTEGER);
        assert_eq!(retry_after(Duration::ZERO), "1");
    }
}
