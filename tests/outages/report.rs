//! What the long form says, as Markdown.

use std::fmt::Write;

use crate::drill::Drill;
use crate::figures::{BUCKETS, Figures, by_second};
use crate::judge::{Shown, Verdict};
use crate::long::Measured;
use crate::run::Outcome;

/// The page, as far as it has been written.
#[derive(Debug)]
pub(crate) struct Page {
    head: String,
    several: String,
    rows: String,
    recoveries: String,
    seconds: String,
    missed: usize,
    drills: usize,
}

const INTRODUCTION: &str = "\
# Drills

An axum service under `CacheLayer` answers requests for pages of 1 KiB; its origin takes 5 ms for a
page. Of ten requests five are for pages in this process' memory, three for pages that only Redis
has, two for pages that nobody has asked for before. Requests come at a steady rate, whether those
before them have been answered or not (at most 8192 in flight; what can't be sent is a failure), and
what they take counts from when they were due. All of it runs in one process on one machine, with its
Redis. Then something goes wrong (`tests/outages/trouble`), and after a while is well again.

| | good enough is |
|---|---|
| failures | none: no request without its own whole page, status 200, within 10 s |
| p99 of misses | while it lasts, the larger of twice that in good health, and that of all requests without a cache and 25 ms |
| hits in memory | their median, while it lasts, at most 1.2 × that in good health (within 5 µs) |
| back | within 2 s of Redis taking commands what one instance writes to it another reads from it, and the service is told of changes again |
| waiting for Redis | where Redis says nothing, it is given up within 250 ms, and then asked nothing until it is back |
| first answer | where it is so from the start, within 1 s |

A miss is a request that the origin answers: of misses, and of requests without a cache, times are
from when they were due; of hits in memory, from when they reached the service.

After a failover (`sentinel failover`, `primary lost`) Redis is another than before, and may have
forgotten what was invalidated last. Until all instances have noticed that and repeated what they
invalidated, nothing is read from it: for 1.5 s, by design (`cache-core/src/invalidate/rollback.rs`).
(Nor is an entry written to it then: that begins with reading generations.) So recovery of a failover is
counted to the end of that hold, which is in the times after which Redis is written to and read again,
and `while it lasts` is all of the time until then. Redis takes commands again when its
Sentinels agree on the new primary, or when all slots of the Cluster are served. `resharded` lasts
until the last of 1,000 slots has moved: 50 of those in use one by one, then others by `redis-cli`.
";

const HEAD: &str = "\
| drill | requests | failures | misses in good health: p50, p99, max | while it lasts | afterwards | \
allowed p99 | hits in memory in good health: p50, p99 | while it lasts | good enough |
|---|---|---|---|---|---|---|---|---|---|
";

const RECOVERY_HEAD: &str = "\
| drill | first answer | given up after | requests that waited until then | lookups asked for later | \
written to again after | read after | told of changes after |
|---|---|---|---|---|---|---|---|
";

impl Page {
    pub(crate) fn new(command: &str, measured: &Measured) -> Self {
        let Measured { capacity, rate, baseline } = measured;
        let mut head = String::from(INTRODUCTION);
        let machine = machine();
        let _ = write!(
            head,
            "\n```console\n$ {command}\n```\n\n## Measured\n\n{machine} Of the {capacity} requests a second \
             that the service can answer in good health, 60 % come: {rate}. Then\n\n\
             | | p50 | p99 | max |\n|---|---|---|---|\n\
             | all requests, without a cache | {} |\n| misses | {} |\n| hits in memory | {} |\n",
            three(&baseline.bare, " | "),
            three(&baseline.misses, " | "),
            three(&baseline.hits, " | "),
        );
        let (rows, recoveries) = (HEAD.to_owned(), RECOVERY_HEAD.to_owned());
        let (several, seconds) = (String::new(), String::new());
        Self { head, several, rows, recoveries, seconds, missed: 0, drills: 0 }
    }

    /// Adds what several servers are like in good health; what is said of it.
    pub(crate) fn add_measured(&mut self, drill: &Drill, measured: &Measured) -> String {
        let Measured { capacity, rate, baseline } = measured;
        let line = format!(
            "\nFor `{}`, with servers as that needs them, {rate} of {capacity} come; all requests, \
             without a cache: {}; misses: {}; hits in memory: {} (p50, p99, max).",
            drill.title(),
            three(&baseline.bare, ", "),
            three(&baseline.misses, ", "),
            three(&baseline.hits, ", "),
        );
        let _ = writeln!(self.several, "{line}");
        line
    }

    /// Adds a drill; what is said of it.
    pub(crate) fn add(&mut self, drill: &Drill, outcome: &Outcome, verdict: &Verdict) -> String {
        let row = row(drill, verdict);
        let recovery = recovery(drill, verdict);
        let _ = writeln!(self.rows, "{row}");
        let _ = writeln!(self.recoveries, "{recovery}");
        self.seconds.push_str(&seconds(drill, outcome));
        self.drills += 1;
        self.missed += usize::from(!verdict.missed.is_empty());
        format!("{row}\n{recovery}")
    }

    pub(crate) fn text(&self) -> String {
        let Self { head, several, rows, recoveries, seconds, missed, drills } = self;
        format!(
            "{head}{several}\n## What came of it\n\n{rows}\n{recoveries}\n**{drills} drills, {missed} of \
             them not good enough.**\n\n## Second by second\n\nHow many requests were answered \
             within so many milliseconds, by the second in which they were due.\n{seconds}"
        )
    }
}

/// What it was measured on, and what else that had to do.
fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    match load.split(' ').next().filter(|load| !load.is_empty()) {
        Some(load) => {
            format!("On {cores} cores, with a load average of {load} when the drills began.")
        }
        None => format!("On {cores} cores."),
    }
}

