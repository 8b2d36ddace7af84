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
        std::future::poll_fn(|context| Poll::Ready(wait.as_mut().poll(context).is_pending())).await
    });
    assert!(wait);
    drop(idle);
    assert!(board.waiting().watched.is_empty());
}
