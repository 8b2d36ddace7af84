//! What a stored response can be invalidated with, beside its key: the groups that its head names,
//! and the tags that the handler gave it. Nobody knows them before it is there; how nothing that
//! is invalidated meanwhile gets lost, the module `family` of cache-core tells.

use cache_core::{Fill, TagFamily};
use http::HeaderMap;

use crate::flow::budget::Budget;
use crate::flow::fetch::Arrival;
use crate::flow::lookup::Ask;
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
    /// Gives what will be stored its groups and tags. False if it must not be stored.
    pub(crate) async fn tag(
        &self,
        fill: &mut Fill,
        groups: &[String],
        tags: &CacheTags,
        budget: &Budget,
    ) -> bool {
        if groups.is_empty() && tags.is_empty() {
            return true;
        }
        let mut all = tags.tags(self.ask.partition.partition());
        all.extend(self.ask.groups(self.asked).tags(groups));
        budget.spend(async |deadline| fill.tag(&all, deadline).await).await
    }
}
