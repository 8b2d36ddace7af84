//! The entries: how they are called, what they hold, how they get there.

use cache_core::{Cache, Namespace, Template, hours};
use redis::Connection;

pub(crate) const PREFIX: &str = "coldcopy";
pub(crate) const NAMESPACE: Namespace =
    Namespace::new("api_responses").by_workspace().ttl(hours(24));
const TTL_MS: u64 = 24 * 60 * 60 * 1000;
const BATCH: usize = 500;
/// So many writers at once, where each value is written alone.
const TASKS: usize = 32;

/// Which entries.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entries {
    pub(crate) count: usize,
    pub(crate) workspaces: usize,
    /// One in so many has a tag; zero: none has.
    pub(crate) one_tagged_in: usize,
    /// Whether payloads are evenly spread from 512 to 2,047 bytes, instead of 1 KiB each.
    pub(crate) spread: bool,
}

impl Entries {
    pub(crate) fn workspace(n: usize) -> String {
        format!("ws{n:04}")
    }

    pub(crate) fn key(&self, n: usize) -> String {
        format!("{}:campaigns:{n:07}", Self::workspace(n % self.workspaces))
    }

    pub(crate) fn rendered(&self, n: usize) -> String {
        format!("{PREFIX}:{}:v1:{}", NAMESPACE.name(), self.key(n))
    }

    fn is_tagged(&self, n: usize) -> bool {
        self.one_tagged_in != 0 && n.is_multiple_of(self.one_tagged_in)
    }

    fn value(&self, n: usize) -> String {
        let bytes = if self.spread { 512 + n * 7 % 1536 } else { 1024 };
        // As MessagePack it has three bytes more.
        "x".repeat(bytes - 3)
    }

    /// What any application would write without this crate: the same payloads under the same keys.
    pub(crate) fn fill_raw(&self, redis: &mut Connection) {
        for first in (0..self.count).step_by(BATCH) {
            let mut sets = redis::pipe();
            for n in first..self.count.min(first + BATCH) {
                let text = self.value(n);
                let length = u16::try_from(text.len()).expect("short").to_be_bytes();
                let payload = [&[0xda], &length[..], text.as_bytes()].concat();
                let set = sets.cmd("SET").arg(self.rendered(n)).arg(payload);
                set.arg("PX").arg(TTL_MS).ignore();
            }
            sets.query::<()>(redis).expect("it is written");
        }
    }

    /// The same by way of the cache, with a declared pattern.
    pub(crate) async fn fill(self, cache: &Cache) {
        declare(cache);
        let untagged: Vec<usize> = (0..self.count).filter(|n| !self.is_tagged(*n)).collect();
        for batch in untagged.chunks(BATCH) {
            let items = batch.iter().map(|n| (self.key(*n), self.value(*n)));
            cache.set_many(NAMESPACE, items).await.expect("they are written");
        }
        if self.one_tagged_in == 0 {
            return;
        }
        let writers = (0..TASKS).map(|task| {
            let cache = cache.clone();
            tokio::spawn(async move {
                for n in (0..self.count).step_by(self.one_tagged_in).skip(task).step_by(TASKS) {
                    let set = cache.set(NAMESPACE, self.key(n), &self.value(n));
                    set.tag("team:7").await.expect("it is written");
                }
            })
        });
        for writer in writers.collect::<Vec<_>>() {
            writer.await.expect("no panic");
        }
    }

    /// Writes the first so many anew.
    pub(crate) async fn refresh(&self, cache: &Cache, count: usize) {
        for n in 0..count {
            let set = cache.set(NAMESPACE, self.key(n), &self.value(n));
            set.tag("team:7").await.expect("it is written");
        }
    }

    /// How many of the first so many a cache answers.
    pub(crate) async fn found(&self, cache: &Cache, count: usize) -> usize {
        let keys = (0..count).map(|n| self.key(n));
        let found: Vec<Option<String>> = cache.get_many(NAMESPACE, keys).await.expect("an answer");
        found.iter().flatten().count()
    }
}

/// The pattern `{workspace_id}:campaigns:*`, under which all of them lie.
pub(crate) fn declare(cache: &Cache) {
    let template = Template::parse("{workspace_id}:campaigns:*").expect("a template");
    assert!(cache.namespace(NAMESPACE).declare(&template).expect("a namespace"), "room for it");
}
