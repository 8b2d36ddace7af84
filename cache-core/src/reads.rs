//! What reads came to, for whoever debugs: `RUST_LOG=cache_core=debug`. While nobody listens each
//! costs one load. Keys of sensitive namespaces are hashed.

use std::borrow::Cow;

use crate::l1::Slot;
use crate::middleware::Read;
use crate::state::{EntryKey, NamespaceState};

impl NamespaceState {
    /// Tells of a read of the plain key with this identity, which may have found something.
    pub(crate) fn tell_read(&self, read: Read, identity: &[u8], found: Option<&Slot>) {
        let key = || match found {
            Some(slot) => self.shown(identity, &slot.rendered).into_owned(),
            None => self.named(identity),
        };
        self.tell(read, key);
    }

    fn tell(&self, read: Read, key: impl FnOnce() -> String) {
        let namespace = self.name.as_str();
        match read {
            Read::L1Hit => {
                tracing::debug!(target: "cache_core", namespace, key = key(), layer = "l1", "hit");
            }
            Read::StoreHit => {
                tracing::debug!(target: "cache_core", namespace, key = key(), layer = "l2", "hit");
            }
            Read::Miss => tracing::debug!(target: "cache_core", namespace, key = key(), "miss"),
        }
    }

    /// The key as it stands in the store, from the identity of a plain one.
    fn named(&self, identity: &[u8]) -> String {
        let text = identity.get(1..).map_or(Cow::Borrowed(""), String::from_utf8_lossy);
        let facts = self.facts();
        self.shown(identity, &[facts.base(), &text].concat()).into_owned()
    }
}

impl EntryKey {
    pub(crate) fn tell_read(&self, read: Read) {
        self.namespace.tell(read, || self.shown().into_owned());
    }
}
