//! Whether the client's own copy is still good: 304 from the cache (RFC 9111 §4.3.2).
//!
//! ```text
//! if is_conditional(request) && not_modified(request, status, &stored, received) {
//!     return respond(StatusCode::NOT_MODIFIED, not_modified_headers(&stored));
//! }
//! ```

use http::header::{
    CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, DATE, ETAG,
    IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED, SET_COOKIE,
};
use http::{HeaderMap, HeaderName, StatusCode};

use super::Millis;
use super::field::date;
use super::headers::belongs_to_connection;

/// Whether the request carries a condition that a cache evaluates.
pub(crate) fn is_conditional(headers: &HeaderMap) -> bool {
    headers.contains_key(IF_NONE_MATCH) || headers.contains_key(IF_MODIFIED_SINCE)
}

/// Removes these conditions, so that a fill brings the whole response.
pub(crate) fn strip_conditionals(headers: &mut HeaderMap) {
    headers.remove(IF_NONE_MATCH);
    headers.remove(IF_MODIFIED_SINCE);
}

/// Whether a stored response is to be answered with 304, by the conditions of a GET or HEAD.
/// `stored` are its headers, `received` its reception in unix milliseconds.
pub(crate) fn not_modified(
    request: &HeaderMap,
    status: StatusCode,
    stored: &HeaderMap,
    received: Millis,
) -> bool {
    // RFC 9110 §13.2.1: conditions count only where the response would be a success.
    if !status.is_success() {
        return false;
    }
    // RFC 9110 §13.1.3: If-None-Match, even one that can't be read, replaces If-Modified-Since.
    if request.contains_key(IF_NONE_MATCH) {
        return matches_any(request, stored);
    }
    let mut conditions = request.get_all(IF_MODIFIED_SINCE).iter();
    let since = match (conditions.next(), conditions.next()) {
        (Some(condition), None) => date(condition),
        // RFC 9110 §13.1.3: what isn't one date is ignored.
        _ => None,
    };
    // RFC 9111 §4.3.2: Last-Modified, else Date, else the time of reception.
    let modified = match (stored.get(LAST_MODIFIED), stored.get(DATE)) {
        (Some(value), _) | (None, Some(value)) => date(value),
        (None, None) => Some(received / 1000 * 1000),
    };
    matches!((since, modified), (Some(since), Some(modified)) if modified <= since)
}

/// The headers of a 304 for a stored response (RFC 9110 §15.4.5): everything but what describes
/// the body that isn't sent. `Last-Modified` goes where an `ETag` says more. Fields that describe
/// the resource stay, CORS and security policies among them.
pub(crate) fn not_modified_headers(stored: &HeaderMap) -> HeaderMap {
    let describes_body = |name: &HeaderName| {
        [CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE]
            .contains(name)
            || matches!(name.as_str(), "content-digest" | "content-md5" | "digest" | "repr-digest")
    };
    let has_etag = stored.contains_key(ETAG);
    stored
        .iter()
        .filter(|(name, _)| !describes_body(name) && **name != SET_COOKIE)
        .filter(|(name, _)| !belongs_to_connection(name, stored))
        .filter(|(name, _)| !(has_etag && **name == LAST_MODIFIED))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

/// Whether `If-None-Match` names the stored response's tag, or `*` (RFC 9110 §13.1.2).
fn matches_any(request: &HeaderMap, stored: &HeaderMap) -> bool {
    let mut lines = request.get_all(IF_NONE_MATCH).iter();
    if let (Some(only), None) = (lines.next(), lines.next())
        && only.as_bytes().trim_ascii() == b"*"
    {
        return true;
    }
    let own = stored.get(ETAG).and_then(|etag| match split_tag(etag.as_bytes().trim_ascii())? {
        (tag, b"") => Some(tag),
        _ => None,
    });
    own.is_some_and(|own| {
        request
            .get_all(IF_NONE_MATCH)
            .iter()
            .any(|line| tags(line.as_bytes()).any(|tag| tag == own))
    })
}

/// The opaque tags of one line, up to the first that can't be read. Commas inside tags are theirs.
fn tags(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = line;
    std::iter::from_fn(move || {
        while let Some((b',' | b' ' | b'\t', tail)) = rest.split_first() {
            rest = tail;
        }
        let (tag, tail) = split_tag(rest)?;
        rest = tail.trim_ascii_start();
        (rest.is_empty() || rest.starts_with(b",")).then_some(tag)
    })
}

/// Splits an entity-tag off: the opaque part without its quotes (a `"` can't be escaped, RFC 9110
/// §8.8.3), and the rest. Weakness is dropped: caches compare weakly (RFC 9110 §8.8.3.2).
pub(super) fn split_tag(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let opaque = text.strip_prefix(b"W/").unwrap_or(text).strip_prefix(b"\"")?;
    let end = opaque.iter().position(|byte| *byte == b'"')?;
    let (tag, rest) = opaque.split_at_checked(end)?;
    let well_formed = tag.iter().all(|byte| *byte > b' ' && *byte != 0x7f);
    well_formed.then_some((tag, rest.strip_prefix(b"\"")?))
}

#[cfg(test)]
mod tests;
