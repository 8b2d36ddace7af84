//! Keep-alive: one task per cache that looks after what nobody asks for.
//!
//! Entries that are read from this process' memory leave their generations in the store idle, and
//! what is idle is evicted first: then all entries under them would be void. So the generations in
//! use here are read again every few seconds, which the store takes for use. What comes back is
//! compared with what is known here: an id that has changed elsewhere ends what was filled under
//! the old one. Generations that nobody uses are left alone: they expire. So it is with the boards of
//! namespaces (see `board`).
//!
//! Three times a second the store is asked for a sign of life, and ten times a second it is looked
//! whether it is another than before. So also a process that has nothing to do notices, and repeats
//! what the store has forgotten (see `rollback`), before others read it again.
//!
//! Now and then tables that have been large give back what they do not need any more.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use crate::background::Sole;
use crate::clock::{Deadline, Millis};
use crate::error::{Error, ErrorKind};
use crate::invalidate::generation::GenerationCell;
use crate::invalidate::wanted::WantedScopes;
use crate::state::Inner;
use crate::store::Store;

const TICK: Duration = Duration::from_millis(100);
/// It is asked for a sign of life every so many ticks.
const SIGN: u64 = 3;
/// Generations are read again every so many ticks.
const ROUND: u64 = 51;
/// Memory is given back every so many ticks.
const TIDYING: u64 = 600;
/// No more scopes than this in one round; the others' turn comes in the next.
const MOST: usize = 2048;
const AT_ONCE: usize = 256;
/// One may have been sent on a connection that had died already, and so may the next.
const SIGNS_OF_LIFE: u32 = 3;
/// Nobody waits for this; but what takes longer than this has been lost.
const LONGEST: Duration = Duration::from_millis(500);
/// As long as it takes to notice, signs of life in vain left out: a probe of a server that is away may
/// have just begun (half a second, if it leads nowhere), and the next comes up to 625 ms later; the map
/// of a cluster is asked for as often, and Sentinels more often. Then a tick, connecting, and repeating.
const NOTICE: Duration = Duration::from_millis(1350);

/// How long a process that has nothing to do, and whose operations have this budget, takes to notice
/// that the store is another than before, and to repeat what that has forgotten. (Unless something
/// holds it up for as long.)
pub(crate) fn noticed_within(budget: Duration) -> Duration {
    NOTICE + budget.min(LONGEST) * SIGNS_OF_LIFE
}

/// The mark that the task runs, and how far it has got.
#[derive(Debug, Default)]
pub(crate) struct KeepAlive {
    running: Sole,
    last: Mutex<Option<Round>>,
}

/// What the task did last.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Round {
    pub(crate) at: Millis,
    /// How many generations were read.
    pub(crate) scopes: usize,
}

impl KeepAlive {
    pub(crate) fn last(&self) -> Option<Round> {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, round: Round) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(round);
    }
}

/// Starts the task, unless it runs. (It ends with the runtime it was started on; whoever uses the
/// store next starts it anew. Without a runtime there is none.)
pub(crate) fn ensure(inner: &Inner) {
    if inner.shared_store().is_none() {
        return;
    }
    let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
    if let Some(number) = inner.keepalive.running.begin() {
        runtime.spawn(Keeper { inner: Weak::clone(&inner.me), number }.run());
    }
}

/// Clears the mark however the task ends.
struct Keeper {
    inner: Weak<Inner>,
    number: u64,
}

impl Keeper {
    async fn run(self) {
        let mut tick = 0;
        loop {
            // Spread out, so that many instances do not come at the same moment.
            tokio::time::sleep(TICK.mul_f64(0.9 + fastrand::f64() / 5.0)).await;
            tick += 1;
            if !self.tick(tick).await {
                return;
            }
        }
    }

    /// Whether there is to be another.
    async fn tick(&self, tick: u64) -> bool {
        // Held for no longer than this, so that the cache can go.
        let Some(inner) = self.inner.upgrade() else { return false };
        let Some(store) = inner.shared_store() else { return false };
        if !inner.keepalive.running.go_on(self.number) {
            return false;
        }
        if tick.is_multiple_of(TIDYING) {
            inner.tidy();
        }
        if !store.is_available() {
            return true;
        }
        let is_another = !inner.rollback.is_settled(store.incarnation());
        if !tick.is_multiple_of(SIGN) && !is_another {
            return true;
        }
        match inner.look_after(&**store, tick.is_multiple_of(ROUND)).await {
            Err(error) if error.kind() == ErrorKind::Closed => return false,
            Err(error) => tracing::debug!(%error, "generations are not kept alive"),
            Ok(()) => {}
        }
        true
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        if let Some(inner) = self.inner.upgrade() {
            inner.keepalive.running.end(self.number);
        }
    }
}

