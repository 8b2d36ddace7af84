//! When an invalidation ends: before the response is released, and even when nobody waits for it.

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};
use cache_axum::{cache_endpoint, invalidate_cache};
use cache_core::minutes;
use cache_tests::clock::Stopwatch;
use cache_tests::{FaultProxy, Gate, Mode, RedisServer, eventually};
use cache_tower::HttpCache;
use tokio::sync::Mutex;

use super::{call, in_memory, on_redis, request};
use crate::setup::{PATIENCE, join};

/// A value that GET shows (through a cache) and POST counts up, each behind a gate of its own.
#[derive(Clone)]
struct Service {
    app: Router,
    value: Arc<Mutex<u64>>,
    /// Before the value is read, and after: what is read may be old by the time it is answered.
    reading: Option<Gate>,
    /// After the value was changed, before the handler ends.
    writing: Gate,
}

impl Service {
    fn new(http: &HttpCache, reading: Option<Gate>) -> Self {
        let (value, writing) = (Arc::new(Mutex::new(0)), Gate::new());
        let (read, held) = (Arc::clone(&value), reading.clone());
        let show = async move || {
            let value = *read.lock().await;
            if let Some(gate) = held {
                gate.pass().await;
            }
            value.to_string()
        };
        let (written, gate) = (Arc::clone(&value), writing.clone());
        let update = async move || {
            *written.lock().await += 1;
            gate.pass().await;
            "updated"
        };
        let layer = invalidate_cache(http, "{workspace_id}:value:*");
        let app = Router::new()
            .route("/value/now", get(show).layer(cache_endpoint(http, minutes(5))))
            .route("/value", post(update).layer(layer));
        Self { app, value, reading, writing }
    }

    async fn shown(&self) -> String {
        super::get(&self.app, "ws1", "/value/now").await.text().to_owned()
    }

    fn update(&self) -> tokio::task::JoinHandle<String> {
        let app = self.app.clone();
        tokio::spawn(async move { super::post(&app, "ws1", "/value").await.text().to_owned() })
    }
}

/// While Redis has not confirmed it, the response is held back; when it comes, the generation is
/// gone from Redis.
#[tokio::test]
async fn the_response_waits_for_redis() {
    let redis = RedisServer::start();
    let network = FaultProxy::start(redis.port()).await;
    let http = on_redis(&redis.url_through(network.port()), "ends");
    let service = Service::new(&http, None);
    service.writing.open_for_good();
    assert_eq!(service.shown().await, "0");
    let generation = "ends:gen:m:api_responses:ws1:value:*";
    let exists = || redis.command(&["EXISTS", generation]).int() == Some(1);
    assert!(exists(), "{:?}", redis.keys("*"));

    network.set(Mode::Hold).await;
    let before = redis.calls("unlink");
    let update = service.update();
    eventually(PATIENCE, "the handler ends", || {
        service.value.try_lock().is_ok_and(|value| *value == 1)
    })
    .await;
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
    assert!(!update.is_finished(), "nobody has confirmed it yet");
    network.set(Mode::Pass).await;
    assert_eq!(join(update).await, "updated");
    assert!(!exists(), "{:?}", redis.keys("*"));
    assert!(redis.calls("unlink") > before);
    assert_eq!(service.shown().await, "1");
}

/// A slow Redis holds it up by its budget, no longer; here it counts at once.
#[tokio::test]
async fn a_redis_that_hangs_holds_the_response_up_by_one_budget() {
    let redis = RedisServer::start();
    let options = cache_core::RedisOptions::url(&redis.url()).unwrap();
    let cache = cache_core::Cache::builder().prefix("hangs").redis(options).build().unwrap();
    let workspace = cache_tower::Workspace::header("x-workspace-id");
    let http = HttpCache::builder(cache).workspace(workspace).build();
    let service = Service::new(&http, None);
    service.writing.open_for_good();
    service.shown().await;
    redis.stop();
    let watch = Stopwatch::start();
    assert_eq!(join(service.update()).await, "updated");
    // 50 ms, and what a busy machine takes
    assert!(watch.elapsed() < PATIENCE / 4, "{:?}", watch.elapsed());
    assert_eq!(service.shown().await, "1");
    redis.kill();
    assert_eq!(join(service.update()).await, "updated");
    assert_eq!(service.shown().await, "2");
}

