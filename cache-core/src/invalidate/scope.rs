//! Scopes: anything that is invalidated as a whole.

use crate::invalidate::Pattern;
use crate::key::{escape, escape_workspace, fold};
use crate::namespace::Namespace;

/// A label on entries, in any namespace; all entries with it are invalidated together.
///
/// ```
/// use cache_core::Tag;
/// let tag = Tag::new("user:123");
/// # assert_eq!(tag.as_str(), "user:123");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Tag(Box<str>);

impl Tag {
    /// A tag with this text; any text will do.
    pub fn new(tag: impl Into<String>) -> Self {
        Self(tag.into().into_boxed_str())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What [`Cache::invalidate`](crate::Cache::invalidate) invalidates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope(pub(crate) Kind);

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    Everything,
    Namespace(String),
    /// Rendered.
    Workspace(String),
    Tag(Tag),
    Pattern {
        namespace: String,
        pattern: Pattern,
    },
}

impl Scope {
    /// Everything under the cache's prefix.
    pub fn everything() -> Self {
        Self(Kind::Everything)
    }

    /// All entries of a namespace.
    pub fn namespace(name: impl AsRef<str>) -> Self {
        Self(Kind::Namespace(name.as_ref().to_owned()))
    }

    /// All entries of a workspace, in every namespace.
    pub fn workspace(workspace: impl AsRef<str>) -> Self {
        let mut rendered = String::new();
        escape_workspace(workspace.as_ref(), &mut rendered);
        Self(Kind::Workspace(rendered))
    }

    /// All entries of a namespace that match a pattern. At once, however many they are, if a
    /// pattern of this shape has been declared; else by a sweep.
    pub fn pattern(namespace: impl AsRef<str>, pattern: Pattern) -> Self {
        Self(Kind::Pattern { namespace: namespace.as_ref().to_owned(), pattern })
    }
}

impl From<Tag> for Scope {
    fn from(tag: Tag) -> Self {
        Self(Kind::Tag(tag))
    }
}

impl From<&Namespace> for Scope {
    fn from(namespace: &Namespace) -> Self {
        Self::namespace(namespace.name())
    }
}

impl From<Namespace> for Scope {
    fn from(namespace: Namespace) -> Self {
        Self::from(&namespace)
    }
}

/// Renders the keys under which generations live: `{prefix}:gen:{kind}:{name}`.
#[derive(Debug)]
pub(crate) struct ScopeNames {
    base: String,
}

impl ScopeNames {
    pub(crate) fn new(prefix: &str) -> Self {
        Self { base: format!("{prefix}:gen:") }
    }

    pub(crate) fn everything(&self) -> String {
        format!("{}p", self.base)
    }

    pub(crate) fn namespace(&self, name: &str) -> String {
        let mut key = format!("{}n:", self.base);
        escape(name, &mut key);
        fold(key)
    }

    /// `rendered` is the workspace as it stands in a key.
    pub(crate) fn workspace(&self, rendered: &str) -> String {
        fold(format!("{}w:{rendered}", self.base))
    }

    pub(crate) fn tag(&self, tag: &str) -> String {
        let mut key = format!("{}t:", self.base);
        escape(tag, &mut key);
        fold(key)
    }

    pub(crate) fn family(&self, family: &str) -> String {
        let mut key = format!("{}f:", self.base);
        escape(family, &mut key);
        fold(key)
    }

    /// `instance` is a declared pattern with its holes filled, rendered.
    pub(crate) fn pattern(&self, namespace: &str, instance: &str) -> String {
        let mut key = format!("{}m:", self.base);
        escape(namespace, &mut key);
        key.push(':');
        key.push_str(instance);
        fold(key)
    }
}
