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

use std::fmt::{self, Write};

use sha2::{Digest, Sha256};
use smallvec::SmallVec;

/// Names one value within a namespace.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Key {
    identity: Identity,
    segments: usize,
    tail: bool,
}

/// Whether the first segment names a workspace, in one byte, then the rendered segments: what tells
/// a key from all others of its namespace. Short ones are made without an allocation.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Identity(SmallVec<[u8; 79]>);

const PLAIN: u8 = 0;
const IN_WORKSPACE: u8 = 1;

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
        let mut key = Self { identity: Identity::begin(PLAIN), segments: 0, tail: false };
        for segment in segments {
            key.push(segment.as_ref());
        }
        if key.segments == 0 {
            key.identity.push(NO_SEGMENTS);
        }
        key
    }

    /// A key whose first segment is a workspace: `invalidate(Scope::workspace(..))` covers it.
    pub fn workspace(workspace: impl AsRef<str>) -> Self {
        let mut identity = Identity::begin(IN_WORKSPACE);
        escape_workspace(workspace.as_ref(), &mut identity);
        Self { identity, segments: 1, tail: false }
    }

    /// A key of the shared partition: what belongs to no workspace, rendered as `-`.
    pub fn shared() -> Self {
        let mut identity = Identity::begin(PLAIN);
        identity.push(SHARED_PARTITION);
        Self { identity, segments: 1, tail: false }
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
        Self { identity: Identity::plain(rendered), segments, tail }
    }

    /// A key by its [identity](Self::identity).
    pub(crate) fn of_identity(identity: &[u8], tail: bool) -> Self {
        let identity = Identity(SmallVec::from_slice(identity));
        let segments = identity.rendered().split(':').count();
        Self { identity, segments, tail }
    }

    /// The segment that tells values of one schema from those of others.
    pub(crate) fn schema_mark(schema: u32) -> String {
        format!("{SCHEMA}{schema}")
    }

    /// Adds the mark of a schema, as its tail.
    #[inline]
    pub(crate) fn mark(&mut self, mark: &str) {
        self.begin_segment();
        self.identity.push(mark);
        self.tail = true;
    }

    /// Whether the last segment is a [`tail`](Self::tail).
    pub(crate) fn has_tail(&self) -> bool {
        self.tail
    }

    fn push(&mut self, segment: &str) {
        self.begin_segment();
        escape(segment, &mut self.identity);
    }

    #[inline]
    fn begin_segment(&mut self) {
        if self.segments == 0 {
            self.identity.clear();
        } else {
            self.identity.push(":");
        }
        self.segments += 1;
    }

    /// The rendered key, without prefix and namespace.
    pub fn as_str(&self) -> &str {
        self.identity.rendered()
    }

    /// What tells the key from all others of its namespace: keys that carry a workspace are apart
    /// from those that do not.
    #[inline]
    pub(crate) fn identity(&self) -> &[u8] {
        &self.identity.0
    }

    /// The rendered segments.
    pub(crate) fn parts(&self) -> impl Iterator<Item = &str> {
        self.as_str().split(':')
    }

    /// The rendered first segment, if it names a workspace.
    pub(crate) fn workspace_part(&self) -> Option<&str> {
        workspace_part(self.identity())
    }

    /// Declares that the first segment names a workspace.
    pub(crate) fn name_workspace(&mut self) {
        if let Some(kind) = self.identity.0.first_mut() {
            *kind = IN_WORKSPACE;
        }
    }
}

impl Identity {
    fn begin(kind: u8) -> Self {
        let mut bytes = SmallVec::new();
        bytes.push(kind);
        Self(bytes)
    }

    /// With the bytes of a key that has nothing to escape.
    #[inline]
    fn plain(rendered: &str) -> Self {
        let mut bytes = SmallVec::with_capacity(1 + rendered.len());
        bytes.push(PLAIN);
        bytes.extend_from_slice(rendered.as_bytes());
        Self(bytes)
    }

    #[inline]
    fn push(&mut self, rendered: &str) {
        self.0.extend_from_slice(rendered.as_bytes());
    }

    fn clear(&mut self) {
        self.0.truncate(1);
    }

    fn rendered(&self) -> &str {
        rendered(&self.0)
    }
}

impl Write for Identity {
    fn write_str(&mut self, rendered: &str) -> fmt::Result {
        self.push(rendered);
        Ok(())
    }
}

/// Splits at `:`; use [`Key::from_segments`] for text that may hold one.
impl From<&str> for Key {
    #[inline]
    fn from(key: &str) -> Self {
        let mut segments = 1;
        for byte in key.bytes() {
            if byte == b':' {
                segments += 1;
            } else if must_escape(byte) {
                return Self::from_segments(key.split(':'));
            }
        }
        // As most keys: nothing to escape.
        Self { identity: Identity::plain(key), segments, tail: false }
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
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.as_str())
    }
}

/// The rendered key in an identity.
fn rendered(identity: &[u8]) -> &str {
    // What is rendered is ASCII.
    let rendered = identity.get(1..).unwrap_or_default();
    str::from_utf8(rendered).unwrap_or_default()
}

/// The rendered first segment, if the identity says that it names a workspace.
pub(crate) fn workspace_part(identity: &[u8]) -> Option<&str> {
    if identity.first() == Some(&IN_WORKSPACE) {
        rendered(identity).split(':').next()
    } else {
        None
    }
}

/// Appends `segment`, escaped.
pub(crate) fn escape(segment: &str, out: &mut impl Write) {
    let mut clean = segment;
    while let Some(at) = clean.bytes().position(must_escape) {
        // Whatever is not ASCII has to be escaped, so that both are boundaries of characters.
        let (before, rest) = clean.split_at_checked(at).unwrap_or((clean, ""));
        let _ = out.write_str(before);
        let after = rest.bytes().position(|byte| !must_escape(byte)).unwrap_or(rest.len());
        let (escaped, rest) = rest.split_at_checked(after).unwrap_or((rest, ""));
        escaped.bytes().for_each(|byte| push_escaped(byte, out));
        clean = rest;
    }
    // Neither a text nor a key refuses anything.
    let _ = out.write_str(clean);
}

/// As [`escape`], but a workspace that is called like the shared partition does not look like it.
pub(crate) fn escape_workspace(workspace: &str, out: &mut impl Write) {
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
const fn must_escape(byte: u8) -> bool {
    matches!(byte, b':' | b'*' | b'?' | b'[' | b']' | b'\\' | b'{' | b'}' | b'%')
        || byte < 0x20
        || byte >= 0x7f
}

fn push_escaped(byte: u8, out: &mut impl Write) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let digit = |digit: u8| HEX.get(usize::from(digit)).copied().map_or('0', char::from);
    for character in ['%', digit(byte >> 4), digit(byte & 0xf)] {
        let _ = out.write_char(character);
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
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

#[cfg(test)]
mod tests;
