//! Finding: is the request one for the cache, and what is stored for it?

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use bytes::Bytes;
use cache_core::{EntryKey, Fill, Lookup, Read, Slot};
use http::{HeaderMap, Request, Response, Uri};
use http_body::Body;

use crate::body::CacheBody;
use crate::config::Shared;
use crate::flow::answer::{answer, not_cached};
use crate::flow::budget::Budget;
use crate::flow::nested::Mark;
use crate::flow::post;
use crate::flow::refresh::Refreshing;
use crate::hooks::RequestHead;
use crate::invalidate::UnsafeTarget;
use crate::layer::SiteRules;
use crate::policy::{
    Admission, Admitted, Audience, BypassReason, Millis, MissReason, RequestDirectives, Reuse,
    admit, admit_regardless, reuse,
};
use crate::report::status::Decision;
use crate::report::tally::Tally;
use crate::request::key::{Identity, Site, Target, original_uri, variant};
use crate::request::key_rules::Chosen;
use crate::request::partition::Resolved;
use crate::stored::variants::Variants;
use crate::stored::{Cached, Marker, load_beside};

/// What becomes of a request, as far as can be said without waiting.
#[allow(clippy::large_enum_variant, reason = "taken apart at once; a hit must not allocate")]
pub(crate) enum Entrance<B> {
    /// It is answered from this process' memory.
    Answered(Response<CacheBody<B>>),
    /// So it is, with what is stale: to be refreshed.
    Stale(Response<CacheBody<B>>, Option<(Box<Ask>, Refreshing)>),
    /// It goes past the cache.
    Past(Decision),
    /// It may change something: it is forwarded, and what it changes is invalidated.
    Unsafe(Box<UnsafeTarget>),
    /// So it is with this, and its response may be stored.
    Post(Box<Ask>),
    /// It has to be looked up in the store, or fetched.
    Lookup(Box<Ask>),
}

/// A request that is looked up: what the asynchronous part needs to know of it.
pub(crate) struct Ask {
    pub(crate) shared: Arc<Shared>,
    pub(crate) site: Arc<SiteRules>,
    pub(crate) partition: Resolved<'static>,
    /// As the router first saw it.
    pub(crate) uri: Uri,
    pub(crate) primary: Identity,
    /// What the cache's own rules choose of it.
    pub(crate) chosen: Chosen,
    pub(crate) hash: u128,
    /// Of the route, where there are routes; else of the URI.
    pub(crate) route: u128,
    pub(crate) head_only: bool,
    /// It has `Range`: what the origin answers is hardly for others.
    pub(crate) ranged: bool,
    /// Set while a response is fetched that is worth having without its client.
    pub(crate) fetching: Arc<AtomicBool>,
    pub(crate) tally: Tally,
}

/// What is stored for a request.
pub(crate) enum Found {
    /// A response, under this key.
    Response { key: Arc<EntryKey>, slot: Arc<Slot>, marker: Option<KnownMarker> },
    /// Nothing: to be filled.
    Nothing(Box<Vacancy>),
}

/// Where the response to a request will be put.
pub(crate) struct Vacancy {
    pub(crate) fill: Option<Fill>,
    pub(crate) why: MissReason,
    /// The marker under which the fill's key lies, with its own key and slot.
    pub(crate) marker: Option<KnownMarker>,
    /// What is stored, and can't be used as it is.
    pub(crate) stale: Option<Arc<Slot>>,
    /// Knows whether the marker stands by which `stale` was found.
    pub(crate) marker_watch: Option<Fill>,
}

/// The marker of a URI, as it was found.
pub(crate) struct KnownMarker {
    pub(crate) key: Arc<EntryKey>,
    pub(crate) slot: Arc<Slot>,
    pub(crate) marker: Marker,
}

