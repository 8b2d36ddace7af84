//! Tags that only the value itself will name, as the head of a response names its groups.
//!
//! A fill must know the generations of its scopes from before it began: a value whose source was
//! asked before an invalidation may be older than it. Of tags that the value names it cannot. So
//! tags belong to **families** (the global ones to one, those of each workspace to another), which
//! have generations of their own, and an invalidation of a tag renews that of its family, too. A
//! fill whose value may name tags notes the generations of their families before it begins, and
//! gives the value its tags only if they still stand. What is tagged from the beginning, as by
//! [`Set::tag`](crate::Set::tag), has nothing to do with families.
//!
//! Why nothing is lost between the two: an invalidation ends the family's generation no later than
//! those of the tags, and a fill notes those of the tags before it looks at the family's again. So
//! if a fill that began earlier finds the family's unchanged, the tags' generations end after it
//! has noted them, and with them what it stores. That holds within a process (epochs) as well as
//! between processes (ids in the store, which are random and so never come back), and for each
//! family by itself.
//!
//! The price: an invalidation of any global tag also keeps the values that are being filled at
//! that moment, and turn out to have global tags, from being stored. And whoever asks from then on
//! for something that is being filled does not wait for that fill, which may turn out to have any
//! tag. An invalidation of a workspace's tag does so within the workspace only. A process that has
//! not heard of an invalidation elsewhere loses the first such value that it fills afterwards.
//! Values without tags are stored whatever is invalidated, and carry nothing of all this.

use std::sync::Arc;

use crate::clock::{Deadline, as_millis};
use crate::fill::{Fill, GENERATION_LIFETIME};
use crate::invalidate::generation::{GenerationCell, GenerationRef, GenerationRefs, render_id};
use crate::invalidate::wanted::WantedScopes;
use crate::invalidate::{Tag, TagFamily};
use crate::state::Inner;

impl Fill {
    /// The value may turn out to have tags of this family: to be called before
    /// [`begin`](Self::begin), and before others may wait for the fill. Again for the same family,
    /// it does nothing. A family whose generation is not known here costs one id more in the round
    /// trip of `begin`, and that round trip if there would be none.
    pub fn expect_tags(&mut self, family: &TagFamily) {
        let name = self.inner.names.family(family);
        if self.families.iter().all(|known| *known.cell.name != *name) {
            self.families.push(self.inner.generations.cell(&name).snapshot());
        }
    }

    /// Gives the entry tags of families that were expected (a round trip). False if that is not
    /// possible, because one of such a family has been invalidated since: then the value must not
    /// be stored.
    #[must_use = "false: the value must not be stored"]
    pub async fn tag(&mut self, tags: &[Tag], deadline: Deadline) -> bool {
        self.retag(tags, &[], deadline).await
    }

    /// As [`tag`](Self::tag), for a value that is made of one with `former` tags, which need not be
    /// among its own: false as well if one of *their* families has been invalidated since, for that
    /// may have been the end of what it is made of.
    #[must_use = "false: the value must not be stored"]
    pub async fn retag(&mut self, tags: &[Tag], former: &[Tag], deadline: Deadline) -> bool {
        if tags.is_empty() && former.is_empty() {
            return true;
        }
        let Some(mut tagging) = self.tagging(tags, former) else { return false };
        if self.expect.is_some() {
            verify(&self.inner, &mut [&mut tagging], deadline).await;
        }
        self.tag_with(tagging)
    }

    /// As [`tag`](Self::tag), for several fills of one cache, each with its own tags, in the round
    /// trip of one.
    pub(crate) async fn tag_all(
        fills: &mut [(&mut Self, Vec<Tag>)],
        deadline: Deadline,
    ) -> Vec<bool> {
        let Some((first, _)) = fills.first() else { return Vec::new() };
        let inner = Arc::clone(&first.inner);
        let mut taggings: Vec<Option<Tagging>> =
            fills.iter().map(|(fill, tags)| fill.tagging(tags, &[])).collect();
        let asking = fills.iter().zip(&mut taggings);
        let asking = asking.filter(|((fill, tags), _)| fill.expect.is_some() && !tags.is_empty());
        let mut asking: Vec<&mut Tagging> = asking.filter_map(|(_, one)| one.as_mut()).collect();
        if !asking.is_empty() {
            verify(&inner, &mut asking, deadline).await;
        }
        let each = fills.iter_mut().zip(taggings);
        each.map(|((fill, tags), tagging)| match tagging {
            _ if tags.is_empty() => true,
            Some(tagging) => fill.tag_with(tagging),
            None => false,
        })
        .collect()
    }

