//! Making fills ready, before their values are computed.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{Fill, create_generations};
use crate::clock::Deadline;
use crate::error::Error;
use crate::invalidate::Tag;
use crate::invalidate::generation::GenerationRef;
use crate::state::{Inner, NamespaceState};

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
