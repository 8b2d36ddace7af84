//! What the answer to a HEAD that went to the origin tells of the stored response to GET (RFC 9111
//! §4.3.5).
//!
//! ```text
//! match head_tells(&stored, status, &headers) {
//!     HeadTells::Same => update(freshened(stored.headers, &headers, received)),
//!     HeadTells::Changed => forget(),
//!     HeadTells::Nothing => {}
//! }
//! ```

use http::header::{ETAG, LAST_MODIFIED};
use http::{HeaderMap, StatusCode};

use super::headers::content_length;
use super::revalidate::{is_about, varies_otherwise};

/// A stored response, as far as a HEAD can speak of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HeadSubject<'a> {
    pub(crate) status: StatusCode,
    pub(crate) headers: &'a HeaderMap,
    /// Of its body.
    pub(crate) length: usize,
}

/// What a response to HEAD tells of a stored one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeadTells {
    /// It is what a GET would bring now: fresh again, with these header fields.
    Same,
    /// A GET would bring something else.
    Changed,
    /// Neither.
    Nothing,
}

/// Compares a response to HEAD with what is stored.
pub(crate) fn head_tells(
    stored: HeadSubject<'_>,
    status: StatusCode,
    headers: &HeaderMap,
) -> HeadTells {
    match status {
        StatusCode::OK => {}
        // Whatever is stored is not there any more.
        StatusCode::NOT_FOUND | StatusCode::GONE => return HeadTells::Changed,
        // Others may be about the request, or HEAD as such: 304, 401, 405, 5xx.
        _ => return HeadTells::Nothing,
    }
    // RFC 9111 §4.3.5: every validator that came, and the length if it came.
    let modified = headers.get(LAST_MODIFIED);
    let was_modified = modified.is_some() && modified != stored.headers.get(LAST_MODIFIED);
    let announced = content_length(headers).ok().flatten();
    let has_other_length = announced.is_some_and(|length| length != stored.length as u64);
    if stored.status != status
        || was_modified
        || has_other_length
        || !is_about(stored.headers, headers)
        || varies_otherwise(stored.headers, headers)
    {
        return HeadTells::Changed;
    }
    // Without a validator two bodies of one length look the same, and whoever repeats a HEAD would
    // keep an old one fresh for ever.
    let is_proven = modified.is_some() || headers.contains_key(ETAG);
    if is_proven { HeadTells::Same } else { HeadTells::Nothing }
}

#[cfg(test)]
mod tests;
