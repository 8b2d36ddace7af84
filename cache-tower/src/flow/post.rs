//! POST whose response may be stored, where the application wants it (RFC 9110 §9.3.3): forward it,
//! invalidate what it has changed, and then put its response there, for later GETs.
//!
//! The response is older than its own invalidation, which must stop all that began before it but
//! this: how, and what else may not come between, is told in cache-core's `claim`. Others never wait
//! for a POST, nor does what becomes of it say anything of later ones.

use std::sync::Arc;

use bytes::Bytes;
use cache_core::Fill;
use http::response::Parts;
use http::{HeaderMap, Method, Request, Response};
use http_body::Body;
use tower::Service;

use crate::body::{BoxError, CacheBody};
use crate::config::Shared;
use crate::effects::{Effects, Unanswered, queue, spend};
use crate::flow::budget::Budget;
use crate::flow::fetch::Arrival;
use crate::flow::lookup::Ask;
use crate::flow::nested::{Mark, Marked};
use crate::flow::revalidate::OriginUnreachable;
use crate::hooks::RequestHead;
use crate::layer::SiteRules;
use crate::policy::{Exchange, NoStore, PostTells, is_post_for_all, post_tells};
use crate::report::status::Decision;
use crate::report::tally::Tally;
use crate::request::key::{Target, original_uri};
use crate::request::partition::Resolved;
use crate::routes::layers::Reach;

/// What is to be known of a POST whose response may be stored; `None`: it may not.
pub(crate) fn ask<B>(
    shared: &Arc<Shared>,
    site: &Arc<SiteRules>,
    request: &Request<B>,
    partition: &Resolved<'_>,
) -> Option<Box<Ask>> {
    let (headers, extensions) = (request.headers(), request.extensions());
    let is_wanted = shared.options.store_posts && *request.method() == Method::POST;
    if !is_wanted || !is_post_for_all(headers) {
        return None;
    }
    let uri = original_uri(request.uri(), extensions);
    // As the GET that it would answer.
    let head = RequestHead::new(&Method::GET, uri, headers, extensions);
    let rules = &shared.options.key;
    // A parameter that is not part of the key is not hidden from a handler that may need it.
    let is_keyed = rules.query(uri.query()).as_deref() == uri.query();
    let is_skipped = site.hooks.skips(&head)
        || shared.options.hooks.skips(&head)
        || shared.options.skip.as_ref().is_some_and(|rule| rule.applies(&head));
    if !is_keyed || is_skipped {
        return None;
    }
    let target = Target::of(partition.partition(), uri, headers);
    let primary = rules.identity(&target, site.site);
    let hash = shared.values.hash(&primary);
    Some(Box::new(Ask {
        shared: Arc::clone(shared),
        site: Arc::clone(site),
        partition: partition.clone().into_owned(),
        uri: uri.clone(),
        chosen: rules.choose(&head),
        hash,
        route: hash,
        primary,
        head_only: false,
        ranged: false,
        fetching: Arc::default(),
        tags: site.tags(&head, partition),
        tally: Tally::new(shared, Decision::Forwarded),
    }))
}

