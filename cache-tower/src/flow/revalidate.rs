//! Stale responses and the origin: it confirms one (304), or fails and one has to do.

use std::sync::Arc;

use cache_core::{EntryKey, EntryTimes, Fill, Format, NewEntry, Slot, Values};
use http::response::Parts;
use http::{HeaderMap, Method, Response, StatusCode, header};

use crate::body::CacheBody;
use crate::flow::answer::answer;
use crate::flow::budget::Budget;
use crate::flow::collapse::SharedResponse;
use crate::flow::fetch::{Arrival, is_of_the_request};
use crate::flow::fill::Outcome;
use crate::flow::keep::commit;
use crate::flow::lookup::{Ask, KnownMarker, Vacancy};
use crate::policy::{
    Failure, MissReason, NoStore, RequestFacts, StoredFreshness, freshened, is_about, on_error,
    storable, stored_headers, varies_otherwise,
};
use crate::report::status::Decision;
use crate::report::told::Params;
use crate::stored::{Cached, Head, load, reload, store};
use crate::tags::CacheTags;

/// In the extensions of a response: it stands for the origin's, which could not be reached or gave
/// none. Put there by a service that turns its own failures into responses, as a proxy does with
/// 502 and 504, it lets the cache answer with what it has (RFC 9111 §4.2.4: "disconnected").
///
/// ```
/// use cache_tower::OriginUnreachable;
/// use http::{Response, StatusCode};
///
/// let mut response = Response::new("the origin can't be reached");
/// *response.status_mut() = StatusCode::BAD_GATEWAY;
/// response.extensions_mut().insert(OriginUnreachable);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OriginUnreachable;

/// How the origin failed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Failed {
    failure: Failure,
    /// With what it answered, if it did.
    status: Option<StatusCode>,
}

/// How the origin failed, if it did.
pub(crate) fn failed<B, E>(answered: &Result<Response<B>, E>) -> Option<Failed> {
    let disconnected = Failed { failure: Failure::Disconnected, status: None };
    let Ok(response) = answered else { return Some(disconnected) };
    if response.extensions().get::<OriginUnreachable>().is_some() {
        return Some(disconnected);
    }
    let status = response.status();
    // RFC 5861 §4.
    let is_failure = matches!(status.as_u16(), 500 | 502 | 503 | 504);
    is_failure.then_some(Failed { failure: Failure::Answered, status: Some(status) })
}

/// The stored response, if it may be used though it is stale, because the origin has failed.
pub(crate) fn answer_on_error<B>(
    ask: &Ask,
    vacancy: &Vacancy,
    (method, headers): (&Method, &HeaderMap),
    failed: Failed,
) -> Option<Response<CacheBody<B>>> {
    let slot = vacancy.standing()?;
    let Some(Cached::Response(stored)) = slot.decoded::<Cached>() else { return None };
    let now = ask.shared.values.cache().clock().now();
    let freshness = stored.freshness.stale_since(slot.stale_since(), now);
    if !on_error(ask.directives(headers).as_ref(), &freshness, failed.failure, now) {
        return None;
    }
    let age_secs = stored.freshness.age(now) / 1000;
    let mut response = answer(stored, &ask.site, method, Some(headers), age_secs);
    let params = ask.shared.params(&freshness, now, slot.rendered_key());
    let params = params.forwarded(failed.status);
    ask.tally.correct(Decision::StaleOnError(vacancy.why), params, &mut response);
    Some(response)
}

impl Vacancy {
    /// To be filled in place of what was found, and can't be used as it is.
    pub(crate) fn replacing(
        values: &Values,
        (key, slot, marker): (&Arc<EntryKey>, Arc<Slot>, Option<KnownMarker>),
        why: MissReason,
    ) -> Box<Self> {
        let fill = values.replace(key, &slot);
        let marker_watch =
            marker.as_ref().and_then(|known| values.replace(&known.key, &known.slot));
        Box::new(Self { fill, why, marker, stale: Some(slot), marker_watch })
    }

    /// What is stored, unless it has been invalidated since it was found.
    fn standing(&self) -> Option<&Slot> {
        let stands = |fill: Option<&Fill>| fill.is_some_and(Fill::is_current);
        let is_reached = self.marker.is_none() || stands(self.marker_watch.as_ref());
        // Its groups only it knows.
        let slot = self.stale.as_deref().filter(|slot| slot.is_current());
        slot.filter(|_| is_reached && stands(self.fill.as_ref()))
    }
}

/// What is stored and being validated.
pub(crate) struct Validated {
    pub(crate) slot: Arc<Slot>,
    pub(crate) fill: Fill,
    pub(crate) why: MissReason,
}

