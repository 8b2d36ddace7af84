use proptest::prelude::*;

use super::*;
use crate::policy::tests::headers;

fn part(range: Range<usize>, complete: usize) -> Part {
    Part { range, complete }
}

#[test]
fn what_a_206_says_it_is() {
    let cases: &[(&str, Option<Part>)] = &[
        ("bytes 0-4/10", Some(part(0..5, 10))),
        ("Bytes 9-9/10", Some(part(9..10, 10))),
        ("bytes 0-9/10", Some(part(0..10, 10))),
        ("bytes 0-10/10", None),
        ("bytes 5-4/10", None),
        ("bytes 0-4/*", None),
        ("bytes */10", None),
        ("bytes 0-4", None),
        ("bytes=0-4/10", None),
        ("bytes  0-4/10", None),
        ("bytes 0-4/10/10", None),
        ("lines 0-4/10", None),
        ("bytes -4/10", None),
        ("bytes 0-/10", None),
        ("bytes 0-99999999999999999999999/99999999999999999999999", None),
        ("", None),
    ];
    for (text, expected) in cases {
        assert_eq!(Part::of(&headers(&[("content-range", text)])), *expected, "{text}");
    }
    assert_eq!(Part::of(&HeaderMap::new()), None);
    let two = headers(&[("content-range", "bytes 0-4/10"), ("content-range", "bytes 0-4/10")]);
    assert_eq!(Part::of(&two), None);
}

#[test]
fn parts_that_meet_make_one() {
    let cases = [
        (0..5, 5..10, Some(0..10)),
        (0..6, 4..10, Some(0..10)),
        (0..10, 3..4, Some(0..10)),
        (2..3, 3..4, Some(2..4)),
        (0..4, 5..10, None),
    ];
    for (one, other, expected) in cases {
        let (one, other) = (part(one, 10), part(other, 10));
        let expected = expected.map(|range| part(range, 10));
        assert_eq!(one.union(&other), expected);
        assert_eq!(other.union(&one), expected);
    }
    assert_eq!(part(0..5, 10).union(&part(5..10, 11)), None);
    assert!(part(0..10, 10).is_complete());
    assert!(!part(0..9, 10).is_complete() && !part(1..10, 10).is_complete());
}

#[test]
fn only_the_same_strong_tag_makes_parts_of_one() {
    let cases = [
        (Some("\"a\""), Some("\"a\""), true),
        (Some("\"a\""), Some("\"b\""), false),
        (Some("W/\"a\""), Some("W/\"a\""), false),
        (Some("W/\"a\""), Some("\"a\""), false),
        (Some("\"a\""), None, false),
        (Some("a"), Some("a"), false),
        (None, None, false),
    ];
    for (one, other, expected) in cases {
        let tagged = |tag: Option<&str>| {
            let dated = ("last-modified", "Sun, 06 Nov 1994 08:49:37 GMT");
            headers(&tag.map(|tag| ("etag", tag)).into_iter().chain([dated]).collect::<Vec<_>>())
        };
        let (left, right) = (tagged(one), tagged(other));
        assert_eq!(share_strong_validator(&left, &right), expected, "{one:?} {other:?}");
        assert_eq!(share_strong_validator(&right, &left), expected, "{one:?} {other:?}");
    }
}

#[test]
fn the_new_one_s_headers_win() {
    let stored = headers(&[
        ("age", "0"),
        ("cache-status", "c; hit"),
        ("content-length", "5"),
        ("content-range", "bytes 0-4/10"),
        ("content-type", "text/plain"),
        ("x-a", "1"),
        ("x-a", "2"),
        ("x-b", "1"),
        ("x-b", "2"),
    ]);
    let new = headers(&[("x-a", "3"), ("date", "now")]);
    let expected = headers(&[
        ("x-a", "3"),
        ("date", "now"),
        ("content-type", "text/plain"),
        ("x-b", "1"),
        ("x-b", "2"),
    ]);
    assert_eq!(combined_headers(&stored, new), expected);
}

proptest! {
    #[test]
    fn no_value_is_a_part_beyond_the_end(text in "(bytes )?[0-9]{0,22}-[0-9]{0,22}/[0-9*]{0,22}") {
        if let Some(part) = Part::of(&headers(&[("content-range", &text)])) {
            prop_assert!(part.range.start < part.range.end && part.range.end <= part.complete);
        }
    }
}
