//! Which requests share an entry of a router, and which never do.

use axum::Router;
use axum::extract::{OriginalUri, Path, Request};
use axum::middleware::Next;
use axum::routing::get;
use cache_axum::cache_endpoint;
use cache_core::minutes;
use cache_tower::{CacheLayer, HttpCache, Workspace};
use http::header::CACHE_CONTROL;

use super::{Calls, call, in_memory, request, with_workspace};

/// Answers with where it is, and which call it is.
fn team(name: &'static str, calls: &Calls) -> axum::routing::MethodRouter {
    let calls = calls.clone();
    get(async move || ([(CACHE_CONTROL, "max-age=60")], format!("{name} {}", calls.next())))
}

/// A router that keeps what it answers, by one layer or the other.
type Cached = fn(&HttpCache, Router) -> Router;

fn by_endpoint(http: &HttpCache, router: Router) -> Router {
    router.layer(cache_endpoint(http, minutes(5)))
}

fn by_layer(http: &HttpCache, router: Router) -> Router {
    router.layer(CacheLayer::new(http))
}

/// Each path has a response of its own, the same one twice.
async fn assert_apart(app: &Router, paths: &[&str]) {
    let mut seen: Vec<String> = Vec::new();
    for path in paths {
        let first = super::get(app, "ws1", path).await;
        assert!(first.status.is_success() && !first.is_hit(), "{path}: {first:?}");
        let again = super::get(app, "ws1", path).await;
        assert!(again.is_hit() && again.body == first.body, "{path}: {again:?}");
        assert!(!seen.contains(&first.text().to_owned()), "{path} shares {}", first.text());
        seen.push(first.text().to_owned());
    }
}

/// Under `nest` the inner layer's own URI is `/stats` for both.
#[tokio::test]
async fn nested_routers_with_equal_inner_paths_never_share() {
    for cached in [by_endpoint as Cached, by_layer] {
        let (http, calls) = (in_memory(), Calls::default());
        let inner = |name| cached(&http, Router::new().route("/stats", team(name, &calls)));
        let app = Router::new()
            .nest("/a", inner("a"))
            .nest("/b", inner("b"))
            .nest("/deep/a", Router::new().nest("/er", inner("deeper")))
            .nest_service("/service", inner("service"))
            .merge(inner("merged"));
        let paths = ["/a/stats", "/b/stats", "/deep/a/er/stats", "/service/stats", "/stats"];
        assert_apart(&app, &paths).await;
    }
}

#[tokio::test]
async fn nested_parameters_are_part_of_the_key() {
    let http = in_memory();
    let show = async |Path((team, id)): Path<(String, String)>, OriginalUri(uri): OriginalUri| {
        format!("{team} {id} {uri}")
    };
    let inner =
        Router::new().route("/items/{id}", get(show).layer(cache_endpoint(&http, minutes(5))));
    let app = Router::new().nest("/teams/{team}", inner);
    let paths = [
        "/teams/a/items/1",
        "/teams/b/items/1",
        "/teams/a/items/2",
        "/teams/a/items/1?page=2",
        "/teams/a/items/1?",
        "/teams/A/items/1",
        "/teams/a/items/%31",
        "/teams/a:items/items/1",
        "/teams/a%3Aitems/items/1",
        "/teams/*/items/*",
        "/teams/%2A/items/%2A",
        "/teams/../items/1",
        "/teams/%2E%2E/items/1",
        "/teams/%C3%A9/items/1",
        "/teams/e%CC%81/items/1",
        "/teams/a%2Fb/items/1",
        "/teams/a/items/~1",
    ];
    assert_apart(&app, &paths).await;
}

