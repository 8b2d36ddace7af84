//! The admin API: what the cache does, and steering it, over HTTP.
//!
//! ```
//! use axum::Router;
//! use cache_axum::admin::{BearerToken, Principal};
//! use cache_core::Cache;
//! use cache_tower::{CacheLayer, HttpCache};
//!
//! let http = HttpCache::builder(Cache::builder().prefix("shop").memory().build()?).build();
//! # let token = || "a-long-random-text";
//! let tokens = BearerToken::new(token()).and("another-one", Principal::workspace("ws1"));
//! let admin = cache_axum::admin(&http).authorize(tokens).build()?;
//!
//! let app: Router = Router::new()
//!     .nest("/api/cache", admin)
//!     .layer(CacheLayer::new(&http));
//! # Ok::<(), cache_core::Error>(())
//! ```
//!
//! Then `/api/cache` is a page for people, and:
//!
//! ```text
//! curl -H "Authorization: Bearer $TOKEN" localhost:3000/api/cache/stats
//! curl -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' \
//!      -d '{"patterns": ["ws1:campaigns:*"], "dry_run": true}' localhost:3000/api/cache/invalidate
//! ```
//!
//! What each route takes and answers is in [`model`], and in the OpenAPI document that it serves
//! itself (`/openapi.json`).
//!
//! # Who may what
//!
//! - It is not built without an [`Authorizer`]: [`BearerToken`], a [function](Admin::authorize_with),
//!   or one of your own. Without credentials nothing is answered but the page, in which no data is:
//!   it asks for the token, and keeps it in the browser's tab (`sessionStorage`). (And the probes, if you say
//!   [so](Admin::open_probes).)
//! - [Operators](Principal::operator) see and change all. Somebody of a
//!   [workspace](Principal::workspace) sees the figures, top keys, entries and happenings of that, and
//!   invalidates what is of it; what is not theirs looks to them as if it were not there.
//! - What changes something is a `POST` that says `Content-Type: application/json` and does not come
//!   from another origin's page. Each is an event of `tracing` with the target
//!   `cache_axum::admin::audit`: who, what, and what came of it. So is each that was refused.
//! - Each principal may ask [so often](Admin::requests_per_second), and change something
//!   [so often](Admin::changes_per_minute).
//! - Bodies of entries are not shown unless you say [so](Admin::allow_bodies); those of sensitive
//!   namespaces never.
//!
//! # Health
//!
//! `/health/live` says that the process answers; let that restart it. `/health/ready` says (200 or
//! 503) that the *cache* works in full: the store answers, and no invalidation waits for it. The
//! service works without, so take it out of a load balancer by that only if it does not bear the load
//! of all misses. Both, and `/health`, answer within 100 ms, whatever the store does.
//!
//! # Its own responses
//!
//! All are `Cache-Control: no-store`, and cache layers around it leave them alone. Paths are taken
//! as they are sent: `//stats`, `/stats/`, `/%73tats` are not `/stats`; methods other than GET and
//! POST, and requests with `X-HTTP-Method-Override` and the like, are refused.
//!
//! To end the event streams when the service shuts down, shut the cache down while the server is
//! about to: `axum::serve(..).with_graceful_shutdown(async move { signal.await; cache.shutdown().await; })`.
//! Responses are given all the same, from the origin.

mod audit;
mod authorize;
mod bearer;
mod builder;
mod change;
mod csrf;
mod events;
mod figures;
mod guard;
mod health;
mod keys;
pub mod model;
mod openapi;
mod page;
mod places;
mod plan;
mod principal;
mod problem;
mod rate;
mod routes;
mod stats;
mod take;

pub use authorize::{AuthorizeFn, Authorizer};
pub use bearer::BearerToken;
pub use builder::{Admin, Authorized, Nobody};
pub use principal::{Denied, Principal};

pub use builder::admin;
