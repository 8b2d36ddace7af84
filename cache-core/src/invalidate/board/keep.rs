//! Keeping boards alive: they are read in the rounds of `keepalive` by those who use the namespace,
//! so that they are not idle. What was lost is published again.

use std::sync::Arc;

use super::adopt::{Asked, Found};
use crate::clock::Deadline;
use crate::error::Error;
use crate::state::{Inner, NamespaceState};
use crate::store::Store;

/// No more boards than this in one round trip.
const AT_ONCE: usize = 256;

impl Inner {
    /// Reads the boards of the namespaces that have one, or a generation that has not been adopted,
    /// and takes in what they say. To be called after the generations were read.
    pub(crate) async fn look_after_boards(
        &self,
        store: &dyn Store,
        soon: impl Fn() -> Deadline,
    ) -> Result<(), Error> {
        let incarnation = store.incarnation();
        let namespaces = self.namespaces();
        let seen = namespaces.into_iter().filter_map(|namespace| {
            let id = namespace.cell.snapshot().id();
            let adopted = id.is_none_or(|id| namespace.board.has_adopted(id, incarnation));
            (!adopted || namespace.has_board()).then_some((namespace, id))
        });
        let seen: Vec<(Arc<NamespaceState>, Option<u64>)> = seen.collect();
        for some in seen.chunks(AT_ONCE) {
            let asked: Vec<Asked> = some.iter().map(|(n, _)| Asked::now(store, n)).collect();
            let keys: Vec<&str> = some.iter().map(|(namespace, _)| &*namespace.board.key).collect();
            let found = self.fetch(store, &keys, soon()).await?;
            for (((namespace, id), asked), stored) in some.iter().zip(asked).zip(&found) {
                let found = Found::new(&namespace.board.key, stored.as_ref(), asked);
                let kept = async {
                    self.refresh_board(store, namespace, &found, soon()).await?;
                    self.take_in(store, namespace, found, *id, soon()).await
                };
                if let Err(error) = kept.await {
                    tracing::debug!(%error, namespace = %namespace.name, "a board is not kept");
                }
            }
        }
        Ok(())
    }
}

impl NamespaceState {
    /// The key of its board, if it is to have one in the store.
    pub(crate) fn board_key(&self) -> Option<&str> {
        self.has_board().then_some(&self.board.key)
    }

    fn has_board(&self) -> bool {
        let sync = self.board.sync();
        self.board.is_to_be_there(&sync)
    }
}
