//! Many ask for the same at once; and what becomes of those who wait.

use std::time::Duration;

use bytes::Bytes;
use cache_core::{Cache, RedisOptions, Scope};
use cache_tests::{RedisServer, body};
use cache_tower::HttpCache;
use http::{HeaderValue, Request};
use http_body_util::Empty;

use crate::setup::{
    Down, LIMIT, app, at_rest, cache_status, chunk, fresh, get, head, http, memory, send, settle,
    whole,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_ask_and_the_origin_is_called_once() {
    a_thousand_ask(&http(&memory())).await;
}

/// With no memory of its own, and Redis between those who come and what the first has fetched.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_memory_a_thousand_are_one_call_too() {
    let redis = RedisServer::start();
    let options = RedisOptions::url(&redis.url()).expect("valid");
    // Time enough for a busy machine: what Redis does not take in time is fetched again.
    let cache = Cache::builder().l1(false).redis(options).operation_budget(LIMIT);
    a_thousand_ask(&http(&cache.build().expect("valid"))).await;
}

async fn a_thousand_ask(http: &HttpCache) {
    let (app, mut calls) = app(http);
    let going: Vec<_> = (0..1000).map(|_| send(&app, get("/a"))).collect();
    let body = calls.next().await.stream();
    let expected = "piece;".repeat(50);
    let reading: Vec<_> = going
        .into_iter()
        .map(|going| tokio::spawn(async move { whole(head(going).await).await }))
        .collect();
    for _ in 0..50 {
        body.send("piece;").await;
    }
    drop(body);
    for reading in reading {
        assert_eq!(reading.await.expect("no panic").expect("whole"), expected);
    }
    assert_eq!(calls.count(), 1);
    let stats = http.stats();
    assert_eq!(stats.hits + stats.misses, 1000);
    assert_eq!(stats.collapsed + 1, stats.misses);
    at_rest(http).await;
}

#[tokio::test]
async fn when_the_leader_fails_one_follower_leads() {
    let http = http(&memory());
    let (app, mut calls) = app(&http);
    let leading = send(&app, get("/a"));
    let call = calls.next().await;
    let following: Vec<_> = (0..20).map(|_| send(&app, get("/a"))).collect();
    settle().await;
    call.fail();
    assert_eq!(leading.await.expect("no panic").expect_err("its own error"), Down);
    calls.next().await.answer(fresh(body::full("hello")));
    for going in following {
        assert_eq!(whole(head(going).await).await.expect("whole"), "hello");
    }
    assert_eq!(calls.count(), 2);
    at_rest(&http).await;
}

#[tokio::test]
async fn when_the_leader_panics_one_follower_leads() {
    let http = http(&memory());
    let (app, mut calls) = app(&http);
    let leading = send(&app, get("/a"));
    let call = calls.next().await;
    let following: Vec<_> = (0..20).map(|_| send(&app, get("/a"))).collect();
    settle().await;
    call.panic();
    assert!(leading.await.expect_err("a panic").is_panic());
    calls.next().await.answer(fresh(body::full("hello")));
    for going in following {
        assert_eq!(whole(head(going).await).await.expect("whole"), "hello");
    }
    assert_eq!(calls.count(), 2);
    at_rest(&http).await;
}

#[tokio::test(start_paused = true)]
async fn when_the_leader_hangs_followers_go_themselves() {
    let http = HttpCache::builder(memory()).wait_timeout(Duration::from_millis(500)).build();
    let (app, mut calls) = app(&http);
    let leading = send(&app, get("/a"));
    let hanging = calls.next().await;
    let following: Vec<_> = (0..100).map(|_| send(&app, get("/a"))).collect();
    settle().await;
    assert_eq!(calls.count(), 1);
    tokio::time::sleep(Duration::from_millis(490)).await;
    settle().await;
    assert_eq!(calls.count(), 1);
    tokio::time::sleep(Duration::from_millis(20)).await;
    settle().await;
    assert_eq!(calls.count(), 1 + 64, "as many at once as may");
    for _ in 0..100 {
        calls.next().await.answer(fresh(body::full("hello")));
    }
    for going in following {
        let response = head(going).await;
        assert_eq!(whole(response).await.expect("whole"), "hello");
    }
    assert!(hanging.is_wanted());
    hanging.answer(fresh(body::full("late")));
    assert_eq!(whole(head(leading).await).await.expect("whole"), "late");
    at_rest(&http).await;
}

