//! The handle an application holds, and its operations on typed values.

use std::sync::Arc;
use std::time::Duration;

use serde::{Serialize, de::DeserializeOwned};

use crate::background::Background;
use crate::builder::Builder;
use crate::clock::{Clock, Millis};
use crate::compute::{BoxCompute, Computed, GetOrCompute, GetOrComputeMany, Previous};
use crate::error::Error;
use crate::happenings::{Event, Events};
use crate::health::{self, Health};
use crate::invalidate::{DeletePattern, Invalidated, Invalidation, Pattern, Scope, Scopes};
use crate::key::Key;
use crate::set::Set;
use crate::state::{Inner, NamespaceState};
use crate::stats::{NamespaceStats, Stats};
use crate::ttl::Ttl;
use crate::values::Values;

/// The handle an application holds; cheap to clone.
///
/// Reads never fail because the store is away: a `get` is then a miss. Writes say so.
#[derive(Debug, Clone)]
pub struct Cache {
    pub(crate) inner: Arc<Inner>,
}

impl Cache {
    /// Starts to build a cache.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// A namespace, by name; one that was not declared has the default settings.
    pub fn namespace(&self, name: impl AsRef<str>) -> Values {
        let state = self.inner.namespace(name.as_ref());
        Values { cache: self.clone(), state: state.map_err(|e| (e.kind(), e.to_string())) }
    }

    /// The value of a key; `None` on a miss, and when the store is away.
    pub async fn get<V: DeserializeOwned>(
        &self,
        namespace: impl AsRef<str>,
        key: impl Into<Key>,
    ) -> Result<Option<V>, Error> {
        self.namespace(namespace).get(key).await
    }

    /// Writes a value: `cache.set("users", "1", &user).ttl(hours(1)).tag("team:7").await?`.
    ///
    /// Of a set and an invalidation that run at the same time either may come last, as of two
    /// sets. Where the value comes from a source that the invalidation is about,
    /// [`get_or_compute`](Self::get_or_compute) never brings back an older one.
    pub fn set<V: Serialize + ?Sized>(
        &self,
        namespace: impl AsRef<str>,
        key: impl Into<Key>,
        value: &V,
    ) -> Set {
        self.namespace(namespace).set(key, value)
    }

    /// Deletes a key: [`invalidate`](Self::invalidate) of [`Scope::key`], with the same answers
    /// and errors.
    pub async fn delete(
        &self,
        namespace: impl AsRef<str>,
        key: impl Into<Key>,
    ) -> Result<Invalidated, Error> {
        self.namespace(namespace).delete(key).await
    }

    /// Whether a `get` would answer.
    pub async fn exists(
        &self,
        namespace: impl AsRef<str>,
        key: impl Into<Key>,
    ) -> Result<bool, Error> {
        self.namespace(namespace).exists(key).await
    }

    /// How long the key is still fresh; `None` if there is none.
    pub async fn ttl(
        &self,
        namespace: impl AsRef<str>,
        key: impl Into<Key>,
    ) -> Result<Option<Ttl>, Error> {
        self.namespace(namespace).ttl(key).await
    }

    /// Gives a key a new TTL from now; false if there is none.
    pub async fn touch(
        &self,
        namespace: impl AsRef<str>,
        key: impl Into<Key>,
        ttl: impl Into<Ttl>,
    ) -> Result<bool, Error> {
        self.namespace(namespace).touch(key, ttl).await
    }

    /// The values of several keys, in order; one round trip for those that are not in memory.
    pub async fn get_many<V: DeserializeOwned, K: Into<Key>>(
        &self,
        namespace: impl AsRef<str>,
        keys: impl IntoIterator<Item = K>,
    ) -> Result<Vec<Option<V>>, Error> {
        self.namespace(namespace).get_many(keys).await
    }

    /// Writes several values in one round trip (two, when a scope is met for the first time; three,
    /// when it is the namespace).
    pub async fn set_many<V: Serialize, K: Into<Key>>(
        &self,
        namespace: impl AsRef<str>,
        items: impl IntoIterator<Item = (K, V)>,
    ) -> Result<(), Error> {
        self.namespace(namespace).set_many(items).await
    }

