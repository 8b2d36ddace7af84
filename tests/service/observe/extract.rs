//! What handlers extract, over real sockets: from headers and from what authentication has found,
//! with and without a cache around; and what hostile requests are told.

use axum::extract::{FromRef, Request};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use cache_axum::{
    CacheHandle, CacheStatus, SkipCache, WorkspaceId, WorkspaceRejection, cache_endpoint,
};
use cache_core::minutes;
use cache_tests::http_client::{self, Client, get as fetch};
use cache_tower::{CacheLayer, HttpCache, SkipRule, Workspace};
use http::StatusCode;

use super::WS1;
use crate::setup::{memory_cache, serve};

/// Who the caller is, as authentication has found.
#[derive(Clone)]
struct Tenant(String);

/// As applications have it: the cache is a part of the state.
#[derive(Clone)]
struct AppState {
    http: HttpCache,
    greeting: &'static str,
}

impl FromRef<AppState> for HttpCache {
    fn from_ref(state: &AppState) -> Self {
        state.http.clone()
    }
}

impl FromRef<AppState> for &'static str {
    fn from_ref(state: &AppState) -> Self {
        state.greeting
    }
}

fn with(workspace: Workspace) -> HttpCache {
    HttpCache::builder(memory_cache()).workspace(workspace).build()
}

/// Says whose the request is; `cached`: so that the cache says it, too.
fn whose(http: &HttpCache) -> Router {
    let named = async |WorkspaceId(name): WorkspaceId| name;
    let optional = async |name: Option<WorkspaceId>| format!("{:?}", name.as_deref());
    Router::new()
        .route("/named", get(named))
        .route("/optional", get(optional))
        .route("/cached", get(named).layer(cache_endpoint(http, minutes(5))))
        .with_state(AppState { http: http.clone(), greeting: "hello" })
}

/// Bytes that are no text, which the client of these tests would not send.
async fn fetch_raw(addr: std::net::SocketAddr, path: &str, value: &[u8]) -> (u16, String) {
    let mut client = Client::connect(addr).await.expect("connected");
    let head = format!("GET {path} HTTP/1.1\r\nhost: a\r\nx-workspace-id: ");
    client.send_raw(&[head.as_bytes(), value, b"\r\n\r\n"].concat()).await.expect("sent");
    let response = client.read_response().await.expect("an answer");
    (response.status, response.text())
}

#[tokio::test]
async fn a_workspace_from_a_header_and_what_is_none() {
    let served = serve(whose(&with(Workspace::header("x-workspace-id")))).await;
    for path in ["/named", "/cached"] {
        assert_eq!(fetch(served.addr, path, &[("x-workspace-id", " ws1 ")]).await.text(), "ws1");
        let long = "x".repeat(257);
        let bad: [(&[(&str, &str)], &str); 5] = [
            (&[], "the request names no workspace: the header `x-workspace-id` is missing"),
            (&[("x-workspace-id", "")], "the workspace in the header `x-workspace-id` is empty"),
            (
                &[("x-workspace-id", "ws1"), ("x-workspace-id", "ws2")],
                "more than one workspace is in the header `x-workspace-id`",
            ),
            (
                &[("x-workspace-id", "ws1, ws2")],
                "more than one workspace is in the header `x-workspace-id`",
            ),
            (
                &[("x-workspace-id", &long)],
                "the workspace in the header `x-workspace-id` is longer than 256 bytes",
            ),
        ];
        for (lines, text) in bad {
            let response = fetch(served.addr, path, lines).await;
            assert_eq!((response.status, response.text().as_str()), (400, text), "{path}");
            let kind = response.header("content-type");
            assert_eq!(kind, Some("text/plain; charset=utf-8"));
        }
        let (status, text) = fetch_raw(served.addr, path, b"w\xffs").await;
        let unreadable = "the workspace in the header `x-workspace-id` is not visible ASCII";
        assert_eq!((status, text.as_str()), (400, unreadable));
    }
    // Refusals are not stored, nor given to others.
    assert_eq!(fetch(served.addr, "/cached", &WS1).await.status, 200);
    // What is optional may be missing, but not be wrong.
    assert_eq!(fetch(served.addr, "/optional", &[]).await.text(), "None");
    assert_eq!(fetch(served.addr, "/optional", &WS1).await.text(), "Some(\"ws1\")");
    assert_eq!(fetch(served.addr, "/optional", &[("x-workspace-id", "")]).await.status, 400);
}

