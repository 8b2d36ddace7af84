//! An origin in this process, and the cache in front of it.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use cache_core::{Cache, Clock, RedisOptions, seconds};
use cache_tests::{RedisServer, eventually};
use cache_tower::{BoxError, CacheLayer, HttpCache};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use tower::util::BoxCloneSyncService;
use tower::{Layer, Service, ServiceExt};

/// 2023-11-14 22:13:20 UTC.
pub(super) const START: u64 = 1_700_000_000_000;
pub(super) const START_DATE: &str = "Tue, 14 Nov 2023 22:13:20 GMT";
/// For what takes milliseconds, on a machine that does other things too.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

pub(super) type Body = Full<Bytes>;
pub(super) type Lines<'l> = &'l [(&'l str, &'l str)];
type Answer = dyn Fn(&Request<Body>) -> Response<Body> + Send + Sync;

/// A request as the origin saw it.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) method: Method,
    pub(super) headers: HeaderMap,
}

/// Answers by a function, and notes what it was asked.
#[derive(Clone)]
pub(super) struct Origin {
    answer: Arc<Answer>,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Origin {
    pub(super) fn new(
        answer: impl Fn(&Request<Body>) -> Response<Body> + Send + Sync + 'static,
    ) -> Self {
        Self { answer: Arc::new(answer), seen: Arc::default() }
    }

    /// Always the same answer.
    pub(super) fn fixed(status: u16, lines: Lines<'_>, body: &str) -> Self {
        let lines: Vec<_> =
            lines.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        let body = body.to_owned();
        Self::new(move |_| {
            let lines: Vec<_> = lines.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
            reply(status, &lines, &body)
        })
    }

    pub(super) fn calls(&self) -> usize {
        self.seen.lock().expect("not poisoned").len()
    }

    /// The last request it was asked.
    pub(super) fn last(&self) -> Seen {
        self.seen.lock().expect("not poisoned").last().expect("a request").clone()
    }
}

impl Service<Request<Body>> for Origin {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let seen = Seen { method: request.method().clone(), headers: request.headers().clone() };
        self.seen.lock().expect("not poisoned").push(seen);
        ready(Ok((self.answer)(&request)))
    }
}

pub(super) fn fields(lines: Lines<'_>) -> HeaderMap {
    let field = |(name, value): &(&str, &str)| {
        let value = HeaderValue::from_bytes(value.as_bytes()).expect("a value");
        (HeaderName::try_from(*name).expect("a name"), value)
    };
    lines.iter().map(field).collect()
}

pub(super) fn reply(status: u16, lines: Lines<'_>, body: &str) -> Response<Body> {
    let mut response = Response::new(Full::from(body.to_owned()));
    *response.status_mut() = status.try_into().expect("a status");
    *response.headers_mut() = fields(lines);
    response
}

pub(super) fn request(method: &str, uri: &str, lines: Lines<'_>) -> Request<Body> {
    let mut request = Request::new(Full::default());
    *request.method_mut() = method.parse().expect("a method");
    *request.uri_mut() = uri.parse().expect("a URI");
    *request.headers_mut() = fields(&[&[("host", "shop.example")], lines].concat());
    request
}

pub(super) type AnyBody = UnsyncBoxBody<Bytes, BoxError>;

/// A cache in front of an origin.
#[derive(Clone)]
pub(super) struct App {
    pub(super) http: HttpCache,
    pub(super) clock: Clock,
    service: BoxCloneSyncService<Request<Body>, Response<AnyBody>, Infallible>,
}

pub(super) fn memory(clock: &Clock) -> Cache {
    Cache::builder().memory().clock(clock.clone()).build().expect("valid")
}

/// A cache in Redis, and with nothing in this process. The budget is generous: a busy machine is
/// no fault.
pub(super) fn in_redis(redis: &RedisServer, clock: &Clock) -> Cache {
    let options = RedisOptions::url(&redis.url()).expect("valid");
    let builder = Cache::builder().prefix("p").l1(false).redis(options).clock(clock.clone());
    builder.operation_budget(seconds(10)).build().expect("valid")
}

impl App {
    /// A `CacheLayer` over a cache in memory.
    pub(super) fn new(origin: &Origin) -> Self {
        let clock = Clock::manual(START);
        Self::layered(&HttpCache::builder(memory(&clock)).build(), origin)
    }

    pub(super) fn layered(http: &HttpCache, origin: &Origin) -> Self {
        Self::of(http, CacheLayer::new(http).layer(origin.clone()))
    }

    pub(super) fn endpoint(http: &HttpCache, ttl: Duration, origin: &Origin) -> Self {
        Self::of(http, CacheLayer::endpoint(http, ttl).layer(origin.clone()))
    }

    pub(super) fn of<S, B>(http: &HttpCache, service: S) -> Self
    where
        S: Service<Request<Body>, Response = Response<B>, Error = Infallible>,
        S: Clone + Send + Sync + 'static,
        S::Future: Send + 'static,
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let service = service.map_response(|response: Response<B>| {
            response.map(|body| body.map_err(Into::into).boxed_unsync())
        });
        let clock = http.cache().clock().clone();
        Self { http: http.clone(), clock, service: BoxCloneSyncService::new(service) }
    }

    /// The response as it comes, for layers around this.
    pub(super) async fn call(self, request: Request<Body>) -> Response<AnyBody> {
        self.service.oneshot(request).await.expect("infallible")
    }

    /// The whole response, when all that it causes has been written.
    pub(super) async fn send(&self, request: Request<Body>) -> Response<Bytes> {
        let response = self.clone().call(request).await;
        let (parts, body) = response.into_parts();
        let body = body.collect().await.expect("a whole body").to_bytes();
        let background = self.http.cache().background().clone();
        eventually(PATIENCE, "writes end", move || background.running() == 0).await;
        Response::from_parts(parts, body)
    }

    pub(super) async fn get(&self, uri: &str, lines: Lines<'_>) -> Response<Bytes> {
        self.send(request("GET", uri, lines)).await
    }

    /// What the cache says of a GET.
    pub(super) async fn told(&self, uri: &str, lines: Lines<'_>) -> String {
        told(&self.get(uri, lines).await)
    }
}

/// The value of a field, all lines joined; `-` without it.
pub(super) fn field<B>(response: &Response<B>, name: &str) -> String {
    let lines: Vec<_> = response.headers().get_all(name).iter().collect();
    if lines.is_empty() {
        return "-".to_owned();
    }
    let text = |line: &&HeaderValue| String::from_utf8_lossy(line.as_bytes()).into_owned();
    lines.iter().map(text).collect::<Vec<_>>().join(", ")
}

/// What `Cache-Status` says, without the name of this cache.
pub(super) fn told<B>(response: &Response<B>) -> String {
    field(response, "cache-status").replace("cache-tower; ", "")
}

pub(super) const MISS: &str = "fwd=uri-miss; stored";
pub(super) const HIT: &str = "hit";
