//! Tags that a handler gives its responses.

use cache_core::{Cache, Clock, Partition, RedisOptions, Tag, minutes, seconds};
use cache_tests::RedisServer;
use cache_tests::body::{channel, full, respond};
use cache_tower::{CacheTags, HttpCache};
use http::{Request, Response};

use super::origin::{
    App, Body, HIT, Lines, MISS, Origin, START, in_redis, memory, reply, request, told,
};
use crate::setup;

const FRESH: Lines<'static> = &[("cache-control", "max-age=60")];
pub(super) const WS: Lines<'static> = &[("x-workspace-id", "ws1")];
pub(super) const CONFIRMED: &str = "fwd=stale; fwd-status=304";

pub(super) fn tagged<B>(mut response: Response<B>, tags: CacheTags) -> Response<B> {
    response.extensions_mut().insert(tags);
    response
}

/// `?a,b;c`: the global tags `a` and `b`, and `c` of the workspace.
pub(super) fn tags_of(request: &Request<Body>) -> CacheTags {
    let query = request.uri().query().unwrap_or_default();
    let (global, own) = query.split_once(';').unwrap_or((query, ""));
    let [global, own] = [global, own].map(|tags| tags.split(',').filter(|tag| !tag.is_empty()));
    CacheTags::new(global).and_in_workspace(own)
}

/// Answers with the tags in the query.
fn tagging(lines: Lines<'static>) -> Origin {
    Origin::new(move |request| tagged(reply(200, lines, "body"), tags_of(request)))
}

pub(super) async fn invalidate(app: &App, tag: Tag) {
    app.http.cache().invalidate(tag).await.expect("complete");
}

#[tokio::test]
async fn a_response_goes_with_any_of_its_tags_and_no_other() {
    let redis = RedisServer::start();
    let clock = Clock::manual(START);
    for cache in [memory(&clock), in_redis(&redis, &clock)] {
        let http = HttpCache::builder(cache).build();
        let origin = tagging(FRESH);
        for app in [App::layered(&http, &origin), App::endpoint(&http, minutes(1), &origin)] {
            let all = ["/a?a,b", "/b?b;c", "/c?;c,d", "/d", "/e?c"];
            for (tag, gone) in [
                (Tag::new("a"), &["/a?a,b"][..]),
                (Tag::new("b"), &["/a?a,b", "/b?b;c"]),
                (Tag::new("c"), &["/e?c"]),
                (Tag::in_workspace("ws1", "c"), &["/b?b;c", "/c?;c,d"]),
                (Tag::in_workspace("ws2", "c"), &[]),
                (Tag::in_partition(Partition::Shared, "c"), &[]),
                (Tag::in_workspace("ws1", "a"), &[]),
                (Tag::new("d"), &[]),
            ] {
                for uri in all {
                    app.get(uri, WS).await;
                    assert_eq!(app.told(uri, WS).await, HIT, "{uri}");
                }
                invalidate(&app, tag.clone()).await;
                for uri in all {
                    let expected = if gone.contains(&uri) { MISS } else { HIT };
                    assert_eq!(app.told(uri, WS).await, expected, "{uri} after {tag:?}");
                }
            }
            // Of what belongs to no workspace.
            assert_eq!(app.told("/c?;c", &[]).await, MISS);
            invalidate(&app, Tag::in_workspace("ws1", "c")).await;
            assert_eq!(app.told("/c?;c", &[]).await, HIT);
            invalidate(&app, Tag::in_partition(Partition::Shared, "c")).await;
            assert_eq!(app.told("/c?;c", &[]).await, MISS);
        }
    }
}

#[tokio::test]
async fn a_response_with_too_many_or_too_long_tags_is_not_stored() {
    let numbered = |count: usize| (0..count).map(|n| n.to_string());
    let refused = "fwd=uri-miss; detail=tags";
    for (tags, expected) in [
        (CacheTags::new(numbered(64)), MISS),
        (CacheTags::new(numbered(32)).and_in_workspace(numbered(33)), refused),
        (CacheTags::in_workspace(["x".repeat(256)]), MISS),
        (CacheTags::in_workspace(["x".repeat(257)]), refused),
    ] {
        let origin = Origin::new(move |_| tagged(reply(200, FRESH, ""), tags.clone()));
        assert_eq!(App::new(&origin).told("/a", &[]).await, expected);
    }
}

