//! What the keys of a batch have in common, and what is known of each.

use std::sync::Arc;

use serde::de::DeserializeOwned;

use super::KeyOf;
use crate::audit::{self, Operation};
use crate::codec::{Format, from_bytes, is_nothing};
use crate::compute::lead::How;
use crate::compute::request::families;
use crate::compute::wait::Looks;
use crate::fill::Fill;
use crate::invalidate::Tag;
use crate::l1::Slot;
use crate::middleware::Read;
use crate::state::{EntryKey, Inner, NamespaceState};

/// What is the same for all keys of a batch.
pub(super) struct Terms<'a, K> {
    pub(super) inner: Arc<Inner>,
    pub(super) state: Arc<NamespaceState>,
    pub(super) key_of: KeyOf<'a, K>,
    pub(super) how: How,
    pub(super) tags: Vec<Tag>,
    pub(super) read: bool,
    pub(super) rich: bool,
    pub(super) size: usize,
    pub(super) at_once: usize,
}

/// A key of a batch: each once.
pub(super) struct Item<K> {
    /// Among those of the batch.
    pub(super) place: usize,
    pub(super) own: K,
    pub(super) key: Arc<EntryKey>,
    pub(super) counted: bool,
    /// What was found is of another type, and that is noted.
    pub(super) other_type: bool,
    pub(super) looks: Looks,
}

impl<K> Terms<'_, K> {
    pub(super) fn note_miss(&self, item: &mut Item<K>) {
        if !item.counted {
            item.counted = true;
            item.key.count(Read::Miss);
            self.audit(item, audit::Outcome::Read(Read::Miss));
        }
    }

    pub(super) fn note_other_type(&self, item: &mut Item<K>, slot: &Slot) {
        if !item.other_type {
            item.other_type = true;
            let counts = item.key.workspace.as_deref();
            self.state.note_other_type(&item.key.identity, slot, counts);
        }
    }

    pub(super) fn audit(&self, item: &Item<K>, outcome: audit::Outcome) {
        self.state.audit(Operation::Get, outcome, &item.key.identity);
    }

    pub(super) fn is_fresh(&self, slot: &Slot) -> bool {
        let now = self.inner.clock.now();
        slot.is_fresh(now)
    }

    /// Tags that only the value will name have to be expected before others may wait for it.
    pub(super) fn expecting(&self, item: &Item<K>, mut fill: Fill) -> Fill {
        for family in families(&self.tags, self.rich, &item.key) {
            fill.expect_tags(&family);
        }
        fill
    }

    /// Whether a flight has landed between the lookup and the joining.
    pub(super) fn may_be_there(&self, item: &mut Item<K>, fill: &Fill) -> bool {
        let is_there = || self.inner.peek(&item.key).is_some_and(|slot| self.is_fresh(&slot));
        item.looks.may_be_there(fill, is_there)
    }
}

/// What a batch says of an entry: nothing is an answer, too.
#[allow(clippy::option_option, reason = "not readable, nothing, or a value")]
pub(super) fn read<V: DeserializeOwned>(slot: &Slot) -> Option<Option<V>> {
    read_as(slot.format, &slot.payload)
}

#[allow(clippy::option_option, reason = "not readable, nothing, or a value")]
pub(super) fn read_as<V: DeserializeOwned>(format: Format, payload: &[u8]) -> Option<Option<V>> {
    if is_nothing(format, payload) { Some(None) } else { from_bytes(format, payload).map(Some) }
}
