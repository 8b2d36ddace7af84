//! Reading: L1, then the store, with the generations in the same round trip.

mod answer;
mod meet;
mod open;
mod tags;

use std::sync::Arc;

use bytes::Bytes;
use smallvec::SmallVec;

use self::answer::{Answer, check_answer, drop_if_past_its_time};
use crate::clock::{Deadline, Millis, Stopwatch};
use crate::coherence::versions::Mark;
use crate::error::Error;
use crate::fill::{Fill, NewEntry};
use crate::invalidate::fence::Fence;
use crate::invalidate::generation::{GenerationCell, GenerationRef, GenerationRefs};
use crate::invalidate::wanted::WantedScopes;
use crate::l1::{Shared, Slot};
use crate::pending::new_slot;
use crate::state::{EntryKey, Inner};
use crate::stats::StoreOperation;
use crate::store::{Fetched, Store};

pub(crate) use self::answer::StoredEntry;

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

struct Asked<'k> {
    key: &'k Arc<EntryKey>,
    /// What others do from then on may not be known here: L1 counts from then.
    at: Millis,
    fence: Fence,
    generations: GenerationRefs,
    /// Of the sweeps of the namespace, where a fill may follow.
    swept: Option<GenerationRef>,
}

/// What a question to the store is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Read,
    /// What is not there will be filled.
    Fill,
}