/// How far a response has come when its tag is invalidated.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Step {
    /// The origin has been asked.
    Asked,
    /// The head has gone to the client.
    Head,
    /// The body has, too.
    Whole,
}

/// A response to one request through `cache`, whose tag `writer` invalidates at this step.
async fn overtaken(cache: &Cache, writer: &Cache, tag: &Tag, step: Step) {
    let http = &setup::http(cache);
    let at = format!("{tag:?} {step:?}");
    let invalidate = async |now| {
        if step == now {
            writer.invalidate(tag.clone()).await.expect("complete");
        }
    };
    let (app, mut calls) = setup::app(http);
    let get = || {
        let mut request = setup::get("/a");
        request.headers_mut().insert("x-workspace-id", http::HeaderValue::from_static("ws1"));
        setup::send(&app, request)
    };
    let tags = || CacheTags::new(["a"]).and_in_workspace(["a"]);
    let first = get();
    let call = calls.next().await;
    invalidate(Step::Asked).await;
    let (body, arriving) = channel();
    call.answer(tagged(respond(200, FRESH, arriving), tags()));
    let first = setup::head(first).await;
    let overtaken = step == Step::Asked;
    let expected = if overtaken { "fwd=uri-miss; detail=overtaken" } else { MISS };
    assert_eq!(setup::cache_status(&first), expected, "{at}");
    invalidate(Step::Head).await;
    body.send("old").await;
    drop(body);
    assert_eq!(setup::whole(first).await.expect("whole"), "old");
    invalidate(Step::Whole).await;
    setup::at_rest(http).await;

    // Whoever has not heard of the invalidation loses one response more.
    let mut answers = Vec::new();
    for body in ["new", "newer"] {
        let next = get();
        calls.next().await.answer(tagged(respond(200, FRESH, full(body)), tags()));
        let next = setup::head(next).await;
        answers.push(setup::cache_status(&next).to_owned());
        assert_eq!(setup::whole(next).await.expect("whole"), body, "{at}");
        setup::at_rest(http).await;
        if answers.last().is_some_and(|told| told == MISS) {
            break;
        }
    }
    assert_eq!(answers.last().map(String::as_str), Some(MISS), "{at} {answers:?}");
    let hit = setup::head(get()).await;
    assert_eq!(setup::cache_status(&hit), "hit", "{at}");
    // By itself, so that the next round begins as this one did.
    cache.invalidate(Tag::new("a")).await.expect("complete");
}

const STEPS: [Step; 3] = [Step::Asked, Step::Head, Step::Whole];

#[tokio::test]
async fn what_is_invalidated_while_it_is_made_is_not_kept() {
    let redis = RedisServer::start();
    let clock = Clock::manual(START);
    for cache in [memory(&clock), in_redis(&redis, &clock)] {
        for tag in [Tag::new("a"), Tag::in_workspace("ws1", "a")] {
            for step in STEPS {
                overtaken(&cache, &cache, &tag, step).await;
            }
        }
    }
}

#[tokio::test]
async fn nor_what_another_node_invalidates() {
    let redis = RedisServer::start();
    let clock = Clock::manual(START);
    let node = || in_redis(&redis, &clock);
    let (cache, writer) = (node(), node());
    for tag in [Tag::new("a"), Tag::in_workspace("ws1", "a")] {
        for step in STEPS {
            overtaken(&cache, &writer, &tag, step).await;
        }
    }
}

