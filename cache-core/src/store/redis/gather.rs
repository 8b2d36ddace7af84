//! Gathering: reads of tasks that ask at the same moment go out as one command.
//!
//! A read of one entry asks for the entry and for the generations of its scopes, which most
//! entries share. Asked for one by one, they cost Redis and the connection as much as the entries
//! do; a command for sixteen entries asks for them once.
//!
//! Nobody waits for others to come: whoever finds nobody else asking goes alone and at once.
//! Otherwise the first opens a batch and starts its leader: a task that steps back until the tasks
//! that can run have run, then asks for all who have joined. (A task, because the first may be
//! cancelled, or be left unpolled for a while.) No member waits past its own deadline. One whose
//! leader ends with its runtime, or is refused for the sake of another's keys, asks again alone.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use bytes::Bytes;
use tokio::runtime::{self, Handle};
use tokio::sync::Notify;

use super::NO_ANSWER;
use super::wanted_keys::{MAX_KEYS, Places, Wanted};
use crate::clock::Deadline;
use crate::error::{Error, ErrorKind};
use crate::store::Fetched;

const MAX_MEMBERS: usize = 64;
/// All members wait for all values; so where values are large, batches have fewer members.
const MAX_BYTES: usize = 1024 * 1024;

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
#[derive(Debug)]
struct Batch {
    wanted: Mutex<Wanted>,
    outcome: OnceLock<Outcome>,
    done: Notify,
    /// The leader lands by then, if its runtime runs.
    deadline: Deadline,
    runtime: Option<runtime::Id>,
    /// Somebody has waited for it in vain.
    stuck: AtomicBool,
}

#[derive(Debug)]
enum Outcome {
    /// One for each key wanted.
    Values(Values),
    /// As before, but some are not known.
    Each(Vec<Fetched>),
    Failed(Error),
    /// The leader went away.
    Abandoned,
}

