//! Whose a key is.

use crate::key::{is_shared_partition, segment};
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
    let first = rendered.split(':').nth(3).filter(|first| !is_shared_partition(first));
    first.and_then(segment)
}

#[cfg(test)]
mod tests {
    use crate::namespace::Namespace;
    use crate::{Cache, Event, Key};

    /// Somebody of a workspace called like the shared partition was told of what is of no workspace.
    #[tokio::test]
    async fn the_shared_partition_is_no_workspace_and_one_of_its_name_is() {
        let reports = Namespace::new("reports").by_workspace();
        let cache = Cache::builder().prefix("p").namespace(reports).memory().build().unwrap();
        let mut events = cache.events();
        for (key, expected) in [
            (Key::from("-:1"), None),
            (Key::workspace("-").segment("1"), Some("-")),
            (Key::from("ws1:1"), Some("ws1")),
        ] {
            cache.delete("reports", key).await.unwrap();
            let Some(Event::Invalidated { scopes, .. }) = events.next().await else { panic!() };
            assert_eq!(scopes[0].workspace.as_deref(), expected);
        }
    }
}
