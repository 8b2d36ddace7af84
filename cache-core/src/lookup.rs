//! Reading: L1, then the store, with the generations in the same round trip.

use std::sync::Arc;

use bytes::Bytes;
use smallvec::SmallVec;

use crate::clock::Deadline;
use crate::codec::{Decoded, WriteId, decode, write_id};
use crate::entry::Entry;
use crate::error::Error;
use crate::fill::{Fill, NewEntry, new_slot};
use crate::invalidate::fence::Fence;
use crate::invalidate::generation::{GenerationCell, GenerationRef, GenerationRefs, parse_id};
use crate::l1::{Shared, Slot};
use crate::state::{EntryKey, Inner};
use crate::store::Store;

/// What a lookup found.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "moved once, then taken apart")]
pub enum Lookup {
    /// An entry that is valid and not past its stale period; whether it is fresh, its times tell.
    Hit(Arc<Slot>),
    /// Nothing; a fill that begins now is fenced against what happens from now on.
    Miss(Fill),
}

/// Makes a value of a payload once, with what it weighs in memory; `None` if the payload is not
/// what was expected: then the entry is a miss.
pub type Decode<'d> = &'d (dyn Fn(&Bytes) -> Option<(Shared, usize)> + Sync);

/// A read that crossed an invalidation is repeated this often before it is given up as a miss.
const ATTEMPTS: usize = 3;

/// What came back for one key from the store.
pub(crate) struct StoredEntry {
    pub(crate) entry: Entry,
    pub(crate) generations: GenerationRefs,
}

struct Asked<'k> {
    key: &'k Arc<EntryKey>,
    fence: Fence,
    generations: GenerationRefs,
}

impl Inner {
    /// The entry of a key in this process' memory, if it is of use.
    pub(crate) fn peek(&self, key: &EntryKey) -> Option<Arc<Slot>> {
        let namespace = &key.namespace;
        if !namespace.l1 {
            return None;
        }
        let now = self.clock.now();
        namespace.region.get(key.hash, namespace.number, &key.identity, now)
    }

    /// Looks a key up in L1, then in the store.
    pub(crate) async fn lookup(
        self: &Arc<Self>,
        key: &Arc<EntryKey>,
        decode: Option<Decode<'_>>,
        deadline: Deadline,
    ) -> Lookup {
        let counters = &key.namespace.counters;
        if let Some(slot) = self.peek(key) {
            counters.l1_hits.one();
            return Lookup::Hit(slot);
        }
        let found = self.lookup_in_store(std::slice::from_ref(key), decode, deadline).await.pop();
        if let Some(Lookup::Hit(slot)) = found {
            counters.store_hits.one();
            return Lookup::Hit(slot);
        }
        counters.misses.one();
        found.unwrap_or_else(|| Lookup::Miss(self.new_fill(key)))
    }

    /// Looks several keys up, those that L1 does not hold in one round trip.
    pub(crate) async fn lookup_many(
        self: &Arc<Self>,
        keys: &[Arc<EntryKey>],
        deadline: Deadline,
    ) -> Vec<Option<Arc<Slot>>> {
        let mut found: Vec<Option<Arc<Slot>>> = keys.iter().map(|key| self.peek(key)).collect();
        let missing: Vec<Arc<EntryKey>> = keys
            .iter()
            .zip(&found)
            .filter(|(key, slot)| {
                if slot.is_some() {
                    key.namespace.counters.l1_hits.one();
                }
                slot.is_none()
            })
            .map(|(key, _)| Arc::clone(key))
            .collect();
        if missing.is_empty() {
            return found;
        }
        let mut from_store = self.lookup_in_store(&missing, None, deadline).await.into_iter();
        for (slot, key) in found.iter_mut().zip(keys).filter(|(slot, _)| slot.is_none()) {
            if let Some(Lookup::Hit(hit)) = from_store.next() {
                key.namespace.counters.store_hits.one();
                *slot = Some(hit);
            } else {
                key.namespace.counters.misses.one();
            }
        }
        found
    }

    /// Looks keys up in the store, one answer for each, past L1. Counts no hits and misses.
    pub(crate) async fn lookup_in_store(
        self: &Arc<Self>,
        keys: &[Arc<EntryKey>],
        decode: Option<Decode<'_>>,
        deadline: Deadline,
    ) -> Vec<Lookup> {
        let answers = self.ask_store(keys, deadline).await;
        let lookup = |(asked, stored): (Asked<'_>, Answer)| {
            let (hit, fill) = self.conclude(asked, stored, decode);
            hit.map_or_else(|| Lookup::Miss(fill), Lookup::Hit)
        };
        answers.into_iter().map(lookup).collect()
    }

