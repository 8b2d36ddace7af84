//! What the proxy does to the fields of requests and responses.

use cache_tests::http_client::Client;
use cache_tests::{Origin, RawOrigin, RawStep, body, http_client};

use crate::setup::{FORWARDED, HIT, MISS_STORED, counting_origin, get, proxy, send};

/// An origin that stores for a minute and answers with `text`.
async fn plain(text: &'static str) -> Origin {
    Origin::start(
        move |_| async move { body::fixed(200, &[("cache-control", "max-age=60")], text) },
    )
    .await
}

#[tokio::test]
async fn fields_of_one_hop_do_not_reach_the_origin() {
    let origin = plain("x").await;
    let proxy = proxy(origin.addr(), &[]);
    let headers = [
        ("host", "shop.test"),
        ("connection", "keep-alive, X-Secret"),
        ("connection", "x-other"),
        ("x-secret", "1"),
        ("x-other", "2"),
        ("keep-alive", "timeout=5"),
        ("proxy-connection", "keep-alive"),
        ("proxy-authorization", "Basic c2VjcmV0"),
        ("te", "trailers, deflate"),
        ("upgrade", "h2c"),
        ("via", "1.0 before"),
        ("x-forwarded-for", "10.1.2.3"),
        ("x-kept", "stays"),
        ("accept-language", "de"),
    ];
    for method in ["GET", "POST"] {
        send(proxy.addr(), method, "/", &headers, b"").await;
    }
    for seen in origin.requests() {
        for gone in [
            "connection",
            "x-secret",
            "x-other",
            "keep-alive",
            "proxy-connection",
            "proxy-authorization",
            "te",
            "upgrade",
        ] {
            assert_eq!(seen.header(gone), None, "{gone} of {}", seen.method);
        }
        assert_eq!(seen.header("host"), Some("shop.test"));
        assert_eq!(seen.header("via"), Some("1.0 before, 1.1 cache-tower"));
        assert_eq!(seen.header("x-forwarded-for"), Some("10.1.2.3, 127.0.0.1"));
        assert_eq!(seen.header("x-kept"), Some("stays"));
        assert_eq!(seen.header("accept-language"), Some("de"));
    }
    assert_eq!(origin.count(), 2);
}

/// `Connection` can't take back what keeps responses apart.
#[tokio::test]
async fn connection_can_not_name_the_host_or_cache_control() {
    let origin = plain("x").await;
    let proxy = proxy(origin.addr(), &[]);
    let headers = [
        ("host", "shop.test"),
        ("connection", "host, cache-control"),
        ("cache-control", "no-store"),
    ];
    let response = http_client::get(proxy.addr(), "/", &headers).await;
    assert_eq!(response.cache_status(), "cache-tower; fwd=bypass; detail=no-store");
    assert_eq!(origin.requests()[0].header("host"), Some("shop.test"));
    assert_eq!(get(proxy.addr(), "/", &[("host", "shop.test")]).await.1, MISS_STORED);
}

/// Nor can it separate the tenant from his request: without the field he would be in the shared
/// partition, here and at the origin alike, and that is what he gets.
#[tokio::test]
async fn a_workspace_that_connection_names_is_gone_for_cache_and_origin_alike() {
    let origin = Origin::start(async |request| {
        let workspace = request.headers().get("x-workspace-id");
        let text = workspace.map_or("none", |value| value.to_str().unwrap()).to_owned();
        body::fixed(200, &[("cache-control", "max-age=60")], text)
    })
    .await;
    let proxy = proxy(origin.addr(), &[]);
    let workspace = ("x-workspace-id", "ws1");
    assert_eq!(get(proxy.addr(), "/", &[workspace]).await.0, "ws1");
    let taken_back = [workspace, ("connection", "x-workspace-id")];
    assert_eq!(get(proxy.addr(), "/", &taken_back).await, ("none".into(), MISS_STORED.into()));
    assert_eq!(get(proxy.addr(), "/", &[]).await, ("none".into(), HIT.into()));
    assert_eq!(get(proxy.addr(), "/", &[workspace]).await, ("ws1".into(), HIT.into()));
}

