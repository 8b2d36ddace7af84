//! Fields that a handler builds links from.

use axum::Router;
use axum::http::HeaderMap;
use axum::routing::get;
use cache_tower::ForwardedFields;

use super::{Calls, HIT, Lines, MISS, ask, builder, seen, send, serve};

const EVIL: Lines<'static> =
    &[("x-forwarded-host", "evil.example"), ("forwarded", "host=evil.example;for=192.0.2.7")];

/// Links to where it was asked for, as it is told.
fn links(calls: &Calls) -> Router {
    let calls = calls.clone();
    let link = async move |headers: HeaderMap| {
        let line = |name| headers.get(name).map(|line| line.to_str().expect("text").to_owned());
        let host = line("x-forwarded-host").or_else(|| line("host")).unwrap_or_default();
        let path = if line("forwarded").is_some() { "/forwarded" } else { "/" };
        ([("cache-control", "max-age=60")], format!("{} {host}{path}", calls.next()))
    };
    Router::new().route("/link", get(link.clone()).post(link))
}

#[tokio::test]
async fn they_are_keyed_trusted_or_stripped() {
    let shop: Lines<'_> = &[("host", "shop.example")];
    let evil = &[shop, EVIL].concat()[..];
    let (bad, good) = ("evil.example/forwarded", "shop.example/");
    // What the first of two is answered, and then the second.
    for (fields, first, second) in [
        (ForwardedFields::Keyed, (1, bad, MISS), (2, good, MISS)),
        (ForwardedFields::Trusted, (1, bad, MISS), (1, bad, HIT)),
        (ForwardedFields::Stripped, (1, good, MISS), (1, good, HIT)),
    ] {
        let calls = Calls::default();
        let addr = serve(&builder().0.forwarded_fields(fields).build(), links(&calls)).await;
        let cases = [(evil, first), (shop, second)];
        for (lines, (call, link, told)) in cases {
            let response = ask(addr, "/link", lines).await;
            let expected = (200, format!("{call} {link}"), told.to_owned());
            assert_eq!(seen(&response), expected, "{fields:?} {lines:?}");
        }
        // Past the cache, too.
        let posted = send(addr, "POST", "/link", evil).await;
        let expected = if fields == ForwardedFields::Stripped { good } else { bad };
        assert!(posted.text().ends_with(expected), "{fields:?}: {}", posted.text());
        let told = seen(&ask(addr, "/link", evil).await).2;
        assert_eq!(told, MISS, "{fields:?}: the write was to it");
    }
}
