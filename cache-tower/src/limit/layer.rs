//! The layer, and what it can be told.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use cache_core::{Key, RateLimiter, Unavailable};
use http::{Extensions, HeaderValue, Request};
use tower::Layer;

use super::client::{self, TrustedProxies};
use super::fields::{policy, quoted};
use super::service::RateLimitService;
use crate::config::{HttpCache, Shared};
use crate::hooks::RequestHead;
use crate::request::key::original_uri;
use crate::request::partition::Resolved;

/// Limits how many requests are served in a window: counted by workspace, client address, or what a
/// function says. Those over the limit are answered with 429, as problem details (RFC 9457) with
/// `Retry-After` and `Cache-Control: no-store`, and the service inside does not see them.
///
/// Every response says in `RateLimit-Policy` what the limit is, and in `RateLimit` what is left of it
/// (draft-ietf-httpapi-ratelimit-headers); several limiters each add their own. No cache of this
/// crate stores these fields, wherever it stands, so nobody is told what is left to another.
///
/// The workspace is found as the cache finds it. Outside a [`CacheLayer`](crate::CacheLayer) all
/// requests count; inside, only those that the cache lets through. [`RateLimiter`] says how it is
/// counted, and what happens when the store is away; the wait for it is part of what one request may
/// wait for the cache at all.
///
/// ```
/// use bytes::Bytes;
/// use cache_core::{Cache, minutes};
/// use cache_tower::{HttpCache, RateLimitLayer, Workspace};
/// use http::{Request, Response, StatusCode};
/// use http_body_util::Full;
/// use tower::{ServiceBuilder, ServiceExt, service_fn};
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let cache = Cache::builder().build()?;
/// let http = HttpCache::builder(cache).workspace(Workspace::header("x-workspace-id")).build();
/// let service = ServiceBuilder::new()
///     .layer(RateLimitLayer::new(&http, "api", 1, minutes(1)))
///     .service(service_fn(async |_: Request<Full<Bytes>>| {
///         Ok::<_, http::Error>(Response::new(Full::<Bytes>::from("hi")))
///     }));
///
/// let request = |workspace| {
///     let request = Request::get("/").header("x-workspace-id", workspace);
///     service.clone().oneshot(request.body(Full::<Bytes>::default()).unwrap())
/// };
/// let first = request("ws1").await?;
/// assert_eq!(first.headers()["ratelimit-policy"], "\"api\";q=1;w=60");
/// assert_eq!(first.headers()["ratelimit"], "\"api\";r=0;t=60");
/// let second = request("ws1").await?;
/// assert_eq!(second.status(), StatusCode::TOO_MANY_REQUESTS);
/// assert!(second.headers().contains_key("retry-after"));
/// assert_eq!(request("ws2").await?.status(), StatusCode::OK);
/// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct RateLimitLayer {
    rule: Rule,
}

/// What one layer counts, and against what.
#[derive(Clone)]
pub(super) struct Rule {
    pub(super) shared: Arc<Shared>,
    pub(super) limiter: RateLimiter,
    /// The name, as it stands in fields.
    pub(super) quoted: String,
    pub(super) limit: u64,
    pub(super) window: Duration,
    /// `RateLimit-Policy`.
    pub(super) policy: Option<HeaderValue>,
    pub(super) cost: u64,
    by: By,
    peer: Arc<Peer>,
    pub(super) without_key: WithoutKey,
}

/// Whom a request is counted for.
#[derive(Clone)]
enum By {
    All,
    Workspace,
    Ip(TrustedProxies),
    Function(Arc<Function>),
}

type Function = dyn Fn(&RequestHead<'_>) -> Option<Key> + Send + Sync;
type Peer = dyn Fn(&Extensions) -> Option<IpAddr> + Send + Sync;

/// What happens to requests of which nothing tells whom to count them for: the workspace is missing
/// where there has to be one, or can't be read; the address of the peer is not known; the function
/// says `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum WithoutKey {
    /// They are counted together.
    #[default]
    Share,
    /// They are served, uncounted.
    Allow,
    /// They are refused, with 403.
    Deny,
}

impl RateLimitLayer {
    /// At most `limit` requests of a workspace in a `window`. Layers with one name (of caches with one
    /// prefix and store) count together; clients see the name. Requests that belong to no workspace
    /// where none is needed ([`Workspace`](crate::Workspace)) are counted together, too.
    pub fn new(http: &HttpCache, name: &str, limit: u64, window: Duration) -> Self {
        let quoted = quoted(name);
        let rule = Rule {
            shared: Arc::clone(&http.shared),
            limiter: http.cache().rate_limiter(name),
            policy: policy(&quoted, limit, window),
            quoted,
            limit,
            window,
            cost: 1,
            by: By::Workspace,
            peer: Arc::new(peer_in_extensions),
            without_key: WithoutKey::default(),
        };
        Self { rule }
    }

    /// For each workspace, as the cache finds it. The default.
    #[must_use]
    pub fn by_workspace(self) -> Self {
        self.counted(By::Workspace)
    }

