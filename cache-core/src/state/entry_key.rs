//! A key, with all that lookups and fills need to know of it.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use smallvec::SmallVec;

use super::NamespaceState;
use crate::invalidate::board::Facts;
use crate::invalidate::generation::GenerationCell;
use crate::key;
use crate::middleware::Read;
use crate::stats::Counters;

/// A key made ready for lookups and fills: hashed, rendered, with the scopes it stands under.
pub struct EntryKey {
    pub(crate) namespace: Arc<NamespaceState>,
    pub(crate) hash: u128,
    /// What tells the key from all others of its namespace.
    pub(crate) identity: Bytes,
    /// The identity with namespace and version: what binds a value to its key.
    pub(crate) bound: Bytes,
    /// The key in the store.
    pub(crate) rendered: Arc<str>,
    /// What is counted of the workspace that it names.
    pub(crate) workspace: Option<Arc<Counters>>,
    /// Whether the key ends with a [tail](crate::Key::tail).
    pub(super) tail: bool,
    pub(crate) cells: SmallVec<[Arc<GenerationCell>; 4]>,
    /// What the key was made by.
    pub(super) facts: Arc<Facts>,
}

impl EntryKey {
    /// Whether the key is what it would be were it made now: of the same version, and under the
    /// same scopes. To be asked after the generations were noted: a change that comes later
    /// invalidates them.
    pub(crate) fn is_up_to_date(&self) -> bool {
        self.namespace.board.is_current(&self.facts)
    }

    /// Whether the key is the one by which its entry is found now.
    pub(crate) fn is_of_current_version(&self) -> bool {
        self.facts.version() == self.namespace.facts().version()
    }

    /// The rendered workspace that a plain key names.
    pub(crate) fn workspace_part(&self) -> Option<&str> {
        key::workspace_part(&self.identity)
    }

    /// Whether both are the same in all.
    pub(crate) fn is_as(&self, other: &Self) -> bool {
        let same = self.is_same_as(other) && self.tail == other.tail;
        same && Arc::ptr_eq(&self.facts, &other.facts)
    }

    /// Counts something, of the namespace and of the workspace.
    pub(crate) fn note(&self, count: impl Fn(&Counters)) {
        count(&self.namespace.counters);
        if let Some(workspace) = &self.workspace {
            count(workspace);
        }
    }

    /// Counts a read, and tells whoever listens.
    pub(crate) fn count(&self, read: Read) {
        self.count_untold(read);
        self.tell_read(read);
    }

    /// Counts a read of which others tell.
    pub(crate) fn count_untold(&self, read: Read) {
        self.namespace.count(read, self.workspace.as_deref());
        if read != Read::Miss {
            self.namespace.sampler.hit_of(self);
        }
    }

    /// The key in the store: `{prefix}:{namespace}:v{version}:{key}`.
    pub fn as_str(&self) -> &str {
        &self.rendered
    }

    /// Whether both lead to the same entry of the same cache.
    pub fn is_same_as(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.namespace, &other.namespace) && self.identity == other.identity
    }

    /// What tells the key from all others of its namespace.
    pub fn identity(&self) -> &[u8] {
        &self.identity
    }

    /// Stands for the key in tables of this process.
    pub fn hash(&self) -> u128 {
        self.hash
    }
}

impl fmt::Debug for EntryKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EntryKey")
            .field("namespace", &self.namespace.name)
            .field("key", &self.shown())
            .finish_non_exhaustive()
    }
}
