//! Counting computations: of the namespace, of the workspace, and for whoever collects metrics.

use std::time::Duration;

use crate::state::{EntryKey, NamespaceState};

impl NamespaceState {
    /// Counts a computation that is nobody's in particular.
    pub(crate) fn note_computed(&self, took: Duration, succeeded: bool) {
        self.counters.computed(took, succeeded);
        #[cfg(feature = "metrics")]
        crate::metrics::computed(&self.name, took, succeeded);
    }
}

impl EntryKey {
    /// Counts a computation of the key's value.
    pub(crate) fn note_computed(&self, took: Duration, succeeded: bool) {
        self.namespace.note_computed(took, succeeded);
        if let Some(workspace) = &self.workspace {
            workspace.computed(took, succeeded);
        }
    }
}
