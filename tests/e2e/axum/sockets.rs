//! Routers behind real sockets: streams, upgrades, clients that leave.

use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use axum::routing::{get, post};
use bytes::Bytes;
use cache_axum::{cache_endpoint, invalidate_cache};
use cache_core::minutes;
use cache_tests::http_client::{self, Client};
use cache_tests::{Gate, body};
use cache_tower::CacheLayer;
use http::StatusCode;
use http_body::Frame;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::{Calls, in_memory};
use crate::setup::{HIT, MISS_STORED, PATIENCE};

const WS1: [(&str, &str); 1] = [("x-workspace-id", "ws1")];

/// Serves the router until the test ends.
pub(super) async fn serve(app: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let addr = listener.local_addr().expect("bound");
    tokio::spawn(async move { axum::serve(listener, app).await });
    addr
}

/// An `UnsyncBoxBody` as axum wants it.
fn response(body: body::Body, cache_control: &'static str) -> Response {
    let response = Response::builder().header("content-type", "text/event-stream");
    response.header("cache-control", cache_control).body(Body::new(body)).expect("valid")
}

/// Each event arrives when it is sent, though the stream never ends; and it ends with its client.
#[tokio::test]
async fn an_endless_stream_passes_event_by_event() {
    let (next, ended) = (Gate::new(), Gate::new());
    let events = {
        let (next, ended) = (next.clone(), ended.clone());
        async move || {
            let (writer, body) = body::channel();
            tokio::spawn(async move {
                let mut number = 0;
                loop {
                    tokio::select! {
                        () = next.pass() => {}
                        () = writer.closed() => break ended.open(1),
                    }
                    number += 1;
                    writer.send(format!("data: {number}\n\n")).await;
                }
            });
            response(body, "no-store")
        }
    };
    let http = in_memory();
    let endpoint = get(events.clone()).layer(cache_endpoint(&http, minutes(5)));
    let app = Router::new()
        .route("/events", get(events))
        .route("/events/endpoint", endpoint)
        .layer(CacheLayer::new(&http));
    let addr = serve(app).await;
    for path in ["/events", "/events/endpoint"] {
        let mut client = Client::connect(addr).await.unwrap();
        client.send("GET", path, &WS1, b"").await.unwrap();
        let head = client.read_head().await.unwrap();
        let status = head.header("cache-status");
        assert_eq!(status, Some("cache-tower; fwd=uri-miss; detail=no-store"), "{path}");
        for number in 1..=20 {
            next.open(1);
            let event = client.read_chunk().await.unwrap().unwrap();
            assert_eq!(event, format!("data: {number}\n\n"));
        }
        client.disconnect();
        tokio::time::timeout(PATIENCE, ended.pass()).await.expect("the stream is let go");
    }
    assert_eq!(http.flights(), 0);
}

/// Pieces that will be stored arrive one by one all the same.
#[tokio::test]
async fn a_stream_that_is_stored_passes_piece_by_piece() {
    let gate = Gate::new();
    let script = gate.clone();
    let show = async move || response(body::gated(&script, ["one ", "two"]), "max-age=60");
    let addr =
        serve(Router::new().route("/", get(show)).layer(CacheLayer::new(&in_memory()))).await;
    let mut client = Client::connect(addr).await.unwrap();
    client.send("GET", "/", &WS1, b"").await.unwrap();
    client.read_head().await.unwrap();
    for piece in ["one ", "two"] {
        gate.open(1);
        assert_eq!(client.read_chunk().await.unwrap().unwrap(), piece);
    }
    assert_eq!(client.read_chunk().await.unwrap(), None);
    let hit = http_client::get(addr, "/", &WS1).await;
    assert_eq!((hit.text().as_str(), hit.cache_status().as_str()), ("one two", HIT));
}

/// Gives a piece, then fails.
struct Broken(bool);

