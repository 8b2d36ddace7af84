use super::*;
use crate::policy::tests::{Lines, headers};

const BASE: Base<'_> =
    Base { scheme: "https", authority: "shop.example", path_and_query: "/dir/item?x=1" };
const FRESH: (&str, &str) = ("cache-control", "max-age=60");
const HERE: (&str, &str) = ("content-location", "/dir/item?x=1");

fn tells(base: Base<'_>, status: u16, lines: Lines<'_>) -> PostTells {
    let exchange = Exchange { request_sent: 1_000_000, response_received: 1_000_000 };
    let targets = [HeaderName::from_static("cdn-cache-control")];
    post_tells(base, status.try_into().unwrap(), &headers(lines), &targets, exchange)
}

#[test]
fn by_status() {
    for status in 200..600 {
        let expected = match status {
            200 => PostTells::Representation,
            _ => PostTells::Nothing,
        };
        assert_eq!(tells(BASE, status, &[FRESH, HERE]), expected, "{status}");
    }
}

/// RFC 9110 §9.3.3, §8.7.
#[test]
fn by_content_location() {
    for (value, is_here) in [
        ("/dir/item?x=1", true),
        ("item?x=1", true),
        ("./item?x=1", true),
        ("../dir/item?x=1", true),
        ("?x=1", true),
        ("//shop.example/dir/item?x=1", true),
        ("https://shop.example/dir/item?x=1", true),
        ("HTTPS://SHOP.example:443/dir/item?x=1", true),
        ("/dir/item", false),
        ("/dir/item?x=2", false),
        ("/dir/item?x=1&y=2", false),
        ("/dir/other?x=1", false),
        ("/dir/ITEM?x=1", false),
        ("/dir/%69tem?x=1", false),
        ("/dir/item/?x=1", false),
        ("https://other.example/dir/item?x=1", false),
        ("https://shop.example:8443/dir/item?x=1", false),
        ("https://user@shop.example/dir/item?x=1", false),
        ("http://shop.example/dir/item?x=1", false),
        ("/dir/item?x=1#part", false),
        ("", false),
        ("https:// no URI", false),
    ] {
        let expected = if is_here { PostTells::Representation } else { PostTells::Nothing };
        assert_eq!(tells(BASE, 200, &[FRESH, ("content-location", value)]), expected, "{value}");
    }
    assert_eq!(tells(BASE, 200, &[FRESH]), PostTells::Nothing);
    assert_eq!(tells(BASE, 200, &[FRESH, ("location", HERE.1)]), PostTells::Nothing);
    for other in [HERE.1, "/dir/other"] {
        let lines = [FRESH, HERE, ("content-location", other)];
        assert_eq!(tells(BASE, 200, &lines), PostTells::Nothing, "{other}");
    }
    let bare = Base { path_and_query: "/dir/item", ..BASE };
    for (value, expected) in [
        ("/dir/item", PostTells::Representation),
        ("item", PostTells::Representation),
        ("/dir/item?", PostTells::Nothing),
        // RFC 3986 §5.2.2: the target itself, but nobody writes it so on purpose.
        ("", PostTells::Nothing),
    ] {
        assert_eq!(tells(bare, 200, &[FRESH, ("content-location", value)]), expected, "{value}");
    }
}

/// RFC 9110 §9.3.3: explicit freshness, by the fields that count for this cache.
#[test]
fn by_freshness() {
    let past = ("last-modified", "Thu, 01 Jan 1970 00:00:00 GMT");
    let epoch = ("date", "Thu, 01 Jan 1970 00:16:40 GMT");
    for (lines, is_fresh) in [
        (&[FRESH][..], true),
        (&[("cache-control", "s-maxage=60")], true),
        (&[("expires", "Thu, 01 Jan 1970 00:17:40 GMT"), epoch], true),
        (&[("cdn-cache-control", "max-age=60")], true),
        (&[("cdn-cache-control", "max-age=60"), ("cache-control", "max-age=0")], true),
        (&[], false),
        // What is heuristic is not explicit.
        (&[past, ("cache-control", "public")], false),
        (&[("cache-control", "max-age=0")], false),
        (&[("cache-control", "max-age=0, stale-while-revalidate=60")], false),
        (&[("cache-control", "max-age=60, s-maxage=0")], false),
        (&[("cache-control", "max-age=60, no-cache")], false),
        (&[("cdn-cache-control", "max-age=0"), FRESH], false),
        (&[("expires", "Thu, 01 Jan 1970 00:16:40 GMT"), epoch], false),
        (&[("expires", "0")], false),
        (&[FRESH, ("age", "60")], false),
    ] {
        let lines: Vec<_> = lines.iter().copied().chain([HERE]).collect();
        let expected = if is_fresh { PostTells::Representation } else { PostTells::NotFresh };
        assert_eq!(tells(BASE, 200, &lines), expected, "{lines:?}");
    }
}

#[test]
fn by_the_request() {
    for (lines, is_for_all) in [
        (&[][..], true),
        (&[("content-length", "3"), ("content-type", "text/plain")], true),
        (&[("transfer-encoding", "chunked")], true),
        // Whose responses may be stored is not for here to say.
        (&[("authorization", "x"), ("cookie", "a=b"), ("cache-control", "no-store")], true),
        (&[("content-length", "3"), ("x-http-method-override", "PUT")], false),
        (&[("x-original-url", "/admin")], false),
        (&[("upgrade", "websocket")], false),
        (&[("if-match", "*")], false),
        (&[("if-unmodified-since", "x")], false),
        (&[("if-none-match", "*")], false),
        (&[("if-modified-since", "x")], false),
    ] {
        assert_eq!(is_post_for_all(&headers(lines)), is_for_all, "{lines:?}");
    }
}