    /// What is to be asked about the tags; `None` if one is of a family that was not expected.
    fn tagging(&self, tags: &[Tag], former: &[Tag]) -> Option<Tagging> {
        if !tags.is_empty() || !former.is_empty() {
            // Those who wait by now are covered by the look at the families below.
            self.note_tagged();
        }
        let families = self.expected_of(tags.iter().chain(former))?;
        let texts: Vec<Box<str>> = tags.iter().map(Tag::rendered).collect();
        let cell = |text| self.inner.generations.cell(&self.inner.names.tag(text));
        let noted = texts.iter().map(|text| cell(text).snapshot()).collect();
        Some(Tagging { texts, noted, families, known: Some(true) })
    }

    fn tag_with(&mut self, tagging: Tagging) -> bool {
        match tagging.known {
            Some(true) => {}
            Some(false) => return false,
            // Nobody can say; what is stored in this process only lives no longer for it.
            None => self.expect = None,
        }
        // After the last look at the tags.
        let unchanged = tagging.families.iter().all(GenerationRef::is_uninterrupted);
        self.generations.extend(tagging.noted);
        self.tags.extend(tagging.texts);
        unchanged
    }

    /// The families of these tags as they were when the fill began; `None` if one was not expected.
    fn expected_of<'t>(&self, tags: impl Iterator<Item = &'t Tag>) -> Option<Vec<GenerationRef>> {
        let mut found: Vec<GenerationRef> = Vec::with_capacity(self.families.len());
        let mut last = None;
        for tag in tags.filter(|tag| last.replace(tag.family()) != Some(tag.family())) {
            let name = self.inner.names.family(tag.family());
            if found.iter().all(|known| *known.cell.name != *name) {
                found.push(self.families.iter().find(|known| *known.cell.name == *name)?.clone());
            }
        }
        Some(found)
    }
}

/// The tags that one fill is to be given.
struct Tagging {
    texts: Vec<Box<str>>,
    noted: GenerationRefs,
    /// Those of their families, as they were when the fill began.
    families: Vec<GenerationRef>,
    /// Whether all are known, and the families as they were. `None`: the store could not be asked.
    known: Option<bool>,
}

/// Learns the tags' generations (new ones for those that have none), and whether the families' are
/// what they were.
async fn verify(inner: &Inner, taggings: &mut [&mut Tagging], deadline: Deadline) {
    // In this order: the store looks at the families' after those of the tags are made.
    let noted = taggings.iter().flat_map(|tagging| &tagging.noted);
    let families = taggings.iter().flat_map(|tagging| &tagging.families);
    let cells: Vec<Arc<GenerationCell>> =
        noted.chain(families).map(|generation| Arc::clone(&generation.cell)).collect();
    let mut wanted = WantedScopes::new(&cells);
    let entries: Vec<(&str, String)> =
        wanted.names().map(|name| (name, render_id(fastrand::u64(1..)))).collect();
    let found = match inner.settled_store(deadline).await {
        Some(store) => store.create(&entries, as_millis(GENERATION_LIFETIME), deadline).await.ok(),
        None => None,
    };
    let Some(found) = found else {
        for tagging in taggings {
            tagging.known = None;
        }
        return;
    };
    wanted.answer(&found);
    for tagging in taggings {
        let mut known = true;
        for family in &tagging.families {
            let now = wanted.found(&family.cell);
            if !family.is_of(now.as_ref()) {
                known = false;
                // So that the next fill knows.
                family.clone().observe(now);
            }
        }
        for tag in &mut tagging.noted {
            let found = wanted.found(&tag.cell);
            known &= found.is_some() && tag.observe(found);
        }
        tagging.known = Some(known);
    }
}
