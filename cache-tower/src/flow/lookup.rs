//! Finding: what is stored for a request that is one for the cache?

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use bytes::Bytes;
use cache_core::{EntryKey, Fill, Lookup, Slot};
use http::{HeaderMap, Uri};

use crate::config::Shared;
use crate::flow::budget::Budget;
use crate::layer::SiteRules;
use crate::policy::{Audience, MissReason, RequestDirectives};
use crate::report::tally::Tally;
use crate::request::key::{Identity, Target, variant};
use crate::request::key_rules::Chosen;
use crate::request::partition::Resolved;
use crate::stored::{Cached, Marker, load_beside};
use crate::tags::CacheTags;

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
    /// Those that the route gives all its responses.
    pub(crate) tags: CacheTags,
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

impl Ask {
    /// The key of an identity of this request.
    pub(crate) fn key(&self, headers: &HeaderMap, identity: &[u8]) -> Option<Arc<EntryKey>> {
        let target = Target::of(self.partition.partition(), &self.uri, headers);
        let key = target.store_key(identity, &self.shared.key_base);
        let key = self.shared.values.prepare(&key, identity).ok()?;
        self.tally.of(&key);
        Some(key)
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

    pub(crate) fn shares_credentials(&self) -> bool {
        shares_credentials(&self.site, &self.partition)
    }

    /// Whether this request is not of those that a stored response may be given to.
    pub(crate) fn needs_own_response(&self, audience: Audience, headers: &HeaderMap) -> bool {
        !self.shares_credentials() && !audience.includes(headers)
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

/// Whether credentials make no difference to this request: not unless it belongs to a workspace,
/// whose members have been told to share.
pub(crate) fn shares_credentials(site: &SiteRules, partition: &Resolved<'_>) -> bool {
    site.store.credentials_shared && *partition != Resolved::Shared
}
