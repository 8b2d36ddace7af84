//! Clients that leave: what is worth having is fetched without them, and nothing stays behind.

use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use cache_core::{Cache, Clock};
use cache_tests::body;
use http_body::Body as _;
use tower::Service;

use crate::setup::{
    App, Going, LIMIT, announced, app, at_rest, cache_status, chunk, fresh, get, head, http,
    memory, send, settle, whole,
};

/// A client that closes its connection.
async fn leave(going: Going) {
    going.abort();
    let _ = going.await;
}

async fn is_a_hit(app: &App, body: &str) {
    let hit = head(send(app, get("/a"))).await;
    assert_eq!(cache_status(&hit), "hit");
    assert_eq!(whole(hit).await.expect("whole"), body);
}

#[tokio::test]
async fn the_leader_leaves_before_the_head() {
    let http = http(&memory());
    let (app, mut calls) = app(&http);
    let leading = send(&app, get("/a"));
    let call = calls.next().await;
    let following: Vec<_> = (0..5).map(|_| send(&app, get("/a"))).collect();
    settle().await;
    leave(leading).await;
    assert!(call.is_wanted());
    let body = call.stream();
    let mut followers = Vec::new();
    for going in following {
        followers.push(head(going).await);
    }
    body.send("one").await;
    for follower in &mut followers {
        assert_eq!(chunk(follower).await, Some(Ok(Bytes::from("one"))));
    }
    body.send("two").await;
    drop(body);
    for follower in followers {
        assert_eq!(whole(follower).await.expect("whole"), "two");
    }
    is_a_hit(&app, "onetwo").await;
    assert_eq!(calls.count(), 1);
    at_rest(&http).await;
}

#[tokio::test]
async fn all_leave_before_the_head_and_it_is_stored() {
    let http = http(&memory());
    let (app, mut calls) = app(&http);
    let leading = send(&app, get("/a"));
    let call = calls.next().await;
    let following = send(&app, get("/a"));
    settle().await;
    leave(leading).await;
    leave(following).await;
    let body = call.stream();
    for piece in ["one", "two", "three"] {
        assert!(body.send(piece).await);
    }
    drop(body);
    at_rest(&http).await;
    is_a_hit(&app, "onetwothree").await;
    assert_eq!(calls.count(), 1);
}

#[tokio::test]
async fn the_leader_leaves_while_the_body_arrives() {
    let http = http(&memory());
    let (app, mut calls) = app(&http);
    let leading = send(&app, get("/a"));
    let body = calls.next().await.stream();
    let mut leader = head(leading).await;
    let mut follower = head(send(&app, get("/a"))).await;
    body.send("one").await;
    assert_eq!(chunk(&mut leader).await, Some(Ok(Bytes::from("one"))));
    assert_eq!(chunk(&mut follower).await, Some(Ok(Bytes::from("one"))));
    let reading = tokio::spawn(whole(follower));
    settle().await;
    drop(leader);
    body.send("two").await;
    drop(body);
    assert_eq!(reading.await.expect("no panic").expect("whole"), "two");
    is_a_hit(&app, "onetwo").await;
    at_rest(&http).await;
}

#[tokio::test]
async fn all_leave_while_the_body_arrives_and_it_is_stored() {
    for length in [None, Some(9)] {
        let http = http(&memory());
        let (app, mut calls) = app(&http);
        let leading = send(&app, get("/a"));
        let (body, arriving) = body::channel();
        let response = match length {
            Some(length) => announced(length, arriving),
            None => fresh(arriving),
        };
        calls.next().await.answer(response);
        let mut leader = head(leading).await;
        let follower = head(send(&app, get("/a"))).await;
        body.send("one").await;
        assert_eq!(chunk(&mut leader).await, Some(Ok(Bytes::from("one"))));
        drop(leader);
        drop(follower);
        settle().await;
        assert_eq!(http.cache().health().await.background_tasks, 1);
        assert!(body.send("two").await);
        // Late, but it is still arriving.
        let mut late = head(send(&app, get("/a"))).await;
        assert_eq!(cache_status(&late), "fwd=uri-miss; collapsed");
        assert_eq!(chunk(&mut late).await, Some(Ok(Bytes::from("one"))));
        drop(late);
        assert!(body.send("six").await);
        drop(body);
        at_rest(&http).await;
        is_a_hit(&app, "onetwosix").await;
        assert_eq!(calls.count(), 1);
    }
}

