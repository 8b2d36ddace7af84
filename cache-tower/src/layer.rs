//! The layer and its service.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::Body;
use tower::{Layer, Service};

use crate::body::{BoxError, CacheBody};
use crate::config::{HttpCache, Shared};
use crate::flow::entrance::{Entrance, enter};
use crate::flow::{fill, post, query, refresh};
use crate::future::ResponseFuture;
use crate::hooks::Hooks;
use crate::invalidate;
use crate::options::{millis, storable_statuses, whole_seconds};
use crate::policy::{Assigned, Millis, StoreRules};
use crate::request::key::Site;

/// Caches the responses of the service inside by what their headers allow (RFC 9111).
///
/// Requests with `Authorization` are given a stored response only if the origin said that it is
/// for all (`public`, `s-maxage` or `must-revalidate`: RFC 9111 §3.5), and what they are answered
/// is stored only then. [`share_within_workspace`](crate::HttpCacheBuilder::share_within_workspace)
/// lifts that.
///
/// ```
/// use bytes::Bytes;
/// use cache_core::Cache;
/// use cache_tower::{CacheLayer, HttpCache};
/// use http::{Request, Response};
/// use http_body_util::Full;
/// use tower::{ServiceBuilder, ServiceExt, service_fn};
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let http = HttpCache::builder(Cache::builder().build()?).build();
/// let service = ServiceBuilder::new().layer(CacheLayer::new(&http)).service(service_fn(
///     async |_: Request<Full<Bytes>>| {
///         let body = Full::from("hello");
///         Response::builder().header("cache-control", "max-age=60").body(body)
///     },
/// ));
///
/// let request = || Request::get("/greeting").body(Full::<Bytes>::default()).unwrap();
/// let miss = service.clone().oneshot(request()).await?;
/// assert_eq!(miss.headers()["cache-status"], "cache-tower; fwd=uri-miss; stored");
/// # http_body_util::BodyExt::collect(miss.into_body()).await?;
/// let hit = service.clone().oneshot(request()).await?;
/// assert_eq!(hit.headers()["cache-status"], "cache-tower; hit");
/// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct CacheLayer {
    http: HttpCache,
    site: Arc<SiteRules>,
}

/// What one layer adds to the settings of its cache.
#[derive(Clone, Debug)]
pub(crate) struct SiteRules {
    pub(crate) site: Site,
    pub(crate) store: StoreRules,
    pub(crate) hooks: Hooks,
}

impl CacheLayer {
    /// Stores what the origin's headers allow, for as long as they say.
    pub fn new(http: &HttpCache) -> Self {
        Self::with(http, Site::Layer, None)
    }

    /// As [`new`](Self::new), for one route: responses without a lifetime of their own are fresh
    /// for `ttl` in this cache. (Those with `Cache-Control: max-age` or the like keep theirs.)
    /// What clients are told is left alone. Under another cache layer this one wins.
    pub fn endpoint(http: &HttpCache, ttl: Duration) -> Self {
        Self::with(http, Site::Endpoint, Some(millis(ttl)))
    }

    /// Which statuses take the TTL of an [`endpoint`](Self::endpoint). Default: 200, 203, 204, 300,
    /// 301 and 308.
    ///
    /// ```
    /// use cache_core::{Cache, minutes, seconds};
    /// use cache_tower::{CacheLayer, HttpCache};
    /// use http::StatusCode;
    ///
    /// let http = HttpCache::builder(Cache::builder().build()?).build();
    /// let layer = CacheLayer::endpoint(&http, minutes(5))
    ///     .statuses([StatusCode::OK, StatusCode::FOUND])
    ///     .negative_ttl(seconds(10));
    /// # Ok::<(), cache_core::Error>(())
    /// ```
    ///
    /// # Panics
    /// If one of them is an error that is stored only if the origin says for how long (see
    /// [`negative_statuses`](crate::HttpCacheBuilder::negative_statuses)).
    #[must_use]
    pub fn statuses(mut self, statuses: impl IntoIterator<Item = StatusCode>) -> Self {
        self.rules().store.assigned.statuses = storable_statuses(statuses);
        self
    }