/// Most questions are about one key.
type Answers<'k> = SmallVec<[(Asked<'k>, Answer); 1]>;

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
        let (asked, answer) = self.ask_store_for_fill(key, deadline).await;
        self.conclude(asked, answer, None)
    }

    /// As [`find_in_store`](Self::find_in_store), for several keys in one round trip.
    pub(crate) async fn find_each_in_store(
        self: &Arc<Self>,
        keys: &[Arc<EntryKey>],
        deadline: Deadline,
    ) -> Vec<(Option<Arc<Slot>>, Fill)> {
        let answers = self.ask_store(keys, Purpose::Fill, deadline).await;
        answers.into_iter().map(|(asked, answer)| self.conclude(asked, answer, None)).collect()
    }

    /// Several keys at once, past L1: the entries of those that have a valid one. `now` is when
    /// the read began.
    pub(crate) async fn find_all_in_store(
        self: &Arc<Self>,
        keys: &[Arc<EntryKey>],
        now: Millis,
        deadline: Deadline,
    ) -> Vec<Option<Arc<Slot>>> {
        let answers = self.ask_store(keys, Purpose::Read, deadline).await;
        let hit = |(asked, answer): (Asked<'_>, Answer)| self.hit(&asked, answer, None, now);
        answers.into_iter().map(hit).collect()
    }

    /// Looks keys up in the store, one answer for each, past L1.
    pub(crate) async fn lookup_in_store(
        self: &Arc<Self>,
        keys: &[Arc<EntryKey>],
        decode: Decode<'_>,
        deadline: Deadline,
    ) -> Vec<Lookup> {
        let answers = self.ask_store(keys, Purpose::Fill, deadline).await;
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
        match self.ask_store(std::slice::from_ref(key), Purpose::Read, deadline).await.pop() {
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

    /// The stored entries of several keys, past L1: those that are valid.
    ///
    /// # Errors
    /// When the store could not be asked.
    pub(crate) async fn stored_entries(
        &self,
        keys: &[Arc<EntryKey>],
        deadline: Deadline,
    ) -> Result<Vec<Option<StoredEntry>>, Error> {
        let answers = self.ask_store(keys, Purpose::Read, deadline).await;
        let entry = |(_, answer)| match answer {
            Answer::Found { entry, .. } => Ok(entry),
            Answer::Failed(error) => Err(error),
            Answer::NoStore | Answer::Crossed => Ok(None),
        };
        answers.into_iter().map(entry).collect()
    }

    /// A fill of a key whatever is there: fenced against what happens from now on.
    pub(crate) async fn fill_anew(
        self: &Arc<Self>,
        key: &Arc<EntryKey>,
        deadline: Deadline,
    ) -> Fill {
        let (asked, answer) = self.ask_store_for_fill(key, deadline).await;
        self.anew(asked, &answer)
    }

    /// As [`fill_anew`](Self::fill_anew), for several keys in one round trip.
    pub(crate) async fn fill_each_anew(
        self: &Arc<Self>,
        keys: &[Arc<EntryKey>],
        deadline: Deadline,
    ) -> Vec<Fill> {
        let answers = self.ask_store(keys, Purpose::Fill, deadline).await;
        answers.into_iter().map(|(asked, answer)| self.anew(asked, &answer)).collect()
    }

    /// A fill of a key whose value is to be kept nowhere: nobody is asked anything.
    pub(crate) fn fill_unasked(self: &Arc<Self>, key: &Arc<EntryKey>) -> Fill {
        self.anew(self.ask(key, Purpose::Fill), &Answer::NoStore)
    }

    fn anew(self: &Arc<Self>, asked: Asked<'_>, answer: &Answer) -> Fill {
        let expect = match answer {
            Answer::Found { state, .. } => Some(state.clone()),
            Answer::NoStore | Answer::Failed(_) | Answer::Crossed => None,
        };
        Fill::new(self, asked.key, asked.generations, asked.fence, expect, asked.at)
    }

    async fn ask_store_for_fill<'k>(
        &self,
        key: &'k Arc<EntryKey>,
        deadline: Deadline,
    ) -> (Asked<'k>, Answer) {
        let keys = std::slice::from_ref(key);
        let answers = self.ask_store(keys, Purpose::Fill, deadline).await.pop();
        answers.unwrap_or_else(|| (self.ask(key, Purpose::Fill), Answer::NoStore))
    }

    async fn ask_store<'k>(
        &self,
        keys: &'k [Arc<EntryKey>],
        purpose: Purpose,
        deadline: Deadline,
    ) -> Answers<'k> {
        let mut attempt = 1;
        loop {
            let asked = keys.iter().map(|key| (self.ask(key, purpose), Answer::NoStore));
            let mut answers: Answers<'k> = asked.collect();
            let Some(store) = self.settled_store(deadline).await else { return answers };
            self.fetch_entries(&**store, &mut answers, deadline).await;
            self.meet_namespaces(&**store, &mut answers, deadline).await;
            let crossed = answers.iter().any(|(_, answer)| matches!(answer, Answer::Crossed));
            if !crossed || attempt == ATTEMPTS {
                let now = self.clock.now();
                for (asked, answer) in &mut answers {
                    check_answer(asked, answer, now);
                }
                self.check_tags(&**store, &mut answers, deadline).await;
                self.open(&mut answers, deadline).await;
                for (_, answer) in &mut answers {
                    drop_if_past_its_time(answer, now);
                }
                return answers;
            }
            attempt += 1;
        }
    }

    /// One round trip: the values, and the generations they need.
    async fn fetch_entries(
        &self,
        store: &dyn Store,
        answers: &mut [(Asked<'_>, Answer)],
        deadline: Deadline,
    ) {
        let asked_for: SmallVec<[&EntryKey; 1]> =
            answers.iter().map(|(asked, _)| &**asked.key).collect();
        let fills = answers.iter().filter_map(|(asked, _)| asked.swept.as_ref().map(|_| asked.key));
        let swept: SmallVec<[Arc<GenerationCell>; 1]> =
            fills.map(|key| Arc::clone(&key.namespace.swept)).collect();
        let scopes = asked_for.iter().flat_map(|key| &key.cells).chain(&swept);
        let mut wanted = WantedScopes::new(scopes);
        let keys = asked_for.iter().map(|key| &*key.rendered);
        let keys: SmallVec<[&str; 8]> = keys.chain(wanted.names()).collect();
        let began = Stopwatch::start();
        let found: Result<SmallVec<[Fetched; 4]>, Error> = if answers.len() == 1 {
            let found = self.fetch(store, &keys, deadline).await;
            found.map(|found| found.into_iter().map(Ok).collect())
        } else {
            self.fetch_each(store, &keys, deadline).await.map(SmallVec::from_vec)
        };
        let all = found.as_ref().is_ok_and(|found| found.iter().all(Result::is_ok));
        self.operations.ended(StoreOperation::Read, began.elapsed(), all);
        let mut found = match found {
            Ok(found) => found,
            Err(error) => {
                for (_, answer) in answers {
                    *answer = Answer::Failed(error.again());
                }
                return;
            }
        };
        wanted.answer_each(found.drain(answers.len().min(found.len())..));
        for ((asked, answer), value) in answers.iter_mut().zip(found) {
            // Of what could not be asked nothing is known: neither that it is absent, nor that it
            // has changed.
            let mut scopes = asked.generations.iter().chain(&asked.swept);
            let lost = scopes.find_map(|scope| wanted.error(&scope.cell)).map(Error::again);
            let value = match (value, lost) {
                (Ok(value), None) => value,
                (_, Some(error)) | (Err(error), None) => {
                    *answer = Answer::Failed(error);
                    continue;
                }
            };
            if let Some(value) = &value {
                asked.key.note(|counts| counts.bytes_read.add(value.len() as u64));
            }
            if let Some(swept) = &mut asked.swept {
                // What was found is right whatever was swept meanwhile; a fill begins after this.
                swept.observe(wanted.found(&swept.cell));
            }
            // All of them, so that each cell learns its id.
            let crossed = asked
                .generations
                .iter_mut()
                .map(|generation| generation.observe(wanted.found(&generation.cell)))
                .filter(|current| !current)
                .count();
            *answer = if crossed == 0 { Answer::found(value.as_ref()) } else { Answer::Crossed };
        }
    }

    fn ask<'k>(&self, key: &'k Arc<EntryKey>, purpose: Purpose) -> Asked<'k> {
        let swept = (purpose == Purpose::Fill).then(|| key.namespace.swept.snapshot());
        Asked {
            key,
            at: self.clock.now(),
            fence: self.fences.raise(key.hash, &key.rendered),
            generations: key.cells.iter().map(GenerationCell::snapshot).collect(),
            swept,
        }
    }

    /// The hit, and a fill.
    fn conclude(
        self: &Arc<Self>,
        asked: Asked<'_>,
        answer: Answer,
        decode: Option<Decode<'_>>,
    ) -> (Option<Arc<Slot>>, Fill) {
        let expect = match &answer {
            Answer::Found { state, left: false, .. } => Some(state.clone()),
            _ => None,
        };
        let hit = self.hit(&asked, answer, decode, asked.at);
        let Asked { key, at, fence, generations, .. } = asked;
        (hit, Fill::new(self, key, generations, fence, expect, at))
    }

    /// Makes the hit, and puts it into L1 unless the key was written meanwhile.
    fn hit(
        &self,
        asked: &Asked<'_>,
        answer: Answer,
        decode: Option<Decode<'_>>,
        now: Millis,
    ) -> Option<Arc<Slot>> {
        let Answer::Found { entry: Some(stored), .. } = answer else { return None };
        let (key, mark) = (asked.key, asked.fence.noted().covered());
        let slot = slot(key, stored, decode, now, mark)?;
        if key.namespace.l1 && key.is_up_to_date() {
            self.look_into_scopes(&slot);
            asked.fence.pass(|| key.namespace.region.insert(key.hash, Arc::clone(&slot)));
        }
        Some(slot)
    }
}

fn slot(
    key: &EntryKey,
    StoredEntry { entry, generations, .. }: StoredEntry,
    decode: Option<Decode<'_>>,
    now: Millis,
    mark: Mark,
) -> Option<Arc<Slot>> {
    let decoded = match decode {
        Some(decode) => {
            let decoded = decode(&entry.payload);
            if decoded.is_none() {
                key.note(|counts| counts.errors.one());
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
    Some(new_slot(key, entry.id, value, (generations, entry.etag), now, mark))
}
