//! The OpenAPI document is true: it is reachable, complete, and what is answered has its shape.

use cache_core::Cache;
use jsonschema::Validator;
use serde_json::{Value, json as value};

use super::rig::{OPERATOR, REPORTS, Rig, WS1, bearer, encoded, json, rig_with};
use crate::setup::{memory_cache, redis_cache, unique_prefix};

async fn document(rig: &Rig) -> Value {
    let response = rig.get("/openapi.json", OPERATOR).await;
    assert_eq!((response.status, response.header("content-type")), (200, Some("application/json")));
    json(&response)
}

/// What an answer with this status has to be like; `None`: nothing is said of it.
fn shape(document: &Value, method: &str, path: &str, status: u16) -> Option<Validator> {
    let answer = &document["paths"][path][method]["responses"][status.to_string()];
    assert!(!answer.is_null(), "{method} {path}: {status} is not in the document");
    let (_, content) = answer["content"].as_object()?.iter().next()?;
    let mut schema = content["schema"].clone();
    if schema.is_null() {
        return None;
    }
    schema["components"] = document["components"].clone();
    Some(jsonschema::draft202012::new(&schema).expect("a schema"))
}

#[track_caller]
fn fits(shape: &Validator, answer: &Value, what: &str) {
    let faults: Vec<String> = shape.iter_errors(answer).map(|e| e.to_string()).collect();
    assert!(faults.is_empty(), "{what}: {faults:?} in {answer}");
}

#[tokio::test]
async fn every_path_of_the_document_is_there_and_wants_credentials_where_it_says_so() {
    let rig = rig_with(memory_cache(), |admin| admin).await;
    let document = document(&rig).await;
    assert!(document["openapi"].as_str().unwrap().starts_with("3."));
    assert_eq!(document["components"]["securitySchemes"]["bearer"]["scheme"], "bearer");
    let mut operations = 0;
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            operations += 1;
            let target = if path == "/" { String::new() } else { path.replace("{id}", "ws1") };
            let method = method.to_uppercase();
            let json_type = "Content-Type: application/json";
            let without = rig.ask(&method, &target, &[json_type], b"{}").await.status;
            let open = operation["security"] == value!([{}]);
            assert_eq!(without, if open { 200 } else { 401 }, "{method} {path}");
            if path == "/events" {
                continue;
            }
            let with =
                rig.ask(&method, &target, &[json_type, &bearer(OPERATOR)], b"{}").await.status;
            assert!(!matches!(with, 401 | 403 | 405), "{method} {path}: {with}");
            assert!(with != 404 || path == "/entry", "{method} {path}: {with}");
        }
    }
    assert_eq!(operations, 14);
}

