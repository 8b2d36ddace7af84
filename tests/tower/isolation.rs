//! 100,000 random requests: nobody gets what was made for somebody else.
//!
//! Every response says for whom it was made: workspace, user, path, query, and the request fields
//! that it varies by. Each response that comes back is compared with the request it answers.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use cache_core::{Cache, RedisOptions, minutes};
use cache_tests::{RedisServer, eventually};
use cache_tower::{CacheLayer, CacheService, HttpCache, Workspace};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty, Full};
use tower::util::BoxCloneService;
use tower::{Layer, ServiceExt, service_fn};

use crate::setup::LIMIT;

const REQUESTS: usize = 100_000;
const TASKS: usize = 50;
const WORKSPACES: u64 = 50;
const PATHS: u64 = 4;

type Body = Empty<Bytes>;

fn field<'h>(headers: &'h HeaderMap, name: &str) -> &'h str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("-")
}

/// What the response to a request has to say.
fn marker(request: &Request<Body>) -> String {
    let (headers, uri) = (request.headers(), request.uri());
    let varies = match kind(uri.path()) {
        Kind::ByLanguage => field(headers, "accept-language"),
        Kind::ByEncoding => field(headers, "accept-encoding"),
        _ => "",
    };
    let user = match kind(uri.path()) {
        Kind::Personal => field(headers, "authorization"),
        _ => "",
    };
    let workspace = field(headers, "x-workspace-id");
    format!("{workspace} {} {user} {varies} {}", request.method(), uri)
}

enum Kind {
    Plain,
    ByLanguage,
    ByEncoding,
    Personal,
    Assigned,
}

fn kind(path: &str) -> Kind {
    match path.as_bytes().get(1) {
        Some(b'l') => Kind::ByLanguage,
        Some(b'e') => Kind::ByEncoding,
        Some(b'u') => Kind::Personal,
        Some(b'a') => Kind::Assigned,
        _ => Kind::Plain,
    }
}

async fn origin(request: Request<Body>) -> Result<Response<Full<Bytes>>, Infallible> {
    let response = Response::builder();
    let response = match kind(request.uri().path()) {
        // What is personal is careless too: it forgets to say `private`.
        Kind::Plain | Kind::Personal => response.header("cache-control", "max-age=600"),
        Kind::ByLanguage => {
            response.header("cache-control", "max-age=600").header("vary", "Accept-Language")
        }
        Kind::ByEncoding => {
            response.header("cache-control", "s-maxage=600").header("vary", "accept-encoding")
        }
        Kind::Assigned => response,
    };
    // A response to HEAD says of whom it speaks in a field.
    let marker = if request.method() == Method::HEAD {
        marker(&request).replacen("HEAD", "GET", 1)
    } else {
        marker(&request)
    };
    let response = response.header("x-marker", &marker);
    Ok(response.body(Full::from(marker)).expect("valid"))
}

fn random_request(random: &mut fastrand::Rng) -> Request<Body> {
    let letter = ["p", "l", "e", "u", "a"][random.usize(..5)];
    let path = match random.u8(..10) {
        0 => format!("/{letter}/x/{}", random.u64(..PATHS)),
        1 => format!("/{letter}/x%2F{}", random.u64(..PATHS)),
        2 => format!("//{letter}/{}", random.u64(..PATHS)),
        _ => format!("/{letter}/{}", random.u64(..PATHS)),
    };
    let query = ["", "", "", "?", "?a=1", "?a=1&b=2", "?b=2&a=1"][random.usize(..7)];
    let method = match random.u8(..40) {
        0 => Method::POST,
        1..=3 => Method::HEAD,
        _ => Method::GET,
    };
    let mut request = Request::builder().method(method).uri(format!("{path}{query}"));
    request = request.header("host", "shop.example");
    if random.u8(..20) > 0 {
        request = request.header("x-workspace-id", format!("ws{}", random.u64(..WORKSPACES)));
    }
    if random.u8(..4) == 0 {
        request = request.header("authorization", format!("user {}", random.u8(..5)));
    }
    if random.bool() {
        let language = ["en", "de", "", "en, de"][random.usize(..4)];
        request = request.header("accept-language", language);
    }
    if random.bool() {
        request = request.header("accept-encoding", ["gzip", "br"][random.usize(..2)]);
    }
    request.body(Empty::new()).expect("valid")
}

