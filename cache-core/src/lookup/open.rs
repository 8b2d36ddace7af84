//! Opening what was found compressed or encrypted.

use std::sync::Arc;

use bytes::Bytes;

use super::{Answer, Asked};
use crate::clock::Deadline;
use crate::codec::{Unreadable, Wrapping, cost, unpack};
use crate::state::{EntryKey, Inner};

/// A payload to be opened.
struct Closed {
    key: Arc<EntryKey>,
    wrapping: Option<Wrapping>,
    payload: Bytes,
}

impl Closed {
    /// What of an answer is to be opened.
    fn of(asked: &Asked<'_>, answer: &mut Answer) -> Option<Self> {
        let Answer::Found { entry: Some(stored), .. } = answer else { return None };
        let packing = &asked.key.namespace.packing;
        packing.concerns(stored.wrapping.as_ref()).then(|| Self {
            key: Arc::clone(asked.key),
            wrapping: stored.wrapping.take(),
            payload: std::mem::take(&mut stored.entry.payload),
        })
    }

    fn open(self) -> Result<Bytes, Unreadable> {
        let Self { key, wrapping, payload } = self;
        unpack(wrapping.as_ref(), &payload, &key.namespace.packing, &key.rendered)
    }
}

impl Inner {
    /// Opens the payloads of what is left of the answers, when all else about them has been checked.
    /// An entry that can't be opened is a miss, and counted.
    pub(super) async fn open(&self, answers: &mut [(Asked<'_>, Answer)], deadline: Deadline) {
        let mut closed = Vec::new();
        let mut opens = Vec::new();
        for (asked, answer) in answers {
            if let Some(one) = Closed::of(asked, answer) {
                closed.push(one);
                opens.push((&*asked, answer));
            }
        }
        if closed.is_empty() {
            return;
        }
        let bytes = closed.iter().map(|one| cost(one.wrapping.as_ref(), &one.payload)).sum();
        let open_each = move || closed.into_iter().map(Closed::open).collect::<Vec<_>>();
        let opened = self.offload.run(bytes, Some(deadline), open_each).await;
        let mut opened = opened.into_iter().flatten();
        for (asked, answer) in opens {
            let Answer::Found { entry, left, .. } = answer else { continue };
            match opened.next().unwrap_or(Err(Unreadable::NoTime)) {
                Ok(payload) => {
                    if let Some(stored) = entry {
                        stored.entry.payload = payload;
                    }
                }
                Err(why) => {
                    *entry = None;
                    *left = why.is_for_others();
                    asked.key.note(|counts| counts.unreadable.one());
                    let (namespace, why) = (&*asked.key.namespace.name, why.as_str());
                    tracing::debug!(namespace, why, "an entry can't be read");
                }
            }
        }
    }
}
