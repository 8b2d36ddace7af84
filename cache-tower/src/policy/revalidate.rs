//! Asking the origin whether a stored response still holds, and taking in what it answers (RFC 9111
//! §4.3).
//!
//! ```text
//! add_conditions(request.headers_mut(), &stored);           // If-None-Match: "a"
//! // .. 304 Not Modified
//! let Some(headers) = freshened(&stored, &not_modified, received) else { return as_it_is };
//! ```

use http::header::{
    AGE, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, DATE, ETAG, IF_MODIFIED_SINCE,
    IF_NONE_MATCH, LAST_MODIFIED, SET_COOKIE, VARY,
};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::Millis;
use super::field::{format_date, members};
use super::headers::{belongs_to_connection, is_of_one_request};

/// Whether there is anything to validate a response by.
pub(crate) fn has_validator(headers: &HeaderMap) -> bool {
    headers.contains_key(ETAG) || headers.contains_key(LAST_MODIFIED)
}

/// Adds the stored validators to a request (RFC 9111 §4.3.1). False if there are none.
pub(crate) fn add_conditions(request: &mut HeaderMap, stored: &HeaderMap) -> bool {
    let pairs = [(ETAG, IF_NONE_MATCH), (LAST_MODIFIED, IF_MODIFIED_SINCE)];
    let mut any = false;
    for (validator, condition) in pairs {
        if let Some(value) = stored.get(validator) {
            any |= request.try_insert(condition, value.clone()).is_ok();
        }
    }
    any
}

/// Whether a 304, or a response to HEAD, is about the stored response (RFC 9111 §4.3.4, §4.3.5).
/// One without validators is: the origin was asked by those of the stored response alone.
pub(crate) fn is_about(stored: &HeaderMap, update: &HeaderMap) -> bool {
    match (update.get(ETAG), update.get(LAST_MODIFIED)) {
        // A strong tag is about what has the same strong one.
        (Some(tag), _) => stored
            .get(ETAG)
            .is_some_and(|own| opaque(own) == opaque(tag) && (is_weak(tag) || !is_weak(own))),
        (None, Some(modified)) => stored.get(LAST_MODIFIED) == Some(modified),
        (None, None) => true,
    }
}

/// The headers of a stored response after a 304, received at `received`, that is about it (RFC
/// 9111 §3.2). `Age`, which a stored response has not, is the update's.
pub(crate) fn freshened(stored: &HeaderMap, update: &HeaderMap, received: Millis) -> HeaderMap {
    let mut fresh = stored.clone();
    let replaced = |name: &HeaderName| {
        !describes_stored_body(name)
            && *name != SET_COOKIE
            && !is_of_one_request(name)
            && !belongs_to_connection(name, update)
    };
    for name in update.keys().filter(|name| replaced(name)) {
        fresh.remove(name);
        for value in update.get_all(name) {
            // Fails where the map is at the limit of the http crate; then it stays as it is.
            let _ = fresh.try_append(name.clone(), value.clone());
        }
    }
    // RFC 9110 §6.6.1: without one, the time of reception; the stored one would make it old.
    if !update.contains_key(DATE)
        && let Some(date) = format_date(received)
    {
        let _ = fresh.try_insert(DATE, date);
    }
    if !update.contains_key(AGE) {
        fresh.remove(AGE);
    }
    fresh
}

/// Whether the update would be selected by other request headers than the stored response.
pub(crate) fn varies_otherwise(stored: &HeaderMap, update: &HeaderMap) -> bool {
    let names = |headers: &HeaderMap| {
        let mut names: Vec<_> = members(headers, &VARY).map(<[u8]>::to_ascii_lowercase).collect();
        names.sort();
        names.dedup();
        names
    };
    update.contains_key(VARY) && names(stored) != names(update)
}

/// Fields that speak of the bytes that are stored, which a 304 does not change (RFC 9111 §3.2).
fn describes_stored_body(name: &HeaderName) -> bool {
    [CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, ETAG].contains(name)
        || matches!(name.as_str(), "content-md5" | "content-digest" | "repr-digest" | "digest")
}

fn is_weak(tag: &HeaderValue) -> bool {
    tag.as_bytes().trim_ascii().starts_with(b"W/")
}

/// An entity-tag without the mark of weakness (RFC 9110 §8.8.3.2).
fn opaque(tag: &HeaderValue) -> &[u8] {
    let tag = tag.as_bytes().trim_ascii();
    tag.strip_prefix(b"W/").unwrap_or(tag)
}

#[cfg(test)]
mod tests;