    /// As [`HttpCacheBuilder::negative_ttl`](crate::HttpCacheBuilder::negative_ttl), for this layer.
    #[must_use]
    pub fn negative_ttl(mut self, ttl: Duration) -> Self {
        self.rules().store.assigned.negative_ttl = Some(millis(ttl));
        self
    }

    /// As [`HttpCacheBuilder::grace`](crate::HttpCacheBuilder::grace), for this layer.
    #[must_use]
    pub fn grace(mut self, grace: Duration) -> Self {
        self.rules().store.grace = Some(whole_seconds(grace));
        self
    }

    /// To be changed while the layer is made.
    pub(crate) fn rules(&mut self) -> &mut SiteRules {
        Arc::make_mut(&mut self.site)
    }

    fn with(http: &HttpCache, site: Site, assigned_ttl: Option<Millis>) -> Self {
        let store = StoreRules {
            assigned: Assigned { ttl: assigned_ttl, ..http.shared.options.assigned.clone() },
            credentials_shared: http.shared.share_credentials,
            ignore_request_directives: http.shared.options.ignore_request_directives,
            strip_set_cookie: http.shared.strip_set_cookie,
            heuristic: http.shared.options.heuristic,
            grace: http.shared.options.grace,
            max_ttl: None,
            targets: http.shared.targets.clone(),
            told_ttl: None,
        };
        Self {
            http: http.clone(),
            site: Arc::new(SiteRules { site, store, hooks: Hooks::default() }),
        }
    }
}

impl<S> Layer<S> for CacheLayer {
    type Service = CacheService<S>;

    fn layer(&self, inner: S) -> CacheService<S> {
        let shared = Arc::clone(&self.http.shared);
        CacheService { inner, shared, site: Arc::clone(&self.site) }
    }
}

/// Answers from the cache, or calls the service inside.
///
/// Always ready: a service inside that is not must not hold up hits. On a miss a clone of it is
/// driven to readiness, and that same clone is called.
#[derive(Clone)]
pub struct CacheService<S> {
    inner: S,
    shared: Arc<Shared>,
    site: Arc<SiteRules>,
}

impl<S: fmt::Debug> fmt::Debug for CacheService<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CacheService").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl<S, ReqB, ResB> Service<Request<ReqB>> for CacheService<S>
where
    S: Service<Request<ReqB>, Response = Response<ResB>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
    ReqB: Body + Send + 'static,
    ResB: Body<Data = Bytes> + Send + 'static,
    ResB::Error: Into<BoxError>,
{
    type Response = Response<CacheBody<ResB>>;
    type Error = S::Error;
    type Future = ResponseFuture<S, ReqB, ResB>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<ReqB>) -> Self::Future {
        // Here, so that there is no way to the service inside on which it sees them.
        self.shared.options.key.forwarded.strip(request.headers_mut());
        match enter(&self.shared, &self.site, &request) {
            Entrance::Answered(response) => ResponseFuture::ready(response),
            Entrance::Stale(response, refresh) => {
                if let Some((ask, refreshing)) = refresh {
                    refresh::spawn(ask, self.inner.clone(), request, refreshing);
                }
                ResponseFuture::ready(response)
            }
            Entrance::Past(decision) => {
                ResponseFuture::past(&self.shared, self.inner.clone(), request, decision)
            }
            Entrance::Unsafe(target) => ResponseFuture::to_the_end(
                &self.shared,
                invalidate::forward(Arc::clone(&self.shared), self.inner.clone(), request, target),
            ),
            Entrance::Post(ask) => {
                let task = post::forward(ask, self.inner.clone(), request);
                ResponseFuture::to_the_end(&self.shared, task)
            }
            Entrance::Query(query) => {
                let (shared, site) = (Arc::clone(&self.shared), Arc::clone(&self.site));
                let fetching = Arc::clone(&query.fetching);
                let task = query::serve(shared, site, self.inner.clone(), request, query);
                ResponseFuture::fetching(&self.shared, fetching, task)
            }
            Entrance::Lookup(ask) => {
                let fetching = Arc::clone(&ask.fetching);
                let inner = self.inner.clone();
                ResponseFuture::fetching(&self.shared, fetching, fill::serve(ask, inner, request))
            }
        }
    }
}
