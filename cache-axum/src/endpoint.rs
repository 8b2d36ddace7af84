//! `cache_endpoint`: caching one route.

use cache_tower::{CacheLayer, HttpCache, RoutePolicy};

/// Caches what a route answers to GET and HEAD: responses that do not say themselves for how long
/// they are fresh, for the TTL that is given; or by a [`RoutePolicy`], which may be said in the same
/// line, too. What clients are told is left alone unless that says something else.
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
///
/// ```
/// # use axum::{Router, routing::get};
/// # use cache_core::{Cache, minutes, seconds};
/// # use cache_tower::HttpCache;
/// # let http = HttpCache::builder(Cache::builder().build()?).build();
/// # async fn stats() {}
/// # #[derive(Clone)]
/// # struct Plan(String);
/// let stats_of_campaign = cache_axum::cache_endpoint(&http, minutes(5))
///     .grace(minutes(1))                                       // stale while it is fetched anew
///     .negative_ttl(seconds(10))                               // 404 and 410
///     .key_query_only(["from", "to"])                          // other parameters make no difference
///     .key_by_extension("plan", |plan: &Plan| &plan.0)         // each plan sees its own
///     .tag_in_workspace("campaign:{id}")                       // to be invalidated by
///     .client_cache_control("private, max-age=30")             // what browsers are told
///     .generate_etags()
///     .namespace("stats");                                     // with limits of its own
/// let app: Router = Router::new().route("/campaigns/{id}/stats", get(stats).layer(stats_of_campaign));
/// # Ok::<(), cache_core::Error>(())
/// ```
///
/// # Panics
/// The words do, where what they say can't be meant (a tag that is no template, a namespace that
/// can't be, a name that two functions have), as a route with an invalid path does.
pub fn cache_endpoint(http: &HttpCache, policy: impl Into<RoutePolicy>) -> CacheLayer {
    CacheLayer::endpoint(http, policy)
}