    /// See [`Values::get_or_compute`].
    pub fn get_or_compute<'a, V, E, F, Fut, N, K>(
        &self,
        namespace: N,
        key: K,
        compute: F,
    ) -> GetOrCompute<
        'a,
        V,
        E,
        impl FnOnce(Previous<V>) -> BoxCompute<'a, V, E> + Send + use<'a, V, E, F, Fut, N, K>,
    >
    where
        V: Serialize + DeserializeOwned + Send + 'a,
        E: Send + Sync + 'static,
        F: FnOnce() -> Fut + Send + 'a,
        Fut: Future<Output = Result<V, E>> + Send + 'a,
        N: AsRef<str>,
        K: Into<Key>,
    {
        self.namespace(namespace).get_or_compute(key, compute)
    }

    /// See [`Values::get_or_compute_with`].
    pub fn get_or_compute_with<'a, V, E, F, Fut, N, K>(
        &self,
        namespace: N,
        key: K,
        compute: F,
    ) -> GetOrCompute<
        'a,
        V,
        E,
        impl FnOnce(Previous<V>) -> BoxCompute<'a, V, E> + Send + use<'a, V, E, F, Fut, N, K>,
    >
    where
        V: Serialize + DeserializeOwned + Send + 'a,
        E: Send + Sync + 'static,
        F: FnOnce(Previous<V>) -> Fut + Send + 'a,
        Fut: Future<Output = Result<Computed<V>, E>> + Send + 'a,
        N: AsRef<str>,
        K: Into<Key>,
    {
        self.namespace(namespace).get_or_compute_with(key, compute)
    }

    /// See [`Values::get_or_compute_many`].
    pub fn get_or_compute_many<'a, K, V, E, F, Fut, A>(
        &self,
        namespace: impl AsRef<str>,
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
        self.namespace(namespace).get_or_compute_many(keys, compute)
    }

    /// Removes the entries of a namespace that match a glob; how many. `*` stands for anything,
    /// `?` for one character. Fills of the namespace that are under way, here or elsewhere, don't
    /// bring them back (with a store, none of them is stored, whatever its key).
    ///
    /// Others who use the store are not held up: it is done in small steps. `.dry_run()` counts
    /// what would be removed; `.start()` does it in the background, with progress, and can be
    /// cancelled and resumed.
    pub fn delete_pattern(
        &self,
        namespace: impl AsRef<str>,
        pattern: impl Into<Pattern>,
    ) -> DeletePattern {
        self.namespace(namespace).delete_pattern(pattern)
    }

    /// Invalidates a namespace and removes its entries; how many.
    pub async fn clear(&self, namespace: impl AsRef<str>) -> Result<u64, Error> {
        self.namespace(namespace).clear().await
    }

    /// Invalidates everything under the prefix, and removes the entries of all namespaces that
    /// this process knows; how many.
    pub async fn clear_all(&self) -> Result<u64, Error> {
        if !self.inner.enabled {
            return Ok(0);
        }
        self.invalidate(Scope::everything()).await?;
        let mut removed = 0;
        for namespace in self.inner.namespaces() {
            removed += self.inner.sweep_invalidated(&namespace).await?;
        }
        Ok(removed)
    }

    /// Makes every entry of one or several scopes invalid, however many there are. Fills that
    /// began before do not bring them back. All scopes take one round trip (patterns that were not
    /// declared are swept).
    ///
    /// ```
    /// use cache_core::{Cache, Invalidated, Scope, Tag};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// let cache = Cache::builder().build()?;
    /// let done = cache.invalidate(Tag::new("user:123")).await?;
    /// assert_eq!(done, Invalidated::Complete);
    /// cache.invalidate([Scope::workspace("ws1"), Scope::key("users", "123")]).await?;
    /// # Ok::<(), cache_core::Error>(()) }).unwrap();
    /// ```
    ///
    /// The answer is [`Queued`](Invalidated::Queued) when the store is away or takes no writes for
    /// now (unreachable, too slow, loading, a replica, ..): then it is invalid in this process at
    /// once, which asks the store nothing until the store has been told; elsewhere soon after the
    /// store is back. If this process ends before that, when TTLs end. For a pattern that was not
    /// declared, that scope is its whole namespace.
    ///
    /// # Errors
    /// When waiting won't help. If a scope names a namespace that can't be, nothing was
    /// invalidated. If the store refuses for good (no permission, wrong password): it is invalid in
    /// this process, which asks the store nothing until the store takes the removal after all; but
    /// elsewhere it is not.
    pub fn invalidate(&self, scopes: impl Into<Scopes>) -> Invalidation {
        Invalidation::new(self, scopes.into())
    }

    /// Raises the version of a namespace while everything runs, and so leaves all its entries
    /// behind; the version that its keys have then: that of the code and the number of bumps.
    ///
    /// Every instance that uses the store follows, whatever version its code says: no entry of before
    /// is read any more, and no fill that began before is stored. As with an invalidation, the
    /// others' memory follows within [`COHERENCE_BOUND`](crate::COHERENCE_BOUND). Without a store
    /// it is for this process, as long as that lives.
    ///
    /// # Errors
    /// When the store is away, or refuses: then nothing has changed; unless the answer was lost on
    /// its way, or what the bump consists of broke off half way. Then it is done by whoever next
    /// reads the namespace from the store.
    pub async fn bump_version(&self, namespace: impl AsRef<str>) -> Result<u32, Error> {
        self.namespace(namespace).bump_version().await
    }

    /// The version that the keys of a namespace have, as far as is known here: that of the code and
    /// the number of [bumps](Self::bump_version).
    pub fn version(&self, namespace: impl AsRef<str>) -> Result<u32, Error> {
        self.namespace(namespace).version()
    }

    /// Counters of this process, by namespace and by workspace.
    pub fn stats(&self) -> Stats {
        let snapshot = |state: Arc<NamespaceState>| (state.name.clone(), state.counters.snapshot());
        let (workspaces, other_workspaces) = self.inner.workspaces.snapshot();
        Stats {
            workspaces,
            other_workspaces,
            namespaces: self.inner.namespaces().into_iter().map(snapshot).collect(),
            invalidations: self.inner.invalidations.snapshot(),
            operations: self.inner.operations.snapshot(),
            evictions: self.inner.regions().map(|region| region.evictions()).sum(),
        }
    }

    /// What was counted of one workspace; `None` if nothing was, or it is among the
    /// [others](Stats::other_workspaces).
    pub fn workspace_stats(&self, workspace: impl AsRef<str>) -> Option<NamespaceStats> {
        self.inner.workspaces.snapshot_of(workspace.as_ref())
    }

    /// What happens from now on: invalidations, the breaker, a sample of the decisions of response
    /// caches. Who does not keep up misses the oldest, and is told how many; nothing waits for a
    /// listener. See [`Event`].
    ///
    /// ```
    /// use cache_core::{Cache, Event, InvalidationOutcome, Scope};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// let cache = Cache::builder().build()?;
    /// let mut events = cache.events();
    /// cache.delete("users", "42").await?;
    /// match events.next().await {
    ///     Some(Event::Invalidated { scopes, outcome, .. }) => {
    ///         assert_eq!(scopes[0].to_string(), "key cache:users:v1:42 of users");
    ///         assert_eq!(outcome, InvalidationOutcome::Complete);
    ///     }
    ///     other => panic!("{other:?}"),
    /// }
    /// # Ok::<(), cache_core::Error>(()) }).unwrap();
    /// ```
    pub fn events(&self) -> Events {
        self.inner.happenings.listen()
    }

    /// Tells those who listen of something that comes as often as requests: for middleware. It is
    /// made only if somebody listens and it is among [those told](crate::SAMPLED_PER_SECOND); with
    /// the time, and with how many were left out since the last one.
    pub fn tell_sampled(&self, event: impl FnOnce(Millis, u64) -> Event) {
        self.inner.happenings.tell_sampled(event);
    }

    /// What works right now; answers within 100 ms whatever the store does.
    pub async fn health(&self) -> Health {
        health::check(&self.inner).await
    }

    /// Waits for writes in the background (10 s at most), tells the store what is queued, then
    /// lets go of it. False if some were still under way, or the store could not be told. The
    /// cache answers nothing from the store afterwards.
    pub async fn shutdown(&self) -> bool {
        self.inner.ended.end();
        self.inner.watching.end();
        self.inner.leases.watching.end();
        self.inner.refreshes.close();
        let drained = self.inner.background.drain(DRAIN_FOR).await;
        let Some(store) = &self.inner.store else { return drained };
        let told = self.inner.tell_all(&**store, self.inner.deadline()).await;
        store.close();
        drained && told.is_ok()
    }

    /// Runs tasks in the background, bounded in number and drained by [`shutdown`](Self::shutdown).
    pub fn background(&self) -> &Background {
        &self.inner.background
    }

    /// The clock that entries' times are told by.
    pub fn clock(&self) -> &Clock {
        &self.inner.clock
    }

    /// False if `ENABLE_CACHING` is off.
    pub fn is_enabled(&self) -> bool {
        self.inner.enabled
    }

    /// How long one request may wait for the cache, over all its operations.
    pub fn operation_budget(&self) -> Duration {
        self.inner.budget
    }
}

const DRAIN_FOR: Duration = Duration::from_secs(10);

impl Inner {
    pub(crate) fn namespaces(&self) -> Vec<Arc<NamespaceState>> {
        let known = self.namespaces.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        known.values().cloned().collect()
    }
}
