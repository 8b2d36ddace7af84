//! Rules that say what an application's events invalidate.
//!
//! ```
//! use cache_core::{Cache, Invalidated, Invalidations, Tag};
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//!
//! struct AgentRunCompleted {
//!     agent: u64,
//!     workspace: String,
//! }
//!
//! let cache = Cache::builder().prefix("coldcopy").build()?;
//! let rules = Invalidations::builder(&cache)
//!     .scopes(|event: &AgentRunCompleted| [Tag::new(format!("agent:{}", event.agent))])
//!     .pattern("exec", "exec:dashboard:{workspace}:*", |event: &AgentRunCompleted, hole| match hole {
//!         "workspace" => Some(event.workspace.clone()),
//!         _ => None,
//!     })?
//!     .build();
//!
//! // In a handler; one round trip for all that the rules say.
//! let event = AgentRunCompleted { agent: 7, workspace: "ws1".into() };
//! assert_eq!(rules.publish(&event).await?, Invalidated::Complete);
//!
//! // Or where events arrive, beside the service, until there are no more senders.
//! let (sender, events) = tokio::sync::mpsc::channel(64);
//! let consumer = tokio::spawn(async move { rules.consume(events).await });
//! # let _ = sender.send(event).await;
//! # drop(sender);
//! # assert_eq!(consumer.await?.events, 1);
//! # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
//! ```

use std::any::{Any, TypeId, type_name};
use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use tokio::sync::mpsc;

use crate::cache::Cache;
use crate::error::Error;
use crate::invalidate::{Invalidated, Partition, Scope, Template};
use crate::log_limit::LogLimit;

/// What an application's events invalidate, by the type of the event; cheap to clone.
#[derive(Clone)]
pub struct Invalidations {
    cache: Cache,
    rules: Arc<HashMap<TypeId, Vec<Rule>>>,
}

/// Rules to be gathered.
#[must_use = "there are no rules until `build` is called"]
pub struct InvalidationsBuilder {
    cache: Cache,
    rules: HashMap<TypeId, Vec<Rule>>,
}

/// What became of the events of [`Invalidations::consume`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Consumed {
    /// How many events there were.
    pub events: u64,
    /// Of these, how many could be carried out here, and elsewhere only later.
    pub queued: u64,
    /// Of these, how many could not be carried out.
    pub failed: u64,
}

static FAILED: LogLimit = LogLimit::new();

/// The scopes that one event is about.
type Rule = Box<dyn Fn(&dyn Any) -> Result<Vec<Scope>, Error> + Send + Sync>;

impl Invalidations {
    /// Starts to gather rules for events that invalidate what is in this cache.
    pub fn builder(cache: &Cache) -> InvalidationsBuilder {
        InvalidationsBuilder { cache: cache.clone(), rules: HashMap::new() }
    }

    /// Invalidates what the rules for events of this type say; an event that no rule is about
    /// invalidates nothing (see [`covers`](Self::covers)).
    ///
    /// # Errors
    /// As [`Cache::invalidate`]; and if a hole of a pattern has no value: then the other scopes
    /// are invalidated all the same.
    pub fn publish<E: Any>(
        &self,
        event: &E,
    ) -> impl Future<Output = Result<Invalidated, Error>> + Send + use<E> {
        let mut scopes = Vec::new();
        let mut refused = None;
        for rule in self.rules.get(&TypeId::of::<E>()).into_iter().flatten() {
            match rule(event) {
                Ok(found) => scopes.extend(found),
                Err(error) => refused = Some(error),
            }
        }
        let invalidation = self.cache.invalidate(scopes);
        async move {
            let invalidated = invalidation.await?;
            refused.map_or(Ok(invalidated), Err)
        }
    }

    /// Publishes one event after the other, until there are no more senders: to be run in a task
    /// beside the service. An event that fails is logged and counted, and does not end it.
    pub async fn consume<E: Any>(&self, mut events: mpsc::Receiver<E>) -> Consumed {
        let mut consumed = Consumed::default();
        while let Some(event) = events.recv().await {
            consumed.events += 1;
            let published = self.publish(&event);
            drop(event);
            match published.await {
                Ok(Invalidated::Complete) => {}
                Ok(Invalidated::Queued) => consumed.queued += 1,
                Err(error) => {
                    consumed.failed += 1;
                    let event = type_name::<E>();
                    if let Some(left_out) = FAILED.take() {
                        tracing::warn!(
                            target: "cache_core",
                            %error,
                            event,
                            left_out,
                            "an event could not invalidate all it should"
                        );
                    }
                }
            }
        }
        consumed
    }

    /// Whether there is a rule for events of this type.
    pub fn covers<E: Any>(&self) -> bool {
        self.rules.contains_key(&TypeId::of::<E>())
    }
}

impl InvalidationsBuilder {
    /// An event of this type invalidates these scopes: tags, workspaces, namespaces, keys.
    pub fn scopes<E, S>(mut self, scopes: impl Fn(&E) -> S + Send + Sync + 'static) -> Self
    where
        E: Any,
        S: IntoIterator<Item: Into<Scope>>,
    {
        self.add::<E>(move |event| Ok(scopes(event).into_iter().map(Into::into).collect()));
        self
    }

    /// An event of this type invalidates what a pattern covers in a namespace. The pattern is
    /// declared, so that this takes one step however many entries there are. `value` says what
    /// stands in a hole; it is a literal whatever it holds. A hole that has no value invalidates
    /// nothing: it never widens to `*`.
    ///
    /// # Errors
    /// If the pattern is invalid (see [`TemplateError`](crate::TemplateError)), or the namespace
    /// is, or has no room for one more pattern.
    pub fn pattern<E: Any>(
        mut self,
        namespace: impl Into<String>,
        pattern: &str,
        value: impl Fn(&E, &str) -> Option<String> + Send + Sync + 'static,
    ) -> Result<Self, Error> {
        let namespace = namespace.into();
        let template = Template::parse(pattern)
            .map_err(|error| Error::config(format!("the pattern `{pattern}`: {error}")))?;
        if !self.cache.namespace(&namespace).declare(&template)? {
            let full = format!("the namespace `{namespace}` takes no more patterns");
            return Err(Error::config(full));
        }
        let pattern = pattern.to_owned();
        self.add::<E>(move |event| {
            let workspace = template.workspace_hole().and_then(|hole| value(event, hole));
            let partition = workspace.as_deref().map(Partition::Workspace);
            let bound = template.bind(partition, |hole| value(event, hole).map(Cow::Owned));
            let no_value = || Error::config(format!("a hole of `{pattern}` has no value"));
            Ok(vec![Scope::pattern(&namespace, bound.ok_or_else(no_value)?)])
        });
        Ok(self)
    }

    /// The rules.
    pub fn build(self) -> Invalidations {
        Invalidations { cache: self.cache, rules: Arc::new(self.rules) }
    }

    fn add<E: Any>(
        &mut self,
        scopes: impl Fn(&E) -> Result<Vec<Scope>, Error> + Send + Sync + 'static,
    ) {
        let rule = move |event: &dyn Any| match event.downcast_ref::<E>() {
            Some(event) => scopes(event),
            // Rules are found by the type of the event.
            None => Ok(Vec::new()),
        };
        self.rules.entry(TypeId::of::<E>()).or_default().push(Box::new(rule));
    }
}

impl fmt::Debug for Invalidations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Invalidations").field("types", &self.rules.len()).finish_non_exhaustive()
    }
}

impl fmt::Debug for InvalidationsBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InvalidationsBuilder")
            .field("types", &self.rules.len())
            .finish_non_exhaustive()
    }
}
