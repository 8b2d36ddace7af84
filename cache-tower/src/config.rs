//! A response cache and its settings, shared by all layers made from it.
//!
//! ```
//! use cache_core::Cache;
//! use cache_tower::{HttpCache, Workspace};
//!
//! let cache = Cache::builder().prefix("shop").build()?;
//! let http = HttpCache::builder(cache).workspace(Workspace::header("x-workspace-id")).build();
//! # Ok::<(), cache_core::Error>(())
//! ```

use std::sync::Arc;
use std::time::Duration;

use cache_core::{API_RESPONSES, Cache, Flights, Millis, Values};
use http::{HeaderName, HeaderValue, StatusCode};
use tokio::sync::Semaphore;

use crate::flow::fill::Outcome;
use crate::flow::refresh::Refreshes;
use crate::memo::Memo;
use crate::options::Options;
use crate::report::status::{Counters, Decision, HttpStats, render_name};
use crate::report::told::Params;
use crate::request::key::Site;
use crate::request::partition::{Workspace, header_name};
use crate::routes::layers::Layers;
use crate::routes::table::Table;
use crate::stored::Marker;

/// A response cache; cheap to clone. Layers made from the same one share entries and settings.
#[derive(Clone, Debug)]
pub struct HttpCache {
    pub(crate) shared: Arc<Shared>,
}

/// What all layers of one cache share; and what some have of their own, which then are in another
/// of these, made from that of the cache ([`Layers`]).
#[derive(Clone, Debug)]
pub(crate) struct Shared {
    pub(crate) values: Values,
    pub(crate) workspace: Workspace,
    /// As it stands in `Cache-Status`.
    pub(crate) name: String,
    /// The member that tells of a hit, ready to be put into a template.
    pub(crate) hit: HeaderValue,
    pub(crate) key_base: String,
    pub(crate) max_body: usize,
    pub(crate) wait_timeout: Duration,
    pub(crate) share_credentials: bool,
    pub(crate) strip_set_cookie: bool,
    /// How long a response that can be validated is kept when it is no longer fresh.
    pub(crate) keep_stale: Millis,
    pub(crate) refreshes: Refreshes,
    /// Fields that take the place of `Cache-Control` (RFC 9213).
    pub(crate) targets: Vec<HeaderName>,
    pub(crate) options: Options,
    pub(crate) combine_partial: bool,
    pub(crate) flights: Arc<Flights<Outcome>>,
    /// Markers met before, by the hash of the URI's identity: one round trip instead of two.
    pub(crate) markers: Arc<Memo<Arc<Marker>>>,
    /// URIs whose responses could not be stored lately: requests for them don't wait in line.
    pub(crate) uncacheable: Arc<Memo<()>>,
    /// Routes on which an inner cache answers.
    pub(crate) inner_routes: Arc<Memo<()>>,
    /// Those who have waited long enough for another request's fetch.
    pub(crate) impatient: Arc<Semaphore>,
    pub(crate) counters: Arc<Counters>,
    #[cfg(feature = "metrics")]
    pub(crate) decisions: Arc<crate::metrics::Decisions>,
    pub(crate) layers: Arc<Layers>,
    /// Which routes have rules of their own, if any do.
    pub(crate) table: Option<Arc<Table>>,
}

/// How many of those who gave up waiting may ask the origin at once.
const IMPATIENT: usize = 64;
const MARKERS: usize = 16 * 1024;
const UNCACHEABLE: usize = 16 * 1024;
const INNER_ROUTES: usize = 4 * 1024;

impl HttpCache {
    /// Starts to build a response cache that keeps its entries in this cache.
    pub fn builder(cache: Cache) -> HttpCacheBuilder {
        HttpCacheBuilder {
            cache,
            workspace: Workspace::default(),
            namespace: API_RESPONSES.to_owned(),
            name: "cache-tower".to_owned(),
            key_base: String::new(),
            max_body: None,
            wait_timeout: Duration::from_secs(5),
            share_credentials: false,
            strip_set_cookie: false,
            keep_stale: KEEP_STALE,
            targets: Vec::new(),
            options: Options::default(),
            combine_partial: false,
            table: Table::default(),
        }
    }

    /// The cache that holds the entries.
    pub fn cache(&self) -> &Cache {
        self.shared.values.cache()
    }

    /// How many requests met which decision.
    pub fn stats(&self) -> HttpStats {
        self.shared.counters.snapshot()
    }

    /// How many fetches are in progress that other requests may wait for.
    pub fn flights(&self) -> usize {
        self.shared.flights.len()
    }
}

/// Settings of a response cache to be built.
#[derive(Debug)]
#[must_use = "nothing is built until `build` is called"]
pub struct HttpCacheBuilder {
    cache: Cache,
    workspace: Workspace,
    namespace: String,
    name: String,
    key_base: String,
    max_body: Option<usize>,
    wait_timeout: Duration,
    share_credentials: bool,
    strip_set_cookie: bool,
    keep_stale: Duration,
    targets: Vec<HeaderName>,
    pub(crate) options: Options,
    combine_partial: bool,
    pub(crate) table: Table,
}

impl HttpCacheBuilder {
    /// How a request's workspace is found. Default: the header `x-workspace-id`, if there is one.
    pub fn workspace(mut self, workspace: Workspace) -> Self {
        self.workspace = workspace;
        self
    }

    /// The namespace that holds the responses. Default: `api_responses`.
    pub fn namespace(mut self, name: impl Into<String>) -> Self {
        self.namespace = name.into();
        self
    }

