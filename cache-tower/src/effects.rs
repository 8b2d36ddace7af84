//! Unsafe requests: forward, then invalidate what they have changed.
//!
//! Once the service inside has answered 2xx or 3xx, the invalidation ends or is queued before the
//! response is released, and even if the client has gone.

use std::borrow::Cow;
use std::sync::Arc;

use cache_core::{EntryKey, Invalidated, Invalidation, Partition, Tag};
use http::{HeaderMap, Request, Response, StatusCode, Uri};
use tower::Service;
use tower::util::Oneshot;

use crate::body::CacheBody;
use crate::config::Shared;
use crate::flow::budget::Budget;
use crate::flow::groups::Groups;
use crate::flow::nested::Mark;
use crate::policy::{Base, affected, invalidated_groups};
use crate::report::status::Decision;
use crate::report::tally::Tally;
use crate::request::key::{MethodClass, Site, Target};
use crate::routes::layers::Reach;

/// What an unsafe request is about.
pub(crate) struct UnsafeTarget {
    reach: Reach,
    uri: Uri,
    headers: HeaderMap,
    tally: Tally,
}

impl UnsafeTarget {
    pub(crate) fn new(shared: &Arc<Shared>, reach: Reach, uri: &Uri, headers: &HeaderMap) -> Self {
        let tally = Tally::new(shared, Decision::Forwarded);
        Self { reach, uri: uri.clone(), headers: headers.clone(), tally }
    }
}

/// What an unsafe request may have changed, by its target.
pub(crate) struct Effects<'r> {
    shared: &'r Shared,
    reach: &'r Reach,
    uri: &'r Uri,
    headers: &'r HeaderMap,
    /// Of the target, whatever partition it belongs to.
    target: Target<'r>,
    authority: Cow<'r, str>,
    path_and_query: &'r str,
}

impl<'r> Effects<'r> {
    pub(crate) fn of(
        shared: &'r Shared,
        reach: &'r Reach,
        uri: &'r Uri,
        headers: &'r HeaderMap,
    ) -> Self {
        let target = Target::of(Partition::Shared, uri, headers);
        let authority = String::from_utf8_lossy(target.authority);
        let path_and_query = uri.path_and_query().map_or("/", |path| path.as_str());
        Self { shared, reach, uri, headers, target, authority, path_and_query }
    }

    /// The target's URI.
    pub(crate) fn base(&self) -> Base<'_> {
        let Self { target, authority, path_and_query, .. } = self;
        Base { scheme: target.scheme, authority, path_and_query }
    }

    /// The keys of the URIs that the response says are affected (RFC 9111 §4.4), as each layer of the
    /// cache makes them.
    pub(crate) fn keys(&self, status: StatusCode, headers: &HeaderMap) -> Vec<Arc<EntryKey>> {
        let mut keys: Vec<Arc<EntryKey>> = Vec::new();
        for path in affected(self.base(), status, headers) {
            let Ok(uri) = path.parse::<Uri>() else { continue };
            for (shared, partition) in self.reach {
                let rules = &shared.options.key;
                let query = rules.query(uri.query());
                let affected = Target {
                    partition: partition.partition(),
                    path: uri.path(),
                    query: query.as_deref(),
                    ..self.target
                };
                // The marker of varying responses has the same key, so all variants go with it, and
                // all contents of a QUERY.
                let classes = [MethodClass::Get, MethodClass::Query];
                let sites = [Site::Layer, Site::Endpoint];
                for (site, class) in
                    sites.into_iter().flat_map(|site| classes.map(|class| (site, class)))
                {
                    let affected = Target { class, ..affected };
                    let identity = rules.identity(&affected, site);
                    let key = affected.store_key(&identity, &shared.key_base);
                    let Ok(key) = shared.values.prepare(&key, &identity) else { continue };
                    // Those of two layers may be the same.
                    if !keys.iter().any(|known| known.is_same_as(&key)) {
                        keys.push(key);
                    }
                }
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
        let mut groups: Vec<Tag> = Vec::new();
        if !names.is_empty() && counts {
            for (_, partition) in self.reach {
                let target = Target::of(partition.partition(), self.uri, self.headers);
                let tags = Groups::of(&target).tags(&names);
                groups.extend(
                    tags.into_iter().filter(|tag| !groups.contains(tag)).collect::<Vec<_>>(),
                );
            }
        }
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
        tracing::warn!(%error, "an unsafe request could not invalidate everywhere");
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
        tracing::warn!(%error, "an unsafe request that was cut short could not invalidate");
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
    let mark = Mark::put(request.extensions_mut(), None, &target.tally);
    let effects = Effects::of(&shared, &target.reach, &target.uri, &target.headers);
    let unanswered = effects.unanswered();
    let response = Oneshot::new(inner, request).await;
    unanswered.answered();
    let mut response = response?.map(CacheBody::origin);
    let (status, headers) = (response.status(), response.headers());
    let mut keys = effects.keys(status, headers);
    mark.spare_posted(&mut keys);
    spend(&budget, effects.invalidation(keys, status, headers)).await;
    target.tally.tell(Decision::Forwarded, &mut response);
    Ok(response)
}