impl Inner {
    async fn look_after(&self, store: &dyn Store, round: bool) -> Result<(), Error> {
        let soon = || Deadline::after(self.budget.min(LONGEST));
        let mut alive = store.ping(soon()).await;
        for _ in 1..SIGNS_OF_LIFE {
            if alive.is_err() {
                alive = store.ping(soon()).await;
            }
        }
        let is_another = !self.rollback.is_settled(store.incarnation());
        if is_another {
            // Nor is it known how long it keeps what it has kept.
            self.generations.forget_extensions();
        }
        // Whatever came of that: of a cluster one node may be silent, and another have forgotten.
        // What has been forgotten may be much.
        let limit = if is_another { Deadline::after(LONGEST) } else { soon() };
        let is_settled = self.unconfirmed.settle(store, limit).await;
        if !round || self.rollback.holds_reads() {
            return alive;
        }
        let cells = self.next_in_use();
        if alive.is_err() || !is_settled {
            self.keep_from_idling(store, &cells, soon()).await;
            return alive;
        }
        for some in cells.chunks(AT_ONCE) {
            self.verify(store, some, soon()).await?;
        }
        self.look_after_boards(store, soon).await?;
        self.keepalive.note(Round { at: self.clock.now(), scopes: cells.len() });
        Ok(())
    }

    /// The generations whose turn it is: those of everything and of namespaces in each round.
    fn next_in_use(&self) -> Vec<Arc<GenerationCell>> {
        let mut cells = vec![Arc::clone(&self.everything)];
        cells.extend(self.namespaces().iter().map(|namespace| Arc::clone(&namespace.cell)));
        let first: HashSet<u64> = cells.iter().map(|cell| cell.fingerprint).collect();
        let others = self.generations.next_in_use(MOST).into_iter();
        cells.extend(others.filter(|cell| !first.contains(&cell.fingerprint)));
        cells
    }

    /// Reads generations and boards so that they are not idle, and learns nothing: a node of a cluster
    /// may be away for long, and the others are to keep theirs. In one question, which the one that is
    /// away holds up once.
    async fn keep_from_idling(
        &self,
        store: &dyn Store,
        cells: &[Arc<GenerationCell>],
        deadline: Deadline,
    ) {
        let namespaces = self.namespaces();
        let boards = namespaces.iter().filter_map(|namespace| namespace.board_key());
        let names: Vec<&str> = cells.iter().map(|cell| &*cell.name).chain(boards).collect();
        // Who answers, has read.
        drop(store.fetch_each(&names, deadline).await);
    }

    /// Reads generations, which keeps them from being idle, and takes in what they are.
    async fn verify(
        &self,
        store: &dyn Store,
        cells: &[Arc<GenerationCell>],
        deadline: Deadline,
    ) -> Result<(), Error> {
        let asked: Vec<_> = cells.iter().map(GenerationCell::snapshot).collect();
        let mut wanted = WantedScopes::new(cells);
        let names: Vec<&str> = wanted.names().collect();
        // What could not be invalidated in the store must not be learnt again. Asked after the cells
        // were looked at: what is invalidated later, they tell.
        if !self.unconfirmed.settle(store, deadline).await {
            return Ok(());
        }
        wanted.answer(&self.fetch(store, &names, deadline).await?);
        for mut generation in asked {
            let found = wanted.found(&generation.cell);
            generation.observe(found);
        }
        Ok(())
    }

    /// Entries that have expired keep the tables of their scopes large.
    fn tidy(&self) {
        let now = self.clock.now();
        for region in self.regions() {
            region.remove_where(|slot| !slot.is_alive(now));
        }
        self.failures.tidy();
        self.fences.give_back();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_more_patience_operations_have_the_later_others_notice() {
        let noticed = |budget| noticed_within(Duration::from_millis(budget)).as_millis();
        assert_eq!([50, 200, 500, 10_000].map(noticed), [1500, 1950, 2850, 2850]);
    }
}
