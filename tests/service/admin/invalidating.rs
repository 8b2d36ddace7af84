//! `POST /invalidate`, `/clear`, `/version/bump`: what they say was done, was done.

use cache_core::{Cache, RedisOptions, Tag, seconds};
use cache_tests::RedisServer;
use serde_json::json as value;

use super::rig::{OPERATOR, REPORTS, Rig, WS1, json, rig};
use crate::setup::{memory_cache, redis_cache, shared_redis, unique_prefix};

async fn is_hit(rig: &Rig, path: &str, workspace: &str) -> bool {
    let status = rig.visit(path, workspace).await.cache_status();
    assert!(!status.contains("bypass"), "{status}");
    status.contains("hit")
}

/// Both places; with what is there at first: two responses of `ws1`, one of `ws2`.
async fn filled() -> Vec<Rig> {
    let mut rigs = Vec::new();
    for cache in [memory_cache(), redis_cache()] {
        let rig = rig(cache).await;
        for (path, workspace) in
            [("/campaigns/1", "ws1"), ("/campaigns/2", "ws1"), ("/campaigns/1", "ws2")]
        {
            rig.visit(path, workspace).await;
            assert!(is_hit(&rig, path, workspace).await);
        }
        rigs.push(rig);
    }
    rigs
}

#[tokio::test]
async fn patterns_end_what_they_match_and_nothing_else() {
    for rig in filled().await {
        let done = rig.post("/invalidate", OPERATOR, r#"{"patterns":["ws1:campaigns:1:*"]}"#).await;
        let done = json(&done);
        assert_eq!((&done["outcome"], &done["soft"]), (&"complete".into(), &false.into()));
        let scope = &done["scopes"][0];
        assert_eq!(
            (&scope["kind"], &scope["name"]),
            (&"pattern".into(), &"ws1:campaigns:1:*".into())
        );
        assert!(scope["entries"].is_null());
        assert!(!is_hit(&rig, "/campaigns/1", "ws1").await);
        assert!(is_hit(&rig, "/campaigns/2", "ws1").await);
        assert!(is_hit(&rig, "/campaigns/1", "ws2").await);
    }
}

#[tokio::test]
async fn workspaces_tags_keys_and_namespaces_end_together_and_apart() {
    for rig in filled().await {
        let post = async |json: &str| {
            let done = rig.post("/invalidate", OPERATOR, json).await;
            assert_eq!(done.status, 200, "{json}: {}", done.text());
        };
        rig.cache.set("users", "1", "Ada").await.unwrap();
        rig.cache.set("users", "2", "Bob").await.unwrap();
        post(r#"{"namespace":"users","keys":["1"]}"#).await;
        assert_eq!(rig.cache.get::<String>("users", "1").await.unwrap(), None);
        assert!(rig.cache.exists("users", "2").await.unwrap());
        assert!(is_hit(&rig, "/campaigns/1", "ws1").await);

        post(r#"{"tags":["own"],"tags_in":"ws2"}"#).await;
        assert!(!is_hit(&rig, "/campaigns/1", "ws2").await);
        assert!(is_hit(&rig, "/campaigns/1", "ws1").await);

        post(r#"{"workspace":"ws1"}"#).await;
        assert!(!is_hit(&rig, "/campaigns/1", "ws1").await);
        assert!(is_hit(&rig, "/campaigns/1", "ws2").await);

        post(r#"{"tags":["campaigns"],"namespace":null,"keys":[]}"#).await;
        assert!(!is_hit(&rig, "/campaigns/1", "ws2").await);

        post(r#"{"namespace":"users"}"#).await;
        assert!(!rig.cache.exists("users", "2").await.unwrap());
    }
}

#[tokio::test]
async fn softly_is_stale_rather_than_gone() {
    for rig in filled().await {
        let done = rig.post("/invalidate", OPERATOR, r#"{"workspace":"ws1","soft":true}"#).await;
        assert_eq!(json(&done)["soft"], true);
        let status = rig.visit("/campaigns/1", "ws1").await.cache_status();
        assert!(status.contains("fwd=stale"), "{status}");
    }
}

#[tokio::test]
async fn a_dry_run_counts_and_touches_nothing() {
    for rig in filled().await {
        rig.cache.set("users", "1", "Ada").tag("t").await.unwrap();
        let asked = value!({
            "patterns": ["ws1:campaigns:*", "ws1:nothing:*"],
            "workspace": "ws2",
            "tags": ["campaigns"],
            "dry_run": true,
        });
        let done = json(&rig.post("/invalidate", OPERATOR, &asked.to_string()).await);
        assert_eq!(done["outcome"], "dry_run");
        let counts: Vec<_> = done["scopes"]
            .as_array()
            .unwrap()
            .iter()
            .map(|scope| {
                (
                    scope["kind"].as_str().unwrap(),
                    scope["entries"].as_u64(),
                    scope["at_least"].as_bool().unwrap(),
                )
            })
            .collect();
        assert_eq!(
            counts,
            [
                ("pattern", Some(2), false),
                ("pattern", Some(0), false),
                ("tag", None, true),
                ("workspace", Some(1), false),
            ]
        );
        let asked = r#"{"namespace":"users","keys":["1","2"],"dry_run":true}"#;
        let keys = json(&rig.post("/invalidate", OPERATOR, asked).await)["scopes"].clone();
        assert_eq!((&keys[0]["entries"], &keys[1]["entries"]), (&1.into(), &0.into()));
        let asked = r#"{"namespace":"users","dry_run":true}"#;
        let all = json(&rig.post("/invalidate", OPERATOR, asked).await)["scopes"].clone();
        assert_eq!(all[0]["entries"], 1);

        assert!(
            is_hit(&rig, "/campaigns/1", "ws1").await && is_hit(&rig, "/campaigns/1", "ws2").await
        );
        assert!(rig.cache.exists("users", "1").await.unwrap());
        assert_eq!(rig.cache.stats().invalidations, cache_core::InvalidationStats::default());
    }
}

/// More than it counts, or than there is time for: it says that there may be more.
#[tokio::test]
async fn counting_has_an_end() {
    let redis = RedisServer::builder().arg("--enable-debug-command").arg("yes").start();
    let cache = Cache::builder()
        .prefix("p")
        .redis(RedisOptions::url(&redis.url()).unwrap())
        .operation_budget(seconds(1))
        .build()
        .unwrap();
    let rig = rig(cache).await;
    redis.command(&["DEBUG", "POPULATE", "120000", "p:api_responses:v1:ws1"]);
    let asked = r#"{"patterns":["ws1:*"],"dry_run":true}"#;
    let scope = json(&rig.post("/invalidate", OPERATOR, asked).await)["scopes"][0].clone();
    assert_eq!(scope["at_least"], true, "{scope}");
    assert!(
        scope["entries"].as_u64() > Some(0) && scope["entries"].as_u64() < Some(120_000),
        "{scope}"
    );
    redis.kill();
    let scope = json(&rig.post("/invalidate", OPERATOR, asked).await)["scopes"][0].clone();
    assert_eq!((&scope["entries"], &scope["at_least"]), (&serde_json::Value::Null, &true.into()));
}

#[tokio::test]
async fn clear_removes_a_namespace_or_says_that_all_is_meant() {
    for rig in filled().await {
        rig.cache.set("users", "1", "Ada").await.unwrap();
        let post = async |path: &str| rig.post(path, OPERATOR, "").await;
        let done = json(&post("/clear?namespace=users").await);
        assert_eq!(done, value!({"namespace": "users", "removed": 1}));
        assert!(is_hit(&rig, "/campaigns/1", "ws1").await);
        for (path, status) in [
            ("/clear", 400),
            ("/clear?all=false", 400),
            ("/clear?all=1", 400),
            ("/clear?all=true&namespace=users", 400),
            ("/clear?namespace=unknown", 404),
            ("/clear?namespace=", 404),
            ("/clear?nmspace=users", 400),
            ("/clear?namespace=users&namespace=reports", 400),
        ] {
            assert_eq!(post(path).await.status, status, "{path}");
        }
        assert!(is_hit(&rig, "/campaigns/1", "ws1").await);
        let done = json(&post("/clear?all=true").await);
        assert!(done["namespace"].is_null() && done["removed"].as_u64() >= Some(3), "{done}");
        assert!(!is_hit(&rig, "/campaigns/1", "ws1").await);
        assert!(!rig.cache.stats().namespaces.contains_key("unknown"));
    }
}

#[tokio::test]
async fn a_bump_leaves_all_behind() {
    for rig in filled().await {
        let done = rig.post("/version/bump?namespace=api_responses", OPERATOR, "{}").await;
        assert_eq!(json(&done), value!({"namespace": "api_responses", "version": 2}));
        assert_eq!(rig.cache.version("api_responses").unwrap(), 2);
        assert!(!is_hit(&rig, "/campaigns/1", "ws1").await);
        assert!(is_hit(&rig, "/campaigns/1", "ws1").await);
        assert_eq!(rig.post("/version/bump?namespace=unknown", OPERATOR, "").await.status, 404);
        assert_eq!(rig.post("/version/bump", OPERATOR, "").await.status, 400);
    }
}

#[tokio::test]
async fn while_the_store_is_away_it_says_how_far_it_has_got() {
    let redis = RedisServer::start();
    let cache = Cache::builder()
        .prefix("p")
        .namespace(REPORTS)
        .redis(RedisOptions::url(&redis.url()).unwrap())
        .build()
        .unwrap();
    let rig = rig(cache).await;
    rig.cache.set("reports", "ws1:1", "value").await.unwrap();
    redis.kill();
    let done = json(&rig.post("/invalidate", OPERATOR, r#"{"tags":["t"]}"#).await);
    assert_eq!(done["outcome"], "queued");
    let bump = rig.post("/version/bump?namespace=reports", OPERATOR, "").await;
    assert_eq!((bump.status, json(&bump)["status"].as_u64()), (503, Some(503)));
    assert!(bump.header("retry-after").is_some());
    assert_eq!(rig.cache.version("reports").unwrap(), 1);
}

/// A client that leaves before the answer must not leave half of it undone: a sweep that is broken
/// off would widen to the whole namespace.
#[tokio::test]
async fn who_leaves_does_not_end_it() {
    let options = RedisOptions::url(&shared_redis().url()).unwrap();
    let prefix = unique_prefix();
    let cache = Cache::builder().prefix(&prefix).redis(options).operation_budget(seconds(10));
    let rig = rig(cache.build().unwrap()).await;
    rig.cache.set("users", "old_1", "v").await.unwrap();
    let mut client = cache_tests::http_client::Client::connect(rig.addr()).await.unwrap();
    let auth = super::rig::bearer(OPERATOR);
    let (_, auth) = auth.split_once(": ").unwrap();
    let headers = [("Authorization", auth), ("Content-Type", "application/json")];
    let body = br#"{"namespace":"users","patterns":["old_*"]}"#;
    let mut events = rig.cache.events();
    client.send("POST", "/api/cache/invalidate", &headers, body).await.unwrap();
    client.disconnect();
    let Some(cache_core::Event::Invalidated { scopes, outcome, .. }) = events.next().await else {
        panic!("something else has happened")
    };
    assert_eq!((scopes[0].kind, outcome.as_str()), (cache_core::ScopeKind::Pattern, "complete"));
    rig.cache.invalidate(Tag::new("t")).await.unwrap();
    assert_eq!(rig.cache.get::<String>("users", "old_1").await.unwrap(), None);
}

/// Patterns reached the cache's own namespace only, and nobody of a workspace could name another; what
/// routes keep in namespaces of their own stayed.
#[tokio::test]
async fn patterns_reach_responses_in_namespaces_of_their_own() {
    for cache in [memory_cache(), redis_cache()] {
        let http = crate::setup::http(cache);
        let admin = cache_axum::admin(&http).authorize(super::rig::tokens()).allow_bodies();
        let reports = cache_axum::cache_endpoint(&http, cache_core::minutes(5)).namespace("pages");
        let app = axum::Router::new()
            .route("/reports/{id}", axum::routing::get(async || "report").layer(reports))
            .nest("/api/cache", admin.build().unwrap());
        let (cache, served) = (http.cache().clone(), crate::setup::serve(app).await);
        let rig = Rig { served, cache, http };
        for (token, body) in [
            (OPERATOR, r#"{"patterns":["ws1:reports:*"]}"#),
            (WS1, r#"{"patterns":["ws1:reports:*"]}"#),
            (WS1, r#"{"patterns":["ws1:reports:*"],"namespace":"pages"}"#),
        ] {
            for workspace in ["ws1", "ws2"] {
                is_hit(&rig, "/reports/1", workspace).await;
                assert!(is_hit(&rig, "/reports/1", workspace).await);
            }
            let dry = body.replace(']', r#"],"dry_run":true"#);
            let counted = json(&rig.post("/invalidate", token, &dry).await);
            let scopes = counted["scopes"].as_array().unwrap();
            let sum: u64 = scopes.iter().filter_map(|scope| scope["entries"].as_u64()).sum();
            assert!(sum >= 1, "{body}: {counted}");
            assert_eq!(rig.post("/invalidate", token, body).await.status, 200, "{body}");
            assert!(!is_hit(&rig, "/reports/1", "ws1").await, "{body}");
            assert!(is_hit(&rig, "/reports/1", "ws2").await, "{body}");
        }
    }
}
