//! The routes of the campaign service, in memory and on Redis.

use std::net::SocketAddr;

use cache_tests::message::Response;
use cache_tests::{Example, http_client};
use serde_json::{Value, json};

use crate::setup::{FORWARDED, HIT, MISS_STORED, quickstart, send, shared_redis, unique_prefix};

#[derive(Clone, Copy)]
enum Place {
    Memory,
    Redis,
}

fn start(place: Place) -> Example {
    match place {
        Place::Memory => quickstart().start(),
        // The service sets its own prefix, and settings in code win: a database of its own.
        Place::Redis => quickstart().env("REDIS_URL", redis_database()).start(),
    }
}

/// One of the sixteen databases of the server; each service here wants one for itself.
fn redis_database() -> String {
    let number: usize = unique_prefix()[1..].parse().expect("a number");
    let database = number % 16;
    let url = format!("{}/{database}", shared_redis().url());
    let mut connection = shared_redis().connect().expect("redis listens");
    connection.command(&[b"SELECT", database.to_string().as_bytes()]).expect("a database");
    connection.command(&[b"FLUSHDB"]).expect("flushed");
    url
}

fn ws(workspace: &str) -> [(&str, &str); 1] {
    [("x-workspace-id", workspace)]
}

/// One GET of a workspace: the JSON, and `Cache-Status`.
async fn get(addr: SocketAddr, workspace: &str, path: &str) -> (Value, String) {
    let response = http_client::get(addr, path, &ws(workspace)).await;
    assert_eq!(response.status, 200, "{path}: {}", response.text());
    assert_eq!(response.header("content-type"), Some("application/json"));
    (json_of(&response), response.cache_status())
}

async fn update(addr: SocketAddr, workspace: &str, id: u32, change: &Value) -> Response {
    let path = format!("/campaigns/{id}");
    let headers = [("x-workspace-id", workspace), ("content-type", "application/json")];
    send(addr, "POST", &path, &headers, change.to_string().as_bytes()).await
}

fn json_of(response: &Response) -> Value {
    serde_json::from_slice(&response.body).expect("JSON")
}

async fn every_route_answers_and_is_cached(place: Place) {
    let service = start(place);
    let addr = service.addr();
    for path in [
        "/campaigns",
        "/campaigns?page=2&limit=5",
        "/campaigns/42",
        "/campaigns/42/stats",
        "/campaigns/43/stats",
    ] {
        let (first, miss) = get(addr, "ws1", path).await;
        let (second, hit) = get(addr, "ws1", path).await;
        assert_eq!((miss.as_str(), hit.as_str()), (MISS_STORED, HIT), "{path}");
        assert_eq!(first, second, "{path}");
    }
    let (list, _) = get(addr, "ws1", "/campaigns?page=2&limit=5").await;
    assert_eq!((&list["workspace"], &list["total"]), (&json!("ws1"), &json!(600)));
    let ids: Vec<_> = list["campaigns"].as_array().unwrap().iter().map(|c| &c["id"]).collect();
    assert_eq!(ids, [6, 7, 8, 9, 10]);
    let (detail, _) = get(addr, "ws1", "/campaigns/42").await;
    assert_eq!((&detail["workspace"], &detail["id"]), (&json!("ws1"), &json!(42)));
    let (stats, _) = get(addr, "ws1", "/campaigns/42/stats").await;
    assert_eq!((&stats["campaign_id"], &stats["campaigns"]), (&json!(42), &json!(600)));
}

