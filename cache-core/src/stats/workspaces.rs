//! Counters by workspace: of so many at most.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError, RwLock};

use super::NamespaceStats;
use super::counters::Counters;
use crate::key::{escape_workspace, is_shared_partition, unescape};

/// So many workspaces are counted apart in a process. For another one, one of which nothing is in
/// this process' memory, and nothing is asked for, makes place: what was counted of it is then among
/// [`Stats::other_workspaces`](crate::Stats::other_workspaces), where all are counted for whom there
/// is no place.
pub const MAX_COUNTED_WORKSPACES: usize = 1024;

/// What is counted of a workspace is held by its entries in memory and by the keys that are being
/// asked for: so to count a read looks nothing up.
#[derive(Debug, Default)]
pub(crate) struct Workspaces {
    /// By the rendered name.
    counted: RwLock<HashMap<Box<str>, Arc<Counters>>>,
    other: Arc<Counters>,
}

impl Workspaces {
    /// What is counted of the workspace that is called so in keys; `None`: it is none.
    pub(crate) fn of(&self, rendered: &str) -> Option<Arc<Counters>> {
        if is_shared_partition(rendered) {
            return None;
        }
        let counted = self.counted.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(counters) = counted.get(rendered) {
            return Some(Arc::clone(counters));
        }
        drop(counted);
        let mut counted = self.counted.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(counters) = counted.get(rendered) {
            return Some(Arc::clone(counters));
        }
        if counted.len() >= MAX_COUNTED_WORKSPACES && !self.make_place(&mut counted) {
            return Some(Arc::clone(&self.other));
        }
        let counters = Arc::<Counters>::default();
        counted.insert(rendered.into(), Arc::clone(&counters));
        Some(counters)
    }

    /// Forgets one that nobody can count in: nobody holds it, and under this lock nobody gets it.
    fn make_place(&self, counted: &mut HashMap<Box<str>, Arc<Counters>>) -> bool {
        let idle = counted.iter().find(|(_, counters)| Arc::strong_count(counters) == 1);
        let Some(idle) = idle.map(|(name, _)| name.clone()) else { return false };
        if let Some(counters) = counted.remove(&idle) {
            self.other.take_over(&counters);
        }
        true
    }

    pub(crate) fn snapshot(&self) -> (BTreeMap<String, NamespaceStats>, NamespaceStats) {
        // Under the lock, so that what makes place is in one of both.
        let counted = self.counted.read().unwrap_or_else(PoisonError::into_inner);
        let of_each = counted.iter().map(|(name, counters)| (unescape(name), counters.snapshot()));
        (of_each.collect(), self.other.snapshot())
    }

    pub(crate) fn snapshot_of(&self, workspace: &str) -> Option<NamespaceStats> {
        let mut rendered = String::with_capacity(workspace.len());
        escape_workspace(workspace, &mut rendered);
        let counted = self.counted.read().unwrap_or_else(PoisonError::into_inner);
        counted.get(rendered.as_str()).map(|counters| counters.snapshot())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::middleware::Read;

    #[test]
    fn there_are_never_more_and_nothing_counted_is_lost() {
        let workspaces = Workspaces::default();
        let held: Vec<_> = (0..MAX_COUNTED_WORKSPACES)
            .filter_map(|n| workspaces.of(&format!("held{n}")))
            .inspect(|counters| counters.count(Read::L1Hit))
            .collect();
        workspaces.of("no place").unwrap().count(Read::Miss);
        let (counted, other) = workspaces.snapshot();
        assert_eq!((counted.len(), other.misses), (MAX_COUNTED_WORKSPACES, 1));
        drop(held);
        for n in 0..10 {
            workspaces.of(&format!("new{n}")).unwrap().count(Read::StoreHit);
        }
        let (counted, other) = workspaces.snapshot();
        assert_eq!(counted.len(), MAX_COUNTED_WORKSPACES);
        let hits = counted.values().map(|one| one.hits).sum::<u64>() + other.hits;
        assert_eq!(hits, MAX_COUNTED_WORKSPACES as u64 + 10);
        assert!(other.hits >= 1, "{other:?}");
    }

    #[test]
    fn they_are_told_by_their_own_names() {
        let workspaces = Workspaces::default();
        for name in ["é:1", "-", "100%"] {
            let mut rendered = String::new();
            escape_workspace(name, &mut rendered);
            workspaces.of(&rendered).unwrap().count(Read::Miss);
            assert_eq!(workspaces.snapshot_of(name).unwrap().misses, 1);
        }
        assert!(workspaces.of("-").is_none(), "the shared partition is no workspace");
        let (counted, _) = workspaces.snapshot();
        assert_eq!(counted.keys().collect::<Vec<_>>(), ["-", "100%", "é:1"]);
    }
}
