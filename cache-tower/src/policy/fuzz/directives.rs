use http::HeaderValue;
use http::header::CACHE_CONTROL;
use proptest::prelude::*;

use super::{headers, lines, value};
use crate::policy::directives::MaxStale;
use crate::policy::{FieldForm, RequestDirectives, ResponseDirectives};

const SEEDS: &[&str] = &[
    "max-age=60",
    "s-maxage=60, max-age=7, public",
    "no-store",
    "no-cache=\"x-a, set-cookie\", max-age=\"5\"",
    "private=\"x-user\" , must-revalidate",
    "stale-while-revalidate=30, stale-if-error=2147483648",
    "max-stale, min-fresh=3",
    "max-stale=10,only-if-cached, no-cache",
    "ext=\"a, no-store, \\\" b\", immutable, must-understand",
    "",
];

/// The directives of a line without any quotes, as RFC 9111 §5.2 has them: names and arguments.
fn members(line: &HeaderValue) -> Option<Vec<(String, Option<String>)>> {
    let text: String = line.as_bytes().iter().copied().map(char::from).collect();
    let member = |member: &str| match member.split_once('=') {
        Some((name, argument)) => (name.to_lowercase(), Some(argument.to_owned())),
        None => (member.to_lowercase(), None),
    };
    let trim = |c: char| matches!(c, ' ' | '\t');
    (!text.contains('"')).then(|| text.split(',').map(|m| member(m.trim_matches(trim))).collect())
}

/// The smallest number that a directive has; what is no number counts as 0 (RFC 9111 §4.2.1).
fn seconds(members: &[(String, Option<String>)], name: &str) -> Option<u32> {
    let number = |digits: &str| match digits.parse::<u128>() {
        Ok(number) if !digits.starts_with('+') => u32::try_from(number.min(1 << 31)).unwrap(),
        _ if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) => 1 << 31,
        _ => 0,
    };
    let named = members.iter().filter(|(n, _)| n.trim_end_matches([' ', '\t']) == name);
    let spaced = |n: &str| n.ends_with([' ', '\t']);
    named.map(|(n, v)| v.as_deref().filter(|_| !spaced(n)).map_or(0, number)).min()
}

/// Of two answers the stricter one.
fn least(one: Option<u32>, other: Option<u32>) -> Option<u32> {
    one.into_iter().chain(other).min()
}

fn both(one: FieldForm, other: FieldForm) -> FieldForm {
    match (one, other) {
        (FieldForm::Absent, form) | (form, FieldForm::Absent) => form,
        (FieldForm::Fields(one), FieldForm::Fields(other)) => {
            FieldForm::Fields([one, other].concat())
        }
        _ => FieldForm::All,
    }
}

proptest! {
    #[test]
    fn a_line_without_quotes_says_what_it_says(line in value(SEEDS)) {
        if let Some(members) = members(&line) {
            let found = ResponseDirectives::parse([&line]);
            let has = |name: &str| {
                members.iter().any(|(n, _)| n.trim_end_matches([' ', '\t']) == name)
            };
            prop_assert_eq!(found.no_store, has("no-store"));
            prop_assert_eq!(found.must_revalidate, has("must-revalidate"));
            prop_assert_eq!(found.private != FieldForm::Absent, has("private"));
            prop_assert_eq!(found.no_cache != FieldForm::Absent, has("no-cache"));
            prop_assert_eq!(found.max_age, seconds(&members, "max-age"));
            prop_assert_eq!(found.s_maxage, seconds(&members, "s-maxage"));
            prop_assert_eq!(found.stale_if_error, seconds(&members, "stale-if-error"));
        }
    }

    #[test]
    fn several_lines_say_what_each_of_them_says(lines in lines(SEEDS)) {
        let found = ResponseDirectives::from_headers(&headers(&CACHE_CONTROL, &lines));
        let joined = lines.iter().map(|line| ResponseDirectives::parse([line])).reduce(|a, b| {
            ResponseDirectives {
                max_age: least(a.max_age, b.max_age),
                s_maxage: least(a.s_maxage, b.s_maxage),
                stale_while_revalidate: least(a.stale_while_revalidate, b.stale_while_revalidate),
                stale_if_error: least(a.stale_if_error, b.stale_if_error),
                no_cache: both(a.no_cache, b.no_cache),
                private: both(a.private, b.private),
                no_store: a.no_store || b.no_store,
                public: a.public || b.public,
                must_revalidate: a.must_revalidate || b.must_revalidate,
                proxy_revalidate: a.proxy_revalidate || b.proxy_revalidate,
                must_understand: a.must_understand || b.must_understand,
                immutable: a.immutable || b.immutable,
                targeted: false,
            }
        });
        prop_assert_eq!(found, joined.unwrap_or_default());
    }

    #[test]
    fn requests_say_the_same_in_any_order(mut lines in lines(SEEDS)) {
        let found = RequestDirectives::parse(&headers(&CACHE_CONTROL, &lines));
        for seconds in [found.max_age, found.min_fresh, found.stale_if_error] {
            prop_assert!(seconds <= Some(1 << 31));
        }
        if let Some(MaxStale::Within(seconds)) = found.max_stale {
            prop_assert!(seconds <= 1 << 31);
        }
        lines.reverse();
        prop_assert_eq!(RequestDirectives::parse(&headers(&CACHE_CONTROL, &lines)), found);
    }

    /// Whatever stands before it, in its line or in others.
    #[test]
    fn a_last_no_store_is_found(lines in lines(SEEDS), last in value(SEEDS)) {
        let last = [last.as_bytes(), b",no-store"].concat();
        let last = HeaderValue::from_bytes(&last).unwrap();
        let headers = headers(&CACHE_CONTROL, lines.iter().chain([&last]));
        prop_assert!(RequestDirectives::parse(&headers).no_store);
        prop_assert!(ResponseDirectives::from_headers(&headers).no_store);
    }
}
