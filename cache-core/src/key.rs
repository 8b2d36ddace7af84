//! Keys: lists of segments, rendered so that no two of them look alike. Pure.
//!
//! A key is rendered as its segments joined by `:`. Inside a segment, the bytes that mean
//! something to us, to Redis' globs or to its cluster slots (`: * ? [ ] \ { } %`, control and
//! non-ASCII bytes) become `%XX`. So rendering is injective, and what a user typed is always
//! a literal.
//!
//! ```
//! use cache_core::Key;
//!
//! assert_eq!(Key::from("user:123").as_str(), "user:123");
//! assert_eq!(Key::from_segments(["user:123"]).as_str(), "user%3A123");
//! assert_eq!(Key::workspace("ws1").segment("report*").as_str(), "ws1:report%2A");
//! ```

use std::fmt;

use sha2::{Digest, Sha256};

/// Names one value within a namespace.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Key {
    rendered: String,
    segments: usize,
    in_workspace: bool,
    tail: bool,
}

/// The segment that HTTP keys carry in place of a workspace when they belong to none.
pub(crate) const SHARED_PARTITION: &str = "-";

/// How an empty *list* of segments looks; a single `%` is never part of an escaped segment.
const NO_SEGMENTS: &str = "%";

/// Introduces the digest that stands for a cut tail; `%~` is never part of an escaped segment.
const FOLD: &str = "%~";

/// Introduces the schema of a value; `%s` is never part of an escaped segment.
const SCHEMA: &str = "%s";

/// Rendered keys, prefix and namespace included, are at most this long.
pub(crate) const MAX_RENDERED: usize = 512;

impl Key {
    /// Takes each segment as it is: nothing in it separates, nothing in it is a wildcard.
    pub fn from_segments<S: AsRef<str>>(segments: impl IntoIterator<Item = S>) -> Self {
        let mut key =
            Self { rendered: String::new(), segments: 0, in_workspace: false, tail: false };
        for segment in segments {
            key.push(segment.as_ref());
        }
        if key.segments == 0 {
            key.rendered.push_str(NO_SEGMENTS);
        }
        key
    }

    /// A key whose first segment is a workspace: `invalidate(Scope::workspace(..))` covers it.
    pub fn workspace(workspace: impl AsRef<str>) -> Self {
        let mut key =
            Self { rendered: String::new(), segments: 1, in_workspace: true, tail: false };
        escape_workspace(workspace.as_ref(), &mut key.rendered);
        key
    }

    /// A key of the shared partition: what belongs to no workspace, rendered as `-`.
    pub fn shared() -> Self {
        Self {
            rendered: SHARED_PARTITION.to_owned(),
            segments: 1,
            in_workspace: false,
            tail: false,
        }
    }

    /// Adds one segment, taken as it is.
    #[must_use]
    pub fn segment(mut self, segment: impl AsRef<str>) -> Self {
        self.push(segment.as_ref());
        self
    }

    /// Adds the segment that tells forms of one thing apart (query forms, variants). A declared
    /// pattern without a trailing `*` covers all of them.
    #[must_use]
    pub fn tail(mut self, segment: impl AsRef<str>) -> Self {
        self.push(segment.as_ref());
        self.tail = true;
        self
    }

    /// A key as it stands in a store, without prefix and namespace.
    pub(crate) fn of_rendered(rendered: &str) -> Self {
        let segments = rendered.split(':').count();
        let last = rendered.rsplit(':').next().unwrap_or_default();
        // The digest of a response, or the mark of a schema.
        let tail = segments > 1 && (last.starts_with('~') || last.starts_with(SCHEMA));
        Self { rendered: rendered.to_owned(), segments, in_workspace: false, tail }
    }

    /// The segment that tells values of one schema from those of others.
    pub(crate) fn schema_mark(schema: u32) -> String {
        format!("{SCHEMA}{schema}")
    }

