//! Counts what L1 lets go of to make room.

use std::sync::Arc;

use quick_cache::Lifecycle;
use quick_cache::sync::DefaultLifecycle;

use crate::l1::Slot;
use crate::stats::Counter;

type Plain = DefaultLifecycle<u128, Arc<Slot>>;

/// Of one region. What is replaced, removed, found to be past its time or too large to be let in is
/// not evicted.
#[derive(Debug, Clone, Default)]
pub(crate) struct Evictions {
    counted: Arc<Counter>,
    /// Lets go of entries once the lock is released.
    plain: Plain,
}

impl Evictions {
    pub(crate) fn count(&self) -> u64 {
        self.counted.get()
    }
}

impl Lifecycle<u128, Arc<Slot>> for Evictions {
    type RequestState = <Plain as Lifecycle<u128, Arc<Slot>>>::RequestState;

    /// Is not called where an entry takes the place of another of its key; `on_evict` is.
    fn before_evict(&self, _: &mut Self::RequestState, _: &u128, _: &mut Arc<Slot>) {
        self.counted.one();
    }

    fn on_evict(&self, state: &mut Self::RequestState, key: u128, slot: Arc<Slot>) {
        self.plain.on_evict(state, key, slot);
    }
}
