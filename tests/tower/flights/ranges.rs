//! Requests with `Range`: nobody waits for a part.

use cache_tower::HttpCache;
use http::HeaderValue;

use crate::setup::{
    App, Ask, Call, Calls, LIMIT, app, at_rest, cache_status, get, head, http, memory, send,
    settle, whole,
};
use cache_tests::body;

fn part(path: &str) -> Ask {
    let mut request = get(path);
    request.headers_mut().insert("range", HeaderValue::from_static("bytes=0-1"));
    request
}

fn answer(call: Call) {
    let lines = [("cache-control", "max-age=600"), ("content-range", "bytes 0-1/5")];
    let (writer, arriving) = body::channel();
    call.answer(body::respond(206, &lines, arriving));
    tokio::spawn(async move { writer.send("he").await });
}

/// A request for a part that is answered while others are under way.
async fn gets_its_own(app: &App, calls: &mut Calls) {
    let going = send(app, part("/a"));
    answer(calls.next().await);
    let response = head(going).await;
    assert_eq!(
        (response.status().as_u16(), cache_status(&response)),
        (206, "fwd=uri-miss; detail=range")
    );
    assert_eq!(whole(response).await.expect("whole"), "he");
}

#[tokio::test]
async fn a_part_does_not_wait_for_the_whole_nor_for_a_part() {
    // Whoever waits here waits for longer than the test.
    let http = HttpCache::builder(memory()).wait_timeout(LIMIT * 10).build();
    let (app, mut calls) = app(&http);
    let (first, second) = (send(&app, get("/a")), calls.next().await);
    let (other, asleep) = (send(&app, part("/a")), calls.next().await);
    gets_its_own(&app, &mut calls).await;
    answer(asleep);
    head(other).await;
    let writer = second.stream();
    writer.send("hello").await;
    drop(writer);
    assert_eq!(whole(head(first).await).await.expect("whole"), "hello");
    assert_eq!(calls.count(), 3);
    at_rest(&http).await;
}

async fn two_share_one_fetch(app: &App, calls: &mut Calls) {
    let leading = send(app, get("/a"));
    let call = calls.next().await;
    let following = send(app, get("/a"));
    settle().await;
    let writer = call.stream();
    writer.send("hello").await;
    drop(writer);
    for going in [leading, following] {
        assert_eq!(whole(head(going).await).await.expect("whole"), "hello");
    }
}

/// What a part was answered says nothing of the whole: those who want it still share one fetch.
#[tokio::test]
async fn the_whole_is_fetched_once_after_a_part() {
    let http = http(&memory());
    let (app, mut calls) = app(&http);
    gets_its_own(&app, &mut calls).await;
    two_share_one_fetch(&app, &mut calls).await;
    assert_eq!(calls.count(), 2);
    at_rest(&http).await;
}

/// A part that is stored is no response for those who want the whole: they still share one fetch.
#[tokio::test]
async fn the_whole_is_fetched_once_though_a_part_is_stored() {
    let http = HttpCache::builder(memory()).combine_partial(true).build();
    let (app, mut calls) = app(&http);
    let going = send(&app, part("/a"));
    let lines =
        [("cache-control", "max-age=600"), ("content-range", "bytes 0-1/5"), ("etag", "\"one\"")];
    let (writer, arriving) = body::channel();
    calls.next().await.answer(body::respond(206, &lines, arriving));
    writer.send("he").await;
    drop(writer);
    let stored = head(going).await;
    assert_eq!(cache_status(&stored), "fwd=uri-miss; stored");
    assert_eq!(whole(stored).await.expect("whole"), "he");
    assert_eq!(cache_status(&head(send(&app, part("/a"))).await), "hit");
    two_share_one_fetch(&app, &mut calls).await;
    assert_eq!(calls.count(), 2);
    at_rest(&http).await;
}

/// Nobody else has use for a part, so that its fetch ends with its client.
#[tokio::test]
async fn a_part_is_not_fetched_for_a_client_that_has_left() {
    let http = http(&memory());
    let (app, mut calls) = app(&http);
    let going = send(&app, part("/a"));
    let call = calls.next().await;
    going.abort();
    settle().await;
    assert!(!call.is_wanted());
    at_rest(&http).await;
}
