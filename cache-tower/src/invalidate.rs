//! [`InvalidateLayer`]: what a route changes.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use cache_core::{Invalidation, Scope, Template};
use http::{Extensions, Request, Response, StatusCode, Uri, response};
use tower::util::Oneshot;
use tower::{Layer, Service};

use crate::body::CacheBody;
use crate::config::{HttpCache, Shared};
use crate::effects::{Unanswered, queue, spend};
use crate::future::ResponseFuture;
use crate::policy::is_safe;
use crate::request::key::{original_uri, route};
use crate::request::partition::{Resolved, Workspace};
use crate::routes::paths;
use crate::routes::template::TagTemplate;

/// Invalidates patterns and tags after the service inside has answered an unsafe request with 2xx
/// or 3xx, or as [`on_statuses`](Self::on_statuses) and [`when`](Self::when) say.
///
/// ```
/// use cache_core::Cache;
/// use cache_tower::{HttpCache, InvalidateLayer};
/// use http::StatusCode;
///
/// let http = HttpCache::builder(Cache::builder().build()?).build();
/// let layer = InvalidateLayer::new(&http, "{workspace_id}:campaigns:*")
///     .and("{workspace_id}:reports:{id}")
///     .tag_in_workspace("campaign:{id}")
///     .soft()
///     .on_statuses([StatusCode::OK, StatusCode::ACCEPTED]);
/// # Ok::<(), cache_core::Error>(())
/// ```
///
/// All of it takes one round trip, and is done or queued before the response is released, even if
/// the client has gone. It reaches the namespaces of all layers of the cache.
///
/// # Holes
/// `{workspace_id}` is the request's workspace; others are parameters of the route (axum's
/// `MatchedPath`), or what [`values`](Self::values) says. Values are literals whatever they hold. A
/// pattern or tag with a hole that has no value (a missing workspace; a parameter that the route
/// does not have) is left out, with a warning of `tracing`; the others are still invalidated. A hole
/// never widens to `*`.
#[derive(Clone, Debug)]
pub struct InvalidateLayer {
    rule: Arc<Rule>,
}

#[derive(Clone)]
struct Rule {
    shared: Arc<Shared>,
    patterns: Vec<Template>,
    tags: Vec<TagTemplate>,
    workspace: Option<Workspace>,
    values: Option<Arc<HoleValues>>,
    soft: bool,
    /// `None`: 2xx and 3xx.
    statuses: Option<Box<[StatusCode]>>,
    when: Option<Arc<When>>,
}

type HoleValues = dyn Fn(&Uri, &Extensions, &str) -> Option<String> + Send + Sync;
type When = dyn Fn(&response::Parts) -> bool + Send + Sync;

impl InvalidateLayer {
    /// Invalidates what this pattern covers, in the namespaces of the responses. The pattern is
    /// declared: stored responses that match it carry a generation, so that it takes one step.
    ///
    /// # Panics
    /// If the pattern is invalid (see [`TemplateError`](cache_core::TemplateError)).
    pub fn new(http: &HttpCache, pattern: &str) -> Self {
        Self::of(http).and(pattern)
    }

    /// Invalidates what has this tag, with holes as in [`RoutePolicy::tag`]: a global one.
    ///
    /// ```
    /// # use cache_core::Cache;
    /// # use cache_tower::{HttpCache, InvalidateLayer};
    /// # let http = HttpCache::builder(Cache::builder().build()?).build();
    /// let layer = InvalidateLayer::tagged(&http, "campaign:{id}");
    /// # Ok::<(), cache_core::Error>(())
    /// ```
    ///
    /// # Panics
    /// If this is no template of a tag.
    ///
    /// [`RoutePolicy::tag`]: crate::RoutePolicy::tag
    pub fn tagged(http: &HttpCache, template: &str) -> Self {
        Self::of(http).tag(template)
    }

    fn of(http: &HttpCache) -> Self {
        let rule = Rule {
            shared: Arc::clone(&http.shared),
            patterns: Vec::new(),
            tags: Vec::new(),
            workspace: None,
            values: None,
            soft: false,
            statuses: None,
            when: None,
        };
        Self { rule: Arc::new(rule) }
    }

    /// What this pattern covers, too.
    ///
    /// # Panics
    /// As [`new`](Self::new).
    #[must_use]
    pub fn and(self, pattern: &str) -> Self {
        let template = match Template::parse(pattern) {
            Ok(template) => template,
            Err(error) => panic!("the pattern {pattern:?}: {error}"),
        };
        self.rule.shared.layers.declare(&template);
        self.changed(|rule| rule.patterns.push(template))
    }

    /// What has this tag, too: a global one.
    ///
    /// # Panics
    /// As [`tagged`](Self::tagged).
    #[must_use]
    pub fn tag(self, template: &str) -> Self {
        let template = TagTemplate::new(template, false);
        self.changed(|rule| rule.tags.push(template))
    }

    /// What has this tag of the request's workspace, too.
    ///
    /// # Panics
    /// As [`tagged`](Self::tagged).
    #[must_use]
    pub fn tag_in_workspace(self, template: &str) -> Self {
        let template = TagTemplate::new(template, true);
        self.changed(|rule| rule.tags.push(template))
    }

    /// Softly: what is invalidated becomes stale rather than invalid, and may be used within its
    /// grace while it is fetched anew. See
    /// [`Invalidation::soft`](cache_core::Invalidation::soft).
    #[must_use]
    pub fn soft(self) -> Self {
        self.changed(|rule| rule.soft = true)
    }

