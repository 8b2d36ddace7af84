//! One refresh for many, however it ends.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use cache_core::{Clock, seconds};
use cache_tower::{CacheLayer, HttpCache};
use http::{Request, Response};
use tokio::sync::Semaphore;
use tower::{Layer, service_fn};

use super::origin::{App, Body, HIT, Lines, START, memory, reply, request, told};

const STALE_HIT: &str = "hit; detail=stale-while-revalidate";
const WINDOW: Lines<'static> = &[("cache-control", "max-age=10, stale-while-revalidate=20")];

/// An app whose origin answers by the number of the call, the first at once, then each when the
/// test lets it.
fn gated(
    answer: impl Fn(usize) -> Response<Body> + Clone + Send + Sync + 'static,
) -> (App, Arc<Semaphore>, Arc<AtomicUsize>) {
    let http = HttpCache::builder(memory(&Clock::manual(START))).build();
    let (gate, calls) = (Arc::new(Semaphore::new(1)), Arc::<AtomicUsize>::default());
    let origin = service_fn({
        let (gate, calls) = (Arc::clone(&gate), Arc::clone(&calls));
        move |_: Request<Body>| {
            let (gate, call) = (Arc::clone(&gate), calls.fetch_add(1, Ordering::SeqCst));
            let response = answer(call);
            async move {
                gate.acquire().await.expect("open").forget();
                Ok::<_, Infallible>(response)
            }
        }
    });
    (App::of(&http, CacheLayer::new(&http).layer(origin)), gate, calls)
}

#[tokio::test]
async fn a_hundred_stale_answers_cause_one_refresh() {
    let (app, gate, calls) = gated(|call| reply(200, WINDOW, &call.to_string()));
    app.get("/a", &[]).await;
    app.clock.advance(seconds(11));
    for _ in 0..100 {
        let response = app.clone().call(request("GET", "/a", &[])).await;
        assert_eq!(told(&response), STALE_HIT);
    }
    gate.add_permits(1);
    // Waits for the refresh.
    assert_eq!(app.get("/a", &[]).await.status(), 200);
    assert_eq!(app.told("/a", &[]).await, HIT);
    assert_eq!(calls.load(Ordering::SeqCst), 2);
}

/// A handler that hangs kept the response from ever being refreshed again.
#[tokio::test(start_paused = true)]
async fn a_refresh_that_hangs_is_given_up() {
    let clock = Clock::manual(START);
    let http = HttpCache::builder(memory(&clock)).build();
    let calls = Arc::<AtomicUsize>::default();
    let origin = service_fn({
        let calls = Arc::clone(&calls);
        move |_: Request<Body>| {
            let call = calls.fetch_add(1, Ordering::SeqCst);
            async move {
                if call == 1 {
                    std::future::pending::<()>().await;
                }
                let lines = &[("cache-control", "max-age=10, stale-while-revalidate=600")];
                Ok::<_, Infallible>(reply(200, lines, ""))
            }
        }
    });
    let app = App::of(&http, CacheLayer::new(&http).layer(origin));
    app.get("/a", &[]).await;
    clock.advance(seconds(11));
    let hanging = app.clone().call(request("GET", "/a", &[])).await;
    assert_eq!(told(&hanging), STALE_HIT);
    tokio::time::sleep(seconds(61)).await;
    assert_eq!(http.cache().background().running(), 0);
    clock.advance(seconds(2));
    assert_eq!(app.told("/a", &[]).await, STALE_HIT);
    assert_eq!((app.told("/a", &[]).await.as_str(), calls.load(Ordering::SeqCst)), (HIT, 3));
}

/// What was stale and in memory looked as if another request had just fetched it: nobody led, and
/// all went to the origin.
#[tokio::test]
async fn those_who_would_not_have_it_stale_share_one_fetch() {
    let (app, gate, calls) = gated(|call| {
        let lines = &[("cache-control", "max-age=10"), ("etag", "\"a\"")];
        reply(if call == 0 { 200 } else { 304 }, lines, "body")
    });
    app.get("/a", &[]).await;
    app.clock.advance(seconds(11));
    let ask = || tokio::spawn(app.clone().call(request("GET", "/a", &[])));
    let herd: Vec<_> = (0..100).map(|_| ask()).collect();
    while calls.load(Ordering::SeqCst) < 2 {
        tokio::task::yield_now().await;
    }
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
    assert_eq!(calls.load(Ordering::SeqCst), 2);
    gate.add_permits(100);
    let mut all: Vec<String> = Vec::new();
    for going in herd {
        let response = going.await.expect("no panic");
        assert_eq!(response.status(), 200);
        all.push(told(&response));
    }
    assert_eq!(all.iter().filter(|told| *told == "fwd=stale; fwd-status=304").count(), 1);
    assert_eq!(all.iter().filter(|told| *told == HIT).count(), 99);
    assert_eq!(calls.load(Ordering::SeqCst), 2);
}

/// A refresh that panicked was begun again by every request.
#[tokio::test]
async fn a_refresh_that_panics_rests_too() {
    let (app, gate, calls) = gated(|call| {
        assert!(call != 1, "the scripted handler panics here");
        reply(200, WINDOW, "")
    });
    gate.add_permits(9);
    app.get("/a", &[]).await;
    app.clock.advance(seconds(11));
    for _ in 0..5 {
        assert_eq!(app.told("/a", &[]).await, STALE_HIT);
    }
    assert_eq!(calls.load(Ordering::SeqCst), 2);
}

/// Those who had waited for a refresh that failed went to the failing origin one and all.
#[tokio::test]
async fn who_waits_for_a_refresh_that_fails_is_given_the_stale_one() {
    const LINES: Lines<'static> =
        &[("cache-control", "max-age=10, stale-while-revalidate=60, stale-if-error=60")];
    let (app, gate, calls) = gated(|call| reply(if call == 0 { 200 } else { 503 }, LINES, ""));
    app.get("/a", &[]).await;
    app.clock.advance(seconds(11));
    let stale = app.clone().call(request("GET", "/a", &[])).await;
    assert_eq!(told(&stale), STALE_HIT);
    while calls.load(Ordering::SeqCst) < 2 {
        tokio::task::yield_now().await;
    }
    let strict = [("cache-control", "max-age=60")];
    let ask = || tokio::spawn(app.clone().call(request("GET", "/a", &strict)));
    let waiting: Vec<_> = (0..20).map(|_| ask()).collect();
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
    gate.add_permits(100);
    for going in waiting {
        assert_eq!(
            told(&going.await.expect("no panic")),
            "fwd=stale; fwd-status=503; detail=stale-if-error"
        );
    }
    assert_eq!(calls.load(Ordering::SeqCst), 2);
}
