//! Entries: a value with its times, and what it was filled under. Pure.

use bytes::Bytes;
use smallvec::SmallVec;

use crate::clock::Millis;
use crate::codec::Format;
use crate::ttl::{NEVER, Ttl};

/// The times of an entry, in unix milliseconds of the store's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EntryTimes {
    /// When the value was written.
    pub created: Millis,
    /// Until when it answers, `u64::MAX` stands for "does not expire"; not after `created`: it never
    /// does.
    pub fresh_until: Millis,
    /// Until when it may be served stale; never before `fresh_until`.
    pub stale_until: Millis,
}

impl EntryTimes {
    /// An entry written at `now`, with no stale period.
    pub fn new(now: Millis, ttl: Ttl) -> Self {
        let until = ttl.until(now);
        Self { created: now, fresh_until: until, stale_until: until }
    }

    /// The times of an entry that is stale since `at`, or since `now` if that is earlier: it is of
    /// use for as long from then on as it would have been past its freshness, and never longer than
    /// it was to be.
    pub(crate) fn stale_since(self, at: Millis, now: Millis) -> Self {
        let grace = self.stale_until.saturating_sub(self.fresh_until);
        let fresh_until = self.fresh_until.min(at).min(now);
        let stale_until = self.stale_until.min(fresh_until.saturating_add(grace));
        Self { fresh_until, stale_until, ..self }
    }

    /// The times of an entry that becomes stale by itself at `now`, and is never fresh again,
    /// whatever the clock says that looks at it.
    pub(crate) fn stale_from(self, now: Millis) -> Self {
        let times = self.stale_since(now, now);
        // What has been stale for some time already has been so since then.
        Self { created: now, stale_until: times.stale_until.max(now), ..times }
    }

    /// Whether the entry has never been fresh.
    pub(crate) fn is_born_stale(&self) -> bool {
        self.created >= self.fresh_until
    }

    /// Whether the entry answers at `now`.
    pub fn is_fresh(&self, now: Millis) -> bool {
        now < self.fresh_until && !self.is_born_stale()
    }

    /// Whether the entry is of any use at `now`.
    pub fn is_alive(&self, now: Millis) -> bool {
        now < self.stale_until
    }

    /// How long a store has to keep the entry, in milliseconds; `None`: until removed.
    pub fn keep_for(&self, now: Millis) -> Option<Millis> {
        (self.stale_until != NEVER).then(|| self.stale_until.saturating_sub(now))
    }

    /// How long the entry is still fresh, in milliseconds; `None`: it does not expire.
    pub fn fresh_for(&self, now: Millis) -> Option<Millis> {
        (self.fresh_until != NEVER).then(|| self.fresh_until.saturating_sub(now))
    }
}

/// The generation that a scope had before the fill began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Recorded {
    /// Fingerprint of the scope's name.
    pub(crate) scope: u64,
    pub(crate) id: u64,
    /// Of the latest soft invalidation; zero: there was none.
    pub(crate) soft: u64,
}

/// What an envelope holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Random; tells this write from every other write to the same key.
    pub(crate) id: u64,
    pub(crate) times: EntryTimes,
    /// Version of the value's shape, chosen by the application.
    pub(crate) schema: u32,
    pub(crate) format: Format,
    pub(crate) generations: SmallVec<[Recorded; 4]>,
    /// Rendered: scopes that the key does not show; their generations are among `generations`.
    pub(crate) tags: Vec<Box<str>>,
    /// What the application said of the value, for when it has to be made again.
    pub(crate) etag: Option<Box<str>>,
    /// The key that the value was written under, whole and unfolded.
    pub(crate) identity: Bytes,
    pub(crate) payload: Bytes,
}

impl Entry {
    /// What is recorded of a scope.
    pub(crate) fn recorded(&self, fingerprint: u64) -> Option<Recorded> {
        self.generations.iter().find(|recorded| recorded.scope == fingerprint).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_becomes_stale_keeps_its_grace_and_no_more() {
        let times = EntryTimes { created: 100, fresh_until: 200, stale_until: 250 };
        let stale = |at, now| {
            let EntryTimes { fresh_until, stale_until, .. } = times.stale_since(at, now);
            (fresh_until, stale_until)
        };
        assert_eq!(stale(120, 130), (120, 170));
        assert_eq!(stale(900, 130), (130, 180), "told by a clock that is ahead");
        assert_eq!(stale(230, 240), (200, 250), "stale already");
        let never = EntryTimes { created: 1, fresh_until: NEVER, stale_until: NEVER };
        assert_eq!(never.stale_since(120, 130).stale_until, 120);
    }

    /// Pinned: an entry that was invalidated softly by a node whose clock was ahead stayed fresh
    /// until then.
    #[test]
    fn what_has_become_stale_by_itself_is_fresh_by_no_clock() {
        let times = EntryTimes { created: 100, fresh_until: 200, stale_until: 250 };
        for now in [100, 120, 190, 900] {
            let stale = times.stale_from(now);
            assert!((0..1_000).all(|clock| !stale.is_fresh(clock)), "{now}");
            assert!(stale.fresh_until <= stale.stale_until, "{now}");
        }
        assert_eq!(times.stale_from(120).stale_until, 170);
        assert_eq!(times.stale_from(120).stale_from(160).fresh_until, 120, "a second time");
    }
}
