//! Transfer codings: the proxy undoes chunks, and nothing else.

use cache_tests::http_client::Client;
use cache_tests::{RawOrigin, RawStep};

use crate::setup::{counting_origin, proxy, send};

/// A body that the upstream had compressed for this hop was stored, and given to everyone, without
/// the field that said so.
#[tokio::test]
async fn a_response_in_another_coding_is_a_502_and_not_stored() {
    let origin = RawOrigin::start(|request, _| {
        let request = String::from_utf8_lossy(request).into_owned();
        let coding = match request.split(' ').nth(1) {
            Some("/closed") => "Transfer-Encoding: gzip\r\n\r\n",
            Some("/lines") => "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n",
            _ => "Transfer-Encoding: gzip, chunked\r\n\r\n",
        };
        let head = format!("HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\n{coding}");
        vec![RawStep::write(head), RawStep::write("3\r\nabc\r\n0\r\n\r\n"), RawStep::Close]
    })
    .await;
    let proxy = proxy(origin.addr(), &[]);
    for path in ["/closed", "/lines", "/chunked"] {
        for _ in 0..2 {
            let response = send(proxy.addr(), "GET", path, &[], b"").await;
            let status = response.header("proxy-status");
            let expected = "cache-tower; error=http_response_transfer_coding";
            assert_eq!((response.status, status), (502, Some(expected)), "{path}");
        }
    }
}

/// An upload that was compressed for this hop reached the upstream as if it were plain.
#[tokio::test]
async fn an_upload_in_another_coding_is_refused() {
    let origin = counting_origin().await;
    let proxy = proxy(origin.addr(), &[]);
    for coding in [
        "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked, chunked",
    ] {
        let mut client = Client::connect(proxy.addr()).await.unwrap();
        let head = format!("POST / HTTP/1.1\r\nHost: a\r\n{coding}\r\n\r\n3\r\nabc\r\n0\r\n\r\n");
        client.send_raw(head.as_bytes()).await.unwrap();
        assert_eq!(client.read_response().await.unwrap().status, 501, "{coding}");
    }
    assert_eq!(origin.count(), 0);
}
