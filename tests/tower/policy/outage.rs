//! A Redis that hangs: requests are answered, by the origin.

use std::time::Duration;

use cache_core::{Cache, RedisOptions};
use cache_tests::clock::Stopwatch;
use cache_tests::{FaultProxy, Mode, RedisServer, eventually};
use cache_tower::{CacheTags, HttpCache};
use http_body_util::BodyExt;

use super::origin::{App, HIT, Origin, PATIENCE, reply, request, told};

/// A cache behind a proxy; whatever it does not find in Redis comes from the origin.
async fn behind_a_proxy(redis: &RedisServer, origin: &Origin) -> (App, FaultProxy) {
    let proxy = FaultProxy::start(redis.port()).await;
    let options = RedisOptions::url(&redis.url_through(proxy.port())).expect("valid");
    let cache = Cache::builder().l1(false).redis(options).build().expect("valid");
    let app = App::layered(&HttpCache::builder(cache).build(), origin);
    let watch = Stopwatch::start();
    while app.told("/a", &[]).await != HIT {
        assert!(watch.elapsed() < PATIENCE, "no hit before the fault");
    }
    (app, proxy)
}

/// Answered as if there were no cache. Each asks for something else: a write under way would be
/// a fetch to share.
async fn is_answered(app: &App, origin: &Origin) {
    let before = origin.calls();
    let response = app.clone().call(request("GET", &format!("/{before}"), &[])).await;
    assert_eq!(response.status(), 200);
    assert!(told(&response).starts_with("fwd=uri-miss"), "{}", told(&response));
    assert_eq!(origin.calls(), before + 1);
    let body = response.into_body().collect().await.expect("a whole body").to_bytes();
    assert_eq!(&body[..], b"body");
}

fn commands(redis: &RedisServer) -> u64 {
    ["mget", "get", "set", "evalsha", "eval", "del", "unlink"].iter().map(|c| redis.calls(c)).sum()
}

#[tokio::test]
async fn a_hung_redis_delays_few_and_fails_none() {
    for mode in [Mode::Hold, Mode::Blackhole] {
        let redis = RedisServer::start();
        let origin = Origin::fixed(200, &[("cache-control", "max-age=600")], "body");
        let (app, proxy) = behind_a_proxy(&redis, &origin).await;
        proxy.set(mode).await;
        for _ in 0..20 {
            let watch = Stopwatch::start();
            is_answered(&app, &origin).await;
            // The budget is 50 ms; the rest is for a busy machine.
            assert!(watch.elapsed() < Duration::from_secs(2), "{mode:?}");
        }
        // The breaker is open: a thousand budgets would be 50 s.
        let (watch, connections) = (Stopwatch::start(), proxy.connections());
        for _ in 0..1_000 {
            is_answered(&app, &origin).await;
        }
        assert!(watch.elapsed() < Duration::from_secs(10), "{mode:?}: {:?}", watch.elapsed());
        let probes = proxy.connections() - connections;
        assert!(probes < 100, "{mode:?}: {probes} connections");
    }
}

#[tokio::test]
async fn while_the_breaker_is_open_no_commands_are_sent() {
    let redis = RedisServer::start();
    let origin = Origin::fixed(200, &[("cache-control", "max-age=600")], "body");
    let (app, proxy) = behind_a_proxy(&redis, &origin).await;
    let before = commands(&redis);
    proxy.set(Mode::Hold).await;
    for _ in 0..500 {
        is_answered(&app, &origin).await;
    }
    // All that was sent and held arrives now.
    proxy.set(Mode::Pass).await;
    let watch = Stopwatch::start();
    let mut again = 0;
    while app.told("/a", &[]).await != HIT {
        again += 1;
        assert!(watch.elapsed() < PATIENCE, "no hit after the fault");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    eventually(PATIENCE, "commands arrive", || commands(&redis) > before).await;
    let sent = commands(&redis) - before;
    assert!(sent < 50, "{sent} commands for 500 requests, and {again} more");
}

#[tokio::test]
async fn unsafe_requests_are_answered_too() {
    let redis = RedisServer::start();
    let origin = Origin::fixed(200, &[("cache-control", "max-age=600")], "body");
    let (app, proxy) = behind_a_proxy(&redis, &origin).await;
    proxy.set(Mode::Blackhole).await;
    for _ in 0..20 {
        let before = origin.calls();
        let watch = Stopwatch::start();
        let response = app.clone().call(request("POST", "/a", &[])).await;
        assert_eq!((response.status().as_u16(), told(&response).as_str()), (200, "fwd=method"));
        assert!(watch.elapsed() < Duration::from_secs(2));
        assert_eq!(origin.calls(), before + 1);
    }
}

/// However many operations a request takes, with tags and groups and a response to a POST that is
/// to be stored, one budget is for them all.
#[tokio::test]
async fn what_takes_many_operations_waits_no_longer() {
    let redis = RedisServer::start();
    let budget = Duration::from_millis(500);
    for (method, hangs_first) in [("POST", true), ("POST", false), ("GET", true), ("GET", false)] {
        let proxy = FaultProxy::start(redis.port()).await;
        let options = RedisOptions::url(&redis.url_through(proxy.port())).expect("valid");
        let cache = Cache::builder().redis(options).operation_budget(budget).build();
        let http = HttpCache::builder(cache.expect("valid")).store_posts(true).build();
        let (sender, hung) = std::sync::mpsc::channel::<()>();
        let hung = std::sync::Mutex::new(hung);
        let origin = Origin::new(move |request| {
            if request.headers().contains_key("x-wait") {
                hung.lock().expect("not poisoned").recv().expect("a fault");
            }
            let path = request.uri().path();
            let lines = [
                ("cache-control", "max-age=600"),
                ("content-location", path),
                ("cache-groups", "\"g\""),
                ("cache-group-invalidation", "\"h\""),
            ];
            let mut response = reply(200, &lines, "body");
            let tags = CacheTags::new(["a"]).and_in_workspace(["b"]);
            response.extensions_mut().insert(tags);
            response
        });
        let app = App::layered(&http, &origin);
        let watch = Stopwatch::start();
        while app.told("/warm", &[]).await != HIT {
            assert!(watch.elapsed() < PATIENCE, "no hit before the fault");
        }
        let before = origin.calls();
        let lines: &[(&str, &str)] = if hangs_first { &[] } else { &[("x-wait", "1")] };
        let asked = request(method, &format!("/{method}/{hangs_first}"), lines);
        if hangs_first {
            proxy.set(Mode::Hold).await;
        }
        let watch = Stopwatch::start();
        let going = tokio::task::spawn_blocking({
            let (app, handle) = (app.clone(), tokio::runtime::Handle::current());
            move || handle.block_on(app.call(asked))
        });
        if !hangs_first {
            eventually(PATIENCE, "the origin is asked", || origin.calls() > before).await;
            proxy.set(Mode::Hold).await;
            sender.send(()).expect("somebody waits");
        }
        let response = going.await.expect("no panic");
        assert_eq!(response.status(), 200);
        let took = watch.elapsed();
        assert!(took < budget * 2, "{method} {hangs_first}: {took:?} {}", told(&response));
        drop(sender);
    }
}
