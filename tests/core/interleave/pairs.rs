//! One that fills against one that invalidates: each kind of the one with each of the other.

use super::acts::{Act, Ending, Filling};
use super::explore::{explore, explore_few, explore_some, go_through};
use super::world::{Place, Scenario};

/// Each filling on `node` against each of these endings on node 0.
pub(crate) fn pairs(place: Place, node: usize, endings: &[Ending]) -> Vec<Scenario> {
    Filling::ALL.iter().flat_map(|filling| pairs_of(*filling, place, node, endings)).collect()
}

fn pairs_of(filling: Filling, place: Place, node: usize, endings: &[Ending]) -> Vec<Scenario> {
    let endings = endings.iter().filter(|ending| ending.is_about(filling));
    endings
        .map(|ending| Scenario::new(place, [Act::Fill(filling, node), Act::End(*ending, 0)]))
        .collect()
}

/// The same, when the nodes know all generations, too.
fn known_or_not(scenarios: Vec<Scenario>) -> impl Iterator<Item = Scenario> {
    scenarios.into_iter().flat_map(|scenario| [scenario.clone(), scenario.primed()])
}

/// One of each kind. To a node, all scopes that a key shows are alike: it looks at each of them at
/// the same moments.
const KINDS: [Ending; 9] = [
    Ending::Delete,
    Ending::Tag,
    Ending::LateTag,
    Ending::Namespace,
    Ending::Glob,
    Ending::SoftKey,
    Ending::SoftTag,
    Ending::SoftLateTag,
    Ending::SoftNamespace,
];

/// Invalidating a namespace, then sweeping it: on one node in so many orders that not every
/// filling is run against it there.
fn clearing(place: Place) -> impl Iterator<Item = Scenario> {
    [Filling::Compute, Filling::Promote, Filling::Touch].into_iter().map(move |filling| {
        Scenario::new(place, [Act::Fill(filling, 0), Act::End(Ending::Clear, 0)])
    })
}

#[test]
fn in_memory() {
    go_through(known_or_not(pairs(Place::Memory, 0, &Ending::ALL)), explore);
}

#[test]
fn in_the_store_on_one_node() {
    let scenarios = pairs(Place::Store, 0, &KINDS).into_iter().chain(clearing(Place::Store));
    go_through(scenarios, explore_some);
}

#[test]
fn in_the_store_on_two_nodes() {
    let scenarios = pairs(Place::Store, 1, &Ending::ALL);
    go_through(scenarios.clone(), explore_some);
    go_through(scenarios.into_iter().map(Scenario::primed), explore_few);
}

#[test]
fn tiered_on_one_node() {
    let scenarios = pairs(Place::Tiered, 0, &KINDS).into_iter().chain(clearing(Place::Tiered));
    go_through(scenarios.map(Scenario::primed), explore_some);
}

#[test]
fn tiered_on_two_nodes_that_know_all_generations() {
    let scenarios = pairs(Place::Tiered, 1, &Ending::ALL);
    go_through(scenarios.into_iter().map(Scenario::primed), explore_few);
}

/// The longest of all: each filling by itself, so that they can be run side by side.
mod tiered_on_two_nodes {
    use super::*;

    fn all_orders(filling: Filling) {
        go_through(pairs_of(filling, Place::Tiered, 1, &Ending::ALL), explore);
    }

    #[test]
    fn compute() {
        all_orders(Filling::Compute);
    }

    #[test]
    fn set() {
        all_orders(Filling::Set);
    }

    #[test]
    fn page() {
        all_orders(Filling::Page);
    }

    #[test]
    fn refresh() {
        all_orders(Filling::Refresh);
    }

    #[test]
    fn promote() {
        all_orders(Filling::Promote);
    }

    #[test]
    fn touch() {
        all_orders(Filling::Touch);
    }

    #[test]
    fn claim() {
        all_orders(Filling::Claim);
    }

    #[test]
    fn is_all() {
        assert_eq!(Filling::ALL.len(), 7);
    }
}
