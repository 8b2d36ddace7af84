//! Filling: one request fetches, others that want the same wait for it.

use std::sync::Arc;

use bytes::Bytes;
use cache_core::{Deadline, EntryKey, Follower, Joined, Landing, Read, Slot};
use http::{HeaderMap, Method, Request, Response};
use http_body::Body;
use tower::Service;

use crate::body::{BoxError, CacheBody};
use crate::config::Shared;
use crate::flow::answer::{answer, not_cached};
use crate::flow::budget::Budget;
use crate::flow::collapse::{Follow, SharedResponse};
use crate::flow::fetch::{Fetch, fetch, pass};
use crate::flow::head;
use crate::flow::lookup::{Ask, Found, Vacancy};
use crate::flow::refresh::{self, Refreshing};
use crate::flow::revalidate::{Failed, answer_on_error};
use crate::policy::{BypassReason, MissReason, RequestDirectives, Reuse, reuse};
use crate::report::status::Decision;
use crate::stored::Cached;

/// What those who wait for a fetch are given.
#[derive(Clone, Debug)]
pub(crate) enum Outcome {
    /// A response that they may share, if they ask for the same variant.
    Shared(Arc<SharedResponse>),
    /// It is not for sharing: they go themselves.
    NotShared,
    /// The origin failed, and what is stored was good enough.
    OriginFailed(Failed),
}

/// How often a request looks again because what it waited for came to nothing.
const ATTEMPTS: usize = 4;

/// Answers a request that is not answered from this process' memory.
pub(crate) async fn serve<S, ReqB, ResB>(
    ask: Box<Ask>,
    inner: S,
    mut request: Request<ReqB>,
) -> Result<Response<CacheBody<ResB>>, S::Error>
where
    S: Service<Request<ReqB>, Response = Response<ResB>> + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
    ReqB: Send + 'static,
    ResB: Body<Data = Bytes> + Send + 'static,
    ResB::Error: Into<BoxError>,
{
    let shared = Arc::clone(&ask.shared);
    let directives = ask.directives(request.headers());
    let only_if_cached = directives.as_ref().is_some_and(|directives| directives.only_if_cached);
    // One budget for all that the store is asked, one limit for all waiting.
    let budget = shared.budget(request.extensions_mut());
    let patience = Deadline::after(shared.wait_timeout);
    let mut attempt = 1;
    loop {
        let mut vacancy =
            match look_up(&ask, request.method(), request.headers(), directives.as_ref(), &budget)
                .await
            {
                Looked::Answered(response) => return Ok(response),
                Looked::Stale(response, refreshing) => {
                    if let Some(refreshing) = refreshing {
                        refresh::spawn(ask, inner, request, refreshing);
                    }
                    return Ok(response);
                }
                Looked::Past(_) if only_if_cached => return Ok(not_cached(&ask.tally)),
                Looked::Past(decision) => return pass(&ask.tally, inner, request, decision).await,
                Looked::Vacant(vacancy) => vacancy,
            };
        if only_if_cached {
            return Ok(not_cached(&ask.tally));
        }
        if ask.head_only {
            return head::forward(&ask, inner, request, vacancy, budget).await;
        }
        ask.expect_tags(request.headers(), vacancy.fill.as_mut());
        if ask.ranged {
            // Nobody waits for a part of the response, nor can a part be waited for.
            return fetch(&ask, inner, request, Fetch { vacancy, leader: None, budget }).await;
        }
        let now = shared.values.cache().clock().now();
        let alone =
            vacancy.why == MissReason::Request || shared.uncacheable.get(ask.hash, now).is_some();
        let Some(fill) = vacancy.fill.as_ref().filter(|_| !alone) else {
            return fetch(&ask, inner, request, Fetch { vacancy, leader: None, budget }).await;
        };
        if attempt == ATTEMPTS {
            // What fails again and again is not to be overrun by all who have waited.
            return fetch_under_cap(&ask, inner, request, vacancy, budget).await;
        }
        match shared.flights.join(ask.flight(fill.key(), vacancy.marker.is_some()), fill) {
            Joined::Leader(leader) => {
                // A flight may have landed between the lookup and the join.
                let landed =
                    fill.is_overtaken() || is_there(&shared, fill.key(), vacancy.stale.as_ref());
                if !landed {
                    let fetching = Fetch { vacancy, leader: Some(leader), budget };
                    return fetch(&ask, inner, request, fetching).await;
                }
            }
            Joined::Follower(follower) => {
                match follow(&ask, request.headers(), directives.as_ref(), follower, patience).await
                {
                    Followed::Response(response, of) => {
                        let mut response = *response;
                        let decision = Decision::Collapsed(vacancy.why);
                        ask.tally.tell_with(decision, of.params(&shared), &mut response);
                        return Ok(response);
                    }
                    Followed::Whole(response) => {
                        ask.tally.hit(Read::L1Hit);
                        return Ok(*response);
                    }
                    Followed::LookAgain => {}
                    Followed::OriginFailed(failed) => {
                        let asked = (request.method(), request.headers());
                        if let Some(response) = answer_on_error(&ask, &vacancy, asked, failed) {
                            return Ok(response);
                        }
                    }
                    Followed::Alone => {
                        let alone = Fetch { vacancy, leader: None, budget };
                        return fetch(&ask, inner, request, alone).await;
                    }
                    Followed::OutOfPatience => {
                        return fetch_under_cap(&ask, inner, request, vacancy, budget).await;
                    }
                }
            }
        }
        attempt += 1;
    }
}