impl Arrival<'_> {
    /// The response to a request whose stored response the origin has confirmed (RFC 9111 §4.3.3).
    pub(crate) async fn confirmed<B>(
        self,
        parts: &Parts,
        validated: Validated,
        budget: &Budget,
    ) -> Option<Response<CacheBody<B>>> {
        let Validated { slot, mut fill, why } = validated;
        let (old, body) = reload(slot.payload())?;
        let key = Arc::clone(fill.key());
        let received = self.exchange.response_received;
        // RFC 9111 §4.3.4: what is about something else updates nothing; but the stored response
        // is what the origin was asked about, and it has said that it holds.
        let about = is_about(&old.headers, &parts.headers)
            && !varies_otherwise(&old.headers, &parts.headers);
        let update = if about { parts.headers.clone() } else { HeaderMap::new() };
        let headers = freshened(&old.headers, &update, received);
        let former = self.tags_of(&old.headers, &old.tags);
        let (updated, refusal) = match self.updated(&old, parts, &headers) {
            Ok((head, times, groups))
                if self.tag(&mut fill, (&groups, &head.tags), &former, budget).await
                    && !self.is_replaced(&key, &slot) =>
            {
                (Some((head, times)), None)
            }
            Ok(_) => (None, Some(NoStore::Overtaken)),
            Err(refusal) => (None, Some(refusal)),
        };
        let (head, times) = match updated {
            Some((head, times)) => (head, Some(times)),
            None => (Head { headers: stored_headers(&headers, &[], received), ..old }, None),
        };
        let age_secs = head.freshness.initial_age / 1000;
        let payload = store(&head, [&body].into_iter());
        let decoded = load(&payload, &self.ask.shared.hit)?;
        let Some(Cached::Response(stored)) = decoded.0.downcast_ref::<Cached>() else {
            return None;
        };
        let mut response = answer(stored, &self.ask.site, &Method::GET, Some(self.asked), age_secs);
        // What the origin sets for this client is this client's.
        for cookie in parts.headers.get_all(header::SET_COOKIE) {
            let _ = response.headers_mut().try_append(header::SET_COOKIE, cookie.clone());
        }
        let params = if about && times.is_some() {
            self.ask.shared.params(&head.freshness, received, key.as_str())
        } else {
            Params::default()
        };
        self.ask.tally.correct(Decision::Validated(why), params, &mut response);
        match times {
            Some(times) if about => {
                self.note_sharing(&head);
                if let Some(leader) = &self.leader {
                    let whole =
                        SharedResponse::whole(head, Arc::clone(&key), Arc::clone(&decoded.0));
                    leader.land(Outcome::Shared(Arc::new(whole)));
                }
                let decoded = Some(decoded);
                let entry = NewEntry { payload, format: Format::Raw, schema: 0, times, decoded };
                commit(&self.ask.shared, fill, entry, self.leader.clone());
            }
            _ => {
                self.let_go();
                if !refusal.is_some_and(is_of_the_request) {
                    self.forget(&key, budget).await;
                }
            }
        }
        Some(response)
    }

    /// The stored response with new headers, and the groups that they name.
    pub(crate) fn updated(
        &self,
        old: &Head,
        confirmation: &Parts,
        headers: &HeaderMap,
    ) -> Result<(Head, EntryTimes, Vec<String>), NoStore> {
        let facts = RequestFacts { method: &Method::GET, headers: self.asked };
        let rules = self.rules(&confirmation.extensions)?;
        let found = storable(facts, old.status, headers, &rules, self.exchange)?;
        let mut whole = confirmation.clone();
        (whole.status, whole.headers) = (old.status, headers.clone());
        if self.is_refused(&whole) {
            return Err(NoStore::Predicate);
        }
        // As with headers, what is not said again still holds.
        let known = Some(&old.tags);
        let tags = CacheTags::told(&confirmation.extensions, known, &self.ask.tags)?;
        let received = self.exchange.response_received;
        let freshness = StoredFreshness::new(found.freshness, &found.directives, received);
        let head = Head {
            status: old.status,
            headers: stored_headers(headers, &found.strip, received),
            freshness,
            audience: found.audience,
            tags,
        };
        let times = self.times(&found.freshness, &head);
        Ok((head, times, found.groups))
    }

    /// Whether there is another response by now than the one that is confirmed. The store itself
    /// knows; what is in this process' memory would be overwritten.
    fn is_replaced(&self, key: &EntryKey, confirmed: &Slot) -> bool {
        let found = self.ask.shared.values.peek(key.hash(), key.identity());
        found.is_some_and(|found| !found.is_of_the_same_write(confirmed))
    }

    /// Lets those who wait go themselves.
    pub(crate) fn let_go(&self) {
        if let Some(leader) = &self.leader {
            leader.land(Outcome::NotShared);
        }
    }

    /// Deletes what is stored and no longer true.
    pub(crate) async fn forget(&self, key: &Arc<EntryKey>, budget: &Budget) {
        let (values, keys) = (&self.ask.shared.values, std::slice::from_ref(key));
        let deleted =
            budget.spend(async |deadline| values.delete_prepared(keys, deadline).await).await;
        if let Err(error) = deleted {
            tracing::debug!(%error, "a response that is obsolete was not deleted");
        }
    }
}

/// Whether a refusal to store a response is about what is stored already, too: a server error says
/// nothing about it.
pub(crate) fn is_obsolete(status: StatusCode, refusal: NoStore) -> bool {
    !status.is_server_error() && !is_of_the_request(refusal)
}