#[tokio::test]
async fn a_workspace_that_may_be_missing() {
    let served = serve(whose(&with(Workspace::optional_header("x-workspace-id")))).await;
    assert_eq!(fetch(served.addr, "/named", &[]).await.status, 400);
    assert_eq!(fetch(served.addr, "/optional", &[]).await.text(), "None");
}

#[tokio::test]
async fn a_workspace_that_authentication_has_found_whatever_the_headers_say() {
    let http = with(Workspace::from_extension(|tenant: &Tenant| &tenant.0));
    let authenticate = async |mut request: Request, next: Next| {
        let token = request.headers().get("authorization").and_then(|value| value.to_str().ok());
        let tenant =
            token.and_then(|token| token.strip_prefix("Bearer token-of-")).map(str::to_owned);
        match tenant {
            Some(name) => drop(request.extensions_mut().insert(Tenant(name))),
            None if token.is_some() => return StatusCode::UNAUTHORIZED.into_response(),
            None => {}
        }
        next.run(request).await
    };
    let served = serve(whose(&http).layer(from_fn(authenticate))).await;
    let ask = async |path, lines: &[(&str, &str)]| {
        let response = fetch(served.addr, path, lines).await;
        (response.status, response.text())
    };
    let of = |name: &'static str| [("authorization", name), ("x-workspace-id", "ws2")];
    for path in ["/named", "/cached"] {
        assert_eq!(ask(path, &of("Bearer token-of-ws1")).await, (200, "ws1".to_owned()));
        assert_eq!(ask(path, &of("Bearer wrong")).await.0, 401);
        let missing = "the request names no workspace: what is known of the caller is missing";
        assert_eq!(ask(path, &[("x-workspace-id", "ws2")]).await, (400, missing.to_owned()));
    }
}

/// Another tenant's answer would be a leak: the handler's workspace is the one that is cached for.
#[tokio::test]
async fn the_handler_and_the_cache_agree_on_whose_it_is() {
    // The state holds another cache, with another rule, than the one around the route.
    let around = with(Workspace::header("x-team"));
    let in_state = with(Workspace::header("x-workspace-id"));
    let named = async |WorkspaceId(name): WorkspaceId| name;
    let app = Router::new()
        .route("/", get(named))
        .layer(CacheLayer::endpoint(&around, minutes(5)))
        .with_state(in_state);
    let served = serve(app).await;
    let both = |team| [("x-team", team), ("x-workspace-id", "ws9")];
    for (team, status) in
        [("a", "fwd=uri-miss; stored"), ("a", "hit"), ("b", "fwd=uri-miss; stored")]
    {
        let response = fetch(served.addr, "/", &both(team)).await;
        assert_eq!(
            (response.text().as_str(), response.cache_status()),
            (team, format!("cache-tower; {status}"))
        );
    }
}

#[tokio::test]
async fn a_rejection_can_be_told_in_other_words() {
    let http = with(Workspace::header("x-workspace-id"));
    let handler = async |workspace: Result<WorkspaceId, WorkspaceRejection>| -> Response {
        match workspace {
            Ok(name) => name.0.into_response(),
            Err(error @ WorkspaceRejection::Missing(_)) => {
                (StatusCode::NOT_FOUND, Json(error.body_text())).into_response()
            }
            Err(error) => error.into_response(),
        }
    };
    let served = serve(Router::new().route("/", get(handler)).with_state(http)).await;
    assert_eq!(fetch(served.addr, "/", &[]).await.status, 404);
    assert_eq!(fetch(served.addr, "/", &[("x-workspace-id", "")]).await.status, 400);
}

#[tokio::test]
async fn the_cache_itself() {
    let http = with(Workspace::header("x-workspace-id"));
    let handler = async |cache: CacheHandle, greeting: axum::extract::State<&'static str>| {
        let calls = cache.get_or_compute("calls", "1", async || Ok::<_, ()>(1)).await;
        format!("{} {}", greeting.0, calls.expect("computed"))
    };
    let state = AppState { http: http.clone(), greeting: "hello" };
    let served = serve(Router::new().route("/", get(handler)).with_state(state)).await;
    assert_eq!(fetch(served.addr, "/", &[]).await.text(), "hello 1");
    assert_eq!(http.cache().stats().namespaces["calls"].computes, 1);
}

/// Says whether it was asked to skip the cache, and why it was called.
async fn skips(skip: SkipCache, status: CacheStatus) -> String {
    let SkipCache(skip) = skip;
    assert!(skip || !status.is_skipped());
    let [forwarded, bypass] = [status.forwarded(), status.bypass()];
    format!("{skip} {} {}", forwarded.unwrap_or("-"), bypass.unwrap_or("-"))
}

