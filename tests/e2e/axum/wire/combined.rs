//! Parts of a response that are stored, and put together where they meet.

use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::{Calls, HIT, MISS, ask, builder, seen, serve};

const DIGITS: &str = "0123456789";
const MORE: &str = "fwd=partial; stored";

/// Answers `bytes=a-b` with that part.
fn part(headers: &HeaderMap) -> Response {
    let lines = [("cache-control", "max-age=60"), ("etag", "\"one\"")];
    let range = headers.get("range").and_then(|line| line.to_str().ok()?.strip_prefix("bytes="));
    let Some((first, last)) = range.and_then(|range| range.split_once('-')) else {
        return (lines, DIGITS).into_response();
    };
    let [from, to] = [first, last].map(|bound| bound.parse::<usize>().expect("a number"));
    let place = [("content-range", format!("bytes {first}-{last}/10"))];
    (StatusCode::PARTIAL_CONTENT, lines, place, &DIGITS[from..=to]).into_response()
}

fn file(calls: &Calls) -> Router {
    let calls = calls.clone();
    let answer = async move |headers: HeaderMap| {
        calls.next();
        part(&headers)
    };
    Router::new().route("/file", get(answer))
}

#[tokio::test]
async fn parts_that_meet_become_one() {
    let calls = Calls::default();
    let addr = serve(&builder().0.combine_partial(true).build(), file(&calls)).await;
    for (range, body, told) in [
        ("2-4", "234", MISS),
        ("2-4", "234", HIT),
        ("3-3", "3", HIT),
        ("4-6", "456", MORE),
        ("2-6", "23456", HIT),
        ("0-1", "01", MORE),
        ("0-6", "0123456", HIT),
        ("7-9", "789", MORE),
        ("0-9", DIGITS, HIT),
    ] {
        let response = ask(addr, "/file", &[("range", &format!("bytes={range}"))]).await;
        assert_eq!(seen(&response), (206, body.into(), told.into()), "{range}");
        assert_eq!(response.header("content-range"), Some(&*format!("bytes {range}/10")));
        assert_eq!(response.header_all("content-length"), [body.len().to_string()], "{range}");
    }
    let whole = ask(addr, "/file", &[]).await;
    assert_eq!(seen(&whole), (200, DIGITS.into(), HIT.into()));
    assert_eq!((whole.header("content-range"), whole.header("content-length")), (None, Some("10")));
    assert_eq!(calls.count(), 4);
}

#[tokio::test]
async fn but_only_on_demand() {
    let calls = Calls::default();
    let addr = serve(&builder().0.build(), file(&calls)).await;
    for _ in 0..2 {
        let response = ask(addr, "/file", &[("range", "bytes=2-4")]).await;
        let told = "fwd=uri-miss; detail=range".to_owned();
        assert_eq!(seen(&response), (206, "234".into(), told));
    }
    assert_eq!(calls.count(), 2);
}