impl Ask {
    /// The flight for what is filled. Where nothing is known of a URI, its key is that of all its
    /// variants: those that the cache's own rules tell apart have nothing to wait for.
    fn flight(&self, key: &EntryKey, is_variant: bool) -> u128 {
        if is_variant || self.chosen.is_empty() {
            return key.hash();
        }
        let both = [&self.primary[..], &self.chosen].concat();
        self.shared.values.hash(&both)
    }
}

/// Whether a whole response is in this process' memory, and another than the one that is stale.
fn is_there(shared: &Shared, key: &EntryKey, stale: Option<&Arc<Slot>>) -> bool {
    let slot = shared.values.peek(key.hash(), key.identity());
    slot.is_some_and(|slot| {
        !stale.is_some_and(|stale| Arc::ptr_eq(&slot, stale))
            && !matches!(slot.decoded::<Cached>(), Some(Cached::Partial(_)))
    })
}

/// In the extensions of a request that an outer cache has counted under the cap. It does not need
/// a second place: were it to wait for one while it holds one, all who do might wait for ever.
#[derive(Clone, Copy)]
struct UnderCap;

/// Fetches for one request alone, among no more than so many of its kind.
async fn fetch_under_cap<S, ReqB, ResB>(
    ask: &Ask,
    inner: S,
    mut request: Request<ReqB>,
    vacancy: Box<Vacancy>,
    budget: Budget,
) -> Result<Response<CacheBody<ResB>>, S::Error>
where
    S: Service<Request<ReqB>, Response = Response<ResB>>,
    ResB: Body<Data = Bytes> + Send + 'static,
    ResB::Error: Into<BoxError>,
{
    // Held until the response begins. The semaphore is never closed.
    let _permit = if request.extensions().get::<UnderCap>().is_none() {
        request.extensions_mut().insert(UnderCap);
        Some(ask.shared.impatient.acquire().await)
    } else {
        None
    };
    fetch(ask, inner, request, Fetch { vacancy, leader: None, budget }).await
}

enum Looked<B> {
    Answered(Response<CacheBody<B>>),
    Stale(Response<CacheBody<B>>, Option<Refreshing>),
    Past(Decision),
    Vacant(Box<Vacancy>),
}

