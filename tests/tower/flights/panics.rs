//! Bodies that panic.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use cache_tests::body::{self, BoxError};
use cache_tests::gate::Gate;
use http_body::Frame;
use http_body_util::BodyExt;

use crate::setup::{
    App, Calls, app, at_rest, cache_status, chunk, fresh, get, head, http, memory, send, whole,
};

/// Panics where its inner body ends.
struct Panics(body::Body);

impl http_body::Body for Panics {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let next = Pin::new(&mut self.0).poll_frame(context);
        assert!(!matches!(next, Poll::Ready(None)), "the scripted body panics here");
        next
    }
}

fn panics(gate: &Gate) -> http::Response<body::Body> {
    fresh(Panics(body::gated(gate, ["one", "two"])).boxed_unsync())
}

async fn is_fetched_again(app: &App, calls: &mut Calls) {
    let again = send(app, get("/a"));
    calls.next().await.answer(fresh(body::full("again")));
    let again = head(again).await;
    assert_eq!(cache_status(&again), "fwd=uri-miss; stored");
    assert_eq!(whole(again).await.expect("whole"), "again");
}

#[tokio::test]
async fn one_client_sees_the_panic_and_the_others_an_error() {
    for leader_polls in [true, false] {
        let http = http(&memory());
        let (app, mut calls) = app(&http);
        let leading = send(&app, get("/a"));
        let gate = Gate::new();
        calls.next().await.answer(panics(&gate));
        let mut leader = head(leading).await;
        let mut follower = head(send(&app, get("/a"))).await;
        gate.open_for_good();
        for piece in ["one", "two"] {
            assert_eq!(chunk(&mut leader).await, Some(Ok(Bytes::from(piece))));
            assert_eq!(chunk(&mut follower).await, Some(Ok(Bytes::from(piece))));
        }
        let (polls, other) = if leader_polls { (leader, follower) } else { (follower, leader) };
        let polling = tokio::spawn(whole(polls)).await;
        assert!(polling.expect_err("a panic").is_panic());
        assert_eq!(whole(other).await, Err("the response body panicked".to_owned()));
        is_fetched_again(&app, &mut calls).await;
        at_rest(&http).await;
    }
}

#[tokio::test]
async fn those_who_wait_are_woken_by_a_panic() {
    let http = http(&memory());
    let (app, mut calls) = app(&http);
    let leading = send(&app, get("/a"));
    let gate = Gate::new();
    calls.next().await.answer(panics(&gate));
    let mut reading = vec![tokio::spawn(whole(head(leading).await))];
    for _ in 0..5 {
        reading.push(tokio::spawn(whole(head(send(&app, get("/a"))).await)));
    }
    gate.open_for_good();
    let mut panics = 0;
    for reading in reading {
        match reading.await {
            Ok(body) => assert!(body.is_err(), "{body:?}"),
            Err(error) => panics += usize::from(error.is_panic()),
        }
    }
    assert_eq!(panics, 1);
    is_fetched_again(&app, &mut calls).await;
    at_rest(&http).await;
}

#[tokio::test]
async fn a_panic_in_the_background_leaves_nothing_behind() {
    let http = http(&memory());
    let (app, mut calls) = app(&http);
    let leading = send(&app, get("/a"));
    let gate = Gate::new();
    calls.next().await.answer(panics(&gate));
    drop(head(leading).await);
    gate.open_for_good();
    at_rest(&http).await;
    is_fetched_again(&app, &mut calls).await;
    at_rest(&http).await;
}
