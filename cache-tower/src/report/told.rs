//! What `Cache-Status` says beside the decision: the status that the origin gave, and, where an
//! application asks for them, `ttl` and `key` (RFC 9211 §2.3, §2.4, §2.7).
//!
//! ```
//! use cache_core::Cache;
//! use cache_tower::HttpCache;
//!
//! // cache-tower; hit; ttl=57
//! let http = HttpCache::builder(Cache::builder().build()?).cache_status_ttl().build();
//! # Ok::<(), cache_core::Error>(())
//! ```

use http::{Response, StatusCode};

use crate::config::{HttpCacheBuilder, Shared};
use crate::policy::{Millis, StoredFreshness};
use crate::report::status::Decision;
use crate::stored::CACHE_STATUS;

/// The parameters of one response, beside its decision.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Params<'k> {
    /// What the origin answered; told where the client is given another status.
    pub(crate) fwd_status: Option<StatusCode>,
    pub(crate) ttl: Option<i64>,
    pub(crate) key: Option<&'k str>,
}

/// Which of the optional ones are told.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Told {
    ttl: bool,
    key: bool,
}

impl Params<'_> {
    /// With what the origin answered, if it did.
    pub(crate) fn forwarded(self, status: impl Into<Option<StatusCode>>) -> Self {
        Self { fwd_status: status.into(), ..self }
    }
}

impl Told {
    /// The parameters of a stored response.
    fn of<'k>(self, freshness: &StoredFreshness, now: Millis, key: &'k str) -> Params<'k> {
        Params {
            fwd_status: None,
            ttl: self.ttl.then(|| freshness.ttl_secs(now)),
            key: self.key.then_some(key),
        }
    }
}

impl Shared {
    /// What is told of a response that is stored under this key.
    pub(crate) fn params<'k>(
        &self,
        freshness: &StoredFreshness,
        now: Millis,
        key: &'k str,
    ) -> Params<'k> {
        self.options.told.of(freshness, now, key)
    }

    /// Writes the parameters into a hit, which says by itself that it is one.
    pub(crate) fn tell_hit<B>(
        &self,
        response: &mut Response<B>,
        freshness: &StoredFreshness,
        now: Millis,
        key: &str,
    ) {
        if self.options.told.ttl || self.options.told.key {
            let params = self.params(freshness, now, key);
            self.rewrite(Decision::Hit, params, response);
        }
    }

    /// Puts a decision in the place of the one that a stored response says it is.
    pub(crate) fn rewrite<B>(
        &self,
        decision: Decision,
        params: Params<'_>,
        response: &mut Response<B>,
    ) {
        let value = decision.render(&self.name, params, response.status());
        if let http::header::Entry::Occupied(mut status) =
            response.headers_mut().entry(CACHE_STATUS)
            && let Some(own) = status.iter_mut().last()
        {
            *own = value;
        }
    }
}

impl HttpCacheBuilder {
    /// `Cache-Status` tells for how many seconds a response that is stored stays fresh: `ttl=57`;
    /// less than 0: for how long it has been stale (RFC 9211 §2.4). Costs allocations on hits.
    /// Default: it does not.
    pub fn cache_status_ttl(mut self) -> Self {
        self.options.told.ttl = true;
        self
    }

    /// `Cache-Status` tells the key under which a response is stored, as Redis has it: `key="…"`
    /// (RFC 9211 §2.7). It names the workspace and the prefix, so it is for those who operate the
    /// cache, not for the public. Costs allocations on hits. Default: the key is hidden.
    ///
    /// ```
    /// # use cache_core::Cache;
    /// # use cache_tower::HttpCache;
    /// // cache-tower; hit; key="shop:api_responses:v1:ws1:carts:~9213847d119ab2d35ba8f48b9793f357"
    /// let http = HttpCache::builder(Cache::builder().build()?).cache_status_key().build();
    /// # Ok::<(), cache_core::Error>(())
    /// ```
    pub fn cache_status_key(mut self) -> Self {
        self.options.told.key = true;
        self
    }
}
