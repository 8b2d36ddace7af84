//! POSTs whose responses are stored, and what else happens meanwhile.

use bytes::Bytes;
use cache_core::{Cache, Clock, RedisOptions, Scope, seconds};
use cache_tests::body::{self, Body};
use cache_tests::{RedisServer, eventually};
use cache_tower::HttpCache;
use http::{Method, Response};

use crate::setup::{
    App, Ask, Calls, LIMIT, app, at_rest, cache_status, chunk, fresh, get, head, memory, send,
    settle, whole,
};

const STORED: &str = "fwd=method; stored";

fn with_method(method: Method) -> Ask {
    let mut request = get("/a");
    *request.method_mut() = method;
    request
}

fn post() -> Ask {
    with_method(Method::POST)
}

/// It is what a GET would bring.
fn located(body: Body) -> Response<Body> {
    body::respond(200, &[("cache-control", "max-age=600"), ("content-location", "/a")], body)
}

struct Node {
    http: HttpCache,
    app: App,
    calls: Calls,
}

impl Node {
    fn new(cache: &Cache) -> Self {
        let http = HttpCache::builder(cache.clone()).store_posts(true).max_body(64).build();
        let (app, calls) = app(&http);
        Self { http, app, calls }
    }

    /// Sends a request that the origin answers with this.
    async fn answered(&mut self, request: Ask, response: Response<Body>) -> Bytes {
        let going = send(&self.app, request);
        self.calls.next().await.answer(response);
        let body = whole(head(going).await).await.expect("whole");
        self.writes_end().await;
        body
    }

    /// Waits until all is written but what is still arriving.
    async fn writes_end(&self) {
        let background = self.http.cache().background();
        eventually(LIMIT, "writes end", || background.running() == 0).await;
    }

    /// A GET that is a miss, of which nothing is stored.
    async fn misses(&mut self, what: &str) {
        let going = send(&self.app, get("/a"));
        tokio::select! {
            call = self.calls.next() => call.answer(body::fixed(500, &[], "")),
            () = async { while !going.is_finished() { tokio::task::yield_now().await } } => {}
        }
        assert_ne!(cache_status(&head(going).await), "hit", "{what}");
        at_rest(&self.http).await;
    }

    async fn hits(&self, body: &str) {
        let hit = head(send(&self.app, get("/a"))).await;
        assert_eq!(cache_status(&hit), "hit");
        assert_eq!(whole(hit).await.expect("whole"), body);
    }
}

fn in_redis(redis: &RedisServer, l1: bool) -> Cache {
    let options = RedisOptions::url(&redis.url()).expect("valid");
    let builder = Cache::builder().prefix("p").l1(l1).redis(options);
    let builder = builder.clock(Clock::manual(1_800_000_000_000));
    builder.operation_budget(seconds(10)).build().expect("valid")
}

const EVENTS: [&str; 4] = ["DELETE", "POST", "scope", "failing POST"];

/// Lets one thing happen to the URI, by a service of this cache. True if it invalidates.
async fn happens(node: &mut Node, event: &str) -> bool {
    match event {
        "DELETE" => {
            node.answered(with_method(Method::DELETE), body::fixed(204, &[], "")).await;
        }
        "POST" => {
            node.answered(post(), body::fixed(200, &[], "other")).await;
        }
        "scope" => {
            let scope = Scope::namespace("api_responses");
            node.http.cache().invalidate(scope).await.expect("done");
        }
        _ => {
            node.answered(post(), body::fixed(500, &[], "")).await;
            return false;
        }
    }
    true
}

/// Whatever invalidates the URI between the request and the end of its response's body is final.
#[tokio::test]
async fn what_is_invalidated_meanwhile_stays_so() {
    let redis = RedisServer::start();
    for cache in [memory(), in_redis(&redis, false), in_redis(&redis, true)] {
        let (mut node, mut other) = (Node::new(&cache), Node::new(&cache));
        for event in EVENTS {
            // Before its head, and after it.
            let going = send(&node.app, post());
            let call = node.calls.next().await;
            let invalidates = happens(&mut other, event).await;
            call.answer(located(body::full("old")));
            let response = head(going).await;
            let told = if invalidates { "fwd=method; detail=overtaken" } else { STORED };
            assert_eq!(cache_status(&response), told, "{event}");
            assert_eq!(whole(response).await.expect("whole"), "old");
            at_rest(&node.http).await;
            if invalidates {
                node.misses(event).await;
            } else {
                node.hits("old").await;
            }

            let going = send(&node.app, post());
            let (writer, arriving) = body::channel();
            node.calls.next().await.answer(located(arriving));
            let response = head(going).await;
            assert_eq!(cache_status(&response), STORED);
            let invalidates = happens(&mut other, event).await;
            tokio::spawn(async move { writer.send("old").await });
            assert_eq!(whole(response).await.expect("whole"), "old");
            at_rest(&node.http).await;
            if invalidates {
                node.misses(event).await;
            } else {
                node.hits("old").await;
            }
        }
    }
}

