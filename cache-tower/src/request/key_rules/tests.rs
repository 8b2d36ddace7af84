use http::{Extensions, HeaderValue, Method};
use proptest::prelude::*;

use super::*;
use crate::request::key::Identity;

fn by_query(query: Query) -> KeyRules {
    KeyRules { query, ..KeyRules::default() }
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(ToString::to_string).collect()
}

#[test]
fn what_counts_of_a_query() {
    let only = by_query(Query::Only(names(&["page", "q"])));
    let all_but = by_query(Query::AllBut(names(&["utm", ""])));
    // The query, and what is left of it by either.
    let cases = [
        (None, None, None),
        (Some("page=2"), Some("page=2"), Some("page=2")),
        (Some("q=b&page=2"), Some("q=b&page=2"), Some("q=b&page=2")),
        (Some("page=2&utm=x"), Some("page=2"), Some("page=2")),
        (Some("utm=x&page=2&utm"), Some("page=2"), Some("page=2")),
        (Some("utm=x"), None, None),
        (Some("utm"), None, None),
        (Some("page"), Some("page"), Some("page")),
        (Some("page=1&page=2&other"), Some("page=1&page=2"), Some("page=1&page=2&other")),
        // Names are compared as they stand there.
        (Some("%70age=2&Page=3"), None, Some("%70age=2&Page=3")),
        (Some("page=2;utm=x"), Some("page=2;utm=x"), Some("page=2;utm=x")),
        (Some("utm=x;page=2"), None, None),
        (Some("page=a=b"), Some("page=a=b"), Some("page=a=b")),
        (Some(""), None, None),
        (Some("&q"), Some("q"), Some("q")),
    ];
    for (query, by_only, by_all_but) in cases {
        assert_eq!(only.query(query).as_deref(), by_only, "{query:?}");
        assert_eq!(all_but.query(query).as_deref(), by_all_but, "{query:?}");
        assert_eq!(KeyRules::default().query(query).as_deref(), query);
    }
}

fn hidden(rules: &KeyRules, uri: &str) -> Uri {
    let mut uri = uri.parse().unwrap();
    assert!(rules.hide(&mut uri));
    uri
}

#[test]
fn what_is_seen_of_a_uri() {
    let rules = by_query(Query::AllBut(names(&["utm"])));
    for (uri, expected) in [
        ("/a?utm=1", "/a"),
        ("/a?b=%2F&utm=1", "/a?b=%2F"),
        ("http://h.example/a?utm=1", "http://h.example/a"),
        ("/a?b", "/a?b"),
        ("/a?", "/a?"),
        ("/a", "/a"),
    ] {
        assert_eq!(hidden(&rules, uri), expected);
    }
}

#[cfg(feature = "axum")]
#[test]
fn what_is_hidden_is_hidden_in_nested_routers_too() {
    // A handler could read a parameter that was not part of the key from `OriginalUri`.
    let rules = by_query(Query::AllBut(names(&["utm"])));
    let mut request = Request::get("/b?utm=1&c").body(()).unwrap();
    let original = axum::extract::OriginalUri(Uri::from_static("/a/b?utm=1&c"));
    request.extensions_mut().insert(original);
    assert!(rules.hide_in(&mut request));
    assert_eq!(request.uri(), "/b?c");
    let original = request.extensions().get::<axum::extract::OriginalUri>().unwrap();
    assert_eq!(original.0, "/a/b?c");
}

fn chosen(parts: Vec<Part>, lines: &[(&'static str, &'static str)]) -> Chosen {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        headers.append(*name, HeaderValue::from_static(value));
    }
    let (uri, extensions) = (Uri::from_static("/a"), Extensions::new());
    let request = RequestHead::new(&Method::GET, &uri, &headers, &extensions);
    KeyRules { parts, ..KeyRules::default() }.choose(&request)
}

#[test]
fn nothing_is_chosen_by_default() {
    assert!(chosen(Vec::new(), &[("cookie", "a=b")]).is_empty());
    let mut identity = Identity::new();
    KeyRules::default().end_identity(&mut identity);
    assert!(identity.is_empty());
}

