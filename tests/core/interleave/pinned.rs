//! Orders in which something went wrong once.

use super::acts::{Act, Ending, Filling};
use super::explore::follow;
use super::world::{Place, Scenario};

/// Pinned: an entry had been read from the store, its tags not yet; then the invalidation of one
/// of them got lost. The second look at the store learnt the old generation again, and memory
/// answered with the entry.
#[test]
fn a_tag_whose_invalidation_got_lost_between_two_looks_is_not_learnt_again() {
    let acts = [Act::Fill(Filling::Promote, 0), Act::End(Ending::Tag, 0)];
    let order = [
        "Fill(Promote, 0)#0: begin",
        "Fill(Promote, 0)#0: fetch",
        "End(Tag, 0)#1: begin",
        "End(Tag, 0)#1: remove (lost)",
        "End(Tag, 0)#1: removed",
        "Fill(Promote, 0)#0: fetched",
    ];
    assert_eq!(follow(&Scenario::new(Place::Tiered, acts).primed().failing(), &order), Ok(()));
}

/// Pinned: a set that an invalidation had crossed began anew, and learnt the old generation again
/// if that invalidation had got lost; a read that had begun before both took it for true.
#[test]
fn a_set_that_begins_anew_learns_nothing_that_was_to_be_invalidated() {
    let acts = [
        Act::Fill(Filling::Promote, 0),
        Act::Fill(Filling::Neighbour, 0),
        Act::End(Ending::Namespace, 0),
    ];
    let order = [
        "Fill(Promote, 0)#0: begin",
        "Fill(Promote, 0)#0: fetch",
        "Fill(Neighbour, 0)#1: begin",
        "End(Namespace, 0)#2: begin",
        "End(Namespace, 0)#2: remove (lost)",
        "End(Namespace, 0)#2: removed",
        "Fill(Neighbour, 0)#1: write",
        "Fill(Neighbour, 0)#1: written",
        "Fill(Neighbour, 0)#1: create",
        "Fill(Neighbour, 0)#1: created",
        "Fill(Promote, 0)#0: fetched",
        "Fill(Promote, 0)#0: remove",
        "Fill(Promote, 0)#0: removed",
        "Fill(Promote, 0)#0: fetch",
        "Fill(Promote, 0)#0: fetched",
        "End(Namespace, 0)#2: answered, and read",
    ];
    let scenario = Scenario::new(Place::Tiered, acts).primed().failing();
    assert_eq!(follow(&scenario, &order), Ok(()));
}
