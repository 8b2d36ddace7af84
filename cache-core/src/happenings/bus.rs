//! To whom it is told. Telling never waits: who is too slow misses something, and is told how much.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use super::event::{BreakerState, Event};
use crate::clock::{Clock, Millis};

/// So many events wait for a listener; of more than that it misses the oldest.
pub const EVENTS_KEPT: usize = 256;
/// So many events of the kind that comes with each request are told in a second; the next that is
/// told says how many were not.
pub const SAMPLED_PER_SECOND: u64 = 20;

/// Where a cache tells what happens.
#[derive(Debug)]
pub(crate) struct Happenings {
    /// So that nothing is done for nobody: the channel would take a lock to say.
    listeners: AtomicUsize,
    sender: broadcast::Sender<Event>,
    clock: Clock,
    sample: Sample,
}

impl Happenings {
    pub(crate) fn new(clock: Clock) -> Self {
        let sender = broadcast::Sender::new(EVENTS_KEPT);
        Self { listeners: AtomicUsize::new(0), sender, clock, sample: Sample::default() }
    }

    /// Whether anybody listens.
    pub(crate) fn is_heard(&self) -> bool {
        self.listeners.load(Ordering::Relaxed) != 0
    }

    /// Tells what is made with the time, if anybody listens.
    pub(crate) fn tell(&self, event: impl FnOnce(Millis) -> Event) {
        if self.is_heard() {
            let _ = self.sender.send(event(self.clock.now()));
        }
    }

    /// As [`tell`](Self::tell), of what comes often: made with the time, and with how many were left
    /// out since the last one.
    pub(crate) fn tell_sampled(&self, event: impl FnOnce(Millis, u64) -> Event) {
        if !self.is_heard() {
            return;
        }
        let now = self.clock.now();
        if let Some(left_out) = self.sample.take(now) {
            let _ = self.sender.send(event(now, left_out));
        }
    }

    pub(crate) fn listen(self: &Arc<Self>) -> Events {
        self.listeners.fetch_add(1, Ordering::Relaxed);
        Events { receiver: self.sender.subscribe(), of: Arc::downgrade(self) }
    }
}

/// What happens in a cache, as it happens; see [`Cache::events`](crate::Cache::events).
#[derive(Debug)]
pub struct Events {
    receiver: broadcast::Receiver<Event>,
    of: Weak<Happenings>,
}

impl Events {
    /// The next event; `None` when the cache is no more. If this is dropped while it waits, no event
    /// is lost.
    pub async fn next(&mut self) -> Option<Event> {
        match self.receiver.recv().await {
            Ok(event) => Some(event),
            Err(RecvError::Lagged(count)) => Some(Event::Missed { count }),
            Err(RecvError::Closed) => None,
        }
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        if let Some(happenings) = self.of.upgrade() {
            happenings.listeners.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// Where a store tells what happens to it: given to [`Store::report_to`](crate::Store::report_to).
/// Keeps nothing alive.
#[derive(Debug, Clone)]
pub struct EventBus(Weak<Happenings>);

impl EventBus {
    pub(crate) fn new(happenings: &Arc<Happenings>) -> Self {
        Self(Arc::downgrade(happenings))
    }

    /// Tells what the breaker has become.
    pub fn breaker(&self, state: BreakerState, reason: Option<String>) {
        if let Some(happenings) = self.0.upgrade() {
            happenings.tell(|at| Event::Breaker { at, state, reason });
        }
    }

    /// Whether the cache is still there.
    pub fn is_open(&self) -> bool {
        self.0.strong_count() > 0
    }
}

/// Lets so many through in each second. Several threads at once may let through a few more.
#[derive(Debug, Default)]
struct Sample {
    second: AtomicU64,
    taken: AtomicU64,
    left_out: AtomicU64,
}

impl Sample {
    /// How many were left out since the last one was taken; `None`: this one is too.
    fn take(&self, now: Millis) -> Option<u64> {
        let second = now / 1000;
        if self.second.swap(second, Ordering::Relaxed) != second {
            self.taken.store(0, Ordering::Relaxed);
        }
        if self.taken.fetch_add(1, Ordering::Relaxed) < SAMPLED_PER_SECOND {
            return Some(self.left_out.swap(0, Ordering::Relaxed));
        }
        self.left_out.fetch_add(1, Ordering::Relaxed);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn breaker(at: Millis) -> Event {
        Event::Breaker { at, state: BreakerState::Open, reason: None }
    }

    #[test]
    fn nothing_is_made_for_nobody() {
        let happenings = Arc::new(Happenings::new(Clock::manual(7)));
        happenings.tell(|_| panic!("nobody listens"));
        happenings.tell_sampled(|_, _| panic!("nobody listens"));
        drop(happenings.listen());
        happenings.tell(|_| panic!("nobody listens any more"));
    }

    #[tokio::test]
    async fn who_is_slow_is_told_how_much_was_missed() {
        let happenings = Arc::new(Happenings::new(Clock::manual(7)));
        let (mut slow, mut other) = (happenings.listen(), happenings.listen());
        for _ in 0..EVENTS_KEPT {
            happenings.tell(breaker);
        }
        assert_eq!(other.next().await, Some(breaker(7)));
        happenings.tell(breaker);
        assert_eq!(slow.next().await, Some(Event::Missed { count: 1 }));
        for events in [&mut slow, &mut other] {
            for _ in 0..EVENTS_KEPT {
                assert_eq!(events.next().await, Some(breaker(7)));
            }
        }
        drop(happenings);
        assert_eq!(slow.next().await, None);
    }

    #[test]
    fn what_comes_often_is_sampled_and_the_rest_is_counted() {
        let sample = Sample::default();
        let take = |now| (0..SAMPLED_PER_SECOND + 5).map(|_| sample.take(now)).collect::<Vec<_>>();
        let taken = |found: &[Option<u64>]| found.iter().flatten().copied().collect::<Vec<_>>();
        let of_a_second = vec![0; usize::try_from(SAMPLED_PER_SECOND).unwrap()];
        assert_eq!(taken(&take(1_999)), of_a_second);
        let next = taken(&take(2_000));
        assert_eq!(next.len(), of_a_second.len());
        assert_eq!((next[0], next[1]), (5, 0));
        assert_eq!(taken(&take(9_000)).iter().sum::<u64>(), 5);
    }

    #[test]
    fn a_store_keeps_no_cache_alive() {
        let happenings = Arc::new(Happenings::new(Clock::manual(7)));
        let bus = EventBus::new(&happenings);
        assert!(bus.is_open());
        drop(happenings);
        bus.breaker(BreakerState::Open, None);
        assert!(!bus.is_open());
    }
}
