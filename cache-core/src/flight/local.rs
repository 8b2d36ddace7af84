//! Single-flight within a process.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::landing::{Board, Landing};
use crate::clock::{Deadline, Stopwatch};
use crate::fill::{Fill, FillWatch};
use crate::l1::Shared;
use crate::state::EntryKey;

/// The fills in progress. `T` is what those who wait are given.
#[derive(Debug)]
pub struct Flights<T = Shared> {
    flights: Arc<Mutex<HashMap<u128, Flight<T>>>>,
}

#[derive(Debug)]
struct Flight<T> {
    /// Tells this flight from a later one of the same key.
    number: u64,
    /// From when on it lasts; `None`: its leader waits for others, which has an end of its own.
    since: Option<Stopwatch>,
    key: Arc<EntryKey>,
    fill: FillWatch,
    board: Arc<Board<T>>,
}

/// As many flights at once are nothing unusual.
const SMALL_TABLE: usize = 1024;

/// What came of joining.
#[derive(Debug)]
pub enum Joined<T> {
    /// Nobody is filling this key: it is up to the caller.
    Leader(Leader<T>),
    /// Somebody is.
    Follower(Follower<T>),
}

/// Held by the one who fills. Dropping it without landing lets the followers down: each may join
/// again, and one of them leads.
#[derive(Debug)]
pub struct Leader<T> {
    key: u128,
    number: u64,
    board: Arc<Board<T>>,
    flights: Arc<Mutex<HashMap<u128, Flight<T>>>>,
}

/// Held by one who waits.
#[derive(Debug)]
pub struct Follower<T> {
    /// From when on the flight lasts.
    since: Option<Stopwatch>,
    /// The leader's, until it is taken.
    key: Option<Arc<EntryKey>>,
    board: Arc<Board<T>>,
}

impl<T> Default for Flights<T> {
    fn default() -> Self {
        Self { flights: Arc::default() }
    }
}

impl<T: Clone> Flights<T> {
    /// Joins the flight for a key, or starts it. One whose fill was overtaken by an invalidation
    /// is not joined: what it brings is older than the question. Nor is one of which nobody can
    /// tell, once it has lasted for [`UNCONFIRMED_FLIGHT`](crate::UNCONFIRMED_FLIGHT); who comes
    /// then leads, and is joined in its stead.
    pub fn join(&self, key: u128, fill: &Fill) -> Joined<T> {
        self.join_within(key, fill, Duration::MAX)
    }

    /// As [`join`](Self::join), but not a flight that has lasted for this long: nobody knows whether
    /// it will ever end. The first who asks then starts another in its place, which the others join.
    pub(crate) fn join_within(&self, key: u128, fill: &Fill, longest: Duration) -> Joined<T> {
        let mut flights = lock(&self.flights);
        if let Some(flight) = flights.get(&key)
            && flight.fill.may_serve(fill)
            && !flight.board.is_abandoned()
            && flight.since.is_none_or(|since| since.elapsed() < longest)
        {
            let (since, key) = (flight.since, Some(Arc::clone(&flight.key)));
            let board = Arc::clone(&flight.board);
            return Joined::Follower(Follower { since, key, board });
        }
        let board = Arc::<Board<T>>::default();
        let number = fastrand::u64(..);
        let (entry, fill) = (Arc::clone(fill.key()), fill.watch());
        let since = Some(fill.began());
        let flight = Flight { number, since, key: entry, fill, board: Arc::clone(&board) };
        flights.insert(key, flight);
        let flights = Arc::clone(&self.flights);
        Joined::Leader(Leader { key, number, board, flights })
    }

    /// How many flights are in progress.
    pub fn len(&self) -> usize {
        lock(&self.flights).len()
    }

    /// Whether none is in progress.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<T> Leader<T> {
    /// Gives the outcome to all who wait, and to those who join until this is dropped. The first one
    /// counts.
    pub fn land(&self, outcome: T) {
        self.board.end(Landing::Landed(outcome));
    }

    /// From now on it waits for others, and does not last.
    pub(crate) fn wait_for_others(&self) {
        self.set_since(None);
    }

    /// It lasts from now on.
    pub(crate) fn begin_anew(&self) {
        self.set_since(Some(Stopwatch::start()));
    }

