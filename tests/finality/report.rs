//! What the long form says: one line for each run, as Markdown.

use std::fmt::Write;

use crate::history::Answer;
use crate::run::Outcome;

/// The page.
pub(crate) fn page(outcomes: &[Outcome], command: &str) -> String {
    let mut page = String::from(INTRODUCTION);
    let _ = write!(page, "\n```console\n$ {command}\n```\n\n## What came of it\n\n");
    page.push_str(&table(outcomes));
    page.push_str(&summary(outcomes));
    page
}

const INTRODUCTION: &str = "\
# Stale reads

Several processes, each with a cache of its own on one Redis, read rows of one SQLite database
through their caches; now and then one changes rows, and invalidates them by key, tag, workspace,
namespace, declared pattern, undeclared pattern, or all of a namespace; half of them softly. Meanwhile something goes
wrong, round after round (`tests/finality/nemesis`). Every operation is written down with its begin
and its end on the machine's one monotonic clock. A read is stale if it is older than an
invalidation demands that was answered before the read began (`tests/finality/checker.rs`): at once
in the process that invalidated, after the stated bound in others, and for what was answered with
`Queued`, or with an error that says that Redis is away, in other processes once Redis has been back
for the time of a recovery, and the bound has passed too.

| where | the bound in other processes |
|---|---|
| without L1 | none: at once |
| the same, and Redis can't be asked all the time, or is full | `UNCONFIRMED_FLIGHT`, 250 ms |
| with L1 | the `l1_ttl`, here 300 ms |
| the same, and Redis can't be asked all the time | `COHERENCE_BOUND`, 5 s |

`memory` is one process, `redis` three without L1, `tiered` three with it. `http` is as `tiered`, but
the rows are read and changed by requests to an axum application, under `CacheLayer` and
`cache_endpoint`: `PUT` invalidates its own URI, `POST` a declared pattern (`invalidate_cache`).

A hit is judged if some invalidation demands of it a version that was written during the run. Where
the bound is 5 s, processes rest longer between two operations, and between two rounds until what
was queued has come due, so that a good share is.
";

const HEAD: &str = "\
| nemesis | place | seed | rounds | seconds | operations | reads | hits | hits judged | complete | queued | \
unreachable | failed | stale |
|---|---|---|---|---|---|---|---|---|---|---|---|---|---|
";

fn table(outcomes: &[Outcome]) -> String {
    let mut table = String::from(HEAD);
    for outcome in outcomes {
        let _ = writeln!(table, "{}", row(outcome));
    }
    table
}

/// One run, as a row of the table.
pub(crate) fn row(outcome: &Outcome) -> String {
    let (plan, verdict) = (&outcome.plan, &outcome.verdict);
    let by = |answer| verdict.invalidations.get(&answer).copied().unwrap_or(0).to_string();
    let mut cells = vec![plan.nemesis.name().to_owned(), plan.place.name().to_owned()];
    let operations = verdict.operations();
    let seconds = outcome.took.as_secs();
    let numbers = [plan.seed, outcome.rounds, seconds, operations, verdict.reads, verdict.hits];
    cells.extend(numbers.map(|number| number.to_string()));
    cells.push(verdict.judged_hits.to_string());
    cells.extend(Answer::ALL.map(by));
    cells.push(verdict.stale.len().to_string());
    format!("| {} |", cells.join(" | "))
}

fn summary(outcomes: &[Outcome]) -> String {
    let operations: u64 = outcomes.iter().map(|outcome| outcome.verdict.operations()).sum();
    let stale: usize = outcomes.iter().map(|outcome| outcome.verdict.stale.len()).sum();
    format!("\n**{operations} operations checked, {stale} stale reads.**\n")
}
