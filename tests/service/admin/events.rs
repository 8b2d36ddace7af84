//! `GET /events`: what happens is told as it happens, to those it is for, until the end.

use cache_core::{Scope, Tag};
use cache_tests::RedisServer;
use cache_tests::http_client::Client;
use serde_json::Value;

use super::rig::{OPERATOR, REPORTS, Rig, WS1, WS2, bearer, rig, rig_with};
use crate::setup::{memory_cache, redis_cache, unique_prefix};

/// Somebody who listens.
pub(super) struct Listener {
    client: Client,
    text: String,
}

impl Listener {
    pub(super) async fn new(rig: &Rig, token: &str) -> Self {
        let mut client = Client::connect(rig.addr()).await.unwrap();
        let auth = bearer(token);
        let headers = [auth.split_once(": ").unwrap()];
        client.send("GET", "/api/cache/events", &headers, b"").await.unwrap();
        let head = client.read_head().await.unwrap();
        assert_eq!(head.status, 200);
        assert_eq!(head.header("content-type"), Some("text/event-stream"));
        assert_eq!(head.header("cache-control"), Some("no-store"));
        Self { client, text: String::new() }
    }

    /// The next event: its name, and what it says. `None` at the end.
    pub(super) async fn next(&mut self) -> Option<(String, Value)> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let (event, rest) = (event.to_owned(), rest.to_owned());
                self.text = rest;
                let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name));
                // What only keeps the connection alive is a comment.
                let Some(data) = field("data: ") else { continue };
                let name = field("event: ").expect("a name").to_owned();
                return Some((name, serde_json::from_str(data).expect("JSON")));
            }
            let piece = self.client.read_chunk().await.unwrap()?;
            self.text.push_str(std::str::from_utf8(&piece).unwrap());
        }
    }

    /// The next of this name.
    async fn named(&mut self, name: &str) -> Value {
        loop {
            let (found, event) = self.next().await.expect("it goes on");
            if found == name {
                return event;
            }
        }
    }
}

#[tokio::test]
async fn invalidations_decisions_and_versions_are_told() {
    for cache in [memory_cache(), redis_cache()] {
        let rig = rig(cache).await;
        let mut listener = Listener::new(&rig, OPERATOR).await;
        rig.visit("/campaigns/1", "ws1").await;
        let decision = listener.named("decision").await;
        assert_eq!(
            (&decision["decision"], &decision["layer"]),
            (&"fwd=uri-miss; stored".into(), &"origin".into())
        );
        assert_eq!(
            (&decision["event"], &decision["workspace"]),
            (&"decision".into(), &"ws1".into())
        );
        rig.visit("/campaigns/1", "ws1").await;
        assert_eq!(listener.named("decision").await["decision"], "hit");

        rig.post("/invalidate", OPERATOR, r#"{"tags":["t:1"],"soft":true}"#).await;
        let invalidated = listener.named("invalidated").await;
        assert_eq!(
            (&invalidated["outcome"], &invalidated["soft"]),
            (&"complete".into(), &true.into())
        );
        assert_eq!(
            (&invalidated["scopes"][0]["kind"], &invalidated["scopes"][0]["text"]),
            (&"tag".into(), &"t:1".into())
        );

        rig.cache.bump_version("api_responses").await.unwrap();
        assert_eq!(listener.named("version_bumped").await["version"], 2);
    }
}

#[tokio::test]
async fn the_breaker_is_told() {
    let redis = RedisServer::start();
    let options = cache_core::RedisOptions::url(&redis.url()).unwrap();
    let rig = rig(cache_core::Cache::builder().prefix("p").redis(options).build().unwrap()).await;
    let mut listener = Listener::new(&rig, OPERATOR).await;
    let mut tenant = Listener::new(&rig, WS1).await;
    redis.kill();
    for n in 0..5 {
        rig.cache.get::<String>("users", n.to_string()).await.unwrap();
    }
    assert_eq!(listener.named("breaker").await["state"], "open");
    redis.restart();
    let mut states = Vec::new();
    while states.last().is_none_or(|state| state != "closed") {
        states.push(listener.named("breaker").await["state"].clone());
    }
    let (_, probes) = states.split_last().unwrap();
    assert!(probes.ends_with(&["half_open".into()]), "{states:?}");
    rig.cache.invalidate(Scope::workspace("ws1")).await.unwrap();
    assert_eq!(tenant.next().await.unwrap().0, "invalidated", "and no breaker before");
}

#[tokio::test]
async fn somebody_of_a_workspace_is_told_of_that_alone() {
    let cache = cache_core::Cache::builder().prefix(unique_prefix()).namespace(REPORTS).memory();
    let rig = rig(cache.build().unwrap()).await;
    let mut own = Listener::new(&rig, WS1).await;
    rig.visit("/campaigns/1", "ws2").await;
    rig.cache.invalidate(Scope::workspace("ws2")).await.unwrap();
    rig.cache.invalidate([Scope::workspace("ws1"), Scope::workspace("ws2")]).await.unwrap();
    rig.cache.invalidate(Tag::new("global")).await.unwrap();
    rig.cache.invalidate(Scope::everything()).await.unwrap();
    rig.cache.bump_version("reports").await.unwrap();
    rig.cache.invalidate(Tag::in_workspace("ws1", "own")).await.unwrap();
    let (name, first) = own.next().await.unwrap();
    assert_eq!((name.as_str(), &first["scopes"][0]["text"]), ("invalidated", &"own".into()));
    rig.visit("/campaigns/1", "ws1").await;
    let (name, second) = own.next().await.unwrap();
    assert_eq!((name.as_str(), &second["workspace"]), ("decision", &"ws1".into()));
    assert_eq!(second["left_out"], 0);
}

#[tokio::test]
async fn so_many_may_listen_and_who_leaves_makes_place() {
    let rig = rig_with(memory_cache(), |admin| admin.max_listeners(2)).await;
    let first = Listener::new(&rig, OPERATOR).await;
    let _second = Listener::new(&rig, WS1).await;
    let refused = rig.get("/events", OPERATOR).await;
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("1")));
    first.client.disconnect();
    let probe = async || {
        // A listener that has left is noticed by what is sent to it.
        rig.cache.invalidate(Tag::new("t")).await.unwrap();
        let mut client = Client::connect(rig.addr()).await.unwrap();
        let auth = bearer(OPERATOR);
        client
            .send("GET", "/api/cache/events", &[auth.split_once(": ").unwrap()], b"")
            .await
            .unwrap();
        (client.read_head().await.unwrap().status == 200).then_some(())
    };
    let limit = std::time::Duration::from_secs(20);
    cache_tests::wait::eventually_some(limit, "there is place again", probe).await;
}

