//! Removing what one call invalidates: here at once, then from the store in one round trip.
//!
//! Whatever becomes of the call, what it asked for is not forgotten: what the store has not
//! confirmed when it ends, or when its future is dropped, is queued (see `unconfirmed`).

mod ended;

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use crate::audit::{Accesses, Operation, Outcome};
use crate::clock::{Deadline, Stopwatch};
use crate::error::{Error, ErrorKind};
use crate::happenings::Told;
use crate::invalidate::generation::{GenerationCell, Soft};
use crate::invalidate::queue::Pending;
use crate::invalidate::scope::Kind;
use crate::invalidate::soft::Softly;
use crate::invalidate::{Invalidated, Pattern, Scope, Template};
use crate::state::{EntryKey, Inner, NamespaceState};
use crate::store::{Put, Store, WriteBatch};
use crate::write::tombstone_of;

/// What one call invalidates.
#[derive(Debug, Default)]
pub(crate) struct Removals {
    /// Held until the end, so that the cell of a read that begins meanwhile is this one. Those of
    /// families of tags come first: they have to end no later than those of the tags (see `family`).
    generations: VecDeque<Removed>,
    /// Their names: each is removed once.
    known: HashSet<Arc<str>>,
    /// What has to be known to others before it can be said that it is done.
    declared: Vec<(Arc<NamespaceState>, Template)>,
    keys: Vec<Arc<EntryKey>>,
    sweeps: Vec<Sweep>,
    /// It is to become stale, not invalid.
    softly: bool,
    told: Told,
}

#[derive(Debug)]
struct Removed {
    cell: Arc<GenerationCell>,
    /// The namespace that all entries under it belong to, if there is one.
    namespace: Option<Arc<GenerationCell>>,
}

/// Of a pattern that has no generation.
#[derive(Debug)]
struct Sweep {
    namespace: Arc<NamespaceState>,
    pattern: Pattern,
    done: bool,
}

impl Removals {
    /// Adds a scope.
    ///
    /// # Errors
    /// If it names a namespace that can't be.
    pub(crate) fn add(&mut self, inner: &Arc<Inner>, scope: Scope) -> Result<(), Error> {
        let names = &inner.names;
        if inner.happenings.is_heard() {
            self.told.add(&scope.0);
        }
        match scope.0 {
            Kind::Everything => self.generation(inner, &names.everything()),
            Kind::Namespace(name) => self.generation(inner, &names.namespace(&name)),
            Kind::Workspace(rendered) => self.generation(inner, &names.workspace(&rendered)),
            Kind::Tag(tag) => {
                self.family(inner, &names.family(tag.family()));
                self.generation(inner, &names.tag(&tag.rendered()));
            }
            Kind::Pattern { namespace, pattern } => {
                let namespace = inner.namespace(&namespace)?;
                let facts = namespace.facts();
                let instance = |template: &Template| {
                    Some((template.instance_of_pattern(&pattern)?, template.clone()))
                };
                let known = facts.templates().find_map(instance);
                if inner.happenings.is_heard() {
                    let template = known.as_ref().map(|(_, template)| template);
                    self.told.pattern(&namespace, &pattern, template);
                }
                match known {
                    Some((instance, template)) => {
                        let name = names.pattern(&namespace.name, &instance);
                        let cell = inner.generations.cell(&name);
                        let covering = Some(Arc::clone(&namespace.cell));
                        self.known.insert(Arc::clone(&cell.name));
                        self.generations.push_back(Removed { cell, namespace: covering });
                        self.declared.push((namespace, template));
                    }
                    None => self.sweeps.push(Sweep { namespace, pattern, done: false }),
                }
            }
            Kind::Key { namespace, key } => {
                let namespace = inner.namespace(&namespace)?;
                self.keys.push(inner.plain_key(&namespace, &namespace.key(key)));
            }
        }
        Ok(())
    }

    /// Adds a generation of entries in any namespace.
    fn generation(&mut self, inner: &Inner, name: &str) {
        let cell = inner.generations.cell(name);
        if self.known.insert(Arc::clone(&cell.name)) {
            self.generations.push_back(Removed { cell, namespace: None });
        }
    }

    /// Adds that of a namespace, which covers what can't be removed otherwise.
    fn namespace(&mut self, cell: &Arc<GenerationCell>) {
        if self.known.insert(Arc::clone(&cell.name)) {
            self.generations.push_back(Removed { cell: Arc::clone(cell), namespace: None });
        }
    }

    /// Adds the generation of a family of tags.
    fn family(&mut self, inner: &Inner, name: &str) {
        let cell = inner.generations.cell(name);
        if self.known.insert(Arc::clone(&cell.name)) {
            self.generations.push_front(Removed { cell, namespace: None });
        }
    }

