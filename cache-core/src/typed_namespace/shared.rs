//! Values kept decoded in this process' memory.

use std::mem::size_of;
use std::sync::Arc;

use serde::de::DeserializeOwned;

use super::{CacheKey, Typed};
use crate::codec::from_bytes;
use crate::error::Error;
use crate::l1::{Shared, Slot};
use crate::state::{Inner, NamespaceState};

impl<K, V> Typed<K, V>
where
    K: CacheKey + ?Sized,
    V: DeserializeOwned + Send + Sync + 'static,
{
    /// As [`get`](Self::get), but the value is deserialized once and kept beside its bytes in this
    /// process' memory, where all who ask share it: for values that are large, or asked for often.
    /// It counts about twice against the bytes that L1 may have.
    ///
    /// ```
    /// use std::sync::Arc;
    ///
    /// use cache_core::{Cache, Namespace, TypedNamespace};
    ///
    /// const WORDS: TypedNamespace<str, Vec<String>> = TypedNamespace::new(Namespace::new("words"));
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// let words = Cache::builder().build()?.typed(&WORDS);
    /// words.set("en", &vec!["cache".to_owned()]).await?;
    /// let (one, other) = (words.get_shared("en").await?, words.get_shared("en").await?);
    /// assert!(Arc::ptr_eq(&one.unwrap(), &other.unwrap()));
    /// # Ok::<(), cache_core::Error>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn get_shared(&self, key: &K) -> Result<Option<Arc<V>>, Error> {
        let inner = &self.values.cache.inner;
        self.values
            .find(&mut self.key(key), |state, identity, slot, workspace, hit, now| {
                let read = |slot: &Arc<Slot>| inner.shared_value(state, identity, slot);
                state.read_as(identity, slot, workspace, hit, now, read)
            })
            .await
    }
}

impl Inner {
    /// The value of an entry, from now on kept beside it.
    fn shared_value<V: DeserializeOwned + Send + Sync + 'static>(
        &self,
        namespace: &NamespaceState,
        identity: &[u8],
        slot: &Arc<Slot>,
    ) -> Option<Arc<V>> {
        if let Some(value) = slot.shared() {
            return Some(value);
        }
        let value: Arc<V> = Arc::new(from_bytes(slot.format, &slot.payload)?);
        if namespace.l1 {
            let weight = slot.payload.len() + size_of::<V>();
            self.keep_decoded(namespace, identity, slot, (Arc::clone(&value) as Shared, weight));
        }
        Some(value)
    }

    /// Puts a value beside the entry it was made of, if that is still in memory.
    fn keep_decoded(
        &self,
        namespace: &NamespaceState,
        identity: &[u8],
        slot: &Arc<Slot>,
        (decoded, weight): (Shared, usize),
    ) {
        let hash = namespace.hash(identity);
        let fence = self.fences.raise(hash, &slot.rendered);
        let found = namespace.peek(hash, identity, self.clock.now());
        if found.is_some_and(|found| Arc::ptr_eq(&found, slot)) {
            let mut with = Slot { decoded: Some(decoded), ..Slot::clone(slot) };
            with.weigh(weight);
            fence.pass(|| namespace.region.insert(hash, Arc::new(with)));
        }
    }
}