fn is_hit(headers: &HeaderMap) -> bool {
    headers.get("cache-status").is_some_and(|status| status == "cache-tower; hit")
}

/// Whether a response like this one may be stored and used again.
fn is_cacheable(request: &Request<Body>) -> bool {
    let personal = request.headers().contains_key("authorization");
    let shared = match kind(request.uri().path()) {
        // `s-maxage` says that credentials do not matter (RFC 9111 §3.5).
        Kind::ByEncoding => true,
        _ => !personal,
    };
    request.method() == Method::GET && request.headers().contains_key("x-workspace-id") && shared
}

type App = BoxCloneService<Request<Body>, Response<Bytes>, Infallible>;

/// One router for all: most paths by their headers, those under `/a` with a TTL of the cache's.
fn app(http: &HttpCache) -> App {
    let by_headers: CacheService<_> = CacheLayer::new(http).layer(service_fn(origin));
    let assigned = CacheLayer::endpoint(http, minutes(10)).layer(service_fn(origin));
    BoxCloneService::new(service_fn(move |request: Request<Body>| {
        let (by_headers, assigned) = (by_headers.clone(), assigned.clone());
        async move {
            let response = match kind(request.uri().path()) {
                Kind::Assigned => assigned.oneshot(request).await?,
                _ => by_headers.oneshot(request).await?,
            };
            let (parts, body) = response.into_parts();
            let body = body.collect().await.expect("a whole body").to_bytes();
            Ok(Response::from_parts(parts, body))
        }
    }))
}

async fn nobody_gets_what_is_another_s(cache: Cache) {
    let seed = fastrand::u64(..);
    let workspace = Workspace::header("x-workspace-id");
    let http = HttpCache::builder(cache.clone()).workspace(workspace).build();
    let app = Arc::new(std::sync::Mutex::new(app(&http)));
    let tasks = (0..TASKS as u64).map(|task| {
        let app = app.lock().expect("not poisoned").clone();
        let mut random = fastrand::Rng::with_seed(seed.wrapping_add(task));
        tokio::spawn(async move {
            let (mut hits, mut cacheable) = (0, 0);
            for _ in 0..REQUESTS / TASKS {
                let request = random_request(&mut random);
                let head = request.method() == Method::HEAD;
                let expected = if head {
                    marker(&request).replacen("HEAD", "GET", 1)
                } else {
                    marker(&request)
                };
                let counts = is_cacheable(&request);
                let response = app.clone().oneshot(request).await.expect("infallible");
                assert_eq!(response.status(), StatusCode::OK);
                let said = response.headers()["x-marker"].to_str().expect("text");
                assert_eq!(said, expected, "seed {seed}");
                let body: &[u8] = response.body();
                // The origin here answers HEAD with a body; a hit never does.
                assert!(head || body == expected.as_bytes(), "seed {seed}: {body:?}");
                cacheable += usize::from(counts);
                hits += usize::from(counts && is_hit(response.headers()));
            }
            (hits, cacheable)
        })
    });
    let (mut hits, mut cacheable) = (0, 0);
    for task in tasks.collect::<Vec<_>>() {
        let (h, c) = task.await.expect("no panic");
        hits += h;
        cacheable += c;
    }
    assert!(hits * 2 >= cacheable, "{hits} hits of {cacheable} cacheable requests; seed {seed}");
    let stats = http.stats();
    assert_eq!(stats.hits + stats.misses + stats.bypasses, REQUESTS as u64, "{stats:?}");
    // A flight ends when the store has what it brought.
    eventually(LIMIT, "the last writes end", || http.flights() == 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_memory() {
    nobody_gets_what_is_another_s(Cache::builder().memory().build().expect("valid")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_memory_over_redis() {
    let redis = RedisServer::start();
    let options = RedisOptions::url(&redis.url()).expect("valid");
    // What is tested here is not patience: a busy machine must not open the breaker.
    let cache = Cache::builder().redis(options).operation_budget(minutes(1));
    let cache = cache.build().expect("valid");
    nobody_gets_what_is_another_s(cache).await;
}
