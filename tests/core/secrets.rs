//! Passwords appear in nothing that is printed.

use cache_core::metrics::Exporter;
use cache_core::{Cache, Clock, Error, RedisOptions, RedisStore};
use cache_tests::{Answer, FakeRedis, RedisServer};
use metrics_exporter_prometheus::PrometheusBuilder;
use std::fmt::Write as _;

use crate::audit::{all_said, listen};
use crate::recovery::{broken, healed};
use crate::setup::{on, options, text};

const SECRET: &str = "p4ssw0rd";

fn assert_silent(what: &str, shown: &str) {
    assert!(!shown.contains(SECRET), "{what} shows the password: {shown}");
}

fn chain(error: &Error) -> String {
    let mut text = format!("{error} {error:?} {error:#?}");
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        text = format!("{text} {error} {error:?}");
        source = error.source();
    }
    text
}

#[tokio::test]
async fn no_debug_shows_a_password() {
    let redis = RedisServer::builder().password(SECRET).start();
    for url in [redis.url(), format!("redis://user:{SECRET}@127.0.0.1:{}", redis.port())] {
        let options = RedisOptions::url(&url).unwrap();
        assert_silent("options", &format!("{options:?} {options:#?}"));
        let store = RedisStore::new(&options, Clock::system()).unwrap();
        assert_silent("store", &format!("{store:?} {store:#?}"));
        let builder = on(&redis).redis(options);
        assert_silent("builder", &format!("{builder:?} {builder:#?}"));
        let variables = [("REDIS_URL", url.as_str()), ("REDIS_PASSWORD", SECRET)];
        let owned = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let from_vars = Cache::builder().from_vars(owned).unwrap();
        assert_silent("environment", &format!("{from_vars:?} {from_vars:#?}"));
        let cache = builder.build().unwrap();
        let _ = cache.set("users", "1", "v").await;
        text(&cache, "users", "1").await;
        assert_silent("cache", &format!("{cache:?} {cache:#?}"));
        assert_silent("values", &format!("{:?}", cache.namespace("users")));
        assert_silent("health", &format!("{:?}", cache.health().await));
    }
}

#[tokio::test]
async fn no_error_shows_a_password() {
    let redis = RedisServer::builder().password("another").start();
    let url = format!("redis://:{SECRET}@127.0.0.1:{}", redis.port());
    let cache = on(&redis).redis(RedisOptions::url(&url).unwrap()).build().unwrap();
    for _ in 0..6 {
        let error = cache.set("users", "1", SECRET).await.unwrap_err();
        assert_silent("set", &chain(&error));
        assert_silent("health", &format!("{:?}", cache.health().await));
    }
    for url in [
        format!("redis://:{SECRET}@"),
        format!("redis://user:{SECRET}@host:notaport"),
        format!("redis://:{SECRET}@host/notadb"),
        format!("rediss://:{SECRET}@host"),
        format!("http://:{SECRET}@host"),
        format!("redis://:{SECRET}@[::1"),
        SECRET.to_owned(),
    ] {
        if let Err(error) = RedisOptions::url(&url) {
            assert_silent(&url.replace(SECRET, "…"), &chain(&error));
        }
        let vars = [("REDIS_URL".to_owned(), url.clone())];
        if let Err(error) = Cache::builder().from_vars(vars).unwrap().build() {
            assert_silent("from_vars", &chain(&error));
        }
    }
}

/// The values are the application's business.
#[tokio::test]
async fn no_debug_shows_values() {
    let cache = Cache::builder().memory().build().unwrap();
    cache.set("users", "1", SECRET).await.unwrap();
    assert_silent("cache", &format!("{cache:?} {cache:#?}"));
    assert_silent("set", &format!("{:?}", cache.set("users", "1", SECRET)));
}

/// With a password that is right, that is wrong, that is escaped in the URL, and that a server tells
/// again in its errors.
#[tokio::test]
async fn no_log_metric_event_or_health_shows_a_password() {
    listen();
    let recorder = PrometheusBuilder::new().build_recorder();
    let scrapes = recorder.handle();
    let _recording = metrics::set_default_local_recorder(&recorder);
    let mut shown = String::new();

    let redis = RedisServer::builder().password(SECRET).start();
    let fake = FakeRedis::before(&redis, |_| Answer::Pass).await;
    let escaped = SECRET.bytes().fold(String::new(), |text, byte| format!("{text}%{byte:02X}"));
    for url in [
        format!("redis://:{SECRET}@{}", fake.addr()),
        format!("redis://:{escaped}@{}", fake.addr()),
        format!("redis://{SECRET}:{SECRET}@{}", fake.addr()),
        format!("redis://:{SECRET}{SECRET}@{}", fake.addr()),
    ] {
        fake.script(|_| Answer::Pass);
        let cache = Cache::builder().prefix("p").redis(options(&url)).build().unwrap();
        let exporter = Exporter::new(&cache);
        let mut events = cache.events();
        let is_right = url.contains("//:") && !url.contains(&format!("{SECRET}{SECRET}"));
        if is_right {
            healed(&cache).await;
        }
        fake.script(|_| Answer::error(&format!("{SECRET} {SECRET} and more of {SECRET}")));
        for _ in 0..4 {
            if let Err(error) = cache.set("users", "1", "v").await {
                shown.push_str(&chain(&error));
            }
            text(&cache, "users", "1").await;
        }
        fake.script(|_| Answer::Close);
        broken(&cache).await;
        cache.invalidate(cache_core::Tag::new("t")).await.unwrap();
        let (health, gauges) = (cache.health().await, cache.gauges());
        let _ = write!(shown, "{health:?} {gauges:?}");
        shown.push_str(&serde_json::to_string(&cache.health().await).unwrap());
        exporter.publish();
        for _ in 0..3 {
            let event = events.next().await;
            let _ = write!(shown, "{event:?}");
        }
    }
    shown.push_str(&scrapes.render());
    let logged = format!("{:?}", all_said());
    assert!(logged.contains("Redis is away"), "{logged}");
    assert!(shown.contains("cache_breaker_state") && shown.contains("Breaker"), "{shown}");
    assert_silent("what is shown", &shown);
    assert_silent("the log", &logged);
}
