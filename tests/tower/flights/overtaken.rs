//! Flights of varying, conditional and overtaken responses.

use cache_core::Scope;
use cache_tests::body::{self, Body};
use http::{HeaderValue, Response, StatusCode};

use crate::setup::{
    Ask, app, at_rest, cache_status, chunk, fresh, get, head, http, memory, send, settle, whole,
};

fn with(mut request: Ask, name: &'static str, value: &'static str) -> Ask {
    request.headers_mut().insert(name, HeaderValue::from_static(value));
    request
}

fn in_language(language: &'static str) -> Ask {
    with(get("/a"), "accept-language", language)
}

fn varying(body: Body) -> Response<Body> {
    let headers = [("cache-control", "max-age=600"), ("vary", "accept-language")];
    body::respond(200, &headers, body)
}

#[tokio::test]
async fn each_variant_is_fetched_once() {
    let http = http(&memory());
    let (app, mut calls) = app(&http);
    let mut english = vec![send(&app, in_language("en"))];
    let first = calls.next().await;
    english.extend((0..10).map(|_| send(&app, in_language("en"))));
    let german: Vec<_> = (0..10).map(|_| send(&app, in_language("de"))).collect();
    settle().await;
    let (writer, arriving) = body::channel();
    first.answer(varying(arriving));
    // The others do not wait for this body.
    calls.next().await.answer(varying(body::full("hallo")));
    for going in german {
        assert_eq!(whole(head(going).await).await.expect("whole"), "hallo");
    }
    tokio::spawn(async move { writer.send("hello").await });
    for going in english {
        assert_eq!(whole(head(going).await).await.expect("whole"), "hello");
    }
    for (language, body) in [("en", "hello"), ("de", "hallo")] {
        let hit = head(send(&app, in_language(language))).await;
        assert_eq!(cache_status(&hit), "hit");
        assert_eq!(whole(hit).await.expect("whole"), body);
    }
    assert_eq!(calls.count(), 2);
    at_rest(&http).await;
}

#[tokio::test]
async fn a_client_that_has_it_already_leads_for_those_who_have_not() {
    let http = http(&memory());
    let (app, mut calls) = app(&http);
    let has_it = || with(get("/a"), "if-none-match", "\"1\"");
    let leading = send(&app, has_it());
    let call = calls.next().await;
    let following = send(&app, get("/a"));
    let has_it_too = send(&app, has_it());
    settle().await;
    let headers = [("cache-control", "max-age=600"), ("etag", "\"1\"")];
    call.answer(body::respond(200, &headers, body::full("hello")));
    for going in [leading, has_it_too] {
        let response = head(going).await;
        assert_eq!(response.status(), StatusCode::NOT_MODIFIED);
        assert_eq!(whole(response).await.expect("whole"), "");
    }
    assert_eq!(whole(head(following).await).await.expect("whole"), "hello");
    assert_eq!(cache_status(&head(send(&app, get("/a"))).await), "hit");
    assert_eq!(calls.count(), 1);
    at_rest(&http).await;
}

#[tokio::test]
async fn what_is_invalidated_before_its_head_is_not_stored() {
    let http = http(&memory());
    let (app, mut calls) = app(&http);
    let going = send(&app, get("/a"));
    let old = calls.next().await;
    http.cache().invalidate(Scope::namespace("api_responses")).await.expect("done");
    let after = send(&app, get("/a"));
    let new = calls.next().await;
    old.answer(fresh(body::full("old")));
    assert_eq!(whole(head(going).await).await.expect("whole"), "old");
    assert_eq!(http.cache().health().await.l1_entries, 0);
    new.answer(fresh(body::full("new")));
    assert_eq!(whole(head(after).await).await.expect("whole"), "new");
    let hit = head(send(&app, get("/a"))).await;
    assert_eq!(cache_status(&hit), "hit");
    assert_eq!(whole(hit).await.expect("whole"), "new");
    at_rest(&http).await;
}

#[tokio::test]
async fn when_the_leader_has_left_and_its_fetch_fails_one_follower_leads() {
    let http = http(&memory());
    let (app, mut calls) = app(&http);
    let leading = send(&app, get("/a"));
    let call = calls.next().await;
    let following: Vec<_> = (0..10).map(|_| send(&app, get("/a"))).collect();
    settle().await;
    leading.abort();
    settle().await;
    call.fail();
    calls.next().await.answer(fresh(body::full("hello")));
    for going in following {
        assert_eq!(whole(head(going).await).await.expect("whole"), "hello");
    }
    assert_eq!(calls.count(), 2);
    at_rest(&http).await;
}

#[tokio::test]
async fn an_empty_body_is_stored_though_nobody_polls_it() {
    let (writer, ended) = body::channel();
    drop(writer);
    for response in [fresh(body::full("")), fresh(ended)] {
        let http = http(&memory());
        let (app, mut calls) = app(&http);
        let going = send(&app, get("/a"));
        calls.next().await.answer(response);
        drop(head(going).await);
        at_rest(&http).await;
        let mut hit = head(send(&app, get("/a"))).await;
        assert_eq!(cache_status(&hit), "hit");
        assert_eq!(chunk(&mut hit).await, None);
    }
}

#[tokio::test]
async fn other_paths_are_other_flights() {
    let http = http(&memory());
    let (app, mut calls) = app(&http);
    let hanging = send(&app, get("/a"));
    let call = calls.next().await;
    for path in ["/b", "/a?x", "/a/", "/A"] {
        let going = send(&app, get(path));
        calls.next().await.answer(fresh(body::full(path)));
        assert_eq!(whole(head(going).await).await.expect("whole"), path);
    }
    assert!(call.is_wanted());
    call.answer(fresh(body::full("a")));
    assert_eq!(whole(head(hanging).await).await.expect("whole"), "a");
    at_rest(&http).await;
}