    /// How this cache is called in `Cache-Status`. Default: `cache-tower`.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// A path that all routes begin with, left out of the readable part of keys: `/api/v1`.
    pub fn key_base(mut self, path: impl Into<String>) -> Self {
        self.key_base = path.into();
        self
    }

    /// Bodies above this many bytes are not stored. Default: what the namespace takes.
    pub fn max_body(mut self, bytes: usize) -> Self {
        self.max_body = Some(bytes);
        self
    }

    /// How long a request waits for another one's fetch before it goes itself. Default: 5 s.
    pub fn wait_timeout(mut self, timeout: Duration) -> Self {
        self.wait_timeout = timeout;
        self
    }

    /// Requests with credentials (`Authorization`, `Cookie`) share responses with all others of
    /// their workspace. Only where whoever may see a workspace may see all of it. Requests that
    /// belong to no workspace share nothing by this: who is among them nobody can say.
    pub fn share_within_workspace(mut self) -> Self {
        self.share_credentials = true;
        self
    }

    /// Responses that set cookies are stored, without the cookies.
    pub fn strip_set_cookie(mut self) -> Self {
        self.strip_set_cookie = true;
        self
    }

    /// How long a response is kept when it is no longer fresh, so that the origin can be asked
    /// whether it still holds (`ETag`, `Last-Modified`), or be done without while it is away. A
    /// response that can't be validated is kept for about as long as it was fresh. Default: 1 hour;
    /// zero: stale responses are kept only for as long as `stale-while-revalidate` and
    /// `stale-if-error` say.
    pub fn keep_stale(mut self, duration: Duration) -> Self {
        self.keep_stale = duration;
        self
    }

    /// The response fields that speak to this cache in particular, the most particular one first
    /// (RFC 9213). The first that is there, well-formed and not empty takes the place of
    /// `Cache-Control` and `Expires`, also where it allows more: a response with
    /// `Cache-Control: no-store` and `CDN-Cache-Control: max-age=60` is stored. They are passed on
    /// to clients. Default: none.
    ///
    /// ```
    /// use cache_core::Cache;
    /// use cache_tower::HttpCache;
    ///
    /// let http = HttpCache::builder(Cache::builder().build()?)
    ///     .targets(["shop-cache-control", "cdn-cache-control"])
    ///     .build();
    /// # Ok::<(), cache_core::Error>(())
    /// ```
    ///
    /// # Panics
    /// If one of them is no name for a header.
    pub fn targets<N: AsRef<str>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.targets = names.into_iter().map(|name| header_name(name.as_ref())).collect();
        self
    }

    /// Parts of responses (206) are stored too, if they have a strong `ETag`, and put together
    /// where they meet (RFC 9111 §3.4). Of each response one part without gaps is kept; a request
    /// for more goes to the origin as it is. For large files that clients read from the beginning
    /// on, piece by piece. Default: `false`; ranges are cut out of whole responses only.
    ///
    /// ```
    /// # use cache_core::Cache;
    /// # use cache_tower::HttpCache;
    /// let http = HttpCache::builder(Cache::builder().build()?).combine_partial(true).build();
    /// # Ok::<(), cache_core::Error>(())
    /// ```
    pub fn combine_partial(mut self, combine: bool) -> Self {
        self.combine_partial = combine;
        self
    }

    /// Builds the response cache.
    pub fn build(self) -> HttpCache {
        let values = self.cache.namespace(&self.namespace);
        let layers = Arc::<Layers>::default();
        let name = render_name(&self.name);
        let shared = Shared {
            hit: Decision::Hit.render(&name, Params::default(), StatusCode::OK),
            workspace: self.workspace,
            name,
            key_base: self.key_base.trim_end_matches('/').to_owned(),
            max_body: largest_body(&values).min(self.max_body.unwrap_or(usize::MAX)),
            values,
            wait_timeout: self.wait_timeout,
            share_credentials: self.share_credentials,
            strip_set_cookie: self.strip_set_cookie,
            keep_stale: Millis::try_from(self.keep_stale.as_millis()).unwrap_or(Millis::MAX),
            refreshes: Refreshes::default(),
            targets: self.targets,
            options: self.options,
            combine_partial: self.combine_partial,
            flights: Arc::default(),
            markers: Arc::new(Memo::new(MARKERS)),
            uncacheable: Arc::new(Memo::new(UNCACHEABLE)),
            inner_routes: Arc::new(Memo::new(INNER_ROUTES)),
            impatient: Arc::new(Semaphore::new(IMPATIENT)),
            counters: Arc::default(),
            #[cfg(feature = "metrics")]
            decisions: Arc::default(),
            layers: Arc::clone(&layers),
            table: (!self.table.is_empty()).then(|| Arc::new(self.table)),
        };
        let http = HttpCache { shared: layers.intern(shared) };
        // What changes things reaches them, whether or not there is a layer that fills them here.
        for policy in http.shared.table.iter().flat_map(|table| table.policies()).flatten() {
            policy.place(&http, Site::Layer);
        }
        http
    }
}

/// A stored response is its body and its head; the head needs some room.
pub(crate) fn largest_body(values: &Values) -> usize {
    values.max_value_size().saturating_sub(HEAD_ROOM)
}

const KEEP_STALE: Duration = Duration::from_secs(60 * 60);
const HEAD_ROOM: usize = 16 * 1024;
