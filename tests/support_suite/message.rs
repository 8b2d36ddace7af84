//! Fields are found by name in any case, in order.

use bytes::Bytes;
use cache_tests::message::{Head, Response};

#[test]
fn fields_are_found_in_any_case() {
    let headers: Vec<_> =
        [("Vary", "a"), ("X", "1"), ("vary", "b")].map(|(n, v)| (n.into(), v.into())).into();
    let head = Head { status: 200, headers: headers.clone() };
    assert_eq!((head.header("VARY"), head.header("y")), (Some("a"), None));
    let body = Bytes::from_static(b"\xff!");
    let response = Response { status: 200, headers, body, trailers: Vec::new() };
    assert_eq!(response.header("x"), Some("1"));
    assert_eq!(response.header_all("vary"), ["a", "b"]);
    assert_eq!(response.text(), "\u{fffd}!");
    assert_eq!(response.cache_status(), "");
}
