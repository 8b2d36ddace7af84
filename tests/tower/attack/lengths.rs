//! Bodies whose length is not the one that was announced, seen by those who follow.

use bytes::Bytes;
use cache_tests::body::{self, Body};
use http::{HeaderMap, HeaderValue};
use http_body_util::BodyExt;

use crate::setup::{
    Answered, announced, app, at_rest, chunk, get, head, http, memory, send, settle, whole,
};

/// All that a client gets before its body ends or fails.
async fn pieces(mut response: Answered) -> (usize, Option<String>) {
    let mut bytes = 0;
    loop {
        match chunk(&mut response).await {
            Some(Ok(piece)) => bytes += piece.len(),
            Some(Err(error)) => return (bytes, Some(error)),
            None => return (bytes, None),
        }
    }
}

/// A server stops at the announced length: a follower that had been given that many bytes of a
/// longer body had, for its client, a whole one.
#[tokio::test]
async fn a_follower_is_not_given_the_last_byte_of_a_body_that_turns_out_too_long() {
    let http = http(&memory());
    let (app, mut calls) = app(&http);
    let leading = send(&app, get("/a"));
    let (writer, arriving) = body::channel();
    calls.next().await.answer(announced(5, arriving));
    let mut leader = head(leading).await;
    let follower = tokio::spawn(pieces(head(send(&app, get("/a"))).await));
    writer.send("hel").await;
    assert_eq!(chunk(&mut leader).await, Some(Ok(Bytes::from("hel"))));
    writer.send("lo").await;
    assert_eq!(chunk(&mut leader).await, Some(Ok(Bytes::from("lo"))));
    settle().await;
    assert!(!follower.is_finished());
    writer.send(" world").await;
    assert_eq!(chunk(&mut leader).await, Some(Ok(Bytes::from(" world"))));
    drop(writer);
    assert_eq!(chunk(&mut leader).await, None);
    let (bytes, error) = follower.await.expect("no panic");
    assert!(bytes < 5, "{bytes} bytes");
    assert_eq!(error.as_deref(), Some("the body was not as long as announced"));
    assert_eq!(http.cache().health().await.l1_entries, 0);
    drop(leader);
    at_rest(&http).await;
}

/// What a follower waits for is the end, not more: it gets the last piece with it.
#[tokio::test]
async fn a_follower_gets_the_last_piece_with_the_end() {
    let http = http(&memory());
    let (app, mut calls) = app(&http);
    let leading = send(&app, get("/a"));
    let (writer, arriving) = body::channel();
    calls.next().await.answer(announced(5, arriving));
    let leader = head(leading).await;
    let mut follower = head(send(&app, get("/a"))).await;
    writer.send("hel").await;
    assert_eq!(chunk(&mut follower).await, Some(Ok(Bytes::from("hel"))));
    writer.send("lo").await;
    let rest = tokio::spawn(whole(follower));
    settle().await;
    assert!(!rest.is_finished());
    drop(writer);
    assert_eq!(rest.await.expect("no panic"), Ok(Bytes::from("lo")));
    assert_eq!(whole(leader).await, Ok(Bytes::from("hello")));
    at_rest(&http).await;
}

/// Two bytes and trailers.
fn with_trailers() -> Body {
    let mut trailers = HeaderMap::new();
    trailers.insert("x-digest", HeaderValue::from_static("1"));
    let (writer, body) = body::channel();
    tokio::spawn(async move { writer.send("he").await });
    body.with_trailers(async move { Some(Ok(trailers)) }).boxed_unsync()
}

/// Trailers ended a body well, however much of it was missing.
#[tokio::test]
async fn trailers_do_not_make_a_short_body_whole() {
    let http = http(&memory());
    let (app, mut calls) = app(&http);
    let leading = send(&app, get("/a"));
    let call = calls.next().await;
    let following = send(&app, get("/a"));
    settle().await;
    call.answer(announced(5, with_trailers()));
    let (leader, follower) = (head(leading).await, head(following).await);
    let leader = leader.into_body().collect().await.expect("as the origin gave it");
    assert_eq!(leader.trailers().expect("trailers")["x-digest"], "1");
    assert_eq!(leader.to_bytes(), "he");
    assert!(whole(follower).await.is_err());
    at_rest(&http).await;
}

/// A follower waits for the end of a body that has grown beyond its length and the limit: it is
/// cut off like any other that does not read.
#[tokio::test]
async fn a_body_that_grows_without_end_beyond_its_length_holds_nobody() {
    let http = cache_tower::HttpCache::builder(memory()).max_body(100).build();
    let (app, mut calls) = app(&http);
    let leading = send(&app, get("/a"));
    let (writer, arriving) = body::channel();
    calls.next().await.answer(announced(10, arriving));
    let mut leader = head(leading).await;
    let follower = tokio::spawn(pieces(head(send(&app, get("/a"))).await));
    for _ in 0..50 {
        writer.send(vec![b'x'; 10]).await;
        assert_eq!(chunk(&mut leader).await.expect("a piece").expect("data").len(), 10);
    }
    let (bytes, error) = follower.await.expect("no panic");
    assert!(bytes < 10 && error.is_some(), "{bytes} bytes, {error:?}");
    drop((writer, leader));
    at_rest(&http).await;
}
