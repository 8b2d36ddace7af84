//! One namespace of a cache, and the operations on its values.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};

use crate::audit::{Accesses, Operation, Outcome};
use crate::cache::Cache;
use crate::clock::Millis;
use crate::codec::{Format, to_bytes};
use crate::compute::Options;
use crate::entry::EntryTimes;
use crate::error::{Error, ErrorKind};
use crate::fill::NewEntry;
use crate::happenings::Event;
use crate::invalidate::{DeletePattern, Invalidated, Pattern, Scope, Tag, Template};
use crate::key::Key;
use crate::l1::Slot;
use crate::middleware::Read;
use crate::set::Set;
use crate::state::{EntryKey, NamespaceState};
use crate::stats::Counters;
use crate::ttl::Ttl;

/// One namespace of a [`Cache`]; cheap to clone.
#[derive(Debug, Clone)]
pub struct Values {
    pub(crate) cache: Cache,
    /// The error, if the name can't be used, is given to each operation.
    pub(crate) state: Result<Arc<NamespaceState>, (ErrorKind, String)>,
}

/// Keys whose namespace has changed meanwhile are made anew so often.
const KEYS_MADE: usize = 3;

impl Values {
    #[inline]
    pub(crate) fn state(&self) -> Result<&Arc<NamespaceState>, Error> {
        self.state.as_ref().map_err(|(kind, message)| Error::new(*kind, message.clone()))
    }

    pub(crate) fn entry_key(&self, key: Key) -> Result<Arc<EntryKey>, Error> {
        let state = self.state()?;
        Ok(self.cache.inner.plain_key(state, &state.key(key)))
    }

    /// How a key of this namespace is called where people read it.
    pub(crate) fn shown(&self, key: &Key) -> String {
        let Ok(state) = self.state() else { return key.as_str().to_owned() };
        let key = state.key(key.clone());
        state.shown(key.identity(), key.as_str()).into_owned()
    }

    /// See [`Cache::get`].
    pub async fn get<V: DeserializeOwned>(&self, key: impl Into<Key>) -> Result<Option<V>, Error> {
        self.find(&mut key.into(), NamespaceState::read).await
    }

    /// Looks a key up, in memory, then in the store, and has what is found read. The key is not
    /// moved about: that would be a noticeable part of a hit.
    pub(crate) async fn find<V>(
        &self,
        key: &mut Key,
        read: impl FnOnce(
            &NamespaceState,
            &[u8],
            Option<&Arc<Slot>>,
            Option<&Counters>,
            Read,
            Millis,
        ) -> Option<V>,
    ) -> Result<Option<V>, Error> {
        let (state, inner) = (self.state()?, &self.cache.inner);
        state.complete(key);
        if !inner.enabled {
            return Ok(None);
        }
        let (key, identity) = (&*key, key.identity());
        let now = inner.clock.now();
        if let Some(slot) = state.peek_plain(key, now) {
            if state.options.sliding.is_some() {
                inner.slide(state, key, &slot, &state.options, now);
            }
            let workspace = slot.workspace.as_deref();
            return Ok(read(state, identity, Some(&slot), workspace, Read::L1Hit, now));
        }
        let deadline = inner.deadline();
        let look = async || {
            let key = inner.plain_key(state, key);
            let keys = std::slice::from_ref(&key);
            let found =
                Box::pin(inner.find_all_in_store(keys, now, deadline)).await.pop().flatten();
            if let Some(slot) = &found {
                inner.slide_found(&key, slot, &state.options, now);
            }
            (found, key)
        };
        let (mut found, key) = look().await;
        if !key.is_up_to_date() {
            // Others have declared more, or bumped the version.
            found = look().await.0;
        }
        let workspace = key.workspace.as_deref();
        Ok(read(state, identity, found.as_ref(), workspace, Read::StoreHit, now))
    }

    /// See [`Cache::set`].
    pub fn set<V: Serialize + ?Sized>(&self, key: impl Into<Key>, value: &V) -> Set {
        let format = self.state.as_ref().map_or_else(|_| Format::default(), |state| state.format);
        Set::new(self.clone(), key.into(), to_bytes(format, value))
    }