    /// After which statuses. Default: 2xx and 3xx, those that are no errors (RFC 9111 §4.4).
    #[must_use]
    pub fn on_statuses(self, statuses: impl IntoIterator<Item = StatusCode>) -> Self {
        let statuses = statuses.into_iter().collect();
        self.changed(|rule| rule.statuses = Some(statuses))
    }

    /// After which responses, among those with these statuses: a handler that has changed nothing
    /// may say so in an extension, say. Not asked where there is no response to ask about (a client
    /// that has left before there was one): nobody knows then what has changed, so it goes.
    #[must_use]
    pub fn when(self, when: impl Fn(&response::Parts) -> bool + Send + Sync + 'static) -> Self {
        self.changed(|rule| rule.when = Some(Arc::new(when)))
    }

    /// How the request's workspace is found, where it is not as in the whole cache.
    #[must_use]
    pub fn workspace(self, workspace: Workspace) -> Self {
        self.changed(|rule| rule.workspace = Some(workspace))
    }

    /// Where the values of holes come from that are not parameters of the route: the URI as the
    /// router first saw it, the request's extensions, and the name of the hole.
    #[must_use]
    pub fn values(
        self,
        values: impl Fn(&Uri, &Extensions, &str) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        self.changed(|rule| rule.values = Some(Arc::new(values)))
    }

    fn changed(mut self, change: impl FnOnce(&mut Rule)) -> Self {
        change(Arc::make_mut(&mut self.rule));
        self
    }
}

impl<S> Layer<S> for InvalidateLayer {
    type Service = InvalidateService<S>;

    fn layer(&self, inner: S) -> InvalidateService<S> {
        InvalidateService { inner, rule: Arc::clone(&self.rule) }
    }
}

/// The service of [`InvalidateLayer`].
#[derive(Clone)]
pub struct InvalidateService<S> {
    inner: S,
    rule: Arc<Rule>,
}

impl<S, ReqB, ResB> Service<Request<ReqB>> for InvalidateService<S>
where
    S: Service<Request<ReqB>, Response = Response<ResB>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
    ReqB: Send + 'static,
    ResB: Send + 'static,
{
    type Response = Response<CacheBody<ResB>>;
    type Error = S::Error;
    type Future = ResponseFuture<S, ReqB, ResB>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<ReqB>) -> Self::Future {
        let (rule, inner) = (Arc::clone(&self.rule), self.inner.clone());
        if is_safe(request.method()) {
            return ResponseFuture::plain(inner, request);
        }
        // Bound before the request is gone.
        let scopes = rule.scopes(&request);
        let budget = rule.shared.budget(request.extensions_mut());
        ResponseFuture::to_the_end(&self.rule.shared, async move {
            let unanswered = Unanswered(Some(|| rule.invalidation(&scopes).map_or((), queue)));
            let response = Oneshot::new(inner, request).await;
            unanswered.answered();
            let (parts, body) = response?.into_parts();
            if rule.is_met(&parts)
                && let Some(invalidation) = rule.invalidation(&scopes)
            {
                spend(&budget, invalidation).await;
            }
            Ok(Response::from_parts(parts, CacheBody::origin(body)))
        })
    }
}

impl Rule {
    /// What is invalidated for this request.
    fn scopes<B>(&self, request: &Request<B>) -> Vec<Scope> {
        let (headers, extensions) = (request.headers(), request.extensions());
        let uri = original_uri(request.uri(), extensions);
        let workspace = self.workspace.as_ref().unwrap_or(&self.shared.workspace);
        let resolved = workspace.resolve(headers, extensions);
        let partition = resolved.as_ref().map(Resolved::partition);
        let value = |name: &str| {
            let said = self.values.as_ref().and_then(|values| values(uri, extensions, name));
            said.map(Cow::Owned).or_else(|| paths::value(route(extensions)?, uri.path(), name))
        };
        let mut scopes = Vec::new();
        let namespaces = self.shared.layers.namespaces();
        for template in &self.patterns {
            let Some(pattern) = template.bind(partition, value) else {
                warn(template);
                continue;
            };
            let names = namespaces.iter().filter_map(|values| values.name());
            scopes.extend(names.map(|name| Scope::pattern(name, pattern.clone())));
        }
        for template in &self.tags {
            match template.tag(resolved.as_ref(), value) {
                Some(tag) => scopes.push(tag.into()),
                None => warn(template),
            }
        }
        scopes
    }

    /// Whether this response is one that something has changed with.
    fn is_met(&self, response: &response::Parts) -> bool {
        let status = response.status;
        let counts = match &self.statuses {
            Some(statuses) => statuses.contains(&status),
            // RFC 9111 §4.4: a non-error response is one with a 2xx or 3xx status.
            None => status.is_success() || status.is_redirection(),
        };
        counts && self.when.as_ref().is_none_or(|when| when(response))
    }

    fn invalidation(&self, scopes: &[Scope]) -> Option<Invalidation> {
        if scopes.is_empty() {
            return None;
        }
        let invalidation = self.shared.values.cache().invalidate(scopes);
        Some(if self.soft { invalidation.soft() } else { invalidation })
    }
}

fn warn(template: &impl fmt::Debug) {
    tracing::warn!(
        ?template,
        "a hole has no value (is the workspace missing?): nothing is invalidated"
    );
}

impl<S: fmt::Debug> fmt::Debug for InvalidateService<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InvalidateService").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rule")
            .field("patterns", &self.patterns)
            .field("tags", &self.tags)
            .field("soft", &self.soft)
            .field("statuses", &self.statuses)
            .finish_non_exhaustive()
    }
}
