//! Unsafe requests: forward, then invalidate what they have changed.
//!
//! Once the service inside has answered 2xx or 3xx, the invalidation ends or is queued before the
//! response is released, and even if the client has gone.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use cache_core::{EntryKey, Invalidated, Invalidation, Partition, Scope, Template};
use http::{Extensions, HeaderMap, Request, Response, StatusCode, Uri};
use tower::util::Oneshot;
use tower::{Layer, Service};

use crate::body::CacheBody;
use crate::config::{HttpCache, Shared};
use crate::flow::budget::Budget;
use crate::flow::groups::Groups;
use crate::flow::nested::Mark;
use crate::future::ResponseFuture;
use crate::policy::{Base, affected, invalidated_groups, is_safe};
use crate::report::status::Decision;
use crate::report::tally::Tally;
use crate::report::warn;
use crate::request::key::{MethodClass, Site, Target, original_uri};
use crate::request::partition::Resolved;

/// What an unsafe request is about.
pub(crate) struct UnsafeTarget {
    partition: Resolved<'static>,
    uri: Uri,
    headers: HeaderMap,
    tally: Tally,
}

impl UnsafeTarget {
    pub(crate) fn new(
        shared: &Arc<Shared>,
        partition: Resolved<'static>,
        uri: &Uri,
        headers: &HeaderMap,
    ) -> Self {
        let tally = Tally::new(shared, Decision::Forwarded);
        Self { partition, uri: uri.clone(), headers: headers.clone(), tally }
    }
}

/// What an unsafe request may have changed, by its target.
pub(crate) struct Effects<'r> {
    shared: &'r Shared,
    target: Target<'r>,
    authority: Cow<'r, str>,
    path_and_query: &'r str,
}

impl<'r> Effects<'r> {
    pub(crate) fn of(
        shared: &'r Shared,
        partition: Partition<'r>,
        uri: &'r Uri,
        headers: &'r HeaderMap,
    ) -> Self {
        let target = Target::of(partition, uri, headers);
        let authority = String::from_utf8_lossy(target.authority);
        let path_and_query = uri.path_and_query().map_or("/", |path| path.as_str());
        Self { shared, target, authority, path_and_query }
    }

    /// The target's URI.
    pub(crate) fn base(&self) -> Base<'_> {
        let Self { target, authority, path_and_query, .. } = self;
        Base { scheme: target.scheme, authority, path_and_query }
    }

    /// The keys of the URIs that the response says are affected (RFC 9111 §4.4).
    pub(crate) fn keys(&self, status: StatusCode, headers: &HeaderMap) -> Vec<Arc<EntryKey>> {
        let Self { shared, target, .. } = self;
        let mut keys = Vec::new();
        for path in affected(self.base(), status, headers) {
            let Ok(uri) = path.parse::<Uri>() else { continue };
            let query = shared.options.key.query(uri.query());
            let affected = Target { path: uri.path(), query: query.as_deref(), ..*target };
            // The marker of varying responses has the same key, so all variants go with it, and all
            // contents of a QUERY.
            let classes = [MethodClass::Get, MethodClass::Query];
            let sites = [Site::Layer, Site::Endpoint];
            for (site, class) in
                sites.into_iter().flat_map(|site| classes.map(|class| (site, class)))
            {
                let affected = Target { class, ..affected };
                let identity = shared.options.key.identity(&affected, site);
                let key = affected.store_key(&identity, &shared.key_base);
                keys.extend(shared.values.prepare(&key, &identity));
            }
        }
        keys
    }

    /// What is stored under these keys, and the groups that the response names (RFC 9875 §3);
    /// after an error nothing is invalidated, as in RFC 9111 §4.4.
    pub(crate) fn invalidation(
        &self,
        keys: Vec<Arc<EntryKey>>,
        status: StatusCode,
        headers: &HeaderMap,
    ) -> Invalidation {
        let names = invalidated_groups(headers);
        let counts = status.is_success() || status.is_redirection();
        let groups = if names.is_empty() || !counts {
            Vec::new()
        } else {
            Groups::of(&self.target).tags(&names)
        };
        self.shared.values.cache().invalidate(groups).entries(keys)
    }

    /// Until the request has an answer: see [`Unanswered`].
    pub(crate) fn unanswered(&self) -> Unanswered<impl FnOnce()> {
        Unanswered(Some(|| {
            let (status, headers) = (StatusCode::OK, HeaderMap::new());
            queue(self.invalidation(self.keys(status, &headers), status, &headers));
        }))
    }
}

/// Waits for an invalidation as long as the budget of its request allows; what is left then is
/// queued, and so is what is left when the response's future is dropped meanwhile. False if it
/// did not reach all.
pub(crate) async fn spend(budget: &Budget, invalidation: Invalidation) -> bool {
    let invalidated = budget.spend(async |by| invalidation.deadline(by).await).await;
    if let Err(error) = &invalidated {
        warn::not_invalidated(error);
    }
    invalidated.is_ok_and(Invalidated::is_complete)
}

/// An unsafe request that has no answer yet. If it is cut short (its client has left, and there is
/// no place in the background), nobody knows what it has changed: its own target goes then. After
/// a panic nothing does, as after an error.
pub(crate) struct Unanswered<F: FnOnce()>(pub(crate) Option<F>);

impl<F: FnOnce()> Unanswered<F> {
    pub(crate) fn answered(mut self) {
        self.0 = None;
    }
}

