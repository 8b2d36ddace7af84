//! Keeping: what has arrived well is put into the store.

use std::sync::Arc;

use bytes::Bytes;
use cache_core::{EntryKey, EntryTimes, Fill, Format, Leader, NewEntry};
use http::header;

use crate::body::{GiveUp, Keeper};
use crate::config::Shared;
use crate::flow::collapse::Whole;
use crate::flow::fetch::REMEMBER_UNCACHEABLE;
use crate::flow::fill::Outcome;
use crate::layer::SiteRules;
use crate::policy::NoStore;
use crate::stored::etag::generated;
use crate::stored::partial::ArrivingPart;
use crate::stored::variants::Variants;
use crate::stored::{Head, load, store};

/// Commits a response; false if the cache does not take it. Its flight goes on until the store has
/// it: until then, those who come are given the response from here.
pub(crate) fn commit(
    shared: &Shared,
    fill: Fill,
    entry: NewEntry,
    leader: Option<Arc<Leader<Outcome>>>,
) -> bool {
    match fill.commit(entry) {
        Ok(Some(write)) => {
            shared.values.cache().background().try_spawn(async move {
                write.run().await;
                drop(leader);
            });
            true
        }
        Ok(None) => true,
        Err(error) => {
            tracing::debug!(%error, "response not stored");
            false
        }
    }
}

impl Shared {
    /// Notes that a variant is stored under a marker, and makes room for it.
    pub(crate) fn admit_variant(&self, variants: &Variants, key: &EntryKey) {
        for gone in variants.admit(self.values.evictable(key), self.options.max_variants) {
            self.values.evict(gone);
        }
    }
}

/// Puts a response into the cache when its body has ended well.
pub(crate) struct ResponseKeeper {
    pub(crate) shared: Arc<Shared>,
    pub(crate) site: Arc<SiteRules>,
    pub(crate) fill: Fill,
    /// Those of the URI, where this is one.
    pub(crate) variants: Option<Arc<Variants>>,
    pub(crate) head: Head,
    pub(crate) times: EntryTimes,
    /// Late ones may join as long as the body arrives.
    pub(crate) leader: Option<Arc<Leader<Outcome>>>,
    /// The hash of the URI's identity; `None`: what becomes of this says nothing of other responses.
    pub(crate) uri: Option<u128>,
    pub(crate) whole: Whole,
    pub(crate) part: Option<ArrivingPart>,
}

impl Keeper for ResponseKeeper {
    fn limit(&self) -> usize {
        self.shared.max_body
    }

    fn keep(mut self: Box<Self>, body: &mut dyn Iterator<Item = &Bytes>) {
        let chunks: Vec<&Bytes> = body.collect();
        if self.site.generate_etags
            && self.part.is_none()
            && let Some(tag) =
                generated(self.head.status, &self.head.headers, chunks.iter().copied())
        {
            // Fails where the head is as large as the http crate allows; then it has none.
            let _ = self.head.headers.try_insert(header::ETAG, tag);
        }
        let payload = match &self.part {
            None => store(&self.head, chunks.into_iter()),
            Some(part) => match part.payload(&self.head, &chunks, self.limit()) {
                Some(payload) => payload,
                None => return self.give_up(GiveUp::LengthMismatch),
            },
        };
        let Some(decoded) = load(&payload, &self.shared.hit) else {
            tracing::debug!("response not stored: its head has no room for ours");
            return;
        };
        let _ = self.whole.set(Arc::clone(&decoded.0));
        let times = self.times;
        let decoded = Some(decoded);
        let entry = NewEntry { payload, format: Format::Raw, schema: 0, times, decoded };
        let key = Arc::clone(self.fill.key());
        let taken = commit(&self.shared, self.fill, entry, self.leader);
        if let Some(variants) = self.variants.filter(|_| taken) {
            self.shared.admit_variant(&variants, &key);
        }
    }

    fn give_up(self: Box<Self>, why: GiveUp) {
        let refusal = match why {
            GiveUp::TooLarge => NoStore::TooLarge,
            GiveUp::Failed | GiveUp::Abandoned => NoStore::BodyFailed,
            GiveUp::LengthMismatch => NoStore::LengthMismatch,
            GiveUp::Trailers => NoStore::Trailers,
        };
        tracing::debug!(reason = refusal.as_str(), "response not stored");
        if let Some(uri) = self.uri
            && matches!(why, GiveUp::TooLarge | GiveUp::Trailers)
        {
            let now = self.shared.values.cache().clock().now();
            self.shared.uncacheable.remember(uri, (), now + REMEMBER_UNCACHEABLE);
        }
        if let Some(leader) = self.leader {
            // Those who come from now on, and those who have not been given the response yet.
            leader.land(Outcome::NotShared);
        }
    }
}
