//! Reading values of a type: what is stored as another one is a miss.

use std::sync::Arc;

use serde::de::DeserializeOwned;

use crate::audit::{Operation, Outcome};
use crate::clock::{Deadline, Millis};
use crate::codec::{from_bytes, is_nothing};
use crate::fill::Fill;
use crate::l1::Slot;
use crate::middleware::Read;
use crate::state::{EntryKey, Inner, NamespaceState};
use crate::stats::Counters;

/// What an entry is to somebody who asks for a type.
pub(crate) enum Typed<V> {
    Value(V),
    /// Past its time.
    Stale,
    OtherType,
}

/// What a search for a value came to.
#[allow(clippy::large_enum_variant, reason = "moved once, then taken apart")]
pub(crate) enum Found<V> {
    Value(V, Arc<Slot>, Read),
    /// With what is there, but stale.
    Nothing(Fill, Option<Arc<Slot>>),
}

/// Reads an entry as a type.
pub(crate) fn typed<V: DeserializeOwned>(slot: &Slot, now: Millis) -> Typed<V> {
    if !slot.is_fresh(now) {
        return Typed::Stale;
    }
    from_bytes(slot.format, &slot.payload).map_or(Typed::OtherType, Typed::Value)
}

impl NamespaceState {
    /// Reads an entry of the key with this identity as a type, and notes the read.
    pub(crate) fn read<V: DeserializeOwned>(
        &self,
        identity: &[u8],
        slot: Option<&Arc<Slot>>,
        workspace: Option<&Counters>,
        hit: Read,
        now: Millis,
    ) -> Option<V> {
        let decode = |slot: &Arc<Slot>| from_bytes(slot.format, &slot.payload);
        self.read_as(identity, slot, workspace, hit, now, decode)
    }

    /// Reads an entry of the key with this identity, and notes the read.
    pub(crate) fn read_as<V>(
        &self,
        identity: &[u8],
        slot: Option<&Arc<Slot>>,
        workspace: Option<&Counters>,
        hit: Read,
        now: Millis,
        decode: impl FnOnce(&Arc<Slot>) -> Option<V>,
    ) -> Option<V> {
        let fresh = slot.filter(|slot| slot.is_fresh(now));
        let value = fresh.and_then(|slot| {
            let value = decode(slot);
            if value.is_none() {
                self.note_other_type(identity, slot, workspace);
            }
            value
        });
        let read = if value.is_some() { hit } else { Read::Miss };
        self.note_read(read, identity, slot.map(|slot| &**slot), workspace);
        self.audit(Operation::Get, Outcome::Read(read), identity);
        value
    }

    /// Counts a read of a plain key that names this workspace, or none, and tells whoever listens.
    pub(crate) fn note_read(
        &self,
        read: Read,
        identity: &[u8],
        found: Option<&Slot>,
        workspace: Option<&Counters>,
    ) {
        self.count(read, workspace);
        self.tell_read(read, identity, found);
        if read != Read::Miss
            && let Some(slot) = found
        {
            self.sampler.hit(self, slot);
        }
    }

    /// Notes that an entry is not of the type that was asked for.
    pub(crate) fn note_other_type(
        &self,
        identity: &[u8],
        slot: &Slot,
        workspace: Option<&Counters>,
    ) {
        if is_nothing(slot.format, &slot.payload) {
            // What is known not to be there is a miss to those who don't ask for an option.
            return;
        }
        std::iter::once(&self.counters).chain(workspace).for_each(|counts| counts.errors.one());
        tracing::debug!(key = %self.shown(identity, &slot.rendered), "stored as another type");
    }
}

impl Inner {
    /// Looks for a value in L1, then in the store; or begins a fill that replaces what is there.
    /// Does not count the read.
    pub(crate) async fn find<V: DeserializeOwned>(
        self: &Arc<Self>,
        key: &Arc<EntryKey>,
        deadline: Deadline,
    ) -> Found<V> {
        let (mut other_type, mut stale) = (None, None);
        if let Some(slot) = self.peek(key) {
            match typed(&slot, self.clock.now()) {
                Typed::Value(value) => return Found::Value(value, slot, Read::L1Hit),
                Typed::OtherType => other_type = Some(slot),
                Typed::Stale => {}
            }
        }
        let (slot, fill) = self.find_in_store(key, deadline).await;
        match slot {
            Some(slot) => match typed(&slot, self.clock.now()) {
                Typed::Value(value) => return Found::Value(value, slot, Read::StoreHit),
                Typed::OtherType => other_type = Some(slot),
                Typed::Stale => stale = Some(slot),
            },
            // What memory has counts only where the store has not said that it is gone. Looked up
            // once more: what happens to it from now on happens to the fill, too.
            None if !fill.is_told_by_store() => {
                let slot = self.peek(key);
                stale =
                    slot.filter(|slot| matches!(typed::<V>(slot, self.clock.now()), Typed::Stale));
            }
            None => {}
        }
        if let Some(slot) = other_type {
            let workspace = key.workspace.as_deref();
            key.namespace.note_other_type(&key.identity, &slot, workspace);
        }
        Found::Nothing(fill, stale)
    }
}
