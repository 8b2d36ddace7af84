//! Values of `Accept-Encoding` and `Accept-Language` that say the same, written in one way
//! (RFC 9111 §4.1 allows to normalize where the field's own rules make two values equal).
//!
//! ```text
//! let options = Normalize { encoding: true, language: true };
//! // "br, GZIP;Q=0.50" and "gzip; q=0.5 , br"  ->  "br;q=1000,gzip;q=500"
//! ```

use http::header::{ACCEPT_ENCODING, ACCEPT_LANGUAGE};
use http::{HeaderMap, HeaderName};
use smallvec::SmallVec;

use crate::policy::field::members;

/// Which fields are normalized. By default none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Normalize {
    /// `Accept-Encoding`.
    pub(crate) encoding: bool,
    /// `Accept-Language`.
    pub(crate) language: bool,
}

/// What is longer than this is left as it is.
const MAX_MEMBERS: usize = 32;

pub(super) type Members<'a> = SmallVec<[Member<'a>; MAX_MEMBERS]>;

/// One member of the list: a coding or a language, and its weight in thousandths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Member<'a> {
    name: &'a [u8],
    weight: u16,
}

impl Normalize {
    /// Whether the order, the case and the white space of this field may differ.
    pub(super) fn covers(self, name: &HeaderName) -> bool {
        (self.encoding && *name == ACCEPT_ENCODING) || (self.language && *name == ACCEPT_LANGUAGE)
    }
}

/// What a field says, by name, each once; `None` if it is absent or can't be read, or contradicts
/// itself: then its lines count as they are.
pub(super) fn read<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<Members<'a>> {
    // RFC 9110 §12.5.3: no such field accepts anything, an empty one no coding.
    if !headers.contains_key(name) {
        return None;
    }
    let mut found = Members::new();
    for text in members(headers, name) {
        if found.len() == MAX_MEMBERS {
            return None;
        }
        found.push(member(text, *name == ACCEPT_ENCODING)?);
    }
    // The order of a list is no preference: that is what weights are for (RFC 9110 §12.4.2).
    found.sort_unstable_by(|a, b| in_lower_case(a.name).cmp(in_lower_case(b.name)));
    found.dedup_by(|a, b| a.name.eq_ignore_ascii_case(b.name) && a.weight == b.weight);
    let contradicts =
        found.windows(2).any(|two| matches!(two, [a, b] if a.name.eq_ignore_ascii_case(b.name)));
    (!contradicts).then_some(found)
}

/// Writes what a field says, with lengths: equal only for what says the same.
pub(super) fn write(found: &Members<'_>, out: &mut impl FnMut(&[u8])) {
    out(&(found.len() as u64).to_le_bytes());
    for Member { name, weight } in found {
        out(&(name.len() as u64).to_le_bytes());
        // RFC 9110 §8.4.1, RFC 4647 §2: in any case.
        for chunk in name.chunks(32) {
            let mut lower = [0; 32];
            let (lower, _) = lower.split_at_mut(chunk.len());
            lower.copy_from_slice(chunk);
            lower.make_ascii_lowercase();
            out(lower);
        }
        out(&weight.to_le_bytes());
    }
}

fn in_lower_case(name: &[u8]) -> impl Iterator<Item = u8> {
    name.iter().map(u8::to_ascii_lowercase)
}

fn member(text: &[u8], is_coding: bool) -> Option<Member<'_>> {
    let mut parts = text.splitn(2, |byte| *byte == b';').map(<[u8]>::trim_ascii);
    let name = parts.next()?;
    let weight = parts.next().map_or(Some(1000), weight)?;
    let is_name = !name.is_empty() && name.iter().all(|byte| is_name_byte(*byte));
    let name: &[u8] = match name {
        // RFC 9110 §8.4.1.1, §8.4.1.3: other names of the same codings.
        _ if is_coding && name.eq_ignore_ascii_case(b"x-gzip") => b"gzip",
        _ if is_coding && name.eq_ignore_ascii_case(b"x-compress") => b"compress",
        _ => name,
    };
    is_name.then_some(Member { name, weight })
}

/// Of all tokens those that codings and language ranges are made of.
fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'+' | b'*')
}

/// `q=`, and a number from 0 to 1 with three decimals at most, in thousandths (RFC 9110 §12.4.2).
fn weight(text: &[u8]) -> Option<u16> {
    let [b'q' | b'Q', b'=', whole, decimals @ ..] = text else { return None };
    let decimals = match decimals {
        [] => decimals,
        [b'.', decimals @ ..] if decimals.len() <= 3 => decimals,
        _ => return None,
    };
    let digit = |byte: u8| byte.is_ascii_digit().then(|| u16::from(byte - b'0'));
    let mut thousandths = 0;
    for place in 0..3 {
        let digit = decimals.get(place).map_or(Some(0), |byte| digit(*byte))?;
        thousandths = thousandths * 10 + digit;
    }
    match whole {
        b'0' => Some(thousandths),
        b'1' if thousandths == 0 => Some(1000),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
