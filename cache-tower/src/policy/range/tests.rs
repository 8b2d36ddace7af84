use http::HeaderValue;
use proptest::prelude::*;

use super::*;

const MODIFIED: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
const A_SECOND_LATER: &str = "Sun, 06 Nov 1994 08:49:38 GMT";

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

/// What a `Range` selects of a 200 with ten bytes.
fn of_ten(range: &[u8]) -> Ranged {
    ranged(&headers(&[("range", range)]), StatusCode::OK, &HeaderMap::new(), 10)
}

#[test]
fn one_range() {
    use Ranged::{Part, Unsatisfiable, Whole};
    let cases: &[(&[u8], Ranged)] = &[
        (b"bytes=0-0", Part(0..1)),
        (b"bytes=2-4", Part(2..5)),
        (b"bytes=0-9", Part(0..10)),
        (b"bytes=9-9", Part(9..10)),
        // Longer than there is.
        (b"bytes=4-10", Part(4..10)),
        (b"bytes=4-99999999999999999999999999", Part(4..10)),
        // To the end.
        (b"bytes=0-", Part(0..10)),
        (b"bytes=7-", Part(7..10)),
        // The last so many.
        (b"bytes=-3", Part(7..10)),
        (b"bytes=-10", Part(0..10)),
        (b"bytes=-99999999999999999999999999", Part(0..10)),
        (b"bytes=0002-0004", Part(2..5)),
        // Range units are case-insensitive; empty members of a list don't count.
        (b"BYTES=2-4", Part(2..5)),
        (b"bytes=,2-4 ,,", Part(2..5)),
        // Not in it.
        (b"bytes=10-", Unsatisfiable),
        (b"bytes=10-20", Unsatisfiable),
        (b"bytes=99999999999999999999999999-", Unsatisfiable),
        (b"bytes=-0", Unsatisfiable),
        (b"bytes=10-, 20-30", Unsatisfiable),
        // Several.
        (b"bytes=0-1, 3-4", Whole),
        (b"bytes=0-1, 30-40", Whole),
        (b"bytes=30-40, -1", Whole),
    ];
    for (range, expected) in cases {
        assert_eq!(of_ten(range), *expected, "{:?}", String::from_utf8_lossy(range));
    }
}

#[test]
fn what_can_not_be_read_is_ignored() {
    let cases: &[&[u8]] = &[
        b"",
        b"bytes",
        b"bytes=",
        b"bytes=,",
        b"bytes=-",
        b"bytes=a-b",
        b"bytes=1",
        b"bytes=4-2",
        b"bytes=--1",
        b"bytes=1-2-3",
        b"bytes=+1-2",
        b"bytes=0x1-2",
        b"bytes=1 - 2",
        b"bytes=-1-",
        b"bytes =0-1",
        b"bytes:0-1",
        b"=0-1",
        b"0-1",
        b"bytes=0-1;2-3",
        b"bytes=0-1, x",
        b"bytes=x, 0-1",
        b"bytes=\xff-",
        b"items=0-1",
        b"none",
        b"bytesx=0-1",
        b"bytes=20-, 4-2",
    ];
    for range in cases {
        assert_eq!(of_ten(range), Ranged::Whole, "{:?}", String::from_utf8_lossy(range));
    }
    // A field of one value that has two.
    let twice = headers(&[("range", b"bytes=0-1"), ("range", b"bytes=0-1")]);
    assert_eq!(ranged(&twice, StatusCode::OK, &HeaderMap::new(), 10), Ranged::Whole);
    assert_eq!(ranged(&HeaderMap::new(), StatusCode::OK, &HeaderMap::new(), 10), Ranged::Whole);
}

