//! What `invalidate_cache` covers, when it runs, and when it does not.

use axum::Router;
use axum::extract::Path;
use axum::routing::{get, post};
use cache_axum::{cache_endpoint, invalidate_cache};
use cache_core::minutes;
use cache_tower::{CacheLayer, HttpCache, Workspace};
use http::StatusCode;
use http::header::{CACHE_CONTROL, VARY};

use super::keys::HOSTILE;
use super::{Calls, call, in_memory, request, with_workspace};
use crate::setup::MISS_STORED;

/// Every GET is kept for a minute; updates of `/campaigns/{id}` invalidate `pattern`.
fn app(http: &HttpCache, pattern: &str) -> Router {
    let update = async || "updated";
    Router::new()
        .route(
            "/campaigns/{id}",
            get(page).merge(post(update).layer(invalidate_cache(http, pattern))),
        )
        .fallback(page)
        .layer(CacheLayer::new(http))
}

async fn page() -> ([(http::HeaderName, &'static str); 2], &'static str) {
    ([(CACHE_CONTROL, "max-age=60"), (VARY, "accept-language")], "page")
}

/// Fills all, updates one, and tells which of all are gone.
async fn gone_after(app: &Router, update: &str, paths: &[&str]) -> Vec<String> {
    let languages = ["de", "en"];
    let requests =
        || paths.iter().flat_map(move |path| languages.map(move |language| (*path, language)));
    let ask = async |path: &str, language: &str| {
        let headers = [("x-workspace-id", "ws1"), ("accept-language", language)];
        call(app, request("GET", path, &headers)).await.is_hit()
    };
    for (path, language) in requests() {
        ask(path, language).await;
        assert!(ask(path, language).await, "{path}");
    }
    let updated = super::post(app, "ws1", update).await;
    assert_eq!(updated.status, StatusCode::OK);
    let mut gone = Vec::new();
    for path in paths {
        let hits = [ask(path, "de").await, ask(path, "en").await];
        assert_eq!(hits[0], hits[1], "{path}: all variants or none");
        if !hits[0] {
            gone.push((*path).to_owned());
        }
    }
    gone
}

const PATHS: [&str; 16] = [
    "/campaigns",
    "/campaigns?page=2",
    "/campaigns/",
    "/campaigns/42",
    "/campaigns/42?full",
    "/campaigns/42/stats",
    "/campaigns/42/stats?by=day",
    "/campaigns/43",
    "/campaigns/43/stats",
    "/campaigns/stats",
    "/campaigns-archive",
    "/campaigns-archive/42",
    "/campaign",
    "/",
    "/other/campaigns/42",
    "/other",
];

#[tokio::test]
async fn a_pattern_covers_what_it_says_and_no_neighbours() {
    for (pattern, covered) in [
        ("{workspace_id}:campaigns:*", &PATHS[..10]),
        ("{workspace_id}:campaigns:{id}:*", &PATHS[3..7]),
        ("{workspace_id}:campaigns:{id}", &PATHS[3..5]),
        ("{workspace_id}:campaigns:{id}:stats", &PATHS[5..7]),
        ("{workspace_id}:campaigns", &PATHS[..2]),
        (
            "{workspace_id}:campaigns:*:stats",
            &["/campaigns/42/stats", "/campaigns/42/stats?by=day", "/campaigns/43/stats"],
        ),
        ("{workspace_id}:other:*", &PATHS[14..]),
        ("{workspace_id}:nothing:*", &[]),
        ("{workspace_id}:*", &PATHS[..]),
    ] {
        let http = in_memory();
        let app = app(&http, pattern);
        let mut expected: Vec<_> = covered.iter().map(|path| (*path).to_owned()).collect();
        // Whatever the pattern, the updated URI itself goes (RFC 9111 §4.4).
        if !expected.iter().any(|path| path == "/campaigns/42") {
            expected.push("/campaigns/42".to_owned());
        }
        let mut gone = gone_after(&app, "/campaigns/42", &PATHS).await;
        gone.sort();
        expected.sort();
        assert_eq!(gone, expected, "{pattern}");
    }
}

/// Ids are literals, whatever they hold: each update covers its own campaign only.
#[tokio::test]
async fn hostile_ids_are_literals() {
    let ids = [
        "42",
        "4",
        "424",
        "*",
        "%2A%2A",
        "?",
        "%3F",
        "4%3F",
        "a:b",
        "a",
        "%3A",
        "..",
        "%2E%2E%2E",
        "%C3%A9",
        "%5B0-9%5D",
        "%5C",
        "%7Bid%7D",
        "%25",
        "%2525",
        "~",
        "-",
        "%20",
        "%00",
        "%FF",
    ];
    let http = in_memory();
    let app = app(&http, "{workspace_id}:campaigns:{id}:stats");
    // `?` alone begins a query
    let path = |id: &&str| format!("/campaigns/{}/stats", if *id == "?" { "%3f" } else { id });
    let paths: Vec<String> = ids.iter().map(path).collect();
    for updated in ids {
        for path in &paths {
            super::get(&app, "ws1", path).await;
        }
        let update = format!("/campaigns/{}", if updated == "?" { "%3f" } else { updated });
        assert!(super::post(&app, "ws1", &update).await.status.is_success(), "{update}");
        for path in &paths {
            let decoded = |text: &str| cache_tower::key_segment(text).into_owned();
            // `%3f` and `%3F` are two URIs of one id.
            let own = decoded(path) == decoded(&format!("{update}/stats"));
            let hit = super::get(&app, "ws1", path).await.is_hit();
            assert_eq!(hit, !own, "{path} after {update}");
        }
    }
}

#[tokio::test]
async fn a_workspace_invalidates_its_own_whatever_it_is_called() {
    let http = in_memory();
    let app = app(&http, "{workspace_id}:campaigns:*");
    for updating in HOSTILE {
        for workspace in HOSTILE {
            super::get(&app, workspace, "/campaigns/7").await;
            super::get(&app, workspace, "/campaigns").await;
        }
        super::post(&app, updating, "/campaigns/42").await;
        for workspace in HOSTILE {
            for path in ["/campaigns/7", "/campaigns"] {
                let hit = super::get(&app, workspace, path).await.is_hit();
                assert_eq!(hit, workspace != updating, "{path} of {workspace} after {updating}");
            }
        }
    }
}

#[tokio::test]
async fn a_missing_workspace_invalidates_nothing() {
    let http = in_memory();
    let app = app(&http, "{workspace_id}:campaigns:*");
    for workspace in ["ws1", "ws2"] {
        super::get(&app, workspace, "/campaigns/7").await;
    }
    let unclear: [&[(&str, &str)]; 4] = [
        &[],
        &[("x-workspace-id", "")],
        &[("x-workspace-id", "ws1"), ("x-workspace-id", "ws2")],
        &[("x-workspace-id", "ws1,ws2")],
    ];
    for headers in unclear {
        let updated = call(&app, request("POST", "/campaigns/7", headers)).await;
        assert_eq!(updated.text(), "updated");
        for workspace in ["ws1", "ws2"] {
            let hit = super::get(&app, workspace, "/campaigns/7").await.is_hit();
            assert!(hit, "{workspace} after {headers:?}");
        }
    }
}

/// Where a workspace is optional, a request without one changes what belongs to nobody.
#[tokio::test]
async fn the_shared_partition_is_a_workspace_of_its_own() {
    let http = with_workspace(Workspace::optional_header("x-workspace-id"));
    let app = app(&http, "{workspace_id}:campaigns:*");
    let shared = async || call(&app, request("GET", "/campaigns", &[])).await.is_hit();
    for workspace in ["ws1", "-"] {
        super::get(&app, workspace, "/campaigns").await;
    }
    shared().await;
    call(&app, request("POST", "/campaigns/42", &[])).await;
    assert!(!shared().await);
    for workspace in ["ws1", "-"] {
        assert!(super::get(&app, workspace, "/campaigns").await.is_hit(), "{workspace}");
    }
    super::post(&app, "-", "/campaigns/42").await;
    assert!(shared().await);
    assert!(!super::get(&app, "-", "/campaigns").await.is_hit());
}

#[tokio::test]
async fn only_success_and_redirects_invalidate() {
    let http = in_memory();
    let update = async |Path(status): Path<u16>| StatusCode::from_u16(status).expect("valid");
    let app: Router = Router::new()
        .route("/campaigns", get(page))
        .route(
            "/to/{status}",
            post(update).layer(invalidate_cache(&http, "{workspace_id}:campaigns:*")),
        )
        .layer(CacheLayer::new(&http));
    for status in [200, 201, 202, 204, 299, 301, 302, 303, 307, 308, 400, 401, 404, 409, 422, 500] {
        super::get(&app, "ws1", "/campaigns").await;
        assert!(super::get(&app, "ws1", "/campaigns").await.is_hit());
        super::post(&app, "ws1", &format!("/to/{status}")).await;
        let hit = super::get(&app, "ws1", "/campaigns").await.is_hit();
        assert_eq!(hit, status >= 400, "{status}");
    }
    // extractors refuse before the handler is reached: nothing has changed
    assert_eq!(super::post(&app, "ws1", "/to/nonsense").await.status, StatusCode::BAD_REQUEST);
    assert!(super::get(&app, "ws1", "/campaigns").await.is_hit());
}

#[tokio::test]
async fn only_unsafe_methods_invalidate() {
    let http = in_memory();
    let touch = axum::routing::any(async || "x");
    let app: Router = Router::new()
        .route("/campaigns", get(page))
        .route("/touch", touch.layer(invalidate_cache(&http, "{workspace_id}:campaigns:*")))
        .layer(CacheLayer::new(&http));
    let workspace = [("x-workspace-id", "ws1")];
    for (method, goes) in [
        ("GET", false),
        ("HEAD", false),
        ("OPTIONS", false),
        ("TRACE", false),
        ("POST", true),
        ("PUT", true),
        ("PATCH", true),
        ("DELETE", true),
        ("PURGE", true),
    ] {
        super::get(&app, "ws1", "/campaigns").await;
        call(&app, request(method, "/touch", &workspace)).await;
        let hit = super::get(&app, "ws1", "/campaigns").await.is_hit();
        assert_eq!(hit, !goes, "{method}");
    }
    // nor does a method that only seems to be another
    let overridden = [workspace[0], ("x-http-method-override", "DELETE")];
    call(&app, request("GET", "/touch", &overridden)).await;
    assert!(super::get(&app, "ws1", "/campaigns").await.is_hit());
}

/// One layer for GET and POST of a route: reading invalidates nothing.
#[tokio::test]
async fn a_get_on_the_same_route_leaves_all_as_it_is() {
    let http = in_memory();
    let both = get(page).post(async || "updated");
    let app: Router = Router::new()
        .route("/campaigns", get(page))
        .route("/campaigns/{id}", both.layer(invalidate_cache(&http, "{workspace_id}:campaigns:*")))
        .layer(CacheLayer::new(&http));
    super::get(&app, "ws1", "/campaigns").await;
    assert_eq!(super::get(&app, "ws1", "/campaigns/42").await.cache_status(), MISS_STORED);
    assert!(super::get(&app, "ws1", "/campaigns/42").await.is_hit());
    assert!(super::get(&app, "ws1", "/campaigns").await.is_hit());
    super::post(&app, "ws1", "/campaigns/42").await;
    assert!(!super::get(&app, "ws1", "/campaigns").await.is_hit());
}

/// A hole that the route does not have is not filled with everything.
#[tokio::test]
async fn a_hole_without_a_value_invalidates_nothing() {
    let http = in_memory();
    let app = app(&http, "{workspace_id}:campaigns:{campaign}:*");
    super::get(&app, "ws1", "/campaigns/7/stats").await;
    super::get(&app, "ws1", "/campaigns").await;
    assert_eq!(super::post(&app, "ws1", "/campaigns/42").await.status, StatusCode::OK);
    assert!(super::get(&app, "ws1", "/campaigns/7/stats").await.is_hit());
    assert!(super::get(&app, "ws1", "/campaigns").await.is_hit());
}

#[test]
fn a_pattern_that_can_not_be_is_refused_when_the_router_is_built() {
    for pattern in ["*", "*:*", "{workspace_id}:camp*", "{workspace_id}:{}", "a{id}", "a:b?"] {
        let built = std::panic::catch_unwind(|| invalidate_cache(&in_memory(), pattern));
        assert!(built.is_err(), "{pattern:?}");
    }
}

/// Parameters and the pattern are those of the whole path, also within a nested router.
#[tokio::test]
async fn patterns_speak_of_the_whole_path_under_nest() {
    let http = in_memory();
    let pattern = "{workspace_id}:teams:{team}:items:{id}:*";
    let inner = Router::new()
        .route("/items/{id}/log", get(page).layer(cache_endpoint(&http, minutes(5))))
        .route("/items/{id}", post(async || "updated").layer(invalidate_cache(&http, pattern)));
    let app = Router::new().nest("/teams/{team}", inner);
    let paths = ["/teams/a/items/1/log", "/teams/b/items/1/log", "/teams/a/items/2/log"];
    for path in paths {
        super::get(&app, "ws1", path).await;
    }
    super::post(&app, "ws1", "/teams/a/items/1").await;
    for (path, hit) in paths.into_iter().zip([false, true, true]) {
        assert_eq!(super::get(&app, "ws1", path).await.is_hit(), hit, "{path}");
    }
}

/// Two patterns on one route, entries of both kinds of layers.
#[tokio::test]
async fn several_patterns_on_one_route_all_run() {
    let (http, calls) = (in_memory(), Calls::default());
    let update = post(async || "updated").layer((
        invalidate_cache(&http, "{workspace_id}:campaigns:*"),
        invalidate_cache(&http, "{workspace_id}:reports:*"),
    ));
    let counted = calls.clone();
    let report = get(async move || counted.next().to_string());
    let app: Router = Router::new()
        .route("/campaigns", get(page))
        .route("/reports/daily", report.layer(cache_endpoint(&http, minutes(5))))
        .route("/update", update)
        .layer(CacheLayer::new(&http));
    for _ in 0..2 {
        super::get(&app, "ws1", "/campaigns").await;
        super::get(&app, "ws1", "/reports/daily").await;
    }
    assert_eq!(calls.count(), 1);
    super::post(&app, "ws1", "/update").await;
    assert!(!super::get(&app, "ws1", "/campaigns").await.is_hit());
    assert_eq!(super::get(&app, "ws1", "/reports/daily").await.text(), "2");
}
