//! Upstreams that are down, hang, break off or talk nonsense; clients that leave.

use std::io::ErrorKind;
use std::sync::atomic::{AtomicUsize, Ordering};

use cache_tests::http_client::{self, Client};
use cache_tests::ports::{free_port, local};
use cache_tests::wait::eventually_some;
use cache_tests::{Gate, Nginx, Origin, RawOrigin, RawStep, body, eventually};

use crate::setup::{HIT, MISS_STORED, PATIENCE, get, join, proxy, send};

#[tokio::test]
async fn an_upstream_that_is_not_there_is_a_502_and_no_memory_of_it() {
    let mut nginx = Nginx::start("expires 60s;", &[("page", b"page"), ("kept", b"kept")]);
    let proxy = proxy(nginx.addr(), &[]);
    assert_eq!(get(proxy.addr(), "/kept", &[]).await.1, MISS_STORED);
    nginx.kill();
    for method in ["GET", "GET", "POST", "HEAD"] {
        let response = send(proxy.addr(), method, "/page", &[], b"").await;
        assert_eq!(response.status, 502, "{method}");
        assert_eq!(response.header("cache-control"), Some("no-store"));
        let status = response.header("proxy-status").expect("it says why");
        assert_eq!(status, "cache-tower; error=destination_unavailable");
    }
    // what is stored is served all the same
    assert_eq!(get(proxy.addr(), "/kept", &[]).await, ("kept".into(), HIT.into()));
}

#[tokio::test]
async fn an_upstream_confirms_what_is_stale_and_is_stood_in_for_when_it_is_gone() {
    let config = "add_header Cache-Control max-age=0;";
    let mut nginx = Nginx::start(config, &[("page", b"page")]);
    let proxy = proxy(nginx.addr(), &[]);
    let status = async || {
        let (body, status) = get(proxy.addr(), "/page", &[]).await;
        assert_eq!(body, "page");
        status
    };
    assert_eq!(status().await, MISS_STORED);
    let confirmed = "cache-tower; fwd=stale; fwd-status=304";
    eventually_some(PATIENCE, "stored, then confirmed", async || {
        (status().await == confirmed).then_some(())
    })
    .await;
    nginx.kill();
    assert_eq!(status().await, "cache-tower; fwd=stale; detail=stale-if-error");
}

#[tokio::test]
async fn an_upstream_may_come_later() {
    let port = free_port();
    let proxy = proxy(local(port), &[]);
    assert_eq!(http_client::get(proxy.addr(), "/", &[]).await.status, 502);
    let listener = tokio::net::TcpListener::bind(local(port)).await.unwrap();
    let answer = tokio::spawn(async move {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let (mut stream, _) = listener.accept().await.unwrap();
        let _ = stream.read(&mut [0; 1024]).await.unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nup").await.unwrap();
        stream
    });
    assert_eq!(get(proxy.addr(), "/", &[]).await.0, "up");
    join(answer).await;
}

#[tokio::test]
async fn answers_that_are_no_http_are_a_502() {
    let origin = RawOrigin::start(|request, _| {
        let request = String::from_utf8_lossy(request).into_owned();
        let path = request.split(' ').nth(1).unwrap_or_default();
        match path {
            "/nonsense" => vec![RawStep::write("SMTP ready\r\n\r\n"), RawStep::Close],
            "/closed" => vec![RawStep::Close],
            "/reset" => vec![RawStep::Reset],
            "/half" => vec![RawStep::write("HTTP/1.1 200 O"), RawStep::Close],
            "/lengths" => vec![RawStep::write(
                "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 2\r\n\
                 Content-Length: 3\r\n\r\nabc",
            )],
            "/switch" => vec![RawStep::write(
                "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
            )],
            _ => vec![RawStep::write(
                "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n\
                 HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
            )],
        }
    })
    .await;
    let proxy = proxy(origin.addr(), &[]);
    for path in ["/nonsense", "/closed", "/reset", "/half", "/lengths", "/switch"] {
        for method in ["GET", "POST"] {
            let response = send(proxy.addr(), method, path, &[], b"").await;
            assert_eq!(response.status, 502, "{method} {path}");
            assert!(response.header("proxy-status").is_some(), "{method} {path}");
        }
    }
    assert_eq!(get(proxy.addr(), "/hints", &[]).await.0, "ok");
}

/// `Content-Length: 2, 2` reached the client as it was, which many refuse, and was never stored.
#[tokio::test]
async fn a_length_that_is_said_twice_is_said_once() {
    const TWO_LINES: &str = "Content-Length: 2\r\nContent-Length: 2";
    let origin = RawOrigin::start(|request, _| {
        let is_list = request.starts_with(b"GET /list ");
        let lengths = if is_list { "Content-Length: 2, 2" } else { TWO_LINES };
        let head = format!("HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\n{lengths}\r\n\r\nok");
        vec![RawStep::write(head)]
    })
    .await;
    let proxy = proxy(origin.addr(), &[]);
    for path in ["/list", "/lines"] {
        for status in [MISS_STORED, HIT] {
            let response = send(proxy.addr(), "GET", path, &[], b"").await;
            assert_eq!((response.text(), response.cache_status()), ("ok".into(), status.into()));
            assert_eq!(response.header_all("content-length"), ["2"], "{path}");
        }
    }
}

