//! What tells the content of one QUERY from that of another. Pure.

use http::{HeaderMap, HeaderName, header};

use crate::request::key_rules::{Chosen, write_all};

/// SHA-256 of a body.
pub(crate) type ContentDigest = [u8; 32];

/// What says how the bytes are to be read (RFC 9110 §8).
const METADATA: [HeaderName; 4] = [
    header::CONTENT_TYPE,
    header::CONTENT_ENCODING,
    header::CONTENT_LANGUAGE,
    header::CONTENT_LOCATION,
];

/// Writes the content, so that no other looks the same: its bytes and what is said of them, as it
/// is said (RFC 10008 §2.7; nothing is normalized).
pub(crate) fn write_content(digest: &ContentDigest, headers: &HeaderMap, chosen: &mut Chosen) {
    chosen.extend_from_slice(digest);
    for name in &METADATA {
        let lines = headers.get_all(name).iter();
        write_all(chosen, lines.map(|line| line.as_bytes().trim_ascii()));
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn written(digest: u8, lines: &[(&'static str, &'static str)]) -> Chosen {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_static(value));
        }
        let mut chosen = Chosen::new();
        write_content(&[digest; 32], &headers, &mut chosen);
        chosen
    }

    #[test]
    fn no_two_contents_look_the_same() {
        let all = [
            written(0, &[]),
            written(1, &[]),
            written(0, &[("content-type", "")]),
            written(0, &[("content-type", "a/b")]),
            written(0, &[("content-type", "a/B")]),
            written(0, &[("content-type", "a/b;charset=utf-8")]),
            written(0, &[("content-encoding", "a/b")]),
            written(0, &[("content-language", "a/b")]),
            written(0, &[("content-location", "a/b")]),
            written(0, &[("content-type", "a"), ("content-type", "/b")]),
            written(0, &[("content-type", "a"), ("content-encoding", "/b")]),
        ];
        for (n, one) in all.iter().enumerate() {
            assert_eq!(all.iter().filter(|other| *other == one).count(), 1, "{n}");
        }
        // What says nothing of the content is told apart by `Vary`, where it matters.
        let others = [("accept", "a/b"), ("content-length", "3"), ("content-type", "a/b")];
        assert_eq!(written(0, &others), written(0, &[("content-type", "a/b")]));
    }
}
