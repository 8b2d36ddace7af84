//! For whom requests are counted: workspaces, addresses behind proxies, keys by a function; and what
//! is done where nothing tells.

use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use cache_axum::rate_limit;
use cache_core::minutes;
use cache_tests::http_client::Client;
use cache_tower::{HttpCache, RateLimitLayer, TrustedProxies, WithoutKey, Workspace};
use tokio::net::TcpListener;

use super::{Calls, WS1, WS2, clocked, get, statuses};
use crate::setup::{Served, http, memory_cache, serve};

fn one(http: &HttpCache) -> RateLimitLayer {
    rate_limit(http, "api", 1, minutes(1))
}

async fn limited(limit: RateLimitLayer) -> Served {
    serve(Router::new().route("/", Calls::default().route().layer(limit))).await
}

#[tokio::test]
async fn a_workspace_is_one_that_the_cache_would_take() {
    let http = http(memory_cache());
    for (then, first, again) in
        [(WithoutKey::Share, 200, 429), (WithoutKey::Allow, 200, 200), (WithoutKey::Deny, 403, 403)]
    {
        let served =
            limited(rate_limit(&http, &format!("{then:?}"), 1, minutes(1)).without_key(then)).await;
        assert_eq!(statuses(served.addr, "/", &WS1, 2).await, [200, 429]);
        // All of these are nobody's; they share one limit, or none.
        let long = "x".repeat(300);
        for (n, headers) in [
            &[][..],
            &[("x-workspace-id", "")],
            &[("x-workspace-id", "ws2"), ("x-workspace-id", "ws3")],
            &[("x-workspace-id", "ws2,ws3")],
            &[("x-workspace-id", &long)],
        ]
        .into_iter()
        .enumerate()
        {
            let expected = if n == 0 { first } else { again };
            let response = get(served.addr, "/", headers).await;
            assert_eq!(response.status, expected, "{then:?} {headers:?}");
            if expected == 403 {
                assert_eq!(response.header("content-type"), Some("application/problem+json"));
                assert_eq!(response.header("cache-control"), Some("no-store"));
                let problem: serde_json::Value = serde_json::from_slice(&response.body).unwrap();
                assert_eq!(
                    (problem["status"].as_u64(), problem["title"].as_str()),
                    (Some(403), Some("Forbidden"))
                );
            }
        }
        assert_eq!(statuses(served.addr, "/", &WS2, 2).await, [200, 429], "nobody took theirs");
        // Who is called like those without a name is not one of them.
        for name in ["%", "-", "~"] {
            assert_eq!(
                get(served.addr, "/", &[("x-workspace-id", name)]).await.status,
                200,
                "{name}"
            );
        }
    }
}

#[tokio::test]
async fn those_who_need_no_workspace_are_counted_together_and_apart_from_the_others() {
    let http = HttpCache::builder(memory_cache()).build();
    let served = limited(one(&http).without_key(WithoutKey::Deny)).await;
    assert_eq!(statuses(served.addr, "/", &[], 2).await, [200, 429]);
    assert_eq!(get(served.addr, "/", &[("x-workspace-id", "-")]).await.status, 200);
    assert_eq!(get(served.addr, "/", &[("x-workspace-id", "")]).await.status, 403);
}

#[derive(Clone)]
struct Tenant(String);

/// By what authentication has found, not by what a client says.
#[tokio::test]
async fn an_authenticated_workspace() {
    let workspace = Workspace::from_extension(|tenant: &Tenant| &tenant.0);
    let http = HttpCache::builder(memory_cache()).workspace(workspace).build();
    let authenticate = from_fn(async |mut request: Request, next: Next| {
        let token = request.headers().get("authorization").and_then(|v| v.to_str().ok());
        if let Some(tenant) =
            token.and_then(|token| token.strip_prefix("Bearer ")).map(str::to_owned)
        {
            request.extensions_mut().insert(Tenant(tenant));
        }
        next.run(request).await
    });
    let limit = one(&http).without_key(WithoutKey::Deny);
    let app = Router::new().route("/", Calls::default().route()).layer(limit).layer(authenticate);
    let served = serve(app).await;
    let token = ("authorization", "Bearer ws1");
    assert_eq!(get(served.addr, "/", &[token]).await.status, 200);
    assert_eq!(get(served.addr, "/", &[token, ("x-workspace-id", "ws9")]).await.status, 429);
    assert_eq!(get(served.addr, "/", &WS2).await.status, 403, "what is said counts for nothing");
}

const XFF: &str = "x-forwarded-for";

#[tokio::test]
async fn an_address_is_the_peers_whatever_is_said() {
    let served = limited(one(&http(memory_cache())).by_ip(TrustedProxies::none())).await;
    assert_eq!(get(served.addr, "/", &[]).await.status, 200);
    for header in
        [(XFF, "203.0.113.7"), ("forwarded", "for=203.0.113.8"), ("x-real-ip", "203.0.113.9")]
    {
        assert_eq!(get(served.addr, "/", &[header]).await.status, 429, "{header:?}");
    }
    let elsewhere = TrustedProxies::new(["10.0.0.0/8"]).unwrap();
    let served = limited(one(&http(memory_cache())).by_ip(elsewhere)).await;
    assert_eq!(get(served.addr, "/", &[]).await.status, 200);
    assert_eq!(
        get(served.addr, "/", &[(XFF, "203.0.113.7")]).await.status,
        429,
        "no proxy of ours"
    );
}

