//! Looking again: at entries written here whose key was pushed, and at generations that changed.
//!
//! Many pushes make one question, in batches, within the operation budget. While it is under way
//! entries go on as before; who has no answer counts as changed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Coherence;
use crate::codec::WriteId;
use crate::invalidate::generation::GenerationCell;
use crate::invalidate::wanted::WantedScopes;
use crate::l1::Slot;
use crate::state::Inner;
use crate::store::Store;

/// More than this many wait for no answer: they count as changed at once.
const MOST: usize = 1024;
const BATCH: usize = 256;

/// What is to be looked at.
#[derive(Debug, Default)]
pub(crate) struct Rechecks(Mutex<Queue>);

#[derive(Debug, Default)]
struct Queue {
    work: Work,
    /// There is a task that will look at what is added.
    running: bool,
}

#[derive(Debug, Default)]
struct Work {
    slots: HashMap<Arc<str>, Arc<Slot>>,
    scopes: HashMap<Arc<str>, Arc<GenerationCell>>,
}

impl Rechecks {
    /// True if there is something to do.
    pub(super) fn add_slot(&self, coherence: &Coherence, slot: Arc<Slot>) -> bool {
        let mut queue = self.queue();
        if queue.work.slots.len() >= MOST && !queue.work.slots.contains_key(&slot.rendered) {
            drop(queue);
            coherence.give_up_slot(&slot);
            return false;
        }
        queue.work.slots.insert(Arc::clone(&slot.rendered), slot);
        true
    }

    /// True if there is something to do.
    pub(crate) fn add_scope(&self, cell: Arc<GenerationCell>) -> bool {
        let mut queue = self.queue();
        if queue.work.scopes.len() >= MOST && !queue.work.scopes.contains_key(&cell.name) {
            drop(queue);
            cell.invalidate();
            return false;
        }
        queue.work.scopes.insert(Arc::clone(&cell.name), cell);
        true
    }

    /// False if a task runs already, or there is nothing to do.
    fn begin(&self) -> bool {
        let mut queue = self.queue();
        let begins = !queue.running && !queue.work.is_empty();
        queue.running |= begins;
        begins
    }

    /// The next batch; `None`: all is done, and the task ends.
    fn next(&self) -> Option<Work> {
        let mut queue = self.queue();
        if queue.work.is_empty() {
            queue.running = false;
            return None;
        }
        Some(queue.work.split_off())
    }

