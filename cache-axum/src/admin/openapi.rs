//! `GET /openapi.json`.

use std::sync::Arc;

use axum::extract::State;
use utoipa::openapi::OpenApi as Document;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::{Modify, OpenApi};

use super::builder::Shared;
use super::model::{EventReport, Problem};
use super::take::{Answer, ok};
use super::{change, events, health, keys, page, stats};

#[derive(OpenApi)]
#[openapi(
    info(title = "Cache admin", description = "What the cache does, and steering it."),
    servers((url = ".", description = "Where this document lies")),
    paths(
        page::page,
        stats::stats,
        stats::workspace,
        stats::routes,
        health::health,
        health::live,
        health::ready,
        keys::top,
        keys::entry,
        events::events,
        openapi,
        change::clear,
        change::invalidate,
        change::bump,
    ),
    components(schemas(Problem, EventReport)),
    security(("bearer" = [])),
    modifiers(&Bearer),
)]
struct Api;

/// The scheme of [`BearerToken`](super::BearerToken); other authorizers may want something else.
struct Bearer;

impl Modify for Bearer {
    fn modify(&self, document: &mut Document) {
        let scheme = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("bearer", scheme);
    }
}

/// This document.
#[utoipa::path(
    get,
    path = "/openapi.json",
    tag = "document",
    responses((status = 200, description = "This document"))
)]
pub(super) async fn openapi(State(_): State<Arc<Shared>>) -> Answer<Document> {
    ok(Api::openapi())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::admin::routes;

    #[test]
    fn each_route_is_in_the_document_and_each_path_of_it_is_a_route() {
        let routes = [routes::public(), routes::probes(), routes::protected()].concat();
        let routes: BTreeSet<String> =
            routes.into_iter().map(|(path, _)| path.to_owned()).collect();
        let document: BTreeSet<String> = Api::openapi().paths.paths.into_keys().collect();
        assert_eq!(document, routes);
    }
}
