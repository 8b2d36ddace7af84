//! The routes and what they answer.

use std::net::SocketAddr;

use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{FromRef, Path, Query, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use cache_axum::{cache_endpoint, invalidate_cache, rate_limit};
use cache_core::{Cache, minutes};
use cache_tower::{CacheLayer, HttpCache};
use http::StatusCode;
use http::header::{CACHE_CONTROL, VARY};
use serde::{Deserialize, Serialize};

use crate::campaigns::{self, Campaign, Change};
use crate::db::Db;
use crate::overview;
use crate::problem::Problem;
use crate::stats::campaign_stats;
use crate::workspace::{self, WorkspaceId};

/// What the handlers share.
#[derive(Clone, Debug)]
struct App {
    db: Db,
    cache: Cache,
    http: HttpCache,
}

/// For the extractors of `cache-axum`.
impl FromRef<App> for HttpCache {
    fn from_ref(app: &App) -> Self {
        app.http.clone()
    }
}

/// The service itself: what customers ask for.
pub(crate) fn router(db: Db, http: &HttpCache) -> Router {
    Router::new()
        .route("/overview", get(overview))
        .route("/campaigns", get(list))
        .route("/campaigns/{id}", get(find))
        .route("/campaigns/{id}/stats", get(stats).layer(cache_endpoint(http, minutes(5))))
        .route(
            "/campaigns/{id}",
            // The first is the outermost; the limit is of each workspace, over all instances.
            post(update).layer((
                rate_limit(http, "updates", 600, minutes(1)),
                invalidate_cache(http, "{workspace_id}:campaigns:*"),
            )),
        )
        .fallback(async || Problem::not_found("there is no such path"))
        // Everything else: what the handlers' `Cache-Control` allows.
        .layer(CacheLayer::new(http))
        .with_state(App { db, cache: http.cache().clone(), http: http.clone() })
}

/// How to try the service.
pub(crate) fn guide(address: SocketAddr) -> String {
    format!(
        "\
A campaign service: workspaces ws1 to ws5, campaigns 1 to 600 in each.

  curl -i -H 'X-Workspace-ID: ws1' 'http://{address}/campaigns?page=2&limit=5'
  curl -i -H 'X-Workspace-ID: ws1' http://{address}/campaigns/42
  curl -i -H 'X-Workspace-ID: ws1' http://{address}/campaigns/42/stats     # slow, once
  curl -i -H 'X-Workspace-ID: ws1' http://{address}/overview               # of all campaigns

Ask twice: `Cache-Status` says what the cache did. An update invalidates what it changes:

  curl -i -H 'X-Workspace-ID: ws1' -H 'Content-Type: application/json' \\
       -d '{{\"name\": \"Autumn launch\", \"budget\": 1200}}' http://{address}/campaigns/42
"
    )
}

/// Which part of a list to show.
#[derive(Debug, Deserialize)]
struct Paging {
    page: Option<u32>,
    limit: Option<u32>,
}

#[derive(Debug, Serialize)]
struct Listing {
    workspace: String,
    page: u32,
    limit: u32,
    total: i64,
    campaigns: Vec<Campaign>,
}

async fn list(
    State(app): State<App>,
    WorkspaceId(workspace): WorkspaceId,
    paging: Result<Query<Paging>, QueryRejection>,
) -> Result<Response, Problem> {
    let Query(paging) = paging?;
    let (page, limit) = (paging.page.unwrap_or(1), paging.limit.unwrap_or(20));
    if page == 0 || !(1..=100).contains(&limit) {
        return Err(Problem::bad_request("`page` begins at 1, `limit` lies between 1 and 100"));
    }
    let skip = u64::from(page - 1) * u64::from(limit);
    let name = workspace.clone();
    let (campaigns, total) = app.db.run(move |db| campaigns::list(db, &name, skip, limit)).await?;
    let listing = Listing { workspace, page, limit, total, campaigns };
    Ok(([(CACHE_CONTROL, "max-age=30")], reply(&listing)).into_response())
}

async fn find(
    State(app): State<App>,
    WorkspaceId(workspace): WorkspaceId,
    id: Result<Path<i64>, PathRejection>,
) -> Result<Response, Problem> {
    let Path(id) = id?;
    let found = app.db.run(move |db| campaigns::find(db, &workspace, id)).await?;
    let campaign = found.ok_or_else(unknown)?;
    Ok(([(CACHE_CONTROL, "max-age=60")], reply(&campaign)).into_response())
}

/// Says nothing about how long it may be kept: that is the cache's to decide.
async fn stats(
    State(app): State<App>,
    WorkspaceId(workspace): WorkspaceId,
    id: Result<Path<i64>, PathRejection>,
) -> Result<Response, Problem> {
    let Path(id) = id?;
    let found = app.db.run(move |db| campaign_stats(db, &workspace, id)).await?;
    Ok(reply(&found.ok_or_else(unknown)?))
}

/// A value of our own, cached for longer than the responses that show it.
async fn overview(
    State(app): State<App>,
    WorkspaceId(workspace): WorkspaceId,
) -> Result<Response, Problem> {
    Ok(reply(&overview::of(&app.cache, &app.db, &workspace).await?))
}

async fn update(
    State(app): State<App>,
    WorkspaceId(workspace): WorkspaceId,
    id: Result<Path<i64>, PathRejection>,
    change: Result<Json<Change>, JsonRejection>,
) -> Result<Response, Problem> {
    let (Path(id), Json(change)) = (id?, change?);
    change.check().map_err(Problem::unprocessable)?;
    let name = workspace.clone();
    let found = app.db.run(move |db| campaigns::update(db, &name, id, &change)).await?;
    let campaign = found.ok_or_else(unknown)?;
    // The pattern at the route covers what lies under `/campaigns`; the overview does not.
    overview::forget(&app.cache, &workspace).await?;
    Ok(reply(&campaign))
}

fn unknown() -> Problem {
    Problem::not_found("this workspace has no such campaign")
}

/// `value` as JSON, marked as the answer for one workspace only, so that
/// caches further down (a browser's, a CDN's) keep workspaces apart as well.
fn reply(value: &impl Serialize) -> Response {
    (StatusCode::OK, [(VARY, workspace::HEADER)], Json(value)).into_response()
}