#[tokio::test]
async fn fields_of_one_hop_do_not_reach_the_client_nor_the_cache() {
    let origin = RawOrigin::start(|_, _| {
        vec![RawStep::write(
            "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nConnection: X-Hop\r\n\
             Connection: x-more, keep-alive\r\nX-Hop: 1\r\nX-More: 2\r\nKeep-Alive: timeout=9\r\n\
             Proxy-Authenticate: Basic\r\nProxy-Connection: keep-alive\r\nUpgrade: h2c\r\n\
             Via: 1.0 behind\r\nX-Kept: a\r\nX-Kept: b\r\nContent-Length: 2\r\n\r\nok",
        )]
    })
    .await;
    let proxy = proxy(origin.addr(), &[]);
    for status in [MISS_STORED, HIT] {
        let response = http_client::get(proxy.addr(), "/", &[]).await;
        assert_eq!((response.text().as_str(), response.cache_status().as_str()), ("ok", status));
        for gone in [
            "connection",
            "x-hop",
            "x-more",
            "keep-alive",
            "proxy-authenticate",
            "proxy-connection",
            "upgrade",
        ] {
            assert_eq!(response.header(gone), None, "{gone}: {status}");
        }
        assert_eq!(response.header_all("x-kept"), ["a", "b"]);
        assert_eq!(response.header_all("via"), ["1.0 behind, 1.1 cache-tower"]);
    }
    assert_eq!(origin.count(), 1);
}

/// RFC 9112 §3.2.2: the host in the target counts, whatever `Host` says; it is one resource.
#[tokio::test]
async fn a_target_in_absolute_form_is_the_same_resource() {
    let origin = counting_origin().await;
    let proxy = proxy(origin.addr(), &[]);
    let host = |name| [("host", name)];
    let first = get(proxy.addr(), "http://shop.test/x?y=1", &host("evil.test")).await;
    assert_eq!(first, ("1".into(), MISS_STORED.into()));
    let seen = &origin.requests()[0];
    assert_eq!((seen.uri.to_string(), seen.header("host")), ("/x?y=1".into(), Some("shop.test")));
    let again = ("1".to_owned(), HIT.to_owned());
    assert_eq!(get(proxy.addr(), "/x?y=1", &host("shop.test")).await, again);
    assert_eq!(get(proxy.addr(), "/x?y=1", &host("SHOP.test")).await, again);
    // and the host that was only claimed has nothing of it
    assert_eq!(get(proxy.addr(), "/x?y=1", &host("evil.test")).await.1, MISS_STORED);
    assert_eq!(get(proxy.addr(), "/x?y=1", &host("shop.test:8080")).await.1, MISS_STORED);
}

#[tokio::test]
async fn a_request_without_one_valid_host_is_refused() {
    let origin = counting_origin().await;
    let proxy = proxy(origin.addr(), &[]);
    for head in [
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
        "GET http://user:password@a/ HTTP/1.1\r\nHost: a\r\n\r\n",
        // A host where a path belongs was forwarded as `/` of that host.
        "GET b HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET b:80 HTTP/1.1\r\nHost: a\r\n\r\n",
    ] {
        let mut client = Client::connect(proxy.addr()).await.unwrap();
        client.send_raw(head.as_bytes()).await.unwrap();
        let response = client.read_response().await.unwrap();
        assert_eq!(response.status, 400, "{head:?}");
        assert!(response.header("cache-control") == Some("no-store"), "{head:?}");
    }
    let tunnel = send(proxy.addr(), "CONNECT", "a.test:443", &[("host", "a.test")], b"").await;
    assert_eq!(tunnel.status, 501);
    assert_eq!(origin.count(), 0);
}

#[tokio::test]
async fn requests_that_could_mean_something_else_at_the_origin_bypass() {
    let origin = counting_origin().await;
    let proxy = proxy(origin.addr(), &[]);
    get(proxy.addr(), "/", &[]).await;
    for (name, value, reason) in [
        ("x-original-url", "/admin", "override"),
        ("x-rewrite-url", "/admin", "override"),
        ("x-http-method-override", "DELETE", "override"),
        ("if-match", "\"a\"", "precondition"),
        ("cache-control", "no-store", "no-store"),
        ("x-workspace-id", "", "workspace"),
    ] {
        let (text, status) = get(proxy.addr(), "/", &[(name, value)]).await;
        assert_eq!(status, format!("cache-tower; fwd=bypass; detail={reason}"), "{name}");
        assert_ne!(text, "1", "{name}");
    }
    assert_eq!(get(proxy.addr(), "/", &[]).await, ("1".into(), HIT.into()));
}

#[tokio::test]
async fn what_earlier_caches_say_stays_in_front() {
    let origin = Origin::start(async |_| {
        let headers = [("cache-control", "max-age=60"), ("cache-status", "origin; hit")];
        body::fixed(200, &headers, "x")
    })
    .await;
    let proxy = proxy(origin.addr(), &[]);
    for status in [MISS_STORED, HIT] {
        let response = http_client::get(proxy.addr(), "/", &[]).await;
        assert_eq!(response.cache_status(), format!("origin; hit, {status}"));
    }
    let posted = send(proxy.addr(), "POST", "/", &[], b"").await;
    assert_eq!(posted.cache_status(), format!("origin; hit, {FORWARDED}"));
}
