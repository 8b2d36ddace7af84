//! A store in memory: what a shared Redis is, for tests of several caches in one process.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;

use super::{BoxFuture, ChangeSink, Guard, Put, ScanStep, Store, WriteBatch, Written};
use crate::clock::{Clock, Deadline, Millis, Stopwatch};
use crate::codec::{is_tombstone, write_id};
use crate::coherence::CoherenceMode;
use crate::error::Error;
use crate::invalidate::generation::{SOFT_AT, SOFT_KEPT};
use crate::invalidate::pattern::Pattern;
use crate::rate::{Counted, Quota};

/// Keeps bytes in a map. Unbounded: for tests, where several [`Cache`](crate::Cache)s share one
/// as several instances share a Redis.
#[derive(Debug)]
pub struct MemoryStore {
    clock: Clock,
    values: Mutex<BTreeMap<String, Kept>>,
    watchers: Mutex<Vec<Weak<Watcher>>>,
    incarnation: AtomicU64,
}

#[derive(Debug)]
struct Watcher {
    /// With the colon.
    prefix: String,
    sink: Arc<dyn ChangeSink>,
}

/// What a [`MemoryStore`] held at some moment.
#[derive(Debug, Clone)]
pub struct Snapshot(BTreeMap<String, Kept>);

#[derive(Debug, Clone)]
struct Kept {
    value: Bytes,
    until: Option<Millis>,
}

impl MemoryStore {
    /// An empty store that tells by this clock what has expired.
    pub fn new(clock: Clock) -> Self {
        let (watchers, incarnation) = (Mutex::default(), AtomicU64::new(0));
        Self { clock, values: Mutex::default(), watchers, incarnation }
    }

    /// The bytes under a key.
    pub fn get(&self, key: &str) -> Option<Bytes> {
        read(&self.values(), key, self.clock.now())
    }

    /// Puts bytes under a key, as a fault or another program would.
    pub fn put(&self, key: &str, value: impl Into<Bytes>) {
        let mut values = self.values();
        values.insert(key.to_owned(), Kept { value: value.into(), until: None });
        self.tell(key);
    }

    /// All keys that have not expired.
    pub fn keys(&self) -> Vec<String> {
        let now = self.clock.now();
        let alive = |kept: &Kept| kept.until.is_none_or(|until| now < until);
        self.values().iter().filter(|(_, v)| alive(v)).map(|(k, _)| k.clone()).collect()
    }

    /// What it holds now.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot(self.values().clone())
    }

    /// Forgets all that happened since, as a server that is restarted from a snapshot.
    pub fn restore(&self, snapshot: &Snapshot) {
        let mut values = self.values();
        values.clone_from(&snapshot.0);
        self.incarnation.fetch_add(1, Ordering::SeqCst);
    }

    fn values(&self) -> MutexGuard<'_, BTreeMap<String, Kept>> {
        self.values.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// To be called while the change is still under the lock, so that none is told late.
    fn tell(&self, key: &str) {
        let mut watchers = self.watchers.lock().unwrap_or_else(PoisonError::into_inner);
        watchers.retain(|watcher| {
            let watcher = watcher.upgrade();
            if let Some(watcher) = &watcher
                && key.starts_with(&watcher.prefix)
            {
                watcher.sink.changed(key.as_bytes());
            }
            watcher.is_some()
        });
    }

    fn until(&self, keep_for: Option<Millis>) -> Option<Millis> {
        keep_for.map(|ms| self.clock.now().saturating_add(ms))
    }

    fn put_if_expected(&self, values: &mut BTreeMap<String, Kept>, put: &Put) -> bool {
        let now = self.clock.now();
        let holds = |guard: &Guard| read(values, &guard.key, now).as_ref() == Some(&guard.value);
        if !put.guard.as_ref().is_none_or(holds) {
            return false;
        }
        let found = read(values, &put.key, now);
        if put.expect.as_ref().is_some_and(|expected| write_id(found.as_ref())[..] != expected[..])
        {
            return false;
        }
        let kept = Kept { value: put.value.clone(), until: self.until(put.keep_for) };
        values.insert(put.key.clone(), kept);
        self.tell(&put.key);
        true
    }
}

fn read(values: &BTreeMap<String, Kept>, key: &str, now: Millis) -> Option<Bytes> {
    let kept = values.get(key)?;
    kept.until.is_none_or(|until| now < until).then(|| kept.value.clone())
}

/// Whoever changes something tells at once; so every moment is as good as any other.
const PROVE_EVERY: Duration = Duration::from_secs(1);

fn ready<'a, T: Send + 'a>(value: T) -> BoxFuture<'a, Result<T, Error>> {
    Box::pin(std::future::ready(Ok(value)))
}

