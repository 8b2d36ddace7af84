//! Entity tags for stored responses whose origin gave them no validator. Pure.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use sha2::{Digest, Sha256};

/// What tells two representations apart whose bytes are equal (RFC 9110 §8.8.1).
const DESCRIBING: [header::HeaderName; 3] =
    [header::CONTENT_TYPE, header::CONTENT_ENCODING, header::CONTENT_LANGUAGE];

/// A strong tag for a whole response; `None` if it is no 200, or has a validator of its own
/// (RFC 9110 §8.8).
pub(crate) fn generated<'b>(
    status: StatusCode,
    headers: &HeaderMap,
    body: impl Iterator<Item = &'b Bytes>,
) -> Option<HeaderValue> {
    let has_validator =
        headers.contains_key(header::ETAG) || headers.contains_key(header::LAST_MODIFIED);
    if status != StatusCode::OK || has_validator {
        return None;
    }
    let mut digest = Sha256::new();
    for name in &DESCRIBING {
        for line in headers.get_all(name) {
            digest.update([1]);
            digest.update((line.len() as u64).to_le_bytes());
            digest.update(line.as_bytes());
        }
        digest.update([0]);
    }
    body.for_each(|chunk| digest.update(chunk));
    // 128 bits: nobody finds two bodies that share them.
    let mut tag = String::from('"');
    for byte in digest.finalize().iter().take(16) {
        use std::fmt::Write;
        let _ = write!(tag, "{byte:02x}");
    }
    tag.push('"');
    HeaderValue::try_from(tag).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    fn tag(lines: &[(&'static str, &'static str)], chunks: &[&'static str]) -> Option<HeaderValue> {
        let chunks: Vec<_> =
            chunks.iter().map(|chunk| Bytes::from_static(chunk.as_bytes())).collect();
        generated(StatusCode::OK, &headers(lines), chunks.iter())
    }

    #[test]
    fn equal_bytes_have_equal_tags_however_they_came() {
        let one = tag(&[("content-type", "a/b")], &["hello"]).unwrap();
        let text = one.to_str().unwrap();
        assert_eq!((text.len(), text.starts_with('"'), text.ends_with('"')), (34, true, true));
        let other = tag(&[("x-id", "7"), ("content-type", "a/b")], &["he", "", "llo"]);
        assert_eq!(other, Some(one));
    }

    #[test]
    fn what_is_another_representation_has_another_tag() {
        let all = [
            tag(&[], &[]),
            tag(&[], &["hello"]),
            tag(&[], &["hallo"]),
            tag(&[("content-type", "a/b")], &["hello"]),
            tag(&[("content-type", "a/c")], &["hello"]),
            tag(&[("content-encoding", "a/b")], &["hello"]),
            tag(&[("content-language", "a/b")], &["hello"]),
            tag(&[("content-type", "a"), ("content-encoding", "b")], &["hello"]),
        ];
        for (n, one) in all.iter().enumerate() {
            assert!(one.is_some());
            assert_eq!(all.iter().filter(|other| *other == one).count(), 1, "{n}");
        }
    }

    #[test]
    fn who_has_a_validator_keeps_it() {
        for line in [("etag", "\"a\""), ("etag", "W/\"a\""), ("etag", "?"), ("last-modified", "x")]
        {
            assert_eq!(tag(&[line], &["hello"]), None, "{line:?}");
        }
        for status in [201, 203, 204, 301, 404, 500] {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(generated(status, &HeaderMap::new(), [].iter()), None, "{status}");
        }
    }
}
