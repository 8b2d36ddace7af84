//! The client against bytes it must read right, or refuse.

use std::io::ErrorKind;

use cache_tests::http_client::{self, Client};
use cache_tests::message::Response;
use cache_tests::{Gate, Origin, RawOrigin, RawStep, body};

/// What the client makes of one answer, after which the server closes.
async fn read(method: &str, answer: &'static [u8]) -> std::io::Result<Response> {
    let origin = RawOrigin::start(move |_, _| vec![RawStep::write(answer), RawStep::Close]).await;
    http_client::request(origin.addr(), method, "/", &[], b"").await
}

#[tokio::test]
async fn chunks_extensions_and_trailers() {
    let answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, Chunked\r\n\r\n\
        5;name=value\r\nhello\r\n0A \r\n, the rest\r\n000\r\nX-Sum: 15\r\nX-More:\r\n\r\n";
    let response = read("GET", answer).await.unwrap();
    assert_eq!(response.text(), "hello, the rest");
    let trailers = [("X-Sum", "15"), ("X-More", "")].map(|(n, v)| (n.to_owned(), v.to_owned()));
    assert_eq!(response.trailers, trailers);
}

#[tokio::test]
async fn a_chunked_body_arrives_byte_by_byte() {
    let answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    let gate = Gate::new();
    let inner = gate.clone();
    let origin = RawOrigin::start(move |_, _| {
        let each = |byte: &u8| [RawStep::WaitGate(inner.clone()), RawStep::write([*byte])];
        answer.iter().flat_map(each).collect()
    })
    .await;
    let mut client = Client::connect(origin.addr()).await.unwrap();
    client.send("GET", "/", &[], b"").await.unwrap();
    gate.open(answer.len());
    let head = client.read_head().await.unwrap();
    assert_eq!(head.status, 200);
    assert_eq!(client.read_body().await.unwrap(), "abc");
}

#[tokio::test]
async fn responses_without_a_body_have_none() {
    let head = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
    let response = read("HEAD", head).await.unwrap();
    assert_eq!((response.body.len(), response.header("CONTENT-LENGTH")), (0, Some("5")));
    for answer in [
        b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\nETag: \"a\"\r\n\r\n".as_slice(),
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n",
    ] {
        assert!(read("GET", answer).await.unwrap().body.is_empty());
    }
}

#[tokio::test]
async fn a_body_without_a_length_ends_with_the_connection() {
    let response = read("GET", b"HTTP/1.0 200 OK\r\n\r\nuntil close").await.unwrap();
    assert_eq!(response.text(), "until close");
}

#[tokio::test]
async fn what_is_cut_is_an_error() {
    for answer in [
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf".as_slice(),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhalf",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n0\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"",
    ] {
        assert_eq!(read("GET", answer).await.unwrap_err().kind(), ErrorKind::UnexpectedEof);
    }
}

#[tokio::test]
async fn what_is_broken_is_an_error() {
    for answer in [
        b"SMTP/1.1 200 OK\r\n\r\n".as_slice(),
        b"HTTP/1.1 2x0 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\nContent-Length: -4\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhalf\r\n0\r\n\r\n",
    ] {
        assert_eq!(read("GET", answer).await.unwrap_err().kind(), ErrorKind::InvalidData);
    }
}

#[tokio::test]
async fn interim_responses_are_left_out_and_odd_bytes_kept() {
    let answer = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n\
        HTTP/1.1 200\r\nX-Odd: \xe9\r\nCache-Status: a\r\ncache-status: b; hit\r\nContent-Length: 0\r\n\r\n";
    let response = read("GET", answer).await.unwrap();
    assert_eq!((response.status, response.header("x-odd")), (200, Some("é")));
    assert_eq!(response.cache_status(), "a, b; hit");
}

#[tokio::test]
async fn one_connection_serves_many_requests() {
    let origin = Origin::start(|request| async move {
        let text = format!("{} {}", request.method(), request.uri().path());
        body::fixed(200, &[], text)
    })
    .await;
    let mut client = Client::connect(origin.addr()).await.unwrap();
    assert!(client.exchange("HEAD", "/1", &[], b"").await.unwrap().body.is_empty());
    assert_eq!(client.exchange("PUT", "/2", &[], b"x").await.unwrap().text(), "PUT /2");
    // pipelined, and the first body left unread
    client.send("GET", "/3", &[], b"").await.unwrap();
    client.send("GET", "/4", &[], b"").await.unwrap();
    client.read_head().await.unwrap();
    assert_eq!(client.read_response().await.unwrap().text(), "GET /4");
    client.send_raw(b"GET /5 HTTP/1.1\r\nHost: raw\r\n\r\n").await.unwrap();
    assert_eq!(client.read_response().await.unwrap().text(), "GET /5");
    assert_eq!((origin.count(), origin.connections()), (5, 1));
    assert_eq!(origin.requests()[4].header("host"), Some("raw"));
}

#[tokio::test]
async fn headers_of_the_test_replace_the_clients_own() {
    let origin = RawOrigin::start(|request, _| {
        let length = request.len();
        let text = String::from_utf8_lossy(request).into_owned();
        vec![RawStep::write(format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{text}"))]
    })
    .await;
    let headers = [("HOST", "h"), ("content-length", "2")];
    let echoed = http_client::request(origin.addr(), "POST", "/", &headers, b"ab").await.unwrap();
    assert_eq!(echoed.text(), "POST / HTTP/1.1\r\nHOST: h\r\ncontent-length: 2\r\n\r\nab");
    let echoed = http_client::request(origin.addr(), "POST", "/", &[("host", "h")], b"").await;
    assert_eq!(echoed.unwrap().text(), "POST / HTTP/1.1\r\nhost: h\r\nContent-Length: 0\r\n\r\n");
}

#[tokio::test]
async fn a_closed_connection_is_seen() {
    let origin = RawOrigin::start(|_, number| {
        let answer = RawStep::write("HTTP/1.1 204 No Content\r\n\r\n");
        if number == 0 { vec![answer, RawStep::Close] } else { vec![answer, RawStep::Reset] }
    })
    .await;
    let mut client = Client::connect(origin.addr()).await.unwrap();
    client.exchange("GET", "/", &[], b"").await.unwrap();
    assert!(client.closed().await.unwrap());
    let mut client = Client::connect(origin.addr()).await.unwrap();
    client.send("GET", "/", &[], b"").await.unwrap();
    let reset = match client.read_response().await {
        Ok(_) => client.closed().await.unwrap_err(),
        Err(overtaken) => overtaken,
    };
    assert_eq!(reset.kind(), ErrorKind::ConnectionReset);
}
