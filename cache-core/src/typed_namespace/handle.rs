//! The operations on a typed namespace.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use serde::{Serialize, de::DeserializeOwned};

use super::CacheKey;
use crate::compute::{
    BoxCompute, Computed, GetOrCompute, GetOrComputeMany, Previous, Refresh, Warm,
};
use crate::error::Error;
use crate::invalidate::Invalidated;
use crate::key::Key;
use crate::set::Set;
use crate::state::NamespaceState;
use crate::ttl::Ttl;
use crate::values::Values;

/// A [`TypedNamespace`](crate::TypedNamespace) of a cache; cheap to clone.
pub struct Typed<K: ?Sized, V> {
    pub(super) values: Values,
    schema: u32,
    /// The segment that the schema is in keys.
    mark: Arc<str>,
    types: PhantomData<fn(&K) -> V>,
}

impl<K: ?Sized, V> Typed<K, V> {
    pub(super) fn new(values: Values, schema: u32) -> Self {
        Self { values, schema, mark: Key::schema_mark(schema).into(), types: PhantomData }
    }

    /// The namespace without its types, for what is about more than single keys: patterns, clearing,
    /// versions. Its own keys are apart from those of this handle.
    pub fn untyped(&self) -> &Values {
        &self.values
    }
}

impl<K: CacheKey + ?Sized, V> Typed<K, V> {
    pub(super) fn key(&self, key: &K) -> Key {
        marked(key, &self.mark)
    }

    /// Deletes a key: the entries of this schema, and of those before and after it, which others
    /// use while a new version is rolled out. One round trip. See [`Cache::delete`](crate::Cache::delete).
    ///
    /// # Errors
    /// As [`Cache::delete`](crate::Cache::delete).
    pub async fn delete(&self, key: &K) -> Result<Invalidated, Error> {
        let schemas = [Some(self.schema), self.schema.checked_add(1), self.schema.checked_sub(1)];
        let keys = schemas.into_iter().flatten();
        let keys = keys.map(|schema| self.values.entry_key(marked(key, &Key::schema_mark(schema))));
        let keys = keys.collect::<Result<Vec<_>, Error>>()?;
        self.values.delete_prepared(&keys, self.values.cache.inner.deadline()).await
    }

    /// See [`Cache::exists`](crate::Cache::exists).
    pub async fn exists(&self, key: &K) -> Result<bool, Error> {
        self.values.exists(self.key(key)).await
    }

    /// See [`Cache::ttl`](crate::Cache::ttl).
    pub async fn ttl(&self, key: &K) -> Result<Option<Ttl>, Error> {
        self.values.ttl(self.key(key)).await
    }

    /// See [`Cache::touch`](crate::Cache::touch).
    pub async fn touch(&self, key: &K, ttl: impl Into<Ttl>) -> Result<bool, Error> {
        self.values.touch(self.key(key), ttl).await
    }
}

impl<K: CacheKey + ?Sized, V: DeserializeOwned> Typed<K, V> {
    /// The value of a key, deserialized anew; `None` on a miss, and when the store is away. See
    /// [`get_shared`](Self::get_shared) for one that is not.
    pub async fn get(&self, key: &K) -> Result<Option<V>, Error> {
        self.values.find(&mut self.key(key), NamespaceState::read).await
    }

    /// The values of several keys, in order; one round trip for those that are not in memory.
    pub async fn get_many<'k>(
        &self,
        keys: impl IntoIterator<Item = &'k K>,
    ) -> Result<Vec<Option<V>>, Error>
    where
        K: 'k,
    {
        self.values.get_many(keys.into_iter().map(|key| self.key(key))).await
    }
}

impl<K: CacheKey + ?Sized, V: Serialize> Typed<K, V> {
    /// Writes a value, when awaited. See [`Cache::set`](crate::Cache::set).
    pub fn set(&self, key: &K, value: &V) -> Set {
        self.values.set(self.key(key), value)
    }

    /// Writes several values in one round trip. See [`Cache::set_many`](crate::Cache::set_many).
    pub async fn set_many<'i>(
        &self,
        items: impl IntoIterator<Item = (&'i K, &'i V)>,
    ) -> Result<(), Error>
    where
        K: 'i,
        V: 'i,
    {
        self.values.set_many(items.into_iter().map(|(key, value)| (self.key(key), value))).await
    }
}

