//! Places for those who listen: no workspace takes all of them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// So many may be there at once.
#[derive(Debug)]
pub(super) struct Places {
    most: usize,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    by_operators: usize,
    by_workspaces: usize,
    of: HashMap<String, usize>,
}

/// One of them, until it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    places: Arc<Places>,
    workspace: Option<String>,
}

impl Places {
    pub(super) fn new(most: usize) -> Self {
        Self { most, taken: Mutex::default() }
    }

    /// A place for somebody of this workspace, or for an operator; `None` if there is none for them.
    pub(super) fn take(self: &Arc<Self>, workspace: Option<&str>) -> Option<Place> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.by_operators + taken.by_workspaces >= self.most {
            return None;
        }
        if let Some(workspace) = workspace {
            let own = taken.of.get(workspace).copied().unwrap_or_default();
            if taken.by_workspaces >= (self.most / 2).max(1) || own >= (self.most / 4).max(1) {
                return None;
            }
            taken.by_workspaces += 1;
            taken.of.insert(workspace.to_owned(), own + 1);
        } else {
            taken.by_operators += 1;
        }
        drop(taken);
        Some(Place { places: Arc::clone(self), workspace: workspace.map(str::to_owned) })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(workspace) = &self.workspace else {
            taken.by_operators -= 1;
            return;
        };
        taken.by_workspaces -= 1;
        if let Some(own) = taken.of.get_mut(workspace) {
            *own -= 1;
            if *own == 0 {
                taken.of.remove(workspace);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workspaces_leave_places_to_each_other_and_to_operators() {
        let places = Arc::new(Places::new(8));
        let take = |workspace| places.take(workspace);
        let mut held = vec![take(Some("a")), take(Some("a")), take(Some("b")), take(Some("b"))];
        assert!(held.iter().all(Option::is_some));
        assert!(take(Some("a")).is_none() && take(Some("c")).is_none());
        held.extend((0..4).map(|_| take(None)));
        assert!(held.iter().all(Option::is_some));
        assert!(take(None).is_none());
        held.remove(0);
        assert!(take(Some("a")).is_some());
        drop(held);
        let taken = places.taken.lock().unwrap();
        assert_eq!((taken.by_operators, taken.by_workspaces, taken.of.len()), (0, 0, 0));
    }

    #[test]
    fn of_few_places_a_workspace_has_one_and_of_none_nobody() {
        let (one, none) = (Arc::new(Places::new(1)), Arc::new(Places::new(0)));
        assert!(one.take(Some("a")).is_some() && one.take(None).is_some());
        assert!(none.take(Some("a")).is_none() && none.take(None).is_none());
    }
}
