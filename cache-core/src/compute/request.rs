//! `get_or_compute(..)` as the caller sees it: what, how, and the future of its value.

use std::fmt;
use std::future::IntoFuture;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use serde::{Serialize, de::DeserializeOwned};

use super::computed::Previous;
use super::limits::{Allowance, within};
use super::options::Options;
use super::run::{Call, Launch, value_of};
use super::wait::FOLLOW_FOR;
use super::{BoxCompute, ComputeError};
use crate::audit::{Operation, Outcome};
use crate::background::Place;
use crate::clock::Deadline;
use crate::invalidate::{Tag, TagFamily};
use crate::key::Key;
use crate::middleware::Read;
use crate::state::EntryKey;
use crate::store::BoxFuture;
use crate::ttl::Ttl;
use crate::typed::{Typed, typed};
use crate::values::Values;

/// A value to be looked up, else computed: when it is awaited. See
/// [`Values::get_or_compute`].
#[must_use = "nothing is looked up until this is awaited"]
#[allow(clippy::struct_excessive_bools, reason = "each is a choice of its own")]
pub struct GetOrCompute<'a, V, E, F> {
    pub(super) values: Values,
    pub(super) key: Key,
    pub(super) compute: F,
    pub(super) options: Options,
    pub(super) tags: Vec<Tag>,
    pub(super) read: bool,
    pub(super) write: bool,
    /// Somebody reads: it is a hit or a miss.
    pub(super) counted: bool,
    /// How it goes on without its caller, where it may.
    pub(super) launch: Option<Launch<'a>>,
    /// Tags and more may come with the value.
    pub(super) rich: bool,
    pub(super) result: PhantomData<fn() -> Result<V, E>>,
}

impl<V, E, F> GetOrCompute<'_, V, E, F> {
    /// How the value is kept and computed; what is not said here the namespace says, or the cache.
    pub fn options(mut self, options: Options) -> Self {
        self.options = options.or(self.options);
        self
    }

    /// How long the value is fresh.
    pub fn ttl(mut self, ttl: impl Into<Ttl>) -> Self {
        self.options.ttl = Some(ttl.into());
        self
    }

    /// See [`Options::jitter`].
    pub fn jitter(mut self, percent: u8) -> Self {
        self.options = self.options.jitter(percent);
        self
    }

    /// See [`Options::grace`].
    pub fn grace(mut self, grace: Duration) -> Self {
        self.options = self.options.grace(grace);
        self
    }

    /// See [`Options::early_refresh`].
    pub fn early_refresh(mut self, percent: u8) -> Self {
        self.options = self.options.early_refresh(percent);
        self
    }

    /// See [`Options::timeout`].
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.options = self.options.timeout(timeout);
        self
    }

    /// See [`Options::soft_timeout`].
    pub fn soft_timeout(mut self, timeout: Duration) -> Self {
        self.options = self.options.soft_timeout(timeout);
        self
    }

    /// See [`Options::negative_ttl`].
    pub fn negative_ttl(mut self, ttl: Duration) -> Self {
        self.options = self.options.negative_ttl(ttl);
        self
    }

    /// See [`Options::error_ttl`].
    pub fn error_ttl(mut self, ttl: Duration) -> Self {
        self.options = self.options.error_ttl(ttl);
        self
    }

    /// See [`Options::sliding`].
    pub fn sliding(mut self, at_most: Duration) -> Self {
        self.options = self.options.sliding(at_most);
        self
    }

    /// One computes for all processes that share the store: see [`Options::once_per_fleet`].
    ///
    /// ```
    /// use cache_core::{Cache, seconds};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// let answers = Cache::builder().build()?.namespace("ai_responses");
    /// let ask_model = async || Ok::<_, std::io::Error>("Paris".to_owned());
    /// let answer = answers.get_or_compute("capital:fr", ask_model).once_per_fleet().timeout(seconds(30));
    /// assert_eq!(answer.await?, "Paris");
    /// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
    /// ```
    pub fn once_per_fleet(mut self) -> Self {
        self.options = self.options.once_per_fleet(true);
        self
    }

    /// Adds a tag that the entry will carry if it is computed: a text, which is then a global one, or
    /// [`Tag::in_workspace`].
    pub fn tag(mut self, tag: impl Into<Tag>) -> Self {
        self.tags.push(tag.into());
        self
    }

    /// Computes, whatever is stored. Others who ask meanwhile are not kept waiting for it.
    pub fn skip_read(mut self) -> Self {
        self.read = false;
        self
    }

    /// Nobody reads.
    pub(super) fn uncounted(mut self) -> Self {
        self.counted = false;
        self
    }

    /// Stores nothing.
    pub fn skip_write(mut self) -> Self {
        self.write = false;
        self
    }
}

