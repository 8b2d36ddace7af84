//! `invalidate_cache`: invalidating what a route changes.

use cache_tower::{HttpCache, InvalidateLayer};

/// Invalidates what a pattern covers, once the route has answered an unsafe request with 2xx or
/// 3xx: before the response is released, and even if the client has gone.
///
/// `{workspace_id}` is the request's workspace, other holes are parameters of the path; `*` as the
/// last segment stands for the rest. Values are literals whatever they hold. A hole that has no
/// value, such as a missing workspace, invalidates nothing: it never widens to `*`.
///
/// | pattern, for `ws1` and `/campaigns/42` | covers | does not cover |
/// |---|---|---|
/// | `{workspace_id}:campaigns:*` | of `ws1` the collection `/campaigns`, `/campaigns?page=2`, `/campaigns/42`, `/campaigns/42/stats`, and each variant (`Vary`) of these | `/campaigns-archive`; `ws12` |
/// | `{workspace_id}:campaigns:{id}` | `/campaigns/42` in all query forms and variants | `/campaigns`, `/campaigns/42/stats` |
///
/// ```
/// # use axum::{Router, routing::post};
/// # use cache_core::Cache;
/// # use cache_tower::HttpCache;
/// # let http = HttpCache::builder(Cache::builder().build()?).build();
/// # async fn update() {}
/// let pattern = "{workspace_id}:campaigns:*";
/// let app: Router = Router::new()
///     .route("/campaigns/{id}", post(update).layer(cache_axum::invalidate_cache(&http, pattern)));
/// # Ok::<(), cache_core::Error>(())
/// ```
///
/// More is said in the same line: other patterns, tags, softly, after which responses.
///
/// ```
/// # use axum::{Router, http::StatusCode, routing::post};
/// # use cache_axum::invalidate_cache;
/// # use cache_core::Cache;
/// # use cache_tower::HttpCache;
/// # let http = HttpCache::builder(Cache::builder().build()?).build();
/// # async fn import() {}
/// let imported = invalidate_cache(&http, "{workspace_id}:campaigns:*")
///     .and("{workspace_id}:reports:{id}")          // another pattern
///     .tag_in_workspace("campaign:{id}")           // what was stored with this tag
///     .soft()                                      // stale instead of gone
///     .on_statuses([StatusCode::OK, StatusCode::ACCEPTED]);
/// let app: Router = Router::new().route("/campaigns/{id}/import", post(import).layer(imported));
/// # Ok::<(), cache_core::Error>(())
/// ```
///
/// It reaches what all layers of this cache have stored, whatever their namespaces.
///
/// # Panics
/// If the pattern is invalid, as a route with an invalid path does. (Which parameters a route has is
/// known only when a request comes: a hole that is none of them is told to `tracing`.)
pub fn invalidate_cache(http: &HttpCache, pattern: &str) -> InvalidateLayer {
    InvalidateLayer::new(http, pattern)
}

/// As [`invalidate_cache`]: what was stored with a tag, such as
/// [`RoutePolicy::tag`](cache_tower::RoutePolicy::tag) gives to the responses of a route. It is a
/// global tag: of one workspace, say more in the same line
/// ([`tag_in_workspace`](InvalidateLayer::tag_in_workspace)).
///
/// ```
/// # use axum::{Router, routing::{get, post}};
/// # use cache_axum::{cache_endpoint, invalidate_tag};
/// # use cache_core::{Cache, minutes};
/// # use cache_tower::HttpCache;
/// # let http = HttpCache::builder(Cache::builder().build()?).build();
/// # async fn rates() {}
/// # async fn publish() {}
/// let app: Router = Router::new()
///     .route("/rates/{currency}", get(rates).layer(cache_endpoint(&http, minutes(5)).tag("rates:{currency}")))
///     .route("/publish/{currency}", post(publish).layer(invalidate_tag(&http, "rates:{currency}")));
/// # Ok::<(), cache_core::Error>(())
/// ```
///
/// # Panics
/// If this is no template of a tag.
pub fn invalidate_tag(http: &HttpCache, template: &str) -> InvalidateLayer {
    InvalidateLayer::tagged(http, template)
}
