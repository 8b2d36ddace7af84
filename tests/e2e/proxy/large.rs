//! Bodies that are far too long to be kept: they pass, and the proxy's memory stays small.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use cache_tests::http_client::Client;
use cache_tests::{Example, Nginx, Origin, body, eventually};

use crate::setup::{PATIENCE, get, proxy, proxy_on, shared_redis, unique_prefix};

const MIB: usize = 1 << 20;
/// How much more memory the proxy may take at its peak than before.
const ROOM_KIB: u64 = 32 * 1024;
const LARGE: usize = 100 * 1000 * 1000;

/// Bytes that differ from place to place: block numbers, and noise between them.
fn content(length: usize) -> Vec<u8> {
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let noise: Vec<u8> = (0..MIB / 8)
        .flat_map(|_| {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            seed.to_le_bytes()
        })
        .collect();
    let mut bytes = Vec::with_capacity(length + MIB);
    while bytes.len() < length {
        let number = (bytes.len() as u64).to_le_bytes();
        bytes.extend_from_slice(&number);
        bytes.extend_from_slice(&noise);
    }
    bytes.truncate(length);
    bytes
}

/// The most memory the process has ever had, where the system tells.
fn peak_kib(proxy: &Example) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", proxy.pid())).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// What the proxy has at rest, its threads and connections at work once.
async fn at_rest(proxy: &Example, path: &str) -> Option<u64> {
    for _ in 0..20 {
        get(proxy.addr(), path, &[]).await;
    }
    proxy.rss_kib()
}

#[track_caller]
fn assert_small(proxy: &Example, before: Option<u64>) {
    let (Some(before), Some(peak)) = (before, peak_kib(proxy)) else { return };
    assert!(peak < before + ROOM_KIB, "{before} KiB before, {peak} KiB at the peak");
}

/// Reads the body of the response under way, and compares each piece with what it has to be.
async fn read_and_compare(client: &mut Client, expected: &[u8]) {
    let mut at = 0;
    while let Some(piece) = client.read_chunk().await.expect("the body goes on") {
        let end = at + piece.len();
        assert!(end <= expected.len(), "longer than {}", expected.len());
        assert!(piece == expected[at..end], "other bytes between {at} and {end}");
        at = end;
    }
    assert_eq!(at, expected.len());
}

/// Several clients at once, a HEAD and a range among them.
async fn a_large_file_of_nginx_streams(start: impl FnOnce(&Nginx) -> Example) {
    let expected = content(LARGE);
    let nginx = Nginx::start("expires 60s;", &[("large.bin", &expected), ("small", b"small")]);
    let proxy = start(&nginx);
    let before = at_rest(&proxy, "/small").await;
    let length = LARGE.to_string();
    for round in 0..2 {
        let mut clients = Vec::new();
        for _ in 0..2 {
            let mut client = Client::connect(proxy.addr()).await.unwrap();
            client.send("GET", "/large.bin", &[], b"").await.unwrap();
            clients.push(client);
        }
        for client in &mut clients {
            let head = client.read_head().await.unwrap();
            assert_eq!((head.status, head.header("content-length")), (200, Some(&*length)));
            let status = head.header("cache-status").unwrap();
            assert!(status.contains("fwd=uri-miss; detail=too-large"), "{round}: {status}");
        }
        let [one, other] = &mut clients[..] else { unreachable!() };
        tokio::join!(read_and_compare(one, &expected), read_and_compare(other, &expected));
    }
    let mut client = Client::connect(proxy.addr()).await.unwrap();
    let head = client.exchange("HEAD", "/large.bin", &[], b"").await.unwrap();
    assert_eq!(head.header("content-length"), Some(&*length));
    let range = client.exchange("GET", "/large.bin", &[("range", "bytes=-5")], b"").await.unwrap();
    assert_eq!((range.status, &range.body[..]), (206, &expected[LARGE - 5..]));
    assert_small(&proxy, before);
}

#[tokio::test]
async fn a_large_file_of_nginx_streams_in_memory() {
    a_large_file_of_nginx_streams(|nginx| proxy(nginx.addr(), &[])).await;
}

