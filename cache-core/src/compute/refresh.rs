//! Keys that are kept warm: registered, and recomputed before their values end.

use std::collections::HashMap;
use std::fmt;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use serde::{Serialize, de::DeserializeOwned};
use tokio::sync::watch;
use tokio::task::AbortHandle;

use super::options::Options;
use super::refreshing::Job;
use crate::error::{Error, ErrorKind};
use crate::invalidate::Tag;
use crate::key::Key;
use crate::state::Inner;
use crate::ttl::Ttl;
use crate::values::Values;

/// So many keys of a cache can be kept warm.
pub const MAX_REFRESHERS: usize = 1024;

/// When so many percent of its time have passed, a value is computed anew, unless something else is
/// said.
const SHARE: u8 = 80;

impl Values {
    /// Keeps a key warm: `compute` makes its value at once, if there is none, and then again and
    /// again before it ends, in the background. Until the new value is there, the old one is given.
    ///
    /// It never overlaps itself, and takes part in the single-flight of
    /// [`get_or_compute`](Self::get_or_compute): who asks for a value that is missing waits for the
    /// one computation. It takes one of the places that
    /// [`Builder::background_tasks`](crate::Builder::background_tasks) bounds, while it computes; where
    /// all are taken, it asks for one again a second later. If it fails, it is tried again after an
    /// eighth of the time (a second at least), and said in the log, once in five minutes (target
    /// `cache_core`, level warn). It ends with [`Cache::shutdown`](crate::Cache::shutdown), which waits
    /// for what is being computed.
    ///
    /// Each process that registers the key looks before it computes, and finds what another one has
    /// stored: so several seldom compute at once, and never with
    /// [`Options::once_per_fleet`]. For keys that are not known beforehand there is
    /// [`Options::early_refresh`]: those that are asked for are then kept warm.
    ///
    /// ```
    /// use cache_core::{Cache, minutes};
    ///
    /// async fn fetch_rate() -> std::io::Result<f64> {
    ///     Ok(1.08)
    /// }
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// let cache = Cache::builder().build()?;
    /// let usd = cache.namespace("rates").refresh("usd", fetch_rate).every(minutes(1)).start()?;
    /// // As long as the service runs:
    /// usd.detach();
    /// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
    /// ```
    pub fn refresh<V, E, F, Fut>(&self, key: impl Into<Key>, compute: F) -> Refresh<V, E, F>
    where
        V: Serialize + DeserializeOwned + Send + 'static,
        E: fmt::Display + Send + Sync + 'static,
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<V, E>> + Send + 'static,
    {
        let (values, key, options) = (self.clone(), key.into(), Options::new());
        let tags = Vec::new();
        Refresh { values, key, compute, options, tags, every: None, result: PhantomData }
    }
}

/// A key to be kept warm: from [`start`](Self::start) on. See [`Values::refresh`].
#[must_use = "nothing is refreshed until `start` is called"]
pub struct Refresh<V, E, F> {
    values: Values,
    key: Key,
    compute: F,
    options: Options,
    tags: Vec<Tag>,
    every: Option<Duration>,
    result: PhantomData<fn() -> Result<V, E>>,
}

impl<V, E, F> Refresh<V, E, F> {
    /// How old a value becomes, less a tenth at random. It is computed anew earlier where its time
    /// would end: when the share of it has passed that [`Options::early_refresh`] says (80 %, less a
    /// tenth at random), which is the default.
    pub fn every(mut self, interval: Duration) -> Self {
        self.every = Some(interval);
        self
    }

    /// How the value is kept and computed; what is not said here the namespace says, or the cache.
    /// [`Options::timeout`] bounds the function, [`Options::soft_timeout`] does not.
    pub fn options(mut self, options: Options) -> Self {
        self.options = options.or(self.options);
        self
    }

    /// How long the value is fresh.
    pub fn ttl(mut self, ttl: impl Into<Ttl>) -> Self {
        self.options.ttl = Some(ttl.into());
        self
    }

    /// Adds a tag that the entry will carry.
    pub fn tag(mut self, tag: impl Into<Tag>) -> Self {
        self.tags.push(tag.into());
        self
    }

