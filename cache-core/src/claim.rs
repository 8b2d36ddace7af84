//! Filling by a write: what answers a write is the new value, and the write itself deletes the key
//! first (a POST that says what a GET would bring from now on).
//!
//! A delete stops every fill that began before it, and this one began before it: nothing may be
//! put under a key that changed since its source was asked. So the delete is done in the name of
//! the fill, and these hold:
//!
//! 1. **Begun before.** Generations, the key's state in the store and the fence in L1 are noted
//!    before the source is asked ([`Values::fill_anew`](crate::Values::fill_anew)).
//! 2. **One change.** The tombstone is put only on the state that was noted. If it is put, nobody
//!    has written or deleted the key from the beginning of the fill up to it; if it is not, another
//!    write came in between, whose order to ours nobody knows, and the fill ends. (No tombstone of
//!    another comes and goes unseen: it outlives every fill that may still commit.)
//! 3. **Nothing after.** The fill then expects exactly that tombstone: whatever comes later (a
//!    delete, another such write, a fill that has seen the tombstone) makes its commit fail.
//! 4. **The same in memory.** The fill's fence survives the two breaks that its own delete makes,
//!    and no other, whenever that comes: a broken one is never mended.
//! 5. **Scopes.** Their generations are those of the beginning: an invalidation of a namespace, a
//!    workspace, a pattern or a tag voids the value as it does that of any other fill.
//! 6. **All others lose.** The delete breaks their fences and changes the state that they expect.
//!
//! Where anything fails, or is not known, the fill ends and the key is deleted as always.

use std::sync::Arc;

use bytes::Bytes;

use crate::clock::Deadline;
use crate::codec::WriteId;
use crate::fill::Fill;
use crate::invalidate::queue::Pending;
use crate::store::{Put, WriteBatch};
use crate::write::tombstone_of;

impl Fill {
    /// Deletes the key, and goes on to fill it. `None` if that can't be: then the key still has to
    /// be deleted as others are.
    #[must_use = "without it the key still has to be deleted"]
    pub async fn claim(mut self, deadline: Deadline) -> Option<Self> {
        let (inner, key) = (Arc::clone(&self.inner), Arc::clone(&self.key));
        let region = &key.namespace.region;
        self.fence.break_others_if_standing(|| region.remove(key.hash));
        if let Some(store) = &inner.store {
            let expect = self.expect.take()?;
            key.namespace.note_deletions();
            let id = fastrand::u64(1..);
            let mut put = tombstone_of(&key, id, inner.clock.now());
            put.expect = Some(Bytes::copy_from_slice(&expect));
            let tombstone = Put { expect: None, ..put.clone() };
            let removal = Pending::entry(&key.rendered, &key.namespace.cell.name, tombstone);
            inner.note_removals(std::iter::once(removal));
            let batch = WriteBatch { puts: &[put], ..WriteBatch::default() };
            let mut unless_put = inner.forget_in_the_end(vec![Arc::clone(&key)]);
            let written = store.write(batch, deadline).await.ok()?;
            if written.stored.first() != Some(&true) {
                return None;
            }
            unless_put.keys.clear();
            // What was read from the store before the tombstone came may be in L1 by now.
            self.fence.break_others_if_standing(|| region.remove(key.hash));
            self.expect = Some(WriteId::from_slice(&id.to_le_bytes()));
        }
        self.claimed = true;
        let current = self.is_current();
        if current {
            key.note(|counts| counts.deletes.one());
        }
        current.then_some(self)
    }
}
