//! The Tower contract: the service inside is called only when that very clone is ready.

use std::convert::Infallible;
use std::future::{Ready, poll_fn, ready};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use cache_tests::body::{self, Body};
use cache_tower::{CacheLayer, CacheService, HttpCache};
use http::{Method, Request, Response};
use http_body_util::Empty;
use tower::{Layer, Service, ServiceExt};

use crate::setup::{Ask, at_rest, cache_status, fresh, get, memory, settle};

/// Panics when it is called without having been ready; clones are not.
#[derive(Debug)]
struct Strict {
    ready: bool,
    open: Arc<AtomicBool>,
}

impl Clone for Strict {
    fn clone(&self) -> Self {
        Self { ready: false, open: Arc::clone(&self.open) }
    }
}

impl Service<Ask> for Strict {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        if !self.open.load(Ordering::SeqCst) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Ask) -> Self::Future {
        assert!(std::mem::take(&mut self.ready), "called without being ready");
        ready(Ok(fresh(body::full("hello"))))
    }
}

fn app() -> (HttpCache, CacheService<Strict>, Arc<AtomicBool>) {
    let http = HttpCache::builder(memory()).wait_timeout(Duration::from_secs(60)).build();
    let open = Arc::new(AtomicBool::new(true));
    let strict = Strict { ready: false, open: Arc::clone(&open) };
    let app = CacheLayer::new(&http).layer(strict);
    (http, app, open)
}

fn request(method: Method, path: &str) -> Ask {
    let request = Request::builder().method(method).uri(path).header("host", "shop.example");
    request.body(Empty::new()).expect("valid")
}

#[tokio::test]
async fn the_clone_that_was_ready_is_the_one_that_is_called() {
    let (http, mut app, _) = app();
    // A miss, a bypass, an unsafe method, a miss of HEAD; each more than once, by one service.
    for round in 0..3 {
        for method in [Method::GET, Method::OPTIONS, Method::POST, Method::HEAD] {
            let path = format!("/{round}");
            let ready = app.ready().await.expect("infallible");
            let response = ready.call(request(method, &path)).await.expect("infallible");
            drop(response);
        }
    }
    at_rest(&http).await;
}

#[tokio::test]
async fn hits_do_not_wait_for_a_service_that_is_not_ready() {
    let (http, mut app, open) = app();
    drop(app.clone().oneshot(get("/hit")).await);
    at_rest(&http).await;
    open.store(false, Ordering::SeqCst);
    let missing = tokio::spawn(app.clone().oneshot(get("/miss")));
    settle().await;
    poll_fn(|context| app.poll_ready(context)).await.expect("always ready");
    let hit = app.call(get("/hit")).await.expect("infallible");
    assert_eq!(cache_status(&hit), "hit");
    assert!(!missing.is_finished());
    open.store(true, Ordering::SeqCst);
    let response = missing.await.expect("no panic").expect("infallible");
    assert_eq!(cache_status(&response), "fwd=uri-miss; stored");
    drop(response);
    at_rest(&http).await;
}
