//! QUERY (RFC 10008): responses are stored by the content of the request.

mod bodies;
mod content;
mod ends;
mod waiting;

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use cache_core::Clock;
use cache_tests::body::{Body, full};
use cache_tests::{Gate, eventually};
use cache_tower::{CacheBody, CacheLayer, HttpCache, HttpCacheBuilder, QueryBody};
use http::{HeaderMap, Method, Request, Response};
use http_body::Body as _;
use http_body_util::BodyExt;
use tokio::task::JoinHandle;
use tower::util::BoxCloneSyncService;
use tower::{Layer, ServiceExt, service_fn};

use super::origin::{HIT, Lines, MISS, PATIENCE, START, field, fields, memory, told};

const CAP: usize = 16;
const OTHER: &str = "fwd=vary-miss; stored";
const FRESH: Lines<'static> = &[("cache-control", "max-age=60")];

type Going = JoinHandle<Result<Response<CacheBody<Body>>, Infallible>>;
type Service = BoxCloneSyncService<Request<Body>, Response<CacheBody<Body>>, Infallible>;

/// A request as the origin saw it.
#[derive(Debug)]
struct Seen {
    method: Method,
    headers: HeaderMap,
    hint: (u64, Option<u64>),
    /// Or why it failed.
    content: Result<Bytes, String>,
    trailers: Option<HeaderMap>,
}

/// Answers with the number of the call and the content that it got.
#[derive(Clone)]
struct Origin {
    lines: Lines<'static>,
    seen: Arc<Mutex<Vec<Seen>>>,
    /// Opened for each answer, if there is one.
    gate: Option<Gate>,
}

impl Origin {
    fn new(lines: Lines<'static>) -> Self {
        Self { lines, seen: Arc::default(), gate: None }
    }

    async fn answer(self, request: Request<Body>) -> Response<Body> {
        let (parts, mut body) = request.into_parts();
        let hint = (body.size_hint().lower(), body.size_hint().upper());
        let (mut read, mut trailers, mut failed) = (Vec::new(), None, None);
        while let Some(frame) = body.frame().await {
            match frame.map(http_body::Frame::into_data) {
                Ok(Ok(data)) => read.extend_from_slice(&data),
                Ok(Err(frame)) => trailers = frame.into_trailers().ok(),
                Err(error) => failed = Some(error.to_string()),
            }
        }
        let content = failed.map_or(Ok(Bytes::from(read)), Err);
        let text = content.clone().unwrap_or_default();
        let (method, headers) = (parts.method, parts.headers);
        let count = {
            let mut seen = self.seen.lock().expect("not poisoned");
            seen.push(Seen { method: method.clone(), headers, hint, content, trailers });
            seen.len()
        };
        if let Some(gate) = &self.gate {
            gate.pass().await;
        }
        let lines = if method.is_safe() || method == "QUERY" { self.lines } else { &[] };
        let answer = [count.to_string().as_bytes(), &text].concat();
        let mut response = Response::new(full(answer));
        *response.headers_mut() = fields(lines);
        response
    }

    fn calls(&self) -> usize {
        self.seen.lock().expect("not poisoned").len()
    }

    fn last<T>(&self, of: impl FnOnce(&Seen) -> T) -> T {
        of(self.seen.lock().expect("not poisoned").last().expect("a request"))
    }
}

#[derive(Clone)]
struct App {
    http: HttpCache,
    clock: Clock,
    origin: Origin,
    service: Service,
}

fn with_queries(builder: HttpCacheBuilder) -> HttpCache {
    builder.query_bodies_with(CAP, |body: QueryBody<Body>| body.boxed_unsync()).build()
}

impl App {
    fn new(lines: Lines<'static>) -> Self {
        Self::over(&Origin::new(lines))
    }

    fn over(origin: &Origin) -> Self {
        let http = with_queries(HttpCache::builder(memory(&Clock::manual(START))));
        Self::of(&http, origin)
    }

    fn of(http: &HttpCache, origin: &Origin) -> Self {
        Self::under(http, origin, &CacheLayer::new(http))
    }

    fn under(http: &HttpCache, origin: &Origin, layer: &CacheLayer) -> Self {
        let answering = origin.clone();
        let origin_service = service_fn(move |request| {
            let origin = answering.clone();
            async move { Ok::<_, Infallible>(origin.answer(request).await) }
        });
        let service = BoxCloneSyncService::new(layer.layer(origin_service));
        let clock = http.cache().clock().clone();
        Self { http: http.clone(), clock, origin: origin.clone(), service }
    }

    /// Sends a request, as a task.
    fn start(&self, request: Request<Body>) -> Going {
        // Boxed here: within an async function the compiler can't tell that it is `Send`.
        let response: Pin<Box<dyn Future<Output = _> + Send>> =
            Box::pin(self.service.clone().oneshot(request));
        tokio::spawn(response)
    }

    /// The whole response, when all that it causes has been written.
    async fn send(&self, request: Request<Body>) -> Response<Bytes> {
        ended(&self.http, self.start(request)).await
    }

    async fn told(&self, content: &'static str, lines: Lines<'_>) -> String {
        told(&self.send(query("/a", lines, full(content))).await)
    }
}

/// The whole response to a request that was sent.
async fn ended(http: &HttpCache, going: Going) -> Response<Bytes> {
    let Ok(response) = going.await.expect("no panic");
    whole(http, response).await
}

async fn whole<B>(http: &HttpCache, response: Response<B>) -> Response<Bytes>
where
    B: http_body::Body<Data = Bytes, Error: std::fmt::Debug>,
{
    let (parts, body) = response.into_parts();
    let body = body.collect().await.expect("a whole body").to_bytes();
    let background = http.cache().background().clone();
    eventually(PATIENCE, "writes end", move || background.running() == 0).await;
    Response::from_parts(parts, body)
}

fn request(method: &str, uri: &str, lines: Lines<'_>, body: Body) -> Request<Body> {
    let mut request = Request::new(body);
    *request.method_mut() = method.parse().expect("a method");
    *request.uri_mut() = uri.parse().expect("a URI");
    *request.headers_mut() = fields(&[&[("host", "shop.example")], lines].concat());
    request
}

fn query(uri: &str, lines: Lines<'_>, body: Body) -> Request<Body> {
    request("QUERY", uri, lines, body)
}