fn skippable(http: &HttpCache) -> Router {
    Router::new()
        .route("/cached", get(skips).post(skips).layer(cache_endpoint(http, minutes(5))))
        .route("/plain", post(skips).get(skips))
        .with_state(http.clone())
}

#[tokio::test]
async fn to_skip_the_cache_has_to_be_permitted() {
    for (permitted, rule) in [
        (false, None),
        (true, Some(SkipRule::query("fresh").or_header("x-fresh"))),
        (false, Some(SkipRule::query("fresh").or_header("x-fresh").only_if(|_| false))),
    ] {
        let builder = HttpCache::builder(memory_cache());
        let http = match rule {
            Some(rule) => builder.allow_skip(rule).build(),
            None => builder.build(),
        };
        let served = serve(skippable(&http)).await;
        let ask = async |path: &str, lines: &[(&str, &str)]| {
            let response = fetch(served.addr, path, lines).await;
            (response.text(), response.cache_status())
        };
        let stored = ask("/cached", &[]).await;
        assert_eq!(stored, said("false uri-miss -", "fwd=uri-miss; stored"));
        let by_header = ask("/cached", &[("x-fresh", "1")]).await;
        let by_query = ask("/cached?fresh", &[]).await;
        if permitted {
            let skipped = said("true bypass skip-requested", "fwd=bypass; detail=skip-requested");
            assert_eq!((&by_header, &by_query), (&skipped, &skipped));
            // Nothing of that was stored.
            assert_eq!(ask("/cached?fresh", &[]).await, skipped);
        } else {
            assert_eq!(by_header, said("false uri-miss -", "hit"));
            assert_eq!(by_query, said("false uri-miss -", "fwd=uri-miss; stored"));
        }
        assert_eq!(ask("/cached", &[]).await, said("false uri-miss -", "hit"));
        assert_eq!(ask("/cached", &[("x-fresh", "0")]).await.1, "cache-tower; hit");
        // No cache around; the handler may keep something itself.
        let plain = ask("/plain?fresh", &[]).await;
        assert_eq!(plain, (format!("{permitted} - -"), String::new()));
        let posted = http_client::request(served.addr, "POST", "/cached?fresh", &[], b"").await;
        assert_eq!(posted.expect("an answer").text(), format!("{permitted} method -"));
    }
}

fn said(text: &str, status: &str) -> (String, String) {
    (text.to_owned(), format!("cache-tower; {status}"))
}

#[tokio::test]
async fn why_a_handler_is_called() {
    let http = with(Workspace::header("x-workspace-id"));
    let served = serve(skippable(&http)).await;
    let ask = async |lines: &[(&str, &str)]| {
        let lines = [&WS1[..], lines].concat();
        fetch(served.addr, "/cached", &lines).await.text()
    };
    assert_eq!(fetch(served.addr, "/cached", &[]).await.text(), "false bypass workspace");
    assert_eq!(ask(&[("cache-control", "no-store")]).await, "false bypass no-store");
    assert_eq!(ask(&[]).await, "false uri-miss -");
    assert_eq!(ask(&[("cache-control", "no-cache")]).await, "false request -");
    let head = http_client::request(served.addr, "HEAD", "/cached?other", &WS1, b"").await;
    assert_eq!(head.expect("an answer").status, 200);
}

/// A POST that asked to skip the cache was stored all the same, for later GETs.
#[tokio::test]
async fn what_skips_the_cache_is_not_stored_by_post_either() {
    let posted = async || ([("cache-control", "max-age=60"), ("content-location", "/a")], "posted");
    for (rule, told) in [
        (None, "cache-tower; hit"),
        (Some(SkipRule::header("x-fresh")), "cache-tower; fwd=uri-miss; stored"),
    ] {
        let builder = HttpCache::builder(memory_cache()).store_posts(true);
        let http = match rule {
            Some(rule) => builder.allow_skip(rule).build(),
            None => builder.build(),
        };
        let layer = cache_endpoint(&http, minutes(5));
        let app = Router::new().route("/a", get(async || "got").post(posted).layer(layer));
        let served = serve(app).await;
        let fresh = [("x-fresh", "1")];
        let response = http_client::request(served.addr, "POST", "/a", &fresh, b"").await;
        assert_eq!(response.expect("an answer").text(), "posted");
        let background = http.cache().background().clone();
        let idle = move || background.running() == 0;
        cache_tests::eventually(std::time::Duration::from_secs(20), "it is written", idle).await;
        assert_eq!(fetch(served.addr, "/a", &[]).await.cache_status(), told);
    }
}
