//! Bodies reach clients as they arrive, and are stored if they end well.

use bytes::Bytes;
use cache_tests::body::{self, Body};
use http::{HeaderMap, HeaderValue, Response};
use http_body_util::BodyExt;

use crate::setup::{
    App, Calls, announced, app, at_rest, cache_status, chunk, fresh, get, head, http, memory, send,
    settle, whole,
};

#[tokio::test]
async fn each_chunk_reaches_the_clients_when_the_origin_gives_it() {
    let http = http(&memory());
    let (app, mut calls) = app(&http);
    let leading = send(&app, get("/a"));
    let call = calls.next().await;
    let following = send(&app, get("/a"));
    settle().await;
    let body = call.stream();
    let (mut leader, mut follower) = (head(leading).await, head(following).await);
    assert_eq!(cache_status(&leader), "fwd=uri-miss; stored");
    assert_eq!(cache_status(&follower), "fwd=uri-miss; collapsed");
    for piece in ["one", "two", "three"] {
        body.send(piece).await;
        assert_eq!(chunk(&mut leader).await, Some(Ok(Bytes::from(piece))));
        assert_eq!(chunk(&mut follower).await, Some(Ok(Bytes::from(piece))));
        assert_eq!(http.cache().health().await.l1_entries, 0, "stored before its end");
    }
    // One who comes now gets it from the beginning, and still before its end.
    let mut late = head(send(&app, get("/a"))).await;
    for piece in ["one", "two", "three"] {
        assert_eq!(chunk(&mut late).await, Some(Ok(Bytes::from(piece))));
    }
    drop(body);
    assert_eq!(chunk(&mut leader).await, None);
    assert_eq!(chunk(&mut follower).await, None);
    assert_eq!(chunk(&mut late).await, None);
    let hit = head(send(&app, get("/a"))).await;
    assert_eq!(cache_status(&hit), "hit");
    assert_eq!(whole(hit).await.expect("whole"), "onetwothree");
    assert_eq!(calls.count(), 1);
    at_rest(&http).await;
}

#[tokio::test]
async fn a_follower_reads_though_the_leader_does_not() {
    let http = http(&memory());
    let (app, mut calls) = app(&http);
    let leading = send(&app, get("/a"));
    let body = calls.next().await.stream();
    let leader = head(leading).await;
    let mut follower = head(send(&app, get("/a"))).await;
    for piece in ["one", "two"] {
        body.send(piece).await;
        assert_eq!(chunk(&mut follower).await, Some(Ok(Bytes::from(piece))));
    }
    drop(body);
    assert_eq!(chunk(&mut follower).await, None);
    assert_eq!(whole(leader).await.expect("whole"), "onetwo");
    assert_eq!(cache_status(&head(send(&app, get("/a"))).await), "hit");
    at_rest(&http).await;
}

/// A leader and a follower of a response with this body.
async fn both(
    app: &App,
    calls: &mut Calls,
    response: Response<Body>,
) -> [Result<Bytes, String>; 2] {
    let leading = send(app, get("/a"));
    let call = calls.next().await;
    let following = send(app, get("/a"));
    settle().await;
    call.answer(response);
    let (leader, follower) = (head(leading).await, head(following).await);
    assert_eq!(cache_status(&follower), "fwd=uri-miss; collapsed");
    [whole(leader).await, whole(follower).await]
}

async fn is_not_stored(app: &App, calls: &mut Calls) {
    let again = send(app, get("/a"));
    calls.next().await.answer(fresh(body::full("again")));
    let again = head(again).await;
    assert!(cache_status(&again).starts_with("fwd=uri-miss"), "{again:?}");
    assert_eq!(whole(again).await.expect("whole"), "again");
}

/// A body in two pieces that says nothing of its length.
fn pieces() -> Body {
    let (writer, body) = body::channel();
    tokio::spawn(async move {
        writer.send("he").await;
        writer.send("llo").await;
    });
    body
}

#[tokio::test]
async fn a_body_of_the_wrong_length_is_not_stored() {
    for (length, leader_reads) in [(7, "hello"), (4, "hello"), (3, "hello")] {
        let http = http(&memory());
        let (app, mut calls) = app(&http);
        let [leader, follower] = both(&app, &mut calls, announced(length, pieces())).await;
        assert_eq!(leader.as_deref(), Ok(leader_reads.as_bytes()), "{length}");
        assert!(follower.is_err(), "{length}: {follower:?}");
        is_not_stored(&app, &mut calls).await;
        at_rest(&http).await;
    }
}

#[tokio::test]
async fn a_body_of_the_right_length_is_stored() {
    let http = http(&memory());
    let (app, mut calls) = app(&http);
    let [leader, follower] = both(&app, &mut calls, announced(5, pieces())).await;
    assert_eq!((leader.as_deref(), follower.as_deref()), (Ok(&b"hello"[..]), Ok(&b"hello"[..])));
    let hit = head(send(&app, get("/a"))).await;
    assert_eq!(cache_status(&hit), "hit");
    assert_eq!(whole(hit).await.expect("whole"), "hello");
}

#[tokio::test]
async fn a_body_that_fails_is_an_error_to_all_and_not_stored() {
    let http = http(&memory());
    let (app, mut calls) = app(&http);
    for response in [fresh(body::failing(["he", "llo"])), announced(5, body::failing(["hello"]))] {
        let [leader, follower] = both(&app, &mut calls, response).await;
        let why = "the response body failed: the scripted body fails here";
        assert_eq!((leader, follower), (Err(why.to_owned()), Err(why.to_owned())));
        assert_eq!(http.cache().health().await.l1_entries, 0);
    }
    is_not_stored(&app, &mut calls).await;
    at_rest(&http).await;
}

#[tokio::test]
async fn trailers_are_passed_on_and_not_stored() {
    let http = http(&memory());
    let (app, mut calls) = app(&http);
    let leading = send(&app, get("/a"));
    let call = calls.next().await;
    let following = send(&app, get("/a"));
    settle().await;
    let mut trailers = HeaderMap::new();
    trailers.insert("x-digest", HeaderValue::from_static("1"));
    let body = pieces().with_trailers(async move { Some(Ok(trailers)) });
    call.answer(fresh(body.boxed_unsync()));
    let (leader, follower) = (head(leading).await, head(following).await);
    assert_eq!(cache_status(&follower), "fwd=uri-miss; collapsed");
    for response in [leader, follower] {
        let collected = response.into_body().collect().await.expect("clean");
        assert_eq!(collected.trailers().expect("trailers")["x-digest"], "1");
        assert_eq!(collected.to_bytes(), "hello");
    }
    is_not_stored(&app, &mut calls).await;
    at_rest(&http).await;
}
