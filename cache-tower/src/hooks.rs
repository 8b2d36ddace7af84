//! What an application decides itself: which requests skip the cache, which responses are stored,
//! and for how long.
//!
//! ```
//! use cache_core::Cache;
//! use cache_tower::HttpCache;
//!
//! let http = HttpCache::builder(Cache::builder().build()?)
//!     .skip_cache(|request| request.headers().contains_key("x-preview"))
//!     .should_store(|response| !response.headers.contains_key("x-partial-data"))
//!     .build();
//! # Ok::<(), cache_core::Error>(())
//! ```

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::{Extensions, HeaderMap, Method, Uri, response};

use crate::config::HttpCacheBuilder;
use crate::flow::fetch::Arrival;
use crate::options::millis;
use crate::policy::{NoStore as Refusal, StoreRules};
use crate::tags::CacheTags;

/// Put into the extensions of a response by the service inside: it is not stored.
///
/// ```
/// use cache_tower::NoStore;
/// use http::Response;
///
/// let mut response = Response::new("half of it");
/// response.extensions_mut().insert(NoStore);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoStore;

/// Put into the extensions of a response by the service inside: it is fresh in this cache for this
/// long, whatever `max-age`, `s-maxage`, `Expires` or a TTL of the layer say. Clients are told
/// nothing of it. What forbids to store a response (`no-store`, `private`, `no-cache`,
/// `Set-Cookie`, ..) still does.
///
/// ```
/// use cache_core::minutes;
/// use cache_tower::CacheTtl;
/// use http::Response;
///
/// let mut response = Response::new("the result of a closed campaign");
/// response.extensions_mut().insert(CacheTtl(minutes(60)));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheTtl(
    /// From the reception of the response.
    pub Duration,
);

/// A request, as functions of the application see it.
#[derive(Clone, Copy, Debug)]
pub struct RequestHead<'r> {
    method: &'r Method,
    uri: &'r Uri,
    headers: &'r HeaderMap,
    extensions: &'r Extensions,
}

impl<'r> RequestHead<'r> {
    pub(crate) fn new(
        method: &'r Method,
        uri: &'r Uri,
        headers: &'r HeaderMap,
        extensions: &'r Extensions,
    ) -> Self {
        Self { method, uri, headers, extensions }
    }

    /// `GET` or `HEAD`; `QUERY` where responses to it are stored.
    pub fn method(&self) -> &'r Method {
        self.method
    }

    /// As the router first saw it: within a nested router of axum with the whole path.
    pub fn uri(&self) -> &'r Uri {
        self.uri
    }

    /// The headers of the request.
    pub fn headers(&self) -> &'r HeaderMap {
        self.headers
    }

    /// What earlier layers have put into the request.
    pub fn extensions(&self) -> &'r Extensions {
        self.extensions
    }
}

type Skip = dyn Fn(&RequestHead<'_>) -> bool + Send + Sync;
type RouteTags = dyn Fn(&RequestHead<'_>) -> CacheTags + Send + Sync;
type ShouldStore = dyn Fn(&response::Parts) -> bool + Send + Sync;

/// The functions of one cache, or of one layer.
#[derive(Clone, Default)]
pub(crate) struct Hooks {
    pub(crate) skip: Option<Arc<Skip>>,
    pub(crate) should_store: Option<Arc<ShouldStore>>,
    pub(crate) tags: Option<Arc<RouteTags>>,
}

impl Hooks {
    pub(crate) fn skips(&self, request: &RequestHead<'_>) -> bool {
        self.skip.as_ref().is_some_and(|skip| skip(request))
    }

    /// Those of all responses to requests like this one.
    pub(crate) fn tags(&self, request: &RequestHead<'_>) -> CacheTags {
        self.tags.as_ref().map(|tags| tags(request)).unwrap_or_default()
    }

    pub(crate) fn refuses(&self, response: &response::Parts) -> bool {
        self.should_store.as_ref().is_some_and(|should_store| !should_store(response))
    }
}

impl Arrival<'_> {
    /// By which rules a response with these extensions may be stored.
    pub(crate) fn rules(&self, told: &Extensions) -> Result<Cow<'_, StoreRules>, Refusal> {
        if told.get::<NoStore>().is_some() {
            return Err(Refusal::Handler);
        }
        let mut rules = Cow::Borrowed(&self.ask.site.store);
        if rules.credentials_shared && !self.ask.shares_credentials() {
            rules.to_mut().credentials_shared = false;
        }
        if let Some(CacheTtl(ttl)) = told.get::<CacheTtl>() {
            rules.to_mut().told_ttl = Some(millis(*ttl));
        }
        Ok(rules)
    }

    /// Whether the application does not want it stored.
    pub(crate) fn is_refused(&self, response: &response::Parts) -> bool {
        self.ask.site.hooks.refuses(response) || self.ask.shared.options.hooks.refuses(response)
    }
}

impl fmt::Debug for Hooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hooks")
            .field("skip", &self.skip.is_some())
            .field("should_store", &self.should_store.is_some())
            .field("tags", &self.tags.is_some())
            .finish()
    }
}

impl HttpCacheBuilder {
    /// Which requests go past the cache: neither answered from it nor stored. Asked of `GET` and
    /// `HEAD` only (also of `QUERY` where responses to it are stored, and, with
    /// [`store_posts`](Self::store_posts), of the `GET` that a `POST` would answer); what other
    /// methods change is invalidated whatever this says.
    pub fn skip_cache(
        mut self,
        skip: impl Fn(&RequestHead<'_>) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.options.hooks.skip = Some(Arc::new(skip));
        self
    }

    /// Which of the responses that may be stored are stored. What forbids to store a response comes
    /// before this.
    pub fn should_store(
        mut self,
        should_store: impl Fn(&response::Parts) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.options.hooks.should_store = Some(Arc::new(should_store));
        self
    }
}
