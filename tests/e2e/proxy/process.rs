//! The proxy as a process: where it listens, and how it ends.

use std::process::ExitStatus;
use std::time::Duration;

use cache_tests::http_client::Client;
use cache_tests::{Example, Gate, Origin, RedisServer, body, eventually};

use crate::setup::{PATIENCE, get, join, proxy, proxy_on, shared_redis, unique_prefix};

#[tokio::test]
async fn it_says_where_it_listens_when_it_does() {
    let origin = crate::setup::counting_origin().await;
    let proxy = proxy(origin.addr(), &[]);
    assert_eq!(proxy.output(), [format!("listening on {}", proxy.addr())]);
    assert_eq!(get(proxy.addr(), "/", &[]).await.0, "1");
    let listen = proxy.addr().to_string();
    let upstream = format!("http://{}", origin.addr());
    let second = Example::of("reverse_proxy").args(["--listen", &listen, "--upstream", &upstream]);
    let (status, text) = second.run();
    assert_eq!(status.code(), Some(1));
    assert!(text.contains(&format!("can't listen on {listen}")), "{text}");
}

/// Responses in progress end complete, new connections are refused, and the exit status is 0.
async fn a_signal_drains(stop: fn(&mut Example, Duration) -> Option<ExitStatus>) {
    let gate = Gate::new();
    let script = gate.clone();
    let origin = Origin::start(move |_| {
        let body = body::gated(&script, ["one ", "two ", "three"]);
        async { body::respond(200, &[("cache-control", "max-age=60")], body) }
    })
    .await;
    let mut proxy = proxy_on(&shared_redis().url(), &unique_prefix(), origin.addr(), &[]);
    let (addr, pid) = (proxy.addr(), proxy.pid());
    let mut busy = Client::connect(addr).await.unwrap();
    busy.send("GET", "/", &[("host", "drain.test")], b"").await.unwrap();
    busy.read_head().await.unwrap();
    gate.open(1);
    assert_eq!(busy.read_chunk().await.unwrap().unwrap(), "one ");
    let mut idle = Client::connect(addr).await.unwrap();

    let ending = tokio::task::spawn_blocking(move || stop(&mut proxy, PATIENCE));
    // It has heard: those who do nothing are let go, and nobody else gets in.
    assert!(idle.closed().await.unwrap_or(true));
    eventually(PATIENCE, "new connections are refused", || {
        std::net::TcpStream::connect(addr).is_err()
    })
    .await;
    assert!(!ending.is_finished(), "process {pid} waits for the response");
    gate.open_for_good();
    assert_eq!(busy.read_body().await.unwrap(), "two three");
    let status = join(ending).await.expect("it ends");
    assert_eq!(status.code(), Some(0));
}

#[tokio::test]
async fn ctrl_c_drains() {
    a_signal_drains(Example::interrupt).await;
}

#[tokio::test]
async fn sigterm_drains() {
    a_signal_drains(Example::terminate).await;
}

/// An idle proxy ends at once, whatever Redis does.
#[tokio::test]
async fn it_ends_with_redis_frozen_or_gone() {
    let origin = crate::setup::counting_origin().await;
    let redis = RedisServer::start();
    let mut one = proxy_on(&redis.url(), "end", origin.addr(), &[]);
    let mut other = proxy_on(&redis.url(), "end", origin.addr(), &[]);
    get(one.addr(), "/", &[]).await;
    get(other.addr(), "/", &[]).await;
    redis.stop();
    get(one.addr(), "/frozen", &[]).await;
    assert_eq!(one.interrupt(PATIENCE).expect("it ends").code(), Some(0));
    redis.kill();
    get(other.addr(), "/gone", &[]).await;
    assert_eq!(other.terminate(PATIENCE).expect("it ends").code(), Some(0));
}

#[tokio::test]
async fn what_it_writes_holds_no_secret() {
    let redis = RedisServer::builder().password("s3cret").start();
    let origin = crate::setup::counting_origin().await;
    let mut proxy = proxy_on(&redis.url(), "secret", origin.addr(), &[]);
    get(proxy.addr(), "/", &[]).await;
    redis.kill();
    get(proxy.addr(), "/gone", &[]).await;
    assert_eq!(proxy.interrupt(PATIENCE).expect("it ends").code(), Some(0));
    let text = proxy.output().join("\n");
    assert!(!text.contains("s3cret"), "{text}");
}
