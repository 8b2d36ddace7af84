//! `get_or_compute`: look up, else compute once for all who ask, and store.
//!
//! - `options`: how values are kept and computed (pure);
//! - `request`: the call as the caller sees it, and what is in memory;
//! - `run`: looking up, waiting, standing in with what is stale;
//! - `wait`: waiting for somebody else's computation;
//! - `lead`: computing, for oneself and those who wait;
//! - `refresh`, `refreshing`: keys that are kept warm; `warm`: keys that are filled beforehand;
//! - `limits`: how long it waits, for the cache and for its function;
//! - `computed`: what a function is given, and what it answers;
//! - `fleet`: waiting for another process, or computing for all;
//! - `resting`: a rest for early refreshes that come to nothing;
//! - `failures`: errors that are remembered for a while;
//! - `batch`: the same for several keys at once.

mod batch;
mod computed;
mod failures;
mod fleet;
mod lead;
mod limits;
mod look;
mod options;
mod refresh;
mod refreshing;
mod request;
mod resting;
mod run;
mod wait;
mod warm;

use std::marker::PhantomData;
use std::sync::Arc;

use serde::{Serialize, de::DeserializeOwned};

pub use self::batch::{BatchOutcome, GetOrComputeMany};
pub use self::computed::{Computed, Previous};
pub(crate) use self::failures::Failures;
pub(crate) use self::fleet::RefreshedElsewhere;
pub use self::options::Options;
pub(crate) use self::refresh::Refreshes;
pub use self::refresh::{MAX_REFRESHERS, Refresh, Refresher};
pub use self::request::{Computing, GetOrCompute};
pub(crate) use self::resting::Resting;
pub use self::warm::{Warm, Warmed};
use crate::key::Key;
use crate::store::BoxFuture;
use crate::values::Values;

/// What a function comes to.
pub type BoxCompute<'a, V, E> = BoxFuture<'a, Result<Computed<V>, E>>;

/// Why `get_or_compute` has no value. A failure of the cache is never one of the reasons.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ComputeError<E> {
    /// The function failed; its error is shared by all who waited for it.
    #[error("the value could not be computed: {0}")]
    Compute(Arc<E>),
    /// The value took too long.
    #[error("the value took too long to compute")]
    TimedOut,
    /// The function panicked in the background.
    #[error("the one who computed the value went away")]
    LeaderFailed,
}

impl Values {
    /// The cached value, else the one that `compute` makes, which is then cached.
    ///
    /// However many tasks of this process ask for the key at once, one computes and the others
    /// wait for it; with [`once_per_fleet`](GetOrCompute::once_per_fleet), of all processes. If that one fails, they are given its error; if it is cancelled or panics,
    /// one of them takes its place.
    ///
    /// ```
    /// use cache_core::{Cache, minutes};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// let cache = Cache::builder().build()?;
    /// let reports = cache.namespace("reports");
    /// let slow_query = async || Ok::<u64, std::io::Error>(7);
    /// let report = reports.get_or_compute("42", slow_query).ttl(minutes(5)).grace(minutes(1)).await?;
    /// assert_eq!(report, 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    /// [`ComputeError::Compute`] with the function's own error. When the cache fails, the
    /// function is called, and that is all.
    pub fn get_or_compute<'a, V, E, F, Fut, K>(
        &self,
        key: K,
        compute: F,
    ) -> GetOrCompute<
        'a,
        V,
        E,
        impl FnOnce(Previous<V>) -> BoxCompute<'a, V, E> + Send + use<'a, V, E, F, Fut, K>,
    >
    where
        K: Into<Key>,
        V: Serialize + DeserializeOwned + Send + 'a,
        E: Send + Sync + 'static,
        F: FnOnce() -> Fut + Send + 'a,
        Fut: Future<Output = Result<V, E>> + Send + 'a,
    {
        let compute = move |_| -> BoxCompute<'a, V, E> {
            let computing = compute();
            Box::pin(async move { computing.await.map(Computed::new) })
        };
        self.computation(key.into(), compute, false)
    }

    /// As [`get_or_compute`](Self::get_or_compute), for a function that also says how its value is
    /// to be kept ([`Computed`]), and is told what there was before ([`Previous`]).
    ///
    /// ```
    /// use cache_core::{Cache, Computed, Previous, minutes};
    ///
    /// /// Asks a server that knows `ETag`.
    /// async fn ask(known: Option<&str>) -> std::io::Result<Option<(String, &'static str)>> {
    ///     Ok((known != Some("v1")).then(|| ("Ada".to_owned(), "v1")))
    /// }
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// let users = Cache::builder().build()?.namespace("users");
    /// let user = users
    ///     .get_or_compute_with("42", async |former: Previous<String>| {
    ///         match (ask(former.etag()).await?, former) {
    ///             (Some((user, etag)), _) => Ok(Computed::new(user).etag(etag).tag("user:42")),
    ///             (None, former) => former.unchanged().ok_or(std::io::ErrorKind::NotFound.into()),
    ///         }
    ///     })
    ///     .grace(minutes(10))
    ///     .await;
    /// # let user = user.map_err(|error: cache_core::ComputeError<std::io::Error>| error);
    /// assert_eq!(user?, "Ada");
    /// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    /// As [`get_or_compute`](Self::get_or_compute).
    pub fn get_or_compute_with<'a, V, E, F, Fut, K>(
        &self,
        key: K,
        compute: F,
    ) -> GetOrCompute<
        'a,
        V,
        E,
        impl FnOnce(Previous<V>) -> BoxCompute<'a, V, E> + Send + use<'a, V, E, F, Fut, K>,
    >
    where
        K: Into<Key>,
        V: Serialize + DeserializeOwned + Send + 'a,
        E: Send + Sync + 'static,
        F: FnOnce(Previous<V>) -> Fut + Send + 'a,
        Fut: Future<Output = Result<Computed<V>, E>> + Send + 'a,
    {
        let compute = move |former| -> BoxCompute<'a, V, E> { Box::pin(compute(former)) };
        self.computation(key.into(), compute, true)
    }

    fn computation<'a, V, E, F>(
        &self,
        key: Key,
        compute: F,
        rich: bool,
    ) -> GetOrCompute<'a, V, E, F> {
        GetOrCompute {
            values: self.clone(),
            key,
            compute,
            options: Options::new(),
            tags: Vec::new(),
            read: true,
            write: true,
            counted: true,
            launch: None,
            rich,
            result: PhantomData,
        }
    }
}
