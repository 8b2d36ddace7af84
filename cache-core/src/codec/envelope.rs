//! Envelope v1: the frame around a value. Little-endian, 64 bytes of header.
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 4 | magic `CC ch 1`: `CC 63 68 31` |
//! | 4 | 1 | version, 1 |
//! | 5 | 1 | kind: 0 value, 1 tombstone |
//! | 6 | 1 | format of the payload |
//! | 7 | 1 | flags: bit 0, soft ids follow the generations; bits 1 and 2, compression of the payload (0 none, 1 zlib, 2 zstd); bit 3, it is encrypted; bit 4, an entity tag follows the tags |
//! | 8 | 8 | write id, random: what a compare-and-set compares |
//! | 16 | 8 | created, unix ms |
//! | 24 | 8 | fresh until, unix ms; all ones: does not expire |
//! | 32 | 8 | stale until |
//! | 40 | 4 | schema |
//! | 44 | 4 | length of the payload |
//! | 48 | 4 | length of the identity |
//! | 52 | 2 | number of generations |
//! | 54 | 2 | number of tags |
//! | 56 | 8 | xxh3 of everything else |
//! | 64 | | generations (fingerprint, id: 16 bytes each), soft ids (8 bytes for each generation, if flagged), tags (length u16, text), entity tag (likewise, if flagged), identity, payload |
//!
//! A compressed payload is the length that it has uncompressed (u32) and the compressed bytes; an
//! encrypted one is the id of the key (u32), a nonce (24 bytes), and what XChaCha20-Poly1305 makes of
//! it. One that is both was compressed first. What is encrypted is bound to all that stands before
//! it (with zeros for the length of the payload and the checksum) and to the key in the store.
//!
//! Decoding copies nothing but the numbers: identity and payload are slices of the input.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use smallvec::SmallVec;
use xxhash_rust::xxh3::Xxh3;

use super::Format;
use super::frame::Coding;
use crate::entry::{Entry, EntryTimes, Recorded};

const MAGIC: [u8; 4] = [0xCC, b'c', b'h', b'1'];
const VERSION: u8 = 1;
const HEADER: usize = 64;
const PAYLOAD_LENGTH: std::ops::Range<usize> = 44..48;
const CHECKSUM: std::ops::Range<usize> = 56..HEADER;
const WRITE_ID: std::ops::Range<usize> = 8..16;

const KIND_VALUE: u8 = 0;
const KIND_TOMBSTONE: u8 = 1;

const SOFTENED: u8 = 1;
const WITH_ETAG: u8 = 16;

/// The bytes that tell one write from another, as found in a stored value; empty if the key is
/// absent. Shorter when the stored bytes are cut: still comparable.
pub(crate) type WriteId = SmallVec<[u8; 8]>;

/// What stored bytes turned out to be.
#[derive(Debug, PartialEq)]
#[allow(clippy::large_enum_variant, reason = "taken apart where it is made")]
pub(crate) enum Decoded {
    /// One whose payload is as it was given.
    Value(Entry),
    /// One whose payload is compressed or encrypted.
    Packed(Entry, Wrapping),
    /// Left by a delete, so that fills that began before it can't commit.
    Tombstone,
    /// Damaged, cut, of another version, or not ours.
    Corrupt,
}

/// What is to be known of a payload that is compressed or encrypted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wrapping {
    pub(super) coding: Coding,
    /// The envelope before the payload.
    head: Bytes,
}

impl Wrapping {
    /// What an encrypted payload is bound to.
    pub(super) fn bound_to(&self, key: &str) -> Vec<u8> {
        let mut bound = Vec::with_capacity(self.head.len() + key.len());
        bound.extend_from_slice(&self.head);
        for field in [PAYLOAD_LENGTH, CHECKSUM] {
            if let Some(field) = bound.get_mut(field) {
                field.fill(0);
            }
        }
        bound.extend_from_slice(key.as_bytes());
        bound
    }
}

/// Whether stored bytes, of which the first six do, are what a deletion left.
pub fn is_tombstone(stored: &[u8]) -> bool {
    let [a, b, c, d] = MAGIC;
    stored.starts_with(&[a, b, c, d, VERSION, KIND_TOMBSTONE])
}