/// As above, by another instance.
#[tokio::test]
async fn what_another_instance_invalidates_meanwhile_stays_so() {
    let redis = RedisServer::start();
    let (mut node, mut other) =
        (Node::new(&in_redis(&redis, false)), Node::new(&in_redis(&redis, false)));
    for event in &EVENTS[..3] {
        for before_head in [true, false] {
            let going = send(&node.app, post());
            let call = node.calls.next().await;
            if before_head {
                happens(&mut other, event).await;
            }
            let (writer, arriving) = body::channel();
            call.answer(located(arriving));
            let response = head(going).await;
            if !before_head {
                happens(&mut other, event).await;
            }
            tokio::spawn(async move { writer.send("old").await });
            assert_eq!(whole(response).await.expect("whole"), "old");
            at_rest(&node.http).await;
            node.misses(event).await;
            other.misses(event).await;
        }
    }
}

#[tokio::test]
async fn of_two_at_once_neither_brings_the_older_one_back() {
    let redis = RedisServer::start();
    for cache in [memory(), in_redis(&redis, false), in_redis(&redis, true)] {
        let mut node = Node::new(&cache);
        let first = send(&node.app, post());
        let first_call = node.calls.next().await;
        let second = send(&node.app, post());
        let second_call = node.calls.next().await;
        let (writer, arriving) = body::channel();
        first_call.answer(located(arriving));
        let first = head(first).await;
        second_call.answer(located(body::full("second")));
        assert_eq!(whole(head(second).await).await.expect("whole"), "second");
        tokio::spawn(async move { writer.send("first").await });
        assert_eq!(whole(first).await.expect("whole"), "first");
        at_rest(&node.http).await;
        // Which of them the origin has heard first nobody here knows.
        node.misses("two").await;
        node.answered(post(), located(body::full("third"))).await;
        node.hits("third").await;
    }
}

#[tokio::test]
async fn a_get_from_before_the_post_loses_and_one_from_after_it_wins() {
    let redis = RedisServer::start();
    for cache in [memory(), in_redis(&redis, false), in_redis(&redis, true)] {
        let mut node = Node::new(&cache);
        let before = send(&node.app, get("/a"));
        let before_call = node.calls.next().await;
        let going = send(&node.app, post());
        let (writer, arriving) = body::channel();
        node.calls.next().await.answer(located(arriving));
        let response = head(going).await;
        before_call.answer(fresh(body::full("before")));
        assert_eq!(whole(head(before).await).await.expect("whole"), "before");
        node.writes_end().await;
        // It does not wait for the POST.
        let after = send(&node.app, get("/a"));
        node.calls.next().await.answer(fresh(body::full("after")));
        assert_eq!(whole(head(after).await).await.expect("whole"), "after");
        node.writes_end().await;
        node.hits("after").await;
        tokio::spawn(async move { writer.send("posted").await });
        assert_eq!(whole(response).await.expect("whole"), "posted");
        at_rest(&node.http).await;
        node.hits("after").await;
        node.answered(with_method(Method::DELETE), body::fixed(204, &[], "")).await;
    }
}

#[tokio::test]
async fn a_body_that_is_cut_or_too_long_is_not_stored() {
    let mut node = Node::new(&memory());
    let too_long = "x".repeat(65);
    for (body, is_whole) in [
        (body::failing(["half"]), false),
        (body::gated(&open(), ["x".repeat(32), "x".repeat(33)]), true),
        (body::full(too_long), true),
    ] {
        let going = send(&node.app, post());
        node.calls.next().await.answer(located(body));
        assert_eq!(whole(head(going).await).await.is_ok(), is_whole);
        at_rest(&node.http).await;
        // Nor does it say anything of GETs: they go on waiting for each other.
        let (one, two) = (send(&node.app, get("/a")), send(&node.app, get("/a")));
        let call = node.calls.next().await;
        settle().await;
        call.answer(fresh(body::full("body")));
        for going in [one, two] {
            assert_eq!(whole(head(going).await).await.expect("whole"), "body");
        }
        at_rest(&node.http).await;
        node.answered(with_method(Method::DELETE), body::fixed(204, &[], "")).await;
    }
}

fn open() -> cache_tests::Gate {
    let gate = cache_tests::Gate::new();
    gate.open(10);
    gate
}

#[tokio::test]
async fn each_byte_comes_when_the_origin_gives_it_and_posts_do_not_wait_for_each_other() {
    let mut node = Node::new(&memory());
    let (one, two) = (send(&node.app, post()), send(&node.app, post()));
    let (first, second) = (node.calls.next().await, node.calls.next().await);
    drop(second);
    drop(two);
    drop(one);
    drop(first);
    let going = send(&node.app, post());
    let (writer, arriving) = body::channel();
    node.calls.next().await.answer(located(arriving));
    let mut response = head(going).await;
    for piece in ["a", "b"] {
        assert!(writer.send(piece).await);
        assert_eq!(chunk(&mut response).await, Some(Ok(piece.into())));
    }
    // The client may leave: the rest is read for the store.
    drop(response);
    assert!(writer.send("c").await);
    drop(writer);
    at_rest(&node.http).await;
    node.hits("abc").await;
}