    /// The stored entry of one key, past L1 and without counting: for those who change it.
    pub(crate) async fn stored_entry(
        self: &Arc<Self>,
        key: &Arc<EntryKey>,
        deadline: Deadline,
    ) -> Result<Option<StoredEntry>, Error> {
        match self.ask_store(std::slice::from_ref(key), deadline).await.pop() {
            Some((_, Answer::Found { entry, .. })) => Ok(entry),
            Some((_, Answer::Failed(error))) => Err(error),
            _ => Ok(None),
        }
    }

    async fn ask_store<'k>(
        &self,
        keys: &'k [Arc<EntryKey>],
        deadline: Deadline,
    ) -> Vec<(Asked<'k>, Answer)> {
        let mut attempt = 1;
        loop {
            let mut asked: Vec<Asked<'k>> = keys.iter().map(|key| self.ask(key)).collect();
            let Some(store) = self.available_store() else {
                return asked.into_iter().map(|asked| (asked, Answer::NoStore)).collect();
            };
            let answers = fetch_entries(&**store, &mut asked, deadline).await;
            let crossed = answers.iter().any(|answer| matches!(answer, Answer::Crossed));
            if !crossed || attempt == ATTEMPTS {
                let mut answers = answers;
                for (asked, answer) in asked.iter_mut().zip(&mut answers) {
                    self.check_answer(&**store, asked, answer, deadline).await;
                }
                return asked.into_iter().zip(answers).collect();
            }
            attempt += 1;
        }
    }

    fn ask<'k>(&self, key: &'k Arc<EntryKey>) -> Asked<'k> {
        Asked {
            key,
            fence: self.fences.raise(key.hash, &key.rendered),
            generations: key.cells.iter().map(GenerationCell::snapshot).collect(),
        }
    }

    /// Drops what is expired, bound to another key, or of an older generation.
    async fn check_answer(
        &self,
        store: &dyn Store,
        asked: &Asked<'_>,
        answer: &mut Answer,
        deadline: Deadline,
    ) {
        match answer {
            Answer::Failed(error) => {
                asked.key.namespace.counters.errors.one();
                tracing::debug!(%error, key = %asked.key.rendered, "lookup failed");
            }
            Answer::Found { entry, corrupt, .. } => {
                if *corrupt {
                    asked.key.namespace.counters.errors.one();
                    tracing::debug!(key = %asked.key.rendered, "damaged entry");
                }
                let Some(mut stored) = entry.take() else { return };
                if !self.is_valid(asked, &stored.entry) {
                    return;
                }
                stored.generations.clone_from(&asked.generations);
                if stored.entry.tags.is_empty()
                    || self.check_tags(store, &mut stored, deadline).await
                {
                    *entry = Some(stored);
                }
            }
            Answer::NoStore | Answer::Crossed => {}
        }
    }

    fn is_valid(&self, asked: &Asked<'_>, entry: &Entry) -> bool {
        entry.identity == asked.key.bound
            && entry.times.is_alive(self.clock.now())
            && asked.generations.iter().all(|generation| {
                let current = generation.id;
                current.is_some() && entry.generation(generation.cell.fingerprint) == current
            })
    }

    /// Tags are known only once the entry is there, so their generations cost a second look.
    async fn check_tags(
        &self,
        store: &dyn Store,
        stored: &mut StoredEntry,
        deadline: Deadline,
    ) -> bool {
        let mut tags: GenerationRefs = SmallVec::new();
        for tag in &stored.entry.tags {
            tags.push(self.generations.cell(&self.names.tag(tag)).snapshot());
        }
        let names: Vec<Arc<str>> = tags.iter().map(|tag| Arc::clone(&tag.cell.name)).collect();
        let names: Vec<&str> = names.iter().map(|name| &**name).collect();
        let Ok(ids) = store.fetch(&names, deadline).await else { return false };
        let current = tags.iter_mut().zip(ids).all(|(tag, id)| {
            let id = id.as_deref().and_then(parse_id);
            tag.observe(id) && id.is_some() && stored.entry.generation(tag.cell.fingerprint) == id
        });
        stored.generations.extend(tags);
        current
    }

    /// Makes the hit, and puts it into L1 unless the key was written meanwhile; or the fill.
    fn conclude(
        self: &Arc<Self>,
        asked: Asked<'_>,
        answer: Answer,
        decode: Option<Decode<'_>>,
    ) -> (Option<Arc<Slot>>, Fill) {
        let expect = match &answer {
            Answer::Found { state, .. } => Some(state.clone()),
            _ => None,
        };
        let Asked { key, fence, generations } = asked;
        let hit = match answer {
            Answer::Found { entry: Some(stored), .. } => self.slot(key, stored, decode),
            _ => None,
        };
        if let Some(slot) = &hit
            && key.namespace.l1
        {
            fence.pass(|| key.namespace.region.insert(key.hash, Arc::clone(slot)));
        }
        (hit, Fill::new(self, key, generations, fence, expect))
    }

    fn slot(
        &self,
        key: &EntryKey,
        stored: StoredEntry,
        decode: Option<Decode<'_>>,
    ) -> Option<Arc<Slot>> {
        let StoredEntry { entry, generations } = stored;
        let decoded = match decode {
            Some(decode) => {
                let decoded = decode(&entry.payload);
                if decoded.is_none() {
                    key.namespace.counters.errors.one();
                    return None;
                }
                decoded
            }
            None => None,
        };
        let value = NewEntry {
            payload: entry.payload,
            format: entry.format,
            schema: entry.schema,
            times: entry.times,
            decoded,
        };
        Some(new_slot(self, key, entry.id, value, generations))
    }

    /// A fill for a key whose state in the store is not known: it stays in this process.
    fn new_fill(self: &Arc<Self>, key: &Arc<EntryKey>) -> Fill {
        let Asked { key, fence, generations } = self.ask(key);
        Fill::new(self, key, generations, fence, None)
    }
}

