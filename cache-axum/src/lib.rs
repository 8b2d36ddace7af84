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

mod endpoint;
pub mod extract;
mod invalidate;
mod limit;
mod rejection;

pub use endpoint::cache_endpoint;
pub use extract::{CacheHandle, SkipCache, WorkspaceId};
pub use invalidate::invalidate_cache;
pub use limit::rate_limit;
pub use rejection::{InvalidWorkspace, MissingWorkspace, WorkspaceRejection};

pub use cache_tower;
pub use cache_tower::{
    CacheStatus, CacheTags, CacheTtl, NoStore, RateLimitLayer, TrustedProxies, WithoutKey,
};
