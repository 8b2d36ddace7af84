//! Reading values of a type: what is stored as another one is a miss.

use std::sync::Arc;

use serde::de::DeserializeOwned;

use crate::audit::{Operation, Outcome};
use crate::clock::{Deadline, Millis};
use crate::codec::from_bytes;
use crate::fill::Fill;
use crate::l1::Slot;
use crate::middleware::Read;
use crate::state::{EntryKey, Inner, NamespaceState};

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
    if !slot.times_at(now).is_fresh(now) {
        return Typed::Stale;
    }
    from_bytes(slot.format, &slot.payload).map_or(Typed::OtherType, Typed::Value)
}

impl NamespaceState {
    /// Reads an entry of the key with this identity as a type, and notes the read.
    pub(crate) fn read<V: DeserializeOwned>(
        &self,
        identity: &[u8],
        slot: Option<&Slot>,
        hit: Read,
        now: Millis,
    ) -> Option<V> {
        let value = match slot.map(|slot| (slot, typed(slot, now))) {
            Some((_, Typed::Value(value))) => Some(value),
            Some((slot, Typed::OtherType)) => {
                self.note_other_type(identity, &slot.rendered);
                None
            }
            Some((_, Typed::Stale)) | None => None,
        };
        let read = if value.is_some() { hit } else { Read::Miss };
        self.counters.count(read);
        self.audit(Operation::Get, Outcome::Read(read), identity);
        value
    }

    fn note_other_type(&self, identity: &[u8], rendered: &str) {
        self.counters.errors.one();
        tracing::debug!(key = %self.shown(identity, rendered), "stored as another type");
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
        let (mut other_type, mut stale) = (false, None);
        if let Some(slot) = self.peek(key) {
            match typed(&slot, self.clock.now()) {
                Typed::Value(value) => return Found::Value(value, slot, Read::L1Hit),
                Typed::OtherType => other_type = true,
                Typed::Stale => {}
            }
        }
        let (slot, fill) = self.find_in_store(key, deadline).await;
        match slot {
            Some(slot) => match typed(&slot, self.clock.now()) {
                Typed::Value(value) => return Found::Value(value, slot, Read::StoreHit),
                Typed::OtherType => other_type = true,
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
        if other_type {
            key.namespace.note_other_type(&key.identity, &key.rendered);
        }
        Found::Nothing(fill, stale)
    }
}
