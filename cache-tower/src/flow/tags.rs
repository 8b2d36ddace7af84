//! What a stored response can be invalidated with, beside its key: the groups that its head names,
//! and the tags that the handler gave it. Nobody knows them before it is there; how nothing that
//! is invalidated meanwhile gets lost, the module `family` of cache-core tells.

use cache_core::{Fill, Tag, TagFamily};
use http::HeaderMap;

use crate::flow::budget::Budget;
use crate::flow::fetch::Arrival;
use crate::flow::lookup::Ask;
use crate::policy::groups;
use crate::tags::CacheTags;

impl Ask {
    /// To be called before the origin is asked, and before others may wait for its answer.
    pub(crate) fn expect_tags(&self, headers: &HeaderMap, fill: Option<&mut Fill>) {
        if let Some(fill) = fill {
            fill.expect_tags(&self.groups(headers).family);
            fill.expect_tags(&TagFamily::global());
            fill.expect_tags(&TagFamily::partition(self.partition.partition()));
        }
    }
}

impl Arrival<'_> {
    /// Gives what will be stored its groups and tags; `former`: those of a stored response that it
    /// is made of. False if it must not be stored.
    pub(crate) async fn tag(
        &self,
        fill: &mut Fill,
        (groups, tags): (&[String], &CacheTags),
        former: &[Tag],
        budget: &Budget,
    ) -> bool {
        if groups.is_empty() && tags.is_empty() && former.is_empty() {
            return true;
        }
        let all = self.tags(groups, tags);
        budget.spend(async |deadline| fill.retag(&all, former, deadline).await).await
    }

    /// Those of a stored response with these headers.
    pub(crate) fn tags_of(&self, headers: &HeaderMap, tags: &CacheTags) -> Vec<Tag> {
        // With more than can be kept it was not stored.
        self.tags(&groups(headers).unwrap_or_default(), tags)
    }

    fn tags(&self, groups: &[String], tags: &CacheTags) -> Vec<Tag> {
        let mut all = tags.tags(self.ask.partition.partition());
        all.extend(self.ask.groups(self.asked).tags(groups));
        all
    }
}