#[test]
fn only_a_200_with_content_has_parts() {
    let request = headers(&[("range", b"bytes=0-1")]);
    let beyond = headers(&[("range", b"bytes=50-")]);
    for status in [201, 203, 204, 206, 301, 404, 416, 500] {
        let status = StatusCode::from_u16(status).unwrap();
        for request in [&request, &beyond] {
            assert_eq!(ranged(request, status, &HeaderMap::new(), 10), Ranged::Whole, "{status}");
        }
    }
    for range in [&b"bytes=0-"[..], b"bytes=-1", b"bytes=5-"] {
        let request = headers(&[("range", range)]);
        assert_eq!(ranged(&request, StatusCode::OK, &HeaderMap::new(), 0), Ranged::Whole);
    }
}

#[test]
fn if_range() {
    let tagged: Lines<'_> = &[("etag", b"\"a\""), ("last-modified", MODIFIED.as_bytes())];
    let dated: Lines<'_> =
        &[("last-modified", MODIFIED.as_bytes()), ("date", A_SECOND_LATER.as_bytes())];
    let date = MODIFIED.as_bytes();
    let cases: &[(&[&[u8]], Lines<'_>, bool)] = &[
        (&[b"\"a\""], tagged, true),
        (&[b" \"a\" "], tagged, true),
        (&[b"\"b\""], tagged, false),
        (&[b"\"a\""], dated, false),
        // Strong comparison (RFC 9110 §8.8.3.2).
        (&[b"W/\"a\""], tagged, false),
        (&[b"W/\"a\""], &[("etag", b"W/\"a\"")], false),
        (&[b"\"a\""], &[("etag", b"W/\"a\"")], false),
        (&[b"\"\xfc,\""], &[("etag", b"\"\xfc,\"")], true),
        // One tag, no list, no `*`.
        (&[b"\"a\", \"b\""], tagged, false),
        (&[b"*"], tagged, false),
        (&[b"a"], tagged, false),
        (&[b"a"], &[("etag", b"a")], false),
        (&[b""], tagged, false),
        (&[b"\"a\"", b"\"a\""], tagged, false),
        (&[b"\"a\""], &[("etag", b"\"a\""), ("etag", b"\"b\"")], false),
        (&[date], dated, true),
        (&[b"Sunday, 06-Nov-94 08:49:37 GMT"], dated, true),
        // Neither earlier nor later will do (RFC 9110 §13.1.5).
        (&[A_SECOND_LATER.as_bytes()], dated, false),
        (&[b"Sun, 06 Nov 1994 08:49:36 GMT"], dated, false),
        (&[b"yesterday"], dated, false),
        // A weak date: sent within the second of the change, or nobody knows when.
        (&[date], &[("last-modified", date), ("date", date)], false),
        (&[date], &[("last-modified", date)], false),
        (&[date], &[("last-modified", date), ("date", b"then")], false),
        (&[date], &[("date", A_SECOND_LATER.as_bytes())], false),
        (&[date], &[], false),
    ];
    for (lines, stored, fits) in cases {
        let mut request = headers(&[("range", b"bytes=0-1")]);
        for line in *lines {
            request.append(IF_RANGE, HeaderValue::from_bytes(line).unwrap());
        }
        let expected = if *fits { Ranged::Part(0..2) } else { Ranged::Whole };
        let found = ranged(&request, StatusCode::OK, &headers(stored), 10);
        assert_eq!(found, expected, "{lines:?} {stored:?}");
        // What the client has is outdated: it is no use telling it that its range is beyond.
        request.insert(RANGE, HeaderValue::from_static("bytes=50-"));
        let expected = if *fits { Ranged::Unsatisfiable } else { Ranged::Whole };
        let found = ranged(&request, StatusCode::OK, &headers(stored), 10);
        assert_eq!(found, expected, "{lines:?} {stored:?}");
        // RFC 9110 §13.1.5: without Range it means nothing.
        request.remove(RANGE);
        let found = ranged(&request, StatusCode::OK, &headers(stored), 10);
        assert_eq!(found, Ranged::Whole, "{lines:?} {stored:?}");
    }
}

#[test]
fn the_headers_of_a_part() {
    let stored: Lines<'_> = &[
        ("content-type", b"text/plain"),
        ("content-length", b"10"),
        ("etag", b"\"a\""),
        ("content-range", b"confused"),
        ("content-digest", b"x"),
        ("content-md5", b"x"),
        ("repr-digest", b"y"),
        ("cache-control", b"max-age=60"),
        ("content-encoding", b"gzip"),
    ];
    let mut part = headers(stored);
    part_headers(&mut part, &(2..5), 10).unwrap();
    let expected = headers(&[
        ("content-type", b"text/plain"),
        ("content-length", b"3"),
        ("etag", b"\"a\""),
        ("content-range", b"bytes 2-4/10"),
        ("repr-digest", b"y"),
        ("cache-control", b"max-age=60"),
        ("content-encoding", b"gzip"),
    ]);
    assert_eq!(part, expected);
}