/// The compare-and-set state of stored bytes: what `GETRANGE key 8 15` would answer.
pub(crate) fn write_id(stored: Option<&Bytes>) -> WriteId {
    let Some(stored) = stored else { return WriteId::new() };
    let end = WRITE_ID.end.min(stored.len());
    stored.get(WRITE_ID.start..end).map(WriteId::from_slice).unwrap_or_default()
}

/// The bytes of an entry. `None` if a part is longer than its length field can say.
pub(crate) fn encode(entry: &Entry) -> Option<Bytes> {
    encode_with(entry, Coding::PLAIN, entry.payload.len(), |out| {
        out.put_slice(&entry.payload);
        Some(())
    })
}

/// As [`encode`], with a payload that was made of the entry's: `put_payload` is given all that comes
/// before, to add it. It is about `about` bytes long.
pub(super) fn encode_with(
    entry: &Entry,
    coding: Coding,
    about: usize,
    put_payload: impl FnOnce(&mut BytesMut) -> Option<()>,
) -> Option<Bytes> {
    let tags: usize = entry.tags.iter().map(|tag| 2 + tag.len()).sum();
    let softened = entry.generations.iter().any(|recorded| recorded.soft != 0);
    let generations = entry.generations.len() * if softened { 24 } else { 16 };
    let etag = entry.etag.as_ref().map_or(0, |etag| 2 + etag.len());
    let size = HEADER + generations + tags + etag + entry.identity.len() + about;
    let mut out = BytesMut::with_capacity(size);
    let flag = |on: bool, flag: u8| if on { flag } else { 0 };
    let flags = flag(softened, SOFTENED) | flag(entry.etag.is_some(), WITH_ETAG);
    put_header(&mut out, KIND_VALUE, flags | coding.flags(), entry)?;
    for recorded in &entry.generations {
        out.put_u64_le(recorded.scope);
        out.put_u64_le(recorded.id);
    }
    if softened {
        entry.generations.iter().for_each(|recorded| out.put_u64_le(recorded.soft));
    }
    for text in entry.tags.iter().chain(&entry.etag) {
        out.put_u16_le(u16::try_from(text.len()).ok()?);
        out.put_slice(text.as_bytes());
    }
    out.put_slice(&entry.identity);
    let head = out.len();
    put_payload(&mut out)?;
    let length = u32::try_from(out.len() - head).ok()?.to_le_bytes();
    out.get_mut(PAYLOAD_LENGTH)?.copy_from_slice(&length);
    Some(seal(out))
}

/// The bytes of a tombstone for the key with this identity.
pub(crate) fn tombstone(id: u64, identity: &Bytes, times: EntryTimes) -> Bytes {
    let entry = Entry {
        id,
        times,
        schema: 0,
        format: Format::Raw,
        generations: SmallVec::new(),
        tags: Vec::new(),
        etag: None,
        identity: identity.clone(),
        payload: Bytes::new(),
    };
    let mut out = BytesMut::with_capacity(HEADER + identity.len());
    // A tombstone binds no value, so a key too long for its length field may do without it.
    if put_header(&mut out, KIND_TOMBSTONE, 0, &entry).is_none() {
        return Bytes::new();
    }
    out.put_slice(identity);
    seal(out)
}

/// All but the length of the payload and the checksum.
fn put_header(out: &mut BytesMut, kind: u8, flags: u8, entry: &Entry) -> Option<()> {
    out.put_slice(&MAGIC);
    out.put_slice(&[VERSION, kind, entry.format.code(), flags]);
    out.put_u64_le(entry.id);
    out.put_u64_le(entry.times.created);
    out.put_u64_le(entry.times.fresh_until);
    out.put_u64_le(entry.times.stale_until);
    out.put_u32_le(entry.schema);
    out.put_u32_le(0);
    out.put_u32_le(u32::try_from(entry.identity.len()).ok()?);
    out.put_u16_le(u16::try_from(entry.generations.len()).ok()?);
    out.put_u16_le(u16::try_from(entry.tags.len()).ok()?);
    out.put_u64_le(0);
    Some(())
}

