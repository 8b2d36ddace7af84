//! Which parts of a response make one (RFC 9111 §3.4).
//!
//! ```text
//! let new = Part::of(&headers)?;                              // Content-Range: bytes 5-9/10
//! if share_strong_validator(&stored, &headers) {
//!     let both = known.union(&new)?;                          // 0..5 and 5..10
//!     assert!(both.is_complete());
//! }
//! ```

use std::ops::Range;

use http::header::{AGE, CONTENT_LENGTH, CONTENT_RANGE, ETAG};
use http::{HeaderMap, HeaderName};

use super::range::{number, only_line, strong_tag};

/// Where in a response some of its bytes belong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    /// Never empty, and never beyond the end.
    pub(crate) range: Range<usize>,
    /// How long the whole is.
    pub(crate) complete: usize,
}

impl Part {
    /// The part that a 206 says it is; `None` where it is several, or does not say of how much
    /// (RFC 9110 §14.4).
    pub(crate) fn of(headers: &HeaderMap) -> Option<Self> {
        let text = only_line(headers, &CONTENT_RANGE)?.as_bytes().trim_ascii();
        let (unit, text) = split(text, b' ')?;
        let (range, complete) = split(text, b'/')?;
        let (first, last) = split(range, b'-')?;
        let (first, last, complete) = (number(first)?, number(last)?, number(complete)?);
        let is_valid = unit.eq_ignore_ascii_case(b"bytes") && first <= last && last < complete;
        is_valid.then(|| Self { range: first..last.saturating_add(1), complete })
    }

    /// Both parts in one, if nothing is missing between them.
    pub(crate) fn union(&self, other: &Self) -> Option<Self> {
        let meet = self.range.start.max(other.range.start) <= self.range.end.min(other.range.end);
        let start = self.range.start.min(other.range.start);
        let end = self.range.end.max(other.range.end);
        (meet && self.complete == other.complete)
            .then_some(Self { range: start..end, complete: self.complete })
    }

    /// Whether it is the whole.
    pub(crate) fn is_complete(&self) -> bool {
        self.range == (0..self.complete)
    }
}

/// The text before and after the first of these bytes.
fn split(text: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let (before, rest) = text.split_at_checked(text.iter().position(|byte| *byte == at)?)?;
    Some((before, rest.get(1..)?))
}

/// Whether a response has what tells its bytes from all others: a strong tag. (A date could be
/// strong too; but whose clock it is from can't be told here.)
pub(crate) fn has_strong_validator(headers: &HeaderMap) -> bool {
    only_line(headers, &ETAG).and_then(strong_tag).is_some()
}

/// Whether two responses have the same strong validator (RFC 9111 §3.4).
pub(crate) fn share_strong_validator(one: &HeaderMap, other: &HeaderMap) -> bool {
    let tag = |headers| only_line(headers, &ETAG).and_then(strong_tag);
    has_strong_validator(one) && tag(one) == tag(other)
}

/// The headers of what two parts make: those of the new one, and what only the stored one has,
/// except for what belongs to one answer (RFC 9111 §3.4).
pub(crate) fn combined_headers(stored: &HeaderMap, mut new: HeaderMap) -> HeaderMap {
    let of_one_answer = |name: &HeaderName| {
        [AGE, CONTENT_LENGTH, CONTENT_RANGE].contains(name) || name.as_str() == "cache-status"
    };
    let missing: Vec<_> = stored
        .iter()
        .filter(|(name, _)| !of_one_answer(name) && !new.contains_key(*name))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    for (name, value) in missing {
        // Fails where the map is at the limit of the http crate (2^15 names).
        let _ = new.try_append(name, value);
    }
    new
}

#[cfg(test)]
mod tests;
