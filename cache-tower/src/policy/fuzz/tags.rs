use http::header::{ETAG, IF_NONE_MATCH};
use http::{HeaderMap, HeaderValue, StatusCode};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::{headers, lines, value};
use crate::policy::range::strong_tag;
use crate::policy::{has_strong_validator, not_modified, share_strong_validator};

const SEEDS: &[&str] =
    &["\"a\"", "W/\"a\"", "\"a,b\", W/\"c\"", "\"\"", "*", "\"a\" , , \"\u{e9}\"", ""];

/// Opaque parts, of which none is part of another's text in a confusing way by accident only.
const OPAQUE: &[&str] = &["", "a", "b", "a,b", "W/", "*", "\\", "\u{e9}", "a, W/"];

fn matches(request: &HeaderMap, etag: &HeaderValue) -> bool {
    let stored = headers(&ETAG, [etag]);
    not_modified(request, StatusCode::OK, &stored, 0)
}

proptest! {
    /// RFC 9110 §13.1.2, §8.8.3.2: of a well-formed list, any member that has the same opaque part.
    #[test]
    fn a_list_matches_what_it_names(
        list in vec((any::<bool>(), select(OPAQUE), select(&[",", ", ", " ,\t", ",, "][..])), 0..5),
        weak: bool,
        own in select(OPAQUE),
    ) {
        // White space is no part of a tag (RFC 9110 §8.8.3).
        let clean = |opaque: &str| !opaque.contains(' ');
        let tag = |weak: bool, opaque: &str| format!("{}\"{opaque}\"", if weak { "W/" } else { "" });
        let list: Vec<_> = list.into_iter().filter(|(_, opaque, _)| clean(opaque)).collect();
        let text: String =
            list.iter().map(|(weak, opaque, comma)| tag(*weak, opaque) + comma).collect();
        let request = headers(&IF_NONE_MATCH, [&HeaderValue::try_from(text).unwrap()]);
        let named = clean(own) && list.iter().any(|(_, opaque, _)| *opaque == own);
        let etag = HeaderValue::try_from(tag(weak, own)).unwrap();
        prop_assert_eq!(matches(&request, &etag), named);
    }

    /// However a condition is broken, what matches stands in it, between quotes.
    #[test]
    fn what_matches_was_named(lines in lines(SEEDS), etag in value(SEEDS)) {
        let request = headers(&IF_NONE_MATCH, &lines);
        if matches(&request, &etag) {
            let opaque = etag.as_bytes().trim_ascii();
            let opaque = opaque.strip_prefix(b"W/").unwrap_or(opaque);
            let names = |line: &HeaderValue| {
                let any = lines.len() == 1 && line.as_bytes().trim_ascii() == b"*";
                any || line.as_bytes().windows(opaque.len()).any(|part| part == opaque)
            };
            prop_assert!(lines.iter().any(names), "{:?}", opaque);
        }
    }

    /// RFC 9110 §8.8.3.2: strongly, only what is equal, and no weak tag even then.
    #[test]
    fn strong_tags_are_equal(one in value(SEEDS), other in value(SEEDS)) {
        let (a, b) = (headers(&ETAG, [&one]), headers(&ETAG, [&other]));
        let shared = share_strong_validator(&a, &b);
        let equal = one.as_bytes().trim_ascii() == other.as_bytes().trim_ascii();
        prop_assert_eq!(shared, equal && has_strong_validator(&a));
        if let Some(tag) = strong_tag(&one) {
            prop_assert_eq!([b"\"", tag, b"\""].concat(), one.as_bytes().trim_ascii());
        }
    }
}
