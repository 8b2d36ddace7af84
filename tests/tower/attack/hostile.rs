//! Requests and responses that nobody sends by accident.

use std::convert::Infallible;

use bytes::Bytes;
use cache_tests::body;
use cache_tower::{CacheLayer, InvalidateLayer};
use http::{HeaderName, HeaderValue, Request, Response};
use http_body_util::{BodyExt, Empty, Full};
use tower::{Layer, ServiceExt, service_fn};

use crate::setup::{
    Ask, LIMIT, app, at_rest, cache_status, fresh, get, head, http, memory, origin, send, settle,
    whole,
};

/// `Age` and `Cache-Status` had no place any more, which panicked in the midst of the body.
#[tokio::test]
async fn a_head_as_large_as_can_be_passes() {
    let http = http(&memory());
    let (app, mut calls) = app(&http);
    let leading = send(&app, get("/a"));
    let call = calls.next().await;
    let following = send(&app, get("/a"));
    settle().await;
    let mut response = fresh(body::full("hello"));
    for n in 0.. {
        let name = HeaderName::try_from(format!("x-{n}")).expect("a name");
        let headers = response.headers_mut();
        if headers.try_append(name, HeaderValue::from_static("1")).is_err() {
            break;
        }
    }
    let fields = response.headers().len();
    call.answer(response);
    for going in [leading, following] {
        let response = head(going).await;
        assert!(response.headers().len() >= fields);
        assert_eq!(whole(response).await.expect("whole"), "hello");
    }
    at_rest(&http).await;
}

/// Says what host it was asked for, as the frameworks find it out: by the field, then the URI.
async fn reflect(request: Ask) -> Result<Response<Full<Bytes>>, Infallible> {
    let host = match request.headers().get("host") {
        Some(host) => String::from_utf8_lossy(host.as_bytes()).into_owned(),
        None => request.uri().authority().expect("one of both").to_string(),
    };
    let response = Response::builder().header("cache-control", "max-age=60");
    Ok(response.body(Full::from(host)).expect("valid"))
}

fn to(uri: &str, hosts: &[&str]) -> Ask {
    let request =
        hosts.iter().fold(Request::get(uri), |request, host| request.header("host", *host));
    request.body(Empty::new()).expect("valid")
}

/// The URI's authority was the key, and `Host` what handlers put into links: with both in one
/// request, anybody's host was stored for everybody.
#[tokio::test]
async fn a_host_field_beside_another_authority_poisons_nothing() {
    let http = http(&memory());
    let service = CacheLayer::new(&http).layer(service_fn(reflect));
    let ask = async |uri: &str, hosts: &[&str]| {
        let response = service.clone().oneshot(to(uri, hosts)).await.expect("infallible");
        let status = response.headers()["cache-status"].clone();
        let body = response.into_body().collect().await.expect("whole").to_bytes();
        (String::from_utf8(body.to_vec()).expect("text"), status == "cache-tower; hit")
    };
    let told = |text: &str, hit| (text.to_owned(), hit);
    assert_eq!(ask("http://shop.example/a", &["evil.example"]).await, told("evil.example", false));
    assert_eq!(ask("/a", &["shop.example"]).await, told("shop.example", false));
    assert_eq!(ask("/a", &["shop.example"]).await, told("shop.example", true));
    // One host in two places, or in capitals, is one host.
    assert!(ask("http://shop.example/a", &[]).await.1);
    assert!(ask("http://shop.example/a", &["SHOP.example"]).await.1);
    assert_eq!(ask("http://shop.example/a", &["evil.example"]).await, told("evil.example", true));
    // Several lines are not the first of them.
    let two = ["shop.example", "evil.example"];
    assert!(!ask("/a", &two).await.1);
    assert!(!ask("/a", &["evil.example"]).await.1);
}

/// A GET on a route that invalidates went on without its client, in a place that others need.
#[tokio::test]
async fn a_safe_request_on_a_route_that_invalidates_ends_with_its_client() {
    let http = http(&memory());
    let (origin, mut calls) = origin();
    let service = InvalidateLayer::new(&http, "{workspace_id}:campaigns:*").layer(origin);
    let going = tokio::spawn(service.oneshot(get("/campaigns")));
    let call = calls.next().await;
    going.abort();
    settle().await;
    assert!(!call.is_wanted());
    assert_eq!(http.cache().background().running(), 0);
}

/// The answer to a client that has it already was made of all that the origin had said, to the
/// next hop too.
#[tokio::test]
async fn a_304_to_the_first_client_tells_nothing_of_the_origin_s_connection() {
    let http = http(&memory());
    let (app, mut calls) = app(&http);
    let request = Request::get("/a").header("if-none-match", "\"1\"");
    let going = send(&app, request.body(Empty::new()).expect("valid"));
    let mut response = fresh(body::full("hello"));
    for (name, value) in [
        ("etag", "\"1\""),
        ("connection", "x-hop"),
        ("x-hop", "1"),
        ("keep-alive", "1"),
        ("x-b", "2"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    calls.next().await.answer(response);
    let response = head(going).await;
    assert_eq!(response.status(), 304);
    for name in ["connection", "keep-alive", "x-hop"] {
        assert!(!response.headers().contains_key(name), "{name}");
    }
    assert_eq!(response.headers()["x-b"], "2");
    at_rest(&http).await;
}

/// Methods of WebDAV that only read invalidated as if they wrote.
#[tokio::test]
async fn methods_that_only_read_invalidate_no_pattern() {
    let http = http(&memory());
    let (origin, mut calls) = origin();
    let invalidate = InvalidateLayer::new(&http, "{workspace_id}:*");
    let service = CacheLayer::new(&http).layer(invalidate.layer(origin));
    let ask = |method: &str| {
        let request = Request::builder().method(method).uri("/a").header("x-workspace-id", "w");
        tokio::spawn(service.clone().oneshot(request.body(Empty::new()).expect("valid")))
    };
    let first = ask("GET");
    calls.next().await.answer(fresh(body::full("hello")));
    first.await.expect("no panic").expect("no error").into_body().collect().await.expect("whole");
    for (method, hit) in [("PROPFIND", true), ("QUERY", true), ("OPTIONS", true), ("POST", false)] {
        let going = ask(method);
        calls.next().await.answer(body::fixed(200, &[], ""));
        going.await.expect("no panic").expect("no error");
        assert_eq!(http.cache().health().await.l1_entries == 1, hit, "{method}");
        if hit {
            let status = ask("GET").await.expect("no panic").expect("no error");
            assert_eq!(status.headers()["cache-status"], "cache-tower; hit", "{method}");
        }
    }
}

/// A client that wants a stored response or none was sent to the origin when the stored one was
/// not for it.
#[tokio::test]
async fn only_if_cached_reaches_no_origin_with_credentials_either() {
    let http = http(&memory());
    let (app, mut calls) = app(&http);
    let first = send(&app, get("/a"));
    calls.next().await.answer(fresh(body::full("hello")));
    whole(head(first).await).await.expect("whole");
    for method in ["GET", "HEAD"] {
        let request = Request::builder().method(method).uri("/a").header("host", "shop.example");
        let request = request.header("authorization", "Bearer x");
        let request = request.header("cache-control", "only-if-cached");
        let going = send(&app, request.body(Empty::new()).expect("valid"));
        let response = tokio::time::timeout(LIMIT, head(going)).await.expect("no origin");
        assert_eq!(response.status(), 504);
        assert_eq!(cache_status(&response), "detail=only-if-cached");
    }
    assert_eq!(calls.count(), 1);
    at_rest(&http).await;
}