    /// For each client address; of IPv6, for each network of 64 bits. Behind proxies, the address that
    /// those among them say that are trusted.
    ///
    /// The address of the peer is an extension of the request, of type [`SocketAddr`] or [`IpAddr`],
    /// or what [`peer`](Self::peer) finds.
    #[must_use]
    pub fn by_ip(self, proxies: TrustedProxies) -> Self {
        self.counted(By::Ip(proxies))
    }

    /// For each key that a function gives; `None`: nothing tells whom to count it for.
    ///
    /// ```
    /// use cache_core::{Cache, minutes};
    /// use cache_tower::{HttpCache, RateLimitLayer, WithoutKey};
    ///
    /// let http = HttpCache::builder(Cache::builder().build()?).build();
    /// let by_api_key = RateLimitLayer::new(&http, "keys", 1000, minutes(1))
    ///     .by(|request| request.headers().get("x-api-key")?.to_str().ok().map(str::to_owned))
    ///     .without_key(WithoutKey::Deny);
    /// # Ok::<(), cache_core::Error>(())
    /// ```
    #[must_use]
    pub fn by<K: Into<Key>>(
        self,
        key: impl Fn(&RequestHead<'_>) -> Option<K> + Send + Sync + 'static,
    ) -> Self {
        self.counted(By::Function(Arc::new(move |request| key(request).map(Into::into))))
    }

    /// For all together.
    #[must_use]
    pub fn for_all(self) -> Self {
        self.counted(By::All)
    }

    /// Where the address of the peer is found, for [`by_ip`](Self::by_ip).
    #[must_use]
    pub fn peer(
        mut self,
        peer: impl Fn(&Extensions) -> Option<IpAddr> + Send + Sync + 'static,
    ) -> Self {
        self.rule.peer = Arc::new(peer);
        self
    }

    /// What happens where nothing tells whom to count a request for. Default: such requests share a
    /// limit.
    #[must_use]
    pub fn without_key(mut self, then: WithoutKey) -> Self {
        self.rule.without_key = then;
        self
    }

    /// How many units a request takes. Default: one.
    #[must_use]
    pub fn cost(mut self, units: u64) -> Self {
        self.rule.cost = units;
        self
    }

    /// Evenly, rather than all at the end of a window: see [`RateLimiter::gcra`].
    #[must_use]
    pub fn gcra(mut self) -> Self {
        self.rule.limiter = self.rule.limiter.gcra();
        self
    }

    /// Evenly, and so many at once: see [`RateLimiter::burst`].
    #[must_use]
    pub fn burst(mut self, units: u64) -> Self {
        self.rule.limiter = self.rule.limiter.burst(units);
        self
    }

    /// What happens when the store can't be asked. Default: each process counts for itself.
    #[must_use]
    pub fn when_unavailable(mut self, then: Unavailable) -> Self {
        self.rule.limiter = self.rule.limiter.when_unavailable(then);
        self
    }

    /// When the store can't be asked, all are served.
    #[must_use]
    pub fn fail_open(self) -> Self {
        self.when_unavailable(Unavailable::Allow)
    }

    /// When the store can't be asked, nobody is served: 503.
    #[must_use]
    pub fn fail_closed(self) -> Self {
        self.when_unavailable(Unavailable::Deny)
    }

    fn counted(mut self, by: By) -> Self {
        self.rule.by = by;
        self
    }
}

impl Rule {
    /// Whom a request is counted for.
    pub(super) fn key<B>(&self, request: &Request<B>) -> Option<Key> {
        let (headers, extensions) = (request.headers(), request.extensions());
        match &self.by {
            By::All => Some(nobody()),
            By::Workspace => Some(match self.shared.workspace.resolve(headers, extensions)? {
                Resolved::Workspace(name) => Key::workspace(name),
                Resolved::Shared => Key::shared(),
            }),
            By::Ip(proxies) => Some(client::key(proxies.client((self.peer)(extensions)?, headers))),
            By::Function(key) => {
                let uri = original_uri(request.uri(), extensions);
                key(&RequestHead::new(request.method(), uri, headers, extensions))
            }
        }
    }
}

/// Of those who are counted together for want of a key; no other is rendered like this.
pub(super) fn nobody() -> Key {
    Key::from_segments::<&str>([])
}

fn peer_in_extensions(extensions: &Extensions) -> Option<IpAddr> {
    let socket = extensions.get::<SocketAddr>().map(SocketAddr::ip);
    socket.or_else(|| extensions.get::<IpAddr>().copied())
}

impl<S> Layer<S> for RateLimitLayer {
    type Service = RateLimitService<S>;

    fn layer(&self, inner: S) -> RateLimitService<S> {
        RateLimitService::new(inner, Arc::new(self.rule.clone()))
    }
}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rule")
            .field("limiter", &self.limiter)
            .field("limit", &self.limit)
            .field("window", &self.window)
            .field("by", &self.by)
            .field("without_key", &self.without_key)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for By {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Workspace => f.write_str("workspace"),
            Self::Ip(proxies) => f.debug_tuple("ip").field(proxies).finish(),
            Self::Function(_) => f.write_str("function"),
        }
    }
}
