//! The short form: each drill for about a second, or as long as Redis takes for it, and only what can
//! be counted.

use std::time::Duration;

use tokio::sync::Semaphore;

use crate::app::Answer;
use crate::drill::{Form, all};
use crate::figures::has_failed;
use crate::judge::has_waited;
use crate::load::Record;
use crate::run::{Outcome, Terms};

/// Runs at the same time.
static TURNS: Semaphore = Semaphore::const_new(3);

/// So long that a busy machine does not make Redis look away.
const BUDGET: Duration = Duration::from_secs(1);

const TERMS: Terms = Terms {
    rate: 200,
    healthy: Duration::from_millis(200),
    lasts: Duration::from_millis(700),
    after: Duration::from_millis(100),
    budget: Some(BUDGET),
};

async fn nobody_notices(name: &str) {
    let drill = all(Form::Short).into_iter().find(|drill| drill.name == name).expect("a drill");
    let _turn = TURNS.acquire().await.expect("never closed");
    let outcome = drill.run(TERMS).await;
    assert!(outcome.shown, "there was no trouble: {:?}", drill.shows);
    let failed: Vec<_> = outcome.records.iter().filter(|record| has_failed(record)).collect();
    assert!(failed.is_empty(), "{} failed: {:?}", failed.len(), &failed[..failed.len().min(5)]);
    assert!(outcome.during().count() > 50, "few requests");
    assert!(outcome.during().any(|record| record.answer == Answer::Fetched));
    assert!(outcome.back.is_some(), "Redis is back, and not used");
    assert!(outcome.hears.is_some(), "nothing is told of changes");
    if drill.silent {
        few_have_waited(&outcome);
    }
}

/// Only those who came before Redis was given up have waited for it.
fn few_have_waited(outcome: &Outcome) {
    let waited = |record: &Record| has_waited(record, BUDGET);
    assert!(outcome.during().any(waited), "nobody has noticed anything");
    assert!(outcome.given_up.is_some());
    assert_eq!(outcome.asked_later, Some(0), "asked though it had been given up");
}

macro_rules! drills {
    ($($name:ident)*) => {
        const NAMES: &[&str] = &[$(stringify!($name)),*];
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { nobody_notices(stringify!($name)).await; }
        )*
    };
}

drills! {
    killed stopped slow blackholed down_at_start blackholed_at_start full wrong_password
    password_changed sentinel_failover resharded primary_lost loading misconf busy readonly noreplicas
    masterdown clusterdown tryagain oom noperm noauth noscript wrongtype unexpected_type
}

#[test]
fn each_drill_has_a_short_form() {
    let drills = all(Form::Short);
    assert!(drills.iter().map(|drill| &*drill.name).eq(NAMES.iter().copied()));
}