/// The client leaves while the handler works: it ends, and its invalidation comes.
#[tokio::test]
async fn a_client_that_leaves_within_the_handler_does_not_stop_it() {
    let service = Service::new(&in_memory(), None);
    assert_eq!(service.shown().await, "0");
    let update = service.update();
    tokio::time::timeout(PATIENCE, service.writing.waiting(1)).await.expect("it is reached");
    update.abort();
    assert!(update.await.unwrap_err().is_cancelled());
    assert_eq!(service.shown().await, "0", "the handler has not ended");
    service.writing.open_for_good();
    let fresh = async || (service.shown().await == "1").then_some(());
    cache_tests::wait::eventually_some(PATIENCE, "the invalidation", fresh).await;
}

/// The client leaves while Redis is asked to forget.
#[tokio::test]
async fn a_client_that_leaves_within_the_invalidation_does_not_stop_it() {
    let redis = RedisServer::start();
    let network = FaultProxy::start(redis.port()).await;
    let http = on_redis(&redis.url_through(network.port()), "ends");
    let service = Service::new(&http, None);
    service.shown().await;
    let generation = "ends:gen:m:api_responses:ws1:value:*";
    let exists = || redis.command(&["EXISTS", generation]).int() == Some(1);
    assert!(exists());
    let update = service.update();
    tokio::time::timeout(PATIENCE, service.writing.waiting(1)).await.expect("it is reached");
    network.set(Mode::Hold).await;
    service.writing.open_for_good();
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
    update.abort();
    assert!(update.await.unwrap_err().is_cancelled());
    network.set(Mode::Pass).await;
    eventually(PATIENCE, "Redis forgets", || !exists()).await;
    assert_eq!(service.shown().await, "1");
}

/// A GET that has read the old value and answers after the update: it is not kept.
#[tokio::test]
async fn a_fill_that_began_before_is_not_kept() {
    let redis = RedisServer::start();
    for http in [in_memory(), on_redis(&redis.url(), "fill")] {
        let gate = Gate::new();
        let service = Service::new(&http, Some(gate.clone()));
        service.writing.open_for_good();
        let reader = service.clone();
        let old = tokio::spawn(async move { reader.shown().await });
        tokio::time::timeout(PATIENCE, gate.waiting(1)).await.expect("it is read");
        assert_eq!(join(service.update()).await, "updated");
        // Who asks now does not wait for the old one.
        let reader = service.clone();
        let new = tokio::spawn(async move { reader.shown().await });
        tokio::time::timeout(PATIENCE, gate.waiting(2)).await.expect("it is read again");
        gate.open_for_good();
        assert_eq!((join(old).await.as_str(), join(new).await.as_str()), ("0", "1"));
        assert!(service.reading.is_some());
        for _ in 0..3 {
            assert_eq!(service.shown().await, "1");
        }
    }
}

/// Whoever has the answer to an update sees nothing older, under many at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_never_see_what_was_before_an_update_they_know_of() {
    let redis = RedisServer::start();
    for http in [in_memory(), on_redis(&redis.url(), "many")] {
        let service = Service::new(&http, None);
        service.writing.open_for_good();
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..8 {
            let service = service.clone();
            tasks.spawn(async move {
                for _ in 0..60 {
                    let known = *service.value.lock().await;
                    // All updates up to `known` are made; theirs may not have been answered yet.
                    let updated = super::post(&service.app, "ws1", "/value").await;
                    assert_eq!(updated.text(), "updated");
                    let shown: u64 = service.shown().await.parse().expect("a number");
                    assert!(shown > known, "{shown} after {known} and one more");
                }
            });
        }
        tasks.join_all().await;
        let answer = call(&service.app, request("GET", "/value/now", &[])).await;
        assert_eq!(answer.text(), (8 * 60).to_string());
    }
}