/// What Redis holds under each key asked for.
pub(super) type Values = Vec<Option<Bytes>>;

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

    /// Joins the open batch, or opens one for a leader with this deadline, or goes alone.
    pub(super) fn join(self: &Arc<Self>, keys: &[&str], deadline: Deadline) -> Joined {
        if keys.len() > MAX_KEYS || self.asking.load(Ordering::Relaxed) <= 1 {
            return Joined::Alone;
        }
        let mut open = lock(&self.open);
        let usable = open.as_ref().filter(|batch| !batch.stuck.load(Ordering::Relaxed));
        if let Some(batch) = usable {
            let batch = Arc::clone(batch);
            let (places, members) = lock(&batch.wanted).add(keys);
            if members >= self.room() {
                *open = None;
            }
            return Joined::Member(Member { batch, places }, None);
        }
        let batch = Arc::new(Batch::new(deadline));
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

impl Leader {
    /// Lets nobody join any more; what to ask for.
    pub(super) fn close(&self) -> Wanted {
        self.gatherer.close(&self.batch);
        std::mem::take(&mut *lock(&self.batch.wanted))
    }

    /// As [`land`](Self::land), where some keys may have failed: that is for those to know who asked
    /// for them.
    pub(super) fn land_each(self, wanted: &Wanted, result: Result<Vec<Fetched>, Error>) {
        match result {
            Ok(each) if each.iter().any(Result::is_err) => self.batch.end(Outcome::Each(each)),
            result => self.land(wanted, result.and_then(|each| each.into_iter().collect())),
        }
    }

    /// Hands the answer to all.
    pub(super) fn land(self, wanted: &Wanted, result: Result<Values, Error>) {
        self.batch.end(match result {
            Ok(values) => {
                let bytes: usize = values.iter().flatten().map(Bytes::len).sum();
                let each = bytes / wanted.members().max(1);
                self.gatherer.bytes_each.store(each, Ordering::Relaxed);
                Outcome::Values(values)
            }
            Err(error) => Outcome::Failed(error),
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
    ///
    /// # Errors
    /// That of the leader; or that the deadline has passed.
    pub(super) async fn answer(self, deadline: Deadline) -> Option<Result<Values, Error>> {
        let done = self.batch.done.notified();
        if self.batch.outcome.get().is_none() {
            if self.batch.lands_by(deadline) {
                // Timers cost as much as the rest of this.
                done.await;
            } else if tokio::time::timeout_at(deadline.instant(), done).await.is_err() {
                // The one who asks takes note of it, if Redis is to blame. If it is the one who
                // asks who does not run, nobody else is to wait for him.
                self.batch.stuck.store(true, Ordering::Relaxed);
                return Some(Err(Error::new(ErrorKind::Timeout, NO_ANSWER)));
            }
        }
        match self.batch.outcome.get()? {
            Outcome::Values(values) => {
                let value = |place: &usize| values.get(*place).cloned().flatten();
                Some(Ok(self.places.iter().map(value).collect()))
            }
            Outcome::Each(each) => {
                let mut values = Values::with_capacity(self.places.len());
                for place in &self.places {
                    match each.get(*place) {
                        Some(Ok(value)) => values.push(value.clone()),
                        Some(Err(error)) if error.is_outage() => return Some(Err(error.again())),
                        _ => return None,
                    }
                }
                Some(Ok(values))
            }
            Outcome::Failed(error) => error.is_outage().then(|| Err(error.again())),
            Outcome::Abandoned => None,
        }
    }
}

impl Batch {
    fn new(deadline: Deadline) -> Self {
        Self {
            wanted: Mutex::default(),
            outcome: OnceLock::new(),
            done: Notify::new(),
            deadline,
            runtime: this_runtime(),
            stuck: AtomicBool::new(false),
        }
    }

    /// Whether whoever waits here is sure to be woken by then. A leader on another runtime may
    /// not run for as long as nobody drives that one.
    fn lands_by(&self, deadline: Deadline) -> bool {
        self.deadline.instant() <= deadline.instant()
            && self.runtime.is_some()
            && self.runtime == this_runtime()
    }

    /// The first word counts.
    fn end(&self, outcome: Outcome) {
        if self.outcome.set(outcome).is_ok() {
            self.done.notify_waiters();
        }
    }
}

fn this_runtime() -> Option<runtime::Id> {
    Handle::try_current().ok().map(|handle| handle.id())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[allow(clippy::unnecessary_wraps, reason = "as the store answers")]
    fn value(text: &str) -> Option<Bytes> {
        Some(Bytes::copy_from_slice(text.as_bytes()))
    }

    fn soon() -> Deadline {
        Deadline::after(Duration::from_millis(50))
    }

    fn join(gatherer: &Arc<Gatherer>, keys: &[&str]) -> Joined {
        gatherer.join(keys, soon())
    }

    fn first(gatherer: &Arc<Gatherer>, keys: &[&str]) -> (Member, Leader) {
        match join(gatherer, keys) {
            Joined::Member(member, Some(leader)) => (member, leader),
            other => panic!("{other:?}"),
        }
    }

    fn member(gatherer: &Arc<Gatherer>, keys: &[&str]) -> Member {
        match join(gatherer, keys) {
            Joined::Member(member, None) => member,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn who_is_alone_goes_alone_and_so_does_a_large_read() {
        let gatherer = Arc::<Gatherer>::default();
        let _one = gatherer.enter();
        assert!(matches!(join(&gatherer, &["a"]), Joined::Alone));
        let two = gatherer.enter();
        assert!(matches!(join(&gatherer, &["k"; MAX_KEYS + 1]), Joined::Alone));
        assert!(matches!(join(&gatherer, &["a"]), Joined::Member(_, Some(_))));
        drop(two);
        assert!(matches!(join(&gatherer, &["a"]), Joined::Alone));
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
        assert!(matches!(join(&gatherer, &["late"]), Joined::Member(_, Some(_))));
        leader.land(&wanted, Ok(vec![value("A"), value("G"), value("B"), None, value("E")]));
        assert_eq!(first.answer(soon()).await.unwrap().unwrap(), [value("A"), value("G")]);
        assert_eq!(
            second.answer(soon()).await.unwrap().unwrap(),
            [value("B"), value("G"), value("B")]
        );
        assert_eq!(third.answer(soon()).await.unwrap().unwrap(), [value("A"), None, value("E")]);
    }

    #[tokio::test]
    async fn members_of_a_leader_who_went_away_ask_alone_and_so_do_those_refused() {
        let gatherer = Arc::<Gatherer>::default();
        let _both = (gatherer.enter(), gatherer.enter());
        let (left, leader) = first(&gatherer, &["a"]);
        drop(leader);
        assert!(left.answer(soon()).await.is_none());
        for (kind, outage) in [(ErrorKind::Denied, false), (ErrorKind::Timeout, true)] {
            let (left, leader) = first(&gatherer, &["a"]);
            let wanted = leader.close();
            leader.land(&wanted, Err(Error::new(kind, "why")));
            let answer = left.answer(soon()).await.map(Result::unwrap_err);
            assert_eq!(answer.map(|error| error.kind()), outage.then_some(kind));
        }
    }

    /// Members of a leader on a runtime that nobody drives would have waited for ever.
    #[tokio::test(start_paused = true)]
    async fn nobody_waits_past_his_deadline_for_a_leader_elsewhere_or_with_more_time() {
        let gatherer = Arc::<Gatherer>::default();
        let _both = (gatherer.enter(), gatherer.enter());
        let opened = std::thread::scope(|scope| {
            let elsewhere = || {
                let rt = tokio::runtime::Builder::new_current_thread().enable_all().build();
                rt.unwrap().block_on(async { first(&gatherer, &["a"]) })
            };
            scope.spawn(elsewhere).join().unwrap()
        });
        let waits = member(&gatherer, &["a"]);
        let timed_out = |answer: Option<Result<Values, Error>>| {
            answer.is_some_and(|answer| answer.is_err_and(|e| e.kind() == ErrorKind::Timeout))
        };
        assert!(timed_out(waits.answer(soon()).await));
        // Nor does anybody join it any more.
        let (_, leader) = first(&gatherer, &["a"]);
        drop((opened, leader));

        let (opens, leader) = first(&gatherer, &["a"]);
        let hasty = Deadline::after(Duration::from_millis(10));
        assert!(timed_out(member(&gatherer, &["a"]).answer(hasty).await));
        // As the leader's own deadline does.
        let wanted = leader.close();
        let late = async { leader.land(&wanted, Err(Error::new(ErrorKind::Timeout, NO_ANSWER))) };
        let (answer, ()) = tokio::join!(opens.answer(Deadline::after(Duration::MAX / 4)), late);
        assert!(timed_out(answer));
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
