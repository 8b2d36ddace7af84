//! What a function is given, and what it answers.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};

use crate::codec::{Format, from_bytes, to_bytes};
use crate::error::Error;
use crate::invalidate::Tag;
use crate::l1::Slot;
use crate::ttl::Ttl;

/// The value that a function is to replace, if there is one: stale, or about to be.
pub struct Previous<V> {
    slot: Option<Arc<Slot>>,
    value: PhantomData<fn() -> V>,
}

/// What a function of [`get_or_compute_with`](crate::Values::get_or_compute_with) answers: a value,
/// and how it is to be kept.
///
/// ```
/// use cache_core::{Computed, minutes};
///
/// let profile = Computed::new("Ada").ttl(minutes(1)).tag("user:42");
/// let secret = Computed::new("for you only").do_not_store();
/// # let _ = (profile, secret);
/// ```
#[must_use]
pub struct Computed<V> {
    value: New<V>,
    ttl: Option<Ttl>,
    tags: Vec<Tag>,
    store: bool,
    etag: Option<Box<str>>,
}

/// How a value is to be kept.
pub(super) struct Keeping {
    pub(super) ttl: Option<Ttl>,
    pub(super) tags: Vec<Tag>,
    pub(super) store: bool,
    pub(super) etag: Option<Box<str>>,
}

impl Default for Keeping {
    fn default() -> Self {
        Self { ttl: None, tags: Vec::new(), store: true, etag: None }
    }
}

/// A serialized value.
pub(super) type Payload = (Format, Bytes);

enum New<V> {
    Value(V),
    /// The previous one, and as it is stored.
    Unchanged(V, Arc<Slot>),
}

impl<V> Previous<V> {
    pub(super) fn new(slot: Option<Arc<Slot>>) -> Self {
        Self { slot, value: PhantomData }
    }
}

impl<V: DeserializeOwned> Previous<V> {
    /// The value. Deserialized anew each time.
    pub fn value(&self) -> Option<V> {
        let slot = self.slot.as_ref()?;
        from_bytes(slot.format, &slot.payload)
    }

    /// What the application said of it ([`Computed::etag`]). `None` if the value is of another type:
    /// it can't be left [`unchanged`](Self::unchanged).
    pub fn etag(&self) -> Option<&str> {
        let etag = self.slot.as_ref()?.etag.as_deref()?;
        self.value().map(|_| etag)
    }

    /// The answer that it is as it was: it is fresh again, for its whole time. `None` if there is
    /// none.
    pub fn unchanged(self) -> Option<Computed<V>> {
        let value = self.value()?;
        let slot = self.slot?;
        let etag = slot.etag.clone();
        Some(Computed { etag, ..Computed::of(New::Unchanged(value, slot)) })
    }
}

impl<V> Computed<V> {
    /// A value.
    pub fn new(value: V) -> Self {
        Self::of(New::Value(value))
    }

    fn of(value: New<V>) -> Self {
        Self { value, ttl: None, tags: Vec::new(), store: true, etag: None }
    }

    /// The value, as it is to be stored, and how it is to be kept.
    pub(super) fn serialized(self, format: Format) -> (V, Result<Payload, Error>, Keeping)
    where
        V: Serialize,
    {
        let Self { value, ttl, tags, store, etag } = self;
        let (value, payload) = match value {
            New::Value(value) => {
                let payload = to_bytes(format, &value).map(|payload| (format, payload));
                (value, payload)
            }
            New::Unchanged(value, slot) => (value, Ok((slot.format, slot.payload.clone()))),
        };
        (value, payload, Keeping { ttl, tags, store, etag })
    }

    pub(super) fn into_value(self) -> V {
        match self.value {
            New::Value(value) | New::Unchanged(value, _) => value,
        }
    }

    /// How long it is fresh; also if there is nothing. Default: what the call or the namespace says.
    pub fn ttl(mut self, ttl: impl Into<Ttl>) -> Self {
        self.ttl = Some(ttl.into());
        self
    }

    /// Adds a tag, by which the entry can be invalidated: a global one, or one of the workspace that
    /// the key names. With another workspace's the value is not stored.
    pub fn tag(mut self, tag: impl Into<Tag>) -> Self {
        self.tags.push(tag.into());
        self
    }

    /// It is given to those who wait for it, and not kept.
    pub fn do_not_store(mut self) -> Self {
        self.store = false;
        self
    }

    /// What the function is told when the value has to be computed again
    /// ([`Previous::etag`]): at most 65,535 bytes; a longer one is not kept.
    pub fn etag(mut self, etag: impl Into<String>) -> Self {
        let etag = etag.into();
        self.etag = u16::try_from(etag.len()).is_ok().then(|| etag.into_boxed_str());
        self
    }
}

impl<V> fmt::Debug for Previous<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Previous").field("exists", &self.slot.is_some()).finish_non_exhaustive()
    }
}

impl<V> fmt::Debug for Computed<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The value is the application's business.
        f.debug_struct("Computed")
            .field("ttl", &self.ttl)
            .field("tags", &self.tags)
            .field("store", &self.store)
            .finish_non_exhaustive()
    }
}
