//! The tags of entries that were found: only the entries name them.

use std::sync::Arc;

use super::{Answer, Asked, StoredEntry};
use crate::clock::Deadline;
use crate::invalidate::generation::GenerationCell;
use crate::invalidate::wanted::WantedScopes;
use crate::state::Inner;
use crate::store::Store;

impl Inner {
    /// Tags are known only once the entries are there, so their generations cost a second look:
    /// one for all of them, and none where the store would have told if they had changed. Drops the
    /// entries with a tag that has been invalidated.
    pub(super) async fn check_tags(
        &self,
        store: &dyn Store,
        answers: &mut [(Asked<'_>, Answer)],
        deadline: Deadline,
    ) {
        let mut cells: Vec<Arc<GenerationCell>> = Vec::new();
        let proven = self.coherence.as_ref().is_some_and(|coherence| coherence.truth.is_proven());
        for (asked, answer) in answers.iter_mut() {
            let Some(Some(stored)) = answer.tagged_entry() else { continue };
            let tags = stored.entry.tags.iter();
            let cells_of_tags = tags.map(|tag| self.generations.cell(&self.names.tag(tag)));
            stored.generations = cells_of_tags.map(|cell| cell.snapshot()).collect();
            // An invalidation here leaves no id; of one elsewhere, or of a gap, the cell is told,
            // and has doubts until it is asked about again. So this is what a hit in memory goes
            // by, and as late as that at most. Where there are none, nothing may be late.
            stored.vouched_for = proven
                && asked.key.namespace.l1
                && stored.generations.iter().all(|tag| {
                    tag.id.is_some()
                        && tag.cell.is_settled()
                        && stored.entry.generation(tag.cell.fingerprint) == tag.id
                });
            if !stored.vouched_for {
                cells.extend(stored.generations.iter().map(|tag| Arc::clone(&tag.cell)));
            }
        }
        if cells.is_empty() {
            return;
        }
        let mut wanted = WantedScopes::new(&cells);
        let keys: Vec<&str> = wanted.names().collect();
        // What could not be invalidated since the first look must not be learnt again.
        let found = if self.unconfirmed.settle(store, deadline).await {
            self.fetch(store, &keys, deadline).await.unwrap_or_default()
        } else {
            Vec::new()
        };
        wanted.answer(&found);
        for entry in answers.iter_mut().filter_map(|(_, answer)| answer.tagged_entry()) {
            entry.take_if(|StoredEntry { entry, generations, vouched_for, .. }| {
                if *vouched_for {
                    return false;
                }
                let mut current = true;
                for tag in generations {
                    let id = wanted.id(&tag.cell);
                    current &= tag.observe(id)
                        && id.is_some()
                        && entry.generation(tag.cell.fingerprint) == id;
                }
                !current
            });
        }
    }
}
