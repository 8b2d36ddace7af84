//! That the cache is shut down, for those who wait for that.

use tokio::sync::watch;

use crate::cache::Cache;

/// Whether it is.
#[derive(Debug, Default)]
pub(crate) struct Ended(watch::Sender<bool>);

impl Ended {
    pub(crate) fn end(&self) {
        self.0.send_replace(true);
    }
}

impl Cache {
    /// Ends when a [shutdown](Self::shutdown) begins: for what goes on for as long as the cache does,
    /// such as telling somebody of its [events](Self::events). Keeps no cache alive.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// let cache = cache_core::Cache::builder().memory().build()?;
    /// let closed = cache.closed();
    /// cache.shutdown().await;
    /// closed.await;
    /// # Ok::<(), cache_core::Error>(()) }).unwrap();
    /// ```
    pub fn closed(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut ended = self.inner.ended.0.subscribe();
        async move {
            // An error: the cache is no more.
            let _ = ended.wait_for(|ended| *ended).await;
        }
    }
}
