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
//! # Features
//!
//! - `admin`: the admin API and its page; see `admin`.

#[cfg(feature = "admin")]
pub mod admin;
mod endpoint;
mod invalidate;

#[cfg(feature = "admin")]
pub use admin::admin;
pub use endpoint::cache_endpoint;
pub use invalidate::invalidate_cache;

pub use cache_tower;
pub use cache_tower::{CacheTags, CacheTtl, NoStore};
