//! `invalidate(..)` as the caller sees it: what, by when, and how far it has got.

use std::future::IntoFuture;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::cache::Cache;
use crate::clock::Deadline;
use crate::error::Error;
use crate::invalidate::Scope;
use crate::invalidate::removal::Removals;
use crate::state::EntryKey;
use crate::store::BoxFuture;

/// How far an invalidation has got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Invalidated {
    /// Done: no read that begins later on this node sees an older value.
    Complete,
    /// Done on this node; elsewhere soon after the store can be told. If this process ends before
    /// that, when TTLs end.
    Queued,
}

impl Invalidated {
    /// Whether it is done everywhere, not only here.
    pub fn is_complete(self) -> bool {
        self == Self::Complete
    }
}

/// One or several scopes: what [`Cache::invalidate`] takes.
///
/// ```
/// use cache_core::{Scope, Scopes, Tag};
///
/// let one = Scopes::from(Tag::new("user:123"));
/// let same = Scopes::from([Tag::new("user:123"), Tag::new("team:7")]);
/// let several = Scopes::from([Scope::namespace("users"), Scope::key("teams", "7")]);
/// let collected: Scopes = (0..3).map(|n| Scope::workspace(format!("ws{n}"))).collect();
/// # let _ = (one, same, several, collected);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scopes(Vec<Scope>);

impl<T: Into<Scope>> From<T> for Scopes {
    fn from(scope: T) -> Self {
        Self(vec![scope.into()])
    }
}

impl<T: Into<Scope>, const N: usize> From<[T; N]> for Scopes {
    fn from(scopes: [T; N]) -> Self {
        scopes.into_iter().collect()
    }
}

impl<T: Into<Scope>> From<Vec<T>> for Scopes {
    fn from(scopes: Vec<T>) -> Self {
        scopes.into_iter().collect()
    }
}

impl<T: Into<Scope> + Clone> From<&[T]> for Scopes {
    fn from(scopes: &[T]) -> Self {
        scopes.iter().cloned().collect()
    }
}

impl<T: Into<Scope>> FromIterator<T> for Scopes {
    fn from_iter<I: IntoIterator<Item = T>>(scopes: I) -> Self {
        Self(scopes.into_iter().map(Into::into).collect())
    }
}

/// An invalidation that is carried out when awaited; see [`Cache::invalidate`].
///
/// Once it has been polled it is not forgotten: dropped before its end, it has taken effect in
/// this process, and is queued for the others.
#[derive(Debug)]
#[must_use = "nothing is invalidated until this is awaited"]
pub struct Invalidation {
    cache: Cache,
    removals: Result<Removals, Error>,
    deadline: Option<Deadline>,
}

impl Invalidation {
    pub(crate) fn new(cache: &Cache, scopes: Scopes) -> Self {
        let mut removals = Removals::default();
        let mut added = scopes.0.into_iter().map(|scope| removals.add(&cache.inner, scope));
        let added = added.try_for_each(|added| added);
        Self { cache: cache.clone(), removals: added.map(|()| removals), deadline: None }
    }

    /// Until when the store may be waited for; then the answer is
    /// [`Queued`](Invalidated::Queued). Default: the cache's operation budget. (A pattern that
    /// was not declared is swept, which takes as long as it takes.)
    pub fn deadline(mut self, deadline: Deadline) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// Softly: what it is about becomes stale rather than invalid. It may be used where what is
    /// stale may (by a response cache within its grace, while one request asks the origin anew), for
    /// no longer from now on than past its freshness, but never as fresh: `get` does not find it.
    /// Another soft invalidation gives it no more time (of one scope, the last eight are told apart).
    /// Fills that began before are not kept, as always.
    ///
    /// ```
    /// use cache_core::{Cache, Invalidated, Tag};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// let cache = Cache::builder().build()?;
    /// assert_eq!(cache.invalidate(Tag::new("prices")).soft().await?, Invalidated::Complete);
    /// # Ok::<(), cache_core::Error>(()) }).unwrap();
    /// ```
    ///
    /// Single keys take one round trip more. Where it can't be done softly, it is done as if this
    /// had not been said: for a pattern that was not declared; a key that is written at the same
    /// time; a store that has no room, or takes neither scripts nor transactions; and, elsewhere than in this process,
    /// where the answer is [`Queued`](Invalidated::Queued), or a store has to be told again what it
    /// forgot.
    pub fn soft(mut self) -> Self {
        if let Ok(removals) = &mut self.removals {
            removals.soften();
        }
        self
    }

    /// Adds prepared keys (see [`Values::prepare`](crate::Values::prepare)), in the same round
    /// trip.
    pub fn entries(mut self, keys: impl IntoIterator<Item = Arc<EntryKey>>) -> Self {
        if let Ok(removals) = &mut self.removals {
            removals.entries(keys);
        }
        self
    }

    /// Invalidates here at once, and queues the rest: for code that can't wait, such as a `Drop`.
    /// A pattern that was not declared widens to its namespace.
    ///
    /// # Errors
    /// As when it is awaited, of what is known before the store is asked.
    pub fn queue(self) -> Result<Invalidated, Error> {
        Ok(self.cache.inner.remove_later(self.removals?))
    }
}

impl IntoFuture for Invalidation {
    type Output = Result<Invalidated, Error>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let inner = &self.cache.inner;
            let deadline = self.deadline.unwrap_or_else(|| inner.deadline());
            inner.remove(self.removals?, deadline).await
        })
    }
}