fn seal(mut out: BytesMut) -> Bytes {
    let sum = checksum(&out).to_le_bytes();
    if let Some(field) = out.get_mut(CHECKSUM) {
        field.copy_from_slice(&sum);
    }
    out.freeze()
}

/// Covers all bytes but those of the checksum itself.
fn checksum(bytes: &[u8]) -> u64 {
    let mut hash = Xxh3::new();
    hash.update(bytes.get(..CHECKSUM.start).unwrap_or_default());
    hash.update(bytes.get(HEADER..).unwrap_or_default());
    hash.digest()
}

/// Reads stored bytes, whatever they are.
pub(crate) fn decode(stored: &Bytes) -> Decoded {
    decode_checked(stored).unwrap_or(Decoded::Corrupt)
}

fn decode_checked(stored: &Bytes) -> Option<Decoded> {
    let mut rest = stored.clone();
    if rest.try_get_u32().ok()?.to_be_bytes() != MAGIC {
        return None;
    }
    let [version, kind, format, flags] = rest.try_get_u32().ok()?.to_be_bytes();
    if version != VERSION || flags & !(SOFTENED | WITH_ETAG | Coding::MASK) != 0 {
        return None;
    }
    let id = rest.try_get_u64_le().ok()?;
    let times = EntryTimes {
        created: rest.try_get_u64_le().ok()?,
        fresh_until: rest.try_get_u64_le().ok()?,
        stale_until: rest.try_get_u64_le().ok()?,
    };
    let schema = rest.try_get_u32_le().ok()?;
    let payload_len = usize::try_from(rest.try_get_u32_le().ok()?).ok()?;
    let identity_len = usize::try_from(rest.try_get_u32_le().ok()?).ok()?;
    let generation_count = rest.try_get_u16_le().ok()?;
    let tag_count = rest.try_get_u16_le().ok()?;
    if rest.try_get_u64_le().ok()? != checksum(stored) {
        return None;
    }
    // From here on the bytes are as they were written; the checks below keep a bug of another
    // build from becoming a panic of this one.
    let mut generations: SmallVec<[Recorded; 4]> = SmallVec::new();
    for _ in 0..generation_count {
        let (scope, id) = (rest.try_get_u64_le().ok()?, rest.try_get_u64_le().ok()?);
        generations.push(Recorded { scope, id, soft: 0 });
    }
    if flags & SOFTENED != 0 {
        for recorded in &mut generations {
            recorded.soft = rest.try_get_u64_le().ok()?;
        }
    }
    let mut tags = Vec::new();
    for _ in 0..tag_count {
        tags.push(take_text(&mut rest)?);
    }
    let etag = if flags & WITH_ETAG == 0 { None } else { Some(take_text(&mut rest)?) };
    let identity = take(&mut rest, identity_len)?;
    let payload = take(&mut rest, payload_len)?;
    if !rest.is_empty() {
        return None;
    }
    let entry = match kind {
        KIND_VALUE => Entry {
            id,
            times,
            schema,
            format: Format::from_code(format)?,
            generations,
            tags,
            etag,
            identity,
            payload,
        },
        KIND_TOMBSTONE => return Some(Decoded::Tombstone),
        _ => return None,
    };
    let coding = Coding::from_flags(flags);
    if coding == Coding::PLAIN {
        return Some(Decoded::Value(entry));
    }
    let head = stored.slice(..stored.len() - entry.payload.len());
    Some(Decoded::Packed(entry, Wrapping { coding, head }))
}

/// The next text, its length before it.
fn take_text(rest: &mut Bytes) -> Option<Box<str>> {
    let len = usize::from(rest.try_get_u16_le().ok()?);
    Some(std::str::from_utf8(&take(rest, len)?).ok()?.into())
}

/// The next `len` bytes, not copied.
fn take(rest: &mut Bytes, len: usize) -> Option<Bytes> {
    (len <= rest.len()).then(|| rest.split_to(len))
}

#[cfg(test)]
#[path = "envelope_tests.rs"]
mod tests;
