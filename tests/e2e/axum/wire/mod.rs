//! What the options of a cache do to what a client gets, byte by byte, and to how often a handler
//! is called.

mod chosen;
mod combined;
mod forwarded;
mod groups;
mod heuristics;
mod partly;
mod stale;
mod told;
mod variants;

use std::net::SocketAddr;

use axum::Router;
use axum::response::IntoResponse;
use axum::routing::{MethodRouter, get};
use cache_core::{Cache, Clock};
use cache_tests::http_client;
use cache_tests::message::Response;
use cache_tower::{CacheLayer, HttpCache, HttpCacheBuilder};

use super::Calls;
use crate::setup::unique_prefix;

/// 2023-11-14 22:13:20 UTC.
const START: u64 = 1_700_000_000_000;

type Lines<'l> = &'l [(&'l str, &'l str)];

/// A cache in this process' memory, whose clock stands still.
fn builder() -> (HttpCacheBuilder, Clock) {
    let clock = Clock::manual(START);
    let cache = Cache::builder().prefix(unique_prefix()).memory().clock(clock.clone());
    (HttpCache::builder(cache.build().expect("valid")), clock)
}

/// These routes behind a `CacheLayer`, on a socket.
async fn serve(http: &HttpCache, routes: Router) -> SocketAddr {
    super::sockets::serve(routes.layer(CacheLayer::new(http))).await
}

/// A handler that counts its calls.
fn counted<R, A>(calls: &Calls, answer: A) -> MethodRouter
where
    A: Fn(usize) -> R + Clone + Send + Sync + 'static,
    R: IntoResponse + Send + 'static,
{
    let calls = calls.clone();
    get(async move || answer(calls.next()))
}

async fn ask(addr: SocketAddr, path: &str, lines: Lines<'_>) -> Response {
    http_client::get(addr, path, lines).await
}

async fn send(addr: SocketAddr, method: &str, path: &str, lines: Lines<'_>) -> Response {
    crate::setup::send(addr, method, path, lines, b"").await
}

/// What the cache says, without its name.
fn status(response: &Response) -> String {
    response.cache_status().replace("cache-tower; ", "")
}

/// Status, body, and what the cache says.
fn seen(response: &Response) -> (u16, String, String) {
    (response.status, response.text(), status(response))
}

/// The names of all fields, but for `Date`, which the server may add.
fn names(response: &Response) -> Vec<String> {
    let mut names: Vec<_> =
        response.headers.iter().map(|(name, _)| name.to_ascii_lowercase()).collect();
    names.retain(|name| name != "date");
    names.sort();
    names
}

const MISS: &str = "fwd=uri-miss; stored";
const VARY_MISS: &str = "fwd=vary-miss; stored";
const HIT: &str = "hit";
