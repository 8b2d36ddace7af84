//! Making fills ready, before their values are computed.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{Fill, GENERATION_LIFETIME};
use crate::clock::{Deadline, as_millis};
use crate::error::Error;
use crate::invalidate::Tag;
use crate::invalidate::generation::{GenerationRef, render_id};
use crate::invalidate::wanted::WantedScopes;
use crate::state::{Inner, NamespaceState};
use crate::store::Store;

impl Fill {
    /// Makes the fill ready, before the value is computed: the entry will carry these tags, and
    /// scopes that have no generation yet get one (a round trip, for the first fill of a scope).
    pub async fn begin(&mut self, tags: &[Tag], deadline: Deadline) {
        Self::begin_all(&mut [self], tags, deadline).await;
    }

    /// Makes fills of one namespace ready, in the round trip of one.
    pub(crate) async fn begin_all(fills: &mut [&mut Self], tags: &[Tag], deadline: Deadline) {
        for fill in fills.iter_mut() {
            fill.take(tags);
        }
        let mut asking: Vec<&mut Self> =
            fills.iter_mut().map(|fill| &mut **fill).filter(|fill| fill.expect.is_some()).collect();
        let Some(first) = asking.first() else { return };
        let (inner, namespace) = (Arc::clone(&first.inner), Arc::clone(&first.key.namespace));
        let known = make_known(&inner, &namespace, &mut asking, deadline).await;
        for fill in asking {
            if !matches!(known, Ok(true)) {
                fill.expect = None;
            }
            if let Some(vouching) = fill.vouching.get() {
                vouching.confirmed.store(fill.is_confirmed(), Ordering::Release);
            }
        }
    }

    fn take(&mut self, tags: &[Tag]) {
        if !tags.is_empty() {
            self.note_tagged();
        }
        for tag in tags {
            let tag = tag.rendered();
            let cell = self.inner.generations.cell(&self.inner.names.tag(&tag));
            self.generations.push(cell.snapshot());
            self.tags.push(tag);
        }
    }
}

/// Whether the store has told the ids of all scopes of these fills.
async fn make_known(
    inner: &Arc<Inner>,
    namespace: &NamespaceState,
    fills: &mut [&mut Fill],
    deadline: Deadline,
) -> Result<bool, Error> {
    let Some(store) = inner.settled_store(deadline).await else { return Ok(false) };
    let generations = scopes(fills);
    if !create_generations(&**store, namespace, generations, deadline).await? {
        return Ok(false);
    }
    for fill in fills.iter() {
        let id = namespace.generation(&fill.generations);
        if !inner.meet(&**store, namespace, id, deadline).await? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Of a vector, so that the future that holds it can be sent.
fn scopes<'f>(fills: &'f mut [&mut Fill]) -> Vec<&'f mut GenerationRef> {
    let mut scopes = Vec::new();
    for fill in fills {
        scopes.extend(fill.generations.iter_mut().chain(&mut fill.families));
        scopes.push(&mut fill.swept);
    }
    scopes
}

/// Gives each scope of entries in one namespace that has none a generation, in one round trip. True
/// if all are known then; that of the namespace is to be [met](Inner::meet) before it is used.
pub(crate) async fn create_generations<'g>(
    store: &dyn Store,
    namespace: &NamespaceState,
    generations: impl IntoIterator<Item = &'g mut GenerationRef>,
    deadline: Deadline,
) -> Result<bool, Error> {
    let mut unknown: Vec<&mut GenerationRef> =
        generations.into_iter().filter(|generation| generation.id().is_none()).collect();
    if unknown.is_empty() {
        return Ok(true);
    }
    for generation in &mut unknown {
        **generation = generation.asked_now();
    }
    let cells: Vec<_> = unknown.iter().map(|generation| Arc::clone(&generation.cell)).collect();
    let mut wanted = WantedScopes::new(&cells);
    let own = &*namespace.cell.name;
    let new_id =
        |name: &str| if name == own { namespace.new_generation() } else { fastrand::u64(1..) };
    let entries: Vec<(&str, String)> =
        wanted.names().map(|name| (name, render_id(new_id(name)))).collect();
    let lifetime = as_millis(GENERATION_LIFETIME);
    let found = store.create(&entries, lifetime, deadline).await?;
    wanted.answer(&found);
    let mut all = true;
    for generation in &mut unknown {
        let found = wanted.found(&generation.cell);
        all &= found.is_some() && generation.observe(found);
    }
    Ok(all)
}
