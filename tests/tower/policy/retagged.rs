//! What is kept under new tags is as old as it was under the former ones.

use bytes::Bytes;
use cache_core::{Cache, Clock, Scope, Tag, minutes};
use cache_tests::RedisServer;
use cache_tests::body::{Body, fixed};
use cache_tower::{CacheTags, HttpCache};
use http::{HeaderValue, Method, Response};

use super::origin::{Lines, START, in_redis, memory};
use crate::setup::{App, Ask, Calls, app, at_rest, cache_status, get, head, send, whole};

const OLD: Lines<'static> =
    &[("cache-control", "max-age=60"), ("etag", "\"1\""), ("cache-groups", "\"g\"")];
const FIRST_PART: Lines<'static> =
    &[("cache-control", "max-age=60"), ("etag", "\"1\""), ("content-range", "bytes 0-2/6")];
const LAST_PART: Lines<'static> =
    &[("cache-control", "max-age=60"), ("etag", "\"1\""), ("content-range", "bytes 3-5/6")];

struct Node {
    http: HttpCache,
    app: App,
    calls: Calls,
}

impl Node {
    fn new(cache: &Cache) -> Self {
        let http = HttpCache::builder(cache.clone()).combine_partial(true).build();
        let (app, calls) = app(&http);
        Self { http, app, calls }
    }

    /// Sends a request; `meanwhile` happens before the origin answers.
    async fn answered(
        &mut self,
        request: Ask,
        meanwhile: impl AsyncFnOnce(),
        response: Response<Body>,
    ) -> (String, Bytes) {
        let going = send(&self.app, request);
        let call = self.calls.next().await;
        meanwhile().await;
        call.answer(response);
        let response = head(going).await;
        let told = cache_status(&response).to_owned();
        let body = whole(response).await.expect("whole");
        at_rest(&self.http).await;
        (told, body)
    }

    /// Whether there is anything for a GET.
    async fn hits(&mut self) -> bool {
        let going = send(&self.app, ask(Method::GET, &[]));
        tokio::select! {
            call = self.calls.next() => call.answer(fixed(500, &[], "")),
            () = async { while !going.is_finished() { tokio::task::yield_now().await } } => {}
        }
        let hits = cache_status(&head(going).await) == "hit";
        at_rest(&self.http).await;
        hits
    }
}

