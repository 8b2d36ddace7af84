//! With a rule broken, each kind of scenario shows it.

use super::acts::{Act, Ending, Filling};
use super::backing::Broken;
use super::explore::explore;
use super::world::{Place, Scenario};

fn shows(place: Place, broken: Broken, filling: Filling, node: usize, ending: Ending) {
    let acts = [Act::Fill(filling, node), Act::End(ending, 0)];
    let scenario = Scenario::new(place, acts).primed().with(broken);
    let found = explore(&scenario);
    assert!(found.is_err(), "{scenario:?}: nobody notices");
}

#[test]
fn that_generations_do_not_change() {
    let scopes = [
        Ending::Tag,
        Ending::LateTag,
        Ending::Workspace,
        Ending::Namespace,
        Ending::Pattern,
        Ending::Everything,
        Ending::SoftTag,
        Ending::SoftWorkspace,
    ];
    for (place, node) in
        [(Place::Store, 0), (Place::Store, 1), (Place::Tiered, 0), (Place::Tiered, 1)]
    {
        for filling in Filling::ALL {
            for ending in scopes.into_iter().filter(|ending| ending.is_about(filling)) {
                shows(place, Broken::Generations, filling, node, ending);
            }
        }
        if node == 1 {
            shows(place, Broken::Generations, Filling::Compute, node, Ending::Clear);
        }
    }
}

#[test]
fn that_fills_write_whatever_has_happened_to_the_key() {
    for place in [Place::Store, Place::Tiered] {
        for filling in
            [Filling::Compute, Filling::Page, Filling::Refresh, Filling::Touch, Filling::Claim]
        {
            shows(place, Broken::Conditions, filling, 1, Ending::Delete);
        }
    }
}

#[test]
fn that_sweeps_find_nothing() {
    for place in [Place::Store, Place::Tiered] {
        for filling in Filling::ALL {
            shows(place, Broken::Scans, filling, 0, Ending::Glob);
        }
    }
}

#[test]
fn that_sweeps_stop_no_fill_elsewhere() {
    for place in [Place::Store, Place::Tiered] {
        for filling in [Filling::Compute, Filling::Page] {
            shows(place, Broken::Guards, filling, 1, Ending::Glob);
        }
    }
}
