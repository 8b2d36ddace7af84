//! Which rows there are, and which of them each scope covers. Pure.
//!
//! A row belongs to a namespace and a workspace. The first half of a workspace's rows lie under a
//! declared pattern, the others under none; every second row has a tag.

use std::fmt;
use std::str::FromStr;

pub(crate) const NAMESPACES: u16 = 2;
pub(crate) const WORKSPACES: u16 = 3;
/// Rows of one workspace in one namespace.
pub(crate) const IDS: u16 = 24;
pub(crate) const ROWS: u16 = NAMESPACES * WORKSPACES * IDS;

/// The pattern that every process declares.
pub(crate) const TEMPLATE: &str = "{workspace_id}:campaigns:*";

/// A row of the database, by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Row(pub(crate) u16);

impl Row {
    pub(crate) fn new(namespace: u16, workspace: u16, id: u16) -> Self {
        Self((namespace * WORKSPACES + workspace) * IDS + id)
    }

    pub(crate) fn all() -> impl Iterator<Item = Self> {
        (0..ROWS).map(Self)
    }

    pub(crate) fn namespace(self) -> u16 {
        self.0 / IDS / WORKSPACES
    }

    pub(crate) fn workspace(self) -> u16 {
        self.0 / IDS % WORKSPACES
    }

    pub(crate) fn id(self) -> u16 {
        self.0 % IDS
    }

    /// Whether it lies under the declared pattern.
    pub(crate) fn is_campaign(self) -> bool {
        self.id() < IDS / 2
    }

    /// The number of its tag.
    pub(crate) fn tag(self) -> Option<u16> {
        (self.id() % 2 == 1).then(|| self.id())
    }
}

/// What is invalidated as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    Key(Row),
    Tag(u16),
    Workspace(u16),
    Namespace(u16),
    /// The declared pattern, in a namespace and for a workspace.
    Pattern(u16, u16),
    /// One that was not declared: what the other lacks.
    Glob(u16, u16),
    Clear(u16),
}

/// [`Scope`] without its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Key,
    Tag,
    Workspace,
    Namespace,
    Pattern,
    Glob,
    Clear,
}

impl Scope {
    pub(crate) const ALL_KINDS: [Kind; 7] = [
        Kind::Key,
        Kind::Tag,
        Kind::Workspace,
        Kind::Namespace,
        Kind::Pattern,
        Kind::Glob,
        Kind::Clear,
    ];

    /// The scope of this kind that covers the row; its key, where the row is in none.
    pub(crate) fn of(kind: Kind, row: Row) -> Self {
        let (namespace, workspace) = (row.namespace(), row.workspace());
        match (kind, row.tag()) {
            (Kind::Tag, Some(tag)) => Self::Tag(tag),
            (Kind::Workspace, _) => Self::Workspace(workspace),
            (Kind::Namespace, _) => Self::Namespace(namespace),
            (Kind::Pattern, _) if row.is_campaign() => Self::Pattern(namespace, workspace),
            (Kind::Glob, _) if !row.is_campaign() => Self::Glob(namespace, workspace),
            (Kind::Clear, _) => Self::Clear(namespace),
            _ => Self::Key(row),
        }
    }

    pub(crate) fn covers(self, row: Row) -> bool {
        let place = (row.namespace(), row.workspace());
        match self {
            Self::Key(key) => key == row,
            Self::Tag(tag) => row.tag() == Some(tag),
            Self::Workspace(workspace) => row.workspace() == workspace,
            Self::Namespace(namespace) | Self::Clear(namespace) => row.namespace() == namespace,
            Self::Pattern(namespace, workspace) => {
                place == (namespace, workspace) && row.is_campaign()
            }
            Self::Glob(namespace, workspace) => {
                place == (namespace, workspace) && !row.is_campaign()
            }
        }
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Row {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        text.parse().ok().filter(|row| *row < ROWS).map(Self).ok_or(())
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(row) => write!(f, "key:{row}"),
            Self::Tag(tag) => write!(f, "tag:{tag}"),
            Self::Workspace(workspace) => write!(f, "workspace:{workspace}"),
            Self::Namespace(namespace) => write!(f, "namespace:{namespace}"),
            Self::Pattern(namespace, workspace) => write!(f, "pattern:{namespace}:{workspace}"),
            Self::Glob(namespace, workspace) => write!(f, "glob:{namespace}:{workspace}"),
            Self::Clear(namespace) => write!(f, "clear:{namespace}"),
        }
    }
}

impl FromStr for Scope {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let parts: Vec<&str> = text.split(':').collect();
        let number = |text: &str| text.parse().map_err(|_| ());
        Ok(match *parts.as_slice() {
            ["key", row] => Self::Key(row.parse()?),
            ["tag", tag] => Self::Tag(number(tag)?),
            ["workspace", workspace] => Self::Workspace(number(workspace)?),
            ["namespace", namespace] => Self::Namespace(number(namespace)?),
            ["pattern", namespace, workspace] => {
                Self::Pattern(number(namespace)?, number(workspace)?)
            }
            ["glob", namespace, workspace] => Self::Glob(number(namespace)?, number(workspace)?),
            ["clear", namespace] => Self::Clear(number(namespace)?),
            _ => return Err(()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scope_of_a_row_covers_it_and_not_all() {
        for row in Row::all() {
            assert_eq!(Row::new(row.namespace(), row.workspace(), row.id()), row);
            for kind in Scope::ALL_KINDS {
                let scope = Scope::of(kind, row);
                assert!(scope.covers(row), "{scope} {row}");
                assert!(!Row::all().all(|other| scope.covers(other)), "{scope}");
            }
        }
    }

    #[test]
    fn neighbours_are_not_covered() {
        let row = Row::new(0, 1, 3);
        assert!(!Scope::Key(row).covers(Row::new(0, 1, 4)));
        assert!(!Scope::Workspace(1).covers(Row::new(0, 2, 3)));
        assert!(!Scope::Pattern(0, 1).covers(Row::new(0, 1, IDS - 1)));
        assert!(!Scope::Glob(0, 1).covers(row));
        assert!(Scope::Tag(3).covers(Row::new(1, 2, 3)));
    }
}