    /// See [`Cache::delete`].
    pub async fn delete(&self, key: impl Into<Key>) -> Result<Invalidated, Error> {
        let key = self.entry_key(key.into())?;
        self.delete_prepared(&[key], self.cache.inner.deadline()).await
    }

    /// See [`Cache::exists`].
    pub async fn exists(&self, key: impl Into<Key>) -> Result<bool, Error> {
        Ok(self.ttl(key).await?.is_some())
    }

    /// See [`Cache::ttl`].
    pub async fn ttl(&self, key: impl Into<Key>) -> Result<Option<Ttl>, Error> {
        let times = self.times(key.into()).await?;
        let now = self.cache.inner.clock.now();
        Ok(times.map(|times| match times.fresh_for(now) {
            Some(ms) => Ttl::After(Duration::from_millis(ms)),
            None => Ttl::Never,
        }))
    }

    /// The times of an entry that is fresh.
    async fn times(&self, key: Key) -> Result<Option<EntryTimes>, Error> {
        let key = self.entry_key(key)?;
        let inner = &self.cache.inner;
        if !inner.enabled {
            return Ok(None);
        }
        let access = Accesses::begin(Operation::Ttl, [&key]);
        let in_memory = inner.peek(&key);
        let hit = if in_memory.is_some() { Read::L1Hit } else { Read::StoreHit };
        let times = match in_memory {
            Some(slot) => Some(slot.times_at(inner.clock.now())),
            None => match inner.stored_entry(&key, inner.deadline()).await {
                Ok(stored) => stored.map(|stored| stored.times(inner.clock.now())),
                // Like a read: the store's absence is a miss.
                Err(_) => None,
            },
        };
        let now = inner.clock.now();
        let times = times.filter(|times| times.is_fresh(now));
        access.end(Outcome::Read(if times.is_some() { hit } else { Read::Miss }));
        Ok(times)
    }

    /// See [`Cache::touch`].
    pub async fn touch(&self, key: impl Into<Key>, ttl: impl Into<Ttl>) -> Result<bool, Error> {
        let key = self.entry_key(key.into())?;
        let inner = &self.cache.inner;
        if !inner.enabled {
            return Ok(false);
        }
        let access = Accesses::begin(Operation::Touch, [&key]);
        let now = inner.clock.now();
        // Its grace is that of the namespace.
        let times = Options { jitter: None, ..key.namespace.options }.times(now, ttl.into(), 0.0);
        let touched = inner.touch(&key, None, times, inner.deadline()).await;
        access.end(match touched {
            Ok(true) => Outcome::Done,
            Ok(false) => Outcome::NotDone,
            Err(_) => Outcome::Failed,
        });
        touched
    }

    /// See [`Cache::get_many`].
    pub async fn get_many<V: DeserializeOwned, K: Into<Key>>(
        &self,
        keys: impl IntoIterator<Item = K>,
    ) -> Result<Vec<Option<V>>, Error> {
        let (state, inner) = (self.state()?, &self.cache.inner);
        let keys: Vec<Key> = keys.into_iter().map(|key| state.key(key.into())).collect();
        if !inner.enabled {
            return Ok(keys.iter().map(|_| None).collect());
        }
        let now = inner.clock.now();
        let in_memory: Vec<Option<Arc<Slot>>> =
            keys.iter().map(|key| state.peek_plain(key, now)).collect();
        let elsewhere = keys.iter().zip(&in_memory).filter(|(_, slot)| slot.is_none());
        let elsewhere: Vec<Arc<EntryKey>> =
            elsewhere.map(|(key, _)| inner.plain_key(state, key)).collect();
        let stored = if elsewhere.is_empty() {
            Vec::new()
        } else {
            Box::pin(inner.find_all_in_store(&elsewhere, now, inner.deadline())).await
        };
        let mut stored = elsewhere.iter().zip(stored);
        let read = |(key, slot): (&Key, Option<Arc<Slot>>)| {
            let identity = key.identity();
            if let Some(slot) = slot {
                if state.options.sliding.is_some() {
                    inner.slide(state, key, &slot, &state.options, now);
                }
                let workspace = slot.workspace.as_deref();
                return state.read(identity, Some(&slot), workspace, Read::L1Hit, now);
            }
            let (key, slot) = stored.next()?;
            if let Some(slot) = &slot {
                inner.slide_found(key, slot, &state.options, now);
            }
            state.read(identity, slot.as_ref(), key.workspace.as_deref(), Read::StoreHit, now)
        };
        Ok(keys.iter().zip(in_memory).map(read).collect())
    }

