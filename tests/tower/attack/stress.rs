//! Many clients of bodies that come in pieces: some slow, some leaving, some late.

use std::convert::Infallible;

use bytes::Bytes;
use cache_core::{Cache, minutes};
use cache_tests::body::{self, Body};
use cache_tower::{CacheLayer, HttpCache};
use http::{Request, Response};
use http_body_util::{BodyExt, Empty};
use tower::{Layer, ServiceExt, service_fn};

use crate::setup::at_rest;

const LIMIT: usize = 4_000;
const ROUNDS: usize = 150;
const CLIENTS: usize = 24;

/// The byte at each place of the body of a URI: so that a piece too many or too few is noticed.
fn byte(seed: u64, at: usize) -> u8 {
    let place = seed.wrapping_mul(31).wrapping_add(at as u64 * 7) % 251;
    u8::try_from(place).expect("less than 251")
}

fn seed_of(path: &str) -> u64 {
    path.trim_start_matches('/').parse().expect("a number")
}

/// How one body comes, by its seed.
struct Script {
    length: usize,
    announced: bool,
    fails: bool,
    random: fastrand::Rng,
}

impl Script {
    fn of(seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        // Half of them over the limit, and over several windows of it.
        let most = if random.bool() { LIMIT } else { LIMIT * 6 };
        let length = random.usize(..most);
        Self { length, announced: random.bool(), fails: random.u8(..5) == 0, random }
    }
}

async fn origin(request: Request<Empty<Bytes>>) -> Result<Response<Body>, Infallible> {
    let seed = seed_of(request.uri().path());
    let Script { length, announced, fails, mut random } = Script::of(seed);
    let (writer, arriving) = body::channel();
    tokio::spawn(async move {
        let mut at = 0;
        while at < length {
            let piece = random.usize(1..900).min(length - at);
            let piece: Vec<u8> = (at..at + piece).map(|at| byte(seed, at)).collect();
            at += piece.len();
            if !writer.send(piece).await {
                return;
            }
            for _ in 0..random.u8(..4) {
                tokio::task::yield_now().await;
            }
        }
        if fails {
            writer.fail("by script").await;
        }
    });
    let length = length.to_string();
    let mut fields = vec![("cache-control", "max-age=60")];
    if announced {
        fields.push(("content-length", &length));
    }
    Ok(body::respond(200, &fields, arriving))
}

/// What became of one client: the whole body, an error, or it left.
#[derive(Debug, PartialEq, Eq)]
enum End {
    Whole,
    Error,
    Left,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn everybody_gets_the_body_or_an_error() {
    let first = fastrand::u64(..1 << 40);
    let cache = Cache::builder().memory().background_tasks(8).build().expect("valid");
    let http = HttpCache::builder(cache).max_body(LIMIT).wait_timeout(minutes(1)).build();
    let service = CacheLayer::new(&http).layer(service_fn(origin));
    for seed in first..first + ROUNDS as u64 {
        let clients: Vec<_> = (0..CLIENTS as u64)
            .map(|client| {
                let service = service.clone();
                let mut random = fastrand::Rng::with_seed(seed.wrapping_mul(1_000) + client);
                tokio::spawn(async move {
                    for _ in 0..random.u8(..20) {
                        tokio::task::yield_now().await;
                    }
                    let leaves_after = (random.u8(..3) == 0).then(|| random.usize(..8));
                    let request = Request::get(format!("/{seed}")).header("host", "a");
                    let request = request.body(Empty::new()).expect("valid");
                    let mut response = service.oneshot(request).await.expect("infallible");
                    let (mut at, mut frames) = (0, 0);
                    loop {
                        if leaves_after == Some(frames) {
                            return End::Left;
                        }
                        for _ in 0..random.u8(..6) {
                            tokio::task::yield_now().await;
                        }
                        match response.body_mut().frame().await {
                            Some(Ok(frame)) => {
                                let data = frame.into_data().expect("data");
                                for &got in &data {
                                    assert_eq!(got, byte(seed, at), "at {at}; seed {seed}");
                                    at += 1;
                                }
                                frames += 1;
                            }
                            Some(Err(_)) => return End::Error,
                            None => {
                                assert_eq!(at, Script::of(seed).length, "seed {seed}");
                                return End::Whole;
                            }
                        }
                    }
                })
            })
            .collect();
        for client in clients {
            let end = tokio::time::timeout(crate::setup::LIMIT, client).await;
            let end = end.unwrap_or_else(|_| panic!("a client hangs; seed {seed}"));
            let end = end.expect("no panic");
            let Script { fails, length, .. } = Script::of(seed);
            assert!(!fails || end != End::Whole, "seed {seed}");
            assert!(fails || length > LIMIT || end != End::Error, "seed {seed}");
        }
    }
    at_rest(&http).await;
    let stats = http.stats();
    assert_eq!(stats.hits + stats.misses, (ROUNDS * CLIENTS) as u64);
}
