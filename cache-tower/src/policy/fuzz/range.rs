use http::header::{CONTENT_RANGE, ETAG, IF_RANGE, RANGE};
use http::{HeaderMap, HeaderValue, StatusCode};
use proptest::prelude::*;

use super::{headers, lines, value};
use crate::policy::{Part, Ranged, part_headers, ranged};

const RANGES: &[&str] = &[
    "bytes=0-4",
    "bytes=3-",
    "bytes=-3",
    "bytes=0-0, 5-6",
    "BYTES=1-1,",
    "bytes=5-2",
    "bytes=0-18446744073709551615",
    "lines=1-2",
    "",
];

const PLACES: &[&str] = &["bytes 0-4/10", "bytes 5-9/10", "bytes */10", "bytes 0-0/*", ""];

/// What the only range selects, told in words of RFC 9110 §14.1.2; `None` if it isn't one range of
/// plain numbers.
fn selected(line: &[u8], length: u128) -> Option<Vec<u128>> {
    let text = std::str::from_utf8(line).ok()?.to_lowercase();
    let (first, last) = text.strip_prefix("bytes=")?.split_once('-')?;
    let number = |digits: &str| {
        let plain = digits.len() < 30 && digits.bytes().all(|byte| byte.is_ascii_digit());
        plain.then(|| digits.parse::<u128>().ok()).flatten()
    };
    let all = 0..length;
    match (number(first), number(last)) {
        (Some(first), Some(last)) if first <= last => {
            Some(all.filter(|at| (first..=last).contains(at)).collect())
        }
        (Some(first), None) if last.is_empty() => Some(all.filter(|at| *at >= first).collect()),
        (None, Some(count)) if first.is_empty() => {
            Some(all.filter(|at| length - at <= count).collect())
        }
        _ => None,
    }
}

proptest! {
    #[test]
    fn a_part_is_what_was_asked_for(lines in lines(RANGES), length in 0..12_usize) {
        let request = headers(&RANGE, &lines);
        let found = ranged(&request, StatusCode::OK, &HeaderMap::new(), length);
        let expected = match lines.as_slice() {
            [line] if length > 0 => selected(line.as_bytes(), length as u128),
            _ => None,
        };
        match (found, expected) {
            (Ranged::Part(part), Some(bytes)) => {
                prop_assert_eq!(part.clone().map(|at| at as u128).collect::<Vec<_>>(), bytes);
                let mut headers = HeaderMap::new();
                part_headers(&mut headers, &part, length).unwrap();
                prop_assert_eq!(Part::of(&headers), Some(Part { range: part, complete: length }));
            }
            (Ranged::Unsatisfiable, Some(bytes)) => prop_assert_eq!(bytes, []),
            (found, Some(_)) => prop_assert!(false, "{:?}", found),
            // Several ranges of which one only can be satisfied, or what is no range at all.
            (Ranged::Part(part), None) => {
                prop_assert!(lines.len() == 1 && part.start < part.end && part.end <= length);
            }
            (Ranged::Whole | Ranged::Unsatisfiable, None) => {}
        }
    }

    /// RFC 9110 §13.1.5.
    #[test]
    fn a_condition_that_does_not_hold_gives_the_whole(line in value(&["\"a\"", "W/\"a\"", "\"a\", \"b\""])) {
        let stored = HeaderMap::from_iter([(ETAG, HeaderValue::from_static("\"a\""))]);
        let mut request = headers(&IF_RANGE, [&line]);
        request.insert(RANGE, HeaderValue::from_static("bytes=0-0"));
        let found = ranged(&request, StatusCode::OK, &stored, 2);
        let holds = line.as_bytes().trim_ascii() == b"\"a\"";
        prop_assert_eq!(found, if holds { Ranged::Part(0..1) } else { Ranged::Whole });
    }

    #[test]
    fn parts_lie_within_the_whole(one in value(PLACES), other in value(PLACES)) {
        let part = |line| Part::of(&headers(&CONTENT_RANGE, [line]));
        let parts: Vec<_> = [&one, &other].into_iter().filter_map(part).collect();
        for part in &parts {
            prop_assert!(part.range.start < part.range.end && part.range.end <= part.complete);
            prop_assert_eq!(part.union(part), Some(part.clone()));
        }
        if let [one, other] = parts.as_slice() {
            let both = one.union(other);
            prop_assert_eq!(&both, &other.union(one));
            if let Some(both) = both {
                prop_assert!(both.range.len() <= one.range.len() + other.range.len());
                prop_assert!(both.range.end <= both.complete);
            }
        }
    }
}
