//! What is not one response that ends: WebSockets, and events that go on.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::Router;
use axum::extract::WebSocketUpgrade;
use axum::extract::ws::Message;
use axum::http::header::CACHE_CONTROL;
use axum::response::IntoResponse;
use axum::response::sse::{Event, Sse};
use axum::routing::get;
use cache_axum::cache_endpoint;
use cache_core::minutes;
use cache_tests::http_client::Client;
use cache_tower::CacheLayer;
use futures_core::Stream;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use super::{App, HIT, MISS, in_memory};

/// Sends back what it is sent.
async fn echo(upgrade: WebSocketUpgrade) -> impl IntoResponse {
    upgrade.on_upgrade(async |mut socket| {
        while let Some(Ok(message)) = socket.recv().await {
            if let Message::Text(text) = message {
                let _ = socket.send(Message::Text(text)).await;
            }
        }
    })
}

/// RFC 6455 §1.3: a handshake, then a frame (masked, as a client's are) and what comes back.
async fn talk(app: &App, path: &str, text: &[u8; 5]) -> (String, Vec<u8>) {
    let mut stream = TcpStream::connect(app.served.addr).await.expect("connected");
    let head = format!(
        "GET {path} HTTP/1.1\r\nHost: shop.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.expect("sent");
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        answer.push(stream.read_u8().await.expect("a head"));
    }
    let mask = [1, 2, 3, 4];
    let mut frame = vec![0x81, 0x80 | 5];
    frame.extend_from_slice(&mask);
    frame.extend(text.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    stream.write_all(&frame).await.expect("sent");
    let mut echoed = [0; 7];
    stream.read_exact(&mut echoed).await.expect("a frame");
    assert_eq!(echoed[..2], [0x81, 5]);
    (String::from_utf8_lossy(&answer).to_lowercase(), echoed[2..].to_vec())
}

/// An upgrade goes past the cache, whichever layer it passes, and the connection is the handler's.
#[tokio::test]
async fn web_sockets() {
    let http = in_memory(|builder| builder.route("/by-table", minutes(5)));
    let router = Router::new()
        .route("/around", get(echo))
        .route("/endpoint", get(echo).layer(cache_endpoint(&http, minutes(5))))
        .route("/by-table", get(echo))
        .layer(CacheLayer::new(&http));
    let app = App::start(&http, router).await;
    for path in ["/around", "/endpoint", "/by-table"] {
        for text in [b"hello", b"again"] {
            let (head, echoed) = talk(&app, path, text).await;
            assert!(head.starts_with("http/1.1 101"), "{head}");
            assert!(head.contains("sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo="), "{head}");
            assert!(
                head.contains("cache-status: cache-tower; fwd=bypass; detail=upgrade"),
                "{head}"
            );
            assert_eq!(echoed, text);
        }
        // Without the upgrade it is a GET like any other; its error is not stored.
        let refused = app.get(path, &[]).await;
        assert_eq!(refused.status, 400);
        assert!(!refused.cache_status().contains("stored"));
    }
    assert_eq!(http.stats().hits, 0);
}

/// Events that a test sends.
struct Events(mpsc::UnboundedReceiver<&'static str>);

impl Stream for Events {
    type Item = Result<Event, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(context).map(|event| event.map(|data| Ok(Event::default().data(data))))
    }
}

/// Events come one by one, to each client its own; axum says `no-cache` of them, so that none is
/// kept. Said of them anyway, what has come to its end is kept like any response.
#[tokio::test]
async fn events() {
    let http = in_memory(|builder| builder);
    let (senders, mut streams) = mpsc::unbounded_channel();
    let events = move || {
        let (sender, events) = mpsc::unbounded_channel();
        senders.send(sender).expect("the test listens");
        Sse::new(Events(events))
    };
    let (plain, kept) = (events.clone(), events);
    let router = Router::new()
        .route("/events", get(async move || plain()).layer(cache_endpoint(&http, minutes(5))))
        .route("/kept", get(async move || ([(CACHE_CONTROL, "max-age=60")], kept())))
        .layer(CacheLayer::new(&http));
    let app = App::start(&http, router).await;
    for path in ["/events", "/events", "/kept"] {
        let mut client = Client::connect(app.served.addr).await.expect("connected");
        client.send("GET", path, &[], b"").await.expect("sent");
        let head = client.read_head().await.expect("a head");
        assert_eq!(head.header("content-type"), Some("text/event-stream"));
        let told = head.header("cache-status").expect("told");
        let sender = streams.recv().await.expect("a handler");
        for data in ["one", "two"] {
            sender.send(data).expect("somebody listens");
            let piece = client.read_chunk().await.expect("it goes on").expect("an event");
            assert_eq!(piece, format!("data: {data}\n\n"), "each as it comes");
        }
        drop(sender);
        assert_eq!(client.read_chunk().await.expect("an end"), None);
        super::at_rest(&http).await;
        assert_eq!(told == MISS, path == "/kept", "{told}");
    }
    let again = app.get("/kept", &[]).await;
    assert_eq!(again.cache_status(), HIT);
    assert_eq!(again.text(), "data: one\n\ndata: two\n\n");
}