#[tokio::test]
async fn what_is_answered_has_the_shape_that_the_document_says() {
    for place in ["memory", "redis"] {
        let cache = match place {
            "memory" => Cache::builder()
                .prefix(unique_prefix())
                .namespace(REPORTS)
                .memory()
                .build()
                .unwrap(),
            _ => redis_cache(),
        };
        let generous = |admin: cache_axum::admin::Admin<_>| {
            admin.allow_bodies().requests_per_second(1_000).changes_per_minute(1_000)
        };
        let rig = rig_with(cache, generous).await;
        let document = document(&rig).await;
        rig.cache.set("users", "1", "Ada").tag("t").await.unwrap();
        for _ in 0..500 {
            rig.visit("/campaigns/1", "ws1").await;
        }
        rig.cache.get::<String>("users", "1").await.unwrap();
        let key = rig.key_of("/campaigns/1", "ws1").await;
        let entry = format!("/entry?key={}", encoded(&key));
        for (path, target, token, status) in [
            ("/stats", "/stats", OPERATOR, 200),
            ("/stats", "/stats?namespace=users", OPERATOR, 200),
            ("/stats", "/stats?namespace=none", OPERATOR, 404),
            ("/stats", "/stats", WS1, 200),
            ("/stats", "/stats?namespace=users", WS1, 403),
            ("/workspace/{id}/stats", "/workspace/ws1/stats", WS1, 200),
            ("/workspace/{id}/stats", "/workspace/ws2/stats", WS1, 404),
            ("/health", "/health", OPERATOR, 200),
            ("/health", "/health", WS1, 200),
            ("/health/live", "/health/live", OPERATOR, 200),
            ("/health/ready", "/health/ready", OPERATOR, 200),
            ("/keys/top", "/keys/top", OPERATOR, 200),
            ("/entry", &entry, OPERATOR, 200),
            ("/entry", &entry, WS1, 200),
            ("/entry", "/entry?key=none", OPERATOR, 404),
            ("/routes", "/routes", OPERATOR, 200),
            ("/routes", "/routes", WS1, 403),
        ] {
            let response = rig.get(target, token).await;
            assert_eq!(response.status, status, "{target}: {}", response.text());
            let shape = shape(&document, "get", path, status).expect("a shape");
            fits(&shape, &json(&response), target);
        }
        for (path, target, token, body, status) in [
            (
                "/invalidate",
                "/invalidate",
                OPERATOR,
                r#"{"patterns":["ws1:*"],"dry_run":true}"#,
                200,
            ),
            ("/invalidate", "/invalidate", OPERATOR, r#"{"tags":["t"],"workspace":"ws1"}"#, 200),
            ("/invalidate", "/invalidate", WS1, r#"{"workspace":"ws2"}"#, 403),
            ("/invalidate", "/invalidate", OPERATOR, "{}", 422),
            ("/clear", "/clear?namespace=users", OPERATOR, "", 200),
            ("/clear", "/clear?all=true", OPERATOR, "{}", 200),
            ("/clear", "/clear?all=true", WS1, "{}", 403),
            ("/clear", "/clear?namespace=none", OPERATOR, "{}", 404),
            ("/version/bump", "/version/bump?namespace=users", OPERATOR, "", 200),
        ] {
            let response = rig.post(target, token, body).await;
            assert_eq!(response.status, status, "{target}: {}", response.text());
            let shape = shape(&document, "post", path, status).expect("a shape");
            fits(&shape, &json(&response), target);
        }
    }
}

#[tokio::test]
async fn what_is_sent_as_it_happens_has_its_shape_too() {
    let rig = rig_with(memory_cache(), |admin| admin).await;
    let document = document(&rig).await;
    let shape = shape(&document, "get", "/events", 200).expect("a shape");
    let mut listener = super::events::Listener::new(&rig, OPERATOR).await;
    rig.visit("/campaigns/1", "ws1").await;
    rig.post("/invalidate", OPERATOR, r#"{"workspace":"ws1"}"#).await;
    rig.cache.bump_version("api_responses").await.unwrap();
    let mut names = Vec::new();
    while names.len() < 3 {
        let (name, event) = listener.next().await.unwrap();
        assert_eq!(event["event"], name.as_str());
        fits(&shape, &event, &name);
        names.push(name);
    }
    assert_eq!(names, ["decision", "invalidated", "version_bumped"]);
}

/// The check has teeth: it would notice.
#[tokio::test]
async fn another_shape_does_not_fit() {
    let rig = rig_with(memory_cache(), |admin| admin).await;
    let document = document(&rig).await;
    let shape = shape(&document, "get", "/stats", 200).unwrap();
    let stats = json(&rig.get("/stats", OPERATOR).await);
    fits(&shape, &stats, "as it is");
    for (pointer, other) in [
        ("/total/hits", value!("1")),
        ("/viewer/role", value!("king")),
        ("/namespaces/api_responses/hit_ratio", value!("high")),
        ("/http", value!({"hits": 1})),
    ] {
        let mut changed = stats.clone();
        *changed.pointer_mut(pointer).unwrap() = other;
        assert!(!shape.is_valid(&changed), "{pointer}");
    }
    let mut less = stats.clone();
    less.as_object_mut().unwrap().remove("total");
    assert!(!shape.is_valid(&less));
}
