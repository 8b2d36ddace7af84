//! The map of a cluster: its primaries, and which of them serves which slot.
//!
//! A map is replaced by the next; only that a slot has moved from one of its primaries to another is
//! noted in place, as redirections tell of it one by one.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use xxhash_rust::xxh3::Xxh3;

use super::slot::SLOTS;
use super::view::{Address, Primary, View};
use crate::clock::Clock;
use crate::error::Error;
use crate::store::Store;
use crate::store::redis::RedisStore;

/// One server, with connections and a breaker of its own.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) address: Address,
    pub(super) store: RedisStore,
    /// What it said of the time.
    pub(super) clock: Clock,
}

/// A primary of the cluster.
#[derive(Debug, Clone)]
pub(super) struct Member {
    /// What the cluster calls it.
    pub(super) id: String,
    pub(super) node: Arc<Node>,
}

#[derive(Debug)]
pub(super) struct Topology {
    /// Counts the maps.
    pub(super) version: u64,
    /// By their names.
    pub(super) members: Vec<Member>,
    owners: Box<[AtomicU16]>,
    replicas: BTreeMap<String, String>,
    /// What earlier members have counted of their incarnations, and how often one has taken the
    /// place of another.
    base: u64,
}

const NOBODY: u16 = u16::MAX;

impl Topology {
    /// The map that a view shows. `None`: it is the one that there is.
    pub(super) fn next(
        current: Option<&Self>,
        view: &View,
        node: impl Fn(&Address) -> Result<Arc<Node>, Error>,
    ) -> Result<Option<Self>, Error> {
        let owners = owners(view);
        if current.is_some_and(|current| current.shows(view, &owners)) {
            return Ok(None);
        }
        let member = |primary: &Primary| {
            let id = primary.id.clone();
            Ok(Member { id, node: node(&primary.address)? })
        };
        let members = view.primaries.iter().map(member).collect::<Result<Vec<_>, Error>>()?;
        let before = current.map_or(&[][..], |current| &current.members);
        let (mut version, mut base) = (1, 0);
        if let Some(current) = current {
            version = current.version + 1;
            base = current.base + u64::from(current.is_taken_over(view));
        }
        // What each has counted stays counted when it goes, and is none when it comes: it may have
        // been asked before, for the map, or because a redirection named it.
        for gone in before.iter().filter(|gone| !gone.is_among(&members)) {
            base = base.wrapping_add(gone.node.store.incarnation());
        }
        for new in members.iter().filter(|new| !new.is_among(before)) {
            base = base.wrapping_sub(new.node.store.incarnation());
        }
        let replicas = view.replicas.clone();
        Ok(Some(Self { version, members, owners, replicas, base }))
    }

    fn shows(&self, view: &View, owners: &[AtomicU16]) -> bool {
        self.has_primaries_of(view)
            && self.replicas == view.replicas
            && self.owners.iter().zip(owners).all(|(a, b)| load(a) == load(b))
    }

    /// Whether somewhere another server has taken the place of one: then it may have forgotten what
    /// that one had confirmed. Slots that were moved to another primary take all they hold along.
    fn is_taken_over(&self, view: &View) -> bool {
        let serves = |id: &str| {
            view.primaries.iter().any(|primary| primary.id == id && !primary.slots.is_empty())
        };
        view.primaries.iter().filter(|primary| !primary.slots.is_empty()).any(|primary| {
            if let Some(known) = self.member(&primary.id) {
                // The same at another address was started anew there.
                return known.node.address != primary.address;
            }
            let slots = primary.slots.iter().flat_map(|(from, to)| *from..=*to);
            let taken = slots.filter_map(|slot| self.owner(slot));
            self.replicas.contains_key(&primary.id)
                // Nobody knew of it, and whom it has the slots from is no more.
                || taken.map(|before| &*before.id).any(|before| !serves(before))
        })
    }

    fn member(&self, id: &str) -> Option<&Member> {
        let index = self.members.binary_search_by(|member| (*member.id).cmp(id)).ok()?;
        self.members.get(index)
    }