/// The synchronous part: admission, key, and this process' memory. A hit ends here.
pub(crate) fn enter<B: Body, R>(
    shared: &Arc<Shared>,
    site: &Arc<SiteRules>,
    request: &Request<B>,
) -> Entrance<R> {
    Mark::claim(request.extensions());
    let bypass = |reason| Entrance::Past(Decision::Bypass(reason));
    let headers = request.headers();
    let ignores_directives = site.store.ignore_request_directives;
    let admit = if ignores_directives { admit_regardless } else { admit };
    let Admitted { admission, seen } = admit(request.method(), headers, has_body(request.body()));
    if let Admission::Bypass(reason) = admission {
        return bypass(reason);
    }
    if !shared.values.cache().is_enabled() {
        return bypass(BypassReason::Disabled);
    }
    let Some(partition) = shared.workspace.resolve(headers, request.extensions()) else {
        return match admission {
            Admission::Unsafe => Entrance::Past(Decision::Forwarded),
            _ => bypass(BypassReason::Workspace),
        };
    };
    let uri = original_uri(request.uri(), request.extensions());
    if admission == Admission::Unsafe {
        return of_unsafe(shared, site, request, partition);
    }
    let head = RequestHead::new(request.method(), uri, headers, request.extensions());
    if site.hooks.skips(&head) || shared.options.hooks.skips(&head) {
        return bypass(BypassReason::Skipped);
    }
    let rules = &shared.options.key;
    let query = rules.query(uri.query());
    if rules.bypass_unkeyed && query.as_deref() != uri.query() {
        return bypass(BypassReason::UnkeyedQuery);
    }
    let target =
        Target { query: query.as_deref(), ..Target::of(partition.partition(), uri, headers) };
    let mut primary = Identity::new();
    target.write_identity(site.site, seen.reflected, &mut primary);
    rules.end_identity(&mut primary);
    let chosen = rules.choose(&head);
    let hash = shared.values.hash(&primary);
    let now = shared.values.cache().clock().now();
    let mut stale = None;
    if let Some((own_hash, slot)) = in_memory(shared, hash, &primary, headers, &chosen, now)
        && let Some(Cached::Response(stored)) = slot.decoded::<Cached>()
    {
        let directives = seen.directives.then(|| RequestDirectives::parse(headers));
        if seen.credentials && needs_own_response(site, stored.audience, headers) {
            if directives.is_some_and(|directives| directives.only_if_cached) {
                return Entrance::Answered(not_cached(&Tally::new(shared, Decision::Unanswered)));
            }
            return bypass(BypassReason::Credentials);
        }
        let conditions = (seen.conditions || seen.range).then_some(headers);
        match reuse(directives.as_ref(), &stored.freshness, now) {
            Reuse::Use { age_secs } => {
                shared.count_hit(Read::L1Hit);
                let mut response = answer(stored, request.method(), conditions, age_secs);
                shared.tell_hit(&mut response, &stored.freshness, now, slot.rendered_key());
                return Entrance::Answered(response);
            }
            Reuse::UseStale { age_secs } => {
                let mut response = answer(stored, request.method(), conditions, age_secs);
                let tally = Tally::new(shared, Decision::Unanswered);
                let params = shared.params(&stored.freshness, now, slot.rendered_key());
                tally.correct(Decision::StaleHit, params, &mut response);
                shared.values.count(Read::L1Hit);
                let Some(refreshing) = shared.refreshes.begin(own_hash, now) else {
                    return Entrance::Stale(response, None);
                };
                stale = Some((response, refreshing, tally));
            }
            Reuse::Fetch(_) => {}
        }
    }
    let route = route_hash(shared, request).unwrap_or(hash);
    // The layer of a whole router asks; an endpoint is what the others have remembered.
    if stale.is_none() && site.site == Site::Layer && shared.inner_routes.get(route, now).is_some()
    {
        return bypass(BypassReason::InnerCache);
    }
    let (stale, tally) = match stale {
        Some((response, refreshing, tally)) => (Some((response, refreshing)), tally),
        None => (None, Tally::new(shared, Decision::Unanswered)),
    };
    let ask = Box::new(Ask {
        shared: Arc::clone(shared),
        site: Arc::clone(site),
        uri: uri.clone(),
        partition: partition.into_owned(),
        primary,
        chosen,
        hash,
        route,
        head_only: admission == Admission::LookupHead,
        ranged: seen.range,
        fetching: Arc::default(),
        tally,
    });
    match stale {
        Some((response, refreshing)) => Entrance::Stale(response, Some((ask, refreshing))),
        None => Entrance::Lookup(ask),
    }
}

