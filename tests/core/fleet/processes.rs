//! Ten processes with a thousand callers each, and one cold key.
//!
//! The tests count computations. `measured` is the long form, which prints times, too:
//! `cache-core/benches/FLEET.md` has its command.

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use cache_tests::{RedisServer, Twin, eventually};

use super::worker::{self, COMPUTING, DONE, Orders, READY, Seen};

const PROCESSES: usize = 10;
const CALLERS: usize = 1_000;
/// For what takes seconds on a machine that does other things too.
const LONG: Duration = Duration::from_secs(120);

/// What happens to the process that computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trouble {
    Nothing,
    /// `kill -9`.
    Killed,
    /// `SIGSTOP`, until the others are done.
    Stopped,
}

/// What came of a run: computations, and the waits of all callers, the shortest first.
struct Outcome {
    computations: usize,
    waits: Vec<u64>,
    /// When the values were made that callers were given; each once.
    ends: Vec<u64>,
}

async fn run(l1: bool, threads: usize, computation: Duration, trouble: Trouble) -> Outcome {
    let redis = RedisServer::start();
    let begin = redis.dir().join("begin");
    let log = |number: usize| redis.dir().join(format!("worker-{number}.log"));
    let start = |number| {
        let orders = Orders {
            redis: redis.url(),
            l1,
            threads,
            callers: CALLERS,
            computation_ms: u64::try_from(computation.as_millis()).unwrap(),
            begin: text(&begin),
            log: text(&log(number)),
        };
        let orders = serde_json::to_string(&orders).unwrap();
        Some(Twin::start(worker::ENTRY, &[(worker::VARIABLE, &orders)]))
    };
    let mut twins: Vec<Option<Twin>> = (0..PROCESSES).map(start).collect();
    let all_are = |twins: &[Option<Twin>], progress| {
        twins.iter().flatten().all(|twin| twin.progress() >= progress || !twin.runs())
    };
    eventually(LONG, "the processes are ready", || all_are(&twins, READY)).await;
    std::fs::write(&begin, "").unwrap();
    if trouble != Trouble::Nothing {
        let computes =
            |twin: &Option<Twin>| twin.as_ref().is_some_and(|twin| twin.progress() == COMPUTING);
        eventually(LONG, "one computes", || twins.iter().any(computes)).await;
        let holder = twins.iter().position(computes).unwrap();
        let holder = twins[holder].take().unwrap();
        if trouble == Trouble::Stopped {
            holder.freeze();
            eventually(LONG, "the others are done", || all_are(&twins, DONE)).await;
            holder.resume();
            twins.push(Some(holder));
        }
    }
    eventually(LONG, "the processes are done", || all_are(&twins, DONE)).await;
    for twin in twins.into_iter().flatten() {
        twin.finish(LONG);
    }
    let mut outcome = Outcome { computations: 0, waits: Vec::new(), ends: Vec::new() };
    for seen in (0..PROCESSES).map(|number| Seen::read(&log(number))) {
        outcome.computations += seen.computations;
        outcome.waits.extend(seen.waits);
        outcome.ends.extend(seen.ends);
    }
    outcome.waits.sort_unstable();
    outcome.ends.sort_unstable();
    outcome.ends.dedup();
    outcome
}

fn text(path: &Path) -> String {
    path.to_str().expect("a temporary folder with a plain name").to_owned()
}

const SHORT: Duration = Duration::from_millis(300);

#[tokio::test]
async fn ten_processes_compute_once() {
    for l1 in [true, false] {
        let outcome = run(l1, 2, SHORT, Trouble::Nothing).await;
        assert_eq!((outcome.computations, outcome.waits.len()), (1, PROCESSES * CALLERS));
        assert_eq!(outcome.ends.len(), 1, "all have the same value");
    }
}

#[tokio::test]
async fn after_the_one_that_computes_is_killed_one_other_does() {
    let outcome = run(true, 2, Duration::from_secs(2), Trouble::Killed).await;
    assert_eq!((outcome.computations, outcome.waits.len()), (2, (PROCESSES - 1) * CALLERS));
    assert_eq!(outcome.ends.len(), 1, "all have the same value");
}

/// Its own callers are given what it has made; nobody else is.
#[tokio::test]
async fn after_it_is_stopped_one_other_does_and_it_changes_nothing_when_it_goes_on() {
    let outcome = run(true, 2, Duration::from_secs(2), Trouble::Stopped).await;
    assert_eq!((outcome.computations, outcome.waits.len()), (2, PROCESSES * CALLERS));
    assert_eq!(outcome.ends.len(), 2);
}

/// The long form.
#[tokio::test]
#[ignore = "measures: see cache-core/benches/FLEET.md"]
async fn measured() {
    let say = |text: String| drop(writeln!(std::io::stdout(), "{text}"));
    say("| what happens | threads each | computations | callers | p50 | p99 | p99.9 | worst |"
        .into());
    say("|---|---|---|---|---|---|---|---|".to_owned());
    for (l1, threads, trouble) in [
        (true, 1, Trouble::Nothing, 3),
        (true, 2, Trouble::Nothing, 3),
        (false, 1, Trouble::Nothing, 3),
        (false, 2, Trouble::Nothing, 3),
        (true, 1, Trouble::Killed, 2),
        (true, 1, Trouble::Stopped, 1),
    ]
    .into_iter()
    .flat_map(|(l1, threads, trouble, times)| std::iter::repeat_n((l1, threads, trouble), times))
    {
        let outcome = run(l1, threads, Duration::from_secs(2), trouble).await;
        let Outcome { computations, waits, .. } = outcome;
        let place = if l1 { "memory over Redis" } else { "Redis only" };
        let permille = |share: usize| match waits.get(waits.len().saturating_sub(1) * share / 1_000)
        {
            Some(wait) => format!("{:.2} ms", Duration::from_nanos(*wait).as_secs_f64() * 1e3),
            None => String::from("-"),
        };
        let (at, callers) = ([500, 990, 999, 1_000].map(permille).join(" | "), waits.len());
        say(format!("| {trouble:?}, {place} | {threads} | {computations} | {callers} | {at} |"));
    }
}
