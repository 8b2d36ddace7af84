//! Gathering: reads of tasks that ask at the same moment go out as one command.
//!
//! A read of one entry asks for the entry and for the generations of its scopes, which most
//! entries share. Asked for one by one, they cost Redis and the connection as much as the entries
//! do; a command for sixteen entries asks for them once.
//!
//! Nobody waits for others to come: whoever finds nobody else asking goes alone and at once.
//! Otherwise the first opens a batch and starts its leader: a task that steps back until the tasks
//! that can run have run, then asks for all who have joined. (A task, because the first may be
//! cancelled, or be left unpolled for a while.) Every member keeps its own deadline. One whose
//! leader ends with its runtime, or is refused for the sake of another's keys, asks again alone.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use bytes::Bytes;
use smallvec::SmallVec;
use tokio::sync::Notify;
use xxhash_rust::xxh3::xxh3_64;

use crate::error::{Error, ErrorKind};

const MAX_MEMBERS: usize = 64;
/// All members wait for all values; so where values are large, batches have fewer members.
const MAX_BYTES: usize = 1024 * 1024;
/// Reads of more keys than this are batches already.
const MAX_KEYS: usize = 8;

/// Where readers meet.
#[derive(Debug, Default)]
pub(super) struct Gatherer {
    /// The batch that may be joined.
    open: Mutex<Option<Arc<Batch>>>,
    /// How many are asking.
    asking: AtomicUsize,
    /// How many bytes each member of the last batch was answered with.
    bytes_each: AtomicUsize,
}

/// Several reads that go out as one.
#[derive(Debug, Default)]
struct Batch {
    wanted: Mutex<Wanted>,
    outcome: OnceLock<Outcome>,
    done: Notify,
}

/// The keys of a batch, each once.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    text: String,
    /// Of each key the hash, and where it ends in `text`.
    keys: Vec<(u64, usize)>,
    members: usize,
}

#[derive(Debug)]
enum Outcome {
    /// One for each key wanted.
    Values(Vec<Option<Bytes>>),
    Failed(ErrorKind, String),
    /// The leader went away.
    Abandoned,
}

/// Which of the wanted keys are whose.
type Places = SmallVec<[usize; MAX_KEYS]>;

/// Held while asking.
#[derive(Debug)]
pub(super) struct Asking<'g>(&'g Gatherer);

/// How a read goes out.
#[derive(Debug)]
pub(super) enum Joined {
    /// By itself.
    Alone,
    /// In a batch that is open already, or in one that waits for its leader to be started.
    Member(Member, Option<Leader>),
}

/// Held by the one who asks for all. Dropping it without landing sends the members away.
#[derive(Debug)]
pub(super) struct Leader {
    gatherer: Arc<Gatherer>,
    batch: Arc<Batch>,
}

/// Held by one for whom another asks.
#[derive(Debug)]
pub(super) struct Member {
    batch: Arc<Batch>,
    places: Places,
}

