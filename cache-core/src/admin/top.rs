//! The keys that are read most, by a sample of the hits.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;

use super::sketch::{Count, Sketch};
use crate::cache::Cache;
use crate::l1::Slot;
use crate::state::{EntryKey, NamespaceState};

/// One of so many hits is looked at.
const ONE_OF: u8 = 64;

/// The keys that were read most, of late: see [`Cache::top_keys`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct TopKeys {
    /// One of so many hits was looked at.
    pub one_of: u64,
    /// How many were looked at, of late.
    pub sampled: u64,
    /// The most read first.
    pub keys: Vec<TopKey>,
}

/// A key that is read often.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct TopKey {
    /// The namespace it is in.
    pub namespace: String,
    /// The key in the store; of a sensitive namespace what stands for it in the audit.
    pub key: String,
    /// The workspace it names.
    pub workspace: Option<String>,
    /// About how many hits it had of late.
    pub hits: u64,
    /// By how many that may be too high, beside the error of the sample.
    pub hits_error: u64,
}

/// Counts a sample of the hits, once somebody has asked for it.
#[derive(Debug, Default)]
pub(crate) struct Sampler {
    on: AtomicBool,
    sketch: Mutex<Sketch<About>>,
}

/// What is known of a key.
#[derive(Debug, Clone)]
struct About {
    namespace: String,
    /// Where it has a name of its own for people.
    shown: Option<String>,
    workspace: Option<String>,
}

impl Sampler {
    /// Takes note of a hit of an entry in memory. While nobody listens this is one load; then a
    /// random number more, and for one of [`ONE_OF`] a look into a table, unless another one is at it.
    pub(crate) fn hit(&self, namespace: &NamespaceState, slot: &Slot) {
        if self.chooses() {
            self.look(namespace, &slot.rendered, &slot.identity, || slot.workspace_name());
        }
    }

    /// As [`hit`](Self::hit), of the entry of this key.
    pub(crate) fn hit_of(&self, key: &EntryKey) {
        if self.chooses() {
            self.look(&key.namespace, &key.rendered, &key.identity, || key.workspace_name());
        }
    }

    /// Not every so-maniest: requests that come in turns would always show the same one.
    fn chooses(&self) -> bool {
        self.on.load(Ordering::Relaxed) && fastrand::u8(..).is_multiple_of(ONE_OF)
    }

    #[cold]
    fn look(
        &self,
        namespace: &NamespaceState,
        rendered: &Arc<str>,
        identity: &[u8],
        workspace: impl FnOnce() -> Option<String>,
    ) {
        let Ok(mut sketch) = self.sketch.try_lock() else { return };
        sketch.count(rendered, || About {
            namespace: namespace.name.clone(),
            shown: match namespace.shown(identity, rendered) {
                Cow::Borrowed(_) => None,
                Cow::Owned(shown) => Some(shown),
            },
            workspace: workspace(),
        });
    }
}

impl Cache {
    /// Begins to look at a sample of the hits of this process, for [`top_keys`](Self::top_keys).
    pub fn watch_top_keys(&self) {
        self.inner.sampler.on.store(true, Ordering::Relaxed);
    }

    /// The keys that were read most, of late, in this process: `limit` at most, of one namespace and
    /// one workspace if they are named. Empty unless they are [watched](Self::watch_top_keys).
    ///
    /// Hits are counted by a sample, in memory that is bounded: a key with more than one in a few
    /// hundred of all hits is among them; counts are estimates.
    ///
    /// ```
    /// use cache_core::Cache;
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// let cache = Cache::builder().memory().build()?;
    /// cache.watch_top_keys();
    /// cache.set("users", "42", "Ada").await?;
    /// for _ in 0..10_000 {
    ///     let _: Option<String> = cache.get("users", "42").await?;
    /// }
    /// let top = cache.top_keys(10, Some("users"), None);
    /// assert!(top.keys[0].key.ends_with(":users:v1:42"));
    /// # Ok::<(), cache_core::Error>(()) }).unwrap();
    /// ```
    pub fn top_keys(
        &self,
        limit: usize,
        namespace: Option<&str>,
        workspace: Option<&str>,
    ) -> TopKeys {
        let sketch = self.inner.sampler.sketch.lock().unwrap_or_else(PoisonError::into_inner);
        let wanted = |count: &&Count<About>| {
            namespace.is_none_or(|name| name == count.about.namespace)
                && workspace.is_none_or(|name| count.about.workspace.as_deref() == Some(name))
        };
        let mut found: Vec<Count<About>> = sketch.counts().iter().filter(wanted).cloned().collect();
        let all = namespace.is_none() && workspace.is_none();
        let of_these = || found.iter().map(|count| count.hits - count.error).sum();
        let sampled = if all { sketch.total() } else { of_these() };
        drop(sketch);
        found.sort_by_key(|count| Reverse((count.hits, count.hits - count.error)));
        let one_of = u64::from(ONE_OF);
        let key = |Count { key, about, hits, error }: Count<About>| TopKey {
            namespace: about.namespace,
            key: about.shown.unwrap_or_else(|| key.as_ref().to_owned()),
            workspace: about.workspace,
            hits: hits.saturating_mul(one_of),
            hits_error: error.saturating_mul(one_of),
        };
        TopKeys { one_of, sampled, keys: found.into_iter().take(limit).map(key).collect() }
    }
}