impl http_body::Body for Broken {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let first = std::mem::replace(&mut self.0, true);
        let failure = || std::io::Error::other("the database went away");
        Poll::Ready(Some(if first { Err(failure()) } else { Ok(Frame::data("half".into())) }))
    }
}

#[tokio::test]
async fn a_body_that_fails_is_neither_whole_nor_stored() {
    let calls = Calls::default();
    let counted = calls.clone();
    let show = async move || {
        counted.next();
        Response::new(Body::new(Broken(false)))
    };
    let app = Router::new().route("/", get(show).layer(cache_endpoint(&in_memory(), minutes(5))));
    let addr = serve(app).await;
    for number in 1..=3 {
        http_client::try_get(addr, "/", &WS1).await.expect_err("it is cut");
        assert_eq!(calls.count(), number);
    }
}

/// The response goes back to the client as it is, and the connection is the handler's.
#[tokio::test]
async fn upgrades_go_past_the_cache() {
    let upgrade = async |mut request: Request| {
        let upgrading = hyper::upgrade::on(&mut request);
        tokio::spawn(async move {
            let upgraded = upgrading.await.expect("the connection");
            let mut io = hyper_util::rt::TokioIo::new(upgraded);
            let mut buffer = [0; 4];
            while io.read_exact(&mut buffer).await.is_ok() {
                buffer.reverse();
                io.write_all(&buffer).await.expect("written");
            }
        });
        Response::builder()
            .status(StatusCode::SWITCHING_PROTOCOLS)
            .header("connection", "upgrade")
            .header("upgrade", "reverse")
            .body(Body::empty())
            .expect("valid")
    };
    let http = in_memory();
    let app = Router::new()
        .route("/socket", get(upgrade).layer(cache_endpoint(&http, minutes(5))))
        .layer(CacheLayer::new(&http));
    let addr = serve(app).await;
    for _ in 0..2 {
        let mut stream = TcpStream::connect(addr).await.unwrap();
        let request = "GET /socket HTTP/1.1\r\nHost: a\r\nX-Workspace-ID: ws1\r\n\
             Connection: upgrade\r\nUpgrade: reverse\r\n\r\n";
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        let head = String::from_utf8(head).unwrap();
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        assert!(
            head.contains("cache-status: cache-tower; fwd=bypass; detail=upgrade\r\n"),
            "{head}"
        );
        for (sent, received) in [(b"abcd", b"dcba"), (b"1234", b"4321")] {
            stream.write_all(sent).await.unwrap();
            let mut buffer = [0; 4];
            stream.read_exact(&mut buffer).await.unwrap();
            assert_eq!(&buffer, received);
        }
    }
}

/// The connection is reset while the handler works: what it has changed is invalidated.
#[tokio::test]
async fn a_connection_that_is_reset_does_not_stop_an_invalidation() {
    let (http, gate, calls) = (in_memory(), Gate::new(), Calls::default());
    let (held, counted) = (gate.clone(), calls.clone());
    let update = async move || held.pass().await;
    let show = async move || counted.next().to_string();
    let app = Router::new()
        .route("/value", get(show).layer(cache_endpoint(&http, minutes(5))))
        .route("/update", post(update).layer(invalidate_cache(&http, "{workspace_id}:value:*")));
    let addr = serve(app).await;
    for status in [MISS_STORED, HIT] {
        assert_eq!(http_client::get(addr, "/value", &WS1).await.cache_status(), status);
    }
    let mut client = Client::connect(addr).await.unwrap();
    client.send("POST", "/update", &WS1, b"").await.unwrap();
    tokio::time::timeout(PATIENCE, gate.waiting(1)).await.expect("the handler is reached");
    client.disconnect();
    // The server may learn of it late; the handler goes on either way.
    assert_eq!(http_client::get(addr, "/value", &WS1).await.text(), "1");
    gate.open_for_good();
    let fresh = async || (http_client::get(addr, "/value", &WS1).await.text() == "2").then_some(());
    cache_tests::wait::eventually_some(PATIENCE, "the invalidation", fresh).await;
}