/// However a body breaks off, the client can tell, and nothing of it is stored.
#[tokio::test]
async fn a_body_that_breaks_off_never_looks_whole_and_is_never_stored() {
    let head = "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\n";
    let origin = RawOrigin::start(move |request, _| {
        let request = String::from_utf8_lossy(request).into_owned();
        let (framing, end) = match request.split(' ').nth(1).unwrap_or_default() {
            "/length" => ("Content-Length: 9\r\n\r\nhalf", RawStep::Close),
            "/length-reset" => ("Content-Length: 9\r\n\r\nhalf", RawStep::Reset),
            "/chunk" => ("Transfer-Encoding: chunked\r\n\r\n9\r\nhalf", RawStep::Close),
            "/chunks" => ("Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n", RawStep::Close),
            "/chunks-reset" => ("Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n", RawStep::Reset),
            "/bad-chunk" => {
                ("Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\nxyz\r\n", RawStep::Close)
            }
            other => panic!("{other}"),
        };
        vec![RawStep::write(format!("{head}{framing}")), end]
    })
    .await;
    let proxy = proxy(origin.addr(), &[]);
    let paths = ["/length", "/length-reset", "/chunk", "/chunks", "/chunks-reset", "/bad-chunk"];
    for path in paths {
        for turn in 1..=2 {
            let before = origin.count();
            let cut = http_client::try_get(proxy.addr(), path, &[]).await;
            match cut {
                // The reset may have come before the head went out.
                Ok(response) => assert_eq!(response.status, 502, "{path}"),
                Err(error) => assert!(
                    matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset),
                    "{path}: {error}"
                ),
            }
            assert_eq!(origin.count(), before + 1, "{path}, turn {turn}");
        }
        // To a client of HTTP/1.0 the end of the connection is the end of the body: it is reset.
        let mut old = Client::connect(proxy.addr()).await.unwrap();
        let request = format!("GET {path} HTTP/1.0\r\nHost: old.test\r\n\r\n");
        old.send_raw(request.as_bytes()).await.unwrap();
        match old.read_response().await {
            Ok(response) => assert_eq!(response.status, 502, "{path}"),
            Err(error) => assert!(
                matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset),
                "{path}: {error}"
            ),
        }
    }
}

/// Those who wait for the same response learn that it broke off, too.
#[tokio::test]
async fn a_body_that_breaks_off_is_whole_for_nobody_who_shares_it() {
    let gate = Gate::new();
    let (script, turn) = (gate.clone(), AtomicUsize::new(0));
    let origin = RawOrigin::start(move |_, _| {
        let turn = turn.fetch_add(1, Ordering::AcqRel);
        let head = "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 9\r\n\r\n";
        if turn > 0 {
            return vec![RawStep::write(format!("{head}the whole"))];
        }
        let wait = RawStep::WaitGate(script.clone());
        vec![RawStep::write(format!("{head}half")), wait, RawStep::Close]
    })
    .await;
    let proxy = proxy(origin.addr(), &[]);
    let mut clients = Vec::new();
    for _ in 0..10 {
        let mut client = Client::connect(proxy.addr()).await.unwrap();
        client.send("GET", "/", &[], b"").await.unwrap();
        assert_eq!(client.read_head().await.unwrap().status, 200);
        assert_eq!(client.read_chunk().await.unwrap().unwrap(), "half");
        clients.push(client);
    }
    assert_eq!(origin.count(), 1, "they share it");
    gate.open_for_good();
    for client in &mut clients {
        client.read_body().await.expect_err("it broke off");
    }
    assert_eq!(get(proxy.addr(), "/", &[]).await, ("the whole".into(), MISS_STORED.into()));
    assert_eq!(get(proxy.addr(), "/", &[]).await, ("the whole".into(), HIT.into()));
}

/// One URL that hangs holds up nobody who asks for another, nor hits.
#[tokio::test]
async fn an_upstream_that_hangs_on_one_url_holds_up_no_other() {
    let origin = Origin::start(async |request| {
        if request.uri().path() == "/hangs" {
            std::future::pending::<()>().await;
        }
        body::fixed(200, &[("cache-control", "max-age=60")], "quick")
    })
    .await;
    let proxy = proxy(origin.addr(), &[]);
    let mut hung = Vec::new();
    for _ in 0..20 {
        let mut client = Client::connect(proxy.addr()).await.unwrap();
        client.send("GET", "/hangs", &[], b"").await.unwrap();
        hung.push(client);
    }
    origin.arrived(1).await;
    for number in 0..20 {
        let path = format!("/quick?{number}");
        assert_eq!(get(proxy.addr(), &path, &[]).await.1, MISS_STORED);
        assert_eq!(get(proxy.addr(), &path, &[]).await.1, HIT);
    }
}

