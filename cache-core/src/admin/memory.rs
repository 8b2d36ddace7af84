//! What is in this process' memory, and whether the store is asked.

use crate::cache::Cache;

/// Entries in this process' memory (L1): see [`Cache::memory_stats`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemoryStats {
    /// How many.
    pub entries: u64,
    /// What they weigh, in bytes.
    pub bytes: u64,
    /// What they may weigh, in bytes.
    pub capacity: u64,
}

impl Cache {
    /// What is in this process' memory. Costs nothing.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// let cache = cache_core::Cache::builder().memory().build()?;
    /// cache.set("users", "42", "Ada").await?;
    /// let memory = cache.memory_stats();
    /// assert!(memory.entries == 1 && memory.bytes > 0 && memory.bytes < memory.capacity);
    /// # Ok::<(), cache_core::Error>(()) }).unwrap();
    /// ```
    pub fn memory_stats(&self) -> MemoryStats {
        let mut all = MemoryStats::default();
        for region in self.inner.regions() {
            all.entries += region.len() as u64;
            all.bytes += region.bytes();
            all.capacity += region.capacity();
        }
        all
    }

    /// The name of the store (`redis`); `None` if there is none.
    pub fn store_name(&self) -> Option<&'static str> {
        self.inner.store.as_ref().map(|store| store.name())
    }

    /// Whether the store is worth asking right now: false while its breaker is open. `None` if there
    /// is no store. Costs nothing.
    pub fn is_store_available(&self) -> Option<bool> {
        self.inner.store.as_ref().map(|store| store.is_available())
    }
}
