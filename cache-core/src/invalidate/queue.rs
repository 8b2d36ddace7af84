//! Removals by key, bounded: what does not fit widens to what covers it.
//!
//! Pure; used for what the store has not confirmed (`unconfirmed`), and for what it has, in case it
//! forgets that (`rollback`).

use std::collections::HashMap;
use std::sync::Arc;

use crate::clock::Millis;
use crate::store::Put;

/// The keys (of generations and of entries) that are to be removed, each once.
#[derive(Debug, Default)]
pub(super) struct Queue {
    by_key: HashMap<Arc<str>, Removal>,
    count: u64,
    /// So many more may be there than usual, until it is empty.
    allowance: usize,
}

#[derive(Debug)]
pub(super) struct Removal {
    /// Tells later ones from earlier ones.
    pub(super) count: u64,
    since: Millis,
    /// The generation that covers it, if it belongs to one namespace.
    pub(super) namespace: Option<Arc<str>>,
    /// What has to take the place of an entry. Were it only removed, the tombstone of another
    /// deletion might go with it.
    pub(super) tombstone: Option<Put>,
}

/// One removal on its way into the queue.
#[derive(Debug)]
pub(crate) struct Pending {
    key: Arc<str>,
    namespace: Option<Arc<str>>,
    tombstone: Option<Put>,
}

impl Pending {
    /// A generation; with that of the namespace which all under it belongs to.
    pub(crate) fn generation(key: &Arc<str>, namespace: Option<&Arc<str>>) -> Self {
        Self { key: Arc::clone(key), namespace: namespace.cloned(), tombstone: None }
    }

    /// An entry, with the generation of its namespace, and what has to take its place.
    pub(crate) fn entry(key: &Arc<str>, namespace: &Arc<str>, tombstone: Put) -> Self {
        let (key, namespace) = (Arc::clone(key), Some(Arc::clone(namespace)));
        Self { key, namespace, tombstone: Some(tombstone) }
    }
}

impl Queue {
    pub(super) fn insert(&mut self, pending: Pending, everything: &Arc<str>, now: Millis) {
        self.count += 1;
        let Pending { key, namespace, tombstone } = pending;
        // What is covered by something in the queue needs no place of its own; but what covers it
        // may be on its way already, and has to go again.
        let covers = [Some(everything), namespace.as_ref()];
        let queued = |key: &&Arc<str>| self.by_key.contains_key(*key);
        let covering = covers.into_iter().flatten().find(queued).cloned();
        let (key, namespace, tombstone) = match covering {
            Some(covering) => (covering, None, None),
            None => (key, namespace, tombstone),
        };
        let since = self.by_key.get(&key).map_or(now, |earlier| earlier.since);
        self.by_key.insert(key, Removal { count: self.count, since, namespace, tombstone });
    }

    /// Lets so many more stay.
    pub(super) fn allow(&mut self, more: usize) {
        self.allowance = self.allowance.max(more);
    }

    /// Widens if there are more: to the namespaces, and if that is not enough, to everything.
    pub(super) fn bound(&mut self, most: usize, everything: &Arc<str>) {
        let most = most.saturating_add(self.allowance);
        if self.by_key.len() > most {
            self.widen(|removal| removal.namespace.clone());
        }
        if self.by_key.len() > most {
            self.widen(|_| Some(Arc::clone(everything)));
        }
    }

    /// Puts that in their place which covers them.
    fn widen(&mut self, cover: impl Fn(&Removal) -> Option<Arc<str>>) {
        let covered = self.by_key.extract_if(|_, removal| cover(removal).is_some());
        let covered: Vec<Removal> = covered.map(|(_, removal)| removal).collect();
        for removal in covered {
            let Some(key) = cover(&removal) else { continue };
            let wide = Removal { namespace: None, tombstone: None, ..removal };
            let known = self.by_key.entry(key).or_insert_with(|| Removal { ..wide });
            known.since = known.since.min(removal.since);
            known.count = known.count.max(removal.count);
        }
    }

    /// Removes those that have not been added again since they had these numbers.
    pub(super) fn remove(&mut self, sent: &[(Arc<str>, u64)]) {
        for (key, count) in sent {
            if self.by_key.get(key).is_some_and(|removal| removal.count == *count) {
                self.by_key.remove(key);
            }
        }
        if self.by_key.is_empty() {
            self.by_key = HashMap::new();
            self.allowance = 0;
        }
    }

    /// Those with a number up to this one.
    pub(super) fn upto(&self, upto: u64) -> impl Iterator<Item = (&Arc<str>, &Removal)> {
        self.by_key.iter().filter(move |(_, removal)| removal.count <= upto)
    }

    /// A copy of each.
    pub(super) fn copies(&self) -> Vec<Pending> {
        let copy = |(key, removal): (&Arc<str>, &Removal)| Pending {
            key: Arc::clone(key),
            namespace: removal.namespace.clone(),
            tombstone: removal.tombstone.clone(),
        };
        self.by_key.iter().map(copy).collect()
    }

    pub(super) fn contains(&self, key: &str) -> bool {
        self.by_key.contains_key(key)
    }

    /// The number of the latest.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    pub(super) fn len(&self) -> usize {
        self.by_key.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }

    /// When the oldest was added.
    pub(super) fn since(&self) -> Option<Millis> {
        self.by_key.values().map(|removal| removal.since).min()
    }

    #[cfg(test)]
    pub(super) fn keys(&self) -> impl Iterator<Item = &Arc<str>> {
        self.by_key.keys()
    }
}