/// The first caller's fetch goes on without him: those who wait, and the cache, get all of it.
#[tokio::test]
async fn a_caller_that_leaves_changes_nothing_for_the_rest() {
    let gate = Gate::new();
    let script = gate.clone();
    let origin = Origin::start(move |_| {
        let body = body::gated(&script, ["one ", "two ", "three"]);
        async { body::respond(200, &[("cache-control", "max-age=60")], body) }
    })
    .await;
    let proxy = proxy(origin.addr(), &[]);
    let mut first = Client::connect(proxy.addr()).await.unwrap();
    first.send("GET", "/", &[], b"").await.unwrap();
    first.read_head().await.unwrap();
    let mut others = Vec::new();
    for _ in 0..5 {
        let mut other = Client::connect(proxy.addr()).await.unwrap();
        other.send("GET", "/", &[], b"").await.unwrap();
        let head = other.read_head().await.unwrap();
        assert_eq!(head.header("cache-status"), Some("cache-tower; fwd=uri-miss; collapsed"));
        others.push(other);
    }
    gate.open(1);
    assert_eq!(first.read_chunk().await.unwrap().unwrap(), "one ");
    first.disconnect();
    others.pop().unwrap().disconnect();
    gate.open_for_good();
    for other in &mut others {
        assert_eq!(other.read_body().await.unwrap(), "one two three");
    }
    assert_eq!(get(proxy.addr(), "/", &[]).await, ("one two three".into(), HIT.into()));
    assert_eq!(origin.count(), 1);
}

/// Alone, he leaves before the response has begun: it is there for the next one all the same.
#[tokio::test]
async fn a_response_nobody_waited_for_is_stored() {
    let gate = Gate::new();
    let script = gate.clone();
    let origin = Origin::start(move |_| {
        let gate = script.clone();
        async move {
            gate.pass().await;
            body::fixed(200, &[("cache-control", "max-age=60")], "late")
        }
    })
    .await;
    let proxy = proxy(origin.addr(), &[]);
    let mut client = Client::connect(proxy.addr()).await.unwrap();
    client.send("GET", "/", &[], b"").await.unwrap();
    origin.arrived(1).await;
    client.disconnect();
    gate.open_for_good();
    assert_eq!(get(proxy.addr(), "/", &[]).await.0, "late");
    assert_eq!(get(proxy.addr(), "/", &[]).await, ("late".into(), HIT.into()));
    assert_eq!(origin.count(), 1);
}

/// What will not be stored is not fetched for nobody: the origin sees that the client has gone.
#[tokio::test]
async fn a_download_past_the_cache_ends_with_its_client() {
    let ended = Gate::new();
    let script = ended.clone();
    let origin = Origin::start(move |_| {
        let ended = script.clone();
        let (writer, body) = body::channel();
        tokio::spawn(async move {
            writer.send("begun").await;
            writer.closed().await;
            ended.open(1);
        });
        async { body::respond(200, &[("cache-control", "no-store")], body) }
    })
    .await;
    let proxy = proxy(origin.addr(), &[]);
    let mut client = Client::connect(proxy.addr()).await.unwrap();
    client.send("GET", "/", &[], b"").await.unwrap();
    client.read_head().await.unwrap();
    assert_eq!(client.read_chunk().await.unwrap().unwrap(), "begun");
    client.disconnect();
    tokio::time::timeout(PATIENCE, ended.pass()).await.expect("the origin is let go");
}

/// An upload that breaks off reaches the origin as one, and what it was about stays.
#[tokio::test]
async fn an_upload_that_breaks_off_is_not_taken_for_whole() {
    use http_body_util::BodyExt;
    let broken = std::sync::Arc::new(AtomicUsize::new(0));
    let script = broken.clone();
    let origin = Origin::start(move |request| {
        let broken = script.clone();
        async move {
            if request.into_body().collect().await.is_err() {
                broken.fetch_add(1, Ordering::AcqRel);
            }
            body::fixed(200, &[("cache-control", "max-age=60")], "x")
        }
    })
    .await;
    let proxy = proxy(origin.addr(), &[]);
    for (turn, framing) in ["Content-Length: 9", "Transfer-Encoding: chunked"].iter().enumerate() {
        let mut client = Client::connect(proxy.addr()).await.unwrap();
        let head = format!("POST / HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n4\r\nhalf");
        client.send_raw(head.as_bytes()).await.unwrap();
        origin.arrived(turn + 1).await;
        client.disconnect();
        eventually(PATIENCE, "the origin sees it break off", || {
            broken.load(Ordering::Acquire) == turn + 1
        })
        .await;
    }
}
