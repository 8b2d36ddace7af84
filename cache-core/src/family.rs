//! Tags that only the value itself will name, as the head of a response names its groups.
//!
//! A fill must know the generations of its scopes from before it began: a value whose source was
//! asked before an invalidation may be older than it. Of tags that the value names it cannot. So
//! such tags belong to a **family**, which has a generation of its own, and an invalidation of any
//! of the tags renews that one, too. A fill notes the family's generation before it begins, and
//! gives the value its tags only if it still stands.
//!
//! Why nothing is lost between the two: an invalidation ends the family's generation no later than
//! those of the tags, and a fill notes those of the tags before it looks at the family's again. So
//! if a fill that began earlier finds the family's unchanged, the tags' generations end after it
//! has noted them, and with them what it stores. That holds within a process (epochs) as well as
//! between processes (ids in the store, which are random and so never come back).
//!
//! The price: an invalidation of one tag also keeps the values of the same family that are being
//! filled at that moment, and turn out to have tags, from being stored.

use std::fmt::Write;
use std::sync::Arc;

use crate::cache::Cache;
use crate::clock::{Deadline, as_millis};
use crate::error::Error;
use crate::fill::{Fill, GENERATION_LIFETIME};
use crate::invalidate::Invalidated;
use crate::invalidate::generation::{GenerationCell, GenerationRef, GenerationRefs, render_id};
use crate::invalidate::wanted::WantedScopes;
use crate::store::Store;

/// Tags that belong together; those of one family are apart from all others.
///
/// ```
/// use cache_core::{Cache, Deadline, TagFamily, seconds};
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let cache = Cache::builder().build()?;
/// let family = TagFamily::new("articles");
/// cache.invalidate_tags(&family, &["7", "8"], Deadline::after(seconds(1))).await?;
/// # Ok::<(), cache_core::Error>(()) }).unwrap();
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TagFamily(Box<str>);

impl TagFamily {
    /// A family of this name; any text will do.
    pub fn new(name: impl Into<String>) -> Self {
        Self(name.into().into_boxed_str())
    }

    /// The text of the tag that stands for one of the family. With the length of the family's
    /// name, so that no two families share one.
    fn tag(&self, name: &str) -> String {
        let mut tag = String::with_capacity(self.0.len() + name.len() + 4);
        // Writing to a string does not fail.
        let _ = write!(tag, "{}:{}:{name}", self.0.len(), self.0);
        tag
    }
}

impl Cache {
    /// Invalidates all entries with any of these tags of a family.
    ///
    /// # Errors
    /// As [`invalidate`](Self::invalidate).
    pub async fn invalidate_tags(
        &self,
        family: &TagFamily,
        tags: &[impl AsRef<str>],
        deadline: Deadline,
    ) -> Result<Invalidated, Error> {
        if tags.is_empty() {
            return Ok(Invalidated::Complete);
        }
        let names = &self.inner.names;
        let tags = tags.iter().map(|tag| names.tag(&family.tag(tag.as_ref())));
        // The family first: see above.
        let names: Vec<String> = std::iter::once(names.family(&family.0)).chain(tags).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        self.inner.invalidate(&names, deadline).await
    }
}

impl Fill {
    /// The value may turn out to have tags of this family: to be called before
    /// [`begin`](Self::begin), and before others may wait for the fill. Again, it does nothing.
    pub fn expect_tags(&mut self, family: &TagFamily) {
        if self.family.is_none() {
            let cell = self.inner.generations.cell(&self.inner.names.family(&family.0));
            self.family = Some(cell.snapshot());
        }
    }

    /// Gives the entry tags of the family that was expected (a round trip). False if that is not
    /// possible, because one of the family has been invalidated since: then the value must not be
    /// stored.
    #[must_use = "false: the value must not be stored"]
    pub async fn tag(
        &mut self,
        family: &TagFamily,
        tags: &[impl AsRef<str>],
        deadline: Deadline,
    ) -> bool {
        let Some(expected) = self.family.clone() else { return false };
        let names = &self.inner.names;
        if *expected.cell.name != *names.family(&family.0) {
            return false;
        }
        let texts: Vec<String> = tags.iter().map(|tag| family.tag(tag.as_ref())).collect();
        let cells = texts.iter().map(|text| self.inner.generations.cell(&names.tag(text)));
        let mut noted: GenerationRefs = cells.map(|cell| cell.snapshot()).collect();
        if self.expect.is_some() {
            let known = match self.inner.settled_store(deadline).await {
                Some(store) => verify(&**store, &expected, &mut noted, deadline).await,
                None => None,
            };
            match known {
                Some(true) => {}
                Some(false) => return false,
                // Nobody can say; what is stored in this process only lives no longer for it.
                None => self.expect = None,
            }
        }
        // After the last look at the tags.
        let unchanged = expected.is_uninterrupted();
        self.generations.extend(noted);
        self.tags.extend(texts.into_iter().map(String::into_boxed_str));
        unchanged
    }
}

/// Learns the tags' generations (new ones for those that have none), and whether the family's is
/// what it was. `None` if the store could not be asked.
async fn verify(
    store: &dyn Store,
    family: &GenerationRef,
    tags: &mut GenerationRefs,
    deadline: Deadline,
) -> Option<bool> {
    let cells: Vec<Arc<GenerationCell>> =
        tags.iter().chain([family]).map(|generation| Arc::clone(&generation.cell)).collect();
    let mut wanted = WantedScopes::new(&cells);
    // In this order: the store looks at the family's after those of the tags are made.
    let entries: Vec<(&str, String)> =
        wanted.names().map(|name| (name, render_id(fastrand::u64(1..)))).collect();
    let found = store.create(&entries, as_millis(GENERATION_LIFETIME), deadline).await.ok()?;
    wanted.answer(&found);
    let now = wanted.id(&family.cell);
    let unchanged = family.id.is_some() && family.id == now;
    if !unchanged {
        // So that the next fill knows.
        family.clone().observe(now);
    }
    let mut known = true;
    for tag in tags {
        let id = wanted.id(&tag.cell);
        known &= id.is_some() && tag.observe(id);
    }
    Some(unchanged && known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_of_two_families_are_apart() {
        let tag = |family: &str, name: &str| TagFamily::new(family).tag(name);
        assert_ne!(tag("a", "b"), tag("a:b", ""));
        assert_ne!(tag("a:", "b"), tag("a", ":b"));
        assert_ne!(tag("", "1:a:b"), tag("1:a", "b"));
        assert_eq!(tag("a", "b"), "1:a:b");
    }
}
