//! The namespaces of what was found: their generations have to be met before anything counts.

use std::sync::Arc;

use super::{Answer, Asked};
use crate::clock::Deadline;
use crate::error::Error;
use crate::state::{Inner, NamespaceState};
use crate::store::Store;

impl Inner {
    /// What was found counts only under a generation of the namespace that has been met.
    pub(super) async fn meet_namespaces(
        &self,
        store: &dyn Store,
        answers: &mut [(Asked<'_>, Answer)],
        deadline: Deadline,
    ) {
        let mut failed: Option<(Arc<NamespaceState>, Error)> = None;
        for (asked, answer) in answers {
            if !matches!(answer, Answer::Found { .. }) {
                continue;
            }
            let namespace = &asked.key.namespace;
            if failed.as_ref().is_none_or(|(failed, _)| !Arc::ptr_eq(failed, namespace)) {
                // The first of several keys of a namespace has it done for all.
                let id = namespace.generation(&asked.generations);
                match self.meet(store, namespace, id, deadline).await {
                    Ok(true) => continue,
                    Ok(false) => {
                        *answer = Answer::Crossed;
                        continue;
                    }
                    Err(error) => failed = Some((Arc::clone(namespace), error)),
                }
                namespace.cell.invalidate();
            }
            if let Some((_, error)) = &failed {
                *answer = Answer::Failed(Error::new(error.kind(), error.to_string()));
                // A fill may still put its value into L1, under no generation of the namespace.
                let cell = &namespace.cell;
                let scope = asked.generations.iter_mut().find(|g| Arc::ptr_eq(&g.cell, cell));
                if let Some(scope) = scope {
                    *scope = cell.snapshot();
                }
            }
        }
    }
}