impl<F: FnOnce()> Drop for Unanswered<F> {
    fn drop(&mut self) {
        if let Some(cut_short) = self.0.take().filter(|_| !std::thread::panicking()) {
            cut_short();
        }
    }
}

/// Without waiting: see [`Unanswered`].
pub(crate) fn queue(invalidation: Invalidation) {
    if let Err(error) = invalidation.queue() {
        warn::not_invalidated_when_cut_short(&error);
    }
}

/// Forwards an unsafe request, and invalidates its target.
pub(crate) async fn forward<S, ReqB, ResB>(
    shared: Arc<Shared>,
    inner: S,
    mut request: Request<ReqB>,
    target: Box<UnsafeTarget>,
) -> Result<Response<CacheBody<ResB>>, S::Error>
where
    S: Service<Request<ReqB>, Response = Response<ResB>>,
{
    let budget = shared.budget(request.extensions_mut());
    let decision = Decision::Forwarded;
    let mark = Mark::put(request.extensions_mut(), None, &target.tally, decision);
    let effects = Effects::of(&shared, target.partition.partition(), &target.uri, &target.headers);
    let unanswered = effects.unanswered();
    let response = target.tally.call(inner, request).await;
    unanswered.answered();
    let mut response = response?.map(CacheBody::origin);
    let (status, headers) = (response.status(), response.headers());
    let mut keys = effects.keys(status, headers);
    mark.spare_posted(&mut keys);
    spend(&budget, effects.invalidation(keys, status, headers)).await;
    target.tally.tell(Decision::Forwarded, &mut response);
    Ok(response)
}

/// Invalidates patterns after the service inside has answered an unsafe request with 2xx or 3xx.
///
/// ```
/// use cache_core::Cache;
/// use cache_tower::{HttpCache, InvalidateLayer};
///
/// let http = HttpCache::builder(Cache::builder().build()?).build();
/// let layer = InvalidateLayer::new(&http, "{workspace_id}:campaigns:*");
/// # Ok::<(), cache_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct InvalidateLayer {
    rule: Arc<Rule>,
}

struct Rule {
    shared: Arc<Shared>,
    template: Template,
    values: Option<Arc<HoleValues>>,
}

type HoleValues = dyn Fn(&Uri, &Extensions, &str) -> Option<String> + Send + Sync;

impl InvalidateLayer {
    /// Invalidates what this pattern covers, in the namespace of the responses. The pattern is
    /// declared: stored responses that match it carry a generation, so that it takes one step.
    ///
    /// `{workspace_id}` is the request's workspace; a request without one invalidates nothing.
    /// A hole whose value is not known never widens to `*`.
    ///
    /// # Panics
    /// If the pattern is invalid (see [`TemplateError`](cache_core::TemplateError)).
    pub fn new(http: &HttpCache, pattern: &str) -> Self {
        let template = match Template::parse(pattern) {
            Ok(template) => template,
            Err(error) => panic!("the pattern {pattern:?}: {error}"),
        };
        if !http.shared.values.declare(&template).unwrap_or(false) {
            tracing::warn!(pattern, "too many patterns: this one is invalidated by sweeps");
        }
        let rule = Rule { shared: Arc::clone(&http.shared), template, values: None };
        Self { rule: Arc::new(rule) }
    }

    /// Where the values of other holes come from: the URI as the router first saw it, the
    /// request's extensions, and the name of the hole.
    #[must_use]
    pub fn values(
        self,
        values: impl Fn(&Uri, &Extensions, &str) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        let Rule { shared, template, .. } = &*self.rule;
        let (shared, template) = (Arc::clone(shared), template.clone());
        Self { rule: Arc::new(Rule { shared, template, values: Some(Arc::new(values)) }) }
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
        let scope = rule.scope(&request);
        let budget = rule.shared.budget(request.extensions_mut());
        ResponseFuture::to_the_end(&self.rule.shared, async move {
            let unanswered =
                Unanswered(Some(|| rule.invalidation(scope.as_ref()).map_or((), queue)));
            let response = Oneshot::new(inner, request).await;
            unanswered.answered();
            let response = response?.map(CacheBody::origin);
            let status = response.status();
            // RFC 9111 §4.4: a non-error response is one with a 2xx or 3xx status.
            if (status.is_success() || status.is_redirection())
                && let Some(invalidation) = rule.invalidation(scope.as_ref())
            {
                spend(&budget, invalidation).await;
            }
            Ok(response)
        })
    }
}

impl Rule {
    fn scope<B>(&self, request: &Request<B>) -> Option<Scope> {
        let (headers, extensions) = (request.headers(), request.extensions());
        let uri = original_uri(request.uri(), extensions);
        let resolved = self.shared.workspace.resolve(headers, extensions);
        let partition = resolved.as_ref().map(Resolved::partition);
        let value = |name: &str| Some(Cow::Owned(self.values.as_ref()?(uri, extensions, name)?));
        let pattern = self.template.bind(partition, value);
        if pattern.is_none() {
            warn::no_value(&self.template);
        }
        Some(Scope::pattern(self.shared.values.name()?, pattern?))
    }

    fn invalidation(&self, scope: Option<&Scope>) -> Option<Invalidation> {
        Some(self.shared.values.cache().invalidate(scope?.clone()))
    }
}

impl<S: fmt::Debug> fmt::Debug for InvalidateService<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InvalidateService").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rule").field("template", &self.template).finish_non_exhaustive()
    }
}
