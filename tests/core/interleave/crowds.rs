//! Three at once: fills that wait for one another, visitors, two invalidations.

use super::acts::{Act, Ending, Filling};
use super::explore::{explore_some, go_through, sample};
use super::world::{Place, Scenario};

/// Who fills or invalidates, and where, beside one who invalidates on node 0.
fn crowds(place: Place, node: usize) -> impl Iterator<Item = Scenario> {
    let endings = [
        Ending::Delete,
        Ending::LateTag,
        Ending::Namespace,
        Ending::Pattern,
        Ending::Clear,
        Ending::SoftLateTag,
        Ending::SoftPattern,
    ];
    endings.into_iter().flat_map(move |ending| {
        let others = [
            [Act::Fill(Filling::Compute, node), Act::Ask(node)],
            [Act::Fill(Filling::Compute, node), Act::Ask(0)],
            [Act::Fill(Filling::Page, node), Act::Ask(node)],
            [Act::Fill(Filling::Refresh, node), Act::Fill(Filling::Promote, node)],
            [Act::Fill(Filling::Claim, node), Act::Fill(Filling::Page, node)],
            [Act::Fill(Filling::Claim, node), Act::Fill(Filling::Claim, 0)],
            [Act::Fill(Filling::Page, node), Act::End(Ending::Delete, node)],
            [Act::Fill(Filling::Page, node), Act::End(Ending::Tag, node)],
        ];
        let about = move |others: &[Act; 2]| {
            // A visitor computes.
            let filling = |act: &Act| match act {
                Act::Ask(_) => Some(Filling::Compute),
                other => other.filling().map(|(filling, _)| filling),
            };
            others.iter().filter_map(filling).all(|filling| ending.is_about(filling))
        };
        let others = others.into_iter().filter(about);
        others.map(move |[a, b]| Scenario::new(place, [a, b, Act::End(ending, 0)]))
    })
}

/// As many as that are run of the orders of a scenario, where there are too many.
const SAMPLE: usize = 30;

#[test]
fn in_memory() {
    go_through(crowds(Place::Memory, 0), explore_some);
}

#[test]
fn in_the_store() {
    let sample = |scenario: &_| sample(scenario, SAMPLE);
    go_through(crowds(Place::Store, 0).chain(crowds(Place::Store, 1)), sample);
}

#[test]
fn tiered() {
    let sample = |scenario: &_| sample(scenario, SAMPLE);
    go_through(crowds(Place::Tiered, 0).chain(crowds(Place::Tiered, 1)), sample);
}
