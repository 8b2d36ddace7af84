//! Bodies in steps, failing bodies, and clients that leave.

use std::io::ErrorKind;
use std::sync::Mutex;

use cache_tests::body::{self, BodyWriter};
use cache_tests::http_client::{self, Client};
use cache_tests::{Gate, Origin};
use tokio::time::timeout;

use crate::SOON;

async fn asked(origin: &Origin) -> Client {
    let mut client = Client::connect(origin.addr()).await.unwrap();
    client.send("GET", "/", &[], b"").await.unwrap();
    client
}

/// An origin with one body to give, and the end to write to.
async fn streaming() -> (Origin, BodyWriter) {
    let (writer, body) = body::channel();
    let once = Mutex::new(Some(body));
    let origin = Origin::start(move |_| {
        let body = once.lock().unwrap().take().expect("asked once");
        async { body::respond(200, &[], body) }
    })
    .await;
    (origin, writer)
}

#[tokio::test]
async fn each_chunk_waits_for_the_gate() {
    let gate = Gate::new();
    let inner = gate.clone();
    let origin = Origin::start(move |_| {
        let body = body::gated(&inner, ["one", "two", "three"]);
        async { body::respond(200, &[], body) }
    })
    .await;
    let mut client = asked(&origin).await;
    let head = client.read_head().await.unwrap();
    assert_eq!(head.header("transfer-encoding"), Some("chunked"));
    for (opened, expected) in [(1, "one"), (2, "two"), (0, "three")] {
        gate.open(opened);
        assert_eq!(client.read_chunk().await.unwrap().unwrap(), expected);
    }
    assert_eq!(client.read_chunk().await.unwrap(), None);
}

#[tokio::test]
async fn a_test_writes_a_body_piece_by_piece() {
    let (origin, writer) = streaming().await;
    let mut client = asked(&origin).await;
    client.read_head().await.unwrap();
    assert!(writer.send("first").await);
    assert_eq!(client.read_chunk().await.unwrap().unwrap(), "first");
    assert!(writer.send("second").await);
    drop(writer);
    assert_eq!(client.read_body().await.unwrap(), "second");
}

#[tokio::test]
async fn the_writer_learns_that_the_client_left() {
    let (origin, writer) = streaming().await;
    let mut client = asked(&origin).await;
    client.read_head().await.unwrap();
    client.disconnect();
    timeout(SOON, writer.closed()).await.expect("the body is dropped");
    assert!(!writer.send("nobody reads").await);
}

#[tokio::test]
async fn a_failing_body_is_cut() {
    let (origin, writer) = streaming().await;
    let mut client = asked(&origin).await;
    client.read_head().await.unwrap();
    writer.send("half").await;
    assert_eq!(client.read_chunk().await.unwrap().unwrap(), "half");
    writer.fail("by script").await;
    assert_eq!(client.read_chunk().await.unwrap_err().kind(), ErrorKind::UnexpectedEof);
}

#[tokio::test]
async fn a_failing_body_with_a_length_is_cut_too() {
    let origin = Origin::start(|_| async {
        body::respond(200, &[("content-length", "8")], body::failing(["half"]))
    })
    .await;
    let error = http_client::try_get(origin.addr(), "/", &[]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
}
