//! Parts of a response, and clients that have it already.

use axum::Router;
use cache_core::seconds;

use super::{Calls, HIT, Lines, MISS, ask, builder, counted, names, seen, send, serve};

const DIGITS: &str = "0123456789";

#[tokio::test]
async fn a_range_is_cut_out_of_what_is_stored() {
    let (http, _) = builder();
    let calls = Calls::default();
    let lines = [("cache-control", "max-age=60"), ("etag", "\"one\"")];
    let app = Router::new().route("/file", counted(&calls, move |_| (lines, DIGITS)));
    let addr = serve(&http.build(), app).await;
    assert_eq!(seen(&ask(addr, "/file", &[]).await), (200, DIGITS.into(), MISS.into()));
    let cases: [(Lines<'_>, u16, &str, Option<&str>); 10] = [
        (&[("range", "bytes=2-4")], 206, "234", Some("bytes 2-4/10")),
        (&[("range", "bytes=7-")], 206, "789", Some("bytes 7-9/10")),
        (&[("range", "bytes=-2")], 206, "89", Some("bytes 8-9/10")),
        (&[("range", "bytes=8-99")], 206, "89", Some("bytes 8-9/10")),
        (&[("range", "bytes=10-")], 416, "", Some("bytes */10")),
        (&[("range", "bytes=0-1,3-4")], 200, DIGITS, None),
        (&[("range", "lines=0-1")], 200, DIGITS, None),
        (&[("range", "bytes=0-0"), ("if-range", "\"one\"")], 206, "0", Some("bytes 0-0/10")),
        (&[("range", "bytes=0-0"), ("if-range", "\"two\"")], 200, DIGITS, None),
        (&[("range", "bytes=0-0"), ("if-range", "W/\"one\"")], 200, DIGITS, None),
    ];
    for (lines, code, body, place) in cases {
        let response = ask(addr, "/file", lines).await;
        assert_eq!(seen(&response), (code, body.into(), HIT.into()), "{lines:?}");
        assert_eq!(response.header("content-range"), place, "{lines:?}");
        assert_eq!(response.header_all("content-length"), [body.len().to_string()], "{lines:?}");
        assert_eq!(response.header_all("etag"), ["\"one\""], "{lines:?}");
    }
    // Only a GET has ranges.
    let head = send(addr, "HEAD", "/file", &[("range", "bytes=2-4")]).await;
    assert_eq!((head.status, head.header("content-length")), (200, Some("10")));
    assert_eq!(calls.count(), 1);
}

#[tokio::test]
async fn a_generated_tag_saves_a_client_what_it_has() {
    let (http, clock) = builder();
    let calls = Calls::default();
    let answer = |call| ([("cache-control", "max-age=60")], ["one", "two"][call / 3]);
    let app = Router::new().route("/text", counted(&calls, answer));
    let addr = serve(&http.generate_etags().build(), app).await;
    let first = ask(addr, "/text", &[]).await;
    assert_eq!((seen(&first), first.header("etag")), ((200, "one".into(), MISS.into()), None));
    let hit = ask(addr, "/text", &[]).await;
    let tag = hit.header("etag").expect("a tag").to_owned();
    let has = [("if-none-match", tag.as_str())];
    for method in ["GET", "HEAD"] {
        let response = send(addr, method, "/text", &has).await;
        assert_eq!(seen(&response), (304, String::new(), HIT.into()), "{method}");
        assert_eq!(names(&response), ["age", "cache-control", "cache-status", "etag"]);
        assert_eq!(response.header("etag"), Some(&*tag));
    }
    let part = ask(addr, "/text", &[("range", "bytes=1-"), ("if-range", &tag)]).await;
    assert_eq!(seen(&part), (206, "ne".into(), HIT.into()));
    assert_eq!(calls.count(), 1);
    // The same bytes, fetched again; then others.
    for (call, code, body) in [(2, 304, ""), (3, 200, "two")] {
        clock.advance(seconds(100));
        ask(addr, "/text", &[]).await;
        let response = ask(addr, "/text", &has).await;
        assert_eq!(seen(&response), (code, body.into(), HIT.into()), "{call}");
        assert_eq!(response.header("etag") == Some(&*tag), code == 304);
        assert_eq!(calls.count(), call);
    }
}

/// axum says of an empty body that its length is 0, which of a 304 is the length of what the client
/// has (RFC 9110 §8.6), and which a 204 does not have at all.
#[tokio::test]
async fn what_has_no_content_has_no_length() {
    let (http, _) = builder();
    let calls = Calls::default();
    let lines = [("cache-control", "max-age=60"), ("etag", "\"one\"")];
    let none = axum::http::StatusCode::NO_CONTENT;
    let app = Router::new()
        .route("/file", counted(&calls, move |_| (lines, DIGITS)))
        .route("/none", counted(&calls, move |_| (none, lines)));
    let addr = serve(&http.build(), app).await;
    // While it is fetched for all, too.
    let has = [("if-none-match", "\"one\"")];
    let first = ask(addr, "/file", &has).await;
    let told = "fwd=uri-miss; fwd-status=200; stored";
    assert_eq!(seen(&first), (304, String::new(), told.into()));
    assert_eq!(first.header("content-length"), None);
    ask(addr, "/none", &[]).await;
    // hyper leaves it out for GET.
    for method in ["GET", "HEAD"] {
        for (path, lines, code) in [("/file", &has[..], 304), ("/none", &[], 204)] {
            let hit = send(addr, method, path, lines).await;
            assert_eq!(seen(&hit), (code, String::new(), HIT.into()), "{method} {path}");
            assert_eq!(hit.header("content-length"), None, "{method} {path}");
        }
    }
    assert_eq!(calls.count(), 2);
}
