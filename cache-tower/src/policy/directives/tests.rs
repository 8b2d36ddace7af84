use proptest::prelude::*;

use super::*;

fn headers(lines: &[&str]) -> HeaderMap {
    lines.iter().map(|line| (CACHE_CONTROL, HeaderValue::try_from(*line).unwrap())).collect()
}

fn response(line: &str) -> ResponseDirectives {
    ResponseDirectives::from_headers(&headers(&[line]))
}

fn request(line: &str) -> RequestDirectives {
    RequestDirectives::parse(&headers(&[line]))
}

fn fields(names: &[&'static str]) -> FieldForm {
    FieldForm::Fields(names.iter().map(|name| HeaderName::from_static(name)).collect())
}

#[test]
fn response_max_age() {
    let cases: &[(&str, Option<u32>)] = &[
        ("max-age=60", Some(60)),
        ("MaX-aGe=60", Some(60)),
        ("max-age=\"60\"", Some(60)),
        ("max-age=\"\\6\\0\"", Some(60)),
        ("max-age=0060", Some(60)),
        ("foo, max-age=60 ,bar=1", Some(60)),
        ("max-age=2147483648", Some(1 << 31)),
        ("max-age=99999999999", Some(1 << 31)),
        // RFC 9111 §4.2.1: invalid is stale.
        ("max-age", Some(0)),
        ("max-age=", Some(0)),
        ("max-age=\"\"", Some(0)),
        ("max-age=-60", Some(0)),
        ("max-age=60.0", Some(0)),
        ("max-age=a60", Some(0)),
        ("max-age=60a", Some(0)),
        ("max-age='60'", Some(0)),
        ("max-age =60", Some(0)),
        ("max-age= 60", Some(0)),
        ("max-age=\"60", Some(0)),
        ("max-age=\"60\"x", Some(0)),
        // Duplicates: the strictest.
        ("max-age=60, max-age=1", Some(1)),
        ("max-age=1, max-age=60", Some(1)),
        ("max-age=60, max-age=x", Some(0)),
        // Only as a directive of its own.
        ("extension=\"max-age=60\"", None),
        ("extension=\"a, max-age=60\"", None),
        ("x-max-age=60", None),
        ("", None),
    ];
    for (line, expected) in cases {
        assert_eq!(response(line).max_age, *expected, "{line}");
    }
}

#[test]
fn every_response_directive() {
    let found = response(
        "max-age=1,s-maxage=2,stale-while-revalidate=3,stale-if-error=4,no-cache,private,no-store,\
         public,must-revalidate,proxy-revalidate,must-understand,immutable",
    );
    assert_eq!(
        found,
        ResponseDirectives {
            max_age: Some(1),
            s_maxage: Some(2),
            stale_while_revalidate: Some(3),
            stale_if_error: Some(4),
            no_cache: FieldForm::All,
            private: FieldForm::All,
            no_store: true,
            public: true,
            must_revalidate: true,
            proxy_revalidate: true,
            must_understand: true,
            immutable: true,
            targeted: false,
        }
    );
    assert_eq!(response("foo, bar=baz, no-stored"), ResponseDirectives::default());
}

#[test]
fn immutable_is_its_name_only() {
    for line in
        ["immutable", "Immutable", "immutable=0", "immutable=\"x, y\"", "immutable, immutable"]
    {
        let expected = ResponseDirectives { immutable: true, ..ResponseDirectives::default() };
        assert_eq!(response(line), expected, "{line}");
    }
    assert_eq!(request("immutable"), RequestDirectives::default());
}

#[test]
fn field_lists() {
    let cases: &[(&[&str], FieldForm)] = &[
        (&["max-age=1"], FieldForm::Absent),
        (&["private"], FieldForm::All),
        (&["Private=\"a, B ,,c\""], fields(&["a", "b", "c"])),
        (&["private=set-cookie"], fields(&["set-cookie"])),
        (&["private=\"a\", private=\"b\""], fields(&["a", "b"])),
        (&["private=\"a\"", "private=\"b\""], fields(&["a", "b"])),
        (&["private=\"a\", private"], FieldForm::All),
        (&["private", "private=\"a\""], FieldForm::All),
        // What can't be read holds for everything.
        (&["private=\"\""], FieldForm::All),
        (&["private="], FieldForm::All),
        (&["private=\"a b\""], FieldForm::All),
        (&["private=\"a, (b)\""], FieldForm::All),
        (&["private=\"a"], FieldForm::All),
        (&["private=\"a\"b"], FieldForm::All),
        (&["private =\"a\""], FieldForm::All),
    ];
    for (lines, expected) in cases {
        assert_eq!(
            ResponseDirectives::from_headers(&headers(lines)).private,
            *expected,
            "{lines:?}"
        );
    }
    assert_eq!(response("no-cache=\"x\"").no_cache, fields(&["x"]));
}

#[test]
fn lines_are_joined() {
    let found =
        ResponseDirectives::from_headers(&headers(&["max-age=60", "", "NO-STORE", "public"]));
    assert!(found.no_store && found.public);
    assert_eq!(found.max_age, Some(60));
}

#[test]
fn every_request_directive() {
    let found = request(
        "no-cache, no-store, only-if-cached, max-age=1, max-stale=2, min-fresh=3, stale-if-error=4",
    );
    assert_eq!(
        found,
        RequestDirectives {
            no_cache: true,
            no_store: true,
            only_if_cached: true,
            max_age: Some(1),
            max_stale: Some(MaxStale::Within(2)),
            min_fresh: Some(3),
            stale_if_error: Some(4),
        }
    );
}

#[test]
fn unreadable_request_values_ask_for_more_care_or_for_nothing() {
    assert_eq!(request("max-age=x").max_age, Some(0));
    assert_eq!(request("max-age").max_age, Some(0));
    assert_eq!(request("min-fresh=x").min_fresh, None);
    assert_eq!(request("stale-if-error=x").stale_if_error, None);
    assert_eq!(request("max-stale=x").max_stale, None);
    assert_eq!(request("max-stale").max_stale, Some(MaxStale::Any));
}

#[test]
fn of_several_request_values_the_strictest_counts() {
    let cases: &[(&str, Option<MaxStale>)] = &[
        ("max-stale, max-stale=5", Some(MaxStale::Within(5))),
        ("max-stale=5, max-stale", Some(MaxStale::Within(5))),
        ("max-stale=5, max-stale=3", Some(MaxStale::Within(3))),
        ("max-stale=3, max-stale=5, max-stale=x", Some(MaxStale::Within(3))),
    ];
    for (line, expected) in cases {
        assert_eq!(request(line).max_stale, *expected, "{line}");
    }
    assert_eq!(request("max-age=5, max-age=3").max_age, Some(3));
    assert_eq!(request("min-fresh=5, min-fresh=3, min-fresh=x").min_fresh, Some(5));
}

#[test]
fn pragma_counts_only_alone() {
    let pragma =
        |line: &'static str| HeaderMap::from_iter([(PRAGMA, HeaderValue::from_static(line))]);
    assert!(RequestDirectives::parse(&pragma("x, No-Cache")).no_cache);
    assert!(!RequestDirectives::parse(&pragma("no-cached")).no_cache);
    let mut both = pragma("no-cache");
    both.insert(CACHE_CONTROL, HeaderValue::from_static("max-age=5"));
    assert!(!RequestDirectives::parse(&both).no_cache);
}

#[test]
fn presence() {
    assert!(!RequestDirectives::is_present(&HeaderMap::new()));
    assert!(RequestDirectives::is_present(&headers(&["x"])));
    let pragma = HeaderMap::from_iter([(PRAGMA, HeaderValue::from_static(""))]);
    assert!(RequestDirectives::is_present(&pragma));
}

proptest! {
    #[test]
    fn no_bytes_panic(lines in proptest::collection::vec(
        proptest::collection::vec(any::<u8>(), 0..48), 0..4)
    ) {
        let headers: HeaderMap = lines
            .iter()
            .filter_map(|line| Some((CACHE_CONTROL, HeaderValue::from_bytes(line).ok()?)))
            .collect();
        RequestDirectives::parse(&headers);
        ResponseDirectives::from_headers(&headers);
    }

    #[test]
    fn near_misses_do_not_panic(line in "(max-age|private|no-cache|max-stale)[=\" ,a-z0-9\\\\]{0,24}") {
        request(&line);
        response(&line);
    }
}
