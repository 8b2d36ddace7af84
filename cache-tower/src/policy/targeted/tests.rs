use http::HeaderValue;
use proptest::prelude::*;

use super::*;
use crate::policy::{Exchange, Freshness, FreshnessSource};

const CDN: HeaderName = HeaderName::from_static("cdn-cache-control");
const OWN: HeaderName = HeaderName::from_static("shop-cache-control");

fn header_map(lines: &[(&str, &str)]) -> HeaderMap {
    let line = |(name, value): &(&str, &str)| {
        (HeaderName::try_from(*name).unwrap(), HeaderValue::from_bytes(value.as_bytes()).unwrap())
    };
    lines.iter().map(line).collect()
}

fn none() -> ResponseDirectives {
    ResponseDirectives { targeted: true, ..ResponseDirectives::default() }
}

fn fields(names: &[&'static str]) -> FieldForm {
    FieldForm::Fields(names.iter().map(|name| HeaderName::from_static(name)).collect())
}

#[test]
fn directives_and_their_types() {
    let cases = [
        ("max-age=60", ResponseDirectives { max_age: Some(60), ..none() }),
        ("s-maxage=60", ResponseDirectives { s_maxage: Some(60), ..none() }),
        ("max-age=999999999999999", ResponseDirectives { max_age: Some(1 << 31), ..none() }),
        (
            "stale-while-revalidate=1, stale-if-error=2",
            ResponseDirectives {
                stale_while_revalidate: Some(1),
                stale_if_error: Some(2),
                ..none()
            },
        ),
        (
            "public,immutable,\tmust-understand",
            ResponseDirectives { public: true, immutable: true, must_understand: true, ..none() },
        ),
        (
            "no-store, must-revalidate=?1, proxy-revalidate",
            ResponseDirectives {
                no_store: true,
                must_revalidate: true,
                proxy_revalidate: true,
                ..none()
            },
        ),
        (
            "private, no-cache",
            ResponseDirectives { private: FieldForm::All, no_cache: FieldForm::All, ..none() },
        ),
        (
            r#"private="x-a, X-B", no-cache="set-cookie""#,
            ResponseDirectives {
                private: fields(&["x-a", "x-b"]),
                no_cache: fields(&["set-cookie"]),
                ..none()
            },
        ),
        // What is not known has no say, whatever it holds.
        ("none", none()),
        ("a=(1 \"b\" :YQ==:);c, b=@1, d=%\"x\", e=1.5, *=?0", none()),
        // Parameters are ignored.
        ("max-age=60;a=1;b", ResponseDirectives { max_age: Some(60), ..none() }),
        ("no-store;x=?0", ResponseDirectives { no_store: true, ..none() }),
        // The last of one name counts.
        ("max-age=1, max-age=60", ResponseDirectives { max_age: Some(60), ..none() }),
        ("max-age=60, max-age=1", ResponseDirectives { max_age: Some(1), ..none() }),
        ("max-age=60, max-age", ResponseDirectives { max_age: Some(0), ..none() }),
        ("private, private=\"x-a\"", ResponseDirectives { private: fields(&["x-a"]), ..none() }),
        ("public, public=?0", none()),
    ];
    for (value, expected) in cases {
        assert_eq!(parse(value.as_bytes()), Some(expected), "{value}");
    }
}

#[test]
fn values_of_the_wrong_type_are_not_used() {
    // A max-age of "60" was as good as one of 60.
    for value in ["\"60\"", "60.0", "-60", "a60", "?1", "(60)", "@60", ":YQ==:"] {
        let stale = ResponseDirectives { max_age: Some(0), ..none() };
        assert_eq!(parse(format!("max-age={value}").as_bytes()), Some(stale), "{value}");
        let stale = ResponseDirectives { s_maxage: Some(0), ..none() };
        assert_eq!(parse(format!("s-maxage={value}").as_bytes()), Some(stale), "{value}");
    }
    for value in ["?0", "1", "true", "\"\"", "(a)"] {
        for name in ["public", "immutable", "must-understand"] {
            assert_eq!(parse(format!("{name}={value}").as_bytes()), Some(none()), "{name}={value}");
        }
        let restrictions = [
            ("no-store", ResponseDirectives { no_store: true, ..none() }),
            ("must-revalidate", ResponseDirectives { must_revalidate: true, ..none() }),
            ("proxy-revalidate", ResponseDirectives { proxy_revalidate: true, ..none() }),
            ("private", ResponseDirectives { private: FieldForm::All, ..none() }),
            ("no-cache", ResponseDirectives { no_cache: FieldForm::All, ..none() }),
        ];
        for (name, expected) in restrictions {
            let found = parse(format!("{name}={value}").as_bytes());
            assert_eq!(found, Some(expected), "{name}={value}");
        }
    }
    // A list of fields that can't be read is the whole response.
    let all = ResponseDirectives { private: FieldForm::All, ..none() };
    assert_eq!(parse(b"private=\"x a\""), Some(all));
}

#[test]
fn what_breaks_the_grammar_is_not_there() {
    for value in [
        "",
        " ",
        "  \t",
        ",",
        "max-age=60,",
        ",max-age=60",
        "max-age=60,,public",
        "Max-Age=60",
        "max-age =60",
        "max-age= 60",
        "max-age=",
        "max-age=60; ;a",
        "max-age=60 public",
        "max-age=1000000000000000",
        "max-age=\"60",
        "private='x'",
        "max-age=60, \u{fc}",
        "max-age=60, a=\"\u{fc}\"",
        "a=(1, max-age=60",
        "a=?2, max-age=60",
    ] {
        assert_eq!(parse(value.as_bytes()), None, "{value:?}");
    }
}

/// What `Shop-Cache-Control`, `CDN-Cache-Control` and `Cache-Control` amount to: the `max-age`.
#[track_caller]
fn precedence(lines: &[(&str, &str)], expected: Option<u32>, targeted: bool) {
    let found = applicable(&header_map(lines), &[OWN, CDN]);
    assert_eq!((found.max_age, found.targeted), (expected, targeted), "{lines:?}");
}

#[test]
fn the_first_that_is_valid_and_not_empty_wins() {
    let (cache, cdn, own) = ("cache-control", "cdn-cache-control", "shop-cache-control");
    precedence(&[], None, false);
    precedence(&[(cache, "max-age=1")], Some(1), false);
    precedence(&[(cache, "max-age=1"), (cdn, "max-age=2")], Some(2), true);
    precedence(&[(own, "max-age=3"), (cdn, "max-age=2"), (cache, "max-age=1")], Some(3), true);
    // In the order of the list, not of the lines.
    precedence(&[(cdn, "max-age=2"), (own, "max-age=3")], Some(3), true);
    // Invalid and empty ones are passed over.
    precedence(&[(own, "max-age = 3"), (cdn, "max-age=2")], Some(2), true);
    precedence(&[(own, ""), (cdn, "max-age=2")], Some(2), true);
    precedence(&[(own, ""), (cdn, "MAX-AGE=2"), (cache, "max-age=1")], Some(1), false);
    // One that says nothing that is known is neither.
    precedence(&[(own, "none"), (cdn, "max-age=2"), (cache, "max-age=1")], None, true);
    // Those that are not on the list have no say.
    precedence(&[("other-cache-control", "max-age=4"), (cache, "max-age=1")], Some(1), false);
    let untargeted = header_map(&[(cdn, "max-age=2"), (cache, "max-age=1")]);
    assert_eq!(applicable(&untargeted, &[]).max_age, Some(1));
}

#[test]
fn several_lines_are_one_value() {
    let cdn = "cdn-cache-control";
    precedence(&[(cdn, "max-age=2"), (cdn, "public"), (cdn, "max-age=5")], Some(5), true);
    // A fault in one line is a fault of all.
    precedence(&[(cdn, "max-age=2"), (cdn, "a b"), ("cache-control", "max-age=1")], Some(1), false);
    precedence(&[(cdn, "max-age=2"), (cdn, ""), ("cache-control", "max-age=1")], Some(1), false);
    // Strictly one value: a string may go on in the next line.
    precedence(&[(cdn, "max-age=2, a=\""), (cdn, "max-age=3\"")], Some(2), true);
}

#[test]
fn expires_does_not_count_beside_it() {
    let exchange = Exchange { request_sent: 0, response_received: 0 };
    let expires = ("expires", "Fri, 01 Jan 2100 00:00:00 GMT");
    for (cdn, expected) in [
        ("none", (0, FreshnessSource::None)),
        ("max-age=7", (7_000, FreshnessSource::MaxAge)),
        ("s-maxage=8, max-age=7", (8_000, FreshnessSource::SMaxage)),
    ] {
        let headers = header_map(&[expires, ("cdn-cache-control", cdn)]);
        let found = Freshness::of(&headers, &applicable(&headers, &[CDN]), exchange, None);
        assert_eq!((found.lifetime, found.source), expected, "{cdn}");
        let found = Freshness::of(&headers, &applicable(&headers, &[OWN]), exchange, None);
        assert_eq!(found.source, FreshnessSource::Expires, "{cdn}");
    }
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        parse(&bytes);
    }

    #[test]
    fn no_near_dictionary_panics(text in r#"[a-z*]{1,4}(=[0-9"?a().:@%;-]{0,6})?(, ?[a-z-]{1,8}=?[0-9".]{0,4}){0,3}"#) {
        parse(text.as_bytes());
    }
}