impl Gatherer {
    /// To be held from before [`join`](Self::join) until the read has ended.
    pub(super) fn enter(&self) -> Asking<'_> {
        self.asking.fetch_add(1, Ordering::Relaxed);
        Asking(self)
    }

    /// Joins the open batch, or opens one, or goes alone.
    pub(super) fn join(self: &Arc<Self>, keys: &[&str]) -> Joined {
        if keys.len() > MAX_KEYS || self.asking.load(Ordering::Relaxed) <= 1 {
            return Joined::Alone;
        }
        let mut open = lock(&self.open);
        if let Some(batch) = &*open {
            let batch = Arc::clone(batch);
            let (places, members) = lock(&batch.wanted).add(keys);
            if members >= self.room() {
                *open = None;
            }
            return Joined::Member(Member { batch, places }, None);
        }
        let batch = Arc::<Batch>::default();
        let (places, _) = lock(&batch.wanted).add(keys);
        *open = Some(Arc::clone(&batch));
        let leader = Leader { gatherer: Arc::clone(self), batch: Arc::clone(&batch) };
        Joined::Member(Member { batch, places }, Some(leader))
    }

    /// How many members the next batch may have. One that is joined by nobody tells nothing about
    /// the size of values, so two are always welcome.
    fn room(&self) -> usize {
        (MAX_BYTES / self.bytes_each.load(Ordering::Relaxed).max(1)).clamp(2, MAX_MEMBERS)
    }

    fn close(&self, batch: &Arc<Batch>) {
        let mut open = lock(&self.open);
        if open.as_ref().is_some_and(|open| Arc::ptr_eq(open, batch)) {
            *open = None;
        }
    }
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        self.0.asking.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Wanted {
    /// Where these keys are among those wanted, and how many members there are now.
    fn add(&mut self, keys: &[&str]) -> (Places, usize) {
        let places = keys.iter().map(|key| self.place(key)).collect();
        self.members += 1;
        (places, self.members)
    }

    fn place(&mut self, key: &str) -> usize {
        let hash = xxh3_64(key.as_bytes());
        let known = self.keys.iter().enumerate().filter(|(_, (known, _))| *known == hash);
        for (place, _) in known {
            if self.get(place) == Some(key) {
                return place;
            }
        }
        self.text.push_str(key);
        self.keys.push((hash, self.text.len()));
        self.keys.len() - 1
    }

    fn get(&self, place: usize) -> Option<&str> {
        let start = match place.checked_sub(1) {
            Some(before) => self.keys.get(before)?.1,
            None => 0,
        };
        self.text.get(start..self.keys.get(place)?.1)
    }

    /// The keys, each once.
    pub(super) fn keys(&self) -> impl Iterator<Item = &str> {
        (0..self.keys.len()).filter_map(|place| self.get(place))
    }

    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    pub(super) fn members(&self) -> usize {
        self.members
    }
}

impl Leader {
    /// Lets nobody join any more; what to ask for.
    pub(super) fn close(&self) -> Wanted {
        self.gatherer.close(&self.batch);
        std::mem::take(&mut *lock(&self.batch.wanted))
    }

    /// Hands the answer to all.
    pub(super) fn land(self, wanted: &Wanted, result: Result<Vec<Option<Bytes>>, Error>) {
        self.batch.end(match result {
            Ok(values) => {
                let bytes: usize = values.iter().flatten().map(Bytes::len).sum();
                let each = bytes / wanted.members().max(1);
                self.gatherer.bytes_each.store(each, Ordering::Relaxed);
                Outcome::Values(values)
            }
            Err(error) => Outcome::Failed(error.kind(), error.to_string()),
        });
    }
}

impl Drop for Leader {
    fn drop(&mut self) {
        self.gatherer.close(&self.batch);
        self.batch.end(Outcome::Abandoned);
    }
}

impl Member {
    /// Waits for the answer; `None`: ask alone.
    pub(super) async fn answer(self) -> Option<Result<Vec<Option<Bytes>>, Error>> {
        let done = self.batch.done.notified();
        if self.batch.outcome.get().is_none() {
            done.await;
        }
        match self.batch.outcome.get()? {
            Outcome::Values(values) => {
                let value = |place: &usize| values.get(*place).cloned().flatten();
                Some(Ok(self.places.iter().map(value).collect()))
            }
            Outcome::Failed(kind, message) => {
                let error = Error::new(*kind, message.clone());
                error.is_outage().then_some(Err(error))
            }
            Outcome::Abandoned => None,
        }
    }
}