/// The slow query runs once: `computed_at` stays put, and the client is told nothing of a TTL.
async fn statistics_are_computed_once(place: Place) {
    let service = start(place);
    let addr = service.addr();
    let path = "/campaigns/7/stats";
    let first = http_client::get(addr, path, &ws("ws2")).await;
    let computed_at = json_of(&first)["computed_at"].clone();
    assert!(computed_at.is_string());
    for _ in 0..5 {
        let again = http_client::get(addr, path, &ws("ws2")).await;
        assert_eq!(again.cache_status(), HIT);
        assert_eq!(json_of(&again)["computed_at"], computed_at);
        assert_eq!(again.header("cache-control"), None);
        assert!(again.header("age").is_some());
    }
    let (other, status) = get(addr, "ws3", path).await;
    assert_eq!((&other["workspace"], status.as_str()), (&json!("ws3"), MISS_STORED));
    assert_ne!(other["computed_at"], computed_at);
}

/// An update changes the list, the campaign and the statistics of its workspace, and no others.
async fn an_update_invalidates_its_workspace_and_no_other(place: Place) {
    let service = start(place);
    let addr = service.addr();
    let paths = [
        "/campaigns?limit=50",
        "/campaigns",
        "/campaigns/42",
        "/campaigns/42/stats",
        "/campaigns/9",
    ];
    for workspace in ["ws1", "ws2"] {
        for path in paths {
            get(addr, workspace, path).await;
            assert_eq!(get(addr, workspace, path).await.1, HIT);
        }
    }
    let before = get(addr, "ws1", "/campaigns/42/stats").await.0["computed_at"].clone();
    let change = json!({"name": "Autumn launch", "budget": 1200});
    let changed = update(addr, "ws1", 42, &change).await;
    assert_eq!((changed.status, changed.cache_status()), (200, FORWARDED.to_owned()));
    assert_eq!(json_of(&changed)["name"], "Autumn launch");
    for path in paths {
        assert_eq!(get(addr, "ws2", path).await.1, HIT, "{path}");
        assert_eq!(get(addr, "ws1", path).await.1, MISS_STORED, "{path}");
    }
    assert_ne!(get(addr, "ws1", "/campaigns/42/stats").await.0["computed_at"], before);
    assert_eq!(get(addr, "ws1", "/campaigns/42").await.0["name"], "Autumn launch");
    let list = get(addr, "ws1", "/campaigns?limit=50").await.0;
    assert_eq!(list["campaigns"][41]["name"], "Autumn launch");
    assert_eq!(list["campaigns"][41]["budget"], 1200);
    assert_ne!(get(addr, "ws2", "/campaigns/42").await.0["name"], "Autumn launch");
}

/// Whoever has read the answer to an update never sees what was before it.
async fn what_was_written_is_read(place: Place) {
    let service = start(place);
    let addr = service.addr();
    for budget in 1..=30 {
        get(addr, "ws4", "/campaigns/5").await;
        assert_eq!(update(addr, "ws4", 5, &json!({"budget": budget})).await.status, 200);
        let (detail, _) = get(addr, "ws4", "/campaigns/5").await;
        assert_eq!(detail["budget"], budget);
    }
}