fn three(figures: &Figures, between: &str) -> String {
    [figures.p50, figures.p99, figures.max].map(|time| Shown(time).to_string()).join(between)
}

fn row(drill: &Drill, verdict: &Verdict) -> String {
    let two = |figures: &Figures| format!("{}, {}", Shown(figures.p50), Shown(figures.p99));
    let healthy = &verdict.healthy;
    let before = |text: String| if drill.at_start { "–".to_owned() } else { text };
    let cells = [
        drill.title(),
        verdict.requests.to_string(),
        verdict.failures.to_string(),
        before(three(&healthy.misses, ", ")),
        three(&verdict.misses, ", "),
        three(&verdict.misses_after, ", "),
        Shown(verdict.allowed()).to_string(),
        before(two(&healthy.hits)),
        two(&verdict.hits),
        if verdict.missed.is_empty() { "yes".to_owned() } else { verdict.missed.join("; ") },
    ];
    format!("| {} |", cells.join(" | "))
}

fn recovery(drill: &Drill, verdict: &Verdict) -> String {
    let time = |time: Option<std::time::Duration>| {
        time.map_or_else(|| "never".to_owned(), |time| Shown(time).to_string())
    };
    let silent = |text: String| if drill.silent { text } else { "–".to_owned() };
    let cells = [
        drill.title(),
        verdict.first.map_or_else(|| "–".to_owned(), |first| Shown(first).to_string()),
        silent(time(verdict.given_up)),
        silent(verdict.waited.to_string()),
        silent(verdict.asked_later.map_or_else(|| "?".to_owned(), |count| count.to_string())),
        time(verdict.writes),
        time(verdict.back),
        time(verdict.hears),
    ];
    format!("| {} |", cells.join(" | "))
}

fn seconds(drill: &Drill, outcome: &Outcome) -> String {
    let mut text = format!(
        "\n<details><summary>{}</summary>\n\n| second | requests | failures |",
        drill.title()
    );
    for end in BUCKETS {
        let _ = write!(text, " <{} |", end.as_millis());
    }
    text.push_str(" more | p50 | p99 | max | |\n|---|---|---|");
    text.push_str(&"---|".repeat(BUCKETS.len() + 5));
    text.push('\n');
    let first = outcome.records.first().map_or(0, |record| record.due);
    let second = |at: u64| usize::try_from(at.saturating_sub(first) / 1_000_000_000).unwrap_or(0);
    for (number, one) in by_second(&outcome.records).iter().enumerate() {
        let mut notes = Vec::new();
        for (at, note) in [(outcome.came, "it comes"), (outcome.gone, "it has gone")] {
            if second(at) == number {
                notes.push(note);
            }
        }
        let counts = one.buckets.map(|count| count.to_string()).join(" | ");
        let Figures { count, failures, .. } = one.figures;
        let times = three(&one.figures, " | ");
        let notes = notes.join(", ");
        let _ =
            writeln!(text, "| {number} | {count} | {failures} | {counts} | {times} | {notes} |");
    }
    text.push_str("\n</details>\n");
    text
}
