//! Fetching: call the service inside, decide whether to store, hand the body on as it comes.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use cache_core::{EntryTimes, Fill, Format, Leader, Millis, NewEntry, Slot, Ttl};
use http::response::Parts;
use http::{HeaderMap, Method, Request, Response, StatusCode, header};
use http_body::Body;
use http_body_util::BodyExt;
use tower::Service;

use crate::body::{BoxError, CacheBody, SharedBody};
use crate::flow::budget::Budget;
use crate::flow::collapse::{SharedResponse, Variant, Whole};
use crate::flow::fill::Outcome;
use crate::flow::keep::ResponseKeeper;
use crate::flow::lookup::{Ask, KnownMarker, Vacancy};
use crate::flow::nested::Mark;
use crate::flow::revalidate::{Validated, answer_on_error, failed, is_obsolete};
use crate::policy::{
    Exchange, Freshness, NoStore, RequestFacts, Reuse, Storable, StoredFreshness, VaryFields,
    add_conditions, content_length, has_validator, is_conditional, is_without_content, kept_stale,
    not_modified, not_modified_headers, reuse, storable, stored_headers, strip_conditionals,
};
use crate::report::status::Decision;
use crate::report::tally::Tally;
use crate::request::key::Site;
use crate::stored::partial::{ArrivingPart, KnownPart, arriving};
use crate::stored::variants::Variants;
use crate::stored::{Cached, Head, Marker, shared, store_marker};
use crate::tags::CacheTags;

/// What one fetch has to go by; its fill expects tags already ([`Ask::expect_tags`]).
pub(crate) struct Fetch {
    pub(crate) vacancy: Box<Vacancy>,
    pub(crate) leader: Option<Leader<Outcome>>,
    pub(crate) budget: Budget,
}

/// Calls the service inside, past the cache.
pub(crate) async fn pass<S, ReqB, ResB>(
    tally: &Tally,
    inner: S,
    mut request: Request<ReqB>,
    decision: Decision,
) -> Result<Response<CacheBody<ResB>>, S::Error>
where
    S: Service<Request<ReqB>, Response = Response<ResB>>,
{
    let _mark = Mark::put(request.extensions_mut(), None, tally, decision);
    let mut response = tally.call(inner, request).await?.map(CacheBody::origin);
    tally.tell(decision, &mut response);
    Ok(response)
}

