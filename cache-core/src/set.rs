//! Writing one value, with what is said about it.

use std::fmt;
use std::future::IntoFuture;

use bytes::Bytes;

use crate::error::Error;
use crate::invalidate::Tag;
use crate::key::Key;
use crate::store::BoxFuture;
use crate::ttl::Ttl;
use crate::values::Values;

/// A write that is carried out when awaited.
#[must_use = "nothing is written until this is awaited"]
pub struct Set {
    values: Values,
    key: Key,
    value: Result<Bytes, Error>,
    ttl: Option<Ttl>,
    tags: Vec<Tag>,
}

impl Set {
    pub(crate) fn new(values: Values, key: Key, value: Result<Bytes, Error>) -> Self {
        Self { values, key, value, ttl: None, tags: Vec::new() }
    }

    /// How long the value is fresh. Default: the namespace's TTL.
    pub fn ttl(mut self, ttl: impl Into<Ttl>) -> Self {
        self.ttl = Some(ttl.into());
        self
    }

    /// Adds a tag, by which the entry can be invalidated: a text, which is then a global one, or
    /// [`Tag::in_workspace`].
    pub fn tag(mut self, tag: impl Into<Tag>) -> Self {
        self.tags.push(tag.into());
        self
    }
}

impl fmt::Debug for Set {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The value is the application's business.
        f.debug_struct("Set")
            .field("key", &self.values.shown(&self.key))
            .field("ttl", &self.ttl)
            .field("tags", &self.tags)
            .finish_non_exhaustive()
    }
}

impl IntoFuture for Set {
    type Output = Result<(), Error>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let ttl = self.ttl.unwrap_or(self.values.state()?.ttl);
            let value = self.values.new_value(self.value?, ttl);
            self.values.put(&[(self.key, value)], &self.tags).await
        })
    }
}