    /// What this is about is to become stale, not invalid.
    pub(crate) fn soften(&mut self) {
        self.softly = true;
    }

    fn is_empty(&self) -> bool {
        self.generations.is_empty() && self.keys.is_empty() && self.sweeps.is_empty()
    }

    /// Adds single entries.
    pub(crate) fn entries(&mut self, keys: impl IntoIterator<Item = Arc<EntryKey>>) {
        self.keys.extend(keys);
    }
}

impl Inner {
    /// Invalidates: here at once, elsewhere when the store has confirmed it.
    ///
    /// # Errors
    /// When the store refuses, and will go on doing so.
    pub(crate) async fn remove(
        self: &Arc<Self>,
        removals: Removals,
        deadline: Deadline,
    ) -> Result<Invalidated, Error> {
        let access = Accesses::begin(Operation::Delete, &removals.keys);
        let mut under_way = UnderWay::begin(self, removals);
        let mut answer = Ok(Invalidated::Complete);
        let batch = under_way.send(deadline).await;
        if let Err(error) = &batch {
            for key in &under_way.removals.keys {
                key.note(|counts| counts.errors.one());
            }
            tracing::debug!(%error, "an invalidation is not confirmed");
        }
        let mut end = |result: Result<(), Error>| match result {
            Ok(()) => {}
            Err(error) if error.is_passing() && answer.is_ok() => answer = Ok(Invalidated::Queued),
            Err(error) if error.is_passing() => {}
            Err(error) => answer = Err(error),
        };
        end(batch);
        for index in 0..under_way.removals.sweeps.len() {
            end(under_way.sweep(index).await);
        }
        if let Err(error) = &answer {
            under_way.refused = true;
            under_way.closed = error.kind() == ErrorKind::Closed;
        }
        access.end(match &answer {
            Ok(Invalidated::Complete) => Outcome::Done,
            Ok(Invalidated::Queued) => Outcome::Queued,
            Err(_) => Outcome::Failed,
        });
        answer
    }

    /// Invalidates here at once, and elsewhere soon, without waiting for it.
    pub(crate) fn remove_later(self: &Arc<Self>, removals: Removals) -> Invalidated {
        let under_way = UnderWay::begin(self, removals);
        let swept = under_way.removals.sweeps.is_empty() || self.shared_store().is_none();
        if under_way.confirmed && swept { Invalidated::Complete } else { Invalidated::Queued }
    }
}

/// A removal that has begun. Whether it ends or is dropped, what is not confirmed is queued.
struct UnderWay<'i> {
    inner: &'i Arc<Inner>,
    removals: Removals,
    /// As long as it can be done softly.
    soft: Option<Soft>,
    /// What takes the place of the keys: it keeps fills from committing that began before, here
    /// or elsewhere.
    tombstones: Vec<Put>,
    /// Whether the store needs to be told nothing more of generations and keys.
    confirmed: bool,
    refused: bool,
    /// Whether the cache has been shut down: it will not read from the store any more.
    closed: bool,
    began: Stopwatch,
}

impl<'i> UnderWay<'i> {
    fn begin(inner: &'i Arc<Inner>, mut removals: Removals) -> Self {
        let mut elsewhere = Vec::new();
        for key in &removals.keys {
            // In this order: the version may change now.
            key.namespace.note_deletions();
            if !key.is_of_current_version() {
                elsewhere.push(Arc::clone(&key.namespace.cell));
            }
        }
        for cell in &elsewhere {
            removals.namespace(cell);
        }
        let nothing = removals.generations.is_empty() && removals.keys.is_empty();
        let confirmed = nothing || inner.shared_store().is_none();
        let now = inner.clock.now();
        let put = |key: &Arc<EntryKey>| tombstone_of(key, fastrand::u64(1..), now);
        let tombstones =
            if confirmed { Vec::new() } else { removals.keys.iter().map(put).collect() };
        let soft = removals.softly.then(|| Soft::new(now));
        let (refused, closed, began) = (false, false, Stopwatch::start());
        let this = Self { inner, removals, soft, tombstones, confirmed, refused, closed, began };
        this.take_effect_here();
        if !this.confirmed {
            inner.note_removals(this.removed());
        }
        this
    }

    fn take_effect_here(&self) {
        let Removals { generations, keys, .. } = &self.removals;
        match self.soft {
            Some(soft) => generations.iter().for_each(|removed| removed.cell.soften(soft)),
            None => generations.iter().for_each(|removed| removed.cell.invalidate()),
        }
        if self.soft.is_some() && self.inner.store.is_none() {
            self.inner.soften_in_memory(keys);
        } else {
            self.inner.forget(keys.iter());
        }
    }

