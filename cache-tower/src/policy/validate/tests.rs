use http::HeaderValue;
use proptest::prelude::*;

use super::*;

const RECEIVED: Millis = 784_111_777_500;
const AT_RECEPTION: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
const BEFORE: &str = "Sun, 06 Nov 1994 08:49:36 GMT";
const AFTER: &str = "Sun, 06 Nov 1994 08:49:38 GMT";

/// Header lines: name and value.
type Lines<'a> = &'a [(&'a str, &'a [u8])];

fn headers(lines: Lines<'_>) -> HeaderMap {
    lines
        .iter()
        .map(|(name, value)| {
            (HeaderName::try_from(*name).unwrap(), HeaderValue::from_bytes(value).unwrap())
        })
        .collect()
}

fn if_none_match(lines: &[&[u8]], etag: &[u8]) -> bool {
    let lines: Vec<_> = lines.iter().map(|line| ("if-none-match", *line)).collect();
    not_modified(&headers(&lines), StatusCode::OK, &headers(&[("etag", etag)]), RECEIVED)
}

#[test]
fn entity_tags() {
    type Case<'a> = (&'a [&'a [u8]], &'a [u8], bool);
    let cases: &[Case<'_>] = &[
        (&[b"\"a\""], b"\"a\"", true),
        (&[b"\"a\""], b"\"b\"", false),
        (&[b"\"a\""], b"\"A\"", false),
        (&[b"\"x\", \"a\", \"y\""], b"\"a\"", true),
        (&[b"\"x\",,\"y\" ,\t\"a\""], b"\"a\"", true),
        (&[b"\"x\"", b"\"a\""], b"\"a\"", true),
        (&[b"\"\""], b"\"\"", true),
        // Weak comparison (RFC 9110 §8.8.3.2).
        (&[b"W/\"a\""], b"\"a\"", true),
        (&[b"\"a\""], b"W/\"a\"", true),
        (&[b"W/\"a\""], b"W/\"a\"", true),
        // Commas, backslashes and obs-text belong to the tag.
        (&[b"\"a,b\""], b"\"a,b\"", true),
        (&[b"\"x,a\""], b"\"a\"", false),
        (&[b"\"x,\", \"a\""], b"\"a\"", true),
        (&[b"\"a\\\", \"b\""], b"\"b\"", true),
        (&[b"\"\xfc\""], b"\"\xfc\"", true),
        // `*` alone.
        (&[b"*"], b"\"a\"", true),
        (&[b" * "], b"\"a\"", true),
        (&[b"*, \"b\""], b"\"a\"", false),
        (&[b"*", b"*"], b"\"a\"", false),
        (&[b"\"*\""], b"\"a\"", false),
        // Malformed: no match, and the response is sent whole.
        (&[b""], b"\"a\"", false),
        (&[b"a"], b"\"a\"", false),
        (&[b"a"], b"a", false),
        (&[b"\"a"], b"\"a\"", false),
        (&[b"\"a\"x"], b"\"a\"", false),
        (&[b"\"a\"\"b\""], b"\"a\"", false),
        (&[b"w/\"a\""], b"\"a\"", false),
        (&[b"W/ \"a\""], b"\"a\"", false),
        (&[b"\"a b\""], b"\"a b\"", false),
        (&[b"x, \"a\""], b"\"a\"", false),
        (&[b"\"a\""], b"\"a\", \"b\"", false),
        (&[b"x", b"\"a\""], b"\"a\"", true),
    ];
    for (lines, etag, expected) in cases {
        let text = String::from_utf8_lossy(&lines.join(&b" + "[..])).into_owned();
        assert_eq!(if_none_match(lines, etag), *expected, "{text} / {}", etag.escape_ascii());
    }
}

#[test]
fn a_star_needs_no_tag_but_a_tag_does() {
    let matches = |value: &[u8]| {
        let request = headers(&[("if-none-match", value)]);
        not_modified(&request, StatusCode::OK, &HeaderMap::new(), RECEIVED)
    };
    assert!(matches(b"*"));
    assert!(!matches(b"\"\""));
}

