//! Polling, gates and free ports.

use std::cell::Cell;
use std::collections::HashSet;
use std::net::TcpListener;
use std::time::Duration;

use cache_tests::clock::{Deadline, Stopwatch};
use cache_tests::ports::{free_port, local};
use cache_tests::wait::{eventually_some, poll_blocking};
use cache_tests::{Gate, eventually};

use crate::SOON;

#[tokio::test]
async fn eventually_polls_until_it_is_true() {
    let polls = Cell::new(0);
    eventually(SOON, "three polls", || {
        polls.set(polls.get() + 1);
        polls.get() == 3
    })
    .await;
    assert_eq!(polls.get(), 3);
    assert_eq!(eventually_some(SOON, "a value", async || Some(7)).await, 7);
}

#[tokio::test]
#[should_panic(expected = "not within 20ms: the moon")]
async fn eventually_names_what_never_came() {
    eventually(Duration::from_millis(20), "the moon", || false).await;
}

#[tokio::test]
#[should_panic(expected = "not within 20ms: an answer")]
async fn eventually_ends_a_poll_that_hangs() {
    let limit = Duration::from_millis(20);
    eventually_some::<()>(limit, "an answer", async || std::future::pending().await).await;
}

#[test]
fn blocking_polls_end_at_the_deadline() {
    let watch = Stopwatch::start();
    assert_eq!(poll_blocking::<()>(Duration::from_millis(20), || None), None);
    assert!(watch.elapsed() >= Duration::from_millis(20));
    assert_eq!(poll_blocking(SOON, || Some(1)), Some(1));
    assert!(Deadline::after(Duration::ZERO).passed());
    assert!(!Deadline::after(SOON).passed());
}

#[tokio::test]
async fn a_gate_lets_through_as_many_as_it_is_told() {
    let gate = Gate::new();
    let passers: Vec<_> = (0..3)
        .map(|_| {
            let gate = gate.clone();
            tokio::spawn(async move { gate.pass().await })
        })
        .collect();
    gate.waiting(3).await;
    gate.open(2);
    let done = || passers.iter().filter(|passer| passer.is_finished()).count();
    eventually(SOON, "two pass", || done() == 2).await;
    gate.open_for_good();
    eventually(SOON, "all pass", || done() == 3).await;
    gate.pass().await;
}

#[test]
fn free_ports_are_free_and_differ() {
    let ports: HashSet<_> = (0..50).map(|_| free_port()).collect();
    assert_eq!(ports.len(), 50);
    for port in ports {
        TcpListener::bind(local(port)).unwrap();
    }
}
