//! What handlers ask of a response cache; and, for axum, how they are given it.

use http::request::Parts;

use crate::config::HttpCache;
use crate::hooks::RequestHead;
use crate::report::passed::{CacheStatus, Passed};
use crate::request::key::original_uri;
use crate::request::partition::{Resolved, WorkspaceError};

impl HttpCache {
    /// The workspace that a request belongs to; `None`: to the shared partition. It is the one that
    /// its response is stored for: by the rule of the innermost cache that the request has come
    /// through, or, if it has come through none, by the rule of this one. (As the request is now: what
    /// stands between the cache and its handler must not change whose it is.)
    ///
    /// ```
    /// use cache_core::Cache;
    /// use cache_tower::{HttpCache, Workspace, WorkspaceError};
    /// use http::Request;
    ///
    /// let http = HttpCache::builder(Cache::builder().build()?)
    ///     .workspace(Workspace::header("x-workspace-id"))
    ///     .build();
    /// let (parts, ()) = Request::get("/").header("x-workspace-id", "ws1").body(())?.into_parts();
    /// assert_eq!(http.workspace_of(&parts), Ok(Some("ws1".to_owned())));
    /// let (parts, ()) = Request::get("/").body(())?.into_parts();
    /// assert_eq!(http.workspace_of(&parts), Err(WorkspaceError::Missing));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If the rule wants one and finds none, or finds what is none.
    pub fn workspace_of(&self, request: &Parts) -> Result<Option<String>, WorkspaceError> {
        let found = match Passed::of(&request.extensions) {
            Some(passed) => passed.workspace(&request.headers, &request.extensions),
            None => self.shared.workspace.find(&request.headers, &request.extensions),
        };
        found.map(|found| match found {
            Resolved::Workspace(name) => Some(name.into_owned()),
            Resolved::Shared => None,
        })
    }

    /// Where the workspace of a request is looked for, in words: ``the header `x-workspace-id` ``.
    pub fn workspace_place(&self, request: &Parts) -> String {
        match Passed::of(&request.extensions) {
            Some(passed) => passed.shared().workspace.place(),
            None => self.shared.workspace.place(),
        }
    }

    /// Whether a request asks to [go past the cache](crate::SkipRule), and may; also one that has
    /// come through no cache.
    pub fn is_skip_requested(&self, request: &Parts) -> bool {
        let uri = original_uri(&request.uri, &request.extensions);
        let head = RequestHead::new(&request.method, uri, &request.headers, &request.extensions);
        CacheStatus::of(&request.extensions).is_skipped()
            || self.shared.options.skip.as_ref().is_some_and(|rule| rule.applies(&head))
    }
}
