//! The tags of entries that were found: only the entries name them.

use std::sync::Arc;

use super::answer::note_failure;
use super::{Answer, Asked};
use crate::clock::Deadline;
use crate::entry::Entry;
use crate::error::{Error, ErrorKind};
use crate::invalidate::generation::{GenerationCell, GenerationRef, GenerationRefs};
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
            let tags: GenerationRefs = cells_of_tags.map(|cell| cell.snapshot()).collect();
            // An invalidation here leaves no id; of one elsewhere, or of a gap, the cell is told,
            // and has doubts until it is asked about again. So this is what a hit in memory goes
            // by, and as late as that at most. Where there are none, nothing may be late.
            let mut current = None;
            if proven && asked.key.namespace.l1 && tags.iter().all(|tag| tag.cell.is_settled()) {
                current = of_entry(&tags, &stored.entry);
            }
            stored.vouched_for = current.is_some();
            if !stored.vouched_for {
                cells.extend(tags.iter().map(|tag| Arc::clone(&tag.cell)));
            }
            stored.generations.extend(current.unwrap_or(tags));
        }
        if cells.is_empty() {
            return;
        }
        let mut wanted = WantedScopes::new(&cells);
        let keys: Vec<&str> = wanted.names().collect();
        // What could not be invalidated since the first look must not be learnt again.
        let found = if !self.unconfirmed.settle(store, deadline).await {
            Err(Error::new(ErrorKind::Unavailable, "an invalidation waits for the store"))
        } else if let [_] = answers {
            // What is asked for by itself is asked for together with what others ask for.
            self.fetch(store, &keys, deadline)
                .await
                .map(|found| found.into_iter().map(Ok).collect())
        } else {
            self.fetch_each(store, &keys, deadline).await
        };
        let unasked = match found {
            Ok(found) => {
                wanted.answer_each(found);
                None
            }
            Err(error) => Some(error),
        };
        for (asked, answer) in answers.iter_mut() {
            let Some(entry) = answer.tagged_entry() else { continue };
            // Of what could not be asked nothing is known, and nothing is learnt.
            let lost = entry.as_ref().filter(|stored| !stored.vouched_for).and_then(|stored| {
                let (_, tags) = stored.generations.split_at(stored.generations_of_key());
                unasked.as_ref().or_else(|| tags.iter().find_map(|tag| wanted.error(&tag.cell)))
            });
            if let Some(error) = lost {
                note_failure(asked.key, error);
                *answer = Answer::Failed(error.again());
                continue;
            }
            entry.take_if(|stored| {
                if stored.vouched_for {
                    return false;
                }
                let of_key = stored.generations_of_key();
                let (_, tags) = stored.generations.split_at_mut(of_key);
                let mut crossed = false;
                for tag in &mut *tags {
                    crossed |= !tag.observe(wanted.found(&tag.cell));
                }
                match of_entry(tags, &stored.entry).filter(|_| !crossed) {
                    Some(current) => tags.clone_from_slice(&current),
                    None => return true,
                }
                false
            });
        }
    }
}

/// The tags in the state in which the entry was filled; `None` if one has been invalidated since.
fn of_entry(tags: &[GenerationRef], entry: &Entry) -> Option<GenerationRefs> {
    tags.iter().map(|tag| tag.of_entry(entry.recorded(tag.cell.fingerprint))).collect()
}