/// A redirect or a link that a handler builds from these must not reach another host's visitors.
#[tokio::test]
async fn hosts_and_what_proxies_say_of_them_are_part_of_the_key() {
    let (http, calls) = (in_memory(), Calls::default());
    let app = by_endpoint(&http, Router::new().route("/", team("x", &calls)));
    let workspace = ("x-workspace-id", "ws1");
    for (number, name, value) in [
        (1, "host", "a.test"),
        (2, "host", "b.test"),
        (3, "host", "a.test:8080"),
        (4, "x-forwarded-host", "a.test"),
        (5, "x-forwarded-host", "b.test"),
        (6, "x-forwarded-proto", "https"),
        (7, "x-forwarded-proto", "http"),
        (1, "host", "A.test"),
    ] {
        let answer = call(&app, request("GET", "/", &[workspace, (name, value)])).await;
        assert_eq!(answer.text(), format!("x {number}"), "{name}: {value}");
    }
}

/// The tenant that authentication has found, not the one a header claims.
#[tokio::test]
async fn the_workspace_may_come_from_an_earlier_layer() {
    #[derive(Clone)]
    struct Tenant(String);
    let http = with_workspace(Workspace::from_extension(|tenant: &Tenant| &tenant.0));
    let calls = Calls::default();
    let authenticate = async |mut request: Request, next: Next| {
        let token = request.headers().get("x-token").and_then(|token| token.to_str().ok());
        if let Some(tenant) = token.map(|token| Tenant(format!("tenant of {token}"))) {
            request.extensions_mut().insert(tenant);
        }
        next.run(request).await
    };
    let app = by_endpoint(&http, Router::new().route("/", team("x", &calls)))
        .layer(axum::middleware::from_fn(authenticate));
    let ask = async |headers: &[(&str, &str)]| {
        let answer = call(&app, request("GET", "/", headers)).await;
        (answer.text().to_owned(), answer.is_hit())
    };
    assert_eq!(ask(&[("x-token", "1")]).await, ("x 1".into(), false));
    assert_eq!(ask(&[("x-token", "2")]).await, ("x 2".into(), false));
    assert_eq!(ask(&[("x-token", "1"), ("x-workspace-id", "2")]).await, ("x 1".into(), true));
    let stranger = call(&app, request("GET", "/", &[("x-workspace-id", "tenant of 1")])).await;
    assert_eq!(stranger.text(), "x 3");
    assert_eq!(stranger.cache_status(), "cache-tower; fwd=bypass; detail=workspace");
}

/// Names of workspaces that would mean something in a key, a pattern or a path.
pub(super) const HOSTILE: [&str; 14] = [
    "ws1",
    "ws12",
    "ws",
    "*",
    "ws*",
    "ws1:campaigns",
    "%2A",
    "%2a",
    "..",
    "-",
    "{workspace_id}",
    "[a-z]",
    "?",
    "ws1\\",
];

#[tokio::test]
async fn workspaces_never_share_whatever_they_are_called() {
    for cached in [by_endpoint as Cached, by_layer] {
        let (http, calls) = (in_memory(), Calls::default());
        let app = cached(&http, Router::new().route("/campaigns", team("x", &calls)));
        for hit in [false, true] {
            for (number, workspace) in (1..).zip(HOSTILE) {
                let answer = super::get(&app, workspace, "/campaigns").await;
                assert_eq!(answer.text(), format!("x {number}"), "{workspace}");
                assert_eq!(answer.is_hit(), hit, "{workspace}");
            }
        }
    }
}

/// Bytes that are no text name no workspace.
#[tokio::test]
async fn an_unreadable_workspace_bypasses() {
    let (http, calls) = (in_memory(), Calls::default());
    let app = by_endpoint(&http, Router::new().route("/", team("x", &calls)));
    for number in 1..=2 {
        let mut asked = request("GET", "/", &[]);
        let name = http::HeaderValue::from_bytes("ö".as_bytes()).unwrap();
        asked.headers_mut().insert("x-workspace-id", name);
        let answer = call(&app, asked).await;
        assert_eq!(answer.text(), format!("x {number}"));
        assert_eq!(answer.cache_status(), "cache-tower; fwd=bypass; detail=workspace");
    }
}
