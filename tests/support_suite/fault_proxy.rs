//! Each mode of the proxy, seen from both sides.

use std::io::ErrorKind;
use std::time::Duration;

use cache_tests::clock::Stopwatch;
use cache_tests::ports::local;
use cache_tests::{FaultProxy, Mode, eventually};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::SOON;

const SHORT: Duration = Duration::from_millis(50);

/// A server that sends back what it gets, on a port of its own.
async fn echo() -> u16 {
    let listener = TcpListener::bind(local(0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut from, mut to) = stream.split();
                let _ = tokio::io::copy(&mut from, &mut to).await;
            });
        }
    });
    port
}

async fn proxy() -> FaultProxy {
    FaultProxy::start(echo().await).await
}

async fn connect(proxy: &FaultProxy) -> TcpStream {
    TcpStream::connect(local(proxy.port())).await.unwrap()
}

/// Sends `text` and reads as much back.
async fn round_trip(stream: &mut TcpStream, text: &str) -> String {
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut back = vec![0; text.len()];
    timeout(SOON, stream.read_exact(&mut back)).await.unwrap().unwrap();
    String::from_utf8_lossy(&back).into_owned()
}

/// Whether nothing arrives for a short while.
async fn is_silent(stream: &mut TcpStream) -> bool {
    timeout(SHORT, stream.read(&mut [0; 64])).await.is_err()
}

/// Whether the connection has been reset.
async fn is_reset(stream: &mut TcpStream) -> bool {
    let read = timeout(SOON, stream.read(&mut [0; 64])).await.unwrap();
    read.is_err_and(|error| error.kind() == ErrorKind::ConnectionReset)
}

#[tokio::test]
async fn passes_both_ways_and_counts() {
    let proxy = proxy().await;
    let mut first = connect(&proxy).await;
    let mut second = connect(&proxy).await;
    assert_eq!(round_trip(&mut first, "hello").await, "hello");
    assert_eq!(round_trip(&mut second, "there").await, "there");
    assert_eq!((proxy.connections(), proxy.open()), (2, 2));
    first.shutdown().await.unwrap();
    assert_eq!(first.read(&mut [0; 8]).await.unwrap(), 0); // the end passes too, in order
    eventually(SOON, "one left", || proxy.open() == 1).await;
    assert_eq!(proxy.connections(), 2);
}

#[tokio::test]
async fn large_streams_pass_whole() {
    let proxy = proxy().await;
    let mut stream = connect(&proxy).await;
    let sent: Vec<u8> = (0..3_000_000_u32).map(|n| n.to_le_bytes()[1]).collect();
    let (mut from, mut to) = stream.split();
    let mut back = Vec::new();
    let write = async {
        to.write_all(&sent).await.unwrap();
        to.shutdown().await.unwrap();
    };
    tokio::join!(write, async { from.read_to_end(&mut back).await.unwrap() });
    assert!(back == sent);
}

#[tokio::test]
async fn delays_what_the_server_sends() {
    let proxy = proxy().await;
    let mut stream = connect(&proxy).await;
    proxy.set(Mode::Delay(SHORT)).await;
    let watch = Stopwatch::start();
    assert_eq!(round_trip(&mut stream, "hello").await, "hello");
    assert!(watch.elapsed() >= SHORT);
    proxy.set(Mode::Pass).await;
    assert_eq!(round_trip(&mut stream, "again").await, "again");
}

#[tokio::test]
async fn holds_without_losing_anything() {
    let proxy = proxy().await;
    let mut stream = connect(&proxy).await;
    proxy.set(Mode::Hold).await;
    stream.write_all(b"held").await.unwrap();
    assert!(is_silent(&mut stream).await);
    proxy.set(Mode::Pass).await;
    let mut back = [0; 4];
    timeout(SOON, stream.read_exact(&mut back)).await.unwrap().unwrap();
    assert_eq!(&back, b"held");
}

