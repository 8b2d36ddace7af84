use super::*;
use crate::policy::tests::headers;

const MODIFIED: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

#[test]
fn stored_validators_become_conditions() {
    let (tag, modified) = (("etag", "W/\"a\""), ("last-modified", MODIFIED));
    let (match_, since) = (("if-none-match", "W/\"a\""), ("if-modified-since", MODIFIED));
    for (stored, conditions) in [
        (&[tag, modified][..], &[match_, since][..]),
        (&[tag], &[match_]),
        (&[modified], &[since]),
        (&[("date", MODIFIED)], &[]),
    ] {
        let mut request = headers(&[("if-none-match", "\"client's\"")]);
        request.remove("if-none-match");
        let stored = headers(stored);
        assert_eq!(add_conditions(&mut request, &stored), !conditions.is_empty());
        assert_eq!(has_validator(&stored), !conditions.is_empty());
        assert_eq!(request, headers(conditions));
    }
}

#[test]
fn an_update_is_about_what_has_its_validators() {
    let stored = headers(&[("etag", "\"a\""), ("last-modified", MODIFIED)]);
    for (update, expected) in [
        (&[][..], true),
        (&[("etag", "\"a\"")], true),
        (&[("etag", "W/\"a\"")], true),
        (&[("etag", "\"b\""), ("last-modified", MODIFIED)], false),
        (&[("last-modified", MODIFIED)], true),
        (&[("last-modified", "Mon, 07 Nov 1994 08:49:37 GMT")], false),
    ] {
        assert_eq!(is_about(&stored, &headers(update)), expected, "{update:?}");
    }
    assert!(!is_about(&headers(&[]), &headers(&[("etag", "\"a\"")])));
    let weak = headers(&[("etag", "W/\"a\"")]);
    assert!(is_about(&weak, &headers(&[("etag", "W/\"a\"")])));
    assert!(!is_about(&weak, &headers(&[("etag", "\"a\"")])));
}

#[test]
fn an_update_replaces_what_it_says_and_nothing_that_speaks_of_the_bytes() {
    let stored = headers(&[
        ("cache-control", "max-age=1"),
        ("link", "<a>"),
        ("link", "<b>"),
        ("etag", "\"a\""),
        ("content-length", "5"),
        ("content-encoding", "gzip"),
        ("content-type", "text/plain"),
        ("date", MODIFIED),
        ("x-kept", "1"),
    ]);
    let update = headers(&[
        ("cache-control", "max-age=9"),
        ("link", "<c>"),
        ("etag", "W/\"a\""),
        ("content-length", "0"),
        ("content-encoding", "br"),
        ("content-range", "bytes 0-1/2"),
        ("content-md5", "x"),
        ("content-digest", "x"),
        ("repr-digest", "x"),
        ("digest", "x"),
        ("content-type", "text/html"),
        ("set-cookie", "a=b"),
        ("connection", "x-hop, close"),
        ("x-hop", "1"),
        ("age", "3"),
        ("x-new", "2"),
    ]);
    let expected = headers(&[
        ("cache-control", "max-age=9"),
        ("link", "<c>"),
        ("etag", "\"a\""),
        ("content-length", "5"),
        ("content-encoding", "gzip"),
        ("content-type", "text/html"),
        ("date", "Thu, 01 Jan 1970 00:00:09 GMT"),
        ("x-kept", "1"),
        ("age", "3"),
        ("x-new", "2"),
    ]);
    assert_eq!(freshened(&stored, &update, 9_000), expected);
    // An age is of one answer.
    let aged = headers(&[("age", "3")]);
    assert!(!freshened(&aged, &headers(&[]), 9_000).contains_key("age"));
    // Its date, if it has one.
    let dated = freshened(&stored, &headers(&[("date", "Mon, 07 Nov 1994 08:49:37 GMT")]), 9_000);
    assert_eq!(dated["date"], "Mon, 07 Nov 1994 08:49:37 GMT");
}

#[test]
fn vary_is_compared_as_a_set() {
    for (stored, update, otherwise) in [
        ("accept, cookie", "Cookie,  accept", false),
        ("accept", "accept, cookie", true),
        ("accept", "*", true),
    ] {
        let (stored, update) = (headers(&[("vary", stored)]), headers(&[("vary", update)]));
        assert_eq!(varies_otherwise(&stored, &update), otherwise);
        assert!(!varies_otherwise(&stored, &headers(&[])));
        assert!(varies_otherwise(&headers(&[]), &update));
    }
}
