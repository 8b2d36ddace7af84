//! The store fails once: at each step, before or after it has done what it was asked for.

use super::acts::{Act, Ending, Filling};
use super::explore::{explore_some, go_through};
use super::world::{Place, Scenario};

const PAIRS: [(Filling, Ending); 13] = [
    (Filling::Compute, Ending::Delete),
    (Filling::Compute, Ending::Namespace),
    (Filling::Set, Ending::Workspace),
    (Filling::Page, Ending::LateTag),
    (Filling::Refresh, Ending::Delete),
    (Filling::Refresh, Ending::Pattern),
    (Filling::Promote, Ending::Delete),
    (Filling::Promote, Ending::Tag),
    (Filling::Touch, Ending::Everything),
    (Filling::Claim, Ending::Delete),
    (Filling::Refresh, Ending::SoftTag),
    (Filling::Promote, Ending::SoftNamespace),
    (Filling::Page, Ending::SoftKey),
];

fn failing(place: Place, node: usize) -> impl Iterator<Item = Scenario> {
    PAIRS.into_iter().map(move |(filling, ending)| {
        let acts = [Act::Fill(filling, node), Act::End(ending, 0)];
        Scenario::new(place, acts).primed().failing()
    })
}

#[test]
fn in_the_store_on_two_nodes() {
    go_through(failing(Place::Store, 1), explore_some);
}

#[test]
fn tiered_on_one_node() {
    go_through(failing(Place::Tiered, 0), explore_some);
}

#[test]
fn tiered_on_two_nodes() {
    go_through(failing(Place::Tiered, 1), explore_some);
}

/// A sweep that fails is widened to its namespace.
#[test]
fn sweeps() {
    let acts = [Filling::Promote, Filling::Compute].map(|filling| Act::Fill(filling, 0));
    let scenario = |act| Scenario::new(Place::Tiered, [act, Act::End(Ending::Glob, 0)]);
    go_through(acts.map(|act| scenario(act).primed().failing()), explore_some);
}
