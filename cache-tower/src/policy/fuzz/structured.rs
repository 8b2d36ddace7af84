use std::borrow::Cow;
use std::collections::BTreeMap;

use http::{HeaderName, HeaderValue};
use proptest::prelude::*;
use sfv::{BareItem, Dictionary, ListEntry, Parser};

use super::{headers, lines};
use crate::policy::structured::combined;
use crate::policy::{FieldForm, ResponseDirectives, applicable};

const CDN: HeaderName = HeaderName::from_static("cdn-cache-control");

const SEEDS: &[&str] = &[
    "max-age=60",
    "max-age=60;a=1, s-maxage=0, public",
    "no-store, private=\"x-user, x-b\", no-cache=?0",
    "stale-while-revalidate=(1 2);q, stale-if-error=-999999999999999",
    "must-revalidate, max-age=:YWJj:, immutable, proxy-revalidate=?1",
    "a=tok, b=1.5, c=@1659578233, d=%\"f%c3%bc\", must-understand",
    "max-age=5, max-age=\"5\"",
    "",
];

/// The same read the other way round: the whole tree first, then the directives in it.
fn read(tree: &Dictionary) -> ResponseDirectives {
    let members: BTreeMap<&str, Option<&BareItem>> = tree
        .iter()
        .map(|(name, member)| match member {
            ListEntry::Item(item) => (name.as_str(), Some(&item.bare_item)),
            ListEntry::InnerList(_) => (name.as_str(), None),
        })
        .collect();
    let has = |name: &str| members.contains_key(name);
    let is_true = |name| matches!(members.get(name), Some(Some(BareItem::Boolean(true))));
    let seconds = |name| {
        members.get(name).map(|member| match member {
            Some(BareItem::Integer(number)) => {
                u32::try_from(i64::from(*number).clamp(0, 1 << 31)).unwrap()
            }
            _ => 0,
        })
    };
    let form = |name| match members.get(name) {
        None => FieldForm::Absent,
        Some(Some(BareItem::String(names))) => FieldForm::of_list(names.as_str().as_bytes()),
        Some(_) => FieldForm::All,
    };
    ResponseDirectives {
        max_age: seconds("max-age"),
        s_maxage: seconds("s-maxage"),
        stale_while_revalidate: seconds("stale-while-revalidate"),
        stale_if_error: seconds("stale-if-error"),
        no_cache: form("no-cache"),
        private: form("private"),
        no_store: has("no-store"),
        public: is_true("public"),
        must_revalidate: has("must-revalidate"),
        proxy_revalidate: has("proxy-revalidate"),
        must_understand: is_true("must-understand"),
        immutable: is_true("immutable"),
        targeted: true,
    }
}

proptest! {
    /// RFC 9213 §2.1, §2.2.
    #[test]
    fn a_targeted_field_is_read_whole_or_not_at_all(lines in lines(SEEDS)) {
        let headers = headers(&CDN, &lines);
        let value = lines.iter().map(HeaderValue::as_bytes).collect::<Vec<_>>().join(&b", "[..]);
        let whole = combined(&headers, &CDN).map(Cow::into_owned);
        prop_assert_eq!(whole, (!lines.is_empty()).then(|| value.clone()));
        let tree = Parser::new(&value).parse::<Dictionary>().unwrap_or_default();
        let expected = if tree.is_empty() { ResponseDirectives::default() } else { read(&tree) };
        prop_assert_eq!(applicable(&headers, &[CDN]), expected);
    }
}
