//! Which part of a stored response answers a request with `Range` (RFC 9110 §14).
//!
//! One range of bytes is cut out of a complete response. Everything else that a client may write
//! into `Range` is answered with the whole of it, which is always right (RFC 9110 §14.2).
//!
//! ```text
//! match ranged(request, status, &stored, body.len()) {
//!     Ranged::Whole => respond(status, stored, body),
//!     Ranged::Part(part) => respond(206, part_headers(&mut stored, &part, body.len()), body.slice(part)),
//!     Ranged::Unsatisfiable => respond(416, unsatisfiable_headers(&stored, body.len()), nothing),
//! }
//! ```

use std::ops::Range;

use http::header::{
    CACHE_CONTROL, CONTENT_LENGTH, CONTENT_RANGE, DATE, ETAG, EXPIRES, IF_RANGE, LAST_MODIFIED,
    MaxSizeReached, RANGE,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::field::date;
use super::validate::{not_modified_headers, split_tag};

/// What of a complete response answers a GET.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ranged {
    /// All of it, as if there were no `Range`.
    Whole,
    /// These bytes of its body: 206. Never empty, and never beyond its end.
    Part(Range<usize>),
    /// Nothing of it is in the range: 416.
    Unsatisfiable,
}

/// Decides what a GET gets of a complete stored response whose body has `length` bytes, once its
/// other conditions have been answered (RFC 9110 §13.2.2). `stored` are the response's headers.
pub(crate) fn ranged(
    request: &HeaderMap,
    status: StatusCode,
    stored: &HeaderMap,
    length: usize,
) -> Ranged {
    // RFC 9110 §14.2: only in place of a 200. No `Content-Range` can tell a part of nothing.
    if status != StatusCode::OK || length == 0 {
        return Ranged::Whole;
    }
    let Some(range) = only_line(request, &RANGE) else { return Ranged::Whole };
    // RFC 9110 §13.1.5.
    if request.contains_key(IF_RANGE) && !is_the_same(only_line(request, &IF_RANGE), stored) {
        return Ranged::Whole;
    }
    // RFC 9110 §14.2: what can't be understood is ignored.
    byte_ranges(range).and_then(|set| select(set, length)).unwrap_or(Ranged::Whole)
}

/// Makes the headers of a stored response those of one part of it (RFC 9110 §15.3.7).
pub(crate) fn part_headers(
    headers: &mut HeaderMap,
    part: &Range<usize>,
    length: usize,
) -> Result<(), MaxSizeReached> {
    let text = format!("bytes {}-{}/{length}", part.start, part.end.saturating_sub(1));
    headers.try_insert(CONTENT_RANGE, value(text))?;
    headers.try_insert(CONTENT_LENGTH, HeaderValue::from(part.len()))?;
    // Of the bytes in the message (RFC 9530 §2), which are others now.
    for digest in ["content-digest", "content-md5"] {
        headers.remove(digest);
    }
    Ok(())
}

/// The headers of a 416 (RFC 9110 §15.5.17) made from those of a stored response. How long that one
/// may be stored is not said of this one.
pub(crate) fn unsatisfiable_headers(stored: &HeaderMap, length: usize) -> HeaderMap {
    let of_freshness =
        |name: &HeaderName| *name == EXPIRES || name.as_str().ends_with("cache-control");
    let mut headers: HeaderMap = not_modified_headers(stored)
        .iter()
        .filter(|(name, _)| !of_freshness(name))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    // They fail where the map is at the limit of the http crate (2^15 names).
    let _ = headers.try_insert(CONTENT_RANGE, value(format!("bytes */{length}")));
    let _ = headers.try_insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers
}

