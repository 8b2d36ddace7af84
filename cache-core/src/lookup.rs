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
use crate::invalidate::generation::{
    GenerationCell, GenerationRef, GenerationRefs, distinct_names, ids_by_name,
};
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
        key.namespace.peek(key.hash, &key.identity, self.clock.now())
    }

    /// What the store holds under a key: an entry that is valid and not past its stale period, or
    /// nothing. And a fill, for when that is of no use. Counts no hits and misses, as below.
    pub(crate) async fn find_in_store(
        self: &Arc<Self>,
        key: &Arc<EntryKey>,
        deadline: Deadline,
    ) -> (Option<Arc<Slot>>, Fill) {
        let answers = self.ask_store(std::slice::from_ref(key), deadline).await.pop();
        let (asked, answer) = answers.unwrap_or_else(|| (self.ask(key), Answer::NoStore));
        self.conclude(asked, answer, None)
    }

    /// Several keys at once, past L1: the entries of those that have a valid one.
    pub(crate) async fn find_all_in_store(
        self: &Arc<Self>,
        keys: &[Arc<EntryKey>],
        deadline: Deadline,
    ) -> Vec<Option<Arc<Slot>>> {
        let answers = self.ask_store(keys, deadline).await;
        answers.into_iter().map(|(asked, answer)| self.conclude(asked, answer, None).0).collect()
    }

    /// Looks keys up in the store, one answer for each, past L1.
    pub(crate) async fn lookup_in_store(
        self: &Arc<Self>,
        keys: &[Arc<EntryKey>],
        decode: Decode<'_>,
        deadline: Deadline,
    ) -> Vec<Lookup> {
        let answers = self.ask_store(keys, deadline).await;
        let lookup = |(asked, answer): (Asked<'_>, Answer)| {
            let (hit, fill) = self.conclude(asked, answer, Some(decode));
            hit.map_or_else(|| Lookup::Miss(fill), Lookup::Hit)
        };
        answers.into_iter().map(lookup).collect()
    }

    /// The stored entry of one key, past L1: for those who change it.
    ///
    /// # Errors
    /// When there is a store, and it is away.
    pub(crate) async fn stored_entry(
        self: &Arc<Self>,
        key: &Arc<EntryKey>,
        deadline: Deadline,
    ) -> Result<Option<StoredEntry>, Error> {
        match self.ask_store(std::slice::from_ref(key), deadline).await.pop() {
            Some((_, Answer::Found { entry, .. })) => Ok(entry),
            Some((_, Answer::Failed(error))) => Err(error),
            Some((_, Answer::NoStore)) => match &self.store {
                // Why it is not worth asking, it says at once.
                Some(store) => store.ping(deadline).await.map(|()| None),
                None => Ok(None),
            },
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
            let Some(store) = self.settled_store(deadline).await else {
                return asked.into_iter().map(|asked| (asked, Answer::NoStore)).collect();
            };
            let mut answers = fetch_entries(&**store, &mut asked, deadline).await;
            let crossed = answers.iter().any(|answer| matches!(answer, Answer::Crossed));
            if !crossed || attempt == ATTEMPTS {
                for (asked, answer) in asked.iter().zip(&mut answers) {
                    self.check_answer(asked, answer);
                }
                self.check_tags(&**store, &mut answers, deadline).await;
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
    fn check_answer(&self, asked: &Asked<'_>, answer: &mut Answer) {
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
                entry.take_if(|stored| !self.is_valid(asked, &stored.entry));
                if let Some(stored) = entry {
                    stored.generations.clone_from(&asked.generations);
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

    /// Tags are known only once the entries are there, so their generations cost a second look:
    /// one for all of them. Drops the entries with a tag that has been invalidated.
    async fn check_tags(&self, store: &dyn Store, answers: &mut [Answer], deadline: Deadline) {
        let mut tagged: Vec<(&mut Option<StoredEntry>, GenerationRefs)> = Vec::new();
        for answer in answers {
            let Answer::Found { entry, .. } = answer else { continue };
            let Some(tags) = entry.as_ref().map(|stored| &stored.entry.tags) else { continue };
            if tags.is_empty() {
                continue;
            }
            let cell = |tag: &str| self.generations.cell(&self.names.tag(tag)).snapshot();
            let tags = tags.iter().map(|tag| cell(tag)).collect();
            tagged.push((entry, tags));
        }
        if tagged.is_empty() {
            return;
        }
        let names = distinct_names(tagged.iter().flat_map(|(_, tags)| tags));
        let keys: Vec<&str> = names.iter().map(|name| &**name).collect();
        let found = store.fetch(&keys, deadline).await.unwrap_or_default();
        let ids = ids_by_name(&names, &found);
        for (entry, mut tags) in tagged {
            entry.take_if(|stored| {
                let mut current = true;
                for tag in &mut tags {
                    let id = ids.get(&tag.cell.name).copied();
                    current &= tag.observe(id)
                        && id.is_some()
                        && stored.entry.generation(tag.cell.fingerprint) == id;
                }
                !current
            });
            if let Some(stored) = entry {
                stored.generations.extend(tags);
            }
        }
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
    let scopes = distinct_names(asked.iter().flat_map(|asked| &asked.generations));
    let keys = asked.iter().map(|asked| &*asked.key.rendered);
    let keys: Vec<&str> = keys.chain(scopes.iter().map(|name| &**name)).collect();
    let found = match store.fetch(&keys, deadline).await {
        Ok(found) => found,
        Err(error) => {
            let kind = error.kind();
            let text = error.to_string();
            return asked.iter().map(|_| Answer::Failed(Error::new(kind, text.clone()))).collect();
        }
    };
    let (values, ids) = found.split_at_checked(asked.len()).unwrap_or((&[], &[]));
    let ids = ids_by_name(&scopes, ids);
    let observe = |generation: &mut GenerationRef| {
        generation.observe(ids.get(&generation.cell.name).copied())
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
