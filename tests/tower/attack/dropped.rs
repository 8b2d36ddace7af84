//! Requests dropped after any number of polls, beside others, over a store that takes its time.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use cache_core::store::{BoxFuture, MemoryStore, ScanStep, WriteBatch, Written};
use cache_core::{Cache, Clock, Deadline, Error, Millis, Store, minutes};
use cache_tests::body;
use cache_tower::{BodyError, CacheLayer, HttpCache, InvalidateLayer};
use http::{Request, Response};
use http_body::Body as _;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty};
use tower::util::BoxCloneSyncService;
use tower::{Layer, Service, ServiceExt};

use crate::setup::{Ask, Down, LIMIT, at_rest, fresh, origin};

/// A store in memory whose every answer takes a few polls.
#[derive(Debug)]
struct Slow(MemoryStore);

async fn a_few_polls() {
    for _ in 0..2 {
        tokio::task::yield_now().await;
    }
}

/// Delegates to the store after a few polls, and answers after a few more.
macro_rules! slowly {
    ($($name:ident($($argument:ident: $type:ty),*) -> $output:ty;)*) => { $(
        fn $name<'a>(&'a self, $($argument: $type,)* by: Deadline) -> BoxFuture<'a, $output> {
            Box::pin(async move {
                a_few_polls().await;
                let output = self.0.$name($($argument,)* by).await;
                a_few_polls().await;
                output
            })
        }
    )* };
}

impl Store for Slow {
    slowly! {
        fetch(keys: &'a [&'a str]) -> Result<Vec<Option<Bytes>>, Error>;
        write(batch: WriteBatch<'a>) -> Result<Written, Error>;
        create(entries: &'a [(&'a str, String)], keep: Millis) -> Result<Vec<Option<Bytes>>, Error>;
        remove(keys: &'a [&'a str]) -> Result<u64, Error>;
        remove_values(keys: &'a [&'a str]) -> Result<u64, Error>;
        scan(glob: &'a str, cursor: u64) -> Result<ScanStep, Error>;
    }

    fn ping(&self, deadline: Deadline) -> BoxFuture<'_, Result<(), Error>> {
        self.0.ping(deadline)
    }

    fn name(&self) -> &'static str {
        "slow"
    }
}

type App = BoxCloneSyncService<Ask, Response<UnsyncBoxBody<Bytes, BodyError>>, Down>;

fn app(l1: bool) -> (HttpCache, App) {
    let clock = Clock::manual(1_800_000_000_000);
    let store = Arc::new(Slow(MemoryStore::new(clock.clone())));
    let cache = Cache::builder().store(store).l1(l1).clock(clock).operation_budget(minutes(1));
    let http = HttpCache::builder(cache.build().expect("valid")).build();
    let (origin, mut calls) = origin();
    tokio::spawn(async move {
        loop {
            let call = calls.next().await;
            a_few_polls().await;
            let mut response = fresh(body::gated(&open(), ["he", "l", "lo"]));
            response.headers_mut().insert("vary", http::HeaderValue::from_static("accept"));
            call.answer(response);
        }
    });
    let inner = InvalidateLayer::new(&http, "{workspace_id}:a:*").layer(origin);
    let app = CacheLayer::new(&http).layer(inner);
    let app = app.map_response(|response: Response<_>| response.map(BodyExt::boxed_unsync));
    (http, BoxCloneSyncService::new(app))
}

fn open() -> cache_tests::Gate {
    let gate = cache_tests::Gate::new();
    gate.open_for_good();
    gate
}

fn request(method: &str) -> Ask {
    let request = Request::builder().method(method).uri("/a").header("host", "shop.example");
    request.header("x-workspace-id", "ws1").body(Empty::new()).expect("valid")
}

/// Polls a request and then its body, so often; true if that was to the end.
async fn dropped_after(app: &App, request: Ask, polls: usize) -> bool {
    let mut context = Context::from_waker(Waker::noop());
    let mut request = Box::pin(app.clone().call(request));
    let mut body = None;
    for _ in 0..polls {
        match &mut body {
            None => {
                if let Poll::Ready(response) = request.as_mut().poll(&mut context) {
                    body = Some(Box::pin(response.expect("no error").into_body()));
                }
            }
            Some(body) => {
                if let Poll::Ready(None) = body.as_mut().poll_frame(&mut context) {
                    return true;
                }
            }
        }
        tokio::task::yield_now().await;
    }
    false
}

async fn whole(app: &App, method: &str) -> Bytes {
    let all = async {
        let response: Response<_> = app.clone().oneshot(request(method)).await.expect("no error");
        response.into_body().collect().await.expect("a whole body").to_bytes()
    };
    tokio::time::timeout(LIMIT, all).await.expect("in time")
}

async fn after_any_number_of_polls(l1: bool, method: &str) {
    let mut ended = false;
    for polls in 0..200 {
        let (http, app) = app(l1);
        let beside = tokio::spawn({
            let app = app.clone();
            async move { whole(&app, "GET").await }
        });
        for _ in 0..polls % 7 {
            tokio::task::yield_now().await;
        }
        ended = dropped_after(&app, request(method), polls).await;
        assert_eq!(beside.await.expect("no panic"), "hello", "after {polls} polls");
        assert_eq!(whole(&app, "GET").await, "hello", "after {polls} polls");
        at_rest(&http).await;
        assert_eq!(whole(&app, "GET").await, "hello", "after {polls} polls");
        at_rest(&http).await;
        let stats = http.stats();
        assert_eq!(stats.hits + stats.misses + stats.bypasses, 4, "{polls} polls, {stats:?}");
        if ended {
            break;
        }
    }
    assert!(ended, "the longest came to its end");
}

#[tokio::test]
async fn reads_with_l1() {
    after_any_number_of_polls(true, "GET").await;
}

#[tokio::test]
async fn reads_without_l1() {
    after_any_number_of_polls(false, "GET").await;
}

#[tokio::test]
async fn heads() {
    after_any_number_of_polls(false, "HEAD").await;
}

#[tokio::test]
async fn writes() {
    after_any_number_of_polls(true, "POST").await;
    after_any_number_of_polls(false, "POST").await;
}
