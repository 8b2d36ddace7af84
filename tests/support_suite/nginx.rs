//! A real nginx over files.

use std::net::TcpStream;

use cache_tests::http_client;
use cache_tests::{Nginx, eventually};

use crate::SOON;

#[tokio::test]
async fn serves_files_with_validators_and_freshness() {
    let files: [(&str, &[u8]); 2] = [("a.txt", b"hello"), ("deep/er.json", b"{}")];
    let nginx = Nginx::start("etag on; expires 1h;", &files);
    let first = http_client::get(nginx.addr(), "/a.txt", &[]).await;
    assert_eq!((first.status, first.text().as_str()), (200, "hello"));
    assert_eq!(first.header("cache-control"), Some("max-age=3600"));
    assert_eq!(first.header("content-type"), Some("text/plain"));
    let etag = first.header("etag").unwrap();
    let again = http_client::get(nginx.addr(), "/a.txt", &[("If-None-Match", etag)]).await;
    assert_eq!((again.status, again.body.len()), (304, 0));
    let ranged = http_client::get(nginx.addr(), "/a.txt", &[("Range", "bytes=1-2")]).await;
    assert_eq!((ranged.status, ranged.text().as_str()), (206, "el"));
    assert_eq!(http_client::get(nginx.addr(), "/deep/er.json", &[]).await.text(), "{}");
    assert_eq!(http_client::get(nginx.addr(), "/none", &[]).await.status, 404);
    nginx.write("none", b"there now");
    assert_eq!(http_client::get(nginx.addr(), "/none", &[]).await.text(), "there now");
    eventually(SOON, "six requests are noted", || nginx.requests().len() == 6).await;
    assert_eq!(nginx.requests()[1], "GET /a.txt 304");
    assert_eq!(nginx.url("/a"), format!("http://{}/a", nginx.addr()));
}

#[test]
fn ends_when_dropped() {
    let nginx = Nginx::start("", &[]);
    let addr = nginx.addr();
    assert!(TcpStream::connect(addr).is_ok());
    drop(nginx);
    assert!(TcpStream::connect(addr).is_err());
}

#[test]
#[should_panic(expected = "unknown directive \"no_such\"")]
fn a_bad_configuration_is_explained() {
    Nginx::start("no_such directive;", &[]);
}