#[tokio::test]
async fn a_black_hole_swallows_on_old_and_new_connections() {
    let proxy = proxy().await;
    let (mut old, mut idle) = (connect(&proxy).await, connect(&proxy).await);
    assert_eq!(round_trip(&mut old, "hello").await, "hello");
    assert_eq!(round_trip(&mut idle, "hello").await, "hello");
    proxy.set(Mode::Blackhole).await;
    let mut new = connect(&proxy).await;
    for stream in [&mut old, &mut new] {
        stream.write_all(b"lost").await.unwrap();
        assert!(is_silent(stream).await);
    }
    proxy.set(Mode::Pass).await;
    for stream in [&mut old, &mut new] {
        stream.write_all(b"lost too").await.unwrap();
        assert!(is_silent(stream).await);
    }
    assert_eq!(round_trip(&mut idle, "nothing lost here").await, "nothing lost here");
    let mut later = connect(&proxy).await;
    assert_eq!(round_trip(&mut later, "nor here").await, "nor here");
}

#[tokio::test]
async fn refuses_and_accepts_again() {
    let proxy = proxy().await;
    let mut stream = connect(&proxy).await;
    assert_eq!(round_trip(&mut stream, "hello").await, "hello");
    proxy.set(Mode::Refuse).await;
    assert!(is_reset(&mut stream).await);
    assert_eq!(proxy.open(), 0);
    let refused = TcpStream::connect(local(proxy.port())).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    proxy.set(Mode::Pass).await;
    assert_eq!(round_trip(&mut connect(&proxy).await, "back").await, "back");
}

#[tokio::test]
async fn cuts_after_so_many_bytes_from_the_server() {
    let proxy = proxy().await;
    let mut old = connect(&proxy).await;
    assert_eq!(round_trip(&mut old, "counted from the mode on").await.len(), 24);
    proxy.set(Mode::CutAfter(6)).await;
    for stream in [&mut old, &mut connect(&proxy).await] {
        stream.write_all(b"0123456789").await.unwrap();
        let mut back = Vec::new();
        timeout(SOON, stream.read_to_end(&mut back)).await.unwrap().unwrap();
        assert_eq!(back, b"012345");
    }
}

#[tokio::test]
async fn flips_one_bit_of_what_the_server_sends() {
    let proxy = proxy().await;
    let mut stream = connect(&proxy).await;
    proxy.set(Mode::FlipBit(5)).await;
    assert_eq!(round_trip(&mut stream, "0000").await, "0000");
    assert_eq!(round_trip(&mut stream, "0000").await, "0100");
    assert_eq!(round_trip(&mut stream, "0000").await, "0000");
    proxy.set(Mode::FlipBit(0)).await;
    assert_eq!(round_trip(&mut stream, "0000").await, "1000");
}

#[tokio::test]
async fn cuts_what_is_open_and_takes_new_connections() {
    let proxy = proxy().await;
    let mut stream = connect(&proxy).await;
    assert_eq!(round_trip(&mut stream, "hello").await, "hello");
    proxy.cut_all().await;
    assert_eq!(proxy.open(), 0);
    assert!(is_reset(&mut stream).await);
    assert_eq!(round_trip(&mut connect(&proxy).await, "new").await, "new");
}

#[tokio::test]
async fn sends_new_connections_elsewhere() {
    let proxy = FaultProxy::start(cache_tests::ports::free_port()).await;
    assert!(is_reset(&mut connect(&proxy).await).await); // nobody listens at the target
    proxy.retarget(echo().await);
    assert_eq!(round_trip(&mut connect(&proxy).await, "moved").await, "moved");
}

#[tokio::test]
async fn dropping_it_closes_everything() {
    let proxy = proxy().await;
    let port = proxy.port();
    let mut stream = connect(&proxy).await;
    assert_eq!(round_trip(&mut stream, "hello").await, "hello");
    drop(proxy);
    assert!(is_reset(&mut stream).await);
    assert!(TcpStream::connect(local(port)).await.is_err());
}