    /// With the mark of a schema as its tail.
    pub(crate) fn marked(mut self, mark: &str) -> Self {
        self.rendered.reserve_exact(1 + mark.len());
        if self.segments == 0 {
            self.rendered.clear();
        } else {
            self.rendered.push(':');
        }
        self.rendered.push_str(mark);
        self.segments += 1;
        self.tail = true;
        self
    }

    /// Whether the last segment is a [`tail`](Self::tail).
    pub(crate) fn has_tail(&self) -> bool {
        self.tail
    }

    fn push(&mut self, segment: &str) {
        if self.segments == 0 {
            self.rendered.clear();
        } else {
            self.rendered.push(':');
        }
        escape(segment, &mut self.rendered);
        self.segments += 1;
    }

    /// The rendered key, without prefix and namespace.
    pub fn as_str(&self) -> &str {
        &self.rendered
    }

    /// The rendered segments.
    pub(crate) fn parts(&self) -> impl Iterator<Item = &str> {
        self.rendered.split(':')
    }

    /// The rendered first segment, if it names a workspace.
    pub(crate) fn workspace_part(&self) -> Option<&str> {
        if self.in_workspace { self.parts().next() } else { None }
    }

    /// Declares that the first segment names a workspace.
    pub(crate) fn into_workspaced(mut self) -> Self {
        self.in_workspace = true;
        self
    }
}

/// Splits at `:`; use [`Key::from_segments`] for text that may hold one.
impl From<&str> for Key {
    fn from(key: &str) -> Self {
        let is_rendered = |byte| byte == b':' || !must_escape(byte);
        if !key.bytes().all(is_rendered) {
            return Self::from_segments(key.split(':'));
        }
        // As most keys: nothing to escape, one allocation.
        let segments = 1 + key.bytes().filter(|byte| *byte == b':').count();
        Self { rendered: key.to_owned(), segments, in_workspace: false, tail: false }
    }
}

impl From<String> for Key {
    fn from(key: String) -> Self {
        Self::from(key.as_str())
    }
}

impl From<&String> for Key {
    fn from(key: &String) -> Self {
        Self::from(key.as_str())
    }
}

impl From<&Key> for Key {
    fn from(key: &Key) -> Self {
        key.clone()
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.rendered)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.rendered)
    }
}

/// Appends `segment`, escaped.
pub(crate) fn escape(segment: &str, out: &mut String) {
    for byte in segment.bytes() {
        if must_escape(byte) {
            push_escaped(byte, out);
        } else {
            out.push(char::from(byte));
        }
    }
}

/// As [`escape`], but a workspace that is called like the shared partition does not look like it.
pub(crate) fn escape_workspace(workspace: &str, out: &mut String) {
    if workspace == SHARED_PARTITION {
        push_escaped(b'-', out);
    } else {
        escape(workspace, out);
    }
}

/// What [`escape`] was given.
pub(crate) fn unescape(rendered: &str) -> String {
    let mut bytes = Vec::with_capacity(rendered.len());
    let mut rest = rendered.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let hex =
            after.get(..2).filter(|_| *first == b'%').and_then(|hex| str::from_utf8(hex).ok());
        let escaped = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok());
        bytes.push(escaped.unwrap_or(*first));
        rest = if escaped.is_some() { after.get(2..).unwrap_or_default() } else { after };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// What a rendered segment says; `None` if it has been cut, or is a wildcard.
pub(crate) fn segment(rendered: &str) -> Option<String> {
    let whole = !rendered.contains(['*', '?']) && !rendered.contains(FOLD);
    whole.then(|| unescape(rendered))
}

/// Whether a rendered first segment says that there is no workspace.
pub(crate) fn is_shared_partition(rendered: &str) -> bool {
    rendered == SHARED_PARTITION
}

/// Whether a byte would mean something to us, to a glob or to a cluster slot.
fn must_escape(byte: u8) -> bool {
    matches!(byte, b':' | b'*' | b'?' | b'[' | b']' | b'\\' | b'{' | b'}' | b'%')
        || !(0x20..0x7f).contains(&byte)
}