    fn abandon(&self) -> Work {
        let mut queue = self.queue();
        queue.running = false;
        std::mem::take(&mut queue.work)
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Work {
    fn is_empty(&self) -> bool {
        self.slots.is_empty() && self.scopes.is_empty()
    }

    fn split_off(&mut self) -> Self {
        let slots: Vec<_> = self.slots.keys().take(BATCH).cloned().collect();
        let scopes: Vec<_> = self.scopes.keys().take(BATCH).cloned().collect();
        Self {
            slots: slots.iter().filter_map(|key| self.slots.remove_entry(key)).collect(),
            scopes: scopes.iter().filter_map(|key| self.scopes.remove_entry(key)).collect(),
        }
    }
}

impl Coherence {
    fn give_up_slot(&self, slot: &Slot) {
        self.versions.raise_cell_of(&slot.mark);
    }

    fn give_up(&self, work: &Work) {
        work.slots.values().for_each(|slot| self.give_up_slot(slot));
        work.scopes.values().for_each(|cell| cell.invalidate());
    }
}

impl Inner {
    /// See [`Coherence::written`].
    pub(crate) fn note_written(&self, slot: &Arc<Slot>, trusted: bool) {
        let Some(coherence) = &self.coherence else { return };
        let echoed = coherence.written(slot, trusted);
        if echoed && let Some(inner) = self.me.upgrade() {
            inner.start_rechecks();
        }
        self.look_into_scopes(slot);
    }

    /// An entry is about to be kept: of the scopes it stands under, those that something was heard
    /// of since they were last asked about are asked about again. Otherwise, what was heard before
    /// they were known would be missed.
    pub(crate) fn look_into_scopes(&self, slot: &Slot) {
        let Some(coherence) = &self.coherence else { return };
        let doubtful = slot.generations.iter().filter(|scope| !scope.cell.is_settled());
        let mut any = false;
        for scope in doubtful {
            any |= coherence.rechecks.add_scope(Arc::clone(&scope.cell));
        }
        if any && let Some(inner) = self.me.upgrade() {
            inner.start_rechecks();
        }
    }

    /// Starts to look at what waits to be looked at, unless that is under way.
    pub(crate) fn start_rechecks(self: &Arc<Self>) {
        let Some(coherence) = &self.coherence else { return };
        if coherence.rechecks.begin() {
            // Dropped before it is done, the task gives everything up.
            let task =
                Task { coherence: Arc::clone(coherence), taken: Work::default(), done: false };
            let inner = Arc::clone(self);
            // Not among the places of computations: if those took all, everything would be given up
            // that anybody changes.
            if let Some(place) = self.background.place_of_upkeep() {
                place.spawn(async move { inner.recheck(task).await });
            }
        }
    }

    async fn recheck(self: Arc<Self>, mut task: Task) {
        let Some(store) = &self.store else { return };
        while let Some(work) = task.coherence.rechecks.next() {
            task.taken = work;
            self.recheck_slots(&task.coherence, &**store, &mut task.taken).await;
            let crossed = self.recheck_scopes(&**store, &mut task.taken).await;
            for cell in crossed {
                task.coherence.rechecks.add_scope(cell);
            }
        }
        task.done = true;
    }

    async fn recheck_slots(&self, coherence: &Coherence, store: &dyn Store, work: &mut Work) {
        if work.slots.is_empty() {
            return;
        }
        // Each as of before the question: a change that comes later raises it.
        let asked: Vec<(&Arc<Slot>, u32)> =
            work.slots.values().map(|slot| (slot, coherence.versions.of(&slot.mark))).collect();
        let keys: Vec<&str> = asked.iter().map(|(slot, _)| &*slot.rendered).collect();
        let found = store.write_ids(&keys, self.deadline()).await.unwrap_or_default();
        let mut found = found.into_iter();
        for (slot, version) in asked {
            let id = WriteId::from_slice(&slot.id.to_le_bytes());
            if found.next().flatten().as_deref() != Some(&id[..]) {
                coherence.give_up_slot(slot);
            } else if !coherence.versions.is_current(&slot.mark) {
                slot.mark.set_version(version);
                self.look_into_scopes(slot);
            }
        }
        work.slots.clear();
    }

    /// Those that have to be asked about once more.
    async fn recheck_scopes(&self, store: &dyn Store, work: &mut Work) -> Vec<Arc<GenerationCell>> {
        if work.scopes.is_empty() {
            return Vec::new();
        }
        let mut asked: Vec<_> = work.scopes.values().map(GenerationCell::snapshot).collect();
        let cells: Vec<_> = work.scopes.values().cloned().collect();
        let mut wanted = WantedScopes::new(&cells);
        let names: Vec<&str> = wanted.names().collect();
        let deadline = self.deadline();
        // What could not be invalidated in the store must not be learnt again. Asked after the cells
        // were looked at: what is invalidated later, they tell.
        let answered = if self.unconfirmed.settle(store, deadline).await {
            store.fetch(&names, deadline).await.ok()
        } else {
            None
        };
        let Some(answered) = answered else {
            work.scopes.drain().for_each(|(_, cell)| cell.invalidate());
            return Vec::new();
        };
        wanted.answer(&answered);
        work.scopes.clear();
        // If something was learnt of the scope meanwhile, which of the two is newer is not known.
        let crossed = asked.iter_mut().filter_map(|scope| {
            let heard = scope.observe(wanted.found(&scope.cell));
            (!heard && scope.cell.has_id()).then(|| Arc::clone(&scope.cell))
        });
        crossed.collect()
    }
}

/// Whatever was not answered counts as changed, also if the task is dropped half way.
struct Task {
    coherence: Arc<Coherence>,
    taken: Work,
    done: bool,
}

impl Drop for Task {
    fn drop(&mut self) {
        if !self.done {
            self.coherence.give_up(&self.taken);
            // Whoever adds to the queue later starts another task.
            self.coherence.give_up(&self.coherence.rechecks.abandon());
        }
    }
}
