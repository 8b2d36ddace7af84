//! What the store said about one key, and whether it is of use.

use bytes::Bytes;

use super::Asked;
use crate::clock::Millis;
use crate::codec::{Decoded, Wrapping, WriteId, decode, write_id};
use crate::entry::{Entry, EntryTimes};
use crate::error::Error;
use crate::invalidate::generation::{GenerationRefs, Standing};
use crate::state::EntryKey;

/// An entry that came back from the store.
pub(crate) struct StoredEntry {
    pub(crate) entry: Entry,
    /// How its payload is packed, until it is opened.
    pub(super) wrapping: Option<Wrapping>,
    /// Those of the key, then those of the tags, in the state in which the entry was filled.
    pub(crate) generations: GenerationRefs,
    /// Its tags are current as far as is known here, and that is proven.
    pub(super) vouched_for: bool,
}

impl StoredEntry {
    /// How many of the generations, the first ones, are those of the key. For one whose tags have been
    /// looked up.
    pub(super) fn generations_of_key(&self) -> usize {
        self.generations.len().saturating_sub(self.entry.tags.len())
    }

    /// Its times; as they are since the latest soft invalidation, if there was one.
    pub(crate) fn times(&self, now: Millis) -> EntryTimes {
        match Standing::of(&self.generations) {
            Standing::Current => self.entry.times,
            Standing::Stale(at) => self.entry.times.stale_since(at, now),
            // Since it was checked. Whether it was stale before, it does not tell any more.
            Standing::Invalid => self.entry.times.stale_since(0, now),
        }
    }
}

/// What the store said about one key.
#[allow(clippy::large_enum_variant, reason = "one for each key asked for, short-lived")]
pub(super) enum Answer {
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
        /// It is not readable here, but elsewhere: no fill may take its place.
        left: bool,
    },
}

impl Answer {
    pub(super) fn found(value: Option<&Bytes>) -> Self {
        let (entry, wrapping, corrupt) = match value.map(decode) {
            Some(Decoded::Value(entry)) => (Some(entry), None, false),
            Some(Decoded::Packed(entry, wrapping)) => (Some(entry), Some(wrapping), false),
            Some(Decoded::Corrupt) => (None, None, true),
            Some(Decoded::Tombstone) | None => (None, None, false),
        };
        let stored = |entry| {
            let generations = GenerationRefs::new();
            StoredEntry { entry, wrapping, generations, vouched_for: false }
        };
        Self::Found { entry: entry.map(stored), state: write_id(value), corrupt, left: false }
    }

    /// The place of an entry that has tags.
    pub(super) fn tagged_entry(&mut self) -> Option<&mut Option<StoredEntry>> {
        match self {
            Self::Found { entry, .. } => {
                entry.as_ref().is_some_and(|stored| !stored.entry.tags.is_empty()).then_some(entry)
            }
            _ => None,
        }
    }
}

/// A key could not be looked up.
pub(super) fn note_failure(key: &EntryKey, error: &Error) {
    key.note(|counts| counts.errors.one());
    tracing::debug!(%error, key = %key.shown(), "lookup failed");
}

/// Drops what is expired, bound to another key, or of an older generation.
pub(super) fn check_answer(asked: &Asked<'_>, answer: &mut Answer, now: Millis) {
    let key = asked.key;
    match answer {
        Answer::Failed(error) => note_failure(key, error),
        Answer::Found { entry, corrupt, .. } => {
            if *corrupt {
                key.note(|counts| counts.errors.one());
                tracing::debug!(key = %key.shown(), "damaged entry");
            }
            entry.take_if(|stored| !is_valid(asked, stored, now));
        }
        Answer::NoStore | Answer::Crossed => {}
    }
}

fn is_valid(asked: &Asked<'_>, stored: &mut StoredEntry, now: Millis) -> bool {
    let entry = &stored.entry;
    let is_this = asked.key.is_up_to_date() && entry.identity == asked.key.bound;
    if !is_this || !entry.times.is_alive(now) {
        return false;
    }
    let scopes = asked.generations.iter();
    let valid = scopes.map(|scope| scope.of_entry(entry.recorded(scope.cell.fingerprint)));
    let Some(generations) = valid.collect() else { return false };
    stored.generations = generations;
    true
}

/// Drops what has been stale for too long.
pub(super) fn drop_if_past_its_time(answer: &mut Answer, now: Millis) {
    if let Answer::Found { entry, .. } = answer {
        entry.take_if(|stored| !stored.times(now).is_alive(now));
    }
}
