//! The routes, in one table.

use std::sync::Arc;

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{MethodRouter, get, post};

use super::builder::Shared;
use super::problem::Problem;
use super::{change, events, guard, health, keys, openapi, page, stats};

type Route = (&'static str, MethodRouter<Arc<Shared>>);

/// Those that need credentials.
pub(super) fn protected() -> Vec<Route> {
    vec![
        ("/stats", get(stats::stats)),
        ("/workspace/{id}/stats", get(stats::workspace)),
        ("/health", get(health::health)),
        ("/keys/top", get(keys::top)),
        ("/entry", get(keys::entry)),
        ("/routes", get(stats::routes)),
        ("/events", get(events::events)),
        ("/openapi.json", get(openapi::openapi)),
        ("/clear", post(change::clear)),
        ("/invalidate", post(change::invalidate)),
        ("/version/bump", post(change::bump)),
    ]
}

/// Those that may do without.
pub(super) fn probes() -> Vec<Route> {
    vec![("/health/live", get(health::live)), ("/health/ready", get(health::ready))]
}

/// Those that do without.
pub(super) fn public() -> Vec<Route> {
    vec![("/", get(page::page))]
}

pub(super) fn router(shared: &Arc<Shared>, open_probes: bool) -> Router<Arc<Shared>> {
    let (mut guarded, mut open) = (protected(), public());
    if open_probes { &mut open } else { &mut guarded }.extend(probes());
    let authorized = from_fn_with_state(Arc::clone(shared), guard::authorized);
    // Also what is not there: who may not know what is, learns nothing.
    let guarded = all(guarded).fallback(async || Problem::not_found()).layer(authorized);
    all(open).merge(guarded).layer(from_fn(guard::sealed))
}

fn all(routes: Vec<Route>) -> Router<Arc<Shared>> {
    let add = |router: Router<_>, (path, route): Route| {
        let allowed =
            if matches!(path, "/clear" | "/invalidate" | "/version/bump") { "POST" } else { "GET" };
        router.route(path, route.fallback(async move || Problem::method(allowed)))
    };
    routes.into_iter().fold(Router::new(), add)
}
