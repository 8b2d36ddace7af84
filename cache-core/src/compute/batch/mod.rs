//! `get_or_compute_many`: several keys at once, and one computation for those that are missing.
//!
//! - `request`: the call as the caller sees it;
//! - `run`, `terms`: looking up, waiting for others, and what each key comes to;
//! - `chunk`: one call of the function, and what becomes of its answers;
//! - `alone`: the same where nothing is cached;
//! - `at_once`: several futures, a few at a time.
//!
//! A batch waits for what others compute only when all that it computes itself has ended. So two
//! batches that each compute what the other waits for end both.

mod alone;
mod at_once;
mod chunk;
mod request;
mod run;
mod terms;

use std::sync::Arc;

use serde::{Serialize, de::DeserializeOwned};

pub use self::request::GetOrComputeMany;
use super::computed::Computed;
use super::{ComputeError, Options};
use crate::key::Key;
use crate::store::BoxFuture;
use crate::values::Values;

/// What one key of a batch comes to; `None`: the function said nothing of it, which means that there
/// is nothing.
pub type BatchOutcome<V, E> = Result<Option<V>, ComputeError<E>>;

/// How a caller's key is called in the cache.
type KeyOf<'a, K> = Arc<dyn Fn(&K) -> Key + Send + Sync + 'a>;

/// What the function says of its keys, or that it failed.
type Answers<K, V, E> = Result<Vec<(K, Result<Computed<V>, E>)>, E>;

/// The function.
type Compute<'a, K, V, E> = Box<dyn FnMut(Vec<K>) -> BoxFuture<'a, Answers<K, V, E>> + Send + 'a>;