/// Refusals are problems in JSON that no cache keeps, and they invalidate nothing.
async fn refusals_are_neither_stored_nor_invalidate(place: Place) {
    let service = start(place);
    let addr = service.addr();
    get(addr, "ws1", "/campaigns/42").await;
    let json_type = ("content-type", "application/json");
    let workspace = ("x-workspace-id", "ws1");
    let no_such: &[(&str, &str)] = &[("x-workspace-id", "ws:1")];
    for (method, path, headers, body, status) in [
        ("GET", "/campaigns", &[][..], "", 400),
        ("GET", "/campaigns/42", &[], "", 400),
        ("GET", "/campaigns/42/stats", &[], "", 400),
        ("POST", "/campaigns/42", &[json_type], "{\"budget\": 1}", 400),
        ("GET", "/campaigns/42", &[("x-workspace-id", "")], "", 400),
        ("GET", "/campaigns/42", &[workspace, workspace], "", 400),
        ("GET", "/campaigns/42", no_such, "", 400),
        ("POST", "/campaigns/42", &[workspace, json_type], "{\"budget\": ", 400),
        ("POST", "/campaigns/42", &[workspace, json_type], "{\"budget\": \"much\"}", 422),
        ("POST", "/campaigns/42", &[workspace, json_type], "{}", 422),
        ("POST", "/campaigns/42", &[workspace, json_type], "{\"budget\": -1}", 422),
        ("POST", "/campaigns/42", &[workspace], "{\"budget\": 1}", 415),
        ("POST", "/campaigns/999", &[workspace, json_type], "{\"budget\": 1}", 404),
        ("GET", "/campaigns/999", &[workspace], "", 404),
        ("GET", "/campaigns/999/stats", &[workspace], "", 404),
        ("GET", "/campaigns/abc", &[workspace], "", 404),
        ("GET", "/campaigns?limit=1000", &[workspace], "", 400),
        ("GET", "/nowhere", &[workspace], "", 404),
    ] {
        for _ in 0..2 {
            let response = send(addr, method, path, headers, body.as_bytes()).await;
            let what = format!("{method} {path} {headers:?} {body}: {}", response.text());
            assert_eq!(response.status, status, "{what}");
            assert_eq!(response.header("content-type"), Some("application/problem+json"), "{what}");
            assert_eq!(json_of(&response)["status"], status, "{what}");
            assert!(!response.cache_status().contains("hit"), "{what}");
            assert!(!response.cache_status().contains("stored"), "{what}");
        }
    }
    assert_eq!(get(addr, "ws1", "/campaigns/42").await.1, HIT);
    let delete = send(addr, "DELETE", "/campaigns/42", &[workspace], b"").await;
    assert_eq!(delete.status, 405);
    assert_eq!(get(addr, "ws1", "/campaigns/42").await.1, HIT);
}

async fn head_and_conditions_are_answered_from_the_cache(place: Place) {
    let service = start(place);
    let addr = service.addr();
    let full = http_client::get(addr, "/campaigns/42/stats", &ws("ws1")).await;
    let head = send(addr, "HEAD", "/campaigns/42/stats", &ws("ws1"), b"").await;
    assert_eq!((head.status, head.cache_status()), (200, HIT.to_owned()));
    assert_eq!(head.header("content-length"), Some(&*full.body.len().to_string()));
    assert!(head.body.is_empty());
}

/// A route with a TTL of ours keeps what was made for one user from another.
async fn credentials_are_not_shared_where_the_ttl_is_ours(place: Place) {
    let service = start(place);
    let addr = service.addr();
    let credentials = [("authorization", "Bearer x"), ("cookie", "session=1")];
    let path = "/campaigns/42/stats";
    for with in credentials {
        let headers = [("x-workspace-id", "ws1"), with];
        let response = http_client::get(addr, path, &headers).await;
        assert!(response.cache_status().starts_with("cache-tower; fwd=uri-miss; detail="));
    }
    assert_eq!(get(addr, "ws1", path).await.1, MISS_STORED);
    for with in credentials {
        let headers = [("x-workspace-id", "ws1"), with];
        let response = http_client::get(addr, path, &headers).await;
        assert_eq!(response.cache_status(), "cache-tower; fwd=bypass; detail=credentials");
    }
}

macro_rules! in_memory_and_on_redis {
    ($($name:ident),* $(,)?) => {
        mod in_memory { $(
            #[tokio::test]
            async fn $name() { super::$name(super::Place::Memory).await; }
        )* }
        mod on_redis { $(
            #[tokio::test]
            async fn $name() {
                crate::setup::within_budget(|| super::$name(super::Place::Redis)).await;
            }
        )* }
    };
}

in_memory_and_on_redis!(
    every_route_answers_and_is_cached,
    statistics_are_computed_once,
    an_update_invalidates_its_workspace_and_no_other,
    what_was_written_is_read,
    refusals_are_neither_stored_nor_invalidate,
    head_and_conditions_are_answered_from_the_cache,
    credentials_are_not_shared_where_the_ttl_is_ours,
);
