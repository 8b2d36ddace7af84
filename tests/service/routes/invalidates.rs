//! What is said of one route in the line of `invalidate_cache`.

use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::{get, post};
use axum::{Extension, Router};
use cache_axum::{RoutePolicy, cache_endpoint, invalidate_cache, invalidate_tag};
use cache_core::minutes;
use cache_tower::{CacheLayer, HttpCache, InvalidateLayer};

use super::options::counted;
use super::{App, Calls, HIT, Lines, MISS, everywhere, in_memory};

const OURS: Lines<'_> = &[("x-workspace-id", "ws1")];
const THEIRS: Lines<'_> = &[("x-workspace-id", "ws2")];

/// Cached routes, and one that changes things: `/campaigns/{id}`.
async fn app(http: &cache_tower::HttpCache, layer: InvalidateLayer) -> App {
    let calls = Calls::default();
    let endpoint = || cache_endpoint(http, minutes(5)).grace(minutes(5));
    let status = async |Path(id): Path<String>, headers: axum::http::HeaderMap| {
        let status = headers.get("x-status").map(|status| status.to_str().unwrap().to_owned());
        let status = status.map_or(StatusCode::OK, |status| status.parse().unwrap());
        (status, Extension(Changed(id != "same"))).into_response()
    };
    let router = Router::new()
        .route("/campaigns", counted(&calls).layer(endpoint()))
        .route("/campaigns/{id}/stats", counted(&calls).layer(endpoint().tag("campaign:{id}")))
        .route(
            "/reports/{id}",
            counted(&calls).layer(endpoint().tag_in_workspace("report:{id}").namespace("reports")),
        )
        .route("/campaigns/{id}", post(status).layer(layer));
    App::start(http, router).await
}

#[derive(Clone)]
struct Changed(bool);

const PATHS: [&str; 4] = ["/campaigns", "/campaigns/42/stats", "/reports/42", "/reports/43"];

/// Which of the paths have gone after a POST, for us and for them.
async fn gone(app: &App, path: &str, lines: Lines<'_>) -> [[bool; 4]; 2] {
    for workspace in [OURS, THEIRS] {
        for path in PATHS {
            app.get(path, workspace).await;
            app.get(path, workspace).await;
            assert_eq!(app.told(path, workspace).await, HIT, "{path}");
        }
    }
    app.send("POST", path, &[OURS, lines].concat()).await;
    let mut gone = [[false; 4]; 2];
    for (workspace, gone) in [OURS, THEIRS].into_iter().zip(&mut gone) {
        for (path, gone) in PATHS.into_iter().zip(gone) {
            *gone = app.told(path, workspace).await != HIT;
        }
    }
    gone
}

const NONE: [bool; 4] = [false; 4];

#[tokio::test]
async fn several_patterns_and_tags_go_at_once() {
    for http in everywhere(|builder| builder) {
        for (layer, ours, theirs) in [
            (
                invalidate_cache(&http, "{workspace_id}:campaigns:*"),
                [true, true, false, false],
                NONE,
            ),
            (
                invalidate_cache(&http, "{workspace_id}:campaigns:{id}:*")
                    .and("{workspace_id}:reports:{id}"),
                [false, true, true, false],
                NONE,
            ),
            (
                invalidate_tag(&http, "campaign:{id}"),
                [false, true, false, false],
                [false, true, false, false],
            ),
            (
                invalidate_tag(&http, "campaign:{id}").tag_in_workspace("report:{id}"),
                [false, true, true, false],
                [false, true, false, false],
            ),
            (
                invalidate_cache(&http, "{workspace_id}:reports:*")
                    .tag_in_workspace("campaign:{id}"),
                [false, false, true, true],
                NONE,
            ),
        ] {
            let app = app(&http, layer.clone()).await;
            assert_eq!(gone(&app, "/campaigns/42", &[]).await, [ours, theirs], "{layer:?}");
        }
    }
}

/// A hole without a value leaves out what it is in, and only that.
#[tokio::test]
async fn a_hole_without_a_value_leaves_the_others() {
    let http = in_memory(|builder| builder);
    let layer = invalidate_cache(&http, "{workspace_id}:campaigns:{ids}")
        .and("{workspace_id}:reports:{id}")
        .tag("campaign:{ids}")
        .tag_in_workspace("{team}");
    let app = app(&http, layer).await;
    let ours = [false, false, true, false];
    assert_eq!(gone(&app, "/campaigns/42", &[]).await, [ours, NONE]);
    // Values are literals.
    for path in ["/campaigns/*", "/campaigns/%2A", "/campaigns/4%3F", "/campaigns/%7Bid%7D"] {
        assert_eq!(gone(&app, path, &[]).await, [NONE, NONE], "{path}");
    }
}

