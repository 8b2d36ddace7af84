//! Every method, and bodies in both directions.

use bytes::Bytes;
use cache_tests::http_client::{self, Client};
use cache_tests::{Gate, Origin, RawOrigin, RawStep, body};
use http_body_util::BodyExt;

use crate::setup::{FORWARDED, HIT, MISS_STORED, get, proxy, send};

/// Answers with what it was sent: method, framing, body, trailers.
async fn echo() -> Origin {
    Origin::start(async |request| {
        let framing = if request.headers().contains_key("transfer-encoding") {
            "chunked".to_owned()
        } else {
            let length = request.headers().get("content-length");
            length.map_or("none", |length| length.to_str().unwrap()).to_owned()
        };
        let (method, uri) = (request.method().clone(), request.uri().clone());
        let whole = request.into_body().collect().await.expect("a whole body");
        let body = String::from_utf8_lossy(&whole.to_bytes()).into_owned();
        let headers = [("cache-control", "max-age=60")];
        body::fixed(200, &headers, format!("{method} {uri} {framing} {body}"))
    })
    .await
}

#[tokio::test]
async fn every_method_is_forwarded_with_its_body() {
    let origin = echo().await;
    let proxy = proxy(origin.addr(), &[]);
    for method in ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PURGE", "QUERY", "M-SEARCH"] {
        for (body, framing) in [(&b"some body"[..], "9"), (b"", "none")] {
            let response = send(proxy.addr(), method, "/a?b=%20c", &[], body).await;
            let framing = match (method, body.len()) {
                ("POST" | "PUT" | "PATCH", 0) => "0",
                _ => framing,
            };
            let text = String::from_utf8_lossy(body);
            let expected = format!("{method} /a?b=%20c {framing} {text}");
            assert_eq!(response.text(), expected);
            assert_eq!(response.cache_status(), FORWARDED, "{method}");
        }
    }
    // none of them was stored, nor is it taken for a GET
    let (text, status) = get(proxy.addr(), "/a?b=%20c", &[]).await;
    assert_eq!((text.as_str(), status.as_str()), ("GET /a?b=%20c none ", MISS_STORED));
    let response = send(proxy.addr(), "GET", "/a?b=%20c", &[], b"body").await;
    assert_eq!(response.text(), "GET /a?b=%20c 4 body");
    assert_eq!(response.cache_status(), "cache-tower; fwd=bypass; detail=request-body");
    let options = send(proxy.addr(), "OPTIONS", "*", &[], b"").await;
    assert_eq!(options.text(), "OPTIONS * none ");
}

#[tokio::test]
async fn unsafe_methods_invalidate_after_success_only() {
    let origin = Origin::start(async |request| {
        let status = match request.headers().get("x-status") {
            Some(status) => status.to_str().unwrap().parse().unwrap(),
            None => 200,
        };
        let headers = [("cache-control", "max-age=60"), ("location", "/other")];
        body::fixed(status, &headers, "x")
    })
    .await;
    let proxy = proxy(origin.addr(), &[]);
    let addr = proxy.addr();
    for (method, status, goes) in [
        ("POST", "404", false),
        ("POST", "500", false),
        ("OPTIONS", "200", false),
        ("POST", "200", true),
        ("PUT", "204", true),
        ("DELETE", "303", true),
        ("PATCH", "200", true),
        ("PURGE", "200", true),
    ] {
        for path in ["/page", "/page?q", "/other"] {
            get(addr, path, &[]).await;
            assert_eq!(get(addr, path, &[]).await.1, HIT);
        }
        send(addr, method, "/page", &[("x-status", status)], b"").await;
        let expected = if goes { MISS_STORED } else { HIT };
        assert_eq!(get(addr, "/page", &[]).await.1, expected, "{method} {status}");
        // RFC 9111 §4.4: and what Location names, on the same host
        assert_eq!(get(addr, "/other", &[]).await.1, expected, "{method} {status}");
        assert_eq!(get(addr, "/page?q", &[]).await.1, HIT, "{method} {status}: another URI");
    }
}

