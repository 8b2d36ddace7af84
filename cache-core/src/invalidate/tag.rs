//! Tags, and the families they belong to. Pure.
//!
//! A tag is rendered as its family's name and its own text, both escaped: no two tags of whatever
//! families look alike.

use std::borrow::Cow;

use crate::invalidate::Partition;
use crate::key::{escape, is_shared_partition, unescape};

/// A label on entries, in any namespace; all entries with it are invalidated together.
///
/// ```
/// use cache_core::Tag;
/// let everywhere = Tag::new("user:123");
/// # assert_eq!(everywhere.as_str(), "user:123");
/// // The same text in a workspace is another tag.
/// let ours = Tag::in_workspace("ws1", "user:123");
/// # assert_ne!(ours, everywhere);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Tag {
    family: TagFamily,
    text: Box<str>,
}

impl Tag {
    /// A global tag with this text, whatever workspace an entry belongs to; any text will do.
    pub fn new(tag: impl Into<String>) -> Self {
        TagFamily::global().tag(tag)
    }

    /// A tag of one workspace, apart from those of all others and from the global ones.
    pub fn in_workspace(workspace: impl AsRef<str>, tag: impl Into<String>) -> Self {
        Self::in_partition(Partition::Workspace(workspace.as_ref()), tag)
    }

    /// As [`in_workspace`](Self::in_workspace); or a tag of what belongs to no workspace.
    pub fn in_partition(partition: Partition<'_>, tag: impl Into<String>) -> Self {
        TagFamily::partition(partition).tag(tag)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The family it belongs to.
    pub fn family(&self) -> &TagFamily {
        &self.family
    }

    /// As it stands in entries, and in the name of its generation.
    pub(crate) fn rendered(&self) -> Box<str> {
        let mut rendered = format!("{}:", self.family.0);
        escape(&self.text, &mut rendered);
        rendered.into_boxed_str()
    }
}

impl From<&str> for Tag {
    fn from(tag: &str) -> Self {
        Self::new(tag)
    }
}

impl From<String> for Tag {
    fn from(tag: String) -> Self {
        Self::new(tag)
    }
}

impl From<&String> for Tag {
    fn from(tag: &String) -> Self {
        Self::new(tag)
    }
}

/// Tags that belong together: what fills that may turn out to have one of them are held up by,
/// when any of them is invalidated (see [`Fill::expect_tags`](crate::Fill::expect_tags)). Tags of
/// two families are two tags, whatever their text.
///
/// ```
/// use cache_core::{Cache, TagFamily};
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let cache = Cache::builder().build()?;
/// let articles = TagFamily::new("articles");
/// let changed = [articles.tag("7"), articles.tag("8")];
/// cache.invalidate(changed).await?;
/// # Ok::<(), cache_core::Error>(()) }).unwrap();
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TagFamily(
    /// Rendered: nothing that comes after a colon can be taken for a part of it.
    Cow<'static, str>,
);

impl TagFamily {
    /// A family of this name; any text will do.
    pub fn new(name: impl AsRef<str>) -> Self {
        let mut rendered = String::from("g:");
        escape(name.as_ref(), &mut rendered);
        Self(Cow::Owned(rendered))
    }

    /// That of the global tags ([`Tag::new`]).
    pub const fn global() -> Self {
        Self(Cow::Borrowed("t"))
    }

    /// That of the tags of one workspace ([`Tag::in_workspace`]), or of what belongs to none.
    pub fn partition(partition: Partition<'_>) -> Self {
        let mut rendered = String::from("u:");
        partition.render(&mut rendered);
        Self(Cow::Owned(rendered))
    }

    /// As [`partition`](Self::partition), from the partition as it stands in a key.
    pub(crate) fn of_rendered_partition(rendered: &str) -> Self {
        Self(Cow::Owned(format!("u:{rendered}")))
    }

    /// The workspace whose tags they are, if they are one's.
    pub(crate) fn workspace(&self) -> Option<String> {
        let rendered = self.0.strip_prefix("u:")?;
        (!is_shared_partition(rendered)).then(|| unescape(rendered))
    }

    /// The tag of this family with this text; any text will do.
    pub fn tag(&self, text: impl Into<String>) -> Tag {
        Tag { family: self.clone(), text: text.into().into_boxed_str() }
    }

    pub(crate) fn rendered(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All tags of all families that these texts make, rendered.
    fn rendered(texts: &[&str]) -> Vec<Box<str>> {
        let families = texts.iter().flat_map(|text| {
            [TagFamily::new(text), TagFamily::partition(Partition::Workspace(text))]
        });
        let own = [TagFamily::global(), TagFamily::partition(Partition::Shared)];
        let tags = families.chain(own).flat_map(|family| texts.iter().map(move |t| family.tag(*t)));
        tags.map(|tag| tag.rendered()).collect()
    }

    #[test]
    fn no_two_tags_look_alike() {
        let texts = ["", "a", "a:b", ":", "-", "%2D", "t", "u:a", "g:a:b", "t:a", "ä", "*", "%"];
        let tags = rendered(&texts);
        assert_eq!(tags.len(), (2 * texts.len() + 2) * texts.len());
        let distinct: std::collections::HashSet<_> = tags.iter().collect();
        assert_eq!(distinct.len(), tags.len());
        assert!(tags.iter().all(|tag| tag.is_ascii()));
    }

    #[test]
    fn a_global_tag_is_called_as_it_is_in_the_docs() {
        assert_eq!(&*Tag::new("user:1").rendered(), "t:user%3A1");
        assert_eq!(&*Tag::in_workspace("ws:1", "user:1").rendered(), "u:ws%3A1:user%3A1");
        assert_eq!(&*Tag::in_partition(Partition::Shared, "a").rendered(), "u:-:a");
        assert_eq!(Tag::from("a"), Tag::new(String::from("a")));
        assert_eq!(Tag::in_workspace("ws", "a").as_str(), "a");
    }
}
