//! Stored responses: what an entry's payload holds, and what a hit is made of.
//!
//! On the wire: a kind byte, then either the head of a response and its body, or the marker of a
//! URI whose responses vary; before a part of a response, its place. Numbers are little-endian,
//! texts have their length before them.

pub(crate) mod etag;
pub(crate) mod intern;
pub(crate) mod part;
pub(crate) mod partial;
pub(crate) mod variants;

use std::mem::size_of;
use std::sync::{Arc, LazyLock};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use cache_core::Shared;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

use crate::policy::{Audience, Millis, Part, StoredFreshness, VaryFields, is_without_content};
use crate::stored::partial::PartialResponse;
use crate::stored::variants::Variants;
use crate::tags::CacheTags;

/// The field that tells what caches did (RFC 9211).
pub(crate) const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");

/// What is stored under an identity.
#[derive(Debug)]
pub(crate) enum Cached {
    Response(StoredResponse),
    /// A part of a response.
    Partial(PartialResponse),
    /// The responses of this URI are stored by variant.
    Varies(Marker),
}

/// A response, ready to be served.
#[derive(Debug)]
pub(crate) struct StoredResponse {
    pub(crate) status: StatusCode,
    /// All headers of a hit, with `Age` and `Cache-Status` in place.
    pub(crate) template: HeaderMap,
    pub(crate) freshness: StoredFreshness,
    /// To whose requests it may be given.
    pub(crate) audience: Audience,
    pub(crate) body: Bytes,
}

/// By which request headers the responses of a URI vary. Its id is part of the variants'
/// identities: without the marker they are not found, and a new marker leaves the old ones behind.
#[derive(Debug, Clone)]
pub(crate) struct Marker {
    pub(crate) id: u64,
    pub(crate) fields: VaryFields,
    /// Shared by all copies of a marker in this process, as far as it remembers it.
    pub(crate) variants: Arc<Variants>,
}

impl PartialEq for Marker {
    fn eq(&self, other: &Self) -> bool {
        (self.id, &self.fields) == (other.id, &other.fields)
    }
}

impl Eq for Marker {}

const RESPONSE: u8 = 1;
const MARKER: u8 = 2;
const PARTIAL: u8 = 3;

/// Where a part begins, and how long the whole is.
const PLACE: usize = 2 * size_of::<u64>();

const MUST_REVALIDATE: u8 = 1;
const IMMUTABLE: u8 = 2;
const WITHOUT_AUTHORIZATION: u8 = 4;
const WITHOUT_CREDENTIALS: u8 = 8;
const NO_CACHE: u8 = 16;
/// Tags follow the headers.
const TAGGED: u8 = 32;

/// The head of a response that is about to be stored.
#[derive(Debug, Clone)]
pub(crate) struct Head {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) freshness: StoredFreshness,
    pub(crate) audience: Audience,
    /// Those that the handler gave it.
    pub(crate) tags: CacheTags,
}

/// The payload for a response, its body in one piece at the end. What is kept in memory is
/// loaded from it again: the origin's own header values may each hold a whole read buffer.
pub(crate) fn store<'b>(head: &Head, body: impl Iterator<Item = &'b Bytes> + Clone) -> Bytes {
    let length: usize = body.clone().map(Bytes::len).sum();
    let mut payload = BytesMut::with_capacity(head_size(head) + length);
    put_head(&mut payload, head);
    for chunk in body {
        payload.put_slice(chunk);
    }
    payload.freeze()
}

/// The payload for a part of a response: its place, then all as for the whole.
pub(crate) fn store_partial<'b>(
    head: &Head,
    part: &Part,
    body: impl Iterator<Item = &'b Bytes>,
) -> Bytes {
    let mut payload = BytesMut::with_capacity(1 + PLACE + head_size(head) + part.range.len());
    payload.put_u8(PARTIAL);
    payload.put_u64_le(part.range.start as u64);
    payload.put_u64_le(part.complete as u64);
    put_head(&mut payload, head);
    for chunk in body {
        payload.put_slice(chunk);
    }
    payload.freeze()
}

/// The payload for a marker.
pub(crate) fn store_marker(marker: &Marker) -> Bytes {
    let mut payload = vec![MARKER];
    payload.put_u64_le(marker.id);
    marker.fields.encode(&mut payload);
    payload.into()
}