    /// Registers the key. It stays so until the handle is dropped.
    ///
    /// # Errors
    /// If nothing says when: an interval of zero, or none and a value that never expires. If the key
    /// is registered already, or [`MAX_REFRESHERS`] are. Outside of a runtime; after `shutdown`.
    pub fn start<Fut>(self) -> Result<Refresher, Error>
    where
        V: Serialize + DeserializeOwned + Send + 'static,
        E: fmt::Display + Send + Sync + 'static,
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<V, E>> + Send + 'static,
    {
        let state = Arc::clone(self.values.state()?);
        let inner = &self.values.cache.inner;
        let runtime = tokio::runtime::Handle::try_current()
            .map_err(|_| Error::config("a key can be kept warm within a runtime only"))?;
        let mut options = self.options.or(state.options);
        let share = options.early_refresh.filter(|percent| *percent < 100).unwrap_or(SHARE);
        let period = match (self.every, options.ttl.unwrap_or(state.ttl)) {
            (Some(every), _) => every,
            (None, Ttl::After(ttl)) => ttl.mul_f64(f64::from(share) / 100.0),
            (None, Ttl::Never) => {
                return Err(Error::config("a value that never expires is refreshed every ..?"));
            }
        };
        if period.is_zero() {
            return Err(Error::config("a value can't be refreshed all the time"));
        }
        options.early_refresh = Some(share);
        options.refresh_after = self.every;
        // Nobody waits for it.
        options.soft_timeout = Some(Duration::MAX);
        let key = state.key(self.key);
        let registration = inner.refreshes.register(inner, state.hash(key.identity()))?;
        let job = Job {
            inner: Weak::clone(&inner.me),
            namespace: state,
            key,
            compute: Arc::new(self.compute),
            options,
            tags: self.tags,
            period,
            result: PhantomData,
        };
        let (closing, ended) = (inner.refreshes.closing.subscribe(), Ended(registration.clone()));
        let enabled = inner.enabled;
        let task = runtime.spawn(async move {
            let _ended = ended;
            if enabled {
                job.run(closing).await;
            }
        });
        Ok(Refresher { task: task.abort_handle(), registration, detached: false })
    }
}

impl<V, E, F> fmt::Debug for Refresh<V, E, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refresh")
            .field("key", &self.values.shown(&self.key))
            .field("every", &self.every)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

/// Keeps a key warm until it is dropped. A computation that is under way then is dropped, too; those
/// who wait for it compute themselves.
#[must_use = "dropped, it ends"]
#[derive(Debug)]
pub struct Refresher {
    task: AbortHandle,
    registration: Registration,
    detached: bool,
}

impl Refresher {
    /// Goes on until [`Cache::shutdown`](crate::Cache::shutdown), or the cache is dropped.
    pub fn detach(mut self) {
        self.detached = true;
    }

    /// Whether it has come to its end: by `shutdown`.
    pub fn has_ended(&self) -> bool {
        self.task.is_finished()
    }
}

impl Drop for Refresher {
    fn drop(&mut self) {
        if !self.detached {
            self.task.abort();
            self.registration.end();
        }
    }
}

/// The keys that are kept warm.
#[derive(Debug, Default)]
pub(crate) struct Refreshes {
    registered: Mutex<Registered>,
    closing: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct Registered {
    /// By the key's hash: the number of the registration.
    keys: HashMap<u128, u64>,
    latest: u64,
}

#[derive(Debug, Clone)]
struct Registration {
    inner: Weak<Inner>,
    key: u128,
    /// Tells it from a later one of the same key.
    number: u64,
}

/// Ends a registration with its task.
struct Ended(Registration);

impl Refreshes {
    fn register(&self, inner: &Inner, key: u128) -> Result<Registration, Error> {
        if *self.closing.borrow() {
            return Err(Error::new(ErrorKind::Closed, "the cache has been shut down"));
        }
        let mut registered = self.registered();
        if registered.keys.contains_key(&key) {
            return Err(Error::config("the key is kept warm already"));
        }
        if registered.keys.len() >= MAX_REFRESHERS {
            return Err(Error::config("1024 keys are kept warm already"));
        }
        registered.latest += 1;
        let number = registered.latest;
        registered.keys.insert(key, number);
        Ok(Registration { inner: Weak::clone(&inner.me), key, number })
    }

    /// Nothing is begun any more.
    pub(crate) fn close(&self) {
        self.closing.send_replace(true);
    }

    fn registered(&self) -> MutexGuard<'_, Registered> {
        self.registered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Registration {
    fn end(&self) {
        let Some(inner) = self.inner.upgrade() else { return };
        let mut registered = inner.refreshes.registered();
        if registered.keys.get(&self.key) == Some(&self.number) {
            registered.keys.remove(&self.key);
        }
    }
}

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.end();
    }
}