#[tokio::test]
async fn behind_proxies_it_is_what_they_have_added() {
    let proxies = TrustedProxies::new(["127.0.0.1", "10.0.0.0/8"]).unwrap();
    let served = limited(one(&http(memory_cache())).by_ip(proxies)).await;
    for (said, status) in [
        ("203.0.113.7", 200),
        // What the client has made up stands left of it.
        ("198.51.100.1, 203.0.113.7", 429),
        ("203.0.113.8, 203.0.113.7, 10.1.2.3", 429),
        ("203.0.113.7:4711", 429),
        ("203.0.113.7, 203.0.113.8", 200),
        // IPv6 by its network.
        ("2001:db8:1:2::1", 200),
        ("2001:db8:1:2:ffff::2", 429),
        ("[2001:db8:1:2::3]:80", 429),
        ("2001:db8:1:3::1", 200),
        ("::ffff:203.0.113.7", 429),
        // What can't be read is the proxy's own.
        ("", 200),
        ("unknown", 429),
        ("203.0.113.9, junk", 429),
        ("203.0.113.9 203.0.113.10", 429),
        ("10.1.1.1, 999.0.0.1, 10.0.0.1", 429),
    ] {
        assert_eq!(get(served.addr, "/", &[(XFF, said)]).await.status, status, "{said}");
    }
    let lines = [(XFF, "198.51.100.2"), (XFF, "203.0.113.50")];
    assert_eq!(get(served.addr, "/", &lines).await.status, 200);
    assert_eq!(get(served.addr, "/", &[(XFF, "203.0.113.50")]).await.status, 429);
}

#[tokio::test]
async fn proxies_that_say_forwarded() {
    let proxies = TrustedProxies::new(["127.0.0.0/8"]).unwrap().forwarded();
    let served = limited(one(&http(memory_cache())).by_ip(proxies)).await;
    for (said, status) in [
        ("for=203.0.113.7;proto=https", 200),
        ("for=198.51.100.1, for=\"203.0.113.7:80\"", 429),
        ("for=\"[2001:db8::1]\"", 200),
        ("For=\"[2001:db8::2]:_x\";by=unknown", 429),
        // The proxy's own.
        ("for=\"203.0.113.9", 200),
        ("for=unknown", 429),
        ("for=_hidden", 429),
    ] {
        let headers = [("forwarded", said), (XFF, "198.51.100.99")];
        assert_eq!(get(served.addr, "/", &headers).await.status, status, "{said}");
    }
}

/// A service that is served without the addresses of its peers.
#[tokio::test]
async fn an_address_that_is_not_known() {
    for (then, statuses) in [(WithoutKey::Share, [200, 429]), (WithoutKey::Deny, [403, 403])] {
        let limit = one(&http(memory_cache())).by_ip(TrustedProxies::none()).without_key(then);
        let app = Router::new().route("/", Calls::default().route().layer(limit));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let task = tokio::spawn(async move { axum::serve(listener, app).await });
        assert_eq!(super::statuses(addr, "/", &[], 2).await, statuses);
        task.abort();
    }
}

#[tokio::test]
async fn keys_by_a_function() {
    let limit = one(&http(memory_cache()))
        .by(|request| {
            let key = request.headers().get("x-api-key")?.to_str().ok()?;
            Some(format!("{} {key}", request.uri().path()))
        })
        .without_key(WithoutKey::Deny);
    // Functions see the whole path, also under `nest`.
    let inner = || Router::new().route("/x", Calls::default().route().layer(limit.clone()));
    let served = serve(Router::new().nest("/a", inner()).nest("/b", inner())).await;
    let key = |key| [("x-api-key", key)];
    assert_eq!(statuses(served.addr, "/a/x", &key("1"), 2).await, [200, 429]);
    assert_eq!(statuses(served.addr, "/b/x", &key("1"), 1).await, [200]);
    assert_eq!(statuses(served.addr, "/a/x", &key("*"), 2).await, [200, 429]);
    assert_eq!(statuses(served.addr, "/a/x", &key("1:2%\\{}[]"), 2).await, [200, 429]);
    assert_eq!(statuses(served.addr, "/a/x", &[], 1).await, [403]);
}

#[tokio::test]
async fn for_all_together() {
    let served = limited(one(&http(clocked().0)).for_all()).await;
    assert_eq!(get(served.addr, "/", &WS1).await.status, 200);
    assert_eq!(get(served.addr, "/", &WS2).await.status, 429);
    // On a connection that is kept alive as well.
    let mut client = Client::connect(served.addr).await.unwrap();
    for _ in 0..2 {
        assert_eq!(client.exchange("GET", "/", &WS1, b"").await.unwrap().status, 429);
    }
}