/// One workspace took all places, and operators heard nothing any more.
#[tokio::test]
async fn a_workspace_leaves_places_to_others() {
    let rig = rig_with(memory_cache(), |admin| admin.max_listeners(4)).await;
    let _first = Listener::new(&rig, WS1).await;
    assert_eq!(rig.get("/events", WS1).await.status, 503);
    let _other = Listener::new(&rig, WS2).await;
    let _operator = (Listener::new(&rig, OPERATOR).await, Listener::new(&rig, OPERATOR).await);
    assert_eq!(rig.get("/events", OPERATOR).await.status, 503);
}

/// Somebody of a workspace did not hear of patterns of it that nobody has declared: not even of those
/// that they had named themselves.
#[tokio::test]
async fn somebody_of_a_workspace_is_told_of_its_patterns() {
    for cache in [memory_cache(), redis_cache()] {
        let rig = rig(cache).await;
        let (mut own, mut other) = (Listener::new(&rig, WS1).await, Listener::new(&rig, WS2).await);
        for pattern in ["*:campaigns:*", "ws*", "ws1:campaigns:*", "ws2:campaigns:*"] {
            let body = serde_json::json!({ "patterns": [pattern] }).to_string();
            assert_eq!(rig.post("/invalidate", OPERATOR, &body).await.status, 200);
        }
        let elsewhere = r#"{"patterns":["ws1:x*"],"namespace":"users"}"#;
        rig.cache.set("users", "ws1:1", "value").await.unwrap();
        assert_eq!(rig.post("/invalidate", OPERATOR, elsewhere).await.status, 200);
        rig.cache.invalidate(Tag::in_workspace("ws1", "last")).await.unwrap();
        for text in ["ws1:campaigns:*", "last"] {
            let (name, event) = own.next().await.unwrap();
            assert_eq!((name.as_str(), &event["scopes"][0]["text"]), ("invalidated", &text.into()));
        }
        assert_eq!(other.named("invalidated").await["scopes"][0]["text"], "ws2:campaigns:*");
    }
}

#[tokio::test]
async fn it_ends_when_the_cache_is_shut_down() {
    let rig = rig(memory_cache()).await;
    let mut listener = Listener::new(&rig, OPERATOR).await;
    rig.cache.invalidate(Tag::new("t")).await.unwrap();
    assert!(listener.next().await.is_some());
    rig.cache.shutdown().await;
    assert_eq!(listener.next().await, None);
    // And one that comes later ends at once.
    assert_eq!(Listener::new(&rig, OPERATOR).await.next().await, None);
}
