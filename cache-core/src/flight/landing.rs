//! How a flight ends, told to all who wait for it at the same moment.
//!
//! When it does, a thousand may be waiting, and each of them costs the last one time. So they share
//! what can be shared: the outcome, which is looked at where it is, and one timer. And their wakers lie
//! side by side: what lies scattered in the futures of those who wait is in no core's cache by then.

#[cfg(test)]
mod tests;

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use slab::Slab;
use smallvec::SmallVec;
use tokio::runtime;

use crate::clock::{Deadline, Stopwatch};

/// How a flight ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Landing<T> {
    /// With this outcome.
    Landed(T),
    /// The leader went away (failed, panicked, was cancelled).
    Abandoned,
}

/// Where it is told.
#[derive(Debug)]
pub(super) struct Board<T> {
    landing: OnceLock<Landing<T>>,
    waiting: Mutex<Waiting>,
    /// When it was put up.
    since: Stopwatch,
}

/// Those who are to be told that it has ended, or has lasted for long.
#[derive(Debug, Default)]
struct Waiting {
    wakers: Slab<Waker>,
    /// On which runtimes somebody looks at the clock for all who wait there, and until when. (A runtime
    /// that nobody drives any more looks at no clock, and must not be relied on by others.)
    watched: SmallVec<[(runtime::Id, Deadline); 1]>,
}

impl<T> Default for Board<T> {
    fn default() -> Self {
        Self { landing: OnceLock::new(), waiting: Mutex::default(), since: Stopwatch::start() }
    }
}

impl<T> Board<T> {
    /// The flight has ended, unless it has already.
    pub(super) fn end(&self, landing: Landing<T>) {
        if self.landing.set(landing).is_ok() {
            // Who comes from now on sees it, and does not wait.
            let wakers = std::mem::take(&mut self.waiting().wakers);
            wakers.into_iter().for_each(|(_, waker)| waker.wake());
        }
    }

    /// They are to look again for how long they wait.
    fn wake_all(&self) {
        let wakers: Vec<Waker> =
            self.waiting().wakers.iter().map(|(_, waker)| waker.clone()).collect();
        wakers.into_iter().for_each(Waker::wake);
    }

    pub(super) fn is_abandoned(&self) -> bool {
        matches!(self.landing(), Some(Landing::Abandoned))
    }

    fn landing(&self) -> Option<Landing<&T>> {
        match self.landing.get()? {
            Landing::Landed(outcome) => Some(Landing::Landed(outcome)),
            Landing::Abandoned => Some(Landing::Abandoned),
        }
    }

    /// Waits for the end.
    pub(super) fn ended(&self) -> Ended<'_, T> {
        Ended { board: self, place: None }
    }

    /// The next of those moments that lie so far from each other: the same for all who wait.
    pub(super) fn end_of_round(&self, round: Duration) -> Deadline {
        let (past, round) = (self.since.elapsed().as_nanos(), round.as_nanos().max(1));
        let end = (past / round + 1).saturating_mul(round);
        self.since.until(u64::try_from(end).map_or(Duration::MAX, Duration::from_nanos))
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Send + Sync + 'static> Board<T> {
    /// As [`ended`](Self::ended), but no longer than until then: then `None`.
    pub(super) fn ended_by(self: &Arc<Self>, until: Deadline) -> EndedBy<'_, T> {
        EndedBy { board: self, ended: self.ended(), until }
    }

    /// Has somebody look at the clock on this runtime, and tell all at this time at the latest; unless
    /// somebody does so already. (Those who wait for longer are told, too, and have it done again.)
    fn ensure_watch(self: &Arc<Self>, until: Deadline) {
        let runtime = runtime::Handle::current();
        let id = runtime.id();
        {
            let watched = &mut self.waiting().watched;
            if watched.iter().any(|(other, earlier)| *other == id && *earlier <= until) {
                return;
            }
            watched.push((id, until));
        }
        let mut watch = Watch { board: Arc::clone(self), id, until, has_begun: false };
        let in_time = tokio::time::sleep_until(until.instant());
        // One for each flight that somebody waits for, and no longer than that. (Those who wait have one
        // end; or some more, if it has begun anew meanwhile, or they wait for different times.)
        runtime.spawn(async move {
            watch.has_begun = true;
            tokio::select! {
                _ = watch.board.ended() => {}
                () = in_time => {}
            }
        });
    }
}

/// However it ends, those who wait take care that somebody else does it, or have their outcome.
struct Watch<T> {
    board: Arc<Board<T>>,
    id: runtime::Id,
    until: Deadline,
    /// False where the runtime takes no task any more: to tell those who wait would have them try again
    /// at once, and for ever.
    has_begun: bool,
}

impl<T> Drop for Watch<T> {
    fn drop(&mut self) {
        self.board.waiting().watched.retain(|one| *one != (self.id, self.until));
        if self.has_begun && self.board.landing().is_none() {
            self.board.wake_all();
        }
    }
}

/// Waits for the end of a flight.
#[derive(Debug)]
pub(super) struct Ended<'b, T> {
    board: &'b Board<T>,
    /// Of its waker, until the flight has ended.
    place: Option<usize>,
}

impl<'b, T> Future for Ended<'b, T> {
    type Output = Landing<&'b T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let board = self.board;
        if let Some(landing) = board.landing() {
            return Poll::Ready(landing);
        }
        let waker = context.waker().clone();
        let mut waiting = board.waiting();
        // It may have ended before that.
        if let Some(landing) = board.landing() {
            return Poll::Ready(landing);
        }
        let place = self.place.and_then(|place| waiting.wakers.get_mut(place));
        let former = if let Some(former) = place {
            Some(std::mem::replace(former, waker))
        } else {
            self.place = Some(waiting.wakers.insert(waker));
            None
        };
        // To drop one can be to drop a task, with what waits in it; nor are they copied where it is locked.
        drop(waiting);
        drop(former);
        Poll::Pending
    }
}

impl<T> Drop for Ended<'_, T> {
    fn drop(&mut self) {
        // When it has ended, nobody has a place any more.
        if let Some(place) = self.place
            && self.board.landing().is_none()
        {
            let waker = self.board.waiting().wakers.try_remove(place);
            drop(waker);
        }
    }
}

/// Waits for the end of a flight until a certain time.
#[derive(Debug)]
pub(super) struct EndedBy<'b, T> {
    board: &'b Arc<Board<T>>,
    ended: Ended<'b, T>,
    until: Deadline,
}

impl<'b, T: Send + Sync + 'static> Future for EndedBy<'b, T> {
    type Output = Option<Landing<&'b T>>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if let Poll::Ready(landing) = Pin::new(&mut self.ended).poll(context) {
            return Poll::Ready(Some(landing));
        }
        if self.until.has_passed() {
            return Poll::Ready(None);
        }
        // After it has a place: a watch that ends tells all who have one.
        self.board.ensure_watch(self.until);
        Poll::Pending
    }
}