#[test]
fn dates() {
    type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], bool);
    let cases: &[Case<'_>] = &[
        (AT_RECEPTION, &[("last-modified", AT_RECEPTION)], true),
        (AFTER, &[("last-modified", AT_RECEPTION)], true),
        (BEFORE, &[("last-modified", AT_RECEPTION)], false),
        (BEFORE, &[("last-modified", BEFORE), ("date", AFTER)], true),
        (AT_RECEPTION, &[("last-modified", "x"), ("date", BEFORE)], false),
        (AT_RECEPTION, &[("date", AT_RECEPTION)], true),
        (BEFORE, &[("date", AT_RECEPTION)], false),
        (AT_RECEPTION, &[], true),
        (BEFORE, &[], false),
        ("garbage", &[], false),
        ("", &[], false),
        ("Sunday, 06-Nov-94 08:49:37 GMT", &[("last-modified", AT_RECEPTION)], true),
    ];
    for (since, stored, expected) in cases {
        let request = headers(&[("if-modified-since", since.as_bytes())]);
        let lines: Vec<_> = stored.iter().map(|(n, v)| (*n, v.as_bytes())).collect();
        let found = not_modified(&request, StatusCode::OK, &headers(&lines), RECEIVED);
        assert_eq!(found, *expected, "{since} {stored:?}");
    }
    let since = ("if-modified-since", AFTER.as_bytes());
    assert!(!not_modified(&headers(&[since, since]), StatusCode::OK, &headers(&[]), RECEIVED));
}

#[test]
fn tags_come_before_dates() {
    let stored = headers(&[("etag", b"\"a\""), ("last-modified", AT_RECEPTION.as_bytes())]);
    let cases: &[(&[u8], &str, bool)] =
        &[(b"\"a\"", BEFORE, true), (b"\"b\"", AFTER, false), (b"garbage", AFTER, false)];
    for (tag, since, expected) in cases {
        let request = headers(&[("if-none-match", tag), ("if-modified-since", since.as_bytes())]);
        assert_eq!(not_modified(&request, StatusCode::OK, &stored, RECEIVED), *expected);
    }
}

#[test]
fn only_for_successes_and_only_when_asked() {
    let request = headers(&[("if-none-match", b"*")]);
    for (status, expected) in [(200, true), (203, true), (204, true), (301, false), (404, false)] {
        let status = StatusCode::from_u16(status).unwrap();
        assert_eq!(not_modified(&request, status, &HeaderMap::new(), RECEIVED), expected);
    }
    assert!(!not_modified(&HeaderMap::new(), StatusCode::OK, &HeaderMap::new(), RECEIVED));
}

#[test]
fn headers_of_a_304() {
    let kept = [
        "cache-control",
        "content-location",
        "date",
        "etag",
        "expires",
        "vary",
        "age",
        "cache-status",
        "access-control-allow-origin",
        "content-security-policy",
    ];
    let dropped = [
        "content-type",
        "content-length",
        "content-encoding",
        "content-language",
        "content-range",
        "content-digest",
        "content-md5",
        "digest",
        "repr-digest",
        "last-modified",
        "set-cookie",
    ];
    let all: Vec<_> = kept.iter().chain(&dropped).map(|name| (*name, &b"x"[..])).collect();
    let found = not_modified_headers(&headers(&all));
    assert_eq!(found.keys().map(HeaderName::as_str).collect::<Vec<_>>(), kept);
    let modified = headers(&[("last-modified", b"x"), ("vary", b"a"), ("vary", b"b")]);
    assert_eq!(not_modified_headers(&modified), modified);
}

#[test]
fn conditions_are_found_and_stripped() {
    for name in ["if-none-match", "if-modified-since"] {
        let mut request = headers(&[(name, b"x"), ("accept", b"x"), (name, b"y")]);
        assert!(is_conditional(&request));
        strip_conditionals(&mut request);
        assert!(!is_conditional(&request));
        assert_eq!(request, headers(&[("accept", b"x")]));
    }
}

proptest! {
    #[test]
    fn no_bytes_panic(
        tags in proptest::collection::vec(any::<u8>(), 0..48),
        etag in proptest::collection::vec(any::<u8>(), 0..16),
        received: u64,
    ) {
        let value = |bytes: &[u8]| HeaderValue::from_bytes(bytes).ok();
        if let (Some(tags), Some(etag)) = (value(&tags), value(&etag)) {
            for name in [IF_NONE_MATCH, IF_MODIFIED_SINCE] {
                let request = HeaderMap::from_iter([(name, tags.clone())]);
                for name in [ETAG, LAST_MODIFIED] {
                    let stored = HeaderMap::from_iter([(name, etag.clone())]);
                    not_modified(&request, StatusCode::OK, &stored, received);
                }
            }
        }
    }

    /// A list of well-formed tags matches exactly the tags that are in it.
    #[test]
    fn a_list_is_its_members(
        list in proptest::collection::vec("[a-c,\\\\!]{0,3}", 0..5), own in "[a-c,\\\\!]{0,3}",
    ) {
        let line = list.iter().map(|tag| format!("\"{tag}\"")).collect::<Vec<_>>().join(", ");
        let etag = format!("W/\"{own}\"");
        prop_assert_eq!(if_none_match(&[line.as_bytes()], etag.as_bytes()), list.contains(&own));
    }
}