#[tokio::test]
async fn a_large_file_of_nginx_streams_on_redis() {
    a_large_file_of_nginx_streams(|nginx| {
        proxy_on(&shared_redis().url(), &unique_prefix(), nginx.addr(), &[])
    })
    .await;
}

/// A body without a length: nobody knows that it is too long before it is. While the client does
/// not read, the origin is held back, not buffered.
#[tokio::test]
async fn a_large_body_in_chunks_streams_at_the_pace_of_its_client() {
    let expected: Arc<[u8]> = content(60 * MIB).into();
    let given = Arc::new(AtomicU64::new(0));
    let script = (Arc::clone(&expected), Arc::clone(&given));
    let origin = Origin::start(move |request| {
        let (bytes, given) = script.clone();
        let small = request.uri().path() == "/small";
        async move {
            if small {
                return body::fixed(200, &[("cache-control", "max-age=60")], "small");
            }
            let (writer, body) = body::channel();
            tokio::spawn(async move {
                for chunk in bytes.chunks(64 * 1024) {
                    if !writer.send(Bytes::copy_from_slice(chunk)).await {
                        return;
                    }
                    given.fetch_add(chunk.len() as u64, Ordering::AcqRel);
                }
            });
            body::respond(200, &[("cache-control", "max-age=60")], body)
        }
    })
    .await;
    let proxy = proxy(origin.addr(), &[]);
    let before = at_rest(&proxy, "/small").await;
    let mut client = Client::connect(proxy.addr()).await.unwrap();
    client.send("GET", "/large", &[], b"").await.unwrap();
    let head = client.read_head().await.unwrap();
    assert_eq!(head.header("cache-status"), Some("cache-tower; fwd=uri-miss; stored"));

    // Nobody reads: the origin comes to a halt. (Sockets hold some megabytes.)
    let (mut last, mut still) = (0, 0);
    eventually(PATIENCE, "the origin is held back", || {
        let now = given.load(Ordering::Acquire);
        still = if now == last { still + 1 } else { 0 };
        last = now;
        now > 0 && still > 60
    })
    .await;
    assert!(last < 40 * MIB as u64, "{last} bytes went into a client that doesn't read");
    assert_small(&proxy, before);

    // Another one is not held back by the first.
    let other = async {
        let mut other = Client::connect(proxy.addr()).await.unwrap();
        other.send("GET", "/large", &[], b"").await.unwrap();
        other.read_head().await.unwrap();
        read_and_compare(&mut other, &expected).await;
    };
    tokio::time::timeout(PATIENCE, other).await.expect("the second client is served");
    read_and_compare(&mut client, &expected).await;
    assert_small(&proxy, before);
    // and nothing of it was kept
    let mut again = Client::connect(proxy.addr()).await.unwrap();
    again.send("GET", "/large", &[], b"").await.unwrap();
    let head = again.read_head().await.unwrap();
    assert!(head.header("cache-status").unwrap().contains("fwd=uri-miss"));
}

/// Large uploads stream as well.
#[tokio::test]
async fn a_large_upload_streams() {
    let expected: Arc<[u8]> = content(60 * MIB).into();
    let script = Arc::clone(&expected);
    let origin = Origin::start(move |request| {
        let expected = Arc::clone(&script);
        async move {
            use http_body_util::BodyExt;
            let (mut at, mut body) = (0, request.into_body());
            while let Some(frame) = body.frame().await {
                let Some(data) = frame.ok().and_then(|frame| frame.into_data().ok()) else { break };
                let same = expected.get(at..at + data.len()).is_some_and(|part| part == data);
                if !same {
                    return body::fixed(400, &[], format!("other bytes at {at}"));
                }
                at += data.len();
            }
            body::fixed(200, &[], at.to_string())
        }
    })
    .await;
    let proxy = proxy(origin.addr(), &[]);
    let before = at_rest(&proxy, "/small").await;
    let mut client = Client::connect(proxy.addr()).await.unwrap();
    let response = tokio::time::timeout(
        Duration::from_secs(60),
        client.exchange("PUT", "/upload", &[], &expected),
    );
    let response = response.await.expect("in time").unwrap();
    assert_eq!((response.status, response.text()), (200, expected.len().to_string()));
    assert_small(&proxy, before);
}
