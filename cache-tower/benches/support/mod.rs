//! What the benches share.
#![allow(clippy::print_stderr, reason = "a bench that leaves something out says so")]

use std::convert::Infallible;
use std::net::TcpListener;
use std::pin::pin;
use std::process::{Child, Command, Stdio};
use std::task::{Context, Poll, Waker};

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use http_body_util::Full;
use tokio::runtime::{Builder, Runtime};

/// A runtime with one worker beside the bench itself.
pub(crate) fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

/// A request as a browser's proxy would send it.
pub(crate) fn request() -> Request<Body> {
    request_for("/items/42")
}

/// The same for another path.
pub(crate) fn request_for(path: &str) -> Request<Body> {
    Request::get(path)
        .header("host", "shop.example")
        .header("accept", "application/json")
        .header("x-workspace-id", "ws1")
        .body(Body::empty())
        .unwrap()
}

/// Twelve headers.
pub(crate) fn headers() -> HeaderMap {
    let mut headers = HeaderMap::new();
    let known = [
        ("content-type", "application/json"),
        ("cache-control", "max-age=3600"),
        ("etag", "\"5f2b8c1a\""),
        ("last-modified", "Sat, 21 Nov 2026 00:00:00 GMT"),
        ("date", "Sat, 21 Nov 2026 00:00:00 GMT"),
        ("content-language", "en"),
        ("server", "shop"),
        ("strict-transport-security", "max-age=63072000"),
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("x-request-id", "0123456789abcdef"),
        ("x-powered-by", "rust"),
    ];
    for (name, value) in known {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    headers
}

/// The same, each value in memory of its own, as they are when they came over a socket.
pub(crate) fn headers_off_the_wire() -> HeaderMap {
    let own = |(name, value): (&HeaderName, &HeaderValue)| {
        let name = HeaderName::from_bytes(name.as_str().as_bytes()).unwrap();
        (name, HeaderValue::from_bytes(value.as_bytes()).unwrap())
    };
    headers().iter().map(own).collect()
}

/// Answers with twelve headers, two of which are this response's own, and 1 KiB, fresh for an
/// hour from now.
pub(crate) async fn respond(request: Request<Body>) -> Result<Response<Full<Bytes>>, Infallible> {
    let mut response = Response::new(Full::from(vec![b'x'; 1024]));
    let headers = response.headers_mut();
    *headers = self::headers();
    headers.remove("date");
    let path = request.uri().path();
    headers.insert("etag", HeaderValue::from_str(&format!("\"{path}\"")).unwrap());
    headers.insert("x-request-id", HeaderValue::from_str(&format!("0123456789-{path}")).unwrap());
    Ok(response)
}

/// The output of a future that is ready.
pub(crate) fn poll_now<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("a hit does not wait"),
    }
}

/// A Redis server for one bench.
pub(crate) struct Redis {
    process: Child,
    port: u16,
}

impl Redis {
    /// `None`, with a word on why, where there is no `redis-server`.
    pub(crate) fn start() -> Option<Self> {
        let port = TcpListener::bind("127.0.0.1:0").ok()?.local_addr().ok()?.port();
        let process = Command::new("redis-server")
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
            .args(["--save", "", "--appendonly", "no"])
            .stdout(Stdio::null())
            .spawn();
        let Ok(process) = process else {
            eprintln!("redis-server not found: the Redis benches are left out");
            return None;
        };
        let redis = Self { process, port };
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            std::thread::yield_now();
        }
        Some(redis)
    }

    /// Where it is.
    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
