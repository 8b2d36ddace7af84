//! What the long form says: one line for each run, as Markdown.

use std::fmt::Write;

use crate::history::Answer;
use crate::nemesis::NOT_YET;
use crate::run::Outcome;

/// The page.
pub(crate) fn page(outcomes: &[Outcome], command: &str) -> String {
    let (open, kept): (Vec<_>, Vec<_>) =
        outcomes.iter().partition(|outcome| outcome.plan.nemesis.not_yet().is_some());
    let mut page = String::from(INTRODUCTION);
    let _ = write!(page, "\n```console\n$ {command}\n```\n\n## What is guaranteed now\n\n");
    page.push_str(&table(&kept));
    page.push_str(&summary(&kept));
    if !open.is_empty() {
        page.push_str("\n## What is not, yet\n\n");
        page.push_str(&table(&open));
        page.push_str(&summary(&open));
        page.push('\n');
        let was_run = |of| open.iter().any(|outcome| outcome.plan.nemesis == of);
        for (nemesis, why) in NOT_YET.into_iter().filter(|(nemesis, _)| was_run(*nemesis)) {
            let _ = writeln!(page, "- `{}`: {why}.", nemesis.name());
        }
    }
    page
}

const INTRODUCTION: &str = "\
# Stale reads

Several processes, each with a cache of its own on one Redis, read rows of one SQLite database
through their caches; now and then one changes rows, and invalidates them by key, tag, workspace,
namespace, declared pattern, undeclared pattern, or all of a namespace. Meanwhile something goes
wrong, round after round (`tests/finality/nemesis`). Every operation is written down with its begin
and its end on the machine's one monotonic clock. A read is stale if it is older than an
invalidation demands that was answered before the read began (`tests/finality/checker.rs`): at once
in the process that invalidated, after the stated bound in others (without L1: at once; with L1, or
where Redis can't be asked all the time: the `l1_ttl`, here 300 ms; with both: `COHERENCE_BOUND`,
5 s), and for what was answered with `Queued`, or with an error that says that
Redis is away, in other processes once Redis has been back for the time of a recovery, and the
bound has passed too. `memory` is one process, `redis` three without L1, `tiered` three with it.
";

const HEAD: &str = "\
| nemesis | place | seed | rounds | operations | reads | hits | hits judged | complete | queued | \
unreachable | failed | stale |
|---|---|---|---|---|---|---|---|---|---|---|---|---|
";

fn table(outcomes: &[&Outcome]) -> String {
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
    let numbers = [plan.seed, outcome.rounds, operations, verdict.reads, verdict.hits];
    cells.extend(numbers.map(|number| number.to_string()));
    cells.push(verdict.judged_hits.to_string());
    cells.extend(Answer::ALL.map(by));
    cells.push(verdict.stale.len().to_string());
    format!("| {} |", cells.join(" | "))
}

fn summary(outcomes: &[&Outcome]) -> String {
    let operations: u64 = outcomes.iter().map(|outcome| outcome.verdict.operations()).sum();
    let stale: usize = outcomes.iter().map(|outcome| outcome.verdict.stale.len()).sum();
    format!("\n**{operations} operations checked, {stale} stale reads.**\n")
}
