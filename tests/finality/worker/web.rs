//! Rows read and changed by requests to an axum application, one for each namespace: details of
//! campaigns under `cache_endpoint`, reports as their `Cache-Control` allows. `PUT` changes a row,
//! and the layer invalidates its URI; `POST` changes several campaigns, and `invalidate_cache`
//! invalidates the declared pattern.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::header::{CACHE_CONTROL, HOST};
use axum::http::{HeaderMap, Method, Request, Response, StatusCode};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use axum::{Extension, Router};
use cache_axum::{CacheTags, cache_endpoint, invalidate_cache};
use cache_core::{Cache, InvalidationStats, minutes};
use cache_tower::{CacheLayer, HttpCache, Workspace};
use http_body_util::BodyExt;
use tower::ServiceExt;

use super::operations::Seen;
use super::source::Source;
use super::values::{self, kind, namespace, tag_name, workspace};
use crate::history::{Answer, Nanos};
use crate::layout::{NAMESPACES, Row, Scope, TEMPLATE};

const WORKSPACE: &str = "x-workspace-id";

/// The response caches of a process, by namespace.
#[derive(Debug, Clone)]
pub(super) struct Sites(Vec<HttpCache>);

/// One task's application, over the caches that all tasks of its process share.
#[derive(Debug)]
pub(super) struct Web {
    cache: Cache,
    apps: Vec<Router>,
}

/// In the extensions of a read: whether it came as far as the handler.
#[derive(Debug, Clone, Default)]
struct Computed(Arc<AtomicBool>);

/// In the extensions of a change: what it is about, and when it was made.
#[derive(Debug, Clone)]
struct Change {
    rows: Arc<[Row]>,
    made: Arc<OnceLock<Nanos>>,
}

#[derive(Clone)]
struct App {
    source: Arc<Source>,
    namespace: u16,
}

impl Sites {
    pub(super) fn new(cache: &Cache) -> Self {
        let site = |number| {
            HttpCache::builder(cache.clone())
                .namespace(namespace(number))
                .workspace(Workspace::header(WORKSPACE))
                .build()
        };
        Self((0..NAMESPACES).map(site).collect())
    }
}

impl Web {
    pub(super) fn new(cache: &Cache, sites: &Sites, source: &Arc<Source>) -> Self {
        let app = |(number, http)| app(http, App { source: Arc::clone(source), namespace: number });
        Self { cache: cache.clone(), apps: (0..NAMESPACES).zip(&sites.0).map(app).collect() }
    }

    pub(super) async fn read(&self, row: Row) -> Seen {
        let computed = Computed::default();
        let response = self.send(request(Method::GET, row, computed.clone())).await;
        assert_eq!(response.status(), StatusCode::OK);
        let body = response.into_body().collect().await.expect("a whole body").to_bytes();
        let text = std::str::from_utf8(&body).expect("text");
        let (of, version) = text.split_once(' ').expect("two numbers");
        assert_eq!(of, row.to_string(), "another row's value");
        let version = version.parse().expect("a number");
        Seen { version, hit: !computed.0.load(Ordering::Acquire) }
    }

    /// Whether the scope is invalidated by a request.
    pub(super) fn changes_by_request(scope: Scope) -> bool {
        matches!(scope, Scope::Key(_) | Scope::Pattern(..))
    }

    /// Changes the rows by a request that invalidates the scope, through `row`'s URI; when the
    /// invalidation began, and what came of it.
    pub(super) async fn change(&self, scope: Scope, rows: &[Row], row: Row) -> (Nanos, Answer) {
        let method = if matches!(scope, Scope::Pattern(..)) { Method::POST } else { Method::PUT };
        let change = Change { rows: rows.into(), made: Arc::default() };
        let before = self.cache.stats().invalidations;
        let response = self.send(request(method, row, change.clone())).await;
        assert_eq!(response.status(), StatusCode::NO_CONTENT);
        let made = *change.made.get().expect("the handler has answered");
        (made, answer(before, self.cache.stats().invalidations))
    }

    async fn send(&self, (namespace, request): (u16, Request<Body>)) -> Response<Body> {
        let app = self.apps[usize::from(namespace)].clone();
        app.oneshot(request).await.unwrap_or_else(|never| match never {})
    }
}

/// Responses do not say what came of the invalidation; the counters of the process do. What came
/// of another's at the same time may make it count as less than it was, never as more.
fn answer(before: InvalidationStats, after: InvalidationStats) -> Answer {
    if after.failed > before.failed {
        Answer::Failed
    } else if after.queued > before.queued {
        Answer::Queued
    } else {
        Answer::Complete
    }
}

fn request(
    method: Method,
    row: Row,
    extension: impl Clone + Send + Sync + 'static,
) -> (u16, Request<Body>) {
    let request = Request::builder()
        .method(method)
        .uri(format!("/{}/{}", kind(row), row.id()))
        .header(HOST, "finality.example")
        .header(WORKSPACE, workspace(row.workspace()))
        .extension(extension)
        .body(Body::empty());
    (row.namespace(), request.expect("a valid request"))
}

fn app(http: &HttpCache, app: App) -> Router {
    let campaign = get(campaign).layer(cache_endpoint(http, minutes(10)));
    let campaigns = post(change).layer(invalidate_cache(http, TEMPLATE));
    Router::new()
        .route(&format!("/{}/{{id}}", values::CAMPAIGNS), campaign.merge(campaigns).put(change))
        .route(&format!("/{}/{{id}}", values::REPORTS), get(report).put(change))
        .layer(CacheLayer::new(http))
        .with_state(app)
}

async fn campaign(
    State(app): State<App>,
    Path(id): Path<u16>,
    Extension(computed): Extension<Computed>,
    headers: HeaderMap,
) -> Response<Body> {
    computed.0.store(true, Ordering::Release);
    let workspace_of = |number: &u16| headers[WORKSPACE] == *workspace(*number);
    let workspace = (0..crate::layout::WORKSPACES).find(workspace_of).expect("one of ours");
    let row = Row::new(app.namespace, workspace, id);
    let version = app.source.version(row).await;
    let mut response = format!("{row} {version}").into_response();
    if let Some(tag) = row.tag() {
        response.extensions_mut().insert(CacheTags::new([tag_name(tag)]));
    }
    response
}

async fn report(
    app: State<App>,
    id: Path<u16>,
    computed: Extension<Computed>,
    headers: HeaderMap,
) -> impl IntoResponse {
    ([(CACHE_CONTROL, "max-age=600")], campaign(app, id, computed, headers).await)
}

async fn change(State(app): State<App>, Extension(change): Extension<Change>) -> StatusCode {
    let _ = change.made.set(app.source.change(&change.rows));
    StatusCode::NO_CONTENT
}
