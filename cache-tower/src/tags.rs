//! Tags that a handler gives its response while it makes it.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use cache_core::{Partition, Tag, TagFamily};
use http::Extensions;

use crate::policy::NoStore;

/// Put into the extensions of a response by the service inside: the stored response is invalidated
/// with any of these tags, by [`Cache::invalidate`](cache_core::Cache::invalidate).
///
/// A tag is global ([`Tag::new`]), or one of the workspace that the request belongs to
/// ([`Tag::in_workspace`]; of what belongs to no workspace, [`Tag::in_partition`]).
///
/// ```
/// use cache_core::{Cache, Tag};
/// use cache_tower::CacheTags;
/// use http::Response;
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let mut response = Response::new("the orders of Ada");
/// let tags = CacheTags::new(["user:123"]).and_in_workspace(["orders"]);
/// response.extensions_mut().insert(tags);
///
/// // .. and when something has changed:
/// # let cache = Cache::builder().build()?;
/// cache.invalidate(Tag::in_workspace("ws1", "orders")).await?;
/// # Ok::<(), cache_core::Error>(()) }).unwrap();
/// ```
///
/// In axum: `(Extension(CacheTags::new(["user:123"])), body)`.
///
/// - At most 64 tags of at most 256 bytes each; a response with more, or longer ones, is not
///   stored (`detail=tags` in `Cache-Status`), since it would outlive their invalidation.
/// - A response one of whose tags was invalidated while it was made is not stored
///   (`detail=overtaken`). Neither is one that has global tags, when *any* global tag was
///   invalidated meanwhile, or one that has tags of its workspace, when any of that workspace was:
///   nobody knows the tags of a response before it is there. For the same reason, requests that
///   come after an invalidation do not wait for fetches that began before it. So where tags are
///   invalidated all the time, those of a workspace are the better ones.
/// - What a response to a validation (304), to `HEAD`, or a part (206) does not say again still
///   holds; if it has tags of its own, of either kind, they take the place of all that were known,
///   unless one of those was invalidated meanwhile.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CacheTags {
    global: Vec<String>,
    in_workspace: Vec<String>,
}

/// The most tags of one response, of both kinds.
const MOST: usize = 64;
/// The most bytes in a tag.
const LONGEST: usize = 256;

impl CacheTags {
    /// Global tags.
    pub fn new(tags: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self::default().and(tags)
    }

    /// Tags of the request's workspace.
    pub fn in_workspace(tags: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self::default().and_in_workspace(tags)
    }

    /// Global tags, too.
    #[must_use]
    pub fn and(mut self, tags: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.global.extend(tags.into_iter().map(Into::into));
        self
    }

    /// Tags of the request's workspace, too.
    #[must_use]
    pub fn and_in_workspace(mut self, tags: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.in_workspace.extend(tags.into_iter().map(Into::into));
        self
    }

    /// Those of a response with these extensions: its own, or if it has none those that are
    /// `known`; and those of the route.
    pub(crate) fn told(
        extensions: &Extensions,
        known: Option<&Self>,
        route: &Self,
    ) -> Result<Self, NoStore> {
        let own = extensions.get::<Self>().filter(|tags| !tags.is_empty()).or(known);
        let mut tags = own.cloned().unwrap_or_default();
        add_missing(&mut tags.global, &route.global);
        add_missing(&mut tags.in_workspace, &route.in_workspace);
        if tags.len() > MOST || tags.all().any(|tag| tag.len() > LONGEST) {
            return Err(NoStore::Tags);
        }
        Ok(tags)
    }

    /// As cache-core knows them, of a response of this partition.
    pub(crate) fn tags(&self, partition: Partition<'_>) -> Vec<Tag> {
        let mut tags: Vec<Tag> = self.global.iter().map(Tag::new).collect();
        if !self.in_workspace.is_empty() {
            let family = TagFamily::partition(partition);
            tags.extend(self.in_workspace.iter().map(|tag| family.tag(tag)));
        }
        tags
    }