async fn look_up<B>(
    ask: &Ask,
    method: &Method,
    headers: &HeaderMap,
    directives: Option<&RequestDirectives>,
    budget: &Budget,
) -> Looked<B> {
    let shared = &ask.shared;
    let (key, slot, marker) = match ask.find(headers, budget).await {
        Found::Response { key, slot, marker } => {
            if let Some(known) = &marker {
                shared.admit_variant(&known.marker.variants, &key);
            }
            (key, slot, marker)
        }
        Found::Nothing(vacancy) => return Looked::Vacant(vacancy),
    };
    let why = match slot.decoded::<Cached>() {
        Some(Cached::Response(stored)) if ask.needs_own_response(stored.audience, headers) => {
            return Looked::Past(Decision::Bypass(BypassReason::Credentials));
        }
        Some(Cached::Response(stored)) => {
            let now = shared.values.cache().clock().now();
            let freshness = stored.freshness.stale_since(slot.stale_since(), now);
            match reuse(directives, &freshness, now) {
                Reuse::Use { age_secs } => {
                    ask.tally.hit(Read::StoreHit);
                    let mut response = answer(stored, &ask.site, method, Some(headers), age_secs);
                    shared.tell_hit(&mut response, &freshness, now, key.as_str());
                    return Looked::Answered(response);
                }
                Reuse::UseStale { age_secs } => {
                    let mut response = answer(stored, &ask.site, method, Some(headers), age_secs);
                    let params = shared.params(&freshness, now, key.as_str());
                    ask.tally.correct(Decision::StaleHit, params, &mut response);
                    ask.tally.read(Read::StoreHit);
                    return Looked::Stale(response, shared.refreshes.begin(key.hash(), now));
                }
                Reuse::Fetch(why) => why,
            }
        }
        Some(Cached::Partial(partial)) => {
            if ask.needs_own_response(partial.response.audience, headers) {
                return Looked::Past(Decision::Bypass(BypassReason::Credentials));
            }
            let now = shared.values.cache().clock().now();
            let freshness = partial.response.freshness.stale_since(slot.stale_since(), now);
            match reuse(directives, &freshness, now) {
                Reuse::Use { age_secs } => {
                    match partial.answer(&ask.site, method, headers, age_secs) {
                        Some(mut response) => {
                            shared.tell_hit(&mut response, &freshness, now, key.as_str());
                            ask.tally.hit(Read::StoreHit);
                            return Looked::Answered(response);
                        }
                        None => MissReason::Partial,
                    }
                }
                Reuse::UseStale { .. } => MissReason::Stale,
                Reuse::Fetch(why) => why,
            }
        }
        _ => MissReason::UriMiss,
    };
    Looked::Vacant(Vacancy::replacing(&shared.values, (&key, slot, marker), why))
}

enum Followed<B> {
    Response(Box<Response<CacheBody<B>>>, Arc<SharedResponse>),
    Whole(Box<Response<CacheBody<B>>>),
    LookAgain,
    OriginFailed(Failed),
    Alone,
    OutOfPatience,
}

async fn follow<B>(
    ask: &Ask,
    headers: &HeaderMap,
    directives: Option<&RequestDirectives>,
    follower: Follower<Outcome>,
    patience: Deadline,
) -> Followed<B> {
    let landing = tokio::time::timeout_at(patience.instant(), follower.landing()).await;
    match landing {
        Ok(Landing::Landed(Outcome::Shared(response))) => {
            match response.follow(ask, headers, directives) {
                Follow::Response(own) => Followed::Response(Box::new(own), response),
                Follow::Whole(response) => Followed::Whole(Box::new(response)),
                Follow::LookAgain => Followed::LookAgain,
                Follow::NotForThis => Followed::Alone,
                Follow::Stalled => Followed::OutOfPatience,
            }
        }
        Ok(Landing::Landed(Outcome::NotShared)) => Followed::Alone,
        Ok(Landing::Landed(Outcome::OriginFailed(failed))) => Followed::OriginFailed(failed),
        Ok(Landing::Abandoned) => Followed::LookAgain,
        Err(_) => Followed::OutOfPatience,
    }
}