#[tokio::test]
async fn those_who_wait_get_it_and_those_who_come_after_the_invalidation_do_not() {
    let http = setup::http(&setup::memory());
    let (app, mut calls) = setup::app(&http);
    let leader = setup::send(&app, setup::get("/a"));
    let making = calls.next().await;
    let follower = setup::send(&app, setup::get("/a"));
    setup::settle().await;
    http.cache().invalidate(Tag::new("other")).await.expect("complete");
    let late = setup::send(&app, setup::get("/a"));
    let later = calls.next().await;
    let tags = || CacheTags::new(["a"]);
    making.answer(tagged(respond(200, FRESH, full("old")), tags()));
    later.answer(tagged(respond(200, FRESH, full("new")), tags()));
    // It is not stored, so it is not for sharing; who waited for it goes too.
    assert_eq!(setup::cache_status(&setup::head(leader).await), "fwd=uri-miss; detail=overtaken");
    let late = setup::head(late).await;
    assert_eq!(setup::cache_status(&late), MISS);
    assert_eq!(setup::whole(late).await.expect("whole"), "new");
    let answer = tokio::spawn(async move {
        while let Ok(call) = tokio::time::timeout(setup::LIMIT, calls.next()).await {
            call.answer(tagged(respond(200, FRESH, full("new")), CacheTags::new(["a"])));
        }
    });
    assert_eq!(setup::whole(setup::head(follower).await).await.expect("whole"), "new");
    answer.abort();

    // Of one that is stored, all have the tags.
    let http = setup::http(&setup::memory());
    let (app, mut calls) = setup::app(&http);
    let going = [setup::send(&app, setup::get("/a")), setup::send(&app, setup::get("/a"))];
    let call = calls.next().await;
    setup::settle().await;
    call.answer(tagged(respond(200, FRESH, full("one")), tags()));
    for going in going {
        assert_eq!(setup::whole(setup::head(going).await).await.expect("whole"), "one");
    }
    setup::at_rest(&http).await;
    http.cache().invalidate(Tag::new("a")).await.expect("complete");
    let next = setup::send(&app, setup::get("/a"));
    calls.next().await.answer(respond(200, FRESH, full("two")));
    assert_eq!(setup::cache_status(&setup::head(next).await), MISS);
}

/// An origin that confirms what is asked for, whose 304 has these tags.
fn confirming(again: Option<CacheTags>) -> Origin {
    Origin::new(move |request| {
        let lines = [FRESH, &[("etag", "\"one\"")]].concat();
        if request.headers().contains_key("if-none-match") {
            let confirmed = reply(304, &lines, "");
            return again
                .clone()
                .map_or_else(|| confirmed, |tags| tagged(reply(304, &lines, ""), tags));
        }
        tagged(reply(200, &lines, "body"), CacheTags::new(["a"]).and_in_workspace(["b"]))
    })
}

#[tokio::test]
async fn a_304_keeps_the_tags_or_replaces_them() {
    for (again, stays, goes) in [
        (None, "c", "a"),
        (Some(CacheTags::default()), "c", "a"),
        (Some(CacheTags::new(["c"])), "a", "c"),
    ] {
        let app = App::new(&confirming(again.clone()));
        assert_eq!(app.told("/a", WS).await, MISS);
        for _ in 0..2 {
            app.clock.advance(minutes(2));
            assert_eq!(app.told("/a", WS).await, CONFIRMED);
            invalidate(&app, Tag::new(stays)).await;
            assert_eq!(app.told("/a", WS).await, HIT, "{again:?}");
        }
        let expected = if stays == "c" { MISS } else { HIT };
        invalidate(&app, Tag::in_workspace("ws1", "b")).await;
        assert_eq!(app.told("/a", WS).await, expected, "{again:?}");
        invalidate(&app, Tag::new(goes)).await;
        assert_eq!(app.told("/a", WS).await, MISS, "{again:?}");
    }
    let long = CacheTags::new(["x".repeat(257)]);
    let app = App::new(&confirming(Some(long)));
    app.get("/a", &[]).await;
    app.clock.advance(minutes(2));
    assert_eq!(app.told("/a", &[]).await, CONFIRMED);
    assert_eq!(app.told("/a", &[]).await, MISS, "it is not kept without them");
}

#[tokio::test]
async fn a_head_keeps_the_tags_too() {
    let app = App::new(&confirming(None));
    app.get("/a", &[]).await;
    app.clock.advance(minutes(2));
    app.send(request("HEAD", "/a", &[])).await;
    assert_eq!(app.told("/a", &[]).await, HIT);
    invalidate(&app, Tag::new("a")).await;
    assert_eq!(app.told("/a", &[]).await, MISS);
}

#[tokio::test]
async fn a_refresh_in_the_background_gives_the_tags_of_its_own_response() {
    let lines = &[("cache-control", "max-age=10, stale-while-revalidate=100")];
    let calls = std::sync::atomic::AtomicUsize::new(0);
    let origin = Origin::new(move |_| {
        let call = calls.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        tagged(reply(200, lines, "body"), CacheTags::new([format!("call {call}")]))
    });
    let app = App::new(&origin);
    assert_eq!(app.told("/a", &[]).await, MISS);
    app.clock.advance(seconds(11));
    assert_eq!(app.told("/a", &[]).await, "hit; detail=stale-while-revalidate");
    invalidate(&app, Tag::new("call 0")).await;
    assert_eq!(app.told("/a", &[]).await, HIT);
    invalidate(&app, Tag::new("call 1")).await;
    assert_eq!(app.told("/a", &[]).await, MISS);
}

