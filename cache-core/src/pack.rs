//! Entries on their way into the store, as their namespaces want them there.

use std::sync::Arc;

use bytes::Bytes;

use crate::clock::Deadline;
use crate::codec::{Packed, pack};
use crate::entry::Entry;
use crate::error::{Error, ErrorKind};
use crate::state::{EntryKey, Inner};

impl Inner {
    /// The bytes of an entry.
    ///
    /// # Errors
    /// As [`pack_all`](Self::pack_all).
    pub(crate) async fn pack_one(
        &self,
        key: &Arc<EntryKey>,
        entry: Entry,
        deadline: Option<Deadline>,
    ) -> Result<Bytes, Error> {
        let bytes = self.pack_all(vec![(Arc::clone(key), entry)], deadline).await?.pop();
        bytes.ok_or_else(no_time)
    }

    /// The bytes of entries, in order.
    ///
    /// # Errors
    /// If one can't be written, or there is no time.
    pub(crate) async fn pack_all(
        &self,
        entries: Vec<(Arc<EntryKey>, Entry)>,
        deadline: Option<Deadline>,
    ) -> Result<Vec<Bytes>, Error> {
        let work = |(key, entry): &(Arc<EntryKey>, Entry)| {
            let bytes = entry.payload.len();
            if key.namespace.packing.changes(bytes) { bytes } else { 0 }
        };
        let bytes = entries.iter().map(work).sum();
        let pack_each =
            move || entries.into_iter().map(|(key, entry)| pack_entry(&key, &entry)).collect();
        self.offload.run(bytes, deadline, pack_each).await.unwrap_or_else(|| Err(no_time()))
    }
}

fn pack_entry(key: &EntryKey, entry: &Entry) -> Result<Bytes, Error> {
    let packed = pack(entry, &key.namespace.packing, &key.rendered);
    let Packed { bytes, compressed } = packed.ok_or_else(|| {
        // The system's randomness may be missing too, where there is something to encrypt.
        Error::new(ErrorKind::Encode, "a key or tag is too long, or the value can't be encrypted")
    })?;
    if let Some((before, after)) = compressed {
        key.note(|counts| counts.compressed(before, after));
    }
    Ok(bytes)
}

fn no_time() -> Error {
    Error::new(ErrorKind::Timeout, "there was no time to compress or encrypt the value")
}
