//! `rate_limit`: limiting one route, or a router.

use std::net::SocketAddr;
use std::time::Duration;

use axum::extract::ConnectInfo;
use cache_tower::{HttpCache, RateLimitLayer};

/// Limits how many requests a route serves: `limit` of each workspace in a `window`. Those beyond are
/// answered with 429, as problem details with `Retry-After`; all responses say in `RateLimit` and
/// `RateLimit-Policy` what is left. Layers with one name count together, over all instances.
///
/// Whom requests are counted for, and how, is said with methods of the layer:
///
/// | | |
/// |---|---|
/// | [`by_workspace()`](RateLimitLayer::by_workspace) | for each workspace, as the cache finds it (the default) |
/// | [`by_ip(proxies)`](RateLimitLayer::by_ip) | for each client address; behind proxies, what those say that are trusted |
/// | [`by(\|request\| ..)`](RateLimitLayer::by) | for each key that a function gives |
/// | [`for_all()`](RateLimitLayer::for_all) | for all together |
/// | [`without_key(..)`](RateLimitLayer::without_key) | what happens where nothing tells for whom: counted together (the default), served or refused |
/// | [`gcra()`](RateLimitLayer::gcra), [`burst(n)`](RateLimitLayer::burst) | evenly, rather than all at the end of a window |
/// | [`fail_open()`](RateLimitLayer::fail_open), [`fail_closed()`](RateLimitLayer::fail_closed) | what happens while Redis can't be asked; by default each instance counts for itself |
///
/// ```
/// use axum::Router;
/// use axum::routing::{get, post};
/// use cache_axum::rate_limit;
/// use cache_core::{Cache, minutes, seconds};
/// use cache_tower::{HttpCache, TrustedProxies, Workspace};
///
/// # async fn login() {}
/// # async fn search() {}
/// let cache = Cache::builder().prefix("shop").build()?;
/// let http = HttpCache::builder(cache).workspace(Workspace::header("x-workspace-id")).build();
/// let proxies = TrustedProxies::new(["10.0.0.0/8"])?;
///
/// let app: Router = Router::new()
///     .route("/login", post(login).layer(rate_limit(&http, "login", 5, minutes(1)).by_ip(proxies).fail_closed()))
///     .route("/search", get(search).layer(rate_limit(&http, "search", 10, seconds(1)).gcra()))
///     .route_layer(rate_limit(&http, "api", 1_000, minutes(1)).by_workspace());
/// # Ok::<(), cache_core::Error>(())
/// ```
///
/// For `by_ip` the service has to be served with
/// [`into_make_service_with_connect_info::<SocketAddr>()`](axum::Router::into_make_service_with_connect_info):
/// otherwise no address is known, and all requests are without a key.
///
/// A workspace that clients name themselves in a header limits nobody who names another each time: take
/// one that was authenticated ([`Workspace::from_extension`](cache_tower::Workspace::from_extension)),
/// or limit by address, too.
///
/// A layer around a [`cache_endpoint`](crate::cache_endpoint) counts all requests; one within it, only
/// those that the cache lets through.
pub fn rate_limit(http: &HttpCache, name: &str, limit: u64, window: Duration) -> RateLimitLayer {
    RateLimitLayer::new(http, name, limit, window).peer(|extensions| {
        let connection = extensions.get::<ConnectInfo<SocketAddr>>();
        connection.map(|ConnectInfo(address)| address.ip())
    })
}