#[tokio::test]
async fn without_a_place_in_the_background_the_origin_is_let_go() {
    let cache = Cache::builder().memory().clock(Clock::manual(0)).background_tasks(1);
    let http = http(&cache.build().expect("valid"));
    let (app, mut calls) = app(&http);
    let (place, taken) = tokio::sync::oneshot::channel::<()>();
    assert!(http.cache().background().try_spawn(async move { drop(taken.await) }));
    // Before the head …
    let leading = send(&app, get("/a"));
    let call = calls.next().await;
    let following = send(&app, get("/a"));
    settle().await;
    leave(leading).await;
    assert!(!call.is_wanted());
    // … where a follower takes the lead; and while the body arrives.
    let body = calls.next().await.stream();
    let mut second = head(following).await;
    body.send("one").await;
    assert_eq!(chunk(&mut second).await, Some(Ok(Bytes::from("one"))));
    drop(second);
    tokio::time::timeout(LIMIT, body.closed()).await.expect("let go");
    assert_eq!(http.flights(), 0);
    drop(place);
    let again = send(&app, get("/a"));
    calls.next().await.answer(fresh(body::full("again")));
    assert_eq!(whole(head(again).await).await.expect("whole"), "again");
    at_rest(&http).await;
}

#[tokio::test]
async fn a_response_that_is_not_stored_ends_with_its_client() {
    let http = http(&memory());
    let (app, mut calls) = app(&http);
    let going = send(&app, get("/a"));
    let (writer, arriving) = body::channel();
    let private = body::respond(200, &[("cache-control", "private")], arriving);
    calls.next().await.answer(private);
    drop(head(going).await);
    tokio::time::timeout(LIMIT, writer.closed()).await.expect("let go");
    at_rest(&http).await;
}

/// A request dropped after any number of polls: of its head, then of its body.
#[tokio::test]
async fn a_request_may_be_dropped_at_any_time() {
    let mut stages = [0; 3];
    for polls in 0..12 {
        let http = http(&memory());
        let (app, calls) = app(&http);
        calls.answer_all(["he", "l", "lo"]);
        let stage = dropped_after(&app, polls).await;
        stages[stage as usize] += 1;
        let fresh = whole(head(send(&app, get("/a"))).await).await;
        assert_eq!(fresh.expect("whole"), "hello", "after {polls} polls");
        at_rest(&http).await;
        is_a_hit(&app, "hello").await;
    }
    assert!(stages.iter().all(|&times| times > 0), "{stages:?}");
}

/// How far a request came.
#[derive(Clone, Copy)]
enum Stage {
    Head,
    Body,
    End,
}

async fn dropped_after(app: &App, polls: usize) -> Stage {
    let mut context = Context::from_waker(Waker::noop());
    let mut request = Box::pin(app.clone().call(get("/a")));
    let mut body = None;
    for _ in 0..polls {
        match &mut body {
            None => {
                if let Poll::Ready(response) = request.as_mut().poll(&mut context) {
                    body = Some(Box::pin(response.expect("no error").into_body()));
                }
            }
            Some(body) => {
                if let Poll::Ready(None) = body.as_mut().poll_frame(&mut context) {
                    return Stage::End;
                }
            }
        }
        tokio::task::yield_now().await;
    }
    if body.is_some() { Stage::Body } else { Stage::Head }
}
