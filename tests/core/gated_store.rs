//! A store whose requests and replies a test holds back, one by one: for races that a real
//! server shows once in a million.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use cache_core::store::{
    BoxFuture, ChangeSink, MemoryStore, Put, ScanStep, Snapshot, Store, WriteBatch, Written,
};
use cache_core::{Builder, Cache, Deadline, Error, ErrorKind, Millis, seconds};
use cache_tests::Gate;

use crate::setup::Setup;

/// Where a call is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum At {
    /// Before the store has read.
    Fetch,
    /// The store has read; the caller does not know yet.
    FetchReply,
    /// Before the store has created anything.
    Create,
    /// Before the store has written.
    Write,
    /// The store has written; the caller does not know yet.
    WriteReply,
    /// Before the store has removed.
    Remove,
    /// The store has removed; the caller does not know yet.
    RemoveReply,
    /// The store has told some keys.
    ScanReply,
}

/// [`MemoryStore`], with gates.
#[derive(Debug)]
pub(crate) struct GatedStore {
    store: MemoryStore,
    held: Mutex<VecDeque<(At, Gate)>>,
    failing: Mutex<VecDeque<At>>,
    calls: AtomicUsize,
    watched: bool,
    creations: AtomicUsize,
    left_to_create: Mutex<Vec<Duration>>,
}

impl GatedStore {
    pub(crate) fn new(setup: &Setup) -> Arc<Self> {
        Arc::new(Self::over(MemoryStore::new(setup.clock.clone()), false))
    }

    /// One that tells at once what changes in it.
    pub(crate) fn watched(setup: &Setup) -> Arc<Self> {
        Arc::new(Self::over(MemoryStore::new(setup.clock.clone()), true))
    }

    fn over(store: MemoryStore, watched: bool) -> Self {
        let (held, failing) = (Mutex::default(), Mutex::default());
        let (calls, creations) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let left_to_create = Mutex::default();
        Self { store, held, failing, calls, watched, creations, left_to_create }
    }

    /// A tiered cache over this store.
    pub(crate) fn cache(self: &Arc<Self>, setup: &Setup) -> Cache {
        self.builder(setup).build().unwrap()
    }

    /// A tiered cache that is told nothing, and keeps what it has in memory.
    pub(crate) fn deaf_cache(self: &Arc<Self>, setup: &Setup) -> Cache {
        self.builder(setup).coherence(false).l1_ttl(seconds(60)).build().unwrap()
    }

    /// A cache over this store alone.
    pub(crate) fn cache_without_l1(self: &Arc<Self>, setup: &Setup) -> Cache {
        self.builder(setup).l1(false).build().unwrap()
    }

    pub(crate) fn builder(self: &Arc<Self>, setup: &Setup) -> Builder {
        let builder = Cache::builder().prefix(&setup.prefix).clock(setup.clock.clone());
        builder.store(self.clone()).operation_budget(seconds(10))
    }

    /// Holds the next call that comes there; it goes on when the gate is opened.
    pub(crate) fn hold(&self, at: At) -> Gate {
        let gate = Gate::new();
        self.held.lock().unwrap().push_back((at, gate.clone()));
        gate
    }

    /// The next call that comes there ends as if the store were away.
    pub(crate) fn fail(&self, at: At) {
        self.failing.lock().unwrap().push_back(at);
    }

    /// From now on none of the calls that were still to fail does.
    pub(crate) fn relent(&self) {
        self.failing.lock().unwrap().clear();
    }

    /// Without gates: for what happens to it from outside.
    pub(crate) fn behind(&self) -> &MemoryStore {
        &self.store
    }

    /// What it holds now.
    pub(crate) fn snapshot(&self) -> Snapshot {
        self.store.snapshot()
    }

    /// Forgets what happened since.
    pub(crate) fn restore(&self, snapshot: &Snapshot) {
        self.store.restore(snapshot);
    }

    /// Writes keys again as they are, so that a watched store tells of them.
    pub(crate) async fn touch(&self, glob: &str) {
        let deadline = Deadline::after(seconds(10));
        let keys = self.store.scan(glob, 0, deadline).await.unwrap().keys;
        assert!(!keys.is_empty(), "{glob}");
        let names: Vec<&str> = keys.iter().map(String::as_str).collect();
        let values = self.store.fetch(&names, deadline).await.unwrap();
        let put = |(key, value): (&String, Option<Bytes>)| Put {
            key: key.clone(),
            value: value.unwrap(),
            keep_for: None,
            expect: None,
            guard: None,
        };
        let puts: Vec<Put> = keys.iter().zip(values).map(put).collect();
        self.store
            .write(WriteBatch { puts: &puts, ..WriteBatch::default() }, deadline)
            .await
            .unwrap();
    }