fn ask(method: Method, lines: Lines<'static>) -> Ask {
    let mut request = get("/a");
    *request.method_mut() = method;
    for (name, value) in [&[("x-workspace-id", "ws1")], lines].concat() {
        request.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    request
}

fn tagged(mut response: Response<Body>, tags: CacheTags) -> Response<Body> {
    response.extensions_mut().insert(tags);
    response
}

/// A response that has gone stale, and what the origin says when it is asked for it again.
struct Case {
    before: CacheTags,
    again: Ask,
    answer: Response<Body>,
}

/// Whether the response is there when this tag was invalidated while the origin was asked again.
async fn stays(cache: &Cache, writer: &Cache, tag: Tag, case: Case) -> bool {
    let mut node = Node::new(cache);
    let first = if case.again.headers().contains_key("range") { FIRST_PART } else { OLD };
    let status = if first == OLD { 200 } else { 206 };
    let old = tagged(fixed(status, first, "old"), case.before);
    let first = ask(Method::GET, if status == 206 { &[("range", "bytes=0-2")] } else { &[] });
    node.answered(first, async || {}, old).await;
    if status == 200 {
        cache.clock().advance(minutes(2));
    }
    let meanwhile = async || {
        writer.invalidate(tag).await.expect("complete");
    };
    node.answered(case.again, meanwhile, case.answer).await;
    let hits = node.hits().await;
    cache.invalidate(Scope::namespace("api_responses")).await.expect("complete");
    hits
}

/// Of both families, each with what replaces it.
fn replaced() -> [(CacheTags, Tag, CacheTags); 2] {
    let (global, own) = (CacheTags::new(["a"]), CacheTags::in_workspace(["a"]));
    [(global.clone(), Tag::new("a"), own.clone()), (own, Tag::in_workspace("ws1", "a"), global)]
}

async fn every_cache(check: impl AsyncFn(&Cache, &Cache)) {
    let redis = RedisServer::start();
    let clock = Clock::manual(START);
    let in_memory = memory(&clock);
    check(&in_memory, &in_memory).await;
    let (one, two) = (in_redis(&redis, &clock), in_redis(&redis, &clock));
    check(&one, &one).await;
    check(&one, &two).await;
}

/// Bug: a tag was invalidated while its response was validated, and the 304 (or the HEAD) named
/// tags of another family only: the response that the invalidation had ended was stored again.
#[tokio::test]
async fn a_tag_that_a_confirmation_replaces_is_invalidated_meanwhile() {
    every_cache(async |cache, writer| {
        for method in [Method::GET, Method::HEAD] {
            for (before, tag, after) in replaced() {
                let case = || {
                    let status = if method == Method::GET { 304 } else { 200 };
                    let answer = tagged(fixed(status, OLD, ""), after.clone());
                    Case { before: before.clone(), again: ask(method.clone(), &[]), answer }
                };
                let other = Tag::in_workspace("ws2", "a");
                assert!(stays(cache, writer, other, case()).await, "{method} {tag:?}");
                assert!(!stays(cache, writer, tag.clone(), case()).await, "{method} {tag:?}");
            }
        }
    })
    .await;
}

/// Bug: as above, where the 304 says that the response belongs to no group any more.
#[tokio::test]
async fn a_group_that_a_confirmation_leaves_is_invalidated_meanwhile() {
    let cache = memory(&Clock::manual(START));
    for invalidates in [false, true] {
        let mut node = Node::new(&cache);
        node.answered(ask(Method::GET, &[]), async || {}, fixed(200, OLD, "old")).await;
        cache.clock().advance(minutes(2));
        let going = send(&node.app, ask(Method::GET, &[]));
        let call = node.calls.next().await;
        if invalidates {
            let names = fixed(200, &[("cache-group-invalidation", "\"g\"")], "");
            let mut post = ask(Method::POST, &[]);
            *post.uri_mut() = "/b".parse().expect("valid");
            let posting = send(&node.app, post);
            node.calls.next().await.answer(names);
            head(posting).await;
        }
        let lines = [&OLD[..2], &[("cache-groups", "1")]].concat();
        call.answer(fixed(304, &lines, ""));
        whole(head(going).await).await.expect("whole");
        at_rest(&node.http).await;
        assert_eq!(node.hits().await, !invalidates);
        cache.invalidate(Scope::namespace("api_responses")).await.expect("complete");
    }
}

/// Bug: as above, where a 206 with tags of another family made a part that was stored whole.
#[tokio::test]
async fn a_tag_of_a_part_is_invalidated_while_the_rest_is_fetched() {
    every_cache(async |cache, writer| {
        for (before, tag, after) in replaced() {
            let case = || {
                let answer = tagged(fixed(206, LAST_PART, "new"), after.clone());
                let again = ask(Method::GET, &[("range", "bytes=3-5")]);
                Case { before: before.clone(), again, answer }
            };
            let other = Tag::in_workspace("ws2", "a");
            assert!(stays(cache, writer, other, case()).await, "{tag:?}");
            assert!(!stays(cache, writer, tag.clone(), case()).await, "{tag:?}");
        }
    })
    .await;
}

/// Bug: a 206 whose handler gave it `CacheTags` without any tag in them took those of the part that
/// was stored away, so that the whole outlived their invalidation.
#[tokio::test]
async fn a_part_with_no_tags_leaves_those_of_the_other() {
    let mut node = Node::new(&memory(&Clock::manual(START)));
    let parts = [
        ("bytes=0-2", FIRST_PART, CacheTags::new(["a"])),
        ("bytes=3-5", LAST_PART, CacheTags::default()),
    ];
    for (range, lines, tags) in parts {
        let request = ask(
            Method::GET,
            if range == "bytes=0-2" {
                &[("range", "bytes=0-2")]
            } else {
                &[("range", "bytes=3-5")]
            },
        );
        node.answered(request, async || {}, tagged(fixed(206, lines, "abc"), tags)).await;
    }
    assert!(node.hits().await);
    node.http.cache().invalidate(Tag::new("a")).await.expect("complete");
    assert!(!node.hits().await);
}