    /// Softly if that is asked for and possible; else hard.
    async fn send(&mut self, deadline: Deadline) -> Result<(), Error> {
        let inner = Arc::clone(self.inner);
        let Some(store) = inner.shared_store().filter(|_| !self.confirmed) else {
            return Ok(());
        };
        self.publish_declared(&**store, deadline).await?;
        if let Some(soft) = self.soft {
            let (keys, tombstones) = (&self.removals.keys[..], &self.tombstones[..]);
            let softly = Softly { soft, keys, tombstones, names: &self.names() };
            match inner.soften_in_store(&**store, softly, deadline).await {
                Err(error) if matches!(error.kind(), ErrorKind::Full | ErrorKind::Denied) => {}
                done => {
                    done?;
                    self.confirmed = true;
                    return Ok(());
                }
            }
            self.soft = None;
            self.take_effect_here();
        }
        self.send_hard(&**store, deadline).await
    }

    /// What covers entries that others fill has to be known to them.
    async fn publish_declared(
        &mut self,
        store: &dyn Store,
        deadline: Deadline,
    ) -> Result<(), Error> {
        let inner = self.inner;
        for (namespace, template) in std::mem::take(&mut self.removals.declared) {
            inner.publish_owed(store, &namespace, deadline).await?;
            if !namespace.facts().know(&template) {
                // There was no room for it: others fill what it does not cover.
                let covering = Pending::generation(&namespace.cell.name, None);
                inner.note_removals(std::iter::once(covering));
                namespace.cell.invalidate();
                self.removals.namespace(&namespace.cell);
            }
        }
        Ok(())
    }

    /// Generations and keys, in one round trip.
    async fn send_hard(&mut self, store: &dyn Store, deadline: Deadline) -> Result<(), Error> {
        if self.tombstones.is_empty() {
            store.remove(&self.names(), deadline).await?;
        } else {
            let remove = self.names();
            let batch =
                WriteBatch { puts: &self.tombstones, remove: &remove, ..WriteBatch::default() };
            match store.write(batch, deadline).await {
                Err(error) if error.kind() == ErrorKind::Full => {
                    self.send_without_tombstones(store, deadline).await?;
                }
                written => drop(written?),
            }
        }
        self.confirmed = true;
        Ok(())
    }

    /// No room for tombstones: the namespaces as a whole have to fence the fills in flight.
    async fn send_without_tombstones(
        &mut self,
        store: &dyn Store,
        deadline: Deadline,
    ) -> Result<(), Error> {
        let mut covering = Vec::new();
        for key in &self.removals.keys {
            key.namespace.cell.invalidate();
            covering.push(Arc::clone(&key.namespace.cell));
        }
        for cell in &covering {
            self.removals.namespace(cell);
        }
        let keys = self.removals.keys.iter().map(|key| &*key.rendered);
        let names: Vec<&str> = keys.chain(self.names()).collect();
        store.remove(&names, deadline).await.map(drop)
    }

    fn names(&self) -> Vec<&str> {
        self.removals.generations.iter().map(|removed| &*removed.cell.name).collect()
    }

    async fn sweep(&mut self, index: usize) -> Result<(), Error> {
        let Some(sweep) = self.removals.sweeps.get_mut(index) else { return Ok(()) };
        if self.inner.enabled {
            self.inner.sweep(&sweep.namespace, &sweep.pattern).await?;
        }
        sweep.done = true;
        Ok(())
    }

    /// What the store has not confirmed.
    fn pending(&mut self) -> Vec<Pending> {
        if self.closed || self.inner.shared_store().is_none() {
            return Vec::new();
        }
        // A sweep that was cut short says nothing of what is gone.
        let sweeps = self.removals.sweeps.iter().filter(|sweep| !sweep.done);
        let mut pending: Vec<Pending> =
            sweeps.map(|sweep| Pending::generation(&sweep.namespace.cell.name, None)).collect();
        if !self.confirmed {
            pending.extend(self.removed());
        }
        pending
    }

    /// Generations and keys.
    fn removed(&self) -> impl Iterator<Item = Pending> {
        let generations = self.removals.generations.iter().map(|removed| {
            let namespace = removed.namespace.as_ref().map(|cell| &cell.name);
            Pending::generation(&removed.cell.name, namespace)
        });
        let entries = self.removals.keys.iter().zip(&self.tombstones);
        generations.chain(entries.map(|(key, tombstone)| {
            Pending::entry(&key.rendered, &key.namespace.cell.name, tombstone.clone())
        }))
    }
}
