//! Those who wait until a key changes, in whichever process.
//!
//! A push is no promise: who waits here asks the store from time to time, too. So there may be
//! more who wait than have a place.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// So many may wait, each for any of a few keys.
const MOST: usize = 4096;

/// Who waits for which key, by the keys' hashes.
#[derive(Debug, Default)]
pub(crate) struct Wakes {
    waiting: Mutex<HashMap<u64, Vec<Arc<Notify>>>>,
    /// How many wait, so that the usual push costs one load.
    count: AtomicUsize,
}

/// Held by one who waits.
#[derive(Debug)]
pub(crate) struct Waiter<'w> {
    wakes: &'w Wakes,
    keys: [u64; 2],
    woken: Arc<Notify>,
}

impl Wakes {
    /// Waits from now on; `None` if too many do.
    pub(super) fn wait_for(&self, keys: [u64; 2]) -> Option<Waiter<'_>> {
        let mut waiting = self.waiting();
        if self.count.load(Ordering::SeqCst) >= MOST {
            return None;
        }
        let woken = Arc::new(Notify::new());
        for key in keys {
            waiting.entry(key).or_default().push(Arc::clone(&woken));
        }
        self.count.fetch_add(1, Ordering::SeqCst);
        Some(Waiter { wakes: self, keys, woken })
    }

    /// A key has changed.
    pub(super) fn wake(&self, key: u64) {
        if self.count.load(Ordering::SeqCst) == 0 {
            return;
        }
        self.waiting().get(&key).into_iter().flatten().for_each(|woken| woken.notify_one());
    }

    /// Any key may have changed.
    pub(super) fn wake_all(&self) {
        self.waiting().values().flatten().for_each(|woken| woken.notify_one());
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<u64, Vec<Arc<Notify>>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiter<'_> {
    /// Ends when one of the keys has changed since this was last asked, or since the wait began.
    pub(crate) async fn woken(&self) {
        self.woken.notified().await;
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        let mut waiting = self.wakes.waiting();
        for key in self.keys {
            if let Some(those) = waiting.get_mut(&key) {
                those.retain(|woken| !Arc::ptr_eq(woken, &self.woken));
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
    use super::*;

    fn is_woken(waiter: &Waiter<'_>) -> bool {
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        std::pin::pin!(waiter.woken()).as_mut().poll(&mut context).is_ready()
    }

    #[test]
    fn a_change_wakes_those_who_wait_for_its_key_once() {
        let wakes = Wakes::default();
        let (first, second) = (wakes.wait_for([1, 2]).unwrap(), wakes.wait_for([2, 3]).unwrap());
        wakes.wake(1);
        assert!(is_woken(&first) && !is_woken(&first) && !is_woken(&second));
        wakes.wake(2);
        assert!(is_woken(&first) && is_woken(&second));
        wakes.wake_all();
        assert!(is_woken(&first) && is_woken(&second));
        wakes.wake(4);
        assert!(!is_woken(&first) && !is_woken(&second));
    }

    #[test]
    fn there_are_only_so_many_places_and_they_are_given_back() {
        let wakes = Wakes::default();
        let all: Vec<_> = (0..MOST as u64).map(|key| wakes.wait_for([key, 0]).unwrap()).collect();
        assert!(wakes.wait_for([1, 2]).is_none());
        drop(all);
        assert!(wakes.waiting().is_empty() && wakes.waiting().capacity() == 0);
        assert!(wakes.wait_for([1, 2]).is_some());
    }
}
