//! What ends and renews what is stored, and what is shared meanwhile.

use std::convert::Infallible;

use cache_core::{Clock, Scope, seconds};
use cache_tests::body::{self, full};
use cache_tests::{Gate, RedisServer};
use cache_tower::{CacheLayer, HttpCache, InvalidateLayer};
use http::Request;
use tower::{Layer, ServiceExt, service_fn};

use super::super::origin::in_redis;
use super::*;

#[tokio::test]
async fn unsafe_requests_end_all_contents() {
    let app = App::new(FRESH);
    for (method, uri, lines) in [
        ("POST", "/a", &[][..]),
        ("PUT", "/a", &[]),
        ("DELETE", "/a", &[]),
        ("PURGE", "/a", &[("cache-control", "no-store")]),
    ] {
        for content in ["one", "two"] {
            assert_ne!(app.told(content, &[]).await, HIT);
            assert_eq!(app.told(content, &[]).await, HIT);
        }
        app.send(request(method, uri, lines, full(""))).await;
        assert_eq!(app.told("one", &[]).await, MISS, "{method}");
        assert_eq!(app.told("two", &[]).await, OTHER, "{method}");
        app.send(request(method, uri, lines, full(""))).await;
    }
}

#[tokio::test]
async fn what_unsafe_responses_name_ends_too() {
    for name in ["location", "content-location"] {
        let http = with_queries(HttpCache::builder(memory(&Clock::manual(START))));
        let service =
            CacheLayer::new(&http).layer(service_fn(move |request: Request<Body>| async move {
                let lines = if request.method() == "QUERY" { FRESH } else { &[(name, "/a")] };
                Ok::<_, Infallible>(body::fixed(200, lines, "body"))
            }));
        let send = async |request| {
            let Ok(response) = service.clone().oneshot(request).await;
            told(&whole(&http, response).await)
        };
        send(query("/a", &[], full("one"))).await;
        assert_eq!(send(query("/a", &[], full("one"))).await, HIT);
        send(request("POST", "/b", &[], full(""))).await;
        assert_eq!(send(query("/a", &[], full("one"))).await, MISS, "{name}");
    }
}

#[tokio::test]
async fn patterns_and_workspaces_end_it() {
    let http = with_queries(HttpCache::builder(memory(&Clock::manual(START))));
    let pattern = InvalidateLayer::new(&http, "{workspace_id}:a:*");
    let app = App::of(&http, &Origin::new(FRESH));
    let ours: Lines<'_> = &[("x-workspace-id", "ours")];
    for by_pattern in [true, false] {
        for content in ["one", "two"] {
            app.told(content, ours).await;
            assert_eq!(app.told(content, ours).await, HIT);
        }
        if by_pattern {
            let writing = pattern.layer(service_fn(async |_: Request<Body>| {
                Ok::<_, Infallible>(body::fixed(200, &[], ""))
            }));
            let Ok(_) = writing.oneshot(request("POST", "/b", ours, full(""))).await;
        } else {
            http.cache().invalidate(Scope::workspace("ours")).await.expect("memory");
        }
        assert_eq!(app.told("one", ours).await, MISS);
        assert_eq!(app.told("two", ours).await, OTHER);
    }
}

#[tokio::test]
async fn a_refresh_sends_the_content_again() {
    let app = App::new(&[("cache-control", "max-age=10, stale-while-revalidate=20")]);
    app.told("one", &[]).await;
    app.clock.advance(seconds(11));
    assert_eq!(app.told("one", &[]).await, "hit; detail=stale-while-revalidate");
    assert_eq!(app.origin.calls(), 2);
    assert_eq!(app.origin.last(|seen| seen.method.clone()), "QUERY");
    assert_eq!(app.origin.last(|seen| seen.content.clone()), Ok("one".into()));
    let refreshed = app.send(query("/a", &[], full("one"))).await;
    assert_eq!((told(&refreshed).as_str(), refreshed.body().as_ref()), (HIT, &b"2one"[..]));
}

#[tokio::test]
async fn equal_queries_share_one_fetch() {
    let gate = Gate::new();
    let mut origin = Origin::new(FRESH);
    origin.gate = Some(gate.clone());
    let app = App::over(&origin);
    // In the store there is a marker, so that other content does not wait.
    gate.open(1);
    app.told("other", &[]).await;
    let going: Vec<_> = (0..20).map(|_| app.start(query("/a", &[], full("one")))).collect();
    gate.waiting(1).await;
    gate.open_for_good();
    let mut collapsed = 0;
    for going in going {
        let told = told(&ended(&app.http, going).await);
        collapsed += usize::from(told.ends_with("; collapsed"));
    }
    assert_eq!((origin.calls(), collapsed), (2, 19));
}

#[tokio::test]
async fn two_instances_on_redis_share_and_invalidate_it() {
    let redis = RedisServer::start();
    let clock = Clock::manual(START);
    let instance = || {
        let http = with_queries(HttpCache::builder(in_redis(&redis, &clock)));
        App::of(&http, &Origin::new(FRESH))
    };
    let (a, b) = (instance(), instance());
    assert_eq!(a.told("one", &[]).await, MISS);
    assert_eq!(b.told("one", &[]).await, HIT);
    assert_eq!(b.told("two", &[]).await, OTHER);
    b.send(request("POST", "/a", &[], full(""))).await;
    assert_eq!(a.told("one", &[]).await, MISS);
    assert_eq!(a.told("two", &[]).await, OTHER);
    assert_eq!((a.origin.calls(), b.origin.calls()), (3, 2));
}