    /// See [`Cache::set_many`].
    pub async fn set_many<V: Serialize, K: Into<Key>>(
        &self,
        items: impl IntoIterator<Item = (K, V)>,
    ) -> Result<(), Error> {
        let (format, ttl) = (self.state()?.format, self.state()?.ttl);
        let item =
            |(key, value): (K, V)| Ok((key.into(), self.new_value(to_bytes(format, &value)?, ttl)));
        let items = items.into_iter().map(item).collect::<Result<Vec<_>, Error>>()?;
        self.put(&items, &[]).await
    }

    /// See [`Cache::delete_pattern`].
    pub fn delete_pattern(&self, pattern: impl Into<Pattern>) -> DeletePattern {
        DeletePattern::new(self.clone(), pattern.into())
    }

    /// See [`Cache::clear`].
    pub async fn clear(&self) -> Result<u64, Error> {
        let state = self.state()?;
        if !self.cache.inner.enabled {
            return Ok(0);
        }
        self.cache.invalidate(Scope::namespace(&state.name)).await?;
        self.cache.inner.sweep_invalidated(state).await
    }

    /// Declares a pattern: entries written from now on that match it carry a generation of
    /// their own, and invalidating an instance of it is a single step. False if 256 are declared.
    ///
    /// Every instance that uses the store learns of it, whatever its code declares: entries that
    /// others fill are covered, too. A pattern that is new to all of them empties the namespace,
    /// once: when this process next asks the store for the namespace, or invalidates such a pattern.
    /// (Until that can be done, the invalidation is [`Queued`](crate::Invalidated::Queued).) One
    /// that is known costs nothing, as in a process that is restarted. All instances together may
    /// declare 256 patterns in a namespace; those beyond are swept.
    pub fn declare(&self, template: &Template) -> Result<bool, Error> {
        Ok(self.state()?.declare(template))
    }

    /// See [`Cache::bump_version`].
    pub async fn bump_version(&self) -> Result<u32, Error> {
        let inner = &self.cache.inner;
        let state = self.state()?;
        let version = inner.bump_version(state, inner.deadline()).await?;
        let namespace = || state.name.clone();
        inner.happenings.tell(|at| Event::VersionBumped { at, namespace: namespace(), version });
        Ok(version)
    }

    /// See [`Cache::version`].
    pub fn version(&self) -> Result<u32, Error> {
        Ok(self.state()?.facts().version())
    }

    /// How long entries of this namespace are fresh unless a call says otherwise.
    pub fn default_ttl(&self) -> Result<Ttl, Error> {
        Ok(self.state()?.ttl)
    }

    /// Values above this many bytes are refused.
    pub fn max_value_size(&self) -> usize {
        self.state.as_ref().map_or(0, |state| state.max_value_size)
    }

    /// Writes values unconditionally. If what keys are made by turns out to have changed, once more
    /// under the new ones.
    pub(crate) async fn put(&self, items: &[(Key, NewEntry)], tags: &[Tag]) -> Result<(), Error> {
        let inner = &self.cache.inner;
        let deadline = inner.deadline();
        for _ in 0..KEYS_MADE {
            let item =
                |(key, value): &(Key, NewEntry)| Ok((self.entry_key(key.clone())?, value.clone()));
            let items = items.iter().map(item).collect::<Result<Vec<_>, Error>>()?;
            if !inner.enabled || items.is_empty() {
                return Ok(());
            }
            let keys: Vec<_> = items.iter().map(|(key, _)| Arc::clone(key)).collect();
            inner.put_many(items, tags, deadline).await?;
            if keys.iter().all(|key| key.is_up_to_date()) {
                return Ok(());
            }
        }
        Ok(())
    }

    pub(crate) fn new_value(&self, payload: Bytes, ttl: Ttl) -> NewEntry {
        let (options, format) = match &self.state {
            Ok(state) => (state.options, state.format),
            Err(_) => (Options::new(), Format::default()),
        };
        let times = options.times(self.cache.inner.clock.now(), ttl, fastrand::f64());
        NewEntry { payload, format, schema: 0, times, decoded: None }
    }
}