impl Values {
    /// The cached values of several keys, in order; for those that are missing, the function is
    /// called once (or in chunks: [`batch_size`](GetOrComputeMany::batch_size)), and what it
    /// answers is then cached.
    ///
    /// What is not in this process' memory is looked up in one round trip, and what was computed is
    /// written in one (in the background; one for each call of the function). A key that is asked
    /// for several times is computed once. Keys that others are computing, one by one or in batches
    /// of their own, are waited for, and whoever asks for a key that this batch computes waits for
    /// it; the function is not told of the former.
    ///
    /// Each key has an outcome of its own. One that the function does not mention is nothing
    /// (`None`), and that is cached as well: for as long as other values, or as
    /// [`negative_ttl`](GetOrComputeMany::negative_ttl) says. (In a namespace of raw bytes, which
    /// have no such value, it is not.) If the function fails, each of the keys that it was called
    /// for has its error, unless a value within its grace stands in. Tags that values name
    /// ([`Computed::tag`]) cost one round trip more for all of them.
    ///
    /// ```
    /// use std::collections::HashMap;
    ///
    /// use cache_core::{Cache, minutes};
    ///
    /// /// One query for all.
    /// async fn load(ids: Vec<&str>) -> std::io::Result<HashMap<&str, String>> {
    ///     let known = ids.into_iter().filter(|id| *id != "9");
    ///     Ok(known.map(|id| (id, format!("user {id}"))).collect())
    /// }
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// let users = Cache::builder().build()?.namespace("users");
    /// users.set("1", "Ada").await?;
    /// let found = users
    ///     .get_or_compute_many(["2", "1", "9"], load)
    ///     .ttl(minutes(5))
    ///     .batch_size(500)
    ///     .await
    ///     .into_iter()
    ///     .collect::<Result<Vec<Option<String>>, _>>()?;
    /// assert_eq!(found, [Some("user 2".to_owned()), Some("Ada".to_owned()), None]);
    /// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
    /// ```
    pub fn get_or_compute_many<'a, K, V, E, F, Fut, A>(
        &self,
        keys: impl IntoIterator<Item = K>,
        compute: F,
    ) -> GetOrComputeMany<'a, K, V, E>
    where
        K: Into<Key> + Clone,
        V: Serialize + DeserializeOwned + Clone + Send + 'a,
        E: Send + Sync + 'static,
        F: FnMut(Vec<K>) -> Fut + Send + 'a,
        Fut: Future<Output = Result<A, E>> + Send + 'a,
        A: IntoIterator<Item = (K, V)>,
    {
        self.batch(keys, |own: &K| own.clone().into(), compute)
    }

    /// As [`get_or_compute_many`](Self::get_or_compute_many), for a function that says of each key
    /// how its value is to be kept ([`Computed`]), or why there is none.
    ///
    /// ```
    /// use cache_core::{Cache, Computed, seconds};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// let squares = Cache::builder().build()?.namespace("squares");
    /// let square = async |numbers: Vec<&'static str>| {
    ///     let squared = numbers.into_iter().map(|text| match text.parse::<u64>() {
    ///         Ok(n) => (text, Ok(Computed::new(n * n).ttl(seconds(9)).tag("squares"))),
    ///         Err(error) => (text, Err(error)),
    ///     });
    ///     Ok(squared.collect::<Vec<_>>())
    /// };
    /// let found = squares.get_or_compute_many_with(["3", "x"], square).await;
    /// assert_eq!(found[0].as_ref().unwrap(), &Some(9));
    /// assert!(found[1].is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
    /// ```
    pub fn get_or_compute_many_with<'a, K, V, E, F, Fut, A>(
        &self,
        keys: impl IntoIterator<Item = K>,
        compute: F,
    ) -> GetOrComputeMany<'a, K, V, E>
    where
        K: Into<Key> + Clone,
        V: Serialize + DeserializeOwned + Clone + Send + 'a,
        E: Send + Sync + 'static,
        F: FnMut(Vec<K>) -> Fut + Send + 'a,
        Fut: Future<Output = Result<A, E>> + Send + 'a,
        A: IntoIterator<Item = (K, Result<Computed<V>, E>)>,
    {
        self.batch_with(keys, |own: &K| own.clone().into(), compute)
    }

    /// As [`get_or_compute_many`](Self::get_or_compute_many), of keys that are called so.
    pub(crate) fn batch<'a, K, V, E, F, Fut, A>(
        &self,
        keys: impl IntoIterator<Item = K>,
        key_of: impl Fn(&K) -> Key + Send + Sync + 'a,
        mut compute: F,
    ) -> GetOrComputeMany<'a, K, V, E>
    where
        V: 'a,
        E: 'static,
        F: FnMut(Vec<K>) -> Fut + Send + 'a,
        Fut: Future<Output = Result<A, E>> + Send + 'a,
        A: IntoIterator<Item = (K, V)>,
    {
        let with = move |keys| {
            let computing = compute(keys);
            async move {
                let kept = |(key, value)| (key, Ok(Computed::new(value)));
                Ok(computing.await?.into_iter().map(kept))
            }
        };
        GetOrComputeMany { rich: false, ..self.batch_with(keys, key_of, with) }
    }

    /// As [`get_or_compute_many_with`](Self::get_or_compute_many_with), of keys that are called so.
    pub(crate) fn batch_with<'a, K, V, E, F, Fut, A>(
        &self,
        keys: impl IntoIterator<Item = K>,
        key_of: impl Fn(&K) -> Key + Send + Sync + 'a,
        mut compute: F,
    ) -> GetOrComputeMany<'a, K, V, E>
    where
        F: FnMut(Vec<K>) -> Fut + Send + 'a,
        Fut: Future<Output = Result<A, E>> + Send + 'a,
        A: IntoIterator<Item = (K, Result<Computed<V>, E>)>,
    {
        let compute = move |keys| -> BoxFuture<'a, Answers<K, V, E>> {
            let computing = compute(keys);
            Box::pin(async move { Ok(computing.await?.into_iter().collect()) })
        };
        GetOrComputeMany {
            values: self.clone(),
            keys: keys.into_iter().collect(),
            key_of: Arc::new(key_of),
            compute: Box::new(compute),
            options: Options::new(),
            tags: Vec::new(),
            read: true,
            write: true,
            rich: true,
            size: usize::MAX,
            at_once: 1,
        }
    }
}
