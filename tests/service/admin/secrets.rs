//! No token is told again: not in an answer, not in a log.

use std::fmt::Write;

use super::audit::Logged;
use cache_core::{Cache, RedisOptions};
use cache_tests::RedisServer;

use super::events::Listener;
use super::rig::{OPERATOR, WS1, bearer, rig};
use crate::setup::memory_cache;

#[tokio::test]
async fn no_token_is_in_any_answer_or_log() {
    let logged = Logged::begin();
    let rig = rig(memory_cache()).await;
    let mut answers = String::new();
    for token in [OPERATOR, WS1, "a-wrong-token"] {
        for path in ["/stats", "/health", "/entry?key=a", "/nothing", "/openapi.json"] {
            let response = rig.get(path, token).await;
            let _ = write!(answers, "{:?}{}", response.headers, response.text());
        }
        for body in [r#"{"workspace":"ws1"}"#, "{", r#"{"namespace":"x"}"#] {
            answers.push_str(&rig.post("/invalidate", token, body).await.text());
        }
        let both = [bearer(token), bearer(token)];
        let both = [both[0].as_str(), &both[1]];
        answers.push_str(&rig.ask("GET", "/stats", &both, b"").await.text());
    }
    let debug = format!("{:?}", cache_axum::admin(&rig.http).authorize(super::rig::tokens()));
    let logged = logged.end();
    assert!(logged.contains("refused"), "something was logged");
    for text in [&answers, &logged, &debug] {
        for token in [OPERATOR, WS1, "a-wrong-token"] {
            assert!(!text.contains(token), "{token}");
        }
    }
}

/// Nor is the password of Redis, whether it is right or not.
#[tokio::test]
async fn no_password_of_redis_is_in_any_answer_or_log() {
    const PASSWORD: &str = "the-password-of-redis";
    let logged = Logged::begin();
    let mut answers = String::new();
    for is_right in [false, true] {
        let redis = RedisServer::start();
        redis.config_set("requirepass", if is_right { PASSWORD } else { "another-one" });
        let url = redis.url().replace("redis://", &format!("redis://:{PASSWORD}@"));
        let options = RedisOptions::url(&url).unwrap();
        let _ = write!(answers, "{options:?}");
        let rig = rig(Cache::builder().prefix("p").redis(options).build().unwrap()).await;
        let mut listener = Listener::new(&rig, OPERATOR).await;
        if is_right {
            rig.cache.set("users", "1", "value").await.unwrap();
            redis.kill();
        }
        for n in 0..5 {
            let _ = rig.cache.get::<String>("users", n.to_string()).await;
        }
        for path in ["/stats", "/health", "/health/ready", "/entry?key=p:users:v1:9"] {
            for token in [OPERATOR, WS1] {
                answers.push_str(&rig.get(path, token).await.text());
            }
        }
        for path in ["/version/bump?namespace=users", "/clear?namespace=users"] {
            answers.push_str(&rig.post(path, OPERATOR, "").await.text());
        }
        if is_right {
            let _ = write!(answers, "{:?}", listener.next().await);
        }
        let _ = write!(answers, "{:?}{:?}", rig.cache, rig.http);
    }
    let logged = logged.end();
    assert!(answers.contains("reachable") && answers.contains("breaker"), "{answers}");
    assert!(!answers.contains(PASSWORD) && !logged.contains(PASSWORD), "{answers}{logged}");
}