    fn set_since(&self, since: Option<Stopwatch>) {
        let mut flights = lock(&self.flights);
        let flight = flights.get_mut(&self.key).filter(|flight| flight.number == self.number);
        if let Some(flight) = flight {
            flight.since = since;
        }
    }
}

impl<T> Drop for Leader<T> {
    fn drop(&mut self) {
        let mut flights = lock(&self.flights);
        if flights.get(&self.key).is_some_and(|flight| flight.number == self.number) {
            flights.remove(&self.key);
        }
        // What was needed at the busiest moment is given back.
        if flights.is_empty() && flights.capacity() > SMALL_TABLE {
            flights.shrink_to_fit();
        }
        drop(flights);
        self.board.end(Landing::Abandoned);
    }
}

impl<T> Follower<T> {
    /// The leader's key, in place of one that is the same. Once.
    pub(crate) fn key(&mut self, own: &EntryKey) -> Option<Arc<EntryKey>> {
        self.key.take_if(|key| key.is_as(own))
    }

    /// When the flight will have lasted for this long: the same moment for all who wait.
    pub(crate) fn end(&self, longest: Duration) -> Deadline {
        match self.since {
            Some(since) => since.until(longest),
            // Nobody knows: then it is looked again what it has come to.
            None => self.board.end_of_round(longest),
        }
    }
}

impl<T: Clone> Follower<T> {
    /// Waits for the outcome.
    pub async fn landing(self) -> Landing<T> {
        match self.wait().await {
            Landing::Landed(outcome) => Landing::Landed(outcome.clone()),
            Landing::Abandoned => Landing::Abandoned,
        }
    }
}

impl<T> Follower<T> {
    /// As [`landing`](Self::landing), for those who may wait again.
    pub(crate) async fn wait(&self) -> Landing<&T> {
        self.board.ended().await
    }
}

impl<T: Send + Sync + 'static> Follower<T> {
    /// As [`wait`](Self::wait), until the flight has lasted for this long: then `None`. What would be
    /// a timer for each of a thousand is one for all of them.
    pub(crate) fn wait_within(
        &self,
        longest: Duration,
    ) -> impl Future<Output = Option<Landing<&T>>> + Send {
        self.board.ended_by(self.end(longest))
    }
}

fn lock<T>(flights: &Mutex<HashMap<u128, Flight<T>>>) -> MutexGuard<'_, HashMap<u128, Flight<T>>> {
    flights.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::Cache;

    /// Pinned: the table kept the size that it had had at the busiest moment.
    #[tokio::test]
    async fn what_was_needed_at_the_busiest_moment_is_given_back() {
        let cache = Cache::builder().build().unwrap();
        let key = cache.namespace("users").entry_key("1".into()).unwrap();
        let fill = cache.inner.fill_anew(&key, cache.inner.deadline()).await;
        let flights = Flights::<()>::default();
        let joined: Vec<_> = (0..10_000).map(|n| flights.join(n, &fill)).collect();
        let capacity = || lock(&flights.flights).capacity();
        assert!(flights.len() == 10_000 && capacity() >= 10_000);
        drop(joined);
        assert_eq!(capacity(), 0);
    }

    /// Pinned: each took the time anew, and so ended a little earlier or later than the others.
    #[tokio::test]
    async fn for_all_who_wait_one_looks_at_the_clock() {
        for since in [Some(Stopwatch::start()), None] {
            let board = Arc::new(Board::default());
            let waiting = (0..100).map(|_| {
                let follower = Follower { since, key: None, board: Arc::clone(&board) };
                tokio::spawn(async move {
                    follower.wait_within(Duration::from_secs(60)).await.is_none()
                })
            });
            let waiting: Vec<_> = waiting.collect();
            for _ in 0..3 {
                tokio::task::yield_now().await;
            }
            let metrics = tokio::runtime::Handle::current().metrics();
            assert_eq!(metrics.num_alive_tasks(), 100 + 1);
            board.end(Landing::Landed(()));
            for one in waiting {
                assert!(!one.await.unwrap());
            }
            tokio::task::yield_now().await;
            assert_eq!(metrics.num_alive_tasks(), 0);
        }
    }
}