    /// Both.
    #[cfg(feature = "axum")]
    pub(crate) fn joined(mut self, other: &Self) -> Self {
        add_missing(&mut self.global, &other.global);
        add_missing(&mut self.in_workspace, &other.in_workspace);
        self
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn len(&self) -> usize {
        self.global.len() + self.in_workspace.len()
    }

    fn all(&self) -> impl Iterator<Item = &String> {
        self.global.iter().chain(&self.in_workspace)
    }

    /// How many bytes [`put`](Self::put) writes.
    pub(crate) fn size(&self) -> usize {
        2 + self.all().map(|tag| 2 + tag.len()).sum::<usize>()
    }

    /// Writes them: of each kind their number, then each with its length before it.
    pub(crate) fn put(&self, out: &mut BytesMut) {
        for tags in [&self.global, &self.in_workspace] {
            // What is stored has passed `told`.
            out.put_u8(u8::try_from(tags.len()).unwrap_or(u8::MAX));
            for tag in tags {
                out.put_u16_le(u16::try_from(tag.len()).unwrap_or(u16::MAX));
                out.put_slice(tag.as_bytes());
            }
        }
    }

    /// Reads what [`put`](Self::put) has written.
    pub(crate) fn take(rest: &mut Bytes) -> Option<Self> {
        let mut kind = || {
            let count = rest.try_get_u8().ok()?;
            let tag = |_| {
                let length = usize::from(rest.try_get_u16_le().ok()?);
                let tag = (length <= rest.len()).then(|| rest.split_to(length))?;
                String::from_utf8(tag.into()).ok()
            };
            (0..count).map(tag).collect::<Option<Vec<String>>>()
        };
        Some(Self { global: kind()?, in_workspace: kind()? })
    }
}

fn add_missing(tags: &mut Vec<String>, others: &[String]) {
    for other in others {
        if !tags.contains(other) {
            tags.push(other.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(tags: CacheTags) -> Result<CacheTags, NoStore> {
        told_on(tags, None, &CacheTags::default())
    }

    fn told_on(
        own: CacheTags,
        known: Option<&CacheTags>,
        route: &CacheTags,
    ) -> Result<CacheTags, NoStore> {
        let mut extensions = Extensions::new();
        extensions.insert(own);
        CacheTags::told(&extensions, known, route)
    }

    #[test]
    fn those_of_the_route_are_added_to_its_own_or_to_those_known() {
        let (route, none) =
            (CacheTags::new(["r", "a"]).and_in_workspace(["r"]), CacheTags::default());
        let known = CacheTags::new(["k", "r"]);
        let [own, both] =
            [CacheTags::new(["a"]), CacheTags::new(["a", "r"]).and_in_workspace(["r"])];
        assert_eq!(told_on(own.clone(), Some(&known), &route), Ok(both));
        assert_eq!(told_on(own.clone(), Some(&known), &none), Ok(own));
        let both = CacheTags::new(["k", "r", "a"]).and_in_workspace(["r"]);
        assert_eq!(told_on(none.clone(), Some(&known), &route), Ok(both));
        assert_eq!(told_on(none.clone(), None, &route), Ok(route.clone()));
        assert_eq!(told_on(CacheTags::new(numbered(MOST)), None, &route), Err(NoStore::Tags));
    }

    fn numbered(count: usize) -> Vec<String> {
        (0..count).map(|n| n.to_string()).collect()
    }

    #[test]
    fn limits() {
        let none = CacheTags::default();
        assert_eq!(CacheTags::told(&Extensions::new(), None, &none), Ok(none.clone()));
        assert_eq!(told(CacheTags::default()), Ok(CacheTags::default()));
        let long = "x".repeat(LONGEST);
        for fine in [
            CacheTags::new(numbered(MOST)),
            CacheTags::in_workspace(numbered(MOST)),
            CacheTags::new(numbered(1)).and_in_workspace(numbered(MOST - 1)),
            CacheTags::new([long.as_str(), ""]).and_in_workspace([long.as_str()]),
        ] {
            assert_eq!(told(fine.clone()), Ok(fine));
        }
        for bad in [
            CacheTags::new(numbered(MOST + 1)),
            CacheTags::in_workspace(numbered(MOST + 1)),
            CacheTags::new(numbered(1)).and_in_workspace(numbered(MOST)),
            CacheTags::new([format!("{long}x")]),
            CacheTags::in_workspace(["a".to_owned(), format!("{long}x")]),
        ] {
            assert_eq!(told(bad), Err(NoStore::Tags));
        }
    }

    #[test]
    fn both_kinds_are_what_cache_core_calls_them() {
        let tags = CacheTags::in_workspace(["b"]).and(["a"]).and_in_workspace(["c"]);
        assert_eq!(
            tags.tags(Partition::Workspace("ws1")),
            [Tag::new("a"), Tag::in_workspace("ws1", "b"), Tag::in_workspace("ws1", "c")]
        );
        let shared = Tag::in_partition(Partition::Shared, "b");
        assert_eq!(CacheTags::in_workspace(["b"]).tags(Partition::Shared), [shared]);
        assert!(CacheTags::default().is_empty() && !tags.is_empty());
    }

    #[test]
    fn what_is_written_is_read_and_nothing_that_was_cut() {
        let longest = CacheTags::new(vec!["ä".repeat(LONGEST / 2); MOST]);
        for tags in
            [CacheTags::default(), CacheTags::new(["", "a"]).and_in_workspace(["b"]), longest]
        {
            let mut written = BytesMut::new();
            tags.put(&mut written);
            assert_eq!(written.len(), tags.size());
            let written = written.freeze();
            for length in 0..written.len() {
                assert_eq!(CacheTags::take(&mut written.slice(..length)), None, "{length}");
            }
            let mut rest = Bytes::from([&written[..], b"body"].concat());
            assert_eq!(CacheTags::take(&mut rest), Some(tags));
            assert_eq!(rest, "body");
        }
        assert_eq!(CacheTags::take(&mut Bytes::from_static(b"\x01\x01\0\xff\0")), None);
    }
}
