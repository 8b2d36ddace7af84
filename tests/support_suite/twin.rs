//! The test binary as several processes.

use std::io::{Read, Write};
use std::time::Duration;

use cache_tests::twin::PROGRESS;
use cache_tests::wait::poll_blocking;
use cache_tests::{Twin, clock};

const VARIABLE: &str = "CACHE_TESTS_SUPPORT_TWIN";
const ENTRY: &str = "twin::entry";
const PATIENCE: Duration = Duration::from_secs(20);

#[test]
#[ignore = "the entry of processes that other tests start; does nothing alone"]
fn entry() {
    let Ok(orders) = std::env::var(VARIABLE) else { return };
    let mut output = std::io::stdout();
    match orders.as_str() {
        "panic" => panic!("as it was told"),
        "tell the time" => writeln!(output, "{PROGRESS}{}", clock::monotonic()).unwrap(),
        number => writeln!(output, "{PROGRESS}{number}").unwrap(),
    }
    output.flush().unwrap();
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
}

fn progress(twin: &Twin) -> u64 {
    let said = || Some(twin.progress()).filter(|number| *number > 0);
    poll_blocking(PATIENCE, said).expect("it says something")
}

#[test]
fn it_says_how_far_it_is_and_ends_when_it_is_told() {
    let twin = Twin::start(ENTRY, &[(VARIABLE, "42")]);
    assert_eq!(progress(&twin), 42);
    twin.freeze();
    assert!(twin.runs());
    twin.resume();
    twin.finish(PATIENCE);
}

#[test]
fn all_processes_have_one_clock() {
    let before = clock::monotonic();
    let twin = Twin::start(ENTRY, &[(VARIABLE, "tell the time")]);
    let there = progress(&twin);
    assert!((before..clock::monotonic()).contains(&there));
    twin.finish(PATIENCE);
}

#[test]
#[should_panic(expected = "as it was told")]
fn what_it_said_is_shown_when_it_fails() {
    Twin::start(ENTRY, &[(VARIABLE, "panic")]).finish(PATIENCE);
}