/// Calls the service inside, and stores what it answers if that is allowed.
pub(crate) async fn fetch<S, ReqB, ResB>(
    ask: &Ask,
    inner: S,
    mut request: Request<ReqB>,
    fetch: Fetch,
) -> Result<Response<CacheBody<ResB>>, S::Error>
where
    S: Service<Request<ReqB>, Response = Response<ResB>>,
    ResB: Body<Data = Bytes> + Send + 'static,
    ResB::Error: Into<BoxError>,
{
    let Fetch { mut vacancy, leader, budget } = fetch;
    if let Some(fill) = &mut vacancy.fill {
        budget.spend(async |deadline| fill.begin(&[], deadline).await).await;
    }
    let asked = request.headers().clone();
    // Of a range only its own client has use, and gets what it asked for.
    let for_all = vacancy.fill.is_some() && !ask.ranged;
    if for_all {
        // The whole response is wanted here; the client's conditions are answered below.
        strip_conditionals(request.headers_mut());
    }
    if !ask.shared.options.key.hide_in(&mut request) {
        vacancy.fill = None;
    }
    // Were the client's own conditions among ours, a 304 would not say which of them hold.
    let may_validate = vacancy.fill.is_some() && (for_all || !is_conditional(&asked));
    let validating = may_validate
        && vacancy.stale.as_deref().and_then(Slot::decoded).is_some_and(|cached| match cached {
            // RFC 9111 §4.3.1.
            Cached::Response(stored) => add_conditions(request.headers_mut(), &stored.template),
            Cached::Varies(_) | Cached::Partial(_) => false,
        });
    let clock = ask.shared.values.cache().clock();
    let decision = Decision::Stored(vacancy.why);
    let mark = Mark::put(request.extensions_mut(), leader, &ask.tally, decision);
    ask.fetching.store(for_all, Ordering::Release);
    let request_sent = clock.now();
    let answered = ask.tally.call(inner, request).await;
    let exchange = Exchange { request_sent, response_received: clock.now() };
    if mark.is_claimed() {
        let response = answered?;
        if ask.site.site == Site::Layer {
            let until = exchange.response_received + REMEMBER_ROUTE;
            ask.shared.inner_routes.remember(ask.route, (), until);
        }
        return Ok(response.map(CacheBody::origin));
    }
    let leader = mark.take_leader().map(Arc::new);
    if let Some(failed) = failed(&answered) {
        let asked = (&Method::GET, &asked);
        let waits = !ask.tally.is_silent();
        let stand_in = if waits { answer_on_error(ask, &vacancy, asked, failed) } else { None };
        if let Some(leader) = leader.as_ref().filter(|_| stand_in.is_some() || !waits) {
            leader.land(Outcome::OriginFailed(failed));
        }
        match stand_in {
            Some(response) => return Ok(response),
            // In the background there is nobody to pass it on to.
            None if !waits => return answered.map(|response| response.map(CacheBody::origin)),
            None => {}
        }
    }
    let (parts, body) = answered?.into_parts();
    let Vacancy { fill, why, marker, stale, .. } = *vacancy;
    let arrival = Arrival { ask, asked: &asked, exchange, leader: leader.clone() };
    let obsolete = stale.as_ref().and(fill.as_ref()).map(|fill| Arc::clone(fill.key()));
    let known = KnownPart::of(stale.as_ref(), fill.as_ref());
    let confirms = validating && parts.status == StatusCode::NOT_MODIFIED;
    let fill = match (stale.filter(|_| confirms), fill) {
        (Some(slot), Some(fill)) => {
            let validated = Validated { slot, fill, why };
            return Ok(match arrival.confirmed(&parts, validated, &budget).await {
                Some(response) => response,
                None => Response::from_parts(parts, CacheBody::origin(body)),
            });
        }
        (_, fill) => fill,
    };
    let placed = match arriving(ask, &parts, why, known) {
        Some((whole, part)) => arrival
            .place(&whole, &body, fill, marker)
            .map(|place| Place { part: Some(part.stored_under(place.fill.key())), ..place }),
        None => arrival.place(&parts, &body, fill, marker),
    };
    match arrival.group(placed, &budget).await {
        Ok(place) => Ok(arrival.hand_on(parts, body, place, Decision::Stored(why))),
        Err(refusal) => {
            arrival.let_go();
            if !is_of_the_request(refusal) {
                let until = exchange.response_received + REMEMBER_UNCACHEABLE;
                ask.shared.uncacheable.remember(ask.hash, (), until);
            }
            if let Some(key) = obsolete.filter(|_| is_obsolete(parts.status, refusal)) {
                arrival.forget(&key, &budget).await;
            }
            let mut response = Response::from_parts(parts, CacheBody::origin(body));
            ask.tally.tell(Decision::NotStored(why, refusal), &mut response);
            Ok(response)
        }
    }
}

const REMEMBER_ROUTE: Millis = 60_000;
/// For so long nobody waits in line for a response that will not be shared.
pub(crate) const REMEMBER_UNCACHEABLE: Millis = 10_000;
/// A marker outlives the responses it leads to.
const MARKER_TTL: Duration = Duration::from_secs(24 * 60 * 60);

/// Refusals that say nothing about what other requests would get.
pub(crate) fn is_of_the_request(refusal: NoStore) -> bool {
    matches!(
        refusal,
        NoStore::Authorization
            | NoStore::Cookie
            | NoStore::RequestNoStore
            | NoStore::Range
            | NoStore::Overtaken
    )
}

/// A response whose head has arrived.
pub(crate) struct Arrival<'a> {
    pub(crate) ask: &'a Ask,
    /// The headers of the request as the client sent them.
    pub(crate) asked: &'a HeaderMap,
    pub(crate) exchange: Exchange,
    pub(crate) leader: Option<Arc<Leader<Outcome>>>,
}

