//! Steps that hyper would never take.

use std::io::ErrorKind;
use std::time::Duration;

use cache_tests::http_client::{self, Client};
use cache_tests::{Gate, RawOrigin, RawStep};
use tokio::time::timeout;

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n";

#[tokio::test]
async fn requests_and_connections_are_told_apart() {
    let origin = RawOrigin::start(|request, number| {
        let body =
            format!("{number}{}", if request.ends_with(b"\r\n\r\nbody") { "+bd" } else { "---" });
        vec![RawStep::write(OK), RawStep::write(body)]
    })
    .await;
    let mut client = Client::connect(origin.addr()).await.unwrap();
    assert_eq!(client.exchange("POST", "/", &[], b"body").await.unwrap().text(), "0+bd");
    assert_eq!(client.exchange("GET", "/", &[], b"").await.unwrap().text(), "0---");
    assert_eq!(http_client::get(origin.addr(), "/", &[]).await.text(), "1---");
    assert_eq!((origin.count(), origin.connections()), (3, 2));
}

#[tokio::test]
async fn lengths_may_lie() {
    let origin =
        RawOrigin::start(|_, _| vec![RawStep::write(OK), RawStep::write("too long")]).await;
    let mut client = Client::connect(origin.addr()).await.unwrap();
    assert_eq!(client.exchange("GET", "/", &[], b"").await.unwrap().text(), "too ");
    let left = client.exchange("GET", "/", &[], b"").await.unwrap_err();
    assert_eq!(left.kind(), ErrorKind::InvalidData);
}

#[tokio::test]
async fn a_gate_holds_the_next_step() {
    let gate = Gate::new();
    let inner = gate.clone();
    let origin = RawOrigin::start(move |_, _| {
        vec![RawStep::write(OK), RawStep::WaitGate(inner.clone()), RawStep::write("late")]
    })
    .await;
    let mut client = Client::connect(origin.addr()).await.unwrap();
    client.send("GET", "/", &[], b"").await.unwrap();
    client.read_head().await.unwrap();
    gate.waiting(1).await;
    gate.open(1);
    assert_eq!(client.read_body().await.unwrap(), "late");
}

#[tokio::test]
async fn it_can_reset_and_hang() {
    let origin = RawOrigin::start(|_, number| {
        vec![if number == 0 { RawStep::Reset } else { RawStep::Hang }]
    })
    .await;
    let reset = http_client::try_get(origin.addr(), "/", &[]).await.unwrap_err();
    assert_eq!(reset.kind(), ErrorKind::ConnectionReset);
    let hung = http_client::try_get(origin.addr(), "/", &[]);
    assert!(timeout(Duration::from_millis(50), hung).await.is_err());
}
