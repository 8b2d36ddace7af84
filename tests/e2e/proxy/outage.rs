//! Redis is killed, frozen and restarted under a proxy that is busy: nobody notices.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use cache_tests::clock::Deadline;
use cache_tests::http_client::Client;
use cache_tests::{Example, Nginx, RedisServer, eventually, http_client};

use crate::setup::{HIT, PATIENCE, get, join, proxy_on};

const FILES: usize = 40;
const CALLERS: usize = 6;
/// How many responses each phase sees.
const PHASE: usize = 300;

fn file(number: usize) -> Vec<u8> {
    let line = format!("this is file {number}\n");
    line.repeat(1 + number * 23).into_bytes()
}

fn nginx() -> Nginx {
    let files: Vec<(String, Vec<u8>)> =
        (0..FILES).map(|number| (format!("file-{number}"), file(number))).collect();
    let files: Vec<(&str, &[u8])> =
        files.iter().map(|(path, content)| (path.as_str(), content.as_slice())).collect();
    Nginx::start("expires 600s;", &files)
}

/// Callers that ask one file after the other, and check every response.
struct Load {
    served: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
    callers: Vec<tokio::task::JoinHandle<()>>,
}

impl Load {
    fn start(proxies: &[&Example]) -> Self {
        let (served, stop) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let callers = (0..CALLERS)
            .map(|caller| {
                let addr = proxies[caller % proxies.len()].addr();
                let (served, stop) = (Arc::clone(&served), Arc::clone(&stop));
                tokio::spawn(async move {
                    let mut client = Client::connect(addr).await.expect("the proxy listens");
                    let mut turn = caller * 7;
                    while !stop.load(Ordering::Acquire) {
                        // Half of the URLs are old friends, half have never been asked for.
                        let number = turn % FILES;
                        let path = match turn % 2 {
                            0 => format!("/file-{number}"),
                            _ => format!("/file-{number}?{caller}-{turn}"),
                        };
                        let host = [("host", "shared.test")];
                        let response = client.exchange("GET", &path, &host, b"").await;
                        let response = response.unwrap_or_else(|e| panic!("{path}: {e}"));
                        assert_eq!(response.status, 200, "{path}");
                        assert!(response.body == file(number), "{path}: other bytes");
                        served.fetch_add(1, Ordering::AcqRel);
                        turn += 1;
                    }
                })
            })
            .collect();
        Self { served, stop, callers }
    }

    /// Waits until so many more responses have come; fails when a caller has.
    async fn goes_on(&mut self, during: &str) {
        let goal = self.served.load(Ordering::Acquire) + PHASE;
        let callers = &self.callers;
        eventually(PATIENCE, &format!("{PHASE} responses {during}"), || {
            self.served.load(Ordering::Acquire) >= goal
                || callers.iter().any(tokio::task::JoinHandle::is_finished)
        })
        .await;
        if callers.iter().any(tokio::task::JoinHandle::is_finished) {
            self.stop.store(true, Ordering::Release);
            for caller in self.callers.drain(..) {
                join(caller).await;
            }
        }
    }

    async fn end(mut self) {
        self.stop.store(true, Ordering::Release);
        for caller in self.callers.drain(..) {
            join(caller).await;
        }
    }
}

/// Until what one proxy has stored is a hit at the other: each turn with a URL of its own.
async fn shared_between(one: &Example, other: &Example, label: &str) {
    let host = [("host", "shared.test")];
    let deadline = Deadline::after(PATIENCE);
    for turn in 0.. {
        let path = format!("/file-1?{label}-{turn}");
        get(one.addr(), &path, &host).await;
        let (text, status) = get(other.addr(), &path, &host).await;
        assert_eq!(text.as_bytes(), file(1));
        if status == HIT {
            return;
        }
        assert!(!deadline.passed(), "{label}: {status}");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

async fn busy_through(flags: &[&str]) {
    let (nginx, redis) = (nginx(), RedisServer::start());
    let start = || proxy_on(&redis.url(), "outage", nginx.addr(), flags);
    let (one, other) = (start(), start());
    let mut load = Load::start(&[&one, &other]);
    load.goes_on("with Redis").await;
    shared_between(&one, &other, "before").await;
    redis.kill();
    load.goes_on("with Redis dead").await;
    redis.restart();
    load.goes_on("with Redis back").await;
    shared_between(&one, &other, "restarted").await;
    shared_between(&other, &one, "restarted-other-way").await;
    assert!(!redis.keys("outage:api_responses:*").is_empty());
    redis.stop();
    load.goes_on("with Redis frozen").await;
    redis.resume();
    load.goes_on("with Redis thawed").await;
    shared_between(&one, &other, "thawed").await;
    load.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_dies_freezes_and_comes_back_under_load() {
    busy_through(&[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_dies_freezes_and_comes_back_under_load_without_l1() {
    busy_through(&["--no-l1"]).await;
}

/// The proxy starts with no Redis there, caches in memory, and shares once there is one.
#[tokio::test]
async fn redis_may_come_later() {
    let (nginx, redis) = (nginx(), RedisServer::start());
    redis.kill();
    let one = proxy_on(&redis.url(), "later", nginx.addr(), &[]);
    let other = proxy_on(&redis.url(), "later", nginx.addr(), &[]);
    for _ in 0..3 {
        let response = http_client::get(one.addr(), "/file-3", &[]).await;
        assert_eq!((response.status, &response.body[..]), (200, &file(3)[..]));
    }
    redis.restart();
    shared_between(&one, &other, "later").await;
}

/// An invalidation while Redis is dead holds at once where it was made.
#[tokio::test]
async fn an_unsafe_request_during_an_outage_is_answered_and_counts_here() {
    let redis = RedisServer::start();
    let directives = "expires 60s; dav_methods PUT; dav_access user:rw;";
    let nginx = Nginx::start(directives, &[("page", b"old")]);
    let proxy = proxy_on(&redis.url(), "unsafe", nginx.addr(), &[]);
    assert_eq!(get(proxy.addr(), "/page", &[]).await.0, "old");
    redis.kill();
    let put = http_client::request(proxy.addr(), "PUT", "/page", &[], b"new").await.unwrap();
    assert_eq!(put.status, 204);
    for _ in 0..3 {
        assert_eq!(get(proxy.addr(), "/page", &[]).await.0, "new");
    }
}