fn of_unsafe<B, R>(
    shared: &Arc<Shared>,
    site: &Arc<SiteRules>,
    request: &Request<B>,
    partition: Resolved<'_>,
) -> Entrance<R> {
    if let Some(ask) = post::ask(shared, site, request, &partition) {
        return Entrance::Post(ask);
    }
    let uri = original_uri(request.uri(), request.extensions());
    let target = UnsafeTarget::new(shared, partition.into_owned(), uri, request.headers());
    Entrance::Unsafe(Box::new(target))
}

/// The entry in this process' memory, with the hash of its identity: the response itself, or the
/// variant of it that the marker leads to.
fn in_memory(
    shared: &Shared,
    hash: u128,
    primary: &Identity,
    headers: &HeaderMap,
    chosen: &[u8],
    now: Millis,
) -> Option<(u128, Arc<Slot>)> {
    let slot = shared.values.peek_at(hash, primary, now)?;
    let Some(Cached::Varies(marker)) = slot.decoded::<Cached>() else { return Some((hash, slot)) };
    let identity =
        variant(primary, marker.id, &marker.fields, headers, shared.options.normalize, chosen);
    let hash = shared.values.hash(&identity);
    let found = shared.values.peek_at(hash, &identity, now)?;
    marker.variants.touch(hash);
    Some((hash, found))
}

impl Ask {
    /// The key of an identity of this request.
    pub(crate) fn key(&self, headers: &HeaderMap, identity: &[u8]) -> Option<Arc<EntryKey>> {
        let target = Target::of(self.partition.partition(), &self.uri, headers);
        let key = target.store_key(identity, &self.shared.key_base);
        self.shared.values.prepare(&key, identity).ok()
    }

    /// What is stored for the request, in memory or in the store: one round trip, or two when
    /// the URI's responses vary and this was not known here.
    pub(crate) async fn find(&self, headers: &HeaderMap, budget: &Budget) -> Found {
        let Some(primary) = self.key(headers, &self.primary) else { return nothing() };
        let values = &self.shared.values;
        let now = values.cache().clock().now();
        let marker_slot = values.peek(self.hash, &self.primary);
        let marker = match marker_slot.as_ref().and_then(|slot| slot.decoded::<Cached>()) {
            Some(Cached::Varies(marker)) => Some(Arc::new(marker.clone())),
            Some(Cached::Response(_) | Cached::Partial(_)) => None,
            None => self.shared.markers.get(self.hash, now),
        };
        if let (Some(slot), None) = (&marker_slot, &marker) {
            return response(primary, Arc::clone(slot), None);
        }
        let guess = match &marker {
            Some(marker) => self.variant_key(headers, marker),
            None => None,
        };
        if let (Some(slot), Some(marker), Some(key)) = (marker_slot, &marker, &guess) {
            // The marker is in memory, so only the variant is missing.
            let found = values.peek(key.hash(), key.identity());
            let known = KnownMarker { key: primary, slot, marker: Marker::clone(marker) };
            if let Some(found) = found {
                return response(Arc::clone(key), found, Some(known));
            }
            let keys = std::slice::from_ref(key);
            let answer = self.look_in_store(keys, budget).await.pop();
            return under_marker(answer, key, known);
        }
        let keys: Vec<_> =
            [Some(Arc::clone(&primary)), guess.clone()].into_iter().flatten().collect();
        let mut answers = self.look_in_store(&keys, budget).await.into_iter();
        let slot = match answers.next() {
            Some(Lookup::Hit(slot)) => slot,
            Some(Lookup::Miss(fill)) => return vacant(Some(fill), MissReason::UriMiss, None),
            None => return nothing(),
        };
        let found = match slot.decoded::<Cached>() {
            Some(Cached::Varies(found)) => found.clone(),
            Some(Cached::Response(_) | Cached::Partial(_)) => {
                return response(primary, slot, None);
            }
            None => return nothing(),
        };
        self.learn(&found);
        let known = KnownMarker { key: primary, slot, marker: found };
        if let (Some(key), Some(guessed)) = (&guess, &marker)
            && **guessed == known.marker
        {
            return under_marker(answers.next(), key, known);
        }
        let Some(key) = self.variant_key(headers, &known.marker) else { return nothing() };
        if let Some(found) = values.peek(key.hash(), key.identity()) {
            return response(key, found, Some(known));
        }
        let keys = std::slice::from_ref(&key);
        let answer = self.look_in_store(keys, budget).await.pop();
        under_marker(answer, &key, known)
    }