/// Reads a payload; with what it weighs in memory beyond the payload itself.
pub(crate) fn load(payload: &Bytes, status: &HeaderValue) -> Option<(Shared, usize)> {
    load_beside(payload, status, None)
}

/// As [`load`], for a URI whose marker is known already, if it still is that one.
pub(crate) fn load_beside(
    payload: &Bytes,
    status: &HeaderValue,
    known: Option<&Marker>,
) -> Option<(Shared, usize)> {
    let mut rest = payload.clone();
    let cached = match rest.try_get_u8().ok()? {
        MARKER => {
            let id = rest.try_get_u64_le().ok()?;
            let fields = VaryFields::decode(&rest)?;
            let known = known.filter(|known| known.id == id);
            let variants = known.map(|known| Arc::clone(&known.variants)).unwrap_or_default();
            Cached::Varies(Marker { id, fields, variants })
        }
        RESPONSE => {
            let head = read_head(&mut rest)?;
            Cached::Response(StoredResponse::new(head, rest, status)?)
        }
        PARTIAL => {
            let start = usize::try_from(rest.try_get_u64_le().ok()?).ok()?;
            let complete = usize::try_from(rest.try_get_u64_le().ok()?).ok()?;
            if rest.try_get_u8().ok()? != RESPONSE {
                return None;
            }
            let head = read_head(&mut rest)?;
            let end = start.checked_add(rest.len()).filter(|end| *end <= complete)?;
            let part = Part { range: start..end, complete };
            let response = StoredResponse::new(head, rest, status)?;
            Cached::Partial(PartialResponse { response, part })
        }
        _ => return None,
    };
    Some(shared(cached))
}

/// As it is kept in memory, with its weight.
pub(crate) fn shared(cached: Cached) -> (Shared, usize) {
    let weight = cached.weight();
    (Arc::new(cached), weight)
}

/// The head and the body of a response, as they were stored.
pub(crate) fn reload(payload: &Bytes) -> Option<(Head, Bytes)> {
    let mut rest = payload.clone();
    if rest.try_get_u8().ok()? != RESPONSE {
        return None;
    }
    Some((read_head(&mut rest)?, rest))
}

/// The tags of a part of a response, as they were stored. In memory no part has them: they would
/// take their place in every response.
pub(crate) fn reload_tags(payload: &Bytes) -> Option<CacheTags> {
    let mut rest = payload.clone();
    if rest.try_get_u8().ok()? != PARTIAL || rest.len() < PLACE {
        return None;
    }
    rest.advance(PLACE);
    (rest.try_get_u8().ok()? == RESPONSE).then(|| read_head(&mut rest)).flatten().map(|h| h.tags)
}

impl Cached {
    /// What it takes in memory, beside the payload.
    pub(crate) fn weight(&self) -> usize {
        let headers = match self {
            Self::Response(response) => &response.template,
            Self::Partial(partial) => &partial.response.template,
            // With the table of its variants, as large as it mostly is.
            Self::Varies(_) => return size_of::<Self>() + 512,
        };
        // Each line: its place in the map's two tables, and the bytes of its name and value.
        let lines = headers.iter().map(|(n, v)| 112 + n.as_str().len() + v.len());
        size_of::<Self>() + lines.sum::<usize>()
    }
}

impl StoredResponse {
    /// `None` if the head is as large as the http crate allows, and ours does not fit in.
    fn new(head: Head, body: Bytes, status: &HeaderValue) -> Option<Self> {
        let Head { status: code, headers: mut template, freshness, audience, tags: _ } = head;
        template.try_insert(header::AGE, HeaderValue::from_static("0")).ok()?;
        // What earlier caches did stays before ours (RFC 9211 §2).
        template.try_append(CACHE_STATUS, status.clone()).ok()?;
        if !is_without_content(code) {
            let length = HeaderValue::from(body.len());
            template.try_insert(header::CONTENT_LENGTH, length).ok()?;
        }
        Some(Self { status: code, template, freshness, audience, body })
    }

    /// The headers of a hit at this age: one clone, one value replaced in place.
    pub(crate) fn headers(&self, age_secs: u64) -> HeaderMap {
        let mut headers = self.template.clone();
        if let Some(age) = headers.get_mut(header::AGE) {
            *age = age_value(age_secs);
        }
        headers
    }
}

