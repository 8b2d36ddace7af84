//! What changes something: `POST /clear`, `/invalidate`, `/version/bump`.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use cache_core::{Cache, Counted, Deadline, Error, Invalidated, Key, Pattern, Scope, Stopwatch};
use serde::Deserialize;
use tokio::sync::oneshot;

use super::audit::Change;
use super::builder::Shared;
use super::figures::micros;
use super::guard::Who;
use super::model::{
    self, BumpQuery, BumpReport, ClearQuery, ClearReport, InvalidateOutcome, InvalidateReport,
    InvalidateRequest, ScopeKind, ScopeReport,
};
use super::plan::{Namespaces, Target, plan};
use super::principal::Principal;
use super::problem::Problem;
use super::take::{Answer, Params, Taken, ok};

/// A dry run counts up to so many entries of each scope..
const MOST_COUNTED: u64 = 100_000;
/// ..and for as long as so many operations may take, over all of them.
const OPERATIONS: u32 = 10;

/// A body in which nothing is said.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Empty {}

/// Makes everything in a namespace invalid, and removes it.
#[utoipa::path(
    post,
    path = "/clear",
    tag = "changes",
    params(ClearQuery),
    responses(
        (status = 200, body = ClearReport),
        (status = 403, description = "For operators", body = model::Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such namespace", body = model::Problem, content_type = "application/problem+json"),
        (status = 503, description = "The store is away; here it is invalid", body = model::Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn clear(
    State(shared): State<Arc<Shared>>,
    who: Who,
    Params(query): Params<ClearQuery>,
    Taken(Empty {}): Taken<Empty>,
) -> Result<Answer<ClearReport>, Problem> {
    let all = query.all == Some(true);
    let what = match (&query.namespace, all) {
        (Some(name), false) => format!("namespace {name:?}"),
        (None, true) => "everything".to_owned(),
        _ => return Err(Problem::bad_request("either `?namespace=` or `?all=true`")),
    };
    let change = Change::new(&who.0, "clear", what);
    operator(&who, &change)?;
    let cache = shared.cache().clone();
    if let Some(name) = &query.namespace {
        known(&cache, name, &change)?;
    }
    let ClearQuery { namespace, .. } = query;
    let removed = carry_out(&shared, change, async move {
        let removed = match &namespace {
            Some(name) => cache.clear(name).await,
            None => cache.clear_all().await,
        };
        removed.map(|removed| (ClearReport { namespace, removed }, "complete"))
    });
    removed.await.map(ok)
}

/// Raises the version of a namespace, and so leaves all its entries behind.
#[utoipa::path(
    post,
    path = "/version/bump",
    tag = "changes",
    params(BumpQuery),
    responses(
        (status = 200, body = BumpReport),
        (status = 403, description = "For operators", body = model::Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such namespace", body = model::Problem, content_type = "application/problem+json"),
        (status = 503, description = "The store is away: nothing has changed", body = model::Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn bump(
    State(shared): State<Arc<Shared>>,
    who: Who,
    Params(BumpQuery { namespace }): Params<BumpQuery>,
    Taken(Empty {}): Taken<Empty>,
) -> Result<Answer<BumpReport>, Problem> {
    let change = Change::new(&who.0, "bump", format!("namespace {namespace:?}"));
    operator(&who, &change)?;
    let cache = shared.cache().clone();
    known(&cache, &namespace, &change)?;
    let bumped = carry_out(&shared, change, async move {
        let version = cache.bump_version(&namespace).await;
        version.map(|version| (BumpReport { namespace, version }, "complete"))
    });
    bumped.await.map(ok)
}

/// Makes keys, tags, what patterns match, a workspace or a namespace invalid; or tells how many
/// entries that would be about.
#[utoipa::path(
    post,
    path = "/invalidate",
    tag = "changes",
    request_body = InvalidateRequest,
    responses(
        (status = 200, body = InvalidateReport),
        (status = 403, description = "Not all of that is yours", body = model::Problem, content_type = "application/problem+json"),
        (status = 413, description = "Too large", body = model::Problem, content_type = "application/problem+json"),
        (status = 415, description = "Not JSON", body = model::Problem, content_type = "application/problem+json"),
        (status = 422, description = "Not as it has to be", body = model::Problem, content_type = "application/problem+json"),
        (status = 429, description = "Too often", body = model::Problem, content_type = "application/problem+json"),
        (status = 503, description = "The store refuses; here it is invalid", body = model::Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn invalidate(
    State(shared): State<Arc<Shared>>,
    who: Who,
    Taken(request): Taken<InvalidateRequest>,
) -> Result<Answer<InvalidateReport>, Problem> {
    let cache = shared.cache();
    let targets = targets(&shared, &request, &who.0)?;
    // Each may go through all keys, and while it does nobody's fills in that namespace are kept. One
    // was counted already, as the request that it is.
    let patterns = targets.iter().filter(|target| target.kind == ScopeKind::Pattern).count();
    let more = u32::try_from(patterns.saturating_sub(1)).unwrap_or(u32::MAX);
    shared.changes.take_many(&who.0.shown(), more).map_err(|wait| {
        let problem = Problem::too_many(wait);
        shared.refusals.tell(Some(&who.0), "/invalidate", problem.status());
        problem
    })?;
    let took = Stopwatch::start();
    if request.dry_run {
        let scopes = count(cache, &targets).await;
        let outcome = InvalidateOutcome::DryRun;
        return Ok(ok(report(outcome, request.soft, scopes, took.elapsed())));
    }
    let what = targets.iter().map(|target| shown(cache, target)).collect::<Vec<_>>().join(", ");
    let what = if request.soft { format!("softly {what}") } else { what };
    let scopes: Vec<Scope> = targets.iter().map(|target| target.scope.clone()).collect();
    let told = targets.iter().map(told).collect();
    let change = Change::new(&who.0, "invalidate", what);
    let (soft, cache) = (request.soft, cache.clone());
    let invalidated = carry_out(&shared, change, async move {
        let invalidation = cache.invalidate(scopes);
        let invalidation = if soft { invalidation.soft() } else { invalidation };
        invalidation.await.map(|invalidated| match invalidated {
            Invalidated::Complete => (InvalidateOutcome::Complete, "complete"),
            _ => (InvalidateOutcome::Queued, "queued"),
        })
    });
    let outcome = invalidated.await?;
    Ok(ok(report(outcome, soft, told, took.elapsed())))
}

/// What it is about; the audit is told if it is refused.
fn targets(
    shared: &Shared,
    request: &InvalidateRequest,
    who: &Principal,
) -> Result<Vec<Target>, Problem> {
    let (names, responses) = (shared.cache().known_namespaces(), shared.http.namespaces());
    let namespaces = Namespaces {
        responses: &responses,
        is_known: &|name| names.iter().any(|known| known == name),
        is_by_workspace: &|name| shared.cache().is_by_workspace(name),
    };
    plan(request, who, &namespaces).inspect_err(|problem| {
        let refused = Change::new(who, "invalidate", "not told".to_owned());
        refused.ended(problem.status().as_str(), Duration::ZERO);
    })
}

fn operator(who: &Who, change: &Change) -> Result<(), Problem> {
    who.operator().inspect_err(|_| change.ended("forbidden", Duration::ZERO))
}

/// A namespace that is only met here is none.
fn known(cache: &Cache, name: &str, change: &Change) -> Result<(), Problem> {
    if cache.known_namespaces().iter().any(|known| known == name) {
        return Ok(());
    }
    change.ended("not found", Duration::ZERO);
    Err(Problem::not_found())
}

/// Carries a change out to its end, whether or not the client stays, and tells the audit.
async fn carry_out<T: Send + 'static>(
    shared: &Shared,
    change: Change,
    work: impl Future<Output = Result<(T, &'static str), Error>> + Send + 'static,
) -> Result<T, Problem> {
    let (answer, answered) = oneshot::channel();
    let (who_sees, took) = (change.is_by_operator(), Stopwatch::start());
    let task = async move {
        let done = work.await;
        let outcome = match &done {
            Ok((_, outcome)) => (*outcome).to_owned(),
            Err(error) => format!("failed: {error}"),
        };
        change.ended(&outcome, took.elapsed());
        // Nobody may be there any more.
        let _ = answer.send(done);
    };
    if !shared.cache().background().try_spawn(task) {
        return Err(Problem::unavailable("too much is under way, or the cache is shut down"));
    }
    match answered.await {
        Ok(Ok((done, _))) => Ok(done),
        Ok(Err(error)) => Err(Problem::of_cache(&error, who_sees)),
        Err(_) => Err(Problem::unavailable("it was not carried out to its end")),
    }
}

/// How many entries each is about, as far as there is time to count.
async fn count(cache: &Cache, targets: &[Target]) -> Vec<ScopeReport> {
    let deadline = Deadline::after(cache.operation_budget().saturating_mul(OPERATIONS));
    let mut scopes = Vec::with_capacity(targets.len());
    for target in targets {
        let counted =
            if deadline.has_passed() { None } else { count_one(cache, target, deadline).await };
        let (entries, at_least) = counted.map_or((None, true), |(n, more)| (Some(n), more));
        scopes.push(ScopeReport { entries, at_least, ..told(target) });
    }
    scopes
}

/// `None`: it can't be told. Which entries have a tag, only they know.
async fn count_one(cache: &Cache, target: &Target, deadline: Deadline) -> Option<(u64, bool)> {
    let exactly = |Counted { entries, at_least, .. }: Counted| (entries, at_least);
    let namespace = target.namespace.as_deref().unwrap_or_default();
    let counted = match target.kind {
        ScopeKind::Key => {
            let found = cache.exists(namespace, Key::from(&target.name)).await;
            return found.ok().map(|found| (u64::from(found), false));
        }
        ScopeKind::Pattern => {
            let pattern = Pattern::new(&target.name);
            cache.count(namespace, pattern, MOST_COUNTED, deadline).await
        }
        ScopeKind::Namespace => cache.count(namespace, "*", MOST_COUNTED, deadline).await,
        ScopeKind::Workspace => cache.count_workspace(&target.name, MOST_COUNTED, deadline).await,
        ScopeKind::Tag => return None,
    };
    counted.ok().map(exactly)
}

/// Without a count.
fn told(target: &Target) -> ScopeReport {
    ScopeReport {
        kind: target.kind,
        name: target.name.clone(),
        namespace: target.namespace.clone(),
        entries: None,
        at_least: false,
    }
}

fn report(
    outcome: InvalidateOutcome,
    soft: bool,
    scopes: Vec<ScopeReport>,
    took: Duration,
) -> InvalidateReport {
    InvalidateReport { outcome, soft, scopes, took_us: micros(took) }
}

/// As the audit has it: keys of sensitive namespaces are not told.
fn shown(cache: &Cache, target: &Target) -> String {
    let Target { name, namespace, .. } = target;
    let within = namespace.as_deref().unwrap_or_default();
    match target.kind {
        ScopeKind::Key if cache.is_sensitive(within) => format!("a key in {within:?}"),
        ScopeKind::Pattern if cache.is_sensitive(within) => format!("a pattern in {within:?}"),
        ScopeKind::Key => format!("key {name:?} in {within:?}"),
        ScopeKind::Pattern => format!("pattern {name:?} in {within:?}"),
        ScopeKind::Tag => format!("tag {name:?}"),
        ScopeKind::Workspace => format!("workspace {name:?}"),
        ScopeKind::Namespace => format!("namespace {name:?}"),
    }
}
