//! Filling many keys before anybody asks for them.

use std::fmt;
use std::future::IntoFuture;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::{Serialize, de::DeserializeOwned};
use tokio::task::JoinSet;

use super::BoxFuture;
use super::options::Options;
use crate::key::Key;
use crate::values::Values;

/// So many keys are looked up or computed at once, unless something else is said.
const AT_ONCE: usize = 8;

impl Values {
    /// Fills those of the keys that have no value, as at start-up, a few at once; and says how it
    /// went. It is no read: nothing is counted as a hit or miss.
    ///
    /// ```
    /// use cache_core::Cache;
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// let users = Cache::builder().build()?.namespace("users");
    /// users.set("1", "Ada").await?;
    /// let load = async |id: String| Ok::<_, std::io::Error>(format!("user {id}"));
    /// let warmed = users.warm(["1", "2", "3"].map(String::from), load).at_once(2).await;
    /// assert_eq!((warmed.filled, warmed.present, warmed.failed), (2, 1, 0));
    /// # Ok::<(), cache_core::Error>(()) }).unwrap();
    /// ```
    pub fn warm<K, V, E, F, Fut, I>(&self, keys: I, compute: F) -> Warm<K, V, E, F>
    where
        K: Into<Key> + Clone + Send + 'static,
        V: Serialize + DeserializeOwned + Send + 'static,
        E: Send + Sync + 'static,
        F: Fn(K) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<V, E>> + Send + 'static,
        I: IntoIterator<Item = K, IntoIter: Send + 'static>,
    {
        self.warm_by(keys, |key| key.clone().into(), compute)
    }

    pub(crate) fn warm_by<K, V, E, F, I>(
        &self,
        keys: I,
        key_of: impl Fn(&K) -> Key + Send + Sync + 'static,
        compute: F,
    ) -> Warm<K, V, E, F>
    where
        I: IntoIterator<Item = K, IntoIter: Send + 'static>,
    {
        Warm {
            values: self.clone(),
            keys: Box::new(keys.into_iter()),
            key_of: Arc::new(key_of),
            compute,
            options: Options::new(),
            at_once: AT_ONCE,
            result: PhantomData,
        }
    }
}

/// Keys to be filled: when it is awaited. If it is dropped before its end, what is under way is
/// dropped too. See [`Values::warm`].
#[must_use = "nothing is filled until this is awaited"]
pub struct Warm<K, V, E, F> {
    values: Values,
    keys: Box<dyn Iterator<Item = K> + Send>,
    key_of: Arc<dyn Fn(&K) -> Key + Send + Sync>,
    compute: F,
    options: Options,
    at_once: usize,
    result: PhantomData<fn() -> Result<V, E>>,
}

/// What became of keys that were to be [filled](Values::warm).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Warmed {
    /// Their values were computed.
    pub filled: u64,
    /// They had a value, or somebody else was computing it.
    pub present: u64,
    /// The function failed, panicked, or took too long; an older value may be there still.
    pub failed: u64,
}

impl<K, V, E, F> Warm<K, V, E, F> {
    /// How values are kept and computed; what is not said here the namespace says, or the cache.
    pub fn options(mut self, options: Options) -> Self {
        self.options = options.or(self.options);
        self
    }

    /// How many keys are looked up or computed at once; one at least. Default: 8.
    pub fn at_once(mut self, keys: usize) -> Self {
        self.at_once = keys.max(1);
        self
    }
}

/// What became of one key.
enum One {
    Filled,
    Present,
    Failed,
}

impl<K, V, E, F, Fut> IntoFuture for Warm<K, V, E, F>
where
    K: Send + 'static,
    V: Serialize + DeserializeOwned + Send + 'static,
    E: Send + Sync + 'static,
    F: Fn(K) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<V, E>> + Send + 'static,
{
    type Output = Warmed;
    type IntoFuture = BoxFuture<'static, Warmed>;

    fn into_future(mut self) -> Self::IntoFuture {
        Box::pin(async move {
            let compute = Arc::new(self.compute);
            let (mut warmed, mut running) = (Warmed::default(), JoinSet::new());
            loop {
                while running.len() < self.at_once
                    && let Some(key) = self.keys.next()
                {
                    let (values, compute) = (self.values.clone(), Arc::clone(&compute));
                    running.spawn(fill(values, (self.key_of)(&key), key, compute, self.options));
                }
                match running.join_next().await {
                    Some(Ok(One::Filled)) => warmed.filled += 1,
                    Some(Ok(One::Present)) => warmed.present += 1,
                    Some(Ok(One::Failed) | Err(_)) => warmed.failed += 1,
                    None => return warmed,
                }
            }
        })
    }
}

async fn fill<K, V, E, F, Fut>(
    values: Values,
    key: Key,
    asked: K,
    compute: Arc<F>,
    options: Options,
) -> One
where
    K: Send + 'static,
    V: Serialize + DeserializeOwned + Send + 'static,
    E: Send + Sync + 'static,
    F: Fn(K) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<V, E>> + Send + 'static,
{
    let (called, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let (calls, succeeds) = (Arc::clone(&called), Arc::clone(&done));
    let observed = move || {
        calls.store(true, Ordering::Relaxed);
        let computing = compute(asked);
        async move {
            let computed = computing.await;
            succeeds.store(computed.is_ok(), Ordering::Relaxed);
            computed
        }
    };
    let answer = values.get_or_compute(key, observed).options(options).uncounted().await;
    // A value within its grace is given in place of an error.
    match answer {
        Ok(_) if done.load(Ordering::Relaxed) => One::Filled,
        Ok(_) if !called.load(Ordering::Relaxed) => One::Present,
        _ => One::Failed,
    }
}

impl<K, V, E, F> fmt::Debug for Warm<K, V, E, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Warm")
            .field("options", &self.options)
            .field("at_once", &self.at_once)
            .finish_non_exhaustive()
    }
}
