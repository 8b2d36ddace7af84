//! Making room: an entry goes because there are too many of its kind, not because it is wrong.

use std::fmt;
use std::sync::Arc;

use crate::state::EntryKey;
use crate::values::Values;

/// As much of a key as it takes to make room of its entry: a small thing to keep, where the key
/// itself would keep all that it is made of.
#[derive(Clone)]
pub struct Evictable {
    hash: u128,
    /// The key in the store, if there is one.
    rendered: Option<Arc<str>>,
}

// The key is not told: it may be one of a sensitive namespace.
impl fmt::Debug for Evictable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Evictable").field("hash", &self.hash).finish_non_exhaustive()
    }
}

impl Evictable {
    /// Stands for the key in tables of this process: [`EntryKey::hash`].
    pub fn hash(&self) -> u128 {
        self.hash
    }
}

impl Values {
    /// What of a key is needed to [`evict`](Self::evict) its entry.
    pub fn evictable(&self, key: &EntryKey) -> Evictable {
        let in_store = self.cache.inner.store.is_some();
        Evictable { hash: key.hash(), rendered: in_store.then(|| Arc::clone(&key.rendered)) }
    }

    /// Drops an entry of this namespace: from this process' memory at once, from the store in the
    /// background, where nothing is done if it can't be reached. No invalidation: a fill that is
    /// under way stores its value, and other instances may keep theirs.
    pub fn evict(&self, entry: Evictable) {
        let Ok(state) = self.state() else { return };
        state.region.remove(entry.hash);
        let Some(rendered) = entry.rendered else { return };
        let inner = Arc::clone(&self.cache.inner);
        self.cache.inner.background.try_spawn(async move {
            let Some(store) = inner.available_store() else { return };
            // What keeps a deletion final stays.
            if let Err(error) = store.remove_values(&[&*rendered], inner.deadline()).await {
                tracing::debug!(%error, "an entry too many stays in the store");
            }
        });
    }
}
