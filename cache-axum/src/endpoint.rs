//! `cache_endpoint`: caching one route.

use cache_tower::{CacheLayer, HttpCache, RoutePolicy};

/// Caches what a route answers to GET and HEAD: responses that do not say themselves for how long
/// they are fresh, for `ttl`. What clients are told is left alone.
///
/// The key is the original URI, also under `nest`. Responses to requests with `Authorization` or
/// `Cookie` are not stored unless the cache was built with
/// [`share_within_workspace`](cache_tower::HttpCacheBuilder::share_within_workspace), and such
/// requests do not get what others have stored; `Cache-Status` says so. Under a [`CacheLayer`]
/// around the whole router this one wins.
///
/// ```
/// # use axum::{Router, routing::get};
/// # use cache_core::{Cache, minutes};
/// # use cache_tower::HttpCache;
/// # let http = HttpCache::builder(Cache::builder().build()?).build();
/// async fn stats() -> &'static str {
///     "slow to compute"
/// }
/// let app: Router =
///     Router::new().route("/stats", get(stats).layer(cache_axum::cache_endpoint(&http, minutes(5))));
/// # Ok::<(), cache_core::Error>(())
/// ```
pub fn cache_endpoint(http: &HttpCache, policy: impl Into<RoutePolicy>) -> CacheLayer {
    CacheLayer::endpoint(http, policy)
}
