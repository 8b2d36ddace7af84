//! Response caching for axum: one line at a route to cache it, one to invalidate.
//!
//! ```
//! use axum::Router;
//! use axum::routing::{get, post};
//! use cache_axum::{cache_endpoint, invalidate_cache};
//! use cache_core::{Cache, minutes};
//! use cache_tower::{CacheLayer, HttpCache, Workspace};
//!
//! # async fn stats() {}
//! # async fn update() {}
//! let cache = Cache::builder().prefix("coldcopy").from_env()?.build()?;
//! let http = HttpCache::builder(cache).workspace(Workspace::header("x-workspace-id")).build();
//!
//! let app: Router = Router::new()
//!     .route("/campaigns/{id}/stats", get(stats).layer(cache_endpoint(&http, minutes(5))))
//!     .route(
//!         "/campaigns/{id}",
//!         post(update).layer(invalidate_cache(&http, "{workspace_id}:campaigns:*")),
//!     )
//!     .layer(CacheLayer::new(&http)); // everything else: what Cache-Control allows
//! # Ok::<(), cache_core::Error>(())
//! ```
//!
//! What handlers ask (whose a request is, whether to skip the cache, why they are called), and what
//! they say of their responses, is in [`extract`]. With the feature `metrics`, what there is to
//! collect is in `cache_tower::metrics`.
//!
//! All routes in one table, by axum's own paths, in the same words; what must never be cached is
//! said there once, and wins over everything:
//!
//! ```
//! use axum::Router;
//! use cache_axum::{CacheLayer, HttpCache, RoutePolicy};
//! use cache_core::{Cache, minutes};
//!
//! # fn routes() -> Router { Router::new() }
//! let stats = RoutePolicy::new(minutes(5))
//!     .grace(minutes(1))
//!     .tag_in_workspace("campaign:{id}")
//!     .client_cache_control("private, max-age=30");
//! let http = HttpCache::builder(Cache::builder().build()?)
//!     .route("/campaigns/{id}/stats", stats)
//!     .never("/billing/{*rest}")
//!     .build();
//! let app = routes().layer(CacheLayer::new(&http));
//!
//! // The rules that no request has met yet: typos show.
//! let unmet = http.routes().into_iter().filter(|rule| rule.requests == 0);
//! # assert_eq!(unmet.count(), 2);
//! # Ok::<(), cache_core::Error>(())
//! ```
//!
//! Where other layers should stand is told in [`guide::layers`].
//!
//! # Features
//!
//! - `admin`: the admin API and its page; see `admin`.
//! - `metrics`: what is counted, for the `metrics` facade; see `cache_tower::metrics`.

#[cfg(feature = "admin")]
pub mod admin;
mod endpoint;
pub mod extract;
pub mod guide;
mod invalidate;
mod limit;
mod rejection;

#[cfg(feature = "admin")]
pub use admin::admin;
pub use endpoint::cache_endpoint;
pub use extract::{CacheHandle, SkipCache, WorkspaceId};
pub use invalidate::{invalidate_cache, invalidate_tag};
pub use limit::rate_limit;
pub use rejection::{InvalidWorkspace, MissingWorkspace, WorkspaceRejection};

pub use cache_tower;
pub use cache_tower::{
    CacheLayer, CacheStatus, CacheTags, CacheTtl, HttpCache, NoStore, RateLimitLayer, RoutePolicy,
    TrustedProxies, WithoutKey, Workspace,
};
