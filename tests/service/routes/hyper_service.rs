//! A plain Tower service that hyper serves: no router, no axum.

use std::convert::Infallible;

use bytes::Bytes;
use cache_core::minutes;
use cache_tests::http_client;
use cache_tower::{CacheLayer, HttpCache, InvalidateLayer};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::Incoming;
use tower::{ServiceBuilder, service_fn};

use super::clients::{Server, Speaks, connect, serve};
use super::{Calls, HIT, MISS, NEVER, NO_FRESHNESS, at_rest, everywhere};

/// hyper over a service, with the layers around it.
async fn served(speaks: Speaks, http: &HttpCache) -> Server {
    let calls = Calls::default();
    let handler = move |request: Request<Incoming>| {
        let calls = calls.clone();
        async move {
            if request.method() == Method::POST {
                let whole = request.into_body().collect().await.expect("a whole body").to_bytes();
                return Ok(Response::new(Full::new(whole)));
            }
            let text = format!("{} {}", request.uri().path(), calls.next());
            Ok::<_, Infallible>(Response::new(Full::from(text)))
        }
    };
    let service = ServiceBuilder::new()
        .layer(CacheLayer::new(http))
        .layer(InvalidateLayer::new(http, "{workspace_id}:items:*"))
        .service(service_fn(handler));
    serve(speaks, service).await
}

/// The table goes by the path, and never-rules hold, where there is no `MatchedPath`.
#[tokio::test]
async fn over_http_1() {
    for http in everywhere(|builder| {
        builder.route("/items/{id}", minutes(5)).never("/items/mine").never("/billing/{*rest}")
    }) {
        let server = served(Speaks::Http1, &http).await;
        let ours = [("x-workspace-id", "ws1")];
        let told = async |path: &str| {
            let told = http_client::get(server.addr, path, &ours).await.cache_status();
            at_rest(&http).await;
            told
        };
        for expected in [MISS, HIT] {
            assert_eq!(told("/items/1").await, expected);
            assert_eq!(told("/items/1/more").await, NO_FRESHNESS);
            for path in ["/items/mine", "/items/m%69ne", "/billing", "/billing/x", "//billing/x"] {
                assert_eq!(told(path).await, NEVER, "{path}");
            }
        }
        let changed = http_client::request(server.addr, "POST", "/other", &ours, b"text").await;
        assert_eq!(changed.expect("answered").text(), "text");
        assert_eq!(told("/items/1").await, MISS);
        let met: Vec<_> = http.routes().into_iter().map(|rule| rule.requests).collect();
        assert_eq!(met, [3, 4, 6]);
    }
}

/// Requests of HTTP/2 have their authority in the URI, and one entry with those of HTTP/1.1.
#[tokio::test]
async fn over_http_2() {
    for http in everywhere(|builder| builder.route("/items/{id}", minutes(5))) {
        let server = served(Speaks::Http2, &http).await;
        let mut client = connect::<Empty<Bytes>>(server.addr).await;
        let mut seen = Vec::new();
        for host in ["a.example", "a.example", "b.example"] {
            let request = Request::get(format!("http://{host}/items/1")).body(Empty::new());
            let response = client.send_request(request.expect("valid")).await.expect("answered");
            assert_eq!(response.status(), StatusCode::OK);
            let told = response.headers()["cache-status"].to_str().expect("text").to_owned();
            let body = response.into_body().collect().await.expect("a whole body").to_bytes();
            seen.push((String::from_utf8_lossy(&body).into_owned(), told));
            at_rest(&http).await;
        }
        let expected = [("/items/1 1", MISS), ("/items/1 1", HIT), ("/items/1 2", MISS)];
        assert_eq!(seen, expected.map(|(text, told)| (text.to_owned(), told.to_owned())));
    }
}