#[tokio::test]
async fn each_variant_has_its_own_tags() {
    let origin = Origin::new(|request| {
        let language = request.headers()["accept-language"].to_str().expect("text").to_owned();
        let lines = [FRESH, &[("vary", "accept-language")]].concat();
        tagged(reply(200, &lines, &language), CacheTags::new([language]))
    });
    let app = App::new(&origin);
    let (german, english) = (&[("accept-language", "de")], &[("accept-language", "en")]);
    for lines in [german, english] {
        app.get("/a", lines).await;
        assert_eq!(app.told("/a", lines).await, HIT);
    }
    invalidate(&app, Tag::new("de")).await;
    assert_eq!(app.told("/a", english).await, HIT);
    assert_ne!(app.told("/a", german).await, HIT);
}

#[tokio::test]
async fn parts_have_the_tags_of_the_whole() {
    let redis = RedisServer::start();
    let clock = Clock::manual(START);
    for cache in [memory(&clock), in_redis(&redis, &clock)] {
        let origin = Origin::new(|request| {
            let range = request.headers()["range"].to_str().expect("text");
            let first = range == "bytes=0-1";
            let place = if first { "bytes 0-1/4" } else { "bytes 2-3/4" };
            let lines = [FRESH, &[("etag", "\"one\""), ("content-range", place)]].concat();
            let part = reply(206, &lines, "ab");
            // What is known needs not be said again.
            if first { tagged(part, CacheTags::new(["a"])) } else { part }
        });
        let http = HttpCache::builder(cache).combine_partial(true).build();
        let app = App::layered(&http, &origin);
        let part = async |range| app.told("/a", &[("range", range)]).await;
        assert_eq!(part("bytes=0-1").await, MISS);
        invalidate(&app, Tag::new("a")).await;
        assert_eq!(part("bytes=0-1").await, MISS);
        assert_eq!(part("bytes=2-3").await, "fwd=partial; stored");
        assert_eq!(app.told("/a", &[]).await, HIT);
        invalidate(&app, Tag::new("a")).await;
        assert_eq!(part("bytes=2-3").await, MISS);
    }
}

#[tokio::test]
async fn of_two_caches_the_inner_one_takes_them() {
    let http = HttpCache::builder(memory(&Clock::manual(START))).build();
    let inner = App::endpoint(&http, minutes(1), &tagging(&[]));
    let both = {
        use tower::Layer;
        let service = tower::service_fn(move |request| {
            let inner = inner.clone();
            async move { Ok::<_, std::convert::Infallible>(inner.call(request).await) }
        });
        App::of(&http, cache_tower::CacheLayer::new(&http).layer(service))
    };
    for expected in [MISS, HIT] {
        let response = both.get("/a?a", &[]).await;
        assert_eq!(told(&response), expected);
    }
    invalidate(&both, Tag::new("a")).await;
    assert_eq!(both.told("/a?a", &[]).await, MISS);
}

/// A node that keeps nothing of a response's tags in memory still finds them in Redis.
#[tokio::test]
async fn another_node_checks_the_tags_of_what_it_reads() {
    let redis = RedisServer::start();
    let clock = Clock::manual(START);
    let node = || {
        let options = RedisOptions::url(&redis.url()).expect("valid");
        let builder = Cache::builder().prefix("p").redis(options).clock(clock.clone());
        let cache = builder.operation_budget(seconds(10)).build().expect("valid");
        App::layered(
            &HttpCache::builder(cache).build(),
            &tagging(&[("cache-control", "max-age=600")]),
        )
    };
    let nodes = [node(), node()];
    assert_eq!(nodes[0].told("/a?a;b", WS).await, MISS);
    assert_eq!(nodes[1].told("/a?a;b", WS).await, HIT);
    for tag in [Tag::new("a"), Tag::in_workspace("ws1", "b")] {
        invalidate(&nodes[1], tag).await;
        assert_ne!(nodes[1].told("/a?a;b", WS).await, HIT);
        // What is in the other's memory is checked again after `l1_ttl`.
        clock.advance(seconds(6));
        let _ = nodes[0].told("/a?a;b", WS).await;
        assert_eq!(nodes[0].told("/a?a;b", WS).await, HIT);
    }
}