fn push_escaped(byte: u8, out: &mut String) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    out.push('%');
    for digit in [byte >> 4, byte & 0xf] {
        out.push(HEX.get(usize::from(digit)).copied().map_or('0', char::from));
    }
}

/// Cuts a name that is longer than Redis keys should be; the digest of the whole takes the
/// place of the tail, so that names stay distinct.
pub(crate) fn fold(mut name: String) -> String {
    if name.len() <= MAX_RENDERED {
        return name;
    }
    let digest = hex_128(&Sha256::digest(name.as_bytes()));
    // Rendered names are ASCII, so every index is a character boundary.
    name.truncate(MAX_RENDERED - FOLD.len() - digest.len());
    name.push_str(FOLD);
    name.push_str(&digest);
    name
}

/// The first 128 bits of a digest, in lower-case hex.
pub(crate) fn hex_128(digest: &[u8]) -> String {
    digest.iter().take(16).fold(String::with_capacity(32), |mut hex, byte| {
        use fmt::Write;
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn rendering_is_readable_and_escapes_what_means_something() {
        for (segments, rendered) in [
            (vec!["user", "123"], "user:123"),
            (vec!["a:b"], "a%3Ab"),
            (vec!["a", "b"], "a:b"),
            (vec!["{slot}"], "%7Bslot%7D"),
            (vec!["*?[x]\\"], "%2A%3F%5Bx%5D%5C"),
            (vec!["100%"], "100%25"),
            (vec!["é\n"], "%C3%A9%0A"),
            (vec![""], ""),
            (vec!["", ""], ":"),
            (vec![], "%"),
        ] {
            assert_eq!(Key::from_segments(&segments).as_str(), rendered, "{segments:?}");
        }
    }

    #[test]
    fn a_workspace_called_dash_is_not_the_shared_partition() {
        assert_ne!(Key::workspace("-").as_str(), Key::shared().as_str());
    }

    #[test]
    fn long_names_fold_into_a_digest_and_stay_distinct() {
        let long = "x".repeat(600);
        let (a, b) = (fold(format!("{long}a")), fold(format!("{long}b")));
        assert_eq!((a.len(), b.len()), (MAX_RENDERED, MAX_RENDERED));
        assert_ne!(a, b);
        assert_eq!(fold("short".into()), "short");
    }

    /// Segments made of the characters that escaping is about.
    fn hostile() -> impl Strategy<Value = Vec<String>> {
        let character = prop_oneof![
            prop::sample::select(vec![
                ':', '*', '?', '[', ']', '\\', '{', '}', '%', '~', '-', '\0', '\n', ' ', 'é', '2',
                'A', '3'
            ]),
            any::<char>(),
        ];
        prop::collection::vec(
            prop::collection::vec(character, 0..6).prop_map(String::from_iter),
            0..5,
        )
    }

    proptest! {
        #[test]
        fn rendering_is_injective(a in hostile(), b in hostile()) {
            let same = Key::from_segments(&a).as_str() == Key::from_segments(&b).as_str();
            prop_assert_eq!(same, a == b);
        }

        #[test]
        fn text_is_split_at_colons(segments in hostile(), plain in "[a-z:]{0,12}") {
            for text in [segments.join(":"), plain] {
                let (quick, slow) = (Key::from(&text), Key::from_segments(text.split(':')));
                prop_assert_eq!(&quick, &slow);
                prop_assert_eq!(quick.segment("x"), slow.segment("x"));
            }
        }

        #[test]
        fn segments_can_be_told_apart_again(segments in hostile()) {
            let key = Key::from_segments(&segments);
            if !segments.is_empty() {
                prop_assert_eq!(key.parts().count(), segments.len());
            }
            prop_assert!(key.as_str().bytes().all(|b| (0x20..0x7f).contains(&b)));
            prop_assert!(key.parts().zip(&segments).all(|(part, segment)| unescape(part) == *segment));
            let special = ['*', '?', '[', ']', '\\', '{', '}'];
            prop_assert!(!key.as_str().contains(special));
        }
    }
}
