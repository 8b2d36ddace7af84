//! The Tower contract: the layer is always ready, a service inside is asked only for what is served,
//! and its errors and bodies are its own.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use cache_axum::rate_limit;
use cache_core::minutes;
use cache_tests::http_client::Client;
use cache_tests::{Gate, body};
use cache_tower::{RateLimitLayer, TrustedProxies, WithoutKey};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use tower::{Layer, Service, ServiceExt};

use super::{Calls, clocked, get};
use crate::setup::{http, serve};

/// Ready once for each call, and never before it was asked.
#[derive(Debug, Default)]
struct Strict {
    readied: Arc<AtomicUsize>,
    ready: bool,
    fails: bool,
}

impl Clone for Strict {
    fn clone(&self) -> Self {
        Self { readied: Arc::clone(&self.readied), ready: false, fails: self.fails }
    }
}

#[derive(Debug, PartialEq)]
struct Own;

impl Service<Request<Full<Bytes>>> for Strict {
    type Response = Response<Full<Bytes>>;
    type Error = Own;
    type Future = std::future::Ready<Result<Self::Response, Own>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Own>> {
        if !self.ready {
            self.readied.fetch_add(1, Ordering::SeqCst);
            self.ready = true;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<Full<Bytes>>) -> Self::Future {
        assert!(std::mem::take(&mut self.ready), "called without having been ready");
        let response = Response::new(Full::from("hi"));
        std::future::ready(if self.fails { Err(Own) } else { Ok(response) })
    }
}

fn request() -> Request<Full<Bytes>> {
    Request::get("/").header("x-workspace-id", "ws1").body(Full::default()).unwrap()
}

#[tokio::test]
async fn always_ready_and_the_clone_that_was_made_ready_is_called() {
    let (strict, http) = (Strict::default(), http(clocked().0));
    let readied = Arc::clone(&strict.readied);
    let mut service = RateLimitLayer::new(&http, "api", 2, minutes(1)).layer(strict);
    for expected in [1, 2, 2, 2] {
        let ready = service.ready().await.unwrap();
        let response = ready.call(request()).await.unwrap();
        assert_eq!(readied.load(Ordering::SeqCst), expected, "not for what is refused");
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        assert!(!bytes.is_empty());
    }
}

#[tokio::test]
async fn errors_are_the_inner_ones() {
    let strict = Strict { fails: true, ..Strict::default() };
    let service = RateLimitLayer::new(&http(clocked().0), "api", 1, minutes(1)).layer(strict);
    assert_eq!(service.clone().oneshot(request()).await.map(drop).unwrap_err(), Own);
    let refused = service.oneshot(request()).await.unwrap();
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS, "what fails is counted, too");
}

/// Without axum, the address is an extension, or where a function finds it.
#[tokio::test]
async fn addresses_without_axum() {
    let http = http(clocked().0);
    let by_ip = |name| {
        let layer = RateLimitLayer::new(&http, name, 1, minutes(1)).by_ip(TrustedProxies::none());
        layer.without_key(WithoutKey::Deny)
    };
    let status =
        async |layer: &RateLimitLayer, extension: Option<SocketAddr>, ip: Option<IpAddr>| {
            let mut request = request();
            extension.map(|address| request.extensions_mut().insert(address));
            ip.map(|address| request.extensions_mut().insert(address));
            layer.layer(Strict::default()).oneshot(request).await.unwrap().status().as_u16()
        };
    let socket = |text: &str| Some(text.parse().unwrap());
    let plain = by_ip("plain");
    assert_eq!(status(&plain, socket("192.0.2.1:1"), None).await, 200);
    assert_eq!(status(&plain, socket("192.0.2.1:2"), None).await, 429);
    assert_eq!(status(&plain, None, Some("192.0.2.1".parse().unwrap())).await, 429);
    assert_eq!(status(&plain, None, Some("192.0.2.2".parse().unwrap())).await, 200);
    assert_eq!(status(&plain, None, None).await, 403);
    let fixed = by_ip("fixed").peer(|_| Some(IpAddr::from([192, 0, 2, 9])));
    assert_eq!(status(&fixed, socket("192.0.2.1:1"), None).await, 200);
    assert_eq!(status(&fixed, socket("192.0.2.2:1"), None).await, 429);
}

/// Each byte reaches the client when the handler gives it.
#[tokio::test]
async fn bodies_stream() {
    let (http, gate) = (http(clocked().0), Gate::new());
    let held = gate.clone();
    let handler = axum::routing::get(async move || Body::new(body::gated(&held, ["one", "two"])));
    let limit = rate_limit(&http, "api", 1, minutes(1));
    let served = serve(Router::new().route("/", handler.layer(limit))).await;
    let mut client = Client::connect(served.addr).await.unwrap();
    client.send("GET", "/", &super::WS1, b"").await.unwrap();
    assert_eq!(client.read_head().await.unwrap().header("ratelimit"), Some("\"api\";r=0;t=60"));
    gate.open(1);
    assert_eq!(client.read_chunk().await.unwrap().unwrap(), "one");
    gate.open_for_good();
    assert_eq!(client.read_body().await.unwrap(), "two");
}

#[tokio::test]
async fn around_a_router_and_a_fallback() {
    let (http, calls) = (http(clocked().0), Calls::default());
    let inner = Router::new().route("/x", calls.route());
    let app = Router::new()
        .route("/", calls.route())
        .nest("/nested", inner)
        .fallback(async || StatusCode::NOT_FOUND)
        .layer(rate_limit(&http, "api", 3, minutes(1)));
    let served = serve(app).await;
    for (path, status) in
        [("/", 200), ("/nested/x", 200), ("/none", 404), ("/", 429), ("/none", 429)]
    {
        assert_eq!(get(served.addr, path, &super::WS1).await.status, status, "{path}");
    }
}
