//! What a function that invalidates is about to change.

use std::borrow::Cow;

use super::{KeyParts, Text, TryIntoTag};
use crate::cache::Cache;
use crate::error::Error;
use crate::invalidate::{Invalidation, Pattern, Scope, Template};

/// The scopes that a function invalidates when it has returned. If it is dropped before that, how
/// far it has got is not known: then they are invalidated as well, in the background.
#[derive(Debug)]
pub struct Change {
    cache: Cache,
    scopes: Vec<Scope>,
    /// Why a scope could not be named.
    error: Option<Error>,
    ended: bool,
}

impl Change {
    pub fn new(cache: &Cache) -> Self {
        Self { cache: cache.clone(), scopes: Vec::new(), error: None, ended: false }
    }

    #[must_use]
    pub fn scope(mut self, scope: impl Into<Scope>) -> Self {
        self.scopes.push(scope.into());
        self
    }

    #[must_use]
    pub fn tag(self, tag: impl TryIntoTag) -> Self {
        let tag = tag.try_into_tag();
        self.add(tag.map(Scope::from))
    }

    #[must_use]
    pub fn key(self, namespace: impl AsRef<str>, key: KeyParts) -> Self {
        let key = key.into_key();
        self.add(key.map(|key| Scope::key(namespace, key)))
    }

    /// A template whose holes are numbered. It is not declared here: instances in which this
    /// function is not called would not know of it.
    #[must_use]
    pub fn pattern<const N: usize>(
        self,
        namespace: impl AsRef<str>,
        template: &str,
        values: [Text; N],
    ) -> Self {
        let namespace = namespace.as_ref();
        let values = values.into_iter().map(Text::into_string).collect::<Result<Vec<_>, _>>();
        let scope = values.map(|values| match bound(template, &values) {
            Some(pattern) => Scope::pattern(namespace, pattern),
            // Longer than a template may be.
            None => Scope::namespace(namespace),
        });
        self.add(scope)
    }

    fn add(mut self, scope: Result<Scope, Error>) -> Self {
        match scope {
            Ok(scope) => self.scopes.push(scope),
            Err(error) => self.error = Some(error),
        }
        self
    }

    /// Nothing has changed.
    pub(super) fn cancel(mut self) {
        self.ended = true;
    }

    pub(super) async fn end(self) {
        if let Err(error) = self.invalidate().await {
            tracing::warn!(%error, "an invalidation failed");
        }
    }

    pub(super) async fn invalidate(mut self) -> Result<(), Error> {
        let (invalidation, error) = (self.take(), self.error.take());
        invalidation.await?;
        error.map_or(Ok(()), Err)
    }

    fn take(&mut self) -> Invalidation {
        self.ended = true;
        self.cache.invalidate(std::mem::take(&mut self.scopes))
    }
}

impl Drop for Change {
    fn drop(&mut self) {
        if !self.ended
            && let Err(error) = self.take().queue()
        {
            tracing::warn!(%error, "an invalidation failed");
        }
    }
}

fn bound(template: &str, values: &[String]) -> Option<Pattern> {
    let value = |hole: &str| {
        values.get(hole.parse::<usize>().ok()?).map(|value| Cow::Borrowed(value.as_str()))
    };
    Template::parse(template).ok()?.bind(None, value)
}