/// Forwards a POST, invalidates what it has changed, and stores its response if that is allowed.
pub(crate) async fn forward<S, ReqB, ResB>(
    ask: Box<Ask>,
    reach: Reach,
    inner: S,
    mut request: Request<ReqB>,
) -> Result<Response<CacheBody<ResB>>, S::Error>
where
    S: Service<Request<ReqB>, Response = Response<ResB>>,
    ResB: Body<Data = Bytes> + Send + 'static,
    ResB::Error: Into<BoxError>,
{
    let budget = ask.shared.budget(request.extensions_mut());
    let asked = request.headers().clone();
    let fill = ask.begin(&asked, &budget).await;
    let clock = ask.shared.values.cache().clock();
    let outer = request.extensions().get::<Mark>().cloned();
    let mark = Mark::put(request.extensions_mut(), None, &ask.tally, Decision::Forwarded);
    let request_sent = clock.now();
    let effects = Effects::of(&ask.shared, &reach, &ask.uri, &asked);
    let unanswered = effects.unanswered();
    let answered = ask.tally.call(inner, request).await;
    unanswered.answered();
    let exchange = Exchange { request_sent, response_received: clock.now() };
    let (parts, body) = answered?.into_parts();
    let arrival = Arrival { ask: &ask, asked: &asked, exchange, leader: None };
    // What an inner cache has taken over is that one's to store.
    let fill = fill.filter(|_| !mark.is_claimed());
    let decision = match arrival.invalidate(&parts, fill, (&effects, &mark), &budget).await {
        None => Decision::Forwarded,
        Some(Err(refusal)) => Decision::ForwardedNotStored(refusal),
        Some(Ok(fill)) => {
            let claimed = Arc::clone(fill.key());
            // The marker of its variants, if there was one, has just been deleted.
            let placed = arrival.place(&parts, &body, Some(fill), None);
            match arrival.group(placed, &budget).await {
                Ok(place) => {
                    if let Some(outer) = outer {
                        outer.note_post(&claimed);
                    }
                    return Ok(arrival.hand_on(parts, body, place, Decision::ForwardedStored));
                }
                Err(refusal) => Decision::ForwardedNotStored(refusal),
            }
        }
    };
    let mut response = Response::from_parts(parts, CacheBody::origin(body));
    ask.tally.tell(decision, &mut response);
    Ok(response)
}

impl Ask {
    /// To be called before the origin is asked: what changes from now on keeps the response from
    /// being stored.
    async fn begin(&self, headers: &HeaderMap, budget: &Budget) -> Option<Fill> {
        let values = &self.shared.values;
        let key = self.key(headers, &self.primary)?;
        let mut fill = budget.spend(async |deadline| values.fill_anew(&key, deadline).await).await;
        self.expect_tags(headers, Some(&mut fill));
        budget.spend(async |deadline| fill.begin(&[], deadline).await).await;
        Some(fill)
    }
}

impl Arrival<'_> {
    /// Invalidates what the POST has changed, and goes on with the fill if its response is what a
    /// GET would bring; `None` if it is not.
    async fn invalidate(
        &self,
        parts: &Parts,
        fill: Option<Fill>,
        (effects, mark): (&Effects<'_>, &Marked),
        budget: &Budget,
    ) -> Option<Result<Fill, NoStore>> {
        let Self { ask, exchange, .. } = *self;
        let (status, headers) = (parts.status, &parts.headers);
        let targets = &ask.site.store.targets;
        let tells = match parts.extensions.get::<OriginUnreachable>() {
            None => post_tells(effects.base(), status, headers, targets, exchange),
            Some(_) => PostTells::Nothing,
        };
        let mut keys = effects.keys(status, headers);
        mark.spare_posted(&mut keys);
        let mut claimed = None;
        if let Some(fill) = fill.filter(|_| tells == PostTells::Representation) {
            let key = Arc::clone(fill.key());
            // Cut short, it may or may not have deleted its key.
            let all = || queue(effects.invalidation(keys.clone(), status, headers));
            let claiming = Unanswered(Some(all));
            claimed = budget.spend(async |deadline| fill.claim(deadline).await).await;
            claiming.answered();
            if claimed.is_some() {
                // Deleted already; again, it would not be ours any more.
                keys.retain(|other| other.identity() != key.identity());
            }
        }
        let invalidated = spend(budget, effects.invalidation(keys, status, headers)).await;
        match tells {
            PostTells::Nothing => None,
            PostTells::NotFresh => Some(Err(NoStore::NoFreshness)),
            PostTells::Representation => {
                let claimed = claimed.filter(|_| invalidated);
                Some(claimed.ok_or(NoStore::Overtaken))
            }
        }
    }
}
