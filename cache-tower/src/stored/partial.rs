//! Incomplete responses: parts that are stored, put together, and cut again (RFC 9111 §3.3, §3.4).
//!
//! Of each response one part without gaps is stored. A part that meets it makes it larger, until it
//! is the whole; one that does not takes its place.

use std::sync::Arc;

use bytes::Bytes;
use cache_core::{EntryKey, Fill, Slot};
use http::response::Parts;
use http::{HeaderMap, Method, Response, StatusCode, header};

use crate::body::CacheBody;
use crate::flow::lookup::Ask;
use crate::layer::SiteRules;
use crate::policy::{
    CACHE_GROUPS, MissReason, Part, combined_headers, has_strong_validator, not_modified,
    not_modified_headers, share_strong_validator,
};
use crate::stored::part::part_of;
use crate::stored::{Cached, Head, StoredResponse, reload_tags, store, store_partial};
use crate::tags::CacheTags;

/// A stored response of which only a part is there.
#[derive(Debug)]
pub(crate) struct PartialResponse {
    /// As if it were whole, but for its body.
    pub(crate) response: StoredResponse,
    pub(crate) part: Part,
}

/// The part of a response that was found where the whole would be.
#[derive(Clone, Debug)]
pub(crate) struct KnownPart {
    pub(crate) key: Arc<EntryKey>,
    pub(crate) slot: Arc<Slot>,
}

/// A part that is arriving, and what it may be added to.
#[derive(Debug)]
pub(crate) struct ArrivingPart {
    part: Part,
    known: Option<KnownPart>,
}

impl KnownPart {
    /// What was found, if it is a part.
    pub(crate) fn of(found: Option<&Arc<Slot>>, fill: Option<&Fill>) -> Option<Self> {
        let (slot, fill) = found.zip(fill)?;
        let is_part = matches!(slot.decoded::<Cached>(), Some(Cached::Partial(_)));
        is_part.then(|| Self { key: Arc::clone(fill.key()), slot: Arc::clone(slot) })
    }

    fn partial(&self) -> Option<&PartialResponse> {
        match self.slot.decoded::<Cached>() {
            Some(Cached::Partial(known)) => Some(known),
            _ => None,
        }
    }
}

impl PartialResponse {
    /// The answer to a request that wants no more than what is there.
    pub(crate) fn answer<B>(
        &self,
        site: &SiteRules,
        method: &Method,
        request: &HeaderMap,
        age_secs: u64,
    ) -> Option<Response<CacheBody<B>>> {
        let Self { response: stored, part } = self;
        if *method != Method::GET || !request.contains_key(header::RANGE) {
            return None;
        }
        let mut headers = stored.headers(age_secs);
        site.tell_client(stored.status, &mut headers);
        if not_modified(request, stored.status, &stored.template, stored.freshness.received) {
            let mut response = Response::new(CacheBody::none());
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            *response.headers_mut() = not_modified_headers(&headers);
            return Some(response);
        }
        part_of(stored, part, request, &mut headers)
    }
}

/// The head of the whole that a 206 is a part of, if that part may be stored by itself. What is
/// whole already, or is stale and can be validated, makes no room for a part.
pub(crate) fn arriving(
    ask: &Ask,
    parts: &Parts,
    why: MissReason,
    known: Option<KnownPart>,
) -> Option<(Parts, ArrivingPart)> {
    let is_room = known.is_some() || matches!(why, MissReason::UriMiss | MissReason::VaryMiss);
    let is_part = ask.ranged && parts.status == StatusCode::PARTIAL_CONTENT;
    if !(ask.shared.combine_partial && is_room && is_part && has_strong_validator(&parts.headers)) {
        return None;
    }
    let part = Part::of(&parts.headers)?;
    let mut whole = parts.clone();
    whole.status = StatusCode::OK;
    // Of this part, not of the whole.
    for name in ["content-range", "content-digest", "content-md5"] {
        whole.headers.remove(name);
    }
    // RFC 9110 §15.3.7: a 206 may leave out what is known already; without its groups and tags,
    // the whole would outlive their invalidation.
    if let Some(found) = &known
        && let Some(known) = found.partial()
        && share_strong_validator(&known.response.template, &whole.headers)
    {
        if !whole.headers.contains_key(CACHE_GROUPS) {
            for groups in known.response.template.get_all(CACHE_GROUPS) {
                // Fails where the map is at the limit of the http crate (2^15 names).
                whole.headers.try_append(CACHE_GROUPS, groups.clone()).ok()?;
            }
        }
        if whole.extensions.get::<CacheTags>().is_none_or(CacheTags::is_empty) {
            whole.extensions.insert(reload_tags(found.slot.payload())?);
        }
    }
    Some((whole, ArrivingPart { part, known }))
}

impl ArrivingPart {
    /// To be told under which key it will be stored: a part of another variant is no part of it.
    pub(crate) fn stored_under(mut self, key: &EntryKey) -> Self {
        self.known = self.known.filter(|known| known.key.identity() == key.identity());
        self
    }

    /// The head and the tags of what it may be added to.
    pub(crate) fn known(&self) -> Option<(&HeaderMap, CacheTags)> {
        let known = self.known.as_ref()?;
        Some((&known.partial()?.response.template, reload_tags(known.slot.payload())?))
    }

    /// What is to be stored when it has arrived, in no more bytes than `limit`; `None`: it was not
    /// as long as it said.
    pub(crate) fn payload(&self, head: &Head, body: &[&Bytes], limit: usize) -> Option<Bytes> {
        let length: usize = body.iter().map(|chunk| chunk.len()).sum();
        if length != self.part.range.len() {
            return None;
        }
        let known = self.known.as_ref().and_then(KnownPart::partial);
        let combined = known.and_then(|known| self.combine(known, head, body, limit));
        Some(combined.unwrap_or_else(|| put(head, &self.part, body)))
    }

    fn combine(
        &self,
        known: &PartialResponse,
        head: &Head,
        body: &[&Bytes],
        limit: usize,
    ) -> Option<Bytes> {
        let stored = &known.response;
        // RFC 9111 §3.4.
        if !share_strong_validator(&stored.template, &head.headers) {
            return None;
        }
        let both = known.part.union(&self.part).filter(|both| both.range.len() <= limit)?;
        let before = self.part.range.start.saturating_sub(known.part.range.start);
        let after = known.part.range.end.saturating_sub(self.part.range.end);
        let length = stored.body.len();
        let before = stored.body.slice(..before.min(length));
        let after = stored.body.slice(length.saturating_sub(after)..);
        let headers = combined_headers(&stored.template, head.headers.clone());
        let pieces: Vec<&Bytes> =
            [&before].into_iter().chain(body.iter().copied()).chain([&after]).collect();
        Some(put(&Head { headers, ..head.clone() }, &both, &pieces))
    }
}

fn put(head: &Head, part: &Part, body: &[&Bytes]) -> Bytes {
    if part.is_complete() {
        store(head, body.iter().copied())
    } else {
        store_partial(head, part, body.iter().copied())
    }
}
