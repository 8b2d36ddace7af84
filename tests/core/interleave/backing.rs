//! The store of a run: each node has a way to it on which it stops.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use cache_core::store::{BoxFuture, MemoryStore, Put, ScanStep, Store, WriteBatch, Written};
use cache_core::{Deadline, Error, ErrorKind, Millis};

use super::stage::Stage;
use super::step::{Touches, Turn};

/// A rule that the store breaks, so that the suite shows that it would notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Broken {
    Nothing,
    /// A generation never changes: whoever asks is told the first that there was.
    Generations,
    /// A fill's write is carried out whatever the key holds by now.
    Conditions,
    /// A sweep finds nothing.
    Scans,
    /// Nor does it stop a fill elsewhere.
    Guards,
}

/// What all nodes share.
#[derive(Debug)]
pub(crate) struct Backing {
    pub(crate) store: MemoryStore,
    pub(crate) broken: Broken,
    pub(crate) first: Mutex<HashMap<String, Bytes>>,
}

impl Backing {
    pub(crate) fn new(store: MemoryStore, broken: Broken) -> Self {
        Self { store, broken, first: Mutex::default() }
    }

    /// What is said to be there.
    fn found<'k>(
        &self,
        keys: impl IntoIterator<Item = &'k str>,
        mut found: Vec<Option<Bytes>>,
    ) -> Vec<Option<Bytes>> {
        if self.broken == Broken::Generations {
            let mut first = self.first.lock().expect("no panic in here");
            for (key, found) in keys.into_iter().zip(&mut found) {
                match (key.contains(":gen:"), first.get(key), &found) {
                    (true, Some(first), _) => *found = Some(first.clone()),
                    (true, None, Some(id)) => drop(first.insert(key.to_owned(), id.clone())),
                    _ => {}
                }
            }
        }
        found
    }

    fn puts(&self, puts: &[Put]) -> Vec<Put> {
        let holds = |broken| self.broken != broken;
        let put = |put: &Put| Put {
            expect: put.expect.clone().filter(|_| holds(Broken::Conditions)),
            guard: put.guard.clone().filter(|_| holds(Broken::Guards)),
            ..put.clone()
        };
        puts.iter().map(put).collect()
    }
}

/// One node's way to the store.
#[derive(Debug)]
pub(crate) struct StagedStore {
    pub(crate) node: usize,
    pub(crate) stage: Arc<Stage>,
    pub(crate) backing: Arc<Backing>,
}

impl StagedStore {
    /// Stops before the store acts, and before its answer is taken in.
    async fn step<T>(
        &self,
        [asking, answered]: [&'static str; 2],
        touches: Touches,
        act: impl AsyncFnOnce() -> Result<T, Error>,
    ) -> Result<T, Error> {
        let lost = || Err(Error::new(ErrorKind::Timeout, "no answer"));
        let answer = match self.stage.stop(asking, touches, true).await {
            Turn::Go => act().await,
            Turn::Lose => lost(),
            Turn::LoseTheAnswer => act().await.and_then(|_| lost()),
        };
        self.stage.stop(answered, Touches::node(self.node), false).await;
        answer
    }
}

fn reading(keys: &[&str]) -> Touches {
    keys.iter().fold(Touches::default(), |touches, key| touches.reading_key(key))
}

fn writing<'k>(keys: impl IntoIterator<Item = &'k str>) -> Touches {
    keys.into_iter().fold(Touches::default(), Touches::writing_key)
}

impl Store for StagedStore {
    fn fetch<'a>(
        &'a self,
        keys: &'a [&'a str],
        deadline: Deadline,
    ) -> BoxFuture<'a, Result<Vec<Option<Bytes>>, Error>> {
        Box::pin(self.step(["fetch", "fetched"], reading(keys), async move || {
            let found = self.backing.store.fetch(keys, deadline).await?;
            Ok(self.backing.found(keys.iter().copied(), found))
        }))
    }

    fn write<'a>(
        &'a self,
        batch: WriteBatch<'a>,
        deadline: Deadline,
    ) -> BoxFuture<'a, Result<Written, Error>> {
        // Time stands still while tasks run, so for how long a key is kept makes no difference.
        let tails = batch.tails.iter().map(|(key, _)| *key);
        let puts = batch.puts.iter().map(|put| &*put.key);
        let mut touches = writing(puts.chain(tails).chain(batch.remove.iter().copied()));
        let guards = batch.puts.iter().filter_map(|put| put.guard.as_ref());
        for key in batch.read.iter().copied().chain(guards.map(|guard| &*guard.key)) {
            touches = touches.reading_key(key);
        }
        Box::pin(self.step(["write", "written"], touches, async move || {
            let puts = self.backing.puts(batch.puts);
            let batch = WriteBatch { puts: &puts, ..batch };
            let written = self.backing.store.write(batch, deadline).await?;
            let read = self.backing.found(batch.read.iter().copied(), written.read);
            Ok(Written { read, ..written })
        }))
    }

    fn create<'a>(
        &'a self,
        entries: &'a [(&'a str, String)],
        keep_for: Millis,
        deadline: Deadline,
    ) -> BoxFuture<'a, Result<Vec<Option<Bytes>>, Error>> {
        let keys = || entries.iter().map(|(key, _)| *key);
        Box::pin(self.step(["create", "created"], writing(keys()), async move || {
            let found = self.backing.store.create(entries, keep_for, deadline).await?;
            Ok(self.backing.found(keys(), found))
        }))
    }

    fn remove<'a>(
        &'a self,
        keys: &'a [&'a str],
        deadline: Deadline,
    ) -> BoxFuture<'a, Result<u64, Error>> {
        let touches = writing(keys.iter().copied());
        Box::pin(self.step(["remove", "removed"], touches, async move || {
            self.backing.store.remove(keys, deadline).await
        }))
    }

    fn remove_values<'a>(
        &'a self,
        keys: &'a [&'a str],
        deadline: Deadline,
    ) -> BoxFuture<'a, Result<u64, Error>> {
        let touches = writing(keys.iter().copied());
        Box::pin(self.step(["remove values", "removed values"], touches, async move || {
            self.backing.store.remove_values(keys, deadline).await
        }))
    }

    fn scan<'a>(
        &'a self,
        glob: &'a str,
        cursor: u64,
        deadline: Deadline,
    ) -> BoxFuture<'a, Result<ScanStep, Error>> {
        Box::pin(self.step(
            ["scan", "scanned"],
            Touches::default().reading_all_keys(),
            async move || {
                let mut step = self.backing.store.scan(glob, cursor, deadline).await?;
                if self.backing.broken == Broken::Scans {
                    step.keys.clear();
                }
                Ok(step)
            },
        ))
    }

    fn ping(&self, deadline: Deadline) -> BoxFuture<'_, Result<(), Error>> {
        self.backing.store.ping(deadline)
    }

    fn name(&self) -> &'static str {
        "staged"
    }
}