impl<V, E, F> GetOrCompute<'static, V, E, F> {
    /// The function may go on in the background, if the caller leaves or does not wait any longer
    /// ([`soft_timeout`](Self::soft_timeout), [`timeout`](Self::timeout)); an early refresh keeps
    /// nobody waiting. For functions that borrow nothing. There are as many places in the background
    /// as [`Builder::background_tasks`](crate::Builder::background_tasks) says; without one it runs
    /// as if this had not been said.
    pub fn in_background(mut self) -> Self {
        self.launch = Some(Place::spawn);
        self
    }
}

impl<'a, V, E, F> IntoFuture for GetOrCompute<'a, V, E, F>
where
    V: Serialize + DeserializeOwned + Send + 'a,
    E: Send + Sync + 'static,
    F: FnOnce(Previous<V>) -> BoxCompute<'a, V, E> + Send + 'a,
{
    type Output = Result<V, ComputeError<E>>;
    type IntoFuture = Computing<'a, V, E>;

    /// What is in this process' memory is found here.
    fn into_future(self) -> Self::IntoFuture {
        let Ok(state) = self.values.state() else {
            let options = self.options.or(self.values.cache.inner.defaults.options);
            return Computing::Asking(Box::pin(alone(self.compute, options)));
        };
        if !self.values.cache.inner.enabled {
            let options = self.options.or(state.options);
            return Computing::Asking(Box::pin(alone(self.compute, options)));
        }
        let state = Arc::clone(state);
        let key = state.key(self.key);
        let (identity, inner) = (key.identity(), &self.values.cache.inner);
        let (options, now) = (self.options.or(state.options), inner.clock.now());
        if self.read
            && let Some(slot) = state.peek_plain(&key, now)
            && let Typed::Value(value) = typed(&slot, now)
            && !options.is_due(&slot.times, now)
        {
            if self.counted {
                let workspace = slot.workspace.as_deref();
                state.note_read(Read::L1Hit, identity, Some(&slot), workspace);
            }
            state.audit(Operation::Get, Outcome::Read(Read::L1Hit), identity);
            if options.sliding.is_some() {
                inner.slide(&state, &key, &slot, &options, now);
            }
            return Computing::Found(Some(value));
        }
        let call = Call {
            inner: Arc::clone(inner),
            key: inner.plain_key(&state, &key),
            options,
            tags: self.tags,
            read: self.read,
            write: self.write,
            counted: self.counted,
            launch: self.launch,
            rich: self.rich,
            allowance: Allowance::new(inner.budget),
            others: Deadline::after(FOLLOW_FOR),
            refreshing: false,
            fence: None,
        };
        Computing::Asking(Box::pin(call.run(self.compute)))
    }
}

/// Those whose tags the value has, or may turn out to have. Who waits for it looks at them, not at
/// the tags.
pub(super) fn families(tags: &[Tag], rich: bool, key: &EntryKey) -> Vec<TagFamily> {
    let mut families: Vec<TagFamily> = tags.iter().map(|tag| tag.family().clone()).collect();
    if rich {
        families.push(TagFamily::global());
        families.extend(key.workspace_part().map(TagFamily::of_rendered_partition));
    }
    families
}

/// Nothing is cached when caching is off, or the namespace can't be used. The function may take no
/// longer than else.
async fn alone<'a, V, E>(
    compute: impl FnOnce(Previous<V>) -> BoxCompute<'a, V, E>,
    options: Options,
) -> Result<V, ComputeError<E>> {
    let patience = options.timeout.map(Deadline::after);
    within(patience, async { value_of(compute(Previous::new(None)).await) }).await
}

/// The future of a [`GetOrCompute`].
#[must_use = "futures do nothing unless polled"]
pub enum Computing<'a, V, E> {
    /// It was in this process' memory.
    #[doc(hidden)]
    Found(Option<V>),
    /// It has to be looked up, or computed.
    #[doc(hidden)]
    Asking(BoxFuture<'a, Result<V, ComputeError<E>>>),
}

// Nothing in here is pinned by itself.
impl<V, E> Unpin for Computing<'_, V, E> {}

impl<V, E> Future for Computing<'_, V, E> {
    type Output = Result<V, ComputeError<E>>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.get_mut() {
            Self::Found(value) => match value.take() {
                Some(value) => Poll::Ready(Ok(value)),
                // Polled again after its end, which nobody may.
                None => Poll::Pending,
            },
            Self::Asking(asking) => asking.as_mut().poll(context),
        }
    }
}

impl<V, E> fmt::Debug for Computing<'_, V, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Computing")
            .field("found", &matches!(self, Self::Found(_)))
            .finish_non_exhaustive()
    }
}

impl<V, E, F> fmt::Debug for GetOrCompute<'_, V, E, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GetOrCompute")
            .field("key", &self.values.shown(&self.key))
            .field("options", &self.options)
            .field("tags", &self.tags)
            .finish_non_exhaustive()
    }
}