#[tokio::test]
async fn nobody_waits_in_line_for_what_can_not_be_shared() {
    let http = http(&memory());
    let (app, mut calls) = app(&http);
    let private = || body::fixed(200, &[("cache-control", "private")], "mine");
    let leading = send(&app, get("/a"));
    let call = calls.next().await;
    let following: Vec<_> = (0..20).map(|_| send(&app, get("/a"))).collect();
    settle().await;
    call.answer(private());
    assert_eq!(cache_status(&head(leading).await), "fwd=uri-miss; detail=private");
    // All of them are at the origin before one is answered; those who come later, too.
    let mut waiting = Vec::new();
    for _ in 0..20 {
        waiting.push(calls.next().await);
    }
    let later: Vec<_> = (0..5).map(|_| send(&app, get("/a"))).collect();
    for _ in 0..5 {
        waiting.push(calls.next().await);
    }
    for call in waiting {
        call.answer(private());
    }
    for going in following.into_iter().chain(later) {
        assert_eq!(whole(head(going).await).await.expect("whole"), "mine");
    }
    // Cacheable again: the next herd waits.
    let cacheable = send(&app, get("/a"));
    calls.next().await.answer(fresh(body::full("ours")));
    assert_eq!(whole(head(cacheable).await).await.expect("whole"), "ours");
    http.cache().invalidate(Scope::namespace("api_responses")).await.expect("done");
    let before = calls.count();
    let herd: Vec<_> = (0..20).map(|_| send(&app, get("/a"))).collect();
    let call = calls.next().await;
    settle().await;
    call.answer(fresh(body::full("new")));
    for going in herd {
        assert_eq!(whole(head(going).await).await.expect("whole"), "new");
    }
    assert_eq!(calls.count(), before + 1);
    at_rest(&http).await;
}

#[tokio::test]
async fn what_is_invalidated_while_it_arrives_is_not_stored() {
    for by_request in [false, true] {
        let http = http(&memory());
        let (app, mut calls) = app(&http);
        let going = send(&app, get("/a"));
        let old = calls.next().await.stream();
        let mut response = head(going).await;
        old.send("old").await;
        assert_eq!(chunk(&mut response).await, Some(Ok(Bytes::from("old"))));
        invalidate(http.cache(), by_request.then_some((&app, &mut calls))).await;
        // One who asks after it does not wait for what is older than the question.
        let after = send(&app, get("/a"));
        let new = calls.next().await;
        let waiting = send(&app, get("/a"));
        settle().await;
        drop(old);
        assert_eq!(chunk(&mut response).await, None);
        assert_eq!(http.cache().health().await.l1_entries, 0);
        new.answer(fresh(body::full("new")));
        for going in [after, waiting] {
            assert_eq!(whole(head(going).await).await.expect("whole"), "new");
        }
        let hit = head(send(&app, get("/a"))).await;
        assert_eq!(cache_status(&hit), "hit");
        assert_eq!(whole(hit).await.expect("whole"), "new");
        at_rest(&http).await;
    }
}

async fn invalidate(cache: &Cache, by: Option<(&crate::setup::App, &mut crate::setup::Calls)>) {
    let Some((app, calls)) = by else {
        cache.invalidate(Scope::namespace("api_responses")).await.expect("done");
        return;
    };
    let post = Request::post("/a").header("host", "shop.example");
    let posted = send(app, post.body(Empty::new()).expect("valid"));
    calls.next().await.answer(body::fixed(204, &[], ""));
    head(posted).await;
}

/// A 304 of ours to one who waited looked as if the origin had given it.
#[tokio::test]
async fn who_has_it_already_is_told_what_the_origin_said() {
    let http = http(&memory());
    let (app, mut calls) = app(&http);
    let _leader = send(&app, get("/a"));
    let call = calls.next().await;
    let mut request = get("/a");
    request.headers_mut().insert("if-none-match", HeaderValue::from_static("\"one\""));
    let follower = send(&app, request);
    settle().await;
    // Its body does not end, so that it is not the store that answers.
    let (_writer, body) = body::channel();
    call.answer(body::respond(200, &[("cache-control", "max-age=60"), ("etag", "\"one\"")], body));
    let response = head(follower).await;
    assert_eq!(response.status(), 304);
    assert_eq!(cache_status(&response), "fwd=uri-miss; fwd-status=200; collapsed");
}
