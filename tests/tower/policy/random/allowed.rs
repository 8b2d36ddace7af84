//! Nothing is stored, and nothing answered from the store, that the oracle does not allow.

use std::collections::BTreeMap;

use super::heads::{Case, Line};
use super::oracle::{self, current_age, may_reuse, may_store};
use super::rig::{Outcome, Rig, exchange, later};
use super::seeds;
use crate::policy::origin::{HIT, field, told};

/// What a response from the store has to look like.
fn check_hit(case: &Case, outcome: &Outcome) {
    let hit = &outcome.later;
    let age = current_age(&exchange(case, outcome), outcome.asked_again) / 1_000;
    assert_eq!(field(hit, "age"), age.to_string(), "{case:#?}");
    assert_eq!(field(hit, "x-kept"), "1", "{case:#?}");
    assert_eq!(field(hit, "set-cookie"), "-", "{case:#?}");
    let names_a_field = |(name, value): &Line| match *name {
        "cache-control" => {
            value.contains("private=\"x-user") || value.contains("no-cache=\"x-user")
        }
        "connection" => value == "x-user",
        _ => false,
    };
    let user = if case.response.iter().any(names_a_field) { "-" } else { "1" };
    assert_eq!(field(hit, "x-user"), user, "{case:#?}");
    let asks = |names: &[&str]| case.later.iter().any(|(name, _)| names.contains(name));
    let status = hit.status().as_u16();
    let modified = status == 304 && asks(&["if-none-match", "if-modified-since"]);
    let part = matches!(status, 206 | 416) && asks(&["range"]);
    assert!(status == case.status || modified || part, "{status}: {case:#?}");
}

const CASES: u64 = 12_000;

#[tokio::test]
async fn whatever_is_stored_and_reused_may_be() {
    let mut rig = Rig::new();
    let (mut stored, mut hits) = (0, 0);
    let mut forbidden = BTreeMap::<_, u64>::new();
    let (seeds, enough) = seeds(CASES);
    for seed in seeds {
        let case = Case::of(seed, rig.now());
        let outcome = rig.run(&case).await;
        let exchange = exchange(&case, &outcome);
        let is_stored = told(&outcome.first).split("; ").any(|part| part == "stored");
        let is_hit = told(&outcome.later).split("; ").any(|part| part == HIT);

        let storing = may_store(&exchange);
        assert!(!is_stored || storing.is_ok(), "stored against {storing:?}: {case:#?}");
        let reusing = may_reuse(&exchange, &later(&case, &outcome));
        assert!(!is_hit || reusing.is_ok(), "reused against {reusing:?}: {case:#?}");
        assert!(!is_hit || is_stored, "a hit of what was not stored: {case:#?}");
        if is_hit {
            check_hit(&case, &outcome);
        }
        stored += u64::from(is_stored);
        hits += u64::from(is_hit);
        if let Err(section) = reusing {
            *forbidden.entry(section).or_default() += 1;
        }
    }
    if enough {
        assert!(stored > CASES / 4, "only {stored} of {CASES} were stored");
        assert!(hits > CASES / 8, "only {hits} of {CASES} were hits");
        // Each rule of the oracle was needed, most of them often.
        let missing: Vec<_> =
            oracle::SECTIONS.iter().filter(|section| !forbidden.contains_key(*section)).collect();
        assert!(missing.is_empty(), "{missing:?} forbade nothing: {forbidden:#?}");
        let rare: Vec<_> = forbidden.iter().filter(|(_, count)| **count < 10).collect();
        assert!(rare.is_empty(), "{rare:?}");
    }
}
