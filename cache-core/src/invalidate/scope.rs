//! Scopes: anything that is invalidated as a whole.

use crate::invalidate::{Pattern, Tag, TagFamily};
use crate::key::{Key, escape, escape_workspace, fold};
use crate::namespace::Namespace;

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
    Key {
        namespace: String,
        key: Key,
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

    /// One entry: what [`Cache::delete`](crate::Cache::delete) deletes.
    pub fn key(namespace: impl AsRef<str>, key: impl Into<Key>) -> Self {
        Self(Kind::Key { namespace: namespace.as_ref().to_owned(), key: key.into() })
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

    /// Whether a key in the store is that of a generation.
    pub(crate) fn is_scope(&self, key: &[u8]) -> bool {
        key.starts_with(self.base.as_bytes())
    }

    /// What follows the part that all have in common, if the name is one of these.
    pub(crate) fn below<'n>(&self, name: &'n str) -> Option<&'n str> {
        name.strip_prefix(&self.base)
    }

    pub(crate) fn everything(&self) -> String {
        format!("{}p", self.base)
    }

    pub(crate) fn namespace(&self, name: &str) -> String {
        let mut key = format!("{}n:", self.base);
        escape(name, &mut key);
        fold(key)
    }

    /// Not of entries: of the fills of a namespace that sweeps have to stop.
    pub(crate) fn sweeps(&self, namespace: &str) -> String {
        let mut key = format!("{}s:", self.base);
        escape(namespace, &mut key);
        fold(key)
    }

    /// No generation: what is known of a namespace's patterns and version (see `board`).
    pub(crate) fn board(&self, namespace: &str) -> String {
        let mut key = format!("{}b:", self.base);
        escape(namespace, &mut key);
        fold(key)
    }

    /// No generation: the lease of whoever computes for all processes (see `flight`). `rendered` is
    /// an entry's key in the store, `state` what the computation is based on.
    pub(crate) fn lease(&self, prefix: &str, rendered: &str, state: u64) -> String {
        let entry = rendered.strip_prefix(prefix).unwrap_or(rendered);
        fold(format!("{}{entry}:{state:016x}", self.leases()))
    }

    /// What the keys of all leases begin with, but for the `:` behind it.
    pub(crate) fn leases(&self) -> String {
        [&*self.base, "l"].concat()
    }

    /// `rendered` is the workspace as it stands in a key.
    pub(crate) fn workspace(&self, rendered: &str) -> String {
        fold(format!("{}w:{rendered}", self.base))
    }

    /// `rendered` is the tag as it stands in an entry.
    pub(crate) fn tag(&self, rendered: &str) -> String {
        let mut key = self.base.clone();
        if rendered.is_ascii() {
            key.push_str(rendered);
        } else {
            // None of ours: what is in a store may be anybody's.
            escape(rendered, &mut key);
        }
        fold(key)
    }

    pub(crate) fn family(&self, family: &TagFamily) -> String {
        fold(format!("{}f{}", self.base, family.rendered()))
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
