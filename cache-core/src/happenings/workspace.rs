//! Whose a key is.

use crate::key::segment;
use crate::l1::Slot;
use crate::state::EntryKey;

impl EntryKey {
    /// The workspace that the key names; for those who are told of it.
    pub fn workspace_name(&self) -> Option<String> {
        self.workspace.as_ref().and_then(|_| first_segment(&self.rendered))
    }
}

impl Slot {
    /// The workspace that the key of the entry names; for those who are told of it.
    pub fn workspace_name(&self) -> Option<String> {
        self.workspace.as_ref().and_then(|_| first_segment(&self.rendered))
    }
}

/// Of a key as it stands in the store.
fn first_segment(rendered: &str) -> Option<String> {
    // Prefix, namespace, version: none of them has a colon in it.
    rendered.split(':').nth(3).and_then(segment)
}
