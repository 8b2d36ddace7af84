//! No bytes in any field of a request or a response make the cache panic, or lose an answer.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use cache_core::Clock;
use cache_tower::HttpCache;
use fastrand::Rng;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;

use super::seeds;
use crate::policy::origin::{App, Body, Origin, START, memory, request};

/// Fields that mean something to a cache.
const NAMES: [&str; 44] = [
    "accept",
    "accept-encoding",
    "accept-language",
    "accept-ranges",
    "age",
    "authorization",
    "cache-control",
    "cache-group-invalidation",
    "cache-groups",
    "cache-status",
    "cdn-cache-control",
    "connection",
    "content-encoding",
    "content-length",
    "content-location",
    "content-range",
    "content-type",
    "cookie",
    "date",
    "etag",
    "expires",
    "host",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "keep-alive",
    "last-modified",
    "location",
    "pragma",
    "proxy-authenticate",
    "range",
    "set-cookie",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "vary",
    "via",
    "warning",
    "x-forwarded-host",
    "x-http-method-override",
    "x-workspace-id",
];

/// What values are made of: near misses are the worst.
const PIECES: [&[u8]; 48] = [
    b"max-age",
    b"s-maxage",
    b"no-store",
    b"no-cache",
    b"private",
    b"public",
    b"immutable",
    b"must-revalidate",
    b"must-understand",
    b"stale-while-revalidate",
    b"stale-if-error",
    b"max-stale",
    b"min-fresh",
    b"=",
    b"=",
    b",",
    b",",
    b", ",
    b";",
    b"\"",
    b"\"",
    b"\\",
    b"*",
    b"W/",
    b"\"a\"",
    b"bytes=",
    b"bytes ",
    b"-",
    b"/",
    b"//",
    b":",
    b"?",
    b"#",
    b".",
    b"..",
    b"0",
    b"9",
    b"18446744073709551615",
    b"99999999999999999999999999",
    b"accept",
    b"GMT",
    b"Tue, 14 Nov 2023 22:13:20 GMT",
    b"http://shop.example",
    b"\t",
    b"\xff",
    b"\x80\xc3",
    b"?1",
    b"(a b)",
];

const METHODS: [&str; 10] =
    ["GET", "GET", "GET", "GET", "HEAD", "POST", "DELETE", "OPTIONS", "QUERY", "M-SEARCH"];

fn value(rng: &mut Rng) -> HeaderValue {
    let mut bytes = Vec::new();
    if rng.u8(..4) == 0 {
        bytes.extend((0..rng.usize(..24)).map(|_| rng.u8(..)));
        bytes.retain(|byte| *byte == b'\t' || (*byte >= b' ' && *byte != 0x7f));
    } else {
        for _ in 0..rng.usize(..8) {
            bytes.extend_from_slice(PIECES[rng.usize(..PIECES.len())]);
        }
    }
    HeaderValue::from_bytes(&bytes).expect("bytes that may be in a value")
}

fn headers(rng: &mut Rng, most: usize) -> HeaderMap {
    (0..rng.usize(..most))
        .map(|_| (HeaderName::from_static(NAMES[rng.usize(..NAMES.len())]), value(rng)))
        .collect()
}

fn response(rng: &mut Rng) -> Response<Body> {
    let bodies: [&'static [u8]; 3] = [b"", b"body", &[0; 300]];
    let mut response = Response::new(Full::from(bodies[rng.usize(..3)]));
    let status = if rng.bool() { 200 } else { rng.u16(100..1000) };
    *response.status_mut() = StatusCode::from_u16(status).expect("three digits");
    *response.headers_mut() = headers(rng, 6);
    if rng.u8(..4) > 0 {
        // Else next to nothing would be stored.
        response.headers_mut().append("cache-control", HeaderValue::from_static("max-age=60"));
    }
    response
}

fn random_request(rng: &mut Rng) -> Request<Body> {
    let mut request = request("GET", &format!("/{}", rng.u8(..3)), &[]);
    *request.method_mut() =
        Method::from_bytes(METHODS[rng.usize(..METHODS.len())].as_bytes()).expect("a method");
    if rng.bool() {
        request.headers_mut().extend(headers(rng, 4));
    }
    request
}

fn app(rng: &Arc<Mutex<Rng>>, endpoint: bool) -> App {
    let rng = Arc::clone(rng);
    let origin = Origin::new(move |_| response(&mut rng.lock().expect("not poisoned")));
    let http = HttpCache::builder(memory(&Clock::manual(START))).strip_set_cookie().build();
    if endpoint {
        App::endpoint(&http, Duration::from_secs(60), &origin)
    } else {
        App::layered(&http, &origin)
    }
}

const CASES: u64 = 1_000;
/// What a case sends, to few enough URIs that most have been asked for before.
const REQUESTS: u64 = 24;

#[tokio::test]
async fn no_bytes_make_it_panic() {
    let (mut hits, mut answered) = (0, 0);
    let (seeds, enough) = seeds(CASES);
    for seed in seeds {
        let case = tokio::spawn(async move {
            let rng = Arc::new(Mutex::new(Rng::with_seed(seed)));
            let app = app(&rng, seed % 2 == 0);
            for _ in 0..REQUESTS {
                let (request, passed) = {
                    let mut rng = rng.lock().expect("not poisoned");
                    (random_request(&mut rng), Duration::from_millis(rng.u64(..4_000)))
                };
                app.send(request).await;
                app.clock.advance(passed);
            }
            app.http.stats()
        });
        let stats = case.await.unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        assert_eq!(stats.hits + stats.misses + stats.bypasses, REQUESTS, "seed {seed}");
        hits += stats.hits;
        answered += REQUESTS;
    }
    assert!(!enough || hits > answered / 8, "only {hits} of {answered} were hits");
}
