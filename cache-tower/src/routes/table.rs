//! The table of a router's routes: which are cached by a policy of their own, and which never.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use http::{Extensions, Request};

use crate::config::{HttpCache, HttpCacheBuilder};
use crate::request::key::{Site, original_uri, route};
use crate::routes::paths::Paths;
use crate::routes::policy::RoutePolicy;

/// The rules of one cache, by path.
#[derive(Debug, Default)]
pub(crate) struct Table {
    rules: Vec<Rule>,
    cached: Paths,
    never: Paths,
}

#[derive(Debug)]
struct Rule {
    path: Arc<str>,
    /// `None`: never.
    policy: Option<RoutePolicy>,
    requests: AtomicU64,
}

/// What the table says of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ruling {
    /// Nothing.
    None,
    /// It is cached by the policy of this number.
    Policy(usize),
    /// It is never answered from a cache, nor stored in one.
    Never,
}

/// In the extensions of a request for which a rule says never: caches inside heed it, too.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Never;

impl Never {
    pub(crate) fn is_in(extensions: &Extensions) -> bool {
        extensions.get::<Self>().is_some()
    }
}

impl Table {
    pub(crate) fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// The rules that have a policy, `None` for those that say never.
    pub(crate) fn policies(&self) -> impl Iterator<Item = Option<&RoutePolicy>> {
        self.rules.iter().map(|rule| rule.policy.as_ref())
    }

    /// What is said of a request, which is counted. `counts`: whether there is no layer around this
    /// one that has counted it.
    pub(crate) fn ruling<B>(&self, request: &Request<B>, site: Site, counts: bool) -> Ruling {
        let path = original_uri(request.uri(), request.extensions()).path();
        let route = route(request.extensions());
        let never = route.and_then(|route| self.never.of_route(route));
        let (rule, ruling) = if let Some(rule) = never.or_else(|| self.never.covering(path)) {
            (rule, Ruling::Never)
        } else if site == Site::Layer {
            // What no route has matched (a fallback, a service nested as a whole) is known by its
            // path only.
            let found = match route {
                Some(route) => self.cached.of_route(route),
                None => self.cached.of_path(path),
            };
            let Some(rule) = found else { return Ruling::None };
            (rule, Ruling::Policy(rule))
        } else {
            return Ruling::None;
        };
        if let Some(rule) = self.rules.get(rule).filter(|_| counts) {
            rule.requests.fetch_add(1, Ordering::Relaxed);
        }
        ruling
    }

    fn add(&mut self, path: &str, policy: Option<RoutePolicy>) {
        let number = self.rules.len();
        let paths = if policy.is_some() { &mut self.cached } else { &mut self.never };
        match paths.insert(path, number) {
            Ok(None) => {}
            Ok(Some(_)) => panic!("the route {path:?} has a rule already"),
            Err(error) => panic!("the route {path:?}: {error}"),
        }
        let policy = policy.map(|policy| policy.on_path(path));
        self.rules.push(Rule { path: path.into(), policy, requests: AtomicU64::new(0) });
    }
}

/// A rule of a cache's table, and how often it was met: see [`HttpCache::routes`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RouteUse {
    /// The path, as the table has it.
    pub path: String,
    /// What the rule says.
    pub rule: RouteRule,
    /// How many requests met it, of whatever method, in this process.
    pub requests: u64,
}

/// What a rule says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RouteRule {
    /// Responses are kept by a policy of their own.
    Cached,
    /// None is.
    Never,
}

impl fmt::Display for RouteRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cached => "cached",
            Self::Never => "never",
        })
    }
}

impl HttpCacheBuilder {
    /// The policy of one route, for [`CacheLayer`](crate::CacheLayer) around a whole router: a TTL,
    /// or a [`RoutePolicy`]. It takes the place of what the layer itself was told.
    ///
    /// The path is the whole one as the router has it, the prefixes of `nest` included; what its
    /// parameters are called makes no difference. With axum the route that was matched decides
    /// (`MatchedPath`). Where there is none (a fallback, `nest_service`, a layer around the router
    /// as a whole, any service but axum's), the path itself does, and of several rules the one that
    /// a router would take.
    ///
    /// An inner `cache_endpoint` comes before this, and a [`never`](Self::never) before both.
    ///
    /// ```
    /// use cache_core::{Cache, minutes, seconds};
    /// use cache_tower::{CacheLayer, HttpCache, RoutePolicy};
    ///
    /// let stats = RoutePolicy::new(minutes(5)).tag("campaign:{id}").grace(minutes(1));
    /// let http = HttpCache::builder(Cache::builder().build()?)
    ///     .route("/campaigns/{id}/stats", stats)
    ///     .route("/health/queue", seconds(1))
    ///     .never("/billing/{*rest}")
    ///     .build();
    /// let layer = CacheLayer::new(&http);
    /// # Ok::<(), cache_core::Error>(())
    /// ```
    ///
    /// # Panics
    /// If this is no path, or the path has a policy already; if a tag of the policy has a hole that
    /// is no parameter of the path.
    pub fn route(mut self, path: &str, policy: impl Into<RoutePolicy>) -> Self {
        self.table.add(path, Some(policy.into()));
        self
    }

    /// A route that is never cached: no request for it is answered from this cache, no response
    /// stored, whatever other rules, an inner `cache_endpoint` or `Cache-Control` say; nor by other
    /// caches of this crate that its requests pass further in. Unsafe requests still invalidate.
    /// `Cache-Status` says `detail=never`.
    ///
    /// `{*rest}` covers the path before it, too: `/billing/{*rest}` is also `/billing`. Here the path
    /// of the request counts beside the route that was matched, and in every form that something
    /// inside may take for it: decoded (`/%62illing`), without empty and dot segments. It is the path
    /// as the router first saw it. Where there is no axum it is the one that the layer sees: a
    /// service that takes off a prefix before it reaches the layer hides that from it.
    ///
    /// # Panics
    /// If this is no path, or has been said already.
    pub fn never(mut self, path: &str) -> Self {
        self.table.add(path, None);
        self
    }
}

impl HttpCache {
    /// The rules of [`route`](HttpCacheBuilder::route) and [`never`](HttpCacheBuilder::never), in
    /// the order in which they were given, each with how many requests met it. One that none has
    /// met for long is likely a typo, or of a route that is gone.
    ///
    /// ```
    /// use cache_core::{Cache, minutes};
    /// use cache_tower::HttpCache;
    ///
    /// let http = HttpCache::builder(Cache::builder().build()?).route("/repotrs", minutes(5)).build();
    /// let unmet: Vec<_> = http.routes().into_iter().filter(|rule| rule.requests == 0).collect();
    /// assert_eq!(unmet[0].path, "/repotrs");
    /// # Ok::<(), cache_core::Error>(())
    /// ```
    pub fn routes(&self) -> Vec<RouteUse> {
        let rules = self.shared.table.iter().flat_map(|table| &table.rules);
        let used = |rule: &Rule| RouteUse {
            path: rule.path.to_string(),
            rule: if rule.policy.is_some() { RouteRule::Cached } else { RouteRule::Never },
            requests: rule.requests.load(Ordering::Relaxed),
        };
        rules.map(used).collect()
    }
}
