//! Counts what L1 lets go of to make room.

use std::sync::Arc;

use quick_cache::Lifecycle;
use quick_cache::sync::DefaultLifecycle;

use crate::l1::Slot;
use crate::stats::Counter;

type Plain = DefaultLifecycle<u128, Arc<Slot>>;

/// Of one region. What is replaced, removed or found to be past its time is not evicted; what is
/// too large to be let in is.
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

    fn on_evict(&self, state: &mut Self::RequestState, key: u128, slot: Arc<Slot>) {
        self.counted.one();
        self.plain.on_evict(state, key, slot);
    }
}