/// Each part reaches the origin before the client has sent the next one.
#[tokio::test]
async fn request_bodies_stream() {
    let gate = Gate::new();
    let script = gate.clone();
    let origin = Origin::start(move |request| {
        let gate = script.clone();
        async move {
            let (mut body, mut text) = (request.into_body(), String::new());
            while let Some(frame) = body.frame().await {
                if let Ok(data) = frame.expect("a whole body").into_data() {
                    text.push_str(&String::from_utf8_lossy(&data));
                    gate.open(1);
                }
            }
            body::fixed(200, &[], text)
        }
    })
    .await;
    let proxy = proxy(origin.addr(), &[]);
    for (head, parts) in [
        ("Transfer-Encoding: chunked", ["3\r\none\r\n", "3\r\ntwo\r\n", "0\r\n\r\n"]),
        ("Content-Length: 6", ["one", "two", ""]),
    ] {
        let mut client = Client::connect(proxy.addr()).await.unwrap();
        let head = format!("POST /upload HTTP/1.1\r\nHost: a\r\n{head}\r\n\r\n");
        client.send_raw(head.as_bytes()).await.unwrap();
        for part in &parts[..2] {
            client.send_raw(part.as_bytes()).await.unwrap();
            gate.pass().await; // the origin has read it
        }
        client.send_raw(parts[2].as_bytes()).await.unwrap();
        assert_eq!(client.read_response().await.unwrap().text(), "onetwo");
    }
}

/// Each piece reaches the client before the origin has given the next one; and it is stored.
#[tokio::test]
async fn response_bodies_stream() {
    let gate = Gate::new();
    let script = gate.clone();
    let origin = Origin::start(move |request| {
        let body = body::gated(&script, ["one", "two"]);
        let ttl = if request.uri().path() == "/kept" { "max-age=60" } else { "no-store" };
        async move { body::respond(200, &[("cache-control", ttl)], body) }
    })
    .await;
    let proxy = proxy(origin.addr(), &[]);
    for path in ["/kept", "/not-kept"] {
        let mut client = Client::connect(proxy.addr()).await.unwrap();
        client.send("GET", path, &[], b"").await.unwrap();
        assert_eq!(client.read_head().await.unwrap().status, 200);
        for piece in ["one", "two"] {
            gate.open(1);
            assert_eq!(client.read_chunk().await.unwrap().unwrap(), piece);
        }
        assert_eq!(client.read_chunk().await.unwrap(), None);
    }
    let hit = http_client::get(proxy.addr(), "/kept", &[]).await;
    assert_eq!((hit.text().as_str(), hit.cache_status().as_str()), ("onetwo", HIT));
    assert_eq!(hit.header("content-length"), Some("6"));
}

/// Trailers reach a client that wants them; a stored response would lose them, so it isn't.
#[tokio::test]
async fn trailers_pass_and_are_not_lost_by_a_hit() {
    let origin = RawOrigin::start(|_, _| {
        vec![RawStep::write(
            "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nTrailer: X-Sum\r\n\
             Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 7\r\n\r\n",
        )]
    })
    .await;
    let proxy = proxy(origin.addr(), &[]);
    for turn in 1..=2 {
        let headers = [("te", "trailers"), ("connection", "te")];
        let response = http_client::get(proxy.addr(), "/", &headers).await;
        assert_eq!(response.text(), "ok");
        assert_eq!(response.trailers, [("x-sum".to_owned(), "7".to_owned())]);
        assert_eq!(origin.count(), turn);
    }
}

/// A client of HTTP/1.0 gets what it understands, also from what was stored for one of 1.1.
#[tokio::test]
async fn old_clients_are_served() {
    let origin = Origin::start(async |_| {
        let (writer, body) = body::channel();
        tokio::spawn(async move { writer.send(Bytes::from_static(b"no length")).await });
        body::respond(200, &[("cache-control", "max-age=60")], body)
    })
    .await;
    let proxy = proxy(origin.addr(), &[]);
    for status in [MISS_STORED, HIT] {
        let mut client = Client::connect(proxy.addr()).await.unwrap();
        client.send_raw(b"GET / HTTP/1.0\r\nHost: a\r\n\r\n").await.unwrap();
        let response = client.read_response().await.unwrap();
        assert_eq!(
            (response.text().as_str(), response.cache_status().as_str()),
            ("no length", status)
        );
        assert_eq!(response.header("transfer-encoding"), None);
        assert!(client.closed().await.unwrap());
    }
    assert_eq!(get(proxy.addr(), "/", &[("host", "a")]).await.1, HIT);
}

/// Several requests on one connection, sent at once: answered in order, each its own.
#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let origin = echo().await;
    let proxy = proxy(origin.addr(), &[]);
    let mut client = Client::connect(proxy.addr()).await.unwrap();
    for round in 0..2 {
        for number in 0..30 {
            client.send("GET", &format!("/{}", number % 10), &[], b"").await.unwrap();
        }
        for number in 0..30 {
            let response = client.read_response().await.unwrap();
            assert_eq!(response.text(), format!("GET /{} none ", number % 10));
            let hit = round > 0 || number >= 10;
            assert_eq!(response.cache_status(), if hit { HIT } else { MISS_STORED });
        }
    }
    assert_eq!(origin.count(), 10);
}
