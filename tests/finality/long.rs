//! The long form, `./tests/stale-reads`: every trouble in every place, as many operations as asked
//! for, and a report.

use std::io::Write;

use crate::nemesis::Nemesis;
use crate::place::Place;
use crate::report;
use crate::run::{Form, Outcome, Plan};

/// A variable that the command sets.
fn setting(name: &str) -> Option<String> {
    std::env::var(format!("STALE_READS_{name}")).ok().filter(|value| !value.is_empty())
}

fn say(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes: ./tests/stale-reads"]
async fn run() {
    let Some(operations) = setting("OPERATIONS") else { return };
    let operations: u64 = operations.parse().expect("a number of operations");
    let seed = setting("SEED").map_or_else(
        || fastrand::u64(..1_000_000),
        |text| text.parse().expect("a seed is a number"),
    );
    let chosen = setting("NEMESIS");
    let is_chosen = |nemesis: Nemesis| chosen.as_ref().is_none_or(|name| nemesis.name() == name);
    let plans: Vec<Plan> = Nemesis::ALL
        .into_iter()
        .filter(|nemesis| is_chosen(*nemesis))
        .flat_map(|nemesis| Place::ALL.map(|place| (nemesis, place)))
        .filter(|(nemesis, place)| nemesis.fits(*place))
        .map(|(nemesis, place)| Plan::new(place, nemesis, seed))
        .collect();
    let names = Nemesis::ALL.map(Nemesis::name).join(", ");
    assert!(!plans.is_empty(), "no such nemesis; there are: {names}");

    let each = operations.div_ceil(plans.len() as u64);
    let mut outcomes: Vec<Outcome> = Vec::new();
    for plan in plans {
        let outcome = Plan { operations: each, rounds: 2, form: Form::Long, ..plan }.run().await;
        say(&report::row(&outcome));
        for text in &outcome.explained {
            say(text);
        }
        outcomes.push(outcome);
    }
    let command = setting("COMMAND").unwrap_or_default();
    let page = report::page(&outcomes, &format!("{command} --seed {seed}"));
    if let Some(path) = setting("REPORT") {
        std::fs::write(path, &page).expect("the report can be written");
    }
    say(&page);
    let broken: Vec<String> = outcomes
        .iter()
        .filter(|outcome| !outcome.verdict.stale.is_empty())
        .map(|outcome| outcome.plan.name())
        .collect();
    assert!(broken.is_empty(), "stale reads: {broken:#?}");
}
