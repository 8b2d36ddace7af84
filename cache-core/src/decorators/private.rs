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

use serde::{Serialize, de::DeserializeOwned};

use crate::compute::{BoxCompute, GetOrCompute, Previous};
use crate::error::Error;
use crate::invalidate::Tag;
use crate::ttl::Ttl;
use crate::values::Values;

/// A call of a cached function: where its value is kept, and what is said about it.
#[derive(Debug)]
pub struct Call {
    values: Values,
    ttl: Option<Ttl>,
    tags: Vec<Tag>,
    /// Or why this call can't be cached.
    key: Result<Key, Error>,
}

impl Call {
    pub fn new(values: Values, key: KeyParts) -> Self {
        Self { values, ttl: None, tags: Vec::new(), key: key.into_key() }
    }

    #[must_use]
    pub fn ttl(mut self, ttl: impl Into<Ttl>) -> Self {
        self.ttl = Some(ttl.into());
        self
    }

    #[must_use]
    pub fn tag(mut self, tag: impl TryIntoTag) -> Self {
        match tag.try_into_tag() {
            Ok(tag) => self.tags.push(tag),
            // Without its tag it could not be invalidated.
            Err(error) => self.key = Err(error),
        }
        self
    }

    /// What is to be looked up, if the call has a key.
    fn keyed(self) -> Option<Keyed> {
        let Self { values, ttl, tags, key } = self;
        match key {
            Ok(key) => Some(Keyed { values, ttl, tags, key }),
            Err(error) => {
                tracing::warn!(%error, "not cached: the key of a call can't be hashed");
                None
            }
        }
    }
}

/// A call that has a key.
struct Keyed {
    values: Values,
    ttl: Option<Ttl>,
    tags: Vec<Tag>,
    key: Key,
}

impl Keyed {
    fn get_or_compute<'a, V, E, F, Fut>(
        self,
        compute: F,
    ) -> GetOrCompute<
        'a,
        V,
        E,
        impl FnOnce(Previous<V>) -> BoxCompute<'a, V, E> + Send + use<'a, V, E, F, Fut>,
    >
    where
        V: Serialize + DeserializeOwned + Send + 'a,
        E: Send + Sync + 'static,
        F: FnOnce() -> Fut + Send + 'a,
        Fut: Future<Output = Result<V, E>> + Send + 'a,
    {
        let asked = self.values.get_or_compute(self.key, compute);
        let asked = self.tags.into_iter().fold(asked, GetOrCompute::tag);
        match self.ttl {
            Some(ttl) => asked.ttl(ttl),
            None => asked,
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
