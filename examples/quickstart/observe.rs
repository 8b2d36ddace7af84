//! What operators look at: the admin API with its page, and metrics for Prometheus.

use std::env::{self, VarError};
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use cache_axum::admin::BearerToken;
use cache_core::metrics::BUCKETS_SECONDS;
use cache_core::seconds;
use cache_tower::HttpCache;
use cache_tower::metrics::HttpExporter;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder};

/// Where the admin API is.
pub(crate) const ADMIN: &str = "/api/cache";
const TOKEN: &str = "CACHE_ADMIN_TOKEN";
/// So many workspaces are named in metrics, those that are read most; the rest is together.
const NAMED_WORKSPACES: usize = 20;
/// How often what was recorded is worked off, should nobody collect it.
const UPKEEP: Duration = seconds(5);

/// The admin API, if there is a token for it.
pub(crate) fn admin(http: &HttpCache) -> Result<Option<Router>, String> {
    let token = match env::var(TOKEN) {
        Ok(token) => token,
        Err(VarError::NotPresent) => return Ok(None),
        Err(VarError::NotUnicode(_)) => return Err(format!("{TOKEN} is not text")),
    };
    let admin = cache_axum::admin(http).authorize(BearerToken::new(token)).open_probes().build();
    admin.map(Some).map_err(|error| format!("{TOKEN}: {error}"))
}

/// `/metrics`, as Prometheus scrapes it.
pub(crate) fn metrics(http: &HttpCache) -> Result<Router, BuildError> {
    let prometheus = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &BUCKETS_SECONDS)?
        .install_recorder()?;
    let upkeep = prometheus.clone();
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(UPKEEP).await;
            upkeep.run_upkeep();
        }
    });
    let exporter = std::sync::Arc::new(HttpExporter::new(http).workspaces(NAMED_WORKSPACES));
    let collect = move || {
        exporter.publish();
        let headers = [(CONTENT_TYPE, "text/plain; version=0.0.4"), (CACHE_CONTROL, "no-store")];
        let text = prometheus.render();
        async move { (headers, text) }
    };
    Ok(Router::new().route("/metrics", get(collect)))
}
