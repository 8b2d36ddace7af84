//! The load: requests at a steady rate, whether those before them have been answered or not.
//!
//! It is bounded: beyond so many in flight requests are not sent, which is a failure. How long a
//! request takes counts from when it was due, so that nothing is left out because all else was slow
//! at that moment.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cache_tests::clock::monotonic;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use crate::app::{Answer, App, Ask, Failure, Kind};

/// The most that are in flight.
const PLACES: u32 = 8192;
/// Callers that ask one page after the other, to see how many a second there can be.
const CALLERS: usize = 64;
const NANOS: u64 = 1_000_000_000;

/// One request. Times are on the machine's monotonic clock, in nanoseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Record {
    pub(crate) kind: Kind,
    pub(crate) due: u64,
    pub(crate) began: u64,
    pub(crate) ended: u64,
    pub(crate) answer: Answer,
}

/// A load, until it is stopped.
#[derive(Debug)]
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<Vec<Record>>,
    sent: Sent,
}

#[derive(Debug, Clone)]
struct Sent {
    app: Arc<App>,
    runtime: Handle,
    places: Arc<Semaphore>,
    records: Arc<Mutex<Vec<Record>>>,
}

impl Load {
    /// So many requests a second from now on.
    pub(crate) fn start(app: &Arc<App>, rate: u32) -> Self {
        let stop = Arc::<AtomicBool>::default();
        let places = Arc::new(Semaphore::new(PLACES as usize));
        let (app, runtime, records) = (Arc::clone(app), Handle::current(), Arc::default());
        let sent = Sent { app, runtime, places, records };
        let (sending, stopped) = (sent.clone(), Arc::clone(&stop));
        // A thread of its own keeps time however busy the service is.
        let thread = std::thread::spawn(move || sending.at_rate(u64::from(rate), &stopped));
        Self { stop, thread, sent }
    }

    /// Sends no more; all that were sent, once each has its answer.
    pub(crate) async fn stop(self) -> Vec<Record> {
        self.stop.store(true, Ordering::Release);
        let mut all = self.thread.join().expect("the sender does not panic");
        let ended = self.sent.places.acquire_many(PLACES).await;
        drop(ended.expect("never closed"));
        let due = all.len();
        let mut records = self.sent.records.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|record| record.answer == Answer::Failed(Failure::NotSent));
        let lost = due - all.len() - records.len();
        all.append(&mut records);
        let now = monotonic();
        let answer = Answer::Failed(Failure::Lost);
        let record = Record { kind: Kind::Cold, due: now, began: now, ended: now, answer };
        all.resize(all.len() + lost, record);
        all.sort_unstable_by_key(|record| record.due);
        all
    }
}

impl Sent {
    /// All that were due; those that were sent are recorded elsewhere.
    fn at_rate(&self, rate: u64, stop: &Arc<AtomicBool>) -> Vec<Record> {
        let (start, mut all) = (monotonic(), Vec::new());
        // Alone, nobody waits for what comes of it.
        while !stop.load(Ordering::Acquire) && Arc::strong_count(stop) > 1 {
            let passed = u128::from(monotonic() - start);
            let due = passed * u128::from(rate) / u128::from(NANOS);
            while (all.len() as u128) < due {
                let due = start + all.len() as u64 * NANOS / rate;
                all.push(self.send(due));
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        all
    }

    fn send(&self, due: u64) -> Record {
        let ask = Ask::next();
        let answer = match Arc::clone(&self.places).try_acquire_owned() {
            Ok(place) => {
                let (answering, records) = (self.app.ask(ask), Arc::clone(&self.records));
                self.runtime.spawn(async move {
                    let began = monotonic();
                    let answer = answering.await;
                    let record = Record { kind: ask.kind, due, began, ended: monotonic(), answer };
                    records.lock().unwrap_or_else(PoisonError::into_inner).push(record);
                    drop(place);
                });
                Answer::Fetched
            }
            Err(_) => Answer::Failed(Failure::NotSent),
        };
        Record { kind: ask.kind, due, began: due, ended: due, answer }
    }
}

/// How many requests a second the service can answer, over this time.
pub(crate) async fn capacity(app: &Arc<App>, over: Duration) -> u32 {
    let (start, end) = (monotonic(), monotonic() + nanos(over));
    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..CALLERS {
        let app = Arc::clone(app);
        callers.spawn(async move {
            let mut count = 0u64;
            while monotonic() < end {
                let answer = app.ask(Ask::next()).await;
                assert!(!matches!(answer, Answer::Failed(_)), "{answer:?} in good health");
                count += 1;
                // One who hits all the time would keep the thread for itself.
                tokio::task::yield_now().await;
            }
            count
        });
    }
    let count: u64 = callers.join_all().await.into_iter().sum();
    u32::try_from(count * NANOS / (monotonic() - start)).expect("fewer")
}

pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).expect("a short time")
}
