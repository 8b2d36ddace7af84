//! Passwords appear in nothing that is printed.

use cache_core::{Cache, Clock, Error, RedisOptions, RedisStore};
use cache_tests::RedisServer;

use crate::setup::{on, text};

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
