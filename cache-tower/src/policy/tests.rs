//! What holds for the folder as a whole, and what its tests have in common.

use std::collections::HashSet;
use std::fmt::Debug;

use http::{HeaderMap, HeaderName, HeaderValue};

use super::*;
use crate::policy::field::format_date;

/// Header lines: name and value.
pub(super) type Lines<'a> = &'a [(&'a str, &'a str)];

/// Headers of these lines, in order.
pub(super) fn headers(lines: Lines<'_>) -> HeaderMap {
    let line = |(name, value): &(&str, &str)| {
        (HeaderName::try_from(*name).unwrap(), HeaderValue::try_from(*value).unwrap())
    };
    lines.iter().map(line).collect()
}

/// As [`headers`]; `@n` stands for the date n seconds after `received`.
pub(super) fn dated_headers(lines: Lines<'_>, received: Millis) -> HeaderMap {
    let line = |(name, value): &(&str, &str)| {
        let value = match value.strip_prefix('@') {
            Some(offset) => {
                let offset: i64 = offset.parse().unwrap();
                format_date(received.saturating_add_signed(offset * 1000)).unwrap()
            }
            None => HeaderValue::try_from(*value).unwrap(),
        };
        (HeaderName::try_from(*name).unwrap(), value)
    };
    lines.iter().map(line).collect()
}

fn assert_names<R: Copy + Debug>(all: &[R], as_str: fn(R) -> &'static str) {
    let names: HashSet<_> = all.iter().map(|reason| as_str(*reason)).collect();
    assert_eq!(names.len(), all.len(), "every reason has a name of its own");
    for name in names {
        // A token of RFC 8941 §3.3.4, as Cache-Status needs it.
        assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'), "{name}");
    }
}

#[test]
fn every_reason_has_one_name() {
    use MissReason::{Request, Stale, UriMiss, VaryMiss};

    let misses = [UriMiss, VaryMiss, Stale, Request];
    assert_names(BypassReason::ALL, BypassReason::as_str);
    assert_names(NoStore::ALL, NoStore::as_str);
    assert_names(&misses, MissReason::as_str);
}