impl Batch {
    /// The first word counts.
    fn end(&self, outcome: Outcome) {
        if self.outcome.set(outcome).is_ok() {
            self.done.notify_waiters();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[allow(clippy::unnecessary_wraps, reason = "as the store answers")]
    fn value(text: &str) -> Option<Bytes> {
        Some(Bytes::copy_from_slice(text.as_bytes()))
    }

    fn first(gatherer: &Arc<Gatherer>, keys: &[&str]) -> (Member, Leader) {
        match gatherer.join(keys) {
            Joined::Member(member, Some(leader)) => (member, leader),
            other => panic!("{other:?}"),
        }
    }

    fn member(gatherer: &Arc<Gatherer>, keys: &[&str]) -> Member {
        match gatherer.join(keys) {
            Joined::Member(member, None) => member,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn who_is_alone_goes_alone_and_so_does_a_large_read() {
        let gatherer = Arc::<Gatherer>::default();
        let _one = gatherer.enter();
        assert!(matches!(gatherer.join(&["a"]), Joined::Alone));
        let two = gatherer.enter();
        assert!(matches!(gatherer.join(&["k"; MAX_KEYS + 1]), Joined::Alone));
        assert!(matches!(gatherer.join(&["a"]), Joined::Member(_, Some(_))));
        drop(two);
        assert!(matches!(gatherer.join(&["a"]), Joined::Alone));
    }

    #[tokio::test]
    async fn each_is_given_its_own_values_and_each_key_is_asked_for_once() {
        let gatherer = Arc::<Gatherer>::default();
        let _both = (gatherer.enter(), gatherer.enter());
        let (first, leader) = first(&gatherer, &["a", "g"]);
        let second = member(&gatherer, &["b", "g", "b"]);
        let third = member(&gatherer, &["a", "none", ""]);
        let wanted = leader.close();
        assert!(wanted.keys().eq(["a", "g", "b", "none", ""]));
        assert!(matches!(gatherer.join(&["late"]), Joined::Member(_, Some(_))));
        leader.land(&wanted, Ok(vec![value("A"), value("G"), value("B"), None, value("E")]));
        assert_eq!(first.answer().await.unwrap().unwrap(), [value("A"), value("G")]);
        assert_eq!(second.answer().await.unwrap().unwrap(), [value("B"), value("G"), value("B")]);
        assert_eq!(third.answer().await.unwrap().unwrap(), [value("A"), None, value("E")]);
    }

    #[tokio::test]
    async fn members_of_a_leader_who_went_away_ask_alone_and_so_do_those_refused() {
        let gatherer = Arc::<Gatherer>::default();
        let _both = (gatherer.enter(), gatherer.enter());
        let (left, leader) = first(&gatherer, &["a"]);
        drop(leader);
        assert!(left.answer().await.is_none());
        for (kind, outage) in [(ErrorKind::Denied, false), (ErrorKind::Timeout, true)] {
            let (left, leader) = first(&gatherer, &["a"]);
            let wanted = leader.close();
            leader.land(&wanted, Err(Error::new(kind, "why")));
            let answer = left.answer().await.map(Result::unwrap_err);
            assert_eq!(answer.map(|error| error.kind()), outage.then_some(kind));
        }
    }

    #[test]
    fn a_full_batch_is_joined_no_more() {
        let gatherer = Arc::<Gatherer>::default();
        let _both = (gatherer.enter(), gatherer.enter());
        let (_, earlier) = first(&gatherer, &["0"]);
        let _members: Vec<_> = (1..MAX_MEMBERS).map(|_| member(&gatherer, &["k"])).collect();
        let (_, later) = first(&gatherer, &["k"]);
        assert_eq!(earlier.close().len(), 2);
        // The end of the first is not that of the second.
        drop(earlier);
        assert_eq!(member(&gatherer, &["k"]).places[..], [0]);
        drop(later);
    }

    #[test]
    fn where_values_are_large_batches_are_small() {
        let gatherer = Arc::<Gatherer>::default();
        let _both = (gatherer.enter(), gatherer.enter());
        for (bytes, room) in
            [(1, MAX_MEMBERS), (256 * 1024, 4), (MAX_BYTES * 9, 2), (0, MAX_MEMBERS)]
        {
            let (_, leader) = first(&gatherer, &["a"]);
            let wanted = leader.close();
            leader.land(&wanted, Ok(vec![Some(Bytes::from(vec![0; bytes]))]));
            assert_eq!(gatherer.room(), room);
        }
    }
}