#[test]
fn the_headers_of_a_416_do_not_let_it_be_stored() {
    let stored: Lines<'_> = &[
        ("content-type", b"text/plain"),
        ("content-length", b"10"),
        ("etag", b"\"a\""),
        ("cache-control", b"max-age=60"),
        ("cdn-cache-control", b"max-age=60"),
        ("expires", b"tomorrow"),
        ("age", b"5"),
        ("access-control-allow-origin", b"*"),
        ("content-encoding", b"gzip"),
        ("set-cookie", b"a=b"),
    ];
    let expected = headers(&[
        ("content-range", b"bytes */10"),
        ("etag", b"\"a\""),
        ("cache-control", b"no-store"),
        ("age", b"5"),
        ("access-control-allow-origin", b"*"),
    ]);
    assert_eq!(unsatisfiable_headers(&headers(stored), 10), expected);
}

proptest! {
    /// Whatever the bytes: a part is never empty, and lies in the body.
    #[test]
    fn no_part_is_beyond_the_end(
        range in prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..32).boxed(),
            "bytes=[0-9]{0,21}-[0-9]{0,21}(,[0-9 ]{0,3}-[0-9]{0,3})?".prop_map(String::into_bytes)
                .boxed(),
        ],
        condition in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..32)),
        length in prop_oneof![0..32_usize, any::<usize>()],
    ) {
        let lines = [("range", Some(range)), ("if-range", condition)];
        let request: HeaderMap = lines
            .into_iter()
            .filter_map(|(name, value)| {
                let value = HeaderValue::from_bytes(&value?).ok()?;
                Some((HeaderName::from_static(name), value))
            })
            .collect();
        if let Ranged::Part(part) = ranged(&request, StatusCode::OK, &HeaderMap::new(), length) {
            prop_assert!(part.start < part.end && part.end <= length);
        }
    }

    /// As the naive reading of RFC 9110 §14.1.2 has it.
    #[test]
    fn as_a_slice_would_be(first in 0..40_usize, last in 0..40_usize, length in 1..32_usize) {
        let found = |range: String| {
            let request = headers(&[("range", range.as_bytes())]);
            match ranged(&request, StatusCode::OK, &HeaderMap::new(), length) {
                Ranged::Whole => None,
                Ranged::Part(part) => Some(part.collect::<Vec<_>>()),
                Ranged::Unsatisfiable => Some(Vec::new()),
            }
        };
        let bytes = 0..length;
        let between = bytes.clone().filter(|at| first <= *at && *at <= last).collect();
        let expected = (first <= last).then_some(between);
        prop_assert_eq!(found(format!("bytes={first}-{last}")), expected);
        let from = bytes.clone().filter(|at| first <= *at).collect();
        prop_assert_eq!(found(format!("bytes={first}-")), Some(from));
        let at_the_end = bytes.filter(|at| length - *at <= last).collect();
        prop_assert_eq!(found(format!("bytes=-{last}")), Some(at_the_end));
    }
}