    /// The directives of the request that count; parsed only if there are any.
    pub(crate) fn directives(&self, headers: &HeaderMap) -> Option<RequestDirectives> {
        let count =
            !self.site.store.ignore_request_directives && RequestDirectives::is_present(headers);
        count.then(|| RequestDirectives::parse(headers))
    }

    async fn look_in_store(&self, keys: &[Arc<EntryKey>], budget: &Budget) -> Vec<Lookup> {
        let values = &self.shared.values;
        let marker = self.shared.markers.get(self.hash, values.cache().clock().now());
        let decode = |payload: &Bytes| load_beside(payload, &self.shared.hit, marker.as_deref());
        budget.spend(async |deadline| values.lookup_in_store(keys, &decode, deadline).await).await
    }

    /// Remembers a marker, so that it and the variant can be asked for at once.
    pub(crate) fn learn(&self, marker: &Marker) {
        let until = self.shared.values.cache().clock().now() + REMEMBER_MARKER;
        self.shared.markers.remember(self.hash, Arc::new(marker.clone()), until);
    }

    pub(crate) fn variant_key(
        &self,
        headers: &HeaderMap,
        marker: &Marker,
    ) -> Option<Arc<EntryKey>> {
        let options = self.shared.options.normalize;
        let identity =
            variant(&self.primary, marker.id, &marker.fields, headers, options, &self.chosen);
        self.key(headers, &identity)
    }
}

impl Shared {
    /// Notes that a variant is stored under a marker, and makes room for it.
    pub(crate) fn admit_variant(&self, variants: &Variants, key: &EntryKey) {
        for gone in variants.admit(self.values.evictable(key), self.options.max_variants) {
            self.values.evict(gone);
        }
    }
}

/// A marker that is wrong costs a round trip, so it may be remembered for long.
const REMEMBER_MARKER: u64 = 60 * 60 * 1000;

fn response(key: Arc<EntryKey>, slot: Arc<Slot>, marker: Option<KnownMarker>) -> Found {
    Found::Response { key, slot, marker }
}

fn under_marker(answer: Option<Lookup>, key: &Arc<EntryKey>, marker: KnownMarker) -> Found {
    match answer {
        Some(Lookup::Hit(slot)) => response(Arc::clone(key), slot, Some(marker)),
        Some(Lookup::Miss(fill)) => vacant(Some(fill), MissReason::VaryMiss, Some(marker)),
        None => nothing(),
    }
}

fn vacant(fill: Option<Fill>, why: MissReason, marker: Option<KnownMarker>) -> Found {
    Found::Nothing(Box::new(Vacancy { fill, why, marker, stale: None, marker_watch: None }))
}

/// Nothing is known, and nothing can be stored.
fn nothing() -> Found {
    vacant(None, MissReason::UriMiss, None)
}

/// Whether a request is not of those that a stored response may be given to.
pub(crate) fn needs_own_response(
    site: &SiteRules,
    audience: Audience,
    headers: &HeaderMap,
) -> bool {
    !site.store.credentials_shared && !audience.includes(headers)
}

fn has_body(body: &impl Body) -> bool {
    !body.is_end_stream() && body.size_hint().exact() != Some(0)
}

#[cfg(feature = "axum")]
fn route_hash<B>(shared: &Shared, request: &Request<B>) -> Option<u128> {
    let path = request.extensions().get::<axum::extract::MatchedPath>()?;
    Some(shared.values.hash(path.as_str().as_bytes()))
}

#[cfg(not(feature = "axum"))]
fn route_hash<B>(_: &Shared, _: &Request<B>) -> Option<u128> {
    None
}
