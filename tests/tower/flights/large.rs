//! Bodies that are too large to be stored: they pass, and cost no more than a window of memory.

use bytes::Bytes;
use cache_tests::body;
use cache_tower::HttpCache;

use crate::setup::{
    Answered, App, Calls, announced, app, at_rest, cache_status, chunk, fresh, get, head, memory,
    send, settle, whole,
};

const LIMIT: usize = 100;

fn http() -> HttpCache {
    HttpCache::builder(memory()).max_body(LIMIT).build()
}

fn piece() -> Bytes {
    Bytes::from_static(&[b'x'; 30])
}

#[tokio::test]
async fn one_that_announces_it_is_shared_with_nobody() {
    let http = http();
    let (app, mut calls) = app(&http);
    let leading = send(&app, get("/a"));
    let call = calls.next().await;
    let following = send(&app, get("/a"));
    settle().await;
    let (writer, arriving) = body::channel();
    call.answer(announced(LIMIT + 1, arriving));
    let mut leader = head(leading).await;
    assert_eq!(cache_status(&leader), "fwd=uri-miss; detail=too-large");
    writer.send(piece()).await;
    assert_eq!(chunk(&mut leader).await, Some(Ok(piece())));
    // The follower is on its way, and so is all that comes from now on.
    calls.next().await.answer(fresh(body::full(vec![b'x'; LIMIT + 1])));
    let follower = head(following).await;
    assert_eq!(cache_status(&follower), "fwd=uri-miss; detail=too-large");
    assert_eq!(whole(follower).await.expect("whole").len(), LIMIT + 1);
    let third = send(&app, get("/a"));
    calls.next().await.answer(fresh(body::full(vec![b'x'; LIMIT])));
    let third = head(third).await;
    assert_eq!(cache_status(&third), "fwd=uri-miss; stored");
    assert_eq!(whole(third).await.expect("whole").len(), LIMIT);
    assert_eq!(cache_status(&head(send(&app, get("/a"))).await), "hit");
    drop((leader, writer));
    at_rest(&http).await;
}

/// A leader and a follower of a body, and its writer.
async fn streaming(app: &App, calls: &mut Calls) -> (Answered, Answered, body::BodyWriter) {
    let leading = send(app, get("/a"));
    let writer = calls.next().await.stream();
    let leader = head(leading).await;
    (leader, head(send(app, get("/a"))).await, writer)
}

#[tokio::test]
async fn one_that_grows_too_large_reaches_all_who_keep_up() {
    let http = http();
    let (app, mut calls) = app(&http);
    let (mut leader, mut follower, writer) = streaming(&app, &mut calls).await;
    for _ in 0..50 {
        writer.send(piece()).await;
        assert_eq!(chunk(&mut leader).await, Some(Ok(piece())));
        assert_eq!(chunk(&mut follower).await, Some(Ok(piece())));
    }
    // Its beginning has gone: those who come now go themselves.
    let going = send(&app, get("/a"));
    calls.next().await.answer(fresh(body::full("own")));
    assert_eq!(whole(head(going).await).await.expect("whole"), "own");
    drop(writer);
    assert_eq!(chunk(&mut leader).await, None);
    assert_eq!(chunk(&mut follower).await, None);
    at_rest(&http).await;
}

#[tokio::test]
async fn who_falls_behind_is_cut_off_and_the_leader_is_not() {
    let http = http();
    let (app, mut calls) = app(&http);
    let (mut leader, mut follower, writer) = streaming(&app, &mut calls).await;
    for _ in 0..50 {
        writer.send(piece()).await;
        assert_eq!(chunk(&mut leader).await, Some(Ok(piece())));
    }
    drop(writer);
    assert_eq!(chunk(&mut leader).await, None);
    let cut = chunk(&mut follower).await.expect("not a clean end");
    assert_eq!(cut, Err("this reader fell too far behind".to_owned()));
    assert_eq!(chunk(&mut follower).await, None, "after its error");
    assert_eq!(http.cache().health().await.l1_entries, 0);
    at_rest(&http).await;
}

#[tokio::test]
async fn a_slow_leader_holds_the_others_back_until_it_reads_or_leaves() {
    for leaves in [false, true] {
        let http = http();
        let (app, mut calls) = app(&http);
        let (mut leader, follower, writer) = streaming(&app, &mut calls).await;
        let writing = tokio::spawn(async move {
            for _ in 0..50 {
                writer.send(piece()).await;
            }
        });
        let following = tokio::spawn(whole(follower));
        settle().await;
        // The follower has read what the window holds, and no more is asked of the origin.
        assert!(!writing.is_finished());
        if leaves {
            drop(leader);
        } else {
            for _ in 0..50 {
                assert_eq!(chunk(&mut leader).await, Some(Ok(piece())));
                settle().await;
            }
            assert_eq!(chunk(&mut leader).await, None);
        }
        let read = following.await.expect("no panic").expect("whole");
        assert_eq!(read.len(), 50 * piece().len(), "leaves: {leaves}");
        writing.await.expect("no panic");
        at_rest(&http).await;
    }
}

#[tokio::test]
async fn when_all_leave_one_that_is_too_large_the_origin_is_let_go() {
    let http = http();
    let (app, mut calls) = app(&http);
    let (leader, follower, writer) = streaming(&app, &mut calls).await;
    drop((leader, follower));
    let mut pieces = 0;
    while writer.send(piece()).await {
        pieces += 1;
        assert!(pieces < 50, "read on for nothing");
    }
    assert_eq!(http.cache().health().await.l1_entries, 0);
    at_rest(&http).await;
}

#[tokio::test]
async fn who_came_after_all_had_left_reads_at_its_own_pace() {
    let http = http();
    let (app, mut calls) = app(&http);
    let (leader, follower, writer) = streaming(&app, &mut calls).await;
    drop((leader, follower));
    writer.send(piece()).await;
    let mut late = head(send(&app, get("/a"))).await;
    assert_eq!(cache_status(&late), "fwd=uri-miss; collapsed");
    let writing = tokio::spawn(async move {
        for _ in 0..49 {
            writer.send(piece()).await;
        }
    });
    for _ in 0..50 {
        settle().await;
        assert_eq!(chunk(&mut late).await, Some(Ok(piece())));
    }
    assert_eq!(chunk(&mut late).await, None);
    writing.await.expect("no panic");
    assert_eq!(http.cache().health().await.l1_entries, 0);
    at_rest(&http).await;
}
