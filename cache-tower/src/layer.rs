//! The layer and its service.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderValue, Request, Response};
use http_body::Body;
use tower::{Layer, Service};

use crate::body::{BoxError, CacheBody};
use crate::config::{HttpCache, Shared};
use crate::effects;
use crate::flow::entrance::{Entrance, enter};
use crate::flow::nested::Mark;
use crate::flow::{fill, post, query, refresh};
use crate::future::ResponseFuture;
use crate::hooks::Hooks;
use crate::policy::{StoreRules, is_safe};
use crate::report::passed::Passed;
use crate::request::key::Site;
use crate::routes::policy::RoutePolicy;
use crate::routes::table::{Never, Ruling};
use crate::routes::template::TagTemplate;

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
    site: Site,
    policy: RoutePolicy,
    places: Arc<Places>,
}

/// By what the requests of one layer are treated.
#[derive(Debug)]
struct Places {
    /// The cache is there as long as its layers are.
    _http: HttpCache,
    own: Place,
    /// What the table of the cache says of some of them, by its numbers.
    routes: Box<[Option<Place>]>,
}

/// By what a request is treated: the settings of the cache, and what a layer adds to them.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) shared: Arc<Shared>,
    pub(crate) site: Arc<SiteRules>,
}

/// What one layer adds to the settings of its cache; but for what is part of keys.
#[derive(Debug)]
pub(crate) struct SiteRules {
    pub(crate) site: Site,
    pub(crate) store: StoreRules,
    pub(crate) hooks: Hooks,
    pub(crate) tags: Vec<TagTemplate>,
    /// Of the route that this is a rule for.
    pub(crate) path: Option<Arc<str>>,
    /// The `Cache-Control` that clients are sent.
    pub(crate) client: Option<HeaderValue>,
    pub(crate) generate_etags: bool,
    /// Whether it was told that a tag has a hole without a value.
    pub(crate) warned: AtomicBool,
}

impl CacheLayer {
    /// Stores what the origin's headers allow, for as long as they say, and, of the routes that
    /// have a [`policy`](crate::HttpCacheBuilder::route), what that allows.
    pub fn new(http: &HttpCache) -> Self {
        Self::with(http, Site::Layer, RoutePolicy::as_told())
    }

    /// As [`new`](Self::new), for one route, by a policy of its own: for the TTL, responses without
    /// a lifetime of their own are fresh in this cache. (Those with `Cache-Control: max-age` or the
    /// like keep theirs.) What clients are told is left alone. Under another cache layer this one
    /// wins.
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
    pub fn endpoint(http: &HttpCache, policy: impl Into<RoutePolicy>) -> Self {
        Self::with(http, Site::Endpoint, policy.into())
    }

    /// With something more said of its policy.
    pub(crate) fn changed(mut self, change: impl FnOnce(&mut RoutePolicy)) -> Self {
        change(&mut self.policy);
        Self::with(&self.http, self.site, self.policy)
    }

    fn with(http: &HttpCache, site: Site, policy: RoutePolicy) -> Self {
        let own = policy.place(http, site);
        let table = http.shared.table.iter().filter(|_| site == Site::Layer);
        let rules = table.flat_map(|table| table.policies());
        let routes = rules.map(|rule| Some(rule?.place(http, site))).collect();
        let places = Arc::new(Places { _http: http.clone(), own, routes });
        Self { http: http.clone(), site, policy, places }
    }
}

impl<S> Layer<S> for CacheLayer {
    type Service = CacheService<S>;

    fn layer(&self, inner: S) -> CacheService<S> {
        CacheService { inner, places: Arc::clone(&self.places) }
    }
}

impl Places {
    /// What a request is treated by, and whether it is never cached.
    fn of<B>(&self, request: &Request<B>, is_nested: bool) -> (&Place, bool) {
        let Some(table) = &self.own.shared.table else { return (&self.own, false) };
        let is_counted = is_nested && Passed::is_by_table(request.extensions(), table);
        match table.ruling(request, self.own.site.site, !is_counted) {
            Ruling::None => (&self.own, false),
            Ruling::Never => (&self.own, true),
            Ruling::Policy(number) => {
                let place = self.routes.get(number).and_then(Option::as_ref);
                (place.unwrap_or(&self.own), false)
            }
        }
    }
}

/// Answers from the cache, or calls the service inside.
///
/// Always ready: a service inside that is not must not hold up hits. On a miss a clone of it is
/// driven to readiness, and that same clone is called.
#[derive(Clone)]
pub struct CacheService<S> {
    inner: S,
    places: Arc<Places>,
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
        self.places.own.shared.options.key.forwarded.strip(request.headers_mut());
        let is_nested = Mark::is_in(request.extensions());
        let is_settled = is_nested && Never::is_in(request.extensions());
        if is_settled && is_safe(request.method()) {
            return ResponseFuture::plain(self.inner.clone(), request);
        }
        if is_nested {
            Mark::claim(request.extensions());
        }
        let (Place { shared, site }, is_never) = self.places.of(&request, is_nested);
        if is_never {
            request.extensions_mut().insert(Never);
        }
        match enter(shared, site, &request, is_never || is_settled) {
            Entrance::Answered(response) => ResponseFuture::ready(response),
            Entrance::Stale(response, refresh) => {
                if let Some((ask, refreshing)) = refresh {
                    refresh::spawn(ask, self.inner.clone(), request, refreshing);
                }
                ResponseFuture::ready(response)
            }
            Entrance::Past(decision) => {
                ResponseFuture::past(shared, self.inner.clone(), request, decision)
            }
            Entrance::Unsafe(target) => ResponseFuture::to_the_end(
                shared,
                effects::forward(Arc::clone(shared), self.inner.clone(), request, target),
            ),
            Entrance::Post(ask, reach) => {
                let task = post::forward(ask, reach, self.inner.clone(), request);
                ResponseFuture::to_the_end(shared, task)
            }
            Entrance::Query(query) => {
                let (own, site) = (Arc::clone(shared), Arc::clone(site));
                let fetching = Arc::clone(&query.fetching);
                let task = query::serve(own, site, self.inner.clone(), request, query);
                ResponseFuture::fetching(shared, fetching, task)
            }
            Entrance::Lookup(ask) => {
                let fetching = Arc::clone(&ask.fetching);
                let inner = self.inner.clone();
                ResponseFuture::fetching(shared, fetching, fill::serve(ask, inner, request))
            }
        }
    }
}
