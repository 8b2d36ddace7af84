//! `GET /health`, `/health/live`, `/health/ready`: within 100 ms whatever the store does.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use cache_core::{Cache, Health};
use http::StatusCode;
use tokio::time::timeout;

use super::builder::Shared;
use super::figures::health_details;
use super::guard::Who;
use super::model::{HealthReport, HealthStatus, ProbeReport, ProbeStatus};
use super::take::{Answer, ok};

/// The check itself takes 80 ms at most; this is for a runtime that is late.
const AT_MOST: Duration = Duration::from_millis(90);

/// What works right now.
#[utoipa::path(
    get,
    path = "/health",
    tag = "health",
    responses((status = 200, description = "Whatever it says", body = HealthReport))
)]
pub(super) async fn health(State(shared): State<Arc<Shared>>, who: Who) -> Answer<HealthReport> {
    let cache = shared.cache();
    let found = check(cache).await;
    let ready = found.as_ref().is_some_and(is_ready);
    let status = match &found {
        Some(health) if !health.enabled => HealthStatus::Off,
        Some(health) if is_ready(health) && is_whole(health) => HealthStatus::Ok,
        _ => HealthStatus::Degraded,
    };
    let details = found
        .filter(|_| who.0.is_operator())
        .map(|health| health_details(health, cache.gauges().breaker.map(Into::into)));
    ok(HealthReport { status, ready, details })
}

/// The process answers.
#[utoipa::path(
    get,
    path = "/health/live",
    tag = "health",
    responses((status = 200, body = ProbeReport))
)]
pub(super) async fn live() -> Answer<ProbeReport> {
    ok(ProbeReport { status: ProbeStatus::Live })
}

/// So does the store, and no invalidation waits for it.
#[utoipa::path(
    get,
    path = "/health/ready",
    tag = "health",
    responses(
        (status = 200, body = ProbeReport),
        (status = 503, description = "Responses come from memory or the origin", body = ProbeReport),
    )
)]
pub(super) async fn ready(State(shared): State<Arc<Shared>>) -> Answer<ProbeReport> {
    if check(shared.cache()).await.as_ref().is_some_and(is_ready) {
        return ok(ProbeReport { status: ProbeStatus::Ready });
    }
    Answer(StatusCode::SERVICE_UNAVAILABLE, ProbeReport { status: ProbeStatus::NotReady })
}

async fn check(cache: &Cache) -> Option<Health> {
    timeout(AT_MOST, cache.health()).await.ok()
}

fn is_ready(health: &Health) -> bool {
    health.reachable && health.queued_invalidations == 0 && !health.reads_held
}

/// Nothing that makes it slower than it could be, either.
fn is_whole(health: &Health) -> bool {
    health.coherence.fault.is_none() && !health.journal_overflowed
}