/// Where and as what a response is stored.
pub(crate) struct Place {
    fill: Fill,
    head: Head,
    times: EntryTimes,
    variant: Option<Variant>,
    variants: Option<Arc<Variants>>,
    length: Option<u64>,
    groups: Vec<String>,
    /// It is only a part of the response.
    part: Option<ArrivingPart>,
}

impl Arrival<'_> {
    pub(crate) fn place(
        &self,
        parts: &Parts,
        body: &impl Body,
        fill: Option<Fill>,
        marker: Option<KnownMarker>,
    ) -> Result<Place, NoStore> {
        let storable = self.storable(parts)?;
        let tags = CacheTags::told(&parts.extensions, None, &self.ask.tags)?;
        let announced = if is_without_content(parts.status) {
            None
        } else {
            content_length(&parts.headers).map_err(|()| NoStore::LengthMismatch)?
        };
        // A body that knows its length announces it as well as a header does.
        let length = announced.or(body.size_hint().exact());
        let least = body.size_hint().lower().max(length.unwrap_or(0));
        if least > self.ask.shared.max_body as u64 {
            return Err(NoStore::TooLarge);
        }
        let fill = fill.ok_or(NoStore::Overtaken)?;
        let Storable { freshness, directives, strip, vary, audience, groups } = storable;
        let received = self.exchange.response_received;
        let head = Head {
            status: parts.status,
            headers: stored_headers(&parts.headers, &strip, received),
            freshness: StoredFreshness::new(freshness, &directives, received),
            audience,
            tags,
        };
        let times = self.times(&freshness, &head);
        // What the cache's own rules choose tells variants apart as well as `Vary` does.
        let vary = vary.or_else(|| (!self.ask.chosen.is_empty()).then(VaryFields::default));
        let (fill, variants, variant) = match vary {
            None => (fill, marker.map(|known| known.marker.variants), None),
            Some(fields) => {
                let (fill, variants) = self.variant_fill(&fields, fill, marker, times)?;
                (fill, Some(variants), Some(Variant::of(fields, self.ask, self.asked)))
            }
        };
        Ok(Place { fill, head, times, variant, variants, length, groups, part: None })
    }

    /// Whether a response may be stored, by its head and by what the application says.
    pub(crate) fn storable(&self, parts: &Parts) -> Result<Storable, NoStore> {
        let facts = RequestFacts { method: &Method::GET, headers: self.asked };
        let rules = self.rules(&parts.extensions)?;
        let storable = storable(facts, parts.status, &parts.headers, &rules, self.exchange)?;
        if self.is_refused(parts) { Err(NoStore::Predicate) } else { Ok(storable) }
    }

    /// Puts what will be stored into its groups and tags: only now is known which they are.
    pub(crate) async fn group(
        &self,
        placed: Result<Place, NoStore>,
        budget: &Budget,
    ) -> Result<Place, NoStore> {
        let mut place = placed?;
        let known = place.part.as_ref().and_then(ArrivingPart::known);
        let former = known.map(|(headers, tags)| self.tags_of(headers, &tags)).unwrap_or_default();
        let own = (&place.groups[..], &place.head.tags);
        let tagged = self.tag(&mut place.fill, own, &former, budget).await;
        if tagged { Ok(place) } else { Err(NoStore::Overtaken) }
    }

    /// Herds wait in line for what they may share; what has to be validated for each they may not.
    pub(crate) fn note_sharing(&self, head: &Head) {
        let (uncacheable, received) =
            (&self.ask.shared.uncacheable, self.exchange.response_received);
        if matches!(reuse(None, &head.freshness, received), Reuse::Fetch(_)) {
            uncacheable.remember(self.ask.hash, (), received + REMEMBER_UNCACHEABLE);
        } else {
            uncacheable.forget(self.ask.hash);
        }
    }

    /// From when and until when a response is of use.
    pub(crate) fn times(&self, freshness: &Freshness, head: &Head) -> EntryTimes {
        let received = self.exchange.response_received;
        let fresh_until = received.saturating_add(freshness.remaining());
        let keep = self.ask.shared.keep_stale;
        let kept = kept_stale(freshness, &head.freshness, has_validator(&head.headers), keep);
        let stale_until = fresh_until.saturating_add(kept);
        EntryTimes { created: received, fresh_until, stale_until }
    }

    /// The fill for the variant that this request has selected. A URI whose responses have not
    /// varied yet, or by fewer fields, gets a new marker at once, so that requests for other
    /// variants need not wait for this body.
    fn variant_fill(
        &self,
        fields: &VaryFields,
        fill: Fill,
        known: Option<KnownMarker>,
        times: EntryTimes,
    ) -> Result<(Fill, Arc<Variants>), NoStore> {
        let values = &self.ask.shared.values;
        let (uri, fields) = match known {
            // RFC 9111 §4.1: more fields than the response names select no less exactly.
            Some(known) if known.marker.fields.covers(fields) => {
                return Ok((fill, known.marker.variants));
            }
            Some(known) => {
                let fields = known.marker.fields.union(fields).ok_or(NoStore::VaryAny)?;
                (values.replace(&known.key, &known.slot).ok_or(NoStore::Overtaken)?, fields)
            }
            None => (fill, fields.clone()),
        };
        let marker = Marker { id: fastrand::u64(1..), fields, variants: Arc::default() };
        let key = self.ask.variant_key(self.asked, &marker).ok_or(NoStore::Overtaken)?;
        let variant = uri.branch(&key);
        if !uri.is_current() {
            return Err(NoStore::Overtaken);
        }
        let payload = store_marker(&marker);
        let decoded = Some(shared(Cached::Varies(marker.clone())));
        let least = EntryTimes::new(times.created, Ttl::After(MARKER_TTL));
        let until = least.fresh_until.max(times.stale_until);
        // Never fresh, so that a soft invalidation leaves it: what lies under it is stale by itself.
        let times =
            EntryTimes { created: times.created, fresh_until: times.created, stale_until: until };
        let entry = NewEntry { payload, format: Format::Raw, schema: 0, times, decoded };
        if let Ok(Some(write)) = uri.commit(entry) {
            write.spawn();
        }
        self.ask.learn(&marker);
        Ok((variant, marker.variants))
    }

    /// The response for the client, its body shared with those who wait and with the store.
    pub(crate) fn hand_on<B>(
        self,
        parts: Parts,
        body: B,
        place: Place,
        decision: Decision,
    ) -> Response<CacheBody<B>>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let shared = &self.ask.shared;
        let Place { fill, head, times, variant, variants, length, part, .. } = place;
        let (key, freshness) = (Arc::clone(fill.key()), head.freshness);
        self.note_sharing(&head);
        let whole = Whole::default();
        let keeper = ResponseKeeper {
            shared: Arc::clone(shared),
            site: Arc::clone(&self.ask.site),
            fill,
            variants,
            head: head.clone(),
            times,
            leader: self.leader.clone(),
            // Other requests for the URI are no POSTs.
            uri: (decision != Decision::ForwardedStored).then_some(self.ask.hash),
            whole: Arc::clone(&whole),
            part,
        };
        let origin_s = parts.status;
        let source = Box::pin(body.map_err(Into::into));
        let patience = shared.wait_timeout;
        let background = shared.values.cache().background().clone();
        let (body, reader) =
            SharedBody::new(source, length, Box::new(keeper), patience, background);
        if let Some(leader) = self.leader {
            let has_age = parts.headers.contains_key(header::AGE);
            let response =
                SharedResponse::new(head, Arc::clone(&key), has_age, &body, whole, variant);
            leader.land(Outcome::Shared(Arc::new(response)));
        }
        let received = self.exchange.response_received;
        let mut response = if is_conditional(self.asked)
            && not_modified(self.asked, parts.status, &parts.headers, received)
        {
            // The client has it already; the body is read on for the store.
            let mut response = Response::new(CacheBody::none());
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            *response.headers_mut() = not_modified_headers(&parts.headers);
            response
        } else {
            Response::from_parts(parts, CacheBody::shared(reader))
        };
        // What a POST is answered is not what clients are told of a GET.
        if decision != Decision::ForwardedStored {
            self.ask.site.tell_client(origin_s, response.headers_mut());
        }
        let params = shared.params(&freshness, received, key.as_str()).forwarded(origin_s);
        self.ask.tally.tell_with(decision, params, &mut response);
        response
    }
}