/// What the store said about one key.
#[allow(clippy::large_enum_variant, reason = "one for each key asked for, short-lived")]
enum Answer {
    /// There is no store, or it is away.
    NoStore,
    Failed(Error),
    /// A scope was invalidated while the question was under way.
    Crossed,
    Found {
        entry: Option<StoredEntry>,
        /// What a compare-and-set has to compare with.
        state: WriteId,
        corrupt: bool,
    },
}

/// One round trip: the values, and the generations they need.
async fn fetch_entries(
    store: &dyn Store,
    asked: &mut [Asked<'_>],
    deadline: Deadline,
) -> Vec<Answer> {
    let mut names: Vec<Arc<str>> = asked.iter().map(|a| Arc::clone(&a.key.rendered)).collect();
    for generation in asked.iter().flat_map(|a| &a.generations) {
        // Several keys share most of their scopes; there are few of them.
        let name = &generation.cell.name;
        if !names.iter().skip(asked.len()).any(|known| Arc::ptr_eq(known, name)) {
            names.push(Arc::clone(name));
        }
    }
    let keys: Vec<&str> = names.iter().map(|name| &**name).collect();
    let found = match store.fetch(&keys, deadline).await {
        Ok(found) => found,
        Err(error) => {
            let kind = error.kind();
            let text = error.to_string();
            return asked.iter().map(|_| Answer::Failed(Error::new(kind, text.clone()))).collect();
        }
    };
    let (values, ids) = found.split_at_checked(asked.len()).unwrap_or((&[], &[]));
    let observe = |generation: &mut GenerationRef| {
        let position = names
            .iter()
            .skip(values.len())
            .position(|name| Arc::ptr_eq(name, &generation.cell.name));
        let id = position.and_then(|at| ids.get(at)?.as_deref()).and_then(parse_id);
        generation.observe(id)
    };
    let answer = |(asked, value): (&mut Asked<'_>, &Option<Bytes>)| {
        // All of them, so that each cell learns its id.
        let consistent =
            asked.generations.iter_mut().map(observe).filter(|current| !current).count() == 0;
        if !consistent {
            return Answer::Crossed;
        }
        let decoded = value.as_ref().map(decode);
        Answer::Found {
            corrupt: matches!(decoded, Some(Decoded::Corrupt)),
            entry: match decoded {
                Some(Decoded::Value(entry)) => {
                    Some(StoredEntry { entry, generations: SmallVec::new() })
                }
                _ => None,
            },
            state: write_id(value.as_ref()),
        }
    };
    asked.iter_mut().zip(values).map(answer).collect()
}