    /// How many round trips there were, those of `create` not counted.
    pub(crate) fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    /// How many round trips of `create` there were.
    pub(crate) fn creations(&self) -> usize {
        self.creations.load(Ordering::SeqCst)
    }

    /// How much time each round trip of `create` was given.
    pub(crate) fn left_to_create(&self) -> Vec<Duration> {
        self.left_to_create.lock().unwrap().clone()
    }

    async fn pass(&self, at: At) -> Result<(), Error> {
        if matches!(at, At::Fetch | At::Write | At::Remove | At::ScanReply) {
            self.calls.fetch_add(1, Ordering::SeqCst);
        }
        let gate = {
            let mut held = self.held.lock().unwrap();
            let found = held.iter().position(|(held_at, _)| *held_at == at);
            found.and_then(|index| held.remove(index))
        };
        if let Some((_, gate)) = gate {
            gate.pass().await;
        }
        let mut failing = self.failing.lock().unwrap();
        if let Some(index) = failing.iter().position(|failing_at| *failing_at == at) {
            failing.remove(index);
            return Err(Error::new(ErrorKind::Unavailable, "away"));
        }
        Ok(())
    }
}

impl Store for GatedStore {
    fn fetch<'a>(
        &'a self,
        keys: &'a [&'a str],
        deadline: Deadline,
    ) -> BoxFuture<'a, Result<Vec<Option<Bytes>>, Error>> {
        Box::pin(async move {
            self.pass(At::Fetch).await?;
            let found = self.store.fetch(keys, deadline).await;
            self.pass(At::FetchReply).await?;
            found
        })
    }

    fn write<'a>(
        &'a self,
        batch: WriteBatch<'a>,
        deadline: Deadline,
    ) -> BoxFuture<'a, Result<Written, Error>> {
        Box::pin(async move {
            self.pass(At::Write).await?;
            let written = self.store.write(batch, deadline).await;
            self.pass(At::WriteReply).await?;
            written
        })
    }

    fn create<'a>(
        &'a self,
        entries: &'a [(&'a str, String)],
        keep_for: Millis,
        deadline: Deadline,
    ) -> BoxFuture<'a, Result<Vec<Option<Bytes>>, Error>> {
        self.creations.fetch_add(1, Ordering::SeqCst);
        let now = Deadline::after(Duration::ZERO);
        let left = deadline.instant().saturating_duration_since(now.instant());
        self.left_to_create.lock().unwrap().push(left);
        Box::pin(async move {
            self.pass(At::Create).await?;
            self.store.create(entries, keep_for, deadline).await
        })
    }

    fn remove<'a>(
        &'a self,
        keys: &'a [&'a str],
        deadline: Deadline,
    ) -> BoxFuture<'a, Result<u64, Error>> {
        Box::pin(async move {
            self.pass(At::Remove).await?;
            let removed = self.store.remove(keys, deadline).await;
            self.pass(At::RemoveReply).await?;
            removed
        })
    }

    fn remove_values<'a>(
        &'a self,
        keys: &'a [&'a str],
        deadline: Deadline,
    ) -> BoxFuture<'a, Result<u64, Error>> {
        Box::pin(async move {
            self.pass(At::Remove).await?;
            let removed = self.store.remove_values(keys, deadline).await;
            self.pass(At::RemoveReply).await?;
            removed
        })
    }

    fn count_values<'a>(
        &'a self,
        keys: &'a [&'a str],
        deadline: Deadline,
    ) -> BoxFuture<'a, Result<u64, Error>> {
        self.store.count_values(keys, deadline)
    }

    fn scan<'a>(
        &'a self,
        glob: &'a str,
        cursor: u64,
        deadline: Deadline,
    ) -> BoxFuture<'a, Result<ScanStep, Error>> {
        Box::pin(async move {
            let step = self.store.scan(glob, cursor, deadline).await;
            self.pass(At::ScanReply).await?;
            step
        })
    }

    fn watch(&self, prefix: &str, sink: Arc<dyn ChangeSink>) -> Option<BoxFuture<'static, ()>> {
        if self.watched { self.store.watch(prefix, sink) } else { None }
    }

    fn ping(&self, deadline: Deadline) -> BoxFuture<'_, Result<(), Error>> {
        self.store.ping(deadline)
    }

    fn incarnation(&self) -> u64 {
        self.store.incarnation()
    }

    fn name(&self) -> &'static str {
        "gated"
    }
}