/// Of digits and signs, which any header may hold.
fn value(text: String) -> HeaderValue {
    HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// The value of a field that has one line; of several none is to be trusted.
pub(super) fn only_line<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a HeaderValue> {
    let mut lines = headers.get_all(name).iter();
    let first = lines.next()?;
    lines.next().is_none().then_some(first)
}

/// Whether `If-Range` names the stored response, so that its bytes fit those the client has: the
/// same strong tag (RFC 9110 §8.8.3.2), or the same strong date.
fn is_the_same(condition: Option<&HeaderValue>, stored: &HeaderMap) -> bool {
    let Some(condition) = condition else { return false };
    if let Some(tag) = strong_tag(condition) {
        return only_line(stored, &ETAG).and_then(strong_tag) == Some(tag);
    }
    let modified = only_line(stored, &LAST_MODIFIED).and_then(date);
    let sent = only_line(stored, &DATE).and_then(date);
    match (date(condition), modified, sent) {
        // RFC 9110 §8.8.2.2: within its second there may have been another with that date.
        (Some(condition), Some(modified), Some(sent)) => {
            condition == modified && sent >= modified.saturating_add(1_000)
        }
        _ => false,
    }
}

/// The opaque part of an entity-tag that isn't weak.
pub(super) fn strong_tag(value: &HeaderValue) -> Option<&[u8]> {
    let text = value.as_bytes().trim_ascii();
    match split_tag(text)? {
        (tag, b"") if !text.starts_with(b"W/") => Some(tag),
        _ => None,
    }
}

/// The ranges of a `Range` in bytes; `None` in any other unit (RFC 9110 §14.1).
fn byte_ranges(range: &HeaderValue) -> Option<&[u8]> {
    let text = range.as_bytes();
    let (unit, rest) = text.split_at_checked(text.iter().position(|byte| *byte == b'=')?)?;
    unit.eq_ignore_ascii_case(b"bytes").then_some(rest)?.strip_prefix(b"=")
}

/// What a list of ranges selects; `None` if one of them is none.
fn select(set: &[u8], length: usize) -> Option<Ranged> {
    let (mut ranges, mut first) = (0_usize, None);
    let specs = set.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
    for spec in specs.filter(|spec| !spec.is_empty()) {
        let range = Spec::parse(spec)?.of(length);
        ranges = ranges.saturating_add(1);
        first = first.or(range);
    }
    match (ranges, first) {
        (0, _) => None,
        (_, None) => Some(Ranged::Unsatisfiable),
        (1, Some(part)) => Some(Ranged::Part(part)),
        // RFC 9110 §14.2 allows it. Several parts cost more to tell than they save.
        _ => Some(Ranged::Whole),
    }
}

/// One range as it is written (RFC 9110 §14.1.2).
enum Spec {
    /// From the first byte to the last one, if there is so much.
    Bounds(usize, usize),
    /// So many at the end.
    Suffix(usize),
}

impl Spec {
    fn parse(text: &[u8]) -> Option<Self> {
        let (first, last) = text.split_at_checked(text.iter().position(|byte| *byte == b'-')?)?;
        match (first, last.strip_prefix(b"-")?) {
            (b"", length) => Some(Self::Suffix(number(length)?)),
            (first, b"") => Some(Self::Bounds(number(first)?, usize::MAX)),
            (first, last) => {
                let (first, last) = (number(first)?, number(last)?);
                (first <= last).then_some(Self::Bounds(first, last))
            }
        }
    }

    /// The part of so many bytes that it selects; `None`: it can't be satisfied.
    fn of(self, length: usize) -> Option<Range<usize>> {
        let part = match self {
            Self::Bounds(first, last) => first..last.saturating_add(1).min(length),
            Self::Suffix(count) => length.saturating_sub(count)..length,
        };
        (!part.is_empty()).then_some(part)
    }
}

/// A position or length, digits only. What is too large for a number lies beyond every end.
pub(super) fn number(digits: &[u8]) -> Option<usize> {
    let sum = digits.iter().try_fold(0_usize, |sum, byte| match byte {
        b'0'..=b'9' => Some(sum.saturating_mul(10).saturating_add(usize::from(byte - b'0'))),
        _ => None,
    })?;
    (!digits.is_empty()).then_some(sum)
}

#[cfg(test)]
mod tests;
