//! What clients are told.

use axum::Router;
use cache_axum::rate_limit;
use cache_core::{minutes, seconds};
use cache_tests::http_client::request;

use super::{Calls, WS1, WS2, clocked, get};
use crate::setup::{http, serve};

#[tokio::test]
async fn what_is_left_and_when_it_is_too_much() {
    let (cache, clock) = clocked();
    let (http, calls) = (http(cache), Calls::default());
    let limit = rate_limit(&http, "api", 2, minutes(1));
    let served = serve(Router::new().route("/", calls.route().layer(limit))).await;
    for (left, to_go) in [(1, 60), (0, 58)] {
        let response = get(served.addr, "/", &WS1).await;
        assert_eq!(response.status, 200);
        assert_eq!(response.header_all("ratelimit-policy"), ["\"api\";q=2;w=60"]);
        assert_eq!(response.header_all("ratelimit"), [format!("\"api\";r={left};t={to_go}")]);
        assert_eq!(response.header("retry-after"), None);
        clock.advance(std::time::Duration::from_millis(2_001 - u64::from(to_go == 58) * 2_001));
    }
    let refused = get(served.addr, "/", &WS1).await;
    assert_eq!((refused.status, calls.count()), (429, 2), "the handler is not called");
    assert_eq!(refused.header("retry-after"), Some("58"));
    assert_eq!(refused.header_all("ratelimit"), ["\"api\";r=0;t=58"]);
    assert_eq!(refused.header_all("ratelimit-policy"), ["\"api\";q=2;w=60"]);
    assert_eq!(refused.header("cache-control"), Some("no-store"));
    assert_eq!(refused.header("content-type"), Some("application/problem+json"));
    let problem: serde_json::Value = serde_json::from_slice(&refused.body).unwrap();
    let expected = serde_json::json!({
        "type": "https://iana.org/assignments/http-problem-types#quota-exceeded",
        "title": "Request cannot be satisfied as assigned quota has been exceeded",
        "status": 429,
        "detail": "The limit is 2 in 60 s; try again in 58 s.",
        "violated-policies": ["api"],
    });
    assert_eq!(problem, expected);
    assert_eq!(get(served.addr, "/", &WS2).await.status, 200, "another workspace");
    clock.advance(seconds(58));
    assert_eq!(get(served.addr, "/", &WS1).await.status, 200, "another window");
}

#[tokio::test]
async fn whatever_the_method() {
    let (http, calls) = (http(clocked().0), Calls::default());
    let limit = rate_limit(&http, "api", 1, minutes(1));
    let served = serve(Router::new().route("/", calls.route().layer(limit))).await;
    assert_eq!(request(served.addr, "POST", "/", &WS1, b"{}").await.unwrap().status, 200);
    for method in ["GET", "HEAD", "OPTIONS", "PUT", "DELETE", "PATCH", "PROPFIND"] {
        let refused = request(served.addr, method, "/", &WS1, b"").await.unwrap();
        assert_eq!(refused.status, 429, "{method}");
        assert_eq!(refused.body.is_empty(), method == "HEAD");
    }
    assert_eq!(calls.count(), 1);
}

#[tokio::test]
async fn a_name_is_escaped_wherever_it_stands() {
    let http = http(clocked().0);
    let name = "a\"b\\c caf\u{e9}\r\nx: y";
    let limit = rate_limit(&http, name, 0, seconds(1));
    let served = serve(Router::new().route("/", Calls::default().route().layer(limit))).await;
    let refused = get(served.addr, "/", &WS1).await;
    let expected = "\"a\\\"b\\\\c caf%C3%A9%0D%0Ax: y\";q=0;w=1";
    assert_eq!(refused.header_all("ratelimit-policy"), [expected]);
    assert_eq!(refused.header("x"), None);
    let problem: serde_json::Value = serde_json::from_slice(&refused.body).unwrap();
    assert_eq!(problem["violated-policies"][0], "a\"b\\c caf%C3%A9%0D%0Ax: y");
    assert_eq!(refused.header("retry-after"), None, "it will never be allowed");
}

#[tokio::test]
async fn each_limiter_says_its_own() {
    let http = http(clocked().0);
    let app = Router::new().route(
        "/",
        Calls::default().route().layer((
            rate_limit(&http, "second", 1, seconds(1)).gcra(),
            rate_limit(&http, "minute", 2, minutes(1)),
        )),
    );
    let served = serve(app).await;
    let both = get(served.addr, "/", &WS1).await;
    assert_eq!(both.header_all("ratelimit"), ["\"minute\";r=1;t=60", "\"second\";r=0;t=1"]);
    let refused = get(served.addr, "/", &WS1).await;
    assert_eq!(
        (refused.status, refused.header_all("ratelimit")),
        (429, vec!["\"second\";r=0;t=1"])
    );
    assert_eq!(refused.header("retry-after"), Some("1"));
}

/// With GCRA there is more after each unit's own time, not only when the whole burst is free again.
#[tokio::test]
async fn little_by_little() {
    let (cache, clock) = clocked();
    let http = http(cache);
    let limit = rate_limit(&http, "api", 6, minutes(1)).burst(2).cost(1);
    let served = serve(Router::new().route("/", Calls::default().route().layer(limit))).await;
    for expected in ["\"api\";r=1;t=10", "\"api\";r=0;t=10"] {
        assert_eq!(get(served.addr, "/", &WS1).await.header_all("ratelimit"), [expected]);
    }
    clock.advance(seconds(4));
    let refused = get(served.addr, "/", &WS1).await;
    assert_eq!((refused.status, refused.header("retry-after")), (429, Some("6")));
    assert_eq!(refused.header_all("ratelimit"), ["\"api\";r=0;t=6"]);
    assert_eq!(refused.header_all("ratelimit-policy"), ["\"api\";q=6;w=60"]);
    clock.advance(seconds(6));
    assert_eq!(get(served.addr, "/", &WS1).await.status, 200);
}

#[tokio::test]
async fn what_costs_more() {
    let http = http(clocked().0);
    let app = Router::new()
        .route(
            "/report",
            Calls::default().route().layer(rate_limit(&http, "api", 5, minutes(1)).cost(3)),
        )
        .route("/", Calls::default().route().layer(rate_limit(&http, "api", 5, minutes(1))));
    let served = serve(app).await;
    assert_eq!(super::statuses(served.addr, "/report", &WS1, 2).await, [200, 429]);
    assert_eq!(
        super::statuses(served.addr, "/", &WS1, 3).await,
        [200, 200, 429],
        "one name, one count"
    );
}
