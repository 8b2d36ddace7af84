use std::collections::BTreeSet;

use http::{HeaderName, HeaderValue};
use proptest::prelude::*;
use sfv::{BareItem, List, ListEntry, Parser};

use super::{headers, lines};
use crate::policy::groups::groups;
use crate::policy::{NoStore, invalidated_groups};

const CACHE_GROUPS: HeaderName = HeaderName::from_static("cache-groups");
const CACHE_GROUP_INVALIDATION: HeaderName = HeaderName::from_static("cache-group-invalidation");
const MOST_BYTES: usize = 256;

const SEEDS: &[&str] = &[
    "\"a\"",
    "\"a\", \"b\";q=1, \"a\"",
    "\"a \\\" \\\\ b\",\"\"",
    "\"article-7\", token",
    "(\"a\" \"b\"), \"c\"",
    "\"0123456789012345678901234567890123456789012345678901234567890123456789\"",
    "",
];

/// The strings of a list that holds nothing else.
fn strings(value: &[u8]) -> Option<BTreeSet<String>> {
    let list = Parser::new(value).parse::<List>().ok()?;
    let string = |member: &ListEntry| match member {
        ListEntry::Item(item) => match &item.bare_item {
            BareItem::String(string) => Some(string.as_str().to_owned()),
            _ => None,
        },
        ListEntry::InnerList(_) => None,
    };
    list.iter().map(string).collect()
}

proptest! {
    #[test]
    fn groups_are_a_list_of_strings(lines in lines(SEEDS), times in 1..9_usize) {
        // Repeated within a string, some names are longer than may be.
        let lines: Vec<_> = lines
            .iter()
            .map(|line| {
                let text = line.as_bytes();
                let grown = match text.strip_prefix(b"\"") {
                    Some(rest) => [b"\"", &b"0123456789abcdefghijklmnopqrstu".repeat(times)[..], rest].concat(),
                    None => text.to_vec(),
                };
                HeaderValue::from_bytes(&grown).unwrap()
            })
            .collect();
        let value = lines.iter().map(HeaderValue::as_bytes).collect::<Vec<_>>().join(&b", "[..]);
        let expected = strings(&value).unwrap_or_default();
        let (short, long): (Vec<_>, Vec<_>) =
            expected.into_iter().partition(|group| group.len() <= MOST_BYTES);

        // Nothing may be stored without a group that it belongs to.
        let found = groups(&headers(&CACHE_GROUPS, &lines));
        let all = if long.is_empty() { Ok(short.clone()) } else { Err(NoStore::Groups) };
        prop_assert_eq!(found, all);
        let found = invalidated_groups(&headers(&CACHE_GROUP_INVALIDATION, &lines));
        prop_assert_eq!(found, short);
    }
}