    /// Who serves a slot.
    pub(super) fn owner(&self, slot: u16) -> Option<&Member> {
        self.members.get(usize::from(load(self.owners.get(usize::from(slot))?)))
    }

    /// Takes note that a slot has moved to this member; false if there is none.
    pub(super) fn move_slot(&self, slot: u16, to: &Address) -> bool {
        let index = self.members.iter().position(|member| member.node.address == *to);
        let index = index.and_then(|index| u16::try_from(index).ok());
        match (index, self.owners.get(usize::from(slot))) {
            (Some(index), Some(owner)) => {
                owner.store(index, Ordering::Release);
                true
            }
            _ => false,
        }
    }

    /// Counts how often a part of the store was another than before, or may have been.
    pub(super) fn incarnation(&self) -> u64 {
        let of = |member: &Member| member.node.store.incarnation();
        self.members.iter().map(of).fold(self.base, u64::wrapping_add)
    }

    /// Tells maps apart that don't show the same; the same for each process.
    pub(super) fn digest(&self) -> u64 {
        let mut hash = Xxh3::new();
        for member in &self.members {
            hash.update(member.id.as_bytes());
        }
        for owner in &self.owners {
            hash.update(&load(owner).to_le_bytes());
        }
        hash.digest()
    }

    /// Whether these are the same servers, whatever slots they serve.
    pub(super) fn has_members_of(&self, other: &Self) -> bool {
        let same = |(a, b): (&Member, &Member)| Arc::ptr_eq(&a.node, &b.node);
        self.members.len() == other.members.len()
            && self.members.iter().zip(&other.members).all(same)
    }

    /// Whether a view knows of these servers, and of no others.
    pub(super) fn has_primaries_of(&self, view: &View) -> bool {
        let same = |(member, primary): (&Member, &Primary)| {
            member.id == primary.id && member.node.address == primary.address
        };
        self.members.len() == view.primaries.len()
            && self.members.iter().zip(&view.primaries).all(same)
    }
}

impl Member {
    fn is_among(&self, members: &[Self]) -> bool {
        members.iter().any(|member| Arc::ptr_eq(&member.node, &self.node))
    }
}

fn owners(view: &View) -> Box<[AtomicU16]> {
    let owners: Box<[AtomicU16]> = (0..SLOTS).map(|_| AtomicU16::new(NOBODY)).collect();
    for (index, primary) in (0..NOBODY).zip(&view.primaries) {
        for (from, to) in &primary.slots {
            let range = owners.get(usize::from(*from)..=usize::from(*to)).unwrap_or_default();
            for owner in range {
                owner.store(index, Ordering::Relaxed);
            }
        }
    }
    owners
}

