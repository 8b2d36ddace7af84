//! `GET /stats`, `GET /workspace/{id}/stats`, `GET /routes`.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use cache_core::{Cache, Gauges, NamespaceStats};

use super::builder::Shared;
use super::guard::Who;
use super::model::{
    self, Figures, NamespaceQuery, RoutesReport, StatsReport, StoreFigures, Viewer, WorkspaceReport,
};
use super::problem::Problem;
use super::take::{Answer, Named, Params, ok};

/// What was counted, by this process since it started; for somebody of a workspace, of that.
#[utoipa::path(
    get,
    path = "/stats",
    tag = "figures",
    params(NamespaceQuery),
    responses(
        (status = 200, body = StatsReport),
        (status = 403, description = "Figures of namespaces are for operators", body = model::Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such namespace", body = model::Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn stats(
    State(shared): State<Arc<Shared>>,
    who: Who,
    Params(query): Params<NamespaceQuery>,
) -> Result<Answer<StatsReport>, Problem> {
    let cache = shared.cache();
    if query.namespace.is_some() {
        who.operator()?;
    }
    if let Some(workspace) = who.0.scope() {
        return Ok(ok(of_workspace(cache, workspace)));
    }
    let stats = cache.stats();
    let figures = |(name, stats): (&String, &NamespaceStats)| (name.clone(), Figures::from(stats));
    let (total, namespaces, workspaces) = match &query.namespace {
        Some(name) => {
            let one = stats.namespaces.get(name).ok_or_else(Problem::not_found)?;
            let one = Figures::from(one);
            (one.clone(), BTreeMap::from([(name.clone(), one)]), BTreeMap::new())
        }
        None => (
            Figures::from(&stats.total()),
            stats.namespaces.iter().map(figures).collect(),
            stats.workspaces.iter().map(figures).collect(),
        ),
    };
    let gauges = cache.gauges();
    Ok(ok(StatsReport {
        at: cache.clock().now(),
        viewer: Viewer::Operator,
        enabled: cache.is_enabled(),
        total,
        namespaces,
        workspaces,
        other_workspaces: Some((&stats.other_workspaces).into()),
        http: Some(shared.http.stats().into()),
        invalidations: Some(stats.invalidations.into()),
        operations: Some(stats.operations.into()),
        memory: Some((&gauges).into()),
        store: store(cache, &gauges).await,
    }))
}

fn of_workspace(cache: &Cache, workspace: &str) -> StatsReport {
    let figures = own(cache, workspace);
    StatsReport {
        at: cache.clock().now(),
        viewer: Viewer::Workspace { workspace: workspace.to_owned() },
        enabled: cache.is_enabled(),
        total: figures.clone(),
        namespaces: BTreeMap::new(),
        workspaces: BTreeMap::from([(workspace.to_owned(), figures)]),
        other_workspaces: None,
        http: None,
        invalidations: None,
        operations: None,
        memory: None,
        store: None,
    }
}

fn own(cache: &Cache, workspace: &str) -> Figures {
    cache.workspace_stats(workspace).as_ref().map(Figures::from).unwrap_or_default()
}

async fn store(cache: &Cache, gauges: &Gauges) -> Option<StoreFigures> {
    let name = cache.store_name()?;
    Some(StoreFigures {
        name: name.to_owned(),
        breaker: gauges.breaker.map(Into::into),
        pool: gauges.pool.map(Into::into),
        server: cache.server_stats().await.map(Into::into),
    })
}

/// What was counted of one workspace.
#[utoipa::path(
    get,
    path = "/workspace/{id}/stats",
    tag = "figures",
    params(("id" = String, Path, description = "The workspace")),
    responses(
        (status = 200, body = WorkspaceReport),
        (status = 404, description = "Not yours", body = model::Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn workspace(
    State(shared): State<Arc<Shared>>,
    who: Who,
    Named(workspace): Named,
) -> Result<Answer<WorkspaceReport>, Problem> {
    if who.0.scope().is_some_and(|own| own != workspace) {
        // Whether there is one.
        return Err(Problem::not_found());
    }
    let cache = shared.cache();
    let figures = own(cache, &workspace);
    Ok(ok(WorkspaceReport { at: cache.clock().now(), workspace, figures }))
}

/// The rules by which routes are cached, and how often each was matched.
#[utoipa::path(
    get,
    path = "/routes",
    tag = "figures",
    responses(
        (status = 200, body = RoutesReport),
        (status = 403, description = "For operators", body = model::Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn routes(
    State(shared): State<Arc<Shared>>,
    who: Who,
) -> Result<Answer<RoutesReport>, Problem> {
    who.operator()?;
    Ok(ok(RoutesReport { rules: shared.http.routes().into_iter().map(Into::into).collect() }))
}
