//! What handlers extract: the cache, their request's workspace, whether its client wants to skip the
//! cache, and what the cache has done with it.
//!
//! They find the cache in the state of the router, as [`State`](axum::extract::State) does: it is the
//! [`HttpCache`] itself, or has it as a part ([`FromRef`]).
//!
//! ```
//! use axum::extract::{FromRef, Path};
//! use axum::routing::get;
//! use axum::{Json, Router};
//! use cache_axum::{CacheHandle, CacheStatus, CacheTags, SkipCache, WorkspaceId, cache_endpoint};
//! use cache_core::{Cache, minutes};
//! use cache_tower::{HttpCache, SkipRule, Workspace};
//!
//! #[derive(Clone, FromRef)]
//! struct AppState {
//!     http: HttpCache,
//!     // and what else the application has
//! }
//!
//! async fn stats(
//!     CacheHandle(cache): CacheHandle,
//!     WorkspaceId(workspace): WorkspaceId,
//!     SkipCache(skip): SkipCache,
//!     status: CacheStatus,
//!     Path(id): Path<u64>,
//! ) -> (CacheTags, Json<u64>) {
//!     tracing::info!(%workspace, why = status.forwarded(), "computed");
//!     let key = cache_core::Key::workspace(&workspace).segment(id.to_string());
//!     let load = async || Ok::<u64, std::io::Error>(7);
//!     let visits = match skip {
//!         true => 7,
//!         false => cache.get_or_compute("visits", key, load).await.unwrap_or_default(),
//!     };
//!     (CacheTags::in_workspace([format!("campaign:{id}")]), Json(visits))
//! }
//!
//! let cache = Cache::builder().prefix("shop").build()?;
//! let http = HttpCache::builder(cache)
//!     .workspace(Workspace::header("x-workspace-id"))
//!     .allow_skip(SkipRule::query("fresh"))
//!     .build();
//! let app: Router = Router::new()
//!     .route("/campaigns/{id}/stats", get(stats).layer(cache_endpoint(&http, minutes(5))))
//!     .with_state(AppState { http });
//! # Ok::<(), cache_core::Error>(())
//! ```
//!
//! What a handler says of its response stands before it, as any part of a response in axum:
//! [`CacheTags`](crate::CacheTags), [`CacheTtl`](crate::CacheTtl), [`NoStore`](crate::NoStore).
//!
//! ```
//! # use axum::response::{IntoResponse, Response};
//! # use cache_axum::{CacheTags, CacheTtl, NoStore};
//! # use cache_core::minutes;
//! # let (is_draft, is_closed, report) = (true, false, "report");
//! # fn of(is_draft: bool, is_closed: bool, report: &'static str) -> Response {
//! if is_draft {
//!     (NoStore, report).into_response()
//! } else if is_closed {
//!     (CacheTtl(minutes(60)), CacheTags::new(["report:7"]), report).into_response()
//! } else {
//!     (CacheTags::new(["report:7"]), report).into_response()
//! }
//! # }
//! # of(is_draft, is_closed, report);
//! ```

use std::convert::Infallible;
use std::ops::Deref;

use axum::extract::{FromRef, FromRequestParts, OptionalFromRequestParts};
use axum::http::request::Parts;
use cache_core::Cache;
use cache_tower::{HttpCache, WorkspaceError};

use crate::rejection::{InvalidWorkspace, MissingWorkspace, WorkspaceRejection};

/// The [`Cache`] that holds the responses: for what a handler caches itself.
///
/// (A [`Cache`] of one's own in the state is had by [`State`](axum::extract::State).)
#[derive(Clone, Debug)]
pub struct CacheHandle(
    /// The cache.
    pub Cache,
);

impl Deref for CacheHandle {
    type Target = Cache;

    fn deref(&self) -> &Cache {
        &self.0
    }
}

impl<S: Sync> FromRequestParts<S> for CacheHandle
where
    HttpCache: FromRef<S>,
{
    type Rejection = Infallible;

    async fn from_request_parts(_: &mut Parts, state: &S) -> Result<Self, Infallible> {
        Ok(Self(HttpCache::from_ref(state).cache().clone()))
    }
}

/// The workspace that the request belongs to, and its response is stored for: by the
/// [`Workspace`](cache_tower::Workspace) rule of the cache around the handler, so that both never
/// disagree (if what the rule reads is settled before the cache: see
/// [`guide::layers`](crate::guide::layers)); where there is none, by that of the [`HttpCache`] in the
/// state.
///
/// As it is, `400 Bad Request` answers a request that has none, or whose name can't be one: empty,
/// given twice, not readable, longer than 256 bytes. As `Option<WorkspaceId>`, only what can't be
/// one; `None` is a request that names none.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct WorkspaceId(
    /// Its name.
    pub String,
);

impl Deref for WorkspaceId {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for WorkspaceId {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

/// `None`: the request names none.
fn workspace(http: &HttpCache, request: &Parts) -> Result<Option<WorkspaceId>, InvalidWorkspace> {
    match http.workspace_of(request) {
        Ok(name) => Ok(name.map(WorkspaceId)),
        Err(WorkspaceError::Missing) => Ok(None),
        Err(error) => Err(InvalidWorkspace { error, place: http.workspace_place(request) }),
    }
}

impl<S: Sync> FromRequestParts<S> for WorkspaceId
where
    HttpCache: FromRef<S>,
{
    type Rejection = WorkspaceRejection;

    async fn from_request_parts(
        request: &mut Parts,
        state: &S,
    ) -> Result<Self, WorkspaceRejection> {
        let http = HttpCache::from_ref(state);
        let missing = || MissingWorkspace { place: http.workspace_place(request) }.into();
        workspace(&http, request)?.ok_or_else(missing)
    }
}

impl<S: Sync> OptionalFromRequestParts<S> for WorkspaceId
where
    HttpCache: FromRef<S>,
{
    type Rejection = InvalidWorkspace;

    async fn from_request_parts(
        request: &mut Parts,
        state: &S,
    ) -> Result<Option<Self>, InvalidWorkspace> {
        workspace(&HttpCache::from_ref(state), request)
    }
}

/// Whether the client asks to skip the cache, and may: by the
/// [rule](cache_tower::HttpCacheBuilder::allow_skip) of the [`HttpCache`]. The response to such a
/// request is neither from the cache nor stored; this is for what a handler caches besides. False
/// where it is not asked for, or not permitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SkipCache(
    /// Whether it does.
    pub bool,
);

impl<S: Sync> FromRequestParts<S> for SkipCache
where
    HttpCache: FromRef<S>,
{
    type Rejection = Infallible;

    async fn from_request_parts(request: &mut Parts, state: &S) -> Result<Self, Infallible> {
        Ok(Self(HttpCache::from_ref(state).is_skip_requested(request)))
    }
}
