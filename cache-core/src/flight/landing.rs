//! How a flight ends, told to all who wait for it at the same moment.
//!
//! When it does, a thousand may be waiting, and each of them costs the last one time. So they share
//! what can be shared: the outcome, which is looked at where it is, and one timer. And their wakers lie
//! side by side: what lies scattered in the futures of those who wait is in no core's cache by then.

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

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use super::*;

    const LONG: Duration = Duration::from_secs(10);

    fn board() -> Arc<Board<u8>> {
        Arc::default()
    }

    /// What it comes to; `None`: it took too long.
    type Waiting = tokio::task::JoinHandle<Option<Landing<u8>>>;

    fn waiting(board: &Arc<Board<u8>>, so_long: Duration) -> Waiting {
        let (board, until) = (Arc::clone(board), Deadline::after(so_long));
        tokio::spawn(async move {
            Some(match board.ended_by(until).await? {
                Landing::Landed(outcome) => Landing::Landed(*outcome),
                Landing::Abandoned => Landing::Abandoned,
            })
        })
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_outcome_is_that_of_all_whenever_they_ask() {
        let board = board();
        let early = waiting(&board, LONG);
        tokio::task::yield_now().await;
        board.end(Landing::Landed(1));
        board.end(Landing::Landed(2));
        board.end(Landing::Abandoned);
        assert_eq!(early.await.unwrap(), Some(Landing::Landed(1)));
        assert_eq!(board.ended().await, Landing::Landed(&1));
        assert!(!board.is_abandoned());
        let abandoned = self::board();
        let early = waiting(&abandoned, LONG);
        tokio::task::yield_now().await;
        abandoned.end(Landing::Abandoned);
        assert_eq!(early.await.unwrap(), Some(Landing::Abandoned));
        assert!(abandoned.is_abandoned());
        assert_eq!(abandoned.ended().await, Landing::Abandoned);
    }

    #[tokio::test(start_paused = true)]
    async fn each_waits_for_its_own_time_and_one_looks_at_the_clock() {
        let board = board();
        let begun = Stopwatch::start();
        let alive = || runtime::Handle::current().metrics().num_alive_tasks();
        // Who comes later may have to be told earlier.
        let mut waits: Vec<_> = [2, 3, 1].map(|n| (n, waiting(&board, LONG * n))).into();
        waits.extend((0..50).map(|_| (3, waiting(&board, LONG * 3))));
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        assert_eq!(alive(), 53 + 2, "and two that look at the clock");
        waits.sort_by_key(|(n, _)| *n);
        for (n, wait) in waits {
            assert_eq!(wait.await.unwrap(), None);
            assert_eq!(begun.elapsed(), LONG * n);
        }
        let last = waiting(&board, LONG);
        tokio::task::yield_now().await;
        board.end(Landing::Landed(1));
        last.await.unwrap();
        tokio::task::yield_now().await;
        assert_eq!(alive(), 0, "nobody looks at the clock any more");
    }

    #[tokio::test(start_paused = true)]
    async fn rounds_end_for_all_at_the_same_moments() {
        let board = board();
        tokio::time::advance(LONG / 4).await;
        assert_eq!(board.end_of_round(LONG), Deadline::after(LONG * 3 / 4));
        assert_eq!(board.end_of_round(LONG), board.since.until(LONG));
        tokio::time::advance(LONG * 3 / 4).await;
        let next = board.end_of_round(LONG);
        assert_eq!(next, Deadline::after(LONG), "nobody has to come back at once");
        assert_eq!(board.end_of_round(Duration::ZERO), Deadline::after(Duration::from_nanos(1)));
        assert_eq!(board.end_of_round(Duration::MAX), board.since.until(Duration::MAX));
    }

    /// Counts; and holds what a task does: something else that waits.
    struct Bell {
        rung: AtomicUsize,
        _waits: Option<Ended<'static, u8>>,
    }

    impl Wake for Bell {
        fn wake(self: Arc<Self>) {
            self.rung.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn bell(waits: Option<Ended<'static, u8>>) -> Arc<Bell> {
        Arc::new(Bell { rung: AtomicUsize::new(0), _waits: waits })
    }

    fn is_pending(waits: &mut Ended<'_, u8>, bell: &Arc<Bell>) -> bool {
        let waker = Waker::from(Arc::clone(bell));
        Pin::new(waits).poll(&mut Context::from_waker(&waker)).is_pending()
    }

    #[test]
    fn who_waits_has_one_place_and_gives_it_back() {
        let board = board();
        let places = || board.waiting().wakers.len();
        let (mut first, mut second) = (board.ended(), board.ended());
        let [former, present, other] = [None, None, None].map(bell);
        assert!(is_pending(&mut first, &former) && is_pending(&mut second, &other));
        assert!(is_pending(&mut first, &present) && is_pending(&mut first, &present));
        assert_eq!(places(), 2, "it has moved from one task to another");
        drop(second);
        assert_eq!(places(), 1);
        board.wake_all();
        assert_eq!(places(), 1, "it waits on");
        board.end(Landing::Abandoned);
        let rung = [&former, &present, &other].map(|bell| bell.rung.load(Ordering::Relaxed));
        assert_eq!((rung, places()), ([0, 2, 0], 0));
        assert!(!is_pending(&mut first, &present));
    }

    /// The last waker of a task can be what keeps it, and it may hold another who waits.
    #[test]
    fn a_waker_is_dropped_where_nothing_is_locked() {
        let board: &'static Arc<Board<u8>> = Box::leak(Box::new(board()));
        let nested = || {
            let mut waits = board.ended();
            assert!(is_pending(&mut waits, &bell(None)));
            bell(Some(waits))
        };
        let mut replaced = board.ended();
        assert!(is_pending(&mut replaced, &nested()));
        assert!(is_pending(&mut replaced, &nested()));
        assert_eq!(board.waiting().wakers.len(), 2);
        drop(replaced);
        assert_eq!(board.waiting().wakers.len(), 0);
    }

    /// Who began to wait, and is not polled any more, holds nobody up.
    #[tokio::test(start_paused = true)]
    async fn those_who_are_not_polled_are_not_relied_on() {
        let board = board();
        let until = Deadline::after(LONG);
        let mut stuck = pin!(board.ended_by(until));
        let polled = std::future::poll_fn(|context| Poll::Ready(stuck.as_mut().poll(context)));
        assert!(polled.await.is_pending());
        assert_eq!(board.ended_by(until).await, None);
        assert_eq!(stuck.await, None);
    }

    #[test]
    fn a_runtime_that_nobody_drives_is_not_relied_on_nor_one_that_has_ended() {
        let of_one = || {
            let mut builder = runtime::Builder::new_current_thread();
            builder.enable_time().start_paused(true).build().unwrap()
        };
        let (idle, ended, driven) = (of_one(), of_one(), of_one());
        let board = board();
        for runtime in [&idle, &ended] {
            runtime.block_on(async {
                waiting(&board, LONG);
                tokio::task::yield_now().await;
            });
        }
        assert_eq!(board.waiting().watched.len(), 2);
        driven.block_on(async {
            let wait = waiting(&board, LONG);
            tokio::task::yield_now().await;
            ended.shutdown_background();
            assert_eq!(board.waiting().watched.len(), 2, "the idle one, and this");
            assert_eq!(wait.await.unwrap(), None);
        });
        // Nor does one that takes no task any more keep anybody busy.
        let handle = driven.handle().clone();
        driven.shutdown_background();
        let wait = handle.block_on(async {
            let mut wait = pin!(board.ended_by(Deadline::after(LONG)));
            std::future::poll_fn(|context| Poll::Ready(wait.as_mut().poll(context).is_pending()))
                .await
        });
        assert!(wait);
        drop(idle);
        assert!(board.waiting().watched.is_empty());
    }
}
