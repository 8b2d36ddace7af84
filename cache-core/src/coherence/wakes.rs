//! Those who wait until a value is made, in whichever process: until its key changes, or the lease of
//! whoever makes it.
//!
//! A push is no promise: who waits here asks the store from time to time, too. So there may be
//! more who wait than have a place.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// So many may wait.
const MOST: usize = 4096;

/// Who waits for which key, by the keys' hashes.
#[derive(Debug, Default)]
pub(crate) struct Wakes {
    waiting: Mutex<HashMap<u64, Vec<Arc<Bell>>>>,
    /// How many wait, so that the usual push costs one load.
    count: AtomicUsize,
}

/// What wakes one who waits.
#[derive(Debug)]
struct Bell {
    entry: u64,
    rung: Notify,
    /// The entry has changed since it was last asked.
    entry_changed: AtomicBool,
}

/// Held by one who waits.
#[derive(Debug)]
pub(crate) struct Waiter<'w> {
    wakes: &'w Wakes,
    keys: [u64; 2],
    bell: Arc<Bell>,
}

impl Wakes {
    /// Waits from now on; `None` if too many do.
    pub(super) fn wait_for(&self, entry: u64, lease: u64) -> Option<Waiter<'_>> {
        let mut waiting = self.waiting();
        if self.count.load(Ordering::SeqCst) >= MOST {
            return None;
        }
        let (rung, entry_changed) = (Notify::new(), AtomicBool::new(false));
        let bell = Arc::new(Bell { entry, rung, entry_changed });
        let keys = [entry, lease];
        for key in keys {
            waiting.entry(key).or_default().push(Arc::clone(&bell));
        }
        self.count.fetch_add(1, Ordering::SeqCst);
        Some(Waiter { wakes: self, keys, bell })
    }

    /// A key has changed.
    pub(super) fn wake(&self, key: u64) {
        if self.count.load(Ordering::SeqCst) == 0 {
            return;
        }
        for bell in self.waiting().get(&key).into_iter().flatten() {
            if bell.entry == key {
                bell.entry_changed.store(true, Ordering::Release);
            }
            bell.rung.notify_one();
        }
    }

    /// Any key may have changed.
    pub(super) fn wake_all(&self) {
        self.waiting().values().flatten().for_each(|bell| bell.rung.notify_one());
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<u64, Vec<Arc<Bell>>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiter<'_> {
    /// Ends when one of the keys has, or may have, changed since this was last asked, or since the wait
    /// began. True if it was the entry's.
    pub(crate) async fn woken(&self) -> bool {
        self.bell.rung.notified().await;
        self.bell.entry_changed.swap(false, Ordering::AcqRel)
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        let mut waiting = self.wakes.waiting();
        for key in self.keys {
            if let Some(those) = waiting.get_mut(&key) {
                those.retain(|bell| !Arc::ptr_eq(bell, &self.bell));
                if those.is_empty() {
                    waiting.remove(&key);
                }
            }
        }
        if waiting.is_empty() {
            waiting.shrink_to_fit();
        }
        self.wakes.count.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Poll, Waker};

    use super::*;

    /// Whether it was the entry; `None`: it is not woken.
    fn woken(waiter: &Waiter<'_>) -> Option<bool> {
        let mut context = Context::from_waker(Waker::noop());
        match std::pin::pin!(waiter.woken()).as_mut().poll(&mut context) {
            Poll::Ready(entry) => Some(entry),
            Poll::Pending => None,
        }
    }

    #[test]
    fn a_change_wakes_those_who_wait_for_its_key_once() {
        let wakes = Wakes::default();
        let (first, second) = (wakes.wait_for(1, 2).unwrap(), wakes.wait_for(2, 3).unwrap());
        let both = || (woken(&first), woken(&second));
        wakes.wake(1);
        assert_eq!(both(), (Some(true), None));
        assert_eq!(both(), (None, None));
        wakes.wake(2);
        assert_eq!(both(), (Some(false), Some(true)));
        wakes.wake(3);
        assert_eq!(both(), (None, Some(false)));
        wakes.wake(2);
        wakes.wake(3);
        assert_eq!(both(), (Some(false), Some(true)), "the entry, and then its lease");
        wakes.wake_all();
        assert_eq!(both(), (Some(false), Some(false)));
        wakes.wake(4);
        assert_eq!(both(), (None, None));
    }

    #[test]
    fn there_are_only_so_many_places_and_they_are_given_back() {
        let wakes = Wakes::default();
        let all: Vec<_> = (0..MOST as u64).map(|key| wakes.wait_for(key, 0).unwrap()).collect();
        assert!(wakes.wait_for(1, 2).is_none());
        drop(all);
        assert!(wakes.waiting().is_empty() && wakes.waiting().capacity() == 0);
        assert!(wakes.wait_for(1, 2).is_some());
    }
}