impl<K: CacheKey + ?Sized, V: Serialize + DeserializeOwned + Send> Typed<K, V> {
    /// See [`Values::get_or_compute`].
    pub fn get_or_compute<'a, E, F, Fut>(
        &self,
        key: &K,
        compute: F,
    ) -> GetOrCompute<
        'a,
        V,
        E,
        impl FnOnce(Previous<V>) -> BoxCompute<'a, V, E> + Send + use<'a, K, V, E, F, Fut>,
    >
    where
        V: 'a,
        E: Send + Sync + 'static,
        F: FnOnce() -> Fut + Send + 'a,
        Fut: Future<Output = Result<V, E>> + Send + 'a,
    {
        self.values.get_or_compute(self.key(key), compute)
    }

    /// See [`Values::get_or_compute_with`].
    pub fn get_or_compute_with<'a, E, F, Fut>(
        &self,
        key: &K,
        compute: F,
    ) -> GetOrCompute<
        'a,
        V,
        E,
        impl FnOnce(Previous<V>) -> BoxCompute<'a, V, E> + Send + use<'a, K, V, E, F, Fut>,
    >
    where
        V: 'a,
        E: Send + Sync + 'static,
        F: FnOnce(Previous<V>) -> Fut + Send + 'a,
        Fut: Future<Output = Result<Computed<V>, E>> + Send + 'a,
    {
        self.values.get_or_compute_with(self.key(key), compute)
    }
}

impl<K: CacheKey + ?Sized, V: Serialize + DeserializeOwned + Send + 'static> Typed<K, V> {
    /// Keeps a key warm. See [`Values::refresh`].
    pub fn refresh<E, F, Fut>(&self, key: &K, compute: F) -> Refresh<V, E, F>
    where
        E: fmt::Display + Send + Sync + 'static,
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<V, E>> + Send + 'static,
    {
        self.values.refresh(self.key(key), compute)
    }
}

impl<K, V> Typed<K, V>
where
    K: CacheKey + Send + 'static,
    V: Serialize + DeserializeOwned + Send + 'static,
{
    /// Fills those of the keys that have no value. See [`Values::warm`].
    pub fn warm<E, F, Fut>(
        &self,
        keys: impl IntoIterator<Item = K, IntoIter: Send + 'static>,
        compute: F,
    ) -> Warm<K, V, E, F>
    where
        E: Send + Sync + 'static,
        F: Fn(K) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<V, E>> + Send + 'static,
    {
        self.values.warm_by(keys, self.key_of(), compute)
    }
}

impl<K: CacheKey, V: Serialize + DeserializeOwned + Clone + Send> Typed<K, V> {
    /// See [`Values::get_or_compute_many`].
    pub fn get_or_compute_many<'a, E, F, Fut, A>(
        &self,
        keys: impl IntoIterator<Item = K>,
        compute: F,
    ) -> GetOrComputeMany<'a, K, V, E>
    where
        K: 'a,
        V: 'a,
        E: Send + Sync + 'static,
        F: FnMut(Vec<K>) -> Fut + Send + 'a,
        Fut: Future<Output = Result<A, E>> + Send + 'a,
        A: IntoIterator<Item = (K, V)>,
    {
        self.values.batch(keys, self.key_of(), compute)
    }

    /// See [`Values::get_or_compute_many_with`].
    pub fn get_or_compute_many_with<'a, E, F, Fut, A>(
        &self,
        keys: impl IntoIterator<Item = K>,
        compute: F,
    ) -> GetOrComputeMany<'a, K, V, E>
    where
        K: 'a,
        V: 'a,
        E: Send + Sync + 'static,
        F: FnMut(Vec<K>) -> Fut + Send + 'a,
        Fut: Future<Output = Result<A, E>> + Send + 'a,
        A: IntoIterator<Item = (K, Result<Computed<V>, E>)>,
    {
        self.values.batch_with(keys, self.key_of(), compute)
    }
}

impl<K: CacheKey, V> Typed<K, V> {
    fn key_of(&self) -> impl Fn(&K) -> Key + Send + Sync + use<K, V> {
        let mark = Arc::clone(&self.mark);
        move |key: &K| marked(key, &mark)
    }
}

/// The key of a value, with the mark of its schema.
#[inline]
fn marked<K: CacheKey + ?Sized>(key: &K, mark: &str) -> Key {
    let mut key = key.cache_key();
    key.mark(mark);
    key
}

impl<K: ?Sized, V> Clone for Typed<K, V> {
    fn clone(&self) -> Self {
        let (values, mark) = (self.values.clone(), Arc::clone(&self.mark));
        Self { values, schema: self.schema, mark, types: PhantomData }
    }
}

impl<K: ?Sized, V> fmt::Debug for Typed<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Typed")
            .field("schema", &self.schema)
            .field("values", &self.values)
            .finish_non_exhaustive()
    }
}