impl Store for MemoryStore {
    fn fetch<'a>(
        &'a self,
        keys: &'a [&'a str],
        _: Deadline,
    ) -> BoxFuture<'a, Result<Vec<Option<Bytes>>, Error>> {
        let (values, now) = (self.values(), self.clock.now());
        ready(keys.iter().map(|key| read(&values, key, now)).collect())
    }

    fn write<'a>(
        &'a self,
        batch: WriteBatch<'a>,
        _: Deadline,
    ) -> BoxFuture<'a, Result<Written, Error>> {
        let (mut values, now) = (self.values(), self.clock.now());
        let stored = batch.puts.iter().map(|put| self.put_if_expected(&mut values, put)).collect();
        for (key, tail) in batch.tails {
            if let Some(found) = read(&values, key, now)
                && let Some(kept) = values.get_mut(*key)
            {
                let Some((head, rest)) = found.split_at_checked(SOFT_AT) else { continue };
                let rest = rest.get(..SOFT_KEPT).unwrap_or(rest);
                kept.value = [head, tail.as_bytes(), rest].concat().into();
                self.tell(key);
            }
        }
        for key in batch.remove {
            if values.remove(*key).is_some() {
                self.tell(key);
            }
        }
        for (key, keep_for) in batch.extend {
            let until = now.saturating_add(*keep_for);
            if let Some(kept) = values.get_mut(*key) {
                kept.until = kept.until.map(|at| at.max(until));
            }
        }
        let read = batch.read.iter().map(|key| read(&values, key, now)).collect();
        ready(Written { stored, read })
    }

    fn create<'a>(
        &'a self,
        entries: &'a [(&'a str, String)],
        keep_for: Millis,
        _: Deadline,
    ) -> BoxFuture<'a, Result<Vec<Option<Bytes>>, Error>> {
        let (mut values, now) = (self.values(), self.clock.now());
        let mut found = Vec::with_capacity(entries.len());
        for (key, value) in entries {
            let there = read(&values, key, now).unwrap_or_else(|| {
                let value = Bytes::from(value.clone());
                let until = self.until(Some(keep_for));
                values.insert((*key).to_owned(), Kept { value: value.clone(), until });
                self.tell(key);
                value
            });
            found.push(Some(there));
        }
        ready(found)
    }

    fn remove<'a>(&'a self, keys: &'a [&'a str], _: Deadline) -> BoxFuture<'a, Result<u64, Error>> {
        let (mut values, now) = (self.values(), self.clock.now());
        let mut removed = 0;
        for key in keys {
            removed += u64::from(read(&values, key, now).is_some());
            if values.remove(*key).is_some() {
                self.tell(key);
            }
        }
        ready(removed)
    }

    fn remove_values<'a>(
        &'a self,
        keys: &'a [&'a str],
        _: Deadline,
    ) -> BoxFuture<'a, Result<u64, Error>> {
        let (mut values, now) = (self.values(), self.clock.now());
        let mut removed = 0;
        for key in keys {
            let found = read(&values, key, now);
            if !found.as_deref().is_some_and(is_tombstone) {
                removed += u64::from(found.is_some());
                if values.remove(*key).is_some() {
                    self.tell(key);
                }
            }
        }
        ready(removed)
    }

    fn scan<'a>(
        &'a self,
        glob: &'a str,
        _: u64,
        _: Deadline,
    ) -> BoxFuture<'a, Result<ScanStep, Error>> {
        let pattern = Pattern::rendered(glob);
        let keys = self.keys().into_iter().filter(|key| pattern.matches(key)).collect();
        ready(ScanStep { cursor: 0, keys })
    }

    fn watch(&self, prefix: &str, sink: Arc<dyn ChangeSink>) -> Option<BoxFuture<'static, ()>> {
        let watcher = Arc::new(Watcher { prefix: format!("{prefix}:"), sink });
        let mut watchers = self.watchers.lock().unwrap_or_else(PoisonError::into_inner);
        watchers.push(Arc::downgrade(&watcher));
        drop(watchers);
        Some(Box::pin(async move {
            watcher.sink.began(CoherenceMode::Tracking, None);
            loop {
                watcher.sink.heard_all_before(Stopwatch::start());
                tokio::time::sleep(PROVE_EVERY).await;
            }
        }))
    }

    fn count<'a>(
        &'a self,
        key: &'a str,
        quota: &'a Quota,
        _: Deadline,
    ) -> Option<BoxFuture<'a, Result<Counted, Error>>> {
        let (mut values, now) = (self.values(), self.clock.now());
        let found = read(&values, key, now);
        let (counted, next) = quota.count(found.as_deref(), now);
        if let Some((value, keep_for)) = next {
            values.insert(key.to_owned(), Kept { value, until: self.until(Some(keep_for)) });
            self.tell(key);
        }
        Some(ready(counted))
    }

    fn ping(&self, _: Deadline) -> BoxFuture<'_, Result<(), Error>> {
        ready(())
    }

    fn incarnation(&self) -> u64 {
        self.incarnation.load(Ordering::SeqCst)
    }

    fn name(&self) -> &'static str {
        "memory"
    }
}