/// Most ages are small; a value made before costs no allocation.
fn age_value(secs: u64) -> HeaderValue {
    static SMALL: LazyLock<Vec<HeaderValue>> =
        LazyLock::new(|| (0..1024_u64).map(HeaderValue::from).collect());
    let small = usize::try_from(secs).ok().and_then(|secs| SMALL.get(secs));
    // From a `u64` the http crate makes a value in three allocations; its digits need one.
    small.cloned().unwrap_or_else(|| {
        let digits = Bytes::from(secs.to_string().into_bytes());
        HeaderValue::from_maybe_shared(digits).unwrap_or_else(|_| HeaderValue::from(secs))
    })
}

fn head_size(head: &Head) -> usize {
    let lines = head.headers.iter().map(|(name, value)| 6 + name.as_str().len() + value.len());
    1 + 2 + 1 + 5 * size_of::<Millis>() + 4 + lines.sum::<usize>() + head.tags.size()
}

fn put_head(out: &mut BytesMut, head: &Head) {
    let flag = |on: bool, flag: u8| if on { flag } else { 0 };
    out.put_u8(RESPONSE);
    out.put_u16_le(head.status.as_u16());
    out.put_u8(
        flag(head.freshness.must_revalidate, MUST_REVALIDATE)
            | flag(head.freshness.immutable, IMMUTABLE)
            | flag(head.freshness.no_cache, NO_CACHE)
            | flag(!head.tags.is_empty(), TAGGED)
            | match head.audience {
                Audience::All => 0,
                Audience::WithoutAuthorization => WITHOUT_AUTHORIZATION,
                Audience::WithoutCredentials => WITHOUT_CREDENTIALS,
            },
    );
    out.put_u64_le(head.freshness.received);
    out.put_u64_le(head.freshness.initial_age);
    out.put_u64_le(head.freshness.lifetime);
    out.put_u64_le(head.freshness.while_revalidate);
    out.put_u64_le(head.freshness.if_error);
    // A header map holds at most 32,768 lines of names below 64 KiB.
    out.put_u32_le(u32::try_from(head.headers.len()).unwrap_or(u32::MAX));
    for (name, value) in &head.headers {
        out.put_u16_le(u16::try_from(name.as_str().len()).unwrap_or(u16::MAX));
        out.put_slice(name.as_str().as_bytes());
        out.put_u32_le(u32::try_from(value.len()).unwrap_or(u32::MAX));
        out.put_slice(value.as_bytes());
    }
    if !head.tags.is_empty() {
        head.tags.put(out);
    }
}

/// Reads a head; what is left is the body.
fn read_head(rest: &mut Bytes) -> Option<Head> {
    let status = StatusCode::from_u16(rest.try_get_u16_le().ok()?).ok()?;
    let flags = rest.try_get_u8().ok()?;
    let freshness = StoredFreshness {
        received: rest.try_get_u64_le().ok()?,
        initial_age: rest.try_get_u64_le().ok()?,
        lifetime: rest.try_get_u64_le().ok()?,
        while_revalidate: rest.try_get_u64_le().ok()?,
        if_error: rest.try_get_u64_le().ok()?,
        must_revalidate: flags & MUST_REVALIDATE != 0,
        immutable: flags & IMMUTABLE != 0,
        no_cache: flags & NO_CACHE != 0,
    };
    let mut headers = HeaderMap::new();
    for _ in 0..rest.try_get_u32_le().ok()? {
        let length = rest.try_get_u16_le().ok()?;
        let name = intern::name(&take(rest, length.into())?)?;
        let length = usize::try_from(rest.try_get_u32_le().ok()?).ok()?;
        let value = intern::value(take(rest, length)?)?;
        headers.try_append(name, value).ok()?;
    }
    let audience = match flags & (WITHOUT_AUTHORIZATION | WITHOUT_CREDENTIALS) {
        0 => Audience::All,
        WITHOUT_AUTHORIZATION => Audience::WithoutAuthorization,
        _ => Audience::WithoutCredentials,
    };
    let tags = if flags & TAGGED != 0 { CacheTags::take(rest)? } else { CacheTags::default() };
    Some(Head { status, headers, freshness, audience, tags })
}

/// The next `length` bytes, not copied.
fn take(rest: &mut Bytes, length: usize) -> Option<Bytes> {
    (length <= rest.len()).then(|| rest.split_to(length))
}

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod tests;
