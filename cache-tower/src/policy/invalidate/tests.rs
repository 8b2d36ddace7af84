use http::Uri;
use proptest::prelude::*;

use super::*;

const BASE: Base<'_> =
    Base { scheme: "https", authority: "a.example", path_and_query: "/b/c/d?q=1" };

/// The path that `Location` adds to the target, if any.
fn location(base: Base<'_>, reference: &[u8]) -> Option<String> {
    let headers = HeaderMap::from_iter([(LOCATION, HeaderValue::from_bytes(reference).unwrap())]);
    let mut paths = affected(base, StatusCode::CREATED, &headers);
    assert_eq!(paths.remove(0), base.path_and_query);
    assert!(paths.len() <= 1);
    paths.pop()
}

#[test]
fn by_status() {
    let headers = HeaderMap::from_iter([(LOCATION, HeaderValue::from_static("/x"))]);
    for (status, count) in [(200, 2), (201, 2), (204, 2), (303, 2), (400, 0), (404, 0), (500, 0)] {
        let status = StatusCode::from_u16(status).unwrap();
        assert_eq!(affected(BASE, status, &headers).len(), count, "{status}");
    }
}

#[test]
fn target_first_and_each_once() {
    let of = |location, content_location| {
        let headers = HeaderMap::from_iter([
            (LOCATION, HeaderValue::from_static(location)),
            (CONTENT_LOCATION, HeaderValue::from_static(content_location)),
        ]);
        affected(BASE, StatusCode::OK, &headers).to_vec()
    };
    assert_eq!(of("/x", "/y?z"), ["/b/c/d?q=1", "/x", "/y?z"]);
    assert_eq!(of("/x", "https://a.example/x"), ["/b/c/d?q=1", "/x"]);
    assert_eq!(of("", "d?q=1"), ["/b/c/d?q=1"]);
    assert_eq!(of("https://evil.example/x", "/y"), ["/b/c/d?q=1", "/y"]);
}

/// The examples of RFC 3986 §5.4, for the references that stay on the authority.
#[test]
fn relative_references() {
    let cases = [
        ("g", "/b/c/g"),
        ("./g", "/b/c/g"),
        ("g/", "/b/c/g/"),
        ("/g", "/g"),
        ("?y", "/b/c/d?y"),
        ("g?y", "/b/c/g?y"),
        ("g#s", "/b/c/g"),
        ("g?y#s", "/b/c/g?y"),
        ("g#s/../x", "/b/c/g"),
        ("g#s?y", "/b/c/g"),
        (";x", "/b/c/;x"),
        (".", "/b/c/"),
        ("./", "/b/c/"),
        ("..", "/b/"),
        ("../", "/b/"),
        ("../g", "/b/g"),
        ("../..", "/"),
        ("../../g", "/g"),
        ("../../../g", "/g"),
        ("../../../../g", "/g"),
        ("/./g", "/g"),
        ("/../g", "/g"),
        ("g.", "/b/c/g."),
        ("..g", "/b/c/..g"),
        ("./../g", "/b/g"),
        ("./g/.", "/b/c/g/"),
        ("g/./h", "/b/c/g/h"),
        ("g/../h", "/b/c/h"),
        ("g;x=1/../y", "/b/c/y"),
        ("g?y/../x", "/b/c/g?y/../x"),
        ("g?u=http://x/", "/b/c/g?u=http://x/"),
        ("/a//b/", "/a//b/"),
        ("/.//evil.example", "//evil.example"),
    ];
    for (reference, expected) in cases {
        let found = location(BASE, reference.as_bytes());
        assert_eq!(found.as_deref(), Some(expected), "{reference}");
    }
}

#[test]
fn same_origin() {
    let cases: &[(&str, &str, &str)] = &[
        ("https", "a.example", "https://a.example/x?y#z"),
        ("https", "a.example", "HTTPS://A.EXAMPLE/x?y"),
        ("HTTPS", "A.example", "https://a.example/x?y"),
        ("https", "a.example", "https://a.example:443/x?y"),
        ("https", "a.example:443", "https://a.example/x?y"),
        ("https", "a.example", "https://a.example:/x?y"),
        ("http", "a.example", "http://a.example:80/x?y"),
        ("http", "a.example:8080", "http://a.example:8080/x?y"),
        ("http", "[::1]:80", "http://[::1]/x?y"),
        ("https", "a.example", "//a.example/x?y"),
        ("https", "a.example", "https://a.example/q/../x?y"),
    ];
    for (scheme, authority, reference) in cases {
        let base = Base { scheme, authority, path_and_query: "/" };
        assert_eq!(location(base, reference.as_bytes()).as_deref(), Some("/x?y"), "{reference}");
    }
    assert_eq!(location(BASE, b"https://a.example").as_deref(), Some("/"));
    assert_eq!(location(BASE, b"https://a.example?y").as_deref(), Some("/?y"));
}

#[test]
fn never_another_origin_nor_what_cannot_be_read() {
    let hostile: &[&[u8]] = &[
        b"http://a.example/x",
        b"https://a.example:80/x",
        b"https://a.example:8443/x",
        b"https://evil.example/x",
        b"https://a.example.evil/x",
        b"https://a.example@evil.example/x",
        b"https://user@a.example/x",
        b"https:///x",
        b"//evil.example/x",
        b"///x",
        b"//",
        b"https:x",
        b"https:/x",
        b"javascript:alert(1)",
        b"data:,x",
        b"urn:x:y",
        b":x",
        b"x:y",
        b"/x y",
        b"/\xc3\xa9",
        b"/\xff",
        b"https://a.example\\@evil.example/x",
    ];
    for reference in hostile {
        assert_eq!(location(BASE, reference), None, "{}", reference.escape_ascii());
    }
}

#[test]
fn odd_bases() {
    for (path, reference, expected) in [
        ("*", "x", Some("/x")),
        ("*", "", None),
        ("", "x", Some("/x")),
        ("", "", None),
        ("//evil.example/x", "y", Some("//evil.example/y")),
        ("/a?b=/c/d", "y", Some("/y")),
    ] {
        let base = Base { path_and_query: path, ..BASE };
        assert_eq!(location(base, reference.as_bytes()).as_deref(), expected, "{path} {reference}");
    }
}

proptest! {
    #[test]
    fn no_bytes_panic_and_all_results_are_paths(
        bytes in proptest::collection::vec(any::<u8>(), 0..48), base in "[/?.a-c*]{0,12}",
    ) {
        if HeaderValue::from_bytes(&bytes).is_ok()
            && let Some(path) = location(Base { path_and_query: &base, ..BASE }, &bytes)
        {
            prop_assert!(path.starts_with('/'));
        }
    }

    /// Put behind the authority, what comes out is a URI of that authority.
    #[test]
    fn what_comes_out_stays(reference in "(https:|HTTP:)?[/\\\\]{0,3}[a.@:?#/%2e]{0,16}") {
        if let Some(path) = location(BASE, reference.as_bytes()) {
            let uri: Uri = format!("https://a.example{path}").parse().unwrap();
            prop_assert_eq!(uri.host(), Some("a.example"));
        }
    }
}