fn load(owner: &AtomicU16) -> u16 {
    owner.load(Ordering::Acquire)
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::collections::HashMap;

    use super::*;
    use crate::store::redis::RedisOptions;

    /// Such as the one below, which keeps them.
    type Nodes = RefCell<HashMap<Address, Arc<Node>>>;

    #[allow(clippy::unnecessary_wraps, reason = "as the store has it")]
    fn node(nodes: &Nodes, address: &Address) -> Result<Arc<Node>, Error> {
        let new = || {
            let options = RedisOptions::url(&format!("redis://{address}")).unwrap();
            let clock = Clock::system();
            let store = RedisStore::new(&options, clock.clone()).unwrap();
            Arc::new(Node { address: address.clone(), store, clock })
        };
        Ok(Arc::clone(nodes.borrow_mut().entry(address.clone()).or_insert_with(new)))
    }

    fn first(nodes: &Nodes, view: &View) -> Topology {
        Topology::next(None, view, |address| node(nodes, address)).unwrap().unwrap()
    }

    /// Names with their slots, and names of replicas with those of their primaries.
    fn view(primaries: &[(&str, &[(u16, u16)])], replicas: &[(&str, &str)]) -> View {
        let primary = |(id, slots): &(&str, &[(u16, u16)])| Primary {
            id: (*id).to_owned(),
            address: Address { host: (*id).to_owned(), port: 7000 },
            slots: slots.to_vec(),
        };
        View {
            primaries: primaries.iter().map(primary).collect(),
            replicas: replicas.iter().map(|(r, p)| ((*r).to_owned(), (*p).to_owned())).collect(),
        }
    }

    fn next(nodes: &Nodes, current: &Topology, view: &View) -> Option<Topology> {
        Topology::next(Some(current), view, |address| node(nodes, address)).unwrap()
    }

    fn owner(topology: &Topology, slot: u16) -> Option<&str> {
        topology.owner(slot).map(|member| &*member.id)
    }

    #[tokio::test]
    async fn slots_lead_to_their_primaries_and_the_same_map_is_none() {
        let nodes = Nodes::default();
        let shown = view(&[("a", &[(0, 9)]), ("b", &[(10, 19), (30, 39)])], &[("r", "a")]);
        let topology = first(&nodes, &shown);
        let found = [0, 9, 10, 25, 35, 16_383, 16_384].map(|slot| owner(&topology, slot));
        assert_eq!(found, [Some("a"), Some("a"), Some("b"), None, Some("b"), None, None]);
        assert!(next(&nodes, &topology, &shown).is_none() && topology.has_primaries_of(&shown));
        assert_eq!((topology.version, topology.incarnation()), (1, 0));
    }

    #[tokio::test]
    async fn slots_that_were_moved_are_no_other_store_and_a_replica_that_took_over_is() {
        let nodes = Nodes::default();
        let before = view(&[("a", &[(0, 9)]), ("b", &[(10, 19)])], &[("r", "a"), ("s", "b")]);
        let topology = first(&nodes, &before);
        let replicas = [("r", "a"), ("s", "b")];
        for (primaries, replicas, counted, why) in [
            (&[("a", &[(0, 4)][..]), ("b", &[(5, 19)])][..], &replicas[..], 0, "moved"),
            (&[("a", &[]), ("b", &[(0, 19)])], &replicas, 0, "all of them"),
            (&[("a", &[(1, 9)]), ("b", &[(10, 19)]), ("c", &[(0, 0)])], &replicas, 0, "to a new"),
            (&[("b", &[(10, 19)]), ("r", &[(0, 9)])], &[("s", "b")], 1, "a replica took over"),
            (&[("b", &[(10, 19)]), ("x", &[(0, 9)])], &[("s", "b")], 1, "one nobody knew did"),
            (&[("x", &[(0, 9)]), ("y", &[(10, 19)])], &[], 1, "another cluster"),
        ] {
            let found = next(&nodes, &topology, &view(primaries, replicas)).unwrap();
            assert_eq!(found.incarnation(), counted, "{why}");
            assert_eq!(found.version, 2);
            assert_ne!(found.digest(), topology.digest(), "{why}");
        }
        let mut elsewhere = before.clone();
        elsewhere.primaries[0].address.port = 1;
        assert_eq!(
            next(&nodes, &topology, &elsewhere).unwrap().incarnation(),
            1,
            "at another address"
        );
    }

    #[tokio::test]
    async fn a_redirection_moves_one_slot_to_a_primary_that_is_known() {
        let nodes = Nodes::default();
        let shown = view(&[("a", &[(0, 9)]), ("b", &[(10, 19)])], &[]);
        let topology = first(&nodes, &shown);
        let to = |host: &str| Address { host: host.to_owned(), port: 7000 };
        let digest = topology.digest();
        assert!(topology.move_slot(3, &to("b")) && !topology.move_slot(4, &to("c")));
        assert_eq!([3, 4].map(|slot| owner(&topology, slot)), [Some("b"), Some("a")]);
        assert_ne!(topology.digest(), digest);
        assert!(next(&nodes, &topology, &shown).is_some(), "the cluster says otherwise");
        let kept = next(&nodes, &topology, &shown).unwrap();
        assert!(kept.has_members_of(&topology));
    }
}