#[tokio::test]
async fn softly_they_are_stale_and_fetched_anew() {
    for http in everywhere(|builder| builder) {
        let layer = invalidate_cache(&http, "{workspace_id}:campaigns:*")
            .tag_in_workspace("report:{id}")
            .soft();
        let app = app(&http, layer).await;
        for path in PATHS {
            app.get(path, OURS).await;
            assert_eq!(app.told(path, OURS).await, HIT);
        }
        app.send("POST", "/campaigns/42", OURS).await;
        let stale = "cache-tower; hit; detail=stale-while-revalidate";
        for (path, told) in PATHS.into_iter().zip([stale, stale, stale, HIT]) {
            assert_eq!(app.told(path, OURS).await, told, "{path}");
            assert_eq!(app.told(path, OURS).await, HIT, "{path}: made anew meanwhile");
        }
    }
}

type Say = fn(InvalidateLayer) -> InvalidateLayer;

#[tokio::test]
async fn only_after_the_responses_that_are_said() {
    let http = in_memory(|builder| builder);
    let pattern = "{workspace_id}:campaigns:*";
    let all = [true, true, false, false];
    let cases: [(Say, &str, &str, bool); 9] = [
        (|layer| layer, "/campaigns/42", "200", true),
        (|layer| layer, "/campaigns/42", "302", true),
        (|layer| layer, "/campaigns/42", "409", false),
        (|layer| layer, "/campaigns/42", "500", false),
        (|layer| layer.on_statuses([StatusCode::ACCEPTED]), "/campaigns/42", "200", false),
        (|layer| layer.on_statuses([StatusCode::ACCEPTED]), "/campaigns/42", "202", true),
        (|layer| layer.on_statuses([StatusCode::CONFLICT]), "/campaigns/42", "409", true),
        (only_changes, "/campaigns/same", "200", false),
        (only_changes, "/campaigns/42", "200", true),
    ];
    for (n, (say, path, status, goes)) in cases.into_iter().enumerate() {
        let app = app(&http, say(invalidate_cache(&http, pattern))).await;
        let ours = if goes { all } else { NONE };
        assert_eq!(gone(&app, path, &[("x-status", status)]).await, [ours, NONE], "{n}");
    }
}

fn only_changes(layer: InvalidateLayer) -> InvalidateLayer {
    layer.when(|response| response.extensions.get::<Changed>().is_some_and(|changed| changed.0))
}

/// GET changes nothing, whatever stands around it.
#[tokio::test]
async fn safe_requests_invalidate_nothing() {
    let http = in_memory(|builder| builder);
    let calls = Calls::default();
    let router = Router::new()
        .route("/a", counted(&calls).layer(cache_endpoint(&http, minutes(5))))
        .route("/b", get(async || "b"))
        .layer(invalidate_cache(&http, "{workspace_id}:a"));
    let app = App::start(&http, router).await;
    assert_eq!(app.told("/a", OURS).await, MISS);
    for method in ["GET", "HEAD", "OPTIONS", "POST"] {
        app.send(method, "/b", OURS).await;
        // A POST that the route does not take (405) has changed nothing.
        assert_eq!(app.told("/a", OURS).await, HIT, "{method}");
    }
}

/// A process that only changes things has no layer that fills the namespaces of the table: they
/// were left out of what it invalidated.
#[tokio::test]
async fn a_writer_without_layers_reaches_the_namespaces_of_the_table() {
    for cache in [crate::setup::memory_cache(), crate::setup::redis_cache()] {
        let http = || {
            let reports = RoutePolicy::new(minutes(5)).namespace("reports");
            HttpCache::builder(cache.clone()).route("/reports/{id}", reports).build()
        };
        let (one, other) = (http(), http());
        let calls = Calls::default();
        let reader =
            Router::new().route("/reports/{id}", counted(&calls)).layer(CacheLayer::new(&one));
        let layer = invalidate_cache(&other, "{workspace_id}:reports:*");
        let writer = Router::new().route("/reports", post(async || ()).layer(layer));
        let (reader, writer) = (App::start(&one, reader).await, App::start(&other, writer).await);
        assert_eq!(reader.told("/reports/1", OURS).await, MISS);
        assert_eq!(reader.told("/reports/1", OURS).await, HIT);
        writer.send("POST", "/reports", OURS).await;
        assert_eq!(reader.told("/reports/1", OURS).await, MISS);
    }
}
