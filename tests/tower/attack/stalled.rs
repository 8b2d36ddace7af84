//! Bodies and handlers that stop half way: they are nobody's business but that of those who have
//! them already.

use std::time::Duration;

use bytes::Bytes;
use cache_tests::body;
use cache_tower::{CacheLayer, HttpCache};
use tower::{Layer, ServiceExt};

use crate::setup::{
    Ask, LIMIT, announced, app, at_rest, cache_status, chunk, fresh, get, head, memory, origin,
    send, settle, whole,
};

const PATIENCE: Duration = Duration::from_secs(5);

fn http() -> HttpCache {
    HttpCache::builder(memory()).wait_timeout(PATIENCE).build()
}

/// Read for nobody, it was waited for until the origin closed it, and everybody who came was
/// given the same dead body.
#[tokio::test(start_paused = true)]
async fn a_body_that_nobody_reads_is_given_up_when_it_stalls() {
    let http = http();
    let (app, mut calls) = app(&http);
    let going = send(&app, get("/a"));
    let writer = calls.next().await.stream();
    let mut response = head(going).await;
    writer.send("half").await;
    assert_eq!(chunk(&mut response).await, Some(Ok(Bytes::from("half"))));
    drop(response);
    settle().await;
    tokio::time::sleep(PATIENCE * 2).await;
    tokio::time::timeout(LIMIT, writer.closed()).await.expect("let go");
    at_rest(&http).await;
    let again = send(&app, get("/a"));
    calls.next().await.answer(fresh(body::full("whole")));
    assert_eq!(whole(head(again).await).await.expect("whole"), "whole");
}

/// One that is slow, but moves, is read to its end.
#[tokio::test(start_paused = true)]
async fn a_body_that_is_slow_is_still_stored() {
    let http = http();
    let (app, mut calls) = app(&http);
    let going = send(&app, get("/a"));
    let writer = calls.next().await.stream();
    drop(head(going).await);
    for _ in 0..10 {
        tokio::time::sleep(PATIENCE * 9 / 10).await;
        assert!(writer.send("x").await);
        settle().await;
    }
    drop(writer);
    at_rest(&http).await;
    assert_eq!(cache_status(&head(send(&app, get("/a"))).await), "hit");
    assert_eq!(calls.count(), 1);
}

/// Those who came were attached to a body that had long stopped, and waited with its reader.
#[tokio::test(start_paused = true)]
async fn nobody_joins_a_body_that_has_stalled() {
    let http = http();
    let (app, mut calls) = app(&http);
    let leading = send(&app, get("/a"));
    let (writer, arriving) = body::channel();
    calls.next().await.answer(announced(8, arriving));
    let mut leader = head(leading).await;
    writer.send("half").await;
    assert_eq!(chunk(&mut leader).await, Some(Ok(Bytes::from("half"))));
    // In time, they are.
    let mut joined = head(send(&app, get("/a"))).await;
    assert_eq!(cache_status(&joined), "fwd=uri-miss; collapsed");
    assert_eq!(chunk(&mut joined).await, Some(Ok(Bytes::from("half"))));
    tokio::time::sleep(PATIENCE + Duration::from_millis(1)).await;
    let going = send(&app, get("/a"));
    calls.next().await.answer(fresh(body::full("own")));
    assert_eq!(whole(head(going).await).await.expect("whole"), "own");
    // Those who are there get what comes.
    writer.send("more").await;
    drop(writer);
    assert_eq!(whole(leader).await.expect("whole"), "more");
    assert_eq!(whole(joined).await.expect("whole"), "more");
    at_rest(&http).await;
}

/// A handler that hangs kept its place in the background for ever when its client had left; in
/// the end no write to the store found one.
#[tokio::test(start_paused = true)]
async fn a_handler_that_hangs_loses_its_place_in_the_background() {
    let http = http();
    let (app, mut calls) = app(&http);
    let going = send(&app, get("/a"));
    let call = calls.next().await;
    going.abort();
    settle().await;
    assert_eq!(http.cache().background().running(), 1);
    tokio::time::sleep(Duration::from_secs(59)).await;
    assert!(call.is_wanted());
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(!call.is_wanted());
    at_rest(&http).await;
}

/// All places for those who had waited too long were held by requests that waited for a second
/// one, at the inner cache.
#[tokio::test(start_paused = true)]
async fn who_was_impatient_once_does_not_wait_again_for_a_place() {
    let http = http();
    let (origin, mut calls) = origin();
    let first = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(true));
    let inner = CacheLayer::endpoint(&http, PATIENCE * 60).layer(origin);
    // The first that comes between the two hangs there, say for its authorization.
    let between = tower::service_fn(move |request: Ask| {
        let hangs = first.swap(false, std::sync::atomic::Ordering::SeqCst);
        let inner = inner.clone();
        async move {
            if hangs {
                std::future::pending::<()>().await;
            }
            inner.oneshot(request).await
        }
    });
    let app = CacheLayer::new(&http).layer(between);
    let hanging = tokio::spawn(app.clone().oneshot(get("/a")));
    settle().await;
    let herd: Vec<_> = (0..64).map(|_| tokio::spawn(app.clone().oneshot(get("/a")))).collect();
    settle().await;
    tokio::time::sleep(PATIENCE + Duration::from_millis(1)).await;
    settle().await;
    assert_eq!(calls.count(), 1, "the leader at the inner cache, which hangs too");
    tokio::time::sleep(PATIENCE + Duration::from_millis(1)).await;
    settle().await;
    assert_eq!(calls.count(), 64);
    for _ in 0..64 {
        calls.next().await.answer(body::fixed(200, &[], "own"));
    }
    for going in herd {
        going.await.expect("no panic").expect("no error");
    }
    hanging.abort();
}
