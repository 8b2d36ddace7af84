//! Wakes everybody who waits for the same thing.

use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Wake, Waker};

/// Wakes everybody who waits.
#[derive(Debug, Default)]
pub(super) struct Wakers(Mutex<Vec<(u64, Waker)>>);

impl Wakers {
    pub(super) fn register(&self, reader: u64, waker: &Waker) {
        let mut waiting = self.waiting();
        match waiting.iter_mut().find(|(number, _)| *number == reader) {
            Some((_, known)) => known.clone_from(waker),
            None => waiting.push((reader, waker.clone())),
        }
    }

    pub(super) fn wake_others(&self, reader: u64) {
        let woken = {
            let mut waiting = self.waiting();
            let (own, others) =
                mem::take(&mut *waiting).into_iter().partition::<Vec<_>, _>(|(n, _)| *n == reader);
            *waiting = own;
            others
        };
        wake_all(woken);
    }

    fn waiting(&self) -> MutexGuard<'_, Vec<(u64, Waker)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for Wakers {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let woken = mem::take(&mut *self.waiting());
        wake_all(woken);
    }
}

fn wake_all(woken: Vec<(u64, Waker)>) {
    for (_, waker) in woken {
        waker.wake();
    }
}