#[test]
fn cookies_count_by_name() {
    let theme = |lines: &[_]| chosen(vec![Part::Cookie("theme".into())], lines);
    let dark = theme(&[("cookie", "theme=dark")]);
    for lines in [
        &[("cookie", "a=b; theme=dark")][..],
        &[("cookie", "a=b;theme=dark ;c")],
        &[("cookie", "xtheme=light; theme=dark; themes=light")],
        &[("cookie", "a=b"), ("cookie", "theme=dark")],
    ] {
        assert_eq!(theme(lines), dark, "{lines:?}");
    }
    for lines in [
        &[][..],
        &[("cookie", "theme")],
        &[("cookie", "theme=")],
        &[("cookie", "theme=Dark")],
        &[("cookie", "Theme=dark")],
        &[("cookie", "theme=dark; theme=dark")],
        &[("theme", "dark")],
    ] {
        assert_ne!(theme(lines), dark, "{lines:?}");
    }
}

/// What parsers of cookies read as `theme` was not part of the key: whoever wrote it that way had
/// what it selects stored for all who have no such cookie.
#[test]
fn a_cookie_s_name_may_be_written_in_other_ways() {
    let theme = |line| chosen(vec![Part::Cookie("theme".into())], &[("cookie", line)]);
    let none = chosen(vec![Part::Cookie("theme".into())], &[]);
    let lines =
        ["theme =dark", "a=b; theme\t= dark", "th%65me=dark", "%74heme =dark", "theme", "theme"];
    for (nth, line) in lines.iter().enumerate() {
        assert_ne!(theme(line), none, "{line}");
        assert_eq!(theme(line) == theme("theme"), nth > 3, "{line}");
    }
    for line in ["themes =dark", "theme%20=dark", "Theme =dark", "th%6=dark", "=theme", "a=theme"] {
        assert_eq!(theme(line), none, "{line}");
    }
    let encoded = chosen(vec![Part::Cookie("a%62".into())], &[("cookie", "a%62=1")]);
    assert_ne!(encoded, chosen(vec![Part::Cookie("a%62".into())], &[]));
}

#[test]
fn no_two_choices_look_alike() {
    let header = |name| Part::Header(HeaderName::from_static(name));
    let both = |lines: &[_]| chosen(vec![header("a"), header("b")], lines);
    let all = [
        both(&[]),
        both(&[("a", "")]),
        both(&[("b", "")]),
        both(&[("a", "1")]),
        both(&[("b", "1")]),
        both(&[("a", "1"), ("b", "1")]),
        both(&[("a", "1"), ("a", "1")]),
        both(&[("a", "11")]),
    ];
    for (n, one) in all.iter().enumerate() {
        assert_eq!(all.iter().filter(|other| *other == one).count(), 1, "{n}");
    }
    let say = |text: Option<&'static str>| {
        chosen(vec![Part::Function(Arc::new(move |_| text.map(str::to_owned)))], &[])
    };
    assert_ne!(say(None), say(Some("")));
    assert_ne!(say(Some("a")), say(Some("b")));
}

#[test]
fn other_parts_have_other_entries() {
    let identity = |parts: Vec<Part>| {
        let mut identity = Identity::new();
        KeyRules { parts, ..KeyRules::default() }.end_identity(&mut identity);
        identity
    };
    let all = [
        identity(vec![]),
        identity(vec![Part::Header(HeaderName::from_static("a"))]),
        identity(vec![Part::Header(HeaderName::from_static("b"))]),
        identity(vec![Part::Cookie("a".into())]),
        identity(vec![Part::Function(Arc::new(|_| None))]),
        identity(vec![Part::Cookie("a".into()), Part::Cookie("a".into())]),
    ];
    for (n, one) in all.iter().enumerate() {
        assert_eq!(all.iter().filter(|other| *other == one).count(), 1, "{n}");
    }
}

proptest! {
    #[test]
    fn what_is_hidden_is_what_does_not_count(query in "[ab&=;%u]{0,12}") {
        let rules = by_query(Query::AllBut(names(&["a", "u"])));
        let uri: Uri = format!("/p?{query}").parse().unwrap();
        let seen = hidden(&rules, &uri.to_string());
        // Who asks for what is left gets the same entry, and nothing more is hidden.
        prop_assert_eq!(rules.query(seen.query()), rules.query(uri.query()));
        prop_assert_eq!(hidden(&rules, &seen.to_string()), seen);
    }
}
