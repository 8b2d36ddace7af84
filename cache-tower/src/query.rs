//! Whether responses to QUERY (RFC 10008) are stored, and how the bodies of such requests are read.
//!
//! A cache knows bodies only by their type, which is the service's. So the type is named where the
//! option is set, together with how a body that was read becomes one of that type again.

use std::any::Any;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use http_body::Body;

use crate::body::QueryBody;
use crate::config::HttpCacheBuilder;
use crate::flow::query::{Gathered, gather};

/// How the bodies of QUERY requests are read: a [`Reader`] of their type.
#[derive(Clone)]
pub(crate) struct Queries(Arc<dyn Any + Send + Sync>);

/// Reads bodies of this type.
type Reader<B> = Box<dyn Fn(B) -> Gathering<B> + Send + Sync>;
type Gathering<B> = Pin<Box<dyn Future<Output = Gathered<B>> + Send>>;

impl Queries {
    fn new<B>(
        max_bytes: usize,
        body: impl Fn(QueryBody<B>) -> B + Clone + Send + Sync + 'static,
    ) -> Self
    where
        B: Body<Data = Bytes> + Send + 'static,
    {
        let reader: Reader<B> = Box::new(move |source| {
            let body = body.clone();
            Box::pin(gather(source, max_bytes, body))
        });
        Self(Arc::new(reader))
    }

    /// Whether bodies of this type can be read.
    pub(crate) fn can_read<B: 'static>(&self) -> bool {
        self.0.is::<Reader<B>>()
    }

    /// Reads a body; the body as it was if that can't be done.
    pub(crate) fn read<B: 'static>(&self, body: B) -> Result<Gathering<B>, B> {
        match self.0.downcast_ref::<Reader<B>>() {
            Some(reader) => Ok(reader(body)),
            None => Err(body),
        }
    }
}

impl HttpCacheBuilder {
    /// Responses to QUERY (RFC 10008) are stored, by the rules for GET, and given to requests with
    /// the same content: the same bytes, `Content-Type`, `Content-Encoding`, `Content-Language`
    /// and `Content-Location`. Default: QUERY goes past the cache.
    ///
    /// A body of up to `max_bytes` is read before the service inside is called, which gets it from
    /// memory. A longer one, one that fails, and one with trailers go on as they came, past the
    /// cache; so do requests with `Range`. An unsafe request ends what is stored for all contents
    /// of its URI. They count as variants of it, so where there are many, raise
    /// [`max_variants`](Self::max_variants).
    ///
    /// For services whose requests have axum's `Body`; for others there is
    /// [`query_bodies_with`](Self::query_bodies_with).
    ///
    /// ```
    /// # use cache_core::Cache;
    /// # use cache_tower::HttpCache;
    /// let http = HttpCache::builder(Cache::builder().build()?).query_bodies(64 * 1024).build();
    /// # Ok::<(), cache_core::Error>(())
    /// ```
    #[cfg(feature = "axum")]
    pub fn query_bodies(self, max_bytes: usize) -> Self {
        self.query_bodies_with(max_bytes, axum::body::Body::new::<QueryBody<axum::body::Body>>)
    }

    /// The same for any type of request bodies: `query_bodies` of the feature `axum` is this with
    /// axum's. `body` makes such a body of one that was read, or begun to be read. A cache knows
    /// one type; the last call counts. QUERY requests with other bodies go past it.
    ///
    /// Responses to QUERY (RFC 10008) are then stored, by the rules for GET, and given to requests
    /// with the same content: the same bytes, `Content-Type`, `Content-Encoding`,
    /// `Content-Language` and `Content-Location`. A body of up to `max_bytes` is read before the
    /// service inside is called. A longer one, one that fails, and one with trailers go on as they
    /// came, past the cache.
    ///
    /// ```
    /// use bytes::Bytes;
    /// use cache_core::Cache;
    /// use cache_tower::{BoxError, HttpCache, QueryBody};
    /// use http_body_util::BodyExt;
    /// use http_body_util::combinators::UnsyncBoxBody;
    ///
    /// type Body = UnsyncBoxBody<Bytes, BoxError>;
    ///
    /// let http = HttpCache::builder(Cache::builder().build()?)
    ///     .query_bodies_with(64 * 1024, |body: QueryBody<Body>| body.boxed_unsync())
    ///     .build();
    /// # Ok::<(), cache_core::Error>(())
    /// ```
    pub fn query_bodies_with<B>(
        mut self,
        max_bytes: usize,
        body: impl Fn(QueryBody<B>) -> B + Clone + Send + Sync + 'static,
    ) -> Self
    where
        B: Body<Data = Bytes> + Send + 'static,
    {
        self.options.queries = Some(Queries::new(max_bytes, body));
        self
    }
}

impl fmt::Debug for Queries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queries").finish_non_exhaustive()
    }
}
