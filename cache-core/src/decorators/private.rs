//! What `#[cached]` and `#[invalidates]` expand to. No part of the interface.

use crate::key::Key;

mod change;
mod returned;
mod text;

pub use change::Change;
pub use returned::{
    AnyType, CachedError, Fallible, FallibleCached, Plain, Returned, ReturnedError,
};
pub use text::{KeyParts, Text};

use crate::compute::Options;
use crate::error::Error;
use crate::invalidate::Tag;
use crate::ttl::Ttl;
use crate::values::Values;

/// A call of a cached function: where its value is kept, and what is said about it.
#[derive(Debug)]
pub struct Call {
    values: Values,
    options: Options,
    /// Or why this call can't be cached.
    key: Result<Key, Error>,
}

impl Call {
    pub fn new(values: Values, key: KeyParts) -> Self {
        Self { values, options: Options::default(), key: key.into_key() }
    }

    #[must_use]
    pub fn ttl(mut self, ttl: impl Into<Ttl>) -> Self {
        self.options.ttl = Some(ttl.into());
        self
    }

    #[must_use]
    pub fn tag(mut self, tag: impl TryIntoTag) -> Self {
        match tag.try_into_tag() {
            Ok(tag) => self.options.tags.push(tag),
            // Without its tag it could not be invalidated.
            Err(error) => self.key = Err(error),
        }
        self
    }

    /// The key, if there is one.
    fn key(self) -> Option<(Values, Options, Key)> {
        match self.key {
            Ok(key) => Some((self.values, self.options, key)),
            Err(error) => {
                tracing::warn!(%error, "not cached: the key of a call can't be hashed");
                None
            }
        }
    }
}

/// A tag, or the text of one whose values may have had no digest.
pub trait TryIntoTag {
    fn try_into_tag(self) -> Result<Tag, Error>;
}

impl TryIntoTag for Tag {
    fn try_into_tag(self) -> Result<Tag, Error> {
        Ok(self)
    }
}

impl TryIntoTag for Text {
    fn try_into_tag(self) -> Result<Tag, Error> {
        self.into_string().map(Tag::new)
    }
}
