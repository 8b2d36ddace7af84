//! QUERY on a router, over a real socket.

use std::net::SocketAddr;

use axum::Router;
use axum::body::Bytes;
use axum::routing::any;
use cache_axum::cache_endpoint;
use cache_core::{Cache, minutes};
use cache_tests::http_client::{self, Client};
use cache_tower::{CacheLayer, HttpCache};
use http::Method;
use tokio::net::TcpListener;

use super::Calls;
use crate::setup::{HIT, unique_prefix};

const JSON: [(&str, &str); 1] = [("content-type", "application/json")];
const OTHER: &str = "cache-tower; fwd=vary-miss; stored";

async fn ask(addr: SocketAddr, method: &str, body: &str) -> (String, String) {
    let answered = http_client::request(addr, method, "/search", &JSON, body.as_bytes()).await;
    let response = answered.expect("a response");
    (response.cache_status(), response.text())
}

#[tokio::test]
async fn results_are_stored_by_the_content_of_the_request() {
    let cache = Cache::builder().prefix(unique_prefix()).memory().build().expect("valid");
    let http = HttpCache::builder(cache).query_bodies(64).build();
    let calls = Calls::default();
    let search = {
        let calls = calls.clone();
        async move |method: Method, body: Bytes| {
            let count = calls.next();
            format!("{count} {method} {}", String::from_utf8_lossy(&body))
        }
    };
    let app = Router::new()
        .route("/search", any(search).layer(cache_endpoint(&http, minutes(5))))
        .layer(CacheLayer::new(&http));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let addr = listener.local_addr().expect("bound");
    tokio::spawn(async move { axum::serve(listener, app).await });

    let (status, first) = ask(addr, "QUERY", "{\"q\":1}").await;
    assert_eq!((status.as_str(), first.as_str()), (crate::setup::MISS_STORED, "1 QUERY {\"q\":1}"));
    assert_eq!(ask(addr, "QUERY", "{\"q\":1}").await, (HIT.to_owned(), first.clone()));
    assert_eq!(ask(addr, "QUERY", "{\"q\":2}").await.0, OTHER);
    // In chunks it is the same content.
    let mut client = Client::connect(addr).await.expect("connected");
    let chunked = "QUERY /search HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
                   transfer-encoding: chunked\r\n\r\n3\r\n{\"q\r\n4\r\n\":1}\r\n0\r\n\r\n";
    client
        .send_raw(chunked.replace("localhost", &addr.to_string()).as_bytes())
        .await
        .expect("sent");
    let response = client.read_response().await.expect("a response");
    assert_eq!((response.cache_status().as_str(), response.text()), (HIT, first));
    // More than is read ahead.
    let long = "x".repeat(100_000);
    for count in 3..5 {
        let (status, text) = ask(addr, "QUERY", &long).await;
        assert!(status.ends_with("fwd=bypass; detail=query-too-large"), "{status}");
        assert_eq!(text, format!("{count} QUERY {long}"));
    }
    // A write ends all of it.
    assert_eq!(ask(addr, "POST", "").await.1, "5 POST ");
    for body in ["{\"q\":1}", "{\"q\":2}"] {
        assert_ne!(ask(addr, "QUERY", body).await.0, HIT);
    }
    assert_eq!(calls.count(), 7);
}
