//! `get_or_compute_many(..)` as the caller sees it.

use std::fmt;
use std::future::IntoFuture;
use std::time::Duration;

use serde::{Serialize, de::DeserializeOwned};

use super::alone::alone;
use super::run::Batch;
use super::{BatchOutcome, Compute, KeyOf};
use crate::compute::Options;
use crate::invalidate::Tag;
use crate::store::BoxFuture;
use crate::ttl::Ttl;
use crate::values::Values;

/// Several values to be looked up, else computed: when this is awaited. See
/// [`Values::get_or_compute_many`].
#[must_use = "nothing is looked up until this is awaited"]
pub struct GetOrComputeMany<'a, K, V, E> {
    pub(super) values: Values,
    pub(super) keys: Vec<K>,
    pub(super) key_of: KeyOf<'a, K>,
    pub(super) compute: Compute<'a, K, V, E>,
    pub(super) options: Options,
    pub(super) tags: Vec<Tag>,
    pub(super) read: bool,
    pub(super) write: bool,
    /// Tags may come with the values.
    pub(super) rich: bool,
    pub(super) size: usize,
    pub(super) at_once: usize,
}

impl<K, V, E> GetOrComputeMany<'_, K, V, E> {
    /// How many keys the function is called with at most (1 at least). Default: with all that are
    /// missing.
    pub fn batch_size(mut self, keys: usize) -> Self {
        self.size = keys.max(1);
        self
    }

    /// How many calls of the function are under way at once, where there are several. Default: 1.
    pub fn concurrency(mut self, calls: usize) -> Self {
        self.at_once = calls.max(1);
        self
    }

    /// How the values are kept and computed; what is not said here the namespace says, or the cache.
    /// [`timeout`](Options::timeout) is for all of it together; [`soft_timeout`](Options::soft_timeout)
    /// for calls of the function for whose keys there is something to stand in, all of them.
    /// Computed once per fleet ([`Options::once_per_fleet`]) are single keys only.
    pub fn options(mut self, options: Options) -> Self {
        self.options = options.or(self.options);
        self
    }

    /// How long the values are fresh.
    pub fn ttl(mut self, ttl: impl Into<Ttl>) -> Self {
        self.options.ttl = Some(ttl.into());
        self
    }

    /// See [`Options::grace`].
    pub fn grace(mut self, grace: Duration) -> Self {
        self.options = self.options.grace(grace);
        self
    }

    /// How long all of it may take. Then keys that have a value within their grace have that, the
    /// others [`TimedOut`](crate::ComputeError::TimedOut). Default: no limit.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.options = self.options.timeout(timeout);
        self
    }

    /// How long it is known that there is nothing. Zero: not at all. Default: as long as any value.
    pub fn negative_ttl(mut self, ttl: Duration) -> Self {
        self.options = self.options.negative_ttl(ttl);
        self
    }

    /// Adds a tag that the entries will carry that are computed: a text, which is then a global one,
    /// or [`Tag::in_workspace`].
    pub fn tag(mut self, tag: impl Into<Tag>) -> Self {
        self.tags.push(tag.into());
        self
    }

    /// Computes all, whatever is stored. Others who ask meanwhile are not kept waiting for it.
    pub fn skip_read(mut self) -> Self {
        self.read = false;
        self
    }

    /// Stores nothing.
    pub fn skip_write(mut self) -> Self {
        self.write = false;
        self
    }
}

impl<'a, K, V, E> IntoFuture for GetOrComputeMany<'a, K, V, E>
where
    K: Clone + Send + 'a,
    V: Serialize + DeserializeOwned + Clone + Send + 'a,
    E: Send + Sync + 'static,
{
    type Output = Vec<BatchOutcome<V, E>>;
    type IntoFuture = BoxFuture<'a, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        let state = self.values.state().ok().filter(|_| self.values.cache.inner.enabled);
        match state.cloned() {
            Some(state) => Box::pin(async move {
                let (compute, batch) = Batch::new(state, self);
                batch.run(compute).await
            }),
            // Nothing is cached when caching is off, or the namespace can't be used.
            None => Box::pin(alone(self)),
        }
    }
}

impl<K, V, E> fmt::Debug for GetOrComputeMany<'_, K, V, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GetOrComputeMany")
            .field("keys", &self.keys.len())
            .field("options", &self.options)
            .field("tags", &self.tags)
            .finish_non_exhaustive()
    }
}
