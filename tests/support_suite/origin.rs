//! The scripted origin: what it records, how it answers and ends.

use std::io::ErrorKind;

use cache_tests::http_client::{self, Client};
use cache_tests::{Gate, Origin, body};
use http_body_util::BodyExt;
use tokio::net::TcpStream;

#[tokio::test]
async fn requests_are_recorded_before_they_are_answered() {
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::start(move |request| {
        let held = held.clone();
        async move {
            held.pass().await;
            let sent = request.into_body().collect().await.unwrap().to_bytes();
            body::fixed(201, &[("x-a", "1"), ("x-a", "2")], sent)
        }
    })
    .await;
    let mut client = Client::connect(origin.addr()).await.unwrap();
    client.send("POST", "/a?b=c", &[("X-Tenant", "t")], b"sent").await.unwrap();
    origin.arrived(1).await;
    let requests = origin.requests();
    assert_eq!(
        (requests[0].method.as_str(), requests[0].uri.to_string().as_str()),
        ("POST", "/a?b=c")
    );
    assert_eq!(requests[0].header("x-tenant"), Some("t"));
    gate.open_for_good();
    let response = client.read_response().await.unwrap();
    assert_eq!((response.status, response.text().as_str()), (201, "sent"));
    assert_eq!(response.header_all("x-a"), ["1", "2"]);
    assert_eq!(response.header("content-length"), Some("4"));

    client.exchange("GET", "/again", &[], b"").await.unwrap();
    assert_eq!((origin.count(), origin.connections()), (2, 1));
    origin.clear();
    assert_eq!(origin.count(), 0);
}

#[tokio::test]
async fn several_connections_are_served_at_once() {
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::start(move |_| {
        let held = held.clone();
        async move {
            held.pass().await;
            body::fixed(200, &[], "late")
        }
    })
    .await;
    let addr = origin.addr();
    let clients: Vec<_> = (0..20)
        .map(|_| tokio::spawn(async move { http_client::get(addr, "/", &[]).await }))
        .collect();
    gate.waiting(20).await;
    gate.open(20);
    for client in clients {
        assert_eq!(client.await.unwrap().text(), "late");
    }
    assert_eq!((origin.count(), origin.connections()), (20, 20));
}

#[tokio::test]
async fn a_stopped_origin_refuses() {
    let origin = Origin::start(|_| async { body::fixed(200, &[], "") }).await;
    let addr = origin.addr();
    let mut client = Client::connect(addr).await.unwrap();
    client.exchange("GET", "/", &[], b"").await.unwrap();
    origin.stop().await;
    let refused = TcpStream::connect(addr).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
}

#[tokio::test]
async fn a_handler_that_panics_costs_only_its_connection() {
    let origin = Origin::start(|request| async move {
        assert!(request.uri().path() != "/panic", "by script");
        body::fixed(200, &[], "fine")
    })
    .await;
    assert!(http_client::try_get(origin.addr(), "/panic", &[]).await.is_err());
    assert_eq!(http_client::get(origin.addr(), "/", &[]).await.text(), "fine");
}
