//! How the responses of one route are cached: what `cache_endpoint` and the table of routes take.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::{HeaderMap, HeaderValue, StatusCode, header};

use crate::config::{HttpCache, Shared, largest_body};
use crate::hooks::{Hooks, RequestHead};
use crate::layer::{Place, SiteRules};
use crate::options::millis;
use crate::policy::{Assigned, Millis, StoreRules};
use crate::request::key::{Site, route};
use crate::request::key_rules::AddedKeyRules;
use crate::request::partition::{Resolved, Workspace};
use crate::routes::paths;
use crate::routes::template::TagTemplate;
use crate::tags::CacheTags;

/// How the responses of a route are cached: what [`HttpCacheBuilder::route`] and
/// `cache_axum::cache_endpoint` take, each with the same words. What is not said is as the cache
/// has it.
///
/// ```
/// use cache_core::{Cache, minutes, seconds};
/// use cache_tower::{HttpCache, RoutePolicy};
/// use http::HeaderName;
///
/// let reports = RoutePolicy::new(minutes(5))
///     .grace(minutes(1))
///     .negative_ttl(seconds(10))
///     .key_query_only(["from", "to"])
///     .key_by_header(HeaderName::from_static("x-currency"))
///     .tag("report:{id}")
///     .client_cache_control("private, max-age=30")
///     .namespace("reports");
/// let http = HttpCache::builder(Cache::builder().build()?)
///     .route("/reports/{id}", reports.clone())
///     .route("/reports/{id}/pages", reports.generate_etags())
///     .build();
/// # Ok::<(), cache_core::Error>(())
/// ```
///
/// [`HttpCacheBuilder::route`]: crate::HttpCacheBuilder::route
#[derive(Clone, Debug, Default)]
pub struct RoutePolicy {
    /// Those of the table know their path.
    path: Option<Arc<str>>,
    ttl: Option<Millis>,
    pub(crate) statuses: Option<Box<[StatusCode]>>,
    pub(crate) negative_ttl: Option<Millis>,
    pub(crate) grace: Option<u32>,
    pub(crate) hooks: Hooks,
    pub(crate) tags: Vec<TagTemplate>,
    pub(crate) key: AddedKeyRules,
    pub(crate) workspace: Option<Workspace>,
    pub(crate) namespace: Option<String>,
    pub(crate) client: Option<HeaderValue>,
    pub(crate) generate_etags: bool,
}

impl From<Duration> for RoutePolicy {
    fn from(ttl: Duration) -> Self {
        Self::new(ttl)
    }
}

impl RoutePolicy {
    /// Responses that do not say themselves for how long they are fresh are so for `ttl`, in this
    /// cache.
    pub fn new(ttl: Duration) -> Self {
        Self { ttl: Some(millis(ttl)), ..Self::default() }
    }

    /// Only responses that say themselves for how long they are fresh are stored, as by
    /// [`CacheLayer::new`](crate::CacheLayer::new).
    pub fn as_told() -> Self {
        Self::default()
    }

    /// # Panics
    /// If a tag has a hole that is no parameter of this path.
    pub(crate) fn on_path(mut self, path: &str) -> Self {
        for tag in &self.tags {
            if let Some(hole) = tag.unknown_hole(path) {
                panic!(
                    "the tag {:?} of the route {path:?}: the path has no parameter {hole:?} of one segment",
                    tag.as_str()
                );
            }
        }
        self.path = Some(path.into());
        self
    }

    /// What it comes to in a layer of this cache.
    ///
    /// # Panics
    /// If it can't be told from other layers: see the words' own pages.
    pub(crate) fn place(&self, http: &HttpCache, site: Site) -> Place {
        let shared = &http.shared;
        let defaults = &shared.options.assigned;
        let assigned = Assigned {
            ttl: self.ttl,
            statuses: self.statuses.clone().unwrap_or_else(|| defaults.statuses.clone()),
            negative_ttl: self.negative_ttl.or(defaults.negative_ttl),
            negative_statuses: defaults.negative_statuses.clone(),
        };
        let store = StoreRules {
            assigned,
            credentials_shared: shared.share_credentials,
            ignore_request_directives: shared.options.ignore_request_directives,
            strip_set_cookie: shared.strip_set_cookie,
            heuristic: shared.options.heuristic,
            grace: self.grace.or(shared.options.grace),
            max_ttl: None,
            targets: shared.targets.clone(),
            told_ttl: None,
        };
        let site = SiteRules {
            site,
            store,
            hooks: self.hooks.clone(),
            tags: self.tags.clone(),
            path: self.path.clone(),
            client: self.client.clone(),
            generate_etags: self.generate_etags || shared.options.generate_etags,
            warned: AtomicBool::new(false),
        };
        Place { shared: self.shared(shared), site: Arc::new(site) }
    }

    /// The settings of the cache, with what keys are made by in this layer.
    fn shared(&self, of: &Arc<Shared>) -> Arc<Shared> {
        let mut own = Shared::clone(of);
        own.options.key = of.options.key.with(&self.key);
        if let Some(workspace) = &self.workspace {
            let Some((kind, _)) = workspace.kind() else {
                panic!(
                    "the workspace of a layer is a function without a name: what it finds could be \
                     taken for what other layers find (see Workspace::named)"
                );
            };
            let is_other = of.workspace.kind().is_none_or(|(other, _)| other != kind);
            own.options.key.workspaces = is_other.then_some(kind);
            own.workspace = workspace.clone();
        }
        if let Some(name) = &self.namespace {
            own.values = of.values.cache().namespace(name);
            let is_usable = own.values.name().is_some();
            assert!(is_usable, "the namespace {name:?} of a layer can't be used");
            // What the application has set holds everywhere.
            let set = (of.max_body < largest_body(&of.values)).then_some(of.max_body);
            own.max_body = largest_body(&own.values).min(set.unwrap_or(usize::MAX));
        }
        of.layers.intern(own)
    }
}

impl SiteRules {
    /// The tags that all responses to requests like this one have.
    pub(crate) fn tags(&self, head: &RequestHead<'_>, partition: &Resolved<'_>) -> CacheTags {
        let mut tags = self.hooks.tags(head);
        let route = self.path.as_deref().or_else(|| route(head.extensions()));
        for template in &self.tags {
            let value = |name: &str| paths::value(route?, head.uri().path(), name);
            let Some(tag) = template.fill(Some(partition), value) else {
                self.warn_once(template);
                continue;
            };
            tags =
                if template.in_workspace { tags.and_in_workspace([tag]) } else { tags.and([tag]) };
        }
        tags
    }

    fn warn_once(&self, tag: &TagTemplate) {
        if !self.warned.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                tag = tag.as_str(),
                "a hole has no value (is the workspace missing?): responses do not get this tag"
            );
        }
    }

    /// Puts what clients are to be told into the headers of a response that is stored, unless it is
    /// an error. By what the origin told this cache (`Age`, `Date`, `Expires`) they would count the
    /// time it has been here.
    pub(crate) fn tell_client(&self, status: StatusCode, headers: &mut HeaderMap) {
        let Some(value) = &self.client else { return };
        // Kept here for seconds; what clients are told is meant for what went well.
        if status.is_client_error() || status.is_server_error() {
            return;
        }
        for name in [header::AGE, header::DATE, header::EXPIRES] {
            headers.remove(name);
        }
        // Fails where the map is at the limit of the http crate; two lines have just gone.
        let _ = headers.try_insert(header::CACHE_CONTROL, value.clone());
    }
}
